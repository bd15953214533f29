//! See `portolan_fuzz::targets::responder`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    portolan_fuzz::targets::responder::run(bytes);
});
