//! See `portolan_fuzz::targets::stun_decode`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    portolan_fuzz::targets::stun_decode::run(bytes);
});
