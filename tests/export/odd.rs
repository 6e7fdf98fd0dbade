//! Kernels whose signatures meet every corner of the interface, and their headers under strict compilers.
//!
//! Invariant: the file has every element type, strides of every sign, and names that C has in other use.

use super::{DRAWS, machine};
use crate::library::Library;
use std::path::Path;
use std::process::Command;
use tilewright::Kernel;
use tilewright::cpu::wide::Isa;
use tilewright::export::{Arch, Machine};
use tilewright::ir::DType;

const SOURCE: &str = include_str!("odd.tw");

fn library(machine: Machine) -> Library {
    of_kernels(machine, &Kernel::parse_all(SOURCE).unwrap())
}

/// Every kernel at all its sizes.
fn of_kernels(machine: Machine, kernels: &[Kernel]) -> Library {
    let mut library = Library::new(machine);
    for kernel in kernels {
        for (_, sizes) in kernel.size_sets() {
            library.add(kernel, sizes, DRAWS);
        }
    }
    library.write();
    library
}

/// The kernels of `tests/files/run`, which have every construct of the language.
fn language() -> Vec<Kernel> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files/run");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.collect();
    files.sort();
    let texts = files.iter().map(|file| std::fs::read_to_string(file).unwrap());
    texts.flat_map(|text| Kernel::parse_all(&text).unwrap()).collect()
}

#[test]
fn every_construct_is_right_on_all_architectures() {
    let kernels = language();
    for arch in Arch::ALL {
        let library = of_kernels(machine(arch, None), &kernels);
        super::run_on(&library, arch);
    }
}

#[test]
fn every_element_type_is_there() {
    let kernels = Kernel::parse_all(SOURCE).unwrap();
    for dtype in DType::all() {
        let has = |kernel: &Kernel| {
            let graph = kernel.graph();
            let outputs = graph.outputs.iter().map(|output| output.tensor.dtype);
            graph.inputs.iter().map(|input| input.dtype).chain(outputs).any(|one| one == dtype)
        };
        assert!(kernels.iter().any(has), "{dtype}");
    }
}

#[test]
fn odd_signatures_are_right() {
    for wide in Isa::ALL.into_iter().filter(|isa| isa.detected()).map(Some).chain([None]) {
        let library = library(machine(Arch::host().unwrap(), wide));
        library.compile("cc", "driver", &["under_test.o"]);
        library.run(&[], "driver", None);
        library.judge();
    }
}

#[test]
fn headers_are_c99_and_cpp11() {
    let library = library(machine(Arch::Riscv64, None));
    let header = std::fs::read_to_string(library.path("under_test.h")).unwrap();
    std::fs::write(
        library.path("other.h"),
        header.replace("UNDER_TEST_H", "OTHER_H").replace("tw_", "ow_"),
    )
    .unwrap();
    let text = "#include \"under_test.h\"\n#include \"other.h\"\n#include \"under_test.h\"\nint main(void) { return TILEWRIGHT_OK; }\n";
    for (compiler, standard, name) in
        [("cc", "-std=c99", "one.c"), ("c++", "-std=c++11", "one.cpp")]
    {
        std::fs::write(library.path(name), text).unwrap();
        let arguments =
            [standard, "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", name];
        let folder = library.path("");
        let output = Command::new(compiler).args(arguments).current_dir(folder).output();
        let output = output.unwrap_or_else(|error| panic!("{compiler} is needed here: {error}"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
