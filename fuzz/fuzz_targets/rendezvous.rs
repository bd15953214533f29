//! See `portolan_fuzz::targets::rendezvous`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    portolan_fuzz::targets::rendezvous::run(bytes);
});
