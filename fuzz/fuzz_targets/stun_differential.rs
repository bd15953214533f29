//! See `portolan_fuzz::targets::stun_differential`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    portolan_fuzz::targets::stun_differential::run(bytes);
});
