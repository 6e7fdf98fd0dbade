//! Random kernels as exported code on every architecture: the way by which the 128-bit path is tested where nobody sits.
//!
//! The seeds are fixed; `TILEWRIGHT_SEED` is the first and `TILEWRIGHT_KERNELS` how many files are drawn. A wrong result
//! names the function, whose number is in the file that is printed with its seed.

use super::{DRAWS, QUIET, compiler, emulator, machine};
use crate::library::Library;
use std::ops::Range;
use tilewright::Kernel;
use tilewright::export::Arch;
use tilewright_testing::draw;

const FILES: u64 = 60;

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is a number, found {text}")),
        Err(_) => default,
    }
}

/// The seeds of the files.
fn seeds() -> Range<u64> {
    let first = number("TILEWRIGHT_SEED", 1);
    first..first + number("TILEWRIGHT_KERNELS", FILES)
}

/// A library of random kernels, and their texts.
fn random(arch: Arch, seeds: Range<u64>) -> (Library, String) {
    let files = seeds.end - seeds.start;
    let (mut library, mut texts) = (Library::new(machine(arch, None)), String::new());
    for seed in seeds {
        let text = draw::file(seed);
        let head = format!("# from function {}: TILEWRIGHT_SEED={seed}\n", library.functions());
        texts.push_str(&(head + &text));
        for kernel in Kernel::parse_all(&text).unwrap() {
            for (_, sizes) in kernel.size_sets() {
                library.add(&kernel, sizes, DRAWS);
            }
        }
    }
    assert!(library.functions() as u64 >= files, "{} functions", library.functions());
    library.write();
    (library, texts)
}

/// Runs and judges random kernels: in one library, or in two smaller ones where the emulator stumbles over its layout.
fn judge(arch: Arch, seeds: Range<u64>, show: fn(&str)) {
    let (library, texts) = random(arch, seeds.clone());
    show(&texts);
    library.compile(&compiler(arch), "driver", &["-static", "libunder_test.a", QUIET]);
    if library.runs(emulator(arch), "driver", None) {
        return library.judge();
    }
    let middle = u64::midpoint(seeds.start, seeds.end);
    assert!(middle > seeds.start, "the emulator stumbles over the file of seed {middle}");
    judge(arch, seeds.start..middle, show);
    judge(arch, middle..seeds.end, show);
}

#[test]
fn random_kernels_are_right_on_x86_64() {
    judge(Arch::X86_64, seeds(), |texts| println!("{texts}"));
}

#[test]
fn random_kernels_are_right_on_aarch64() {
    judge(Arch::Aarch64, seeds(), |texts| println!("{texts}"));
}

#[test]
fn random_kernels_are_right_on_riscv64() {
    judge(Arch::Riscv64, seeds(), |texts| println!("{texts}"));
}
