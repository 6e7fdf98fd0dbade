//! Any bytes as the choices of a kernel file, its sizes, schedules and inputs: generated code agrees with the reference.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Err(fault) = tilewright_testing::fuzz::kernels(bytes) {
        panic!("{fault}");
    }
});
