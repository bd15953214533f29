//! See `portolan_fuzz::targets::discovery`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    portolan_fuzz::targets::discovery::run(bytes);
});
