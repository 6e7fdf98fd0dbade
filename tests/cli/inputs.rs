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

/// Puts a file in the place of `x: f32[2,3]` and looks for what the program says of it.
#[track_caller]
fn refused(user: &User, file: &str, bytes: &[u8], words: &[&str]) {
    user.write("k.tw", "kernel k(x: f32[i,j]) -> f32[i] { sum[j](x) }\nsizes s { i=2, j=3 }\n");
    std::fs::write(user.path().join(file), bytes).unwrap();
    let words = [words, &[file, "input `x` is f32 of shape [i=2, j=3]"]].concat();
    user.fails(&["run", "k.tw", "--input", &format!("x={file}")], 2, &words);
}

/// A file with a header of this type and shape.
fn headed(descr: &str, shape: &str, data: usize) -> Vec<u8> {
    let header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), &vec![0; data]].concat()
}

#[test]
fn a_file_that_holds_no_array_is_told_how_to_hold_one() {
    let user = User::new();
    let whole = headed("'<f4'", "(2, 3)", 24);
    let (header, full) = (whole.len() - 24, whole.len());
    let text: &[u8] = b"1 2 3\n4 5 6\n";
    refused(&user, "t.txt", text, &["t.txt is no .npy file", "numpy.save(\"t.npy\", x)"]);
    refused(&user, "x.npy", b"", &["is no .npy file"]);
    refused(&user, "x.npz", b"PK\x03\x04", &["a .npz or other zip", "numpy.save(\"x.npy\""]);
    refused(&user, "x.npy", &whole[..40], &["a broken .npy header", "numpy.save"]);
    let other = [&whole[..6], &[9], &whole[7..]].concat();
    refused(&user, "x.npy", &other, &["a broken .npy header"]);
    let says = format!("its header says {full}");
    for (length, has) in [(full - 4, full - 4), (header, header)] {
        let has = format!("ends too early: it has {has} bytes");
        refused(&user, "x.npy", &whole[..length], &[&has, &says, "numpy.save"]);
    }
    let longer = [&whole[..], &[0; 4]].concat();
    refused(&user, "x.npy", &longer, &[&format!("longer than the {full} bytes"), "numpy.save"]);
}

#[test]
fn an_array_of_another_type_or_shape_is_told_how_to_fit() {
    let user = User::new();
    let types = [
        ("'<f8'", "holds float64"),
        ("'<i8'", "holds int64"),
        ("'<c8'", "holds complex64"),
        ("'<U1'", "holds texts (`<U1`)"),
        ("'|O'", "holds Python objects"),
        ("'<M8[s]'", "holds times (`<M8[s]`)"),
        ("'|V4'", "holds elements of type `|V4`"),
    ];
    for (descr, found) in types {
        let file = headed(descr, "(2, 3)", 48);
        refused(&user, "x.npy", &file, &[found, "save `x.astype(\"float32\")`"]);
    }
    let records = headed("[('a', '<f4'), ('b', '<i4')]", "(2, 3)", 48);
    refused(&user, "x.npy", &records, &["holds records", "save one field of them, as float32"]);
    for (shape, found) in [("(6,)", "[6]"), ("(1, 2, 3)", "[1, 2, 3]"), ("(6, 1, 1)", "[6, 1, 1]")]
    {
        let file = headed("'<f4'", shape, 24);
        let found = format!("has shape {found}");
        refused(&user, "x.npy", &file, &[&found, "save `x.reshape(2, 3)`"]);
    }
    refused(&user, "x.npy", &headed("'<f4'", "()", 4), &["has shape []", "`--size`"]);
    // The shape gives the sizes, and so must agree with the text.
    user.write("three.tw", "kernel k(w: f32[h]) -> f32 where h == 3 { sum[h](w) }\n");
    std::fs::write(user.path().join("w.npy"), headed("'<f4'", "(4,)", 16)).unwrap();
    let run = ["run", "three.tw", "--input", "w=w.npy"];
    user.fails(&run, 2, &["found h=4 from w.npy", "expected h == 3"]);
    user.write("one.tw", "kernel k(s: f32, x: i4[i]) -> f32[i] { (x : f32) * s }\n");
    let run = ["run", "one.tw", "--size", "i=2", "--input"];
    let with = |input: &'static str| [&run[..], &[input]].concat();
    user.fails(&with("s=w.npy"), 2, &["w.npy has shape [4]", "shape []", "`--input s=1.5`"]);
    user.fails(&with("s=abc"), 7, &["abc", "neither a number nor a file"]);
    ndarray_npy::write_npy(user.path().join("i.npy"), &Array1::from_vec(vec![1_i8, 9])).unwrap();
    user.fails(&with("x=i.npy"), 2, &["i.npy", "9 is no i4", "`clip(-8, 7)`"]);
}

#[test]
fn arrays_in_either_order_and_byte_order_are_read() {
    let user = User::new();
    user.write("k.tw", "kernel k(x: f32[i,j]) -> (y: f32[i,j]) { x * (j + 1) }\n");
    let numbers = Array2::from_shape_fn((2, 3), |(i, j)| (i * 3 + j) as f32);
    let scaled = Array2::from_shape_fn((2, 3), |(i, j)| ((i * 3 + j) * (j + 1)) as f32);
    let columns = numbers.t().as_standard_layout().into_owned().reversed_axes();
    ndarray_npy::write_npy(user.path().join("columns.npy"), &columns).unwrap();
    let header = std::fs::read(user.path().join("columns.npy")).unwrap();
    assert!(String::from_utf8_lossy(&header).contains("'fortran_order': True"));
    let mut swapped = headed("'>f4'", "(2, 3)", 0);
    swapped.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    std::fs::write(user.path().join("swapped.npy"), swapped).unwrap();
    for file in ["x=columns.npy", "x=swapped.npy"] {
        user.ok(&["run", "k.tw", "--input", file, "--output-dir", "."]);
        let y: Array2<f32> = ndarray_npy::read_npy(user.path().join("y.npy")).unwrap();
        assert_eq!(y, scaled, "{file}");
    }
}

#[test]
fn sizes_that_follow_from_others_are_shown() {
    let user = User::new();
    user.write(
        "window.tw",
        "kernel window(x: f32[i], w: f32[kw]) -> f32[o] where i == o + kw - 1 {\n  sum[kw](x[o + kw] * w)\n}\n\
         sizes small { o=2, kw=3 }\n",
    );
    let output = user.run(&["run", "window.tw", "--size", "o=17"]);
    assert!(crate::user::stderr(&output).contains("window at i=19, kw=3, o=17"));
    let sizes = user.json(&["run", "window.tw", "--size", "o=17"])["sizes"].clone();
    assert_eq!(sizes, serde_json::json!({"i": 19, "kw": 3, "o": 17}));
}

#[test]
fn an_output_without_elements_has_no_summary() {
    let user = User::new();
    let text = user.ok(&["run", "product.tw", "--size", "m=0"]);
    let row: Vec<_> = text.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..7], ["out", "f32", "[0,", "9]", "-", "-", "-"], "{text}");
    assert!(user.json(&["run", "product.tw", "--size", "m=0"])["outputs"][0]["min"].is_null());
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
