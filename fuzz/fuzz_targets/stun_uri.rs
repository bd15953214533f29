//! See `portolan_fuzz::targets::stun_uri`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    portolan_fuzz::targets::stun_uri::run(bytes);
});
