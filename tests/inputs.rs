//! Inputs as the program's user gives them: numbers for scalars, files in either order, sizes of split axes, strides.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use ndarray::{Array1, Array2, ShapeBuilder, arr0};
use ndarray_npy::write_npy;
use std::path::Path;
use std::process::Command;

const KERNELS: &str = "\
kernel shifted(x: f32[m,k], by: f32, n: i32) -> y: f32[m,k] { x + by * n }
sizes small { m=2, k=3 }

kernel grouped(x: f32[k], s: f32[kg]) -> y: f32[k]
  where k = kg*4 + ki, kg in 1..8
{
  x * s
}
sizes whole { k=8 }

kernel repeated(x: f32[i,j] strides(0, -2), y: f32[i,j] strides(1, len(i) + 3)) -> z: f32[i] { sum[j](x * y) }
sizes small { i=70, j=130 }
";

/// Runs the program in a folder: exit code, stdout and stderr together.
fn program(folder: &Path, arguments: &str) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tilewright"))
        .args(arguments.split(' '))
        .current_dir(folder)
        .env("TILEWRIGHT_STORE", folder.join("store.sqlite"))
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

#[track_caller]
fn refused(folder: &Path, arguments: &str, words: &[&str]) {
    let (code, text) = program(folder, arguments);
    assert_eq!(code, 2, "{arguments}: {text}");
    assert!(words.iter().all(|word| text.contains(word)), "{arguments}: {text}");
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("k.tw"), KERNELS).unwrap();
    folder
}

#[test]
fn scalars_are_numbers_or_files_without_axes() {
    let folder = folder();
    let path = folder.path();
    let x = Array2::from_shape_fn((2, 3), |(i, j)| (i * 3 + j) as f32);
    write_npy(path.join("x.npy"), &x).unwrap();
    let mut columns = Array2::<f32>::zeros((2, 3).f());
    columns.assign(&x);
    write_npy(path.join("columns.npy"), &columns).unwrap();
    assert!(std::fs::read(path.join("columns.npy")).unwrap().starts_with(b"\x93NUMPY"));
    write_npy(path.join("by.npy"), &arr0(0.5_f32)).unwrap();
    let run = "run k.tw --kernel shifted --verify --output-dir .";
    for inputs in ["x=x.npy --input by=by.npy", "x=columns.npy --input by=5e-1"] {
        let (code, text) = program(path, &format!("{run} --input n=-4 --input {inputs}"));
        assert_eq!(code, 0, "{text}");
        let y: Array2<f32> = ndarray_npy::read_npy(path.join("y.npy")).unwrap();
        assert_eq!(y, &x - 2.0, "{inputs}");
    }
    refused(path, &format!("{run} --input n=1.5"), &["`n` is i32", "1.5"]);
    refused(path, &format!("{run} --input by=1e39"), &["`by` is f32", "does not hold"]);
    refused(path, &format!("{run} --input by=1 --input by=2"), &["`by` twice"]);
}

#[test]
fn a_split_axis_is_sized_in_any_of_its_names() {
    let folder = folder();
    let path = folder.path();
    write_npy(path.join("x.npy"), &Array1::<f32>::ones(12)).unwrap();
    let run = "run k.tw --kernel grouped --verify";
    for (size, shape) in [("k=16", "[16]"), ("kg=3", "[12]"), ("kg=3 --input x=x.npy", "[12]")] {
        let (code, text) = program(path, &format!("{run} --size {size}"));
        assert!(code == 0 && text.contains(shape), "{text}");
    }
    refused(path, &format!("{run} --size k=10"), &["TW0308", "multiple of 4"]);
    refused(path, &format!("{run} --size ki=5"), &["TW0308", "ki=4"]);
    refused(path, &format!("{run} --size k=8 --size kg=3"), &["TW0308", "k=12"]);
    refused(path, &format!("{run} --size k=64"), &["TW0305", "kg <= 8"]);
    refused(path, &format!("{run} --size k=8 --input x=x.npy"), &["x.npy has k=12", "says k=8"]);
}

#[test]
fn strided_inputs_run_and_are_tuned() {
    let folder = folder();
    let path = folder.path();
    let (code, text) = program(path, "run k.tw --kernel repeated --verify");
    assert_eq!(code, 0, "{text}");
    let tune = "tune k.tw --kernel repeated --evaluations 6 --seed 1 --fix threads=1";
    let (code, text) = program(path, tune);
    assert_eq!(code, 0, "{text}");
    let (code, text) = program(path, "run k.tw --kernel repeated --verify");
    assert!(code == 0 && text.contains("stored winner"), "{text}");
    let (code, text) = program(path, "explain k.tw --kernel repeated --verify-stages");
    assert!(code == 0, "{text}");
    let (code, text) = program(path, "explain k.tw --kernel repeated --stage plan");
    assert!(code == 0 && text.contains("x: f32[i, j] strides(0, -2)"), "{text}");
    write_npy(path.join("x.npy"), &Array2::from_shape_fn((70, 130), |(i, _)| i as f32)).unwrap();
    let run = "run k.tw --kernel repeated --input x=x.npy";
    refused(path, run, &["`x`", "[0, -2]", "x.npy has different ones there"]);
}
