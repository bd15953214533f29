//! See `portolan_fuzz::targets::punch`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    portolan_fuzz::targets::punch::run(bytes);
});
