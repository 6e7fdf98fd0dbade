//! Compiles the runner and leaves it where `launch/runner.rs` embeds it.
//!
//! The runner has no dependencies, so one call of the compiler is all it takes; it is built for the target, always
//! optimised, whatever profile the library has.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    let variable = |name: &str| std::env::var(name).expect("cargo sets it for build scripts");
    let source = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("runner/src/main.rs");
    let output = PathBuf::from(variable("OUT_DIR")).join("runner");
    let (host, target) = (variable("HOST"), variable("TARGET"));
    println!("cargo::rerun-if-changed=runner/src");
    println!("cargo::rerun-if-changed=build.rs");
    if variable("CARGO_CFG_TARGET_OS") != "linux" {
        // There is no launcher elsewhere; it says so when it is asked for.
        std::fs::write(&output, []).expect("OUT_DIR is writable");
        return;
    }
    let mut compiler = Command::new(variable("RUSTC"));
    compiler.args(["--edition=2024", "--crate-type=bin", "--crate-name=tilewright_runner"]);
    compiler.args(["-Copt-level=2", "-Cpanic=abort", "-Cstrip=symbols", "-o"]);
    compiler.arg(&output);
    if host != target {
        compiler.arg(format!("--target={target}"));
        let linker = format!("CARGO_TARGET_{}_LINKER", target.to_uppercase().replace('-', "_"));
        println!("cargo::rerun-if-env-changed={linker}");
        if let Some(linker) = std::env::var_os(linker).or_else(|| std::env::var_os("RUSTC_LINKER"))
        {
            let mut option = std::ffi::OsString::from("-Clinker=");
            option.push(linker);
            compiler.arg(option);
        }
    }
    let status = compiler.arg(&source).status().expect("the compiler that runs this runs again");
    assert!(status.success(), "the runner does not compile");
}
