//! See `portolan_fuzz::targets::sdp_people`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    portolan_fuzz::targets::sdp_people::run(bytes);
});

libfuzzer_sys::fuzz_mutator!(|bytes: &mut [u8], size: usize, most: usize, seed: u32| {
    portolan_fuzz::mutate::session_after(
        portolan_fuzz::targets::sdp_people::HEAD,
        bytes,
        size,
        most,
        seed,
        libfuzzer_sys::fuzzer_mutate,
    )
});
