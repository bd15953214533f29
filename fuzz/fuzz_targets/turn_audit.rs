//! See `portolan_fuzz::targets::turn_audit`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    portolan_fuzz::targets::turn_audit::run(bytes);
});
