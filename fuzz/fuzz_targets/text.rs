//! Any bytes as a kernel file: parse, check and print never panic, and what is printed means the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Err(fault) = tilewright_testing::fuzz::text(bytes) {
        panic!("{fault}");
    }
});
