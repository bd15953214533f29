//! See `portolan_fuzz::targets::translator`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    portolan_fuzz::targets::translator::run(bytes);
});
