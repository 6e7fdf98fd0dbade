//! Input files of `run`: their shapes give sizes, and what does not fit is said with a way out.

use crate::user::User;
use ndarray::{Array1, Array2};

fn write(user: &User, name: &str, rows: usize, columns: usize) {
    let ones = Array2::<f32>::ones((rows, columns));
    ndarray_npy::write_npy(user.path().join(name), &ones).unwrap();
}

#[test]
fn shapes_of_files_give_the_sizes() {
    let user = User::new();
    write(&user, "a.npy", 3, 4);
    write(&user, "b.npy", 4, 2);
    let run = ["run", "product.tw", "--input", "A=a.npy"];
    let json = user.json(&[&run[..], &["--input", "B=b.npy"]].concat());
    assert_eq!(json["sizes"], serde_json::json!({"m": 3, "k": 4, "n": 2}));
    assert_eq!(json["outputs"][0]["max"], 4.0);
    // What no file says comes from the size set, or from `--size`.
    assert_eq!(user.json(&run)["sizes"]["n"], 9);
    assert_eq!(user.json(&[&run[..], &["--size", "n=1,m=3"]].concat())["sizes"]["n"], 1);
    user.write("bare.tw", "kernel bare(x: f32[i,j]) -> f32[i] { sum[j](x) }\n");
    assert_eq!(user.json(&["run", "bare.tw", "--input", "x=a.npy"])["sizes"]["j"], 4);
    user.write("split.tw", "kernel s(x: f32[i,k]) -> f32[i] where k = o*2 + p { sum[k](x) }\n");
    assert_eq!(user.json(&["run", "split.tw", "--input", "x=a.npy"])["sizes"]["k"], 4);
}

#[test]
fn shapes_that_contradict_are_refused() {
    let user = User::new();
    write(&user, "a.npy", 3, 4);
    write(&user, "b.npy", 5, 2);
    let run = ["run", "product.tw", "--input", "A=a.npy"];
    let with = |more: &[&'static str]| [&run[..], more].concat();
    user.fails(&with(&["--size", "m=7"]), 2, &["a.npy has m=3", "`--size` says m=7"]);
    user.fails(&with(&["--set", "small"]), 2, &["a.npy has m=3", "`--set` says m=5"]);
    user.fails(&with(&["--input", "B=b.npy"]), 2, &["b.npy has k=5", "a.npy says k=4"]);
    user.fails(&with(&["--input", "A=b.npy"]), 2, &["`A` twice"]);
}

#[test]
fn another_type_is_told_how_to_become_the_right_one() {
    let user = User::new();
    let doubles = Array1::<f64>::ones(3);
    ndarray_npy::write_npy(user.path().join("x.npy"), &doubles).unwrap();
    for (dtype, wanted) in [("f32", "float32"), ("bf16", "bfloat16"), ("i8", "int8")] {
        user.write("k.tw", &format!("kernel k(x: {dtype}[i]) -> {dtype}[i] {{ x }}\n"));
        let help = format!("x.astype(\"{wanted}\")");
        user.fails(&["run", "k.tw", "--input", "x=x.npy"], 2, &["float64", &help]);
    }
}

#[test]
fn a_schedule_of_another_kernel_is_one_short_fault() {
    let user = User::new();
    user.write("scale.tw", "kernel scale(x: f32[i]) -> f32[i] { x * 2.0 }\nsizes s { i=8 }\n");
    let schedule = user.ok(&["space", "scale.tw", "--sample", "1"]);
    user.write("scale.schedule", &schedule);
    let arguments = ["run", "product.tw", "--schedule", "scale.schedule"];
    user.fails(&arguments, 3, &["TW0401", "found scale"]);
    let said = crate::user::stderr(&user.run(&arguments));
    assert_eq!(said.matches("error[").count(), 1, "{said}");
}
