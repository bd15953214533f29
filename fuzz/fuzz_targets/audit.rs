//! See `portolan_fuzz::targets::audit`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    portolan_fuzz::targets::audit::run(bytes);
});
