//! Exported kernels, called from C: every catalogue kernel on every machine that code is made for.
//!
//! The driver (`driver.c`) calls each function with and without a workspace, with one to four threads, and wrongly in
//! every way that the interface forbids; what it computes is compared with the reference here. Code for other
//! architectures runs under qemu-user. A compiler or emulator that is missing fails: `.ci/run` installs them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod examples;
mod library;
mod odd;
mod random;

use library::Library;
use tilewright::Kernel;
use tilewright::cpu::wide::Isa;
use tilewright::export::{Arch, Machine};
use tilewright::ir::base::Sizes;

/// Schedules that are drawn to find one with several threads.
const DRAWS: u64 = 20;

fn catalogue() -> Vec<Kernel> {
    let files = tilewright::kernels::all();
    files.iter().flat_map(|file| Kernel::parse_all(file.source).unwrap()).collect()
}

/// All small size sets of a kernel.
fn small(kernel: &Kernel) -> impl Iterator<Item = &Sizes> {
    let sets = kernel.size_sets().iter().filter(|(name, _)| name.starts_with("small"));
    sets.map(|(_, sizes)| sizes)
}

/// The catalogue at its small sizes.
fn everything(machine: Machine) -> Library {
    let mut library = Library::new(machine);
    for kernel in catalogue() {
        let draws = [DRAWS].into_iter().chain(std::iter::repeat(0));
        small(&kernel).zip(draws).for_each(|(sizes, draws)| library.add(&kernel, sizes, draws));
    }
    assert!(library.spread() > 10, "{} functions of several threads", library.spread());
    library.write();
    library
}

fn machine(arch: Arch, wide: Option<Isa>) -> Machine {
    Machine { arch, wide }
}

#[test]
fn the_catalogue_is_right_from_static_and_shared_libraries() {
    let detected = Isa::ALL.into_iter().filter(|isa| isa.detected()).map(Some);
    for wide in detected.chain([None]) {
        let library = everything(machine(Arch::host().unwrap(), wide));
        library.compile("cc", "driver", &["libunder_test.a"]);
        library.run(&[], "driver", None);
        library.judge();
        library.compile("cc", "dynamic", &["-DSHARED"]);
        library.run(&[], "dynamic", Some("./libunder_test.so"));
        library.judge();
    }
}

#[test]
fn arrays_without_elements_are_no_fault() {
    let mut library = Library::new(machine(Arch::host().unwrap(), None));
    for kernel in catalogue() {
        let sizes = small(&kernel).next().unwrap();
        for axis in sizes.keys() {
            let mut empty = sizes.clone();
            empty.insert(axis.clone(), 0);
            // What `where` refuses says nothing here.
            if kernel.bind_sizes(&empty).is_ok() {
                library.add(&kernel, &empty, 0);
            }
        }
    }
    assert!(library.functions() > 40, "{}", library.functions());
    library.write();
    library.compile("cc", "driver", &["libunder_test.a"]);
    library.run(&[], "driver", None);
    library.judge();
}

#[test]
fn aarch64_is_right_under_qemu() {
    elsewhere(Arch::Aarch64);
}

#[test]
fn riscv64_is_right_under_qemu() {
    elsewhere(Arch::Riscv64);
}

/// The emulator of an architecture, none for the host's own.
fn emulator(arch: Arch) -> &'static [&'static str] {
    match arch {
        _ if Arch::host() == Some(arch) => &[],
        Arch::X86_64 => &["qemu-x86_64"],
        Arch::Aarch64 => &["qemu-aarch64"],
        Arch::Riscv64 => &["qemu-riscv64", "-cpu", "rv64,v=true,vext_spec=v1.0,vlen=128"],
    }
}

/// The C compiler for an architecture.
fn compiler(arch: Arch) -> String {
    if Arch::host() == Some(arch) {
        return "cc".to_string();
    }
    format!("{arch}-linux-gnu-gcc")
}

/// Runs and judges a library, statically linked.
fn run_on(library: &Library, arch: Arch) {
    library.compile(&compiler(arch), "driver", &["-static", "libunder_test.a", QUIET]);
    library.run(emulator(arch), "driver", None);
    library.judge();
}

fn elsewhere(arch: Arch) {
    let library = everything(machine(arch, None));
    run_on(&library, arch);
    library.compile(&compiler(arch), "dynamic", &["-DSHARED"]);
    let libraries = format!("/usr/{arch}-linux-gnu");
    let under = [emulator(arch), &["-L", &libraries]].concat();
    library.run(&under, "dynamic", Some("./libunder_test.so"));
    library.judge();
}

/// The linker warns of `dlopen` in a program that is linked statically.
const QUIET: &str = "-Wno-error";

/// Nehalem has x86-64-v2 and nothing beyond.
const OLD: [&str; 3] = ["qemu-x86_64", "-cpu", "Nehalem"];

#[test]
fn portable_code_runs_on_an_old_processor() {
    let library = everything(machine(Arch::X86_64, None));
    library.compile(&compiler(Arch::X86_64), "driver", &["-static", "libunder_test.a", QUIET]);
    library.run(&OLD, "driver", None);
    library.judge();
}

#[test]
fn a_processor_without_the_instructions_is_refused() {
    let kernel = &catalogue()[0];
    for isa in Isa::ALL {
        let mut library = Library::new(machine(Arch::X86_64, Some(isa)));
        small(kernel).for_each(|sizes| library.add(kernel, sizes, 0));
        library.write();
        let arguments = ["-static", "libunder_test.a", QUIET, "-DREFUSED_PROCESSOR"];
        library.compile(&compiler(Arch::X86_64), "driver", &arguments);
        library.run(&OLD, "driver", None);
    }
}
