//! `build`: files for other programs, their names, and what it refuses.

use crate::user::User;

fn build<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [&["build", "product.tw", "--out", "out"], arguments].concat()
}

#[test]
fn four_files_are_written_and_listed() {
    let user = User::new();
    let json = user.json(&build(&["--also", "m=3", "--also", "larger", "--threads", "1"]));
    let symbols: Vec<_> =
        json["functions"].as_array().unwrap().iter().map(|one| &one["symbol"]).collect();
    assert_eq!(symbols, ["tw_product", "tw_product_m3", "tw_product_larger"]);
    assert_eq!(json["functions"][1]["sizes"]["m"], 3);
    assert_eq!(json["functions"][2]["sizes"]["n"], 31);
    for (file, name) in json["files"].as_array().unwrap().iter().zip([
        "out/product.h",
        "out/product.o",
        "out/libproduct.a",
        "out/libproduct.so",
    ]) {
        assert_eq!(file["path"], name);
        let bytes = std::fs::metadata(user.path().join(name)).unwrap().len();
        assert_eq!(file["bytes"], bytes);
    }
    let text = user.ok(&build(&["--name", "other", "--prefix", "my_", "--size", "m=1"]));
    assert!(text.contains("my_product") && text.contains("out/libother.so"), "{text}");
}

#[test]
fn the_same_arguments_give_the_same_bytes() {
    let user = User::new();
    let read = |folder: &str| {
        user.ok(&["build", "product.tw", "--out", folder, "--also", "larger"]);
        ["product.h", "product.o", "libproduct.a", "libproduct.so"]
            .map(|name| std::fs::read(user.path().join(folder).join(name)).unwrap())
    };
    assert!(read("one") == read("two"));
}

#[test]
fn names_that_c_does_not_take_are_refused() {
    let user = User::new();
    user.write("words.tw", "kernel double(x: f32[i]) -> f32[i] { x + x }\nsizes s { i=3 }\n");
    let words = ["build", "words.tw", "--out", "out", "--prefix", ""];
    user.fails(&words, 3, &["TW1001", "`double`", "--prefix"]);
    user.fails(&build(&["--prefix", "1a"]), 3, &["TW1001", "`1a`", "--prefix"]);
    user.fails(&build(&["--name", "a/b"]), 3, &["TW1001", "`a/b`", "--name"]);
    assert!(!user.path().join("out").exists());
}

#[test]
fn two_functions_of_one_name_are_refused() {
    let user = User::new();
    let twice = build(&["--also", "m=3", "--also", "m=3"]);
    user.fails(&twice, 3, &["TW1002", "tw_product_m3"]);
}

#[test]
fn mistakes_of_usage_list_what_there_is() {
    let user = User::new();
    user.fails(&build(&["--target", "sparc"]), 2, &["`sparc`", "x86_64, aarch64, riscv64"]);
    user.fails(&build(&["--isa", "avx3"]), 4, &["`avx3`", "avx512"]);
    user.fails(&build(&["--isa", "avx2", "--target", "riscv64"]), 4, &["avx2", "portable"]);
    user.fails(&build(&["--kernel", "other"]), 2, &["`other`", "product"]);
    user.fails(&build(&["--kernel", "product", "--kernel", "product"]), 2, &["twice"]);
    user.fails(&build(&["--also", "huge"]), 2, &["`huge`", "small, larger"]);
    user.fails(&build(&["--also", "q=3"]), 2, &["`q`", "m, k, n"]);
    user.fails(&build(&["--also", "m=3,m=4"]), 2, &["`m`", "twice"]);
    user.fails(&["build", "product.tw"], 2, &["--out"]);
    user.write("taken", "a file");
    user.fails(&["build", "product.tw", "--out", "taken/out"], 7, &["taken"]);
}

#[test]
fn the_stored_winner_is_built() {
    let user = User::new();
    user.write("one.schedule", "schedule product { choose threads = 1 choose out.unroll = 8 }");
    user.ok(&["tune", "product.tw", "--schedule", "one.schedule", "--seconds", "20"]);
    let json = user.json(&build(&[]));
    let schedule = &json["functions"][0]["schedule"];
    assert_eq!(schedule["origin"], "stored");
    assert!(schedule["text"].as_str().unwrap().contains("out.unroll = 8"), "{schedule}");
    let given = user.json(&build(&["--schedule", "one.schedule"]));
    assert_eq!(given["functions"][0]["schedule"]["origin"], "given");
    let written = user.json(&build(&["--form", "written", "--target", "aarch64"]));
    assert_eq!(written["functions"][0]["schedule"]["origin"], "default");
    user.fails(&build(&["--form", "f0"]), 2, &["f0", "written"]);
}

#[test]
fn all_kernels_of_a_file_are_built_or_those_that_are_named() {
    let user = User::new();
    user.write(
        "two.tw",
        "kernel one(x: f32[i]) -> f32[i] { x }\nkernel two(x: f32[i]) -> f32[i] { x + x }\n",
    );
    let symbols = |arguments: &[&str]| -> Vec<String> {
        let all = [&["build", "two.tw", "--out", "out", "--size", "i=3"], arguments].concat();
        let json = user.json(&all);
        let functions = json["functions"].as_array().unwrap();
        functions.iter().map(|one| one["symbol"].as_str().unwrap().to_string()).collect()
    };
    assert_eq!(symbols(&[]), ["tw_one", "tw_two"]);
    assert_eq!(symbols(&["--kernel", "two"]), ["tw_two"]);
    assert_eq!(symbols(&["--kernel", "two", "--kernel", "one"]), ["tw_two", "tw_one"]);
    assert_eq!(symbols(&["--kernel", "one", "--also", "i=9"]), ["tw_one", "tw_one_i9"]);
    user.write("none.tw", "fn f(x) { x }\n");
    user.fails(&["build", "none.tw", "--out", "out"], 2, &["none.tw"]);
}
