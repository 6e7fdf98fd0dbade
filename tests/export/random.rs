//! Random kernels as exported code on every architecture: the way by which the 128-bit path is tested where nobody sits.
//!
//! The seeds are fixed; `TILEWRIGHT_SEED` is the first and `TILEWRIGHT_KERNELS` how many files are drawn. A wrong result
//! names the function, whose number is in the file that is printed with its seed.

use super::{DRAWS, machine, run_on};
use crate::library::Library;
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

/// A library of random kernels, and their texts.
fn random(arch: Arch) -> (Library, String) {
    let (first, files) = (number("TILEWRIGHT_SEED", 1), number("TILEWRIGHT_KERNELS", FILES));
    let (mut library, mut texts) = (Library::new(machine(arch, None)), String::new());
    for seed in first..first + files {
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

#[test]
fn random_kernels_are_right_on_x86_64() {
    let (library, texts) = random(Arch::X86_64);
    println!("{texts}");
    run_on(&library, Arch::X86_64);
}

#[test]
fn random_kernels_are_right_on_aarch64() {
    let (library, texts) = random(Arch::Aarch64);
    println!("{texts}");
    run_on(&library, Arch::Aarch64);
}

#[test]
fn random_kernels_are_right_on_riscv64() {
    let (library, texts) = random(Arch::Riscv64);
    println!("{texts}");
    run_on(&library, Arch::Riscv64);
}
