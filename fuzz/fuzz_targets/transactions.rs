//! See `portolan_fuzz::targets::transactions`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    portolan_fuzz::targets::transactions::run(bytes);
});
