//! See `portolan_fuzz::targets::ice_pair`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    portolan_fuzz::targets::ice_pair::run(bytes);
});
