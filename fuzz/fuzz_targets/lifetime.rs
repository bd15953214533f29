//! See `portolan_fuzz::targets::lifetime`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    portolan_fuzz::targets::lifetime::run(bytes);
});
