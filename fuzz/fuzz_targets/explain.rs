//! See `portolan_fuzz::targets::explain`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    portolan_fuzz::targets::explain::run(bytes);
});
