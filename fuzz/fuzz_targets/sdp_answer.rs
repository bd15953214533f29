//! See `portolan_fuzz::targets::sdp_answer`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    portolan_fuzz::targets::sdp_answer::run(bytes);
});

libfuzzer_sys::fuzz_mutator!(|bytes: &mut [u8], size: usize, most: usize, seed: u32| {
    portolan_fuzz::mutate::session(bytes, size, most, seed, libfuzzer_sys::fuzzer_mutate)
});
