//! See `portolan_fuzz::targets::sdp_candidate`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    portolan_fuzz::targets::sdp_candidate::run(bytes);
});

libfuzzer_sys::fuzz_mutator!(|bytes: &mut [u8], size: usize, most: usize, seed: u32| {
    portolan_fuzz::mutate::line(bytes, size, most, seed, libfuzzer_sys::fuzzer_mutate)
});
