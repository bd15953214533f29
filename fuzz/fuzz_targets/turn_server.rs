//! See `portolan_fuzz::targets::turn_server`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    portolan_fuzz::targets::turn_server::run(bytes);
});
