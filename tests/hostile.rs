//! Texts that are meant to hurt, given to the program as a user would: it ends with diagnostics within two seconds of
//! processor time and 512 MiB of memory, which the system enforces.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const MILLION: usize = 1_000_000;
/// Nobody reads more than this.
const MESSAGE_BYTES_MAX: usize = 1 << 17;

/// Runs the program on a file that holds `text`, with limits on memory and time.
fn run(text: &[u8], arguments: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hostile.tw"), text).unwrap();
    limited(folder.path(), arguments)
}

fn limited(folder: &Path, arguments: &str) -> Output {
    let program = env!("CARGO_BIN_EXE_tilewright");
    Command::new("sh")
        .args(["-c", &format!("ulimit -v 524288; ulimit -t 2; exec {program} {arguments}")])
        .current_dir(folder)
        .env("TILEWRIGHT_STORE", folder.join("store.sqlite"))
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The text is refused with these codes among others, in few words. In JSON as in text.
#[track_caller]
fn refused(text: &[u8], codes: &[&str]) {
    for arguments in ["check hostile.tw", "check hostile.tw --json", "fmt --check hostile.tw"] {
        let output = run(text, arguments);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let brief: String = said.chars().take(2000).collect();
        assert_eq!(output.status.signal(), None, "{arguments}: {brief}");
        assert!(!said.contains("panicked"), "{arguments}: {brief}");
        assert!(said.len() <= MESSAGE_BYTES_MAX, "{arguments}: {} bytes: {brief}", said.len());
        if arguments.starts_with("check") {
            assert_eq!(output.status.code(), Some(3), "{arguments}: {brief}");
            for code in codes {
                assert!(said.contains(code), "{arguments} does not say {code}: {brief}");
            }
        }
    }
}

/// A kernel whose result is this expression.
fn kernel(name: &str, expression: &str) -> String {
    format!("kernel {name}(x: f32[i]) -> f32[i] {{\n  {expression}\n}}\n")
}

#[test]
fn a_megabyte_of_brackets() {
    for bracket in ["(", "[", "{", ")", "]", "}", "([{", "}{", "(-"] {
        let brackets = bracket.repeat(MILLION / bracket.len());
        refused(brackets.as_bytes(), &["TW01"]);
        refused(kernel("f", &format!("x{brackets}")).as_bytes(), &["TW01"]);
        refused(kernel("f", &brackets).as_bytes(), &["TW01"]);
    }
}

#[test]
fn a_million_nested_calls() {
    refused(kernel("f", &"exp(".repeat(MILLION)).as_bytes(), &["TW0104"]);
    let closed = format!("{}x{}", "exp(".repeat(MILLION), ")".repeat(MILLION));
    refused(kernel("f", &closed).as_bytes(), &["TW0104"]);
    refused(kernel("f", &"sum[i](".repeat(MILLION)).as_bytes(), &["TW0104"]);
    refused(kernel("f", &"x[".repeat(MILLION)).as_bytes(), &["TW0104"]);
    refused(kernel("f", &"where(x < 1, ".repeat(MILLION)).as_bytes(), &["TW0104"]);
}

#[test]
fn bytes_that_are_no_text() {
    refused(&[0xff; 1 << 20], &["TW0107"]);
    refused(b"kernel f(x: f32[i]) -> f32[i] { x \xc3\x28 }\n", &["TW0107"]);
    let mut late = "# a comment\n".repeat(MILLION / 12).into_bytes();
    late.push(0x80);
    refused(&late, &["TW0107"]);
    refused(&[0; 1 << 20], &["TW0101"]);
    refused("\u{202e}\u{200b}\u{feff}".repeat(100_000).as_bytes(), &["TW0101"]);
    refused("\r".repeat(MILLION).as_bytes(), &["TW0101", "TW0108"]);
}

#[test]
fn extents_whose_product_overflows() {
    let text = "kernel f(x: f32[i,j,k,l]) -> f32[i,j,k,l] { x }\n\
                sizes a { i=2000000000, j=2000000000, k=2000000000, l=2000000000 }\n\
                sizes b { i=18446744073709551615, j=1, k=1, l=1 }\n\
                sizes c { i=18446744073709551616, j=1, k=1, l=1 }\n";
    refused(text.as_bytes(), &["TW0303", "TW0304", "TW0103"]);
    let text = "kernel f(x: f32[i,j,k,l]) -> f32[i,j,k,l] { x }\n";
    for sizes in
        ["i=2000000000,j=2000000000,k=2000000000,l=2000000000", "i=99999999999,j=1,k=1,l=0"]
    {
        for command in ["run", "explain", "space", "best"] {
            let output = run(text.as_bytes(), &format!("{command} hostile.tw --size {sizes}"));
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{command} {sizes}: {said}");
            assert!(said.contains("TW030"), "{command} {sizes}: {said}");
        }
    }
}

#[test]
fn functions_that_call_themselves() {
    let direct = format!("fn g(x) {{ g(x) }}\n{}", kernel("f", "g(x)"));
    refused(direct.as_bytes(), &["TW0209"]);
    let ring: String =
        (0..10_000).map(|n| format!("fn g{n}(x) {{ g{}(x) }}\n", (n + 1) % 10_000)).collect();
    refused(format!("{ring}{}", kernel("f", "g0(x)")).as_bytes(), &["TW0214"]);
    let uncalled = "fn g(x) { g(g(x)) + g(x) }\n".to_string() + &kernel("f", "x + y");
    refused(uncalled.as_bytes(), &["TW0201"]);
}

#[test]
fn functions_that_inline_to_exponential_size() {
    let doubling: String =
        (1..64).map(|n| format!("fn g{n}(x) {{ g{0}(x) + g{0}(x) }}\n", n - 1)).collect();
    let functions = format!("fn g0(x) {{ x + 1 }}\n{doubling}");
    let once = kernel("f", "g31(x)");
    refused(format!("{functions}{once}").as_bytes(), &["TW0214"]);
    let many: String = (0..10_000).map(|n| kernel(&format!("f{n}"), "g31(x)")).collect();
    refused(format!("{functions}{many}").as_bytes(), &["TW0214"]);
    let wide: String = (1..40)
        .map(|n| format!("fn h{n}(x) {{ {} }}\n", vec![format!("h{}(x)", n - 1); 200].join(" + ")))
        .collect();
    let text = format!("fn h0(x) {{ x }}\n{wide}{}", kernel("f", "h30(x)"));
    refused(text.as_bytes(), &["TW0214"]);
}

#[test]
fn a_hundred_thousand_axes() {
    let axes: Vec<_> = (0..100_000).map(|n| format!("a{n}")).collect();
    let axes = axes.join(",");
    let text = format!("kernel f(x: f32[{axes}]) -> f32[{axes}] {{ x }}\n");
    refused(text.as_bytes(), &["TW0213"]);
    let text = format!("kernel f(x: f32[i]) -> f32 {{ sum[{axes}](x) }}\n");
    refused(text.as_bytes(), &["TW0201"]);
    let function = format!("fn g[{axes}](x) {{ x }}\n{}", kernel("f", "g[i](x)"));
    refused(function.as_bytes(), &["TW0203"]);
    let inputs: Vec<_> = (0..100_000).map(|n| format!("x{n}: f32[i]")).collect();
    let text = format!("kernel f({}) -> f32[i] {{ x0 + y }}\n", inputs.join(", "));
    refused(text.as_bytes(), &["TW0201"]);
}

#[test]
fn a_hundred_thousand_size_sets() {
    let sets: String = (0..100_000).map(|n| format!("sizes s{n} {{ i={n} }}\n")).collect();
    let output = run((kernel("f", "x") + &sets).as_bytes(), "fmt hostile.tw");
    assert_eq!(output.status.code(), Some(0));
    refused((kernel("f", "x") + &sets + "sizes s7 { i=7 }\n").as_bytes(), &["TW0307"]);
    refused((kernel("f", "x + y") + &sets).as_bytes(), &["TW0201"]);
    let kernels: String = (0..30_000).map(|n| kernel(&format!("k{n}"), "x")).collect();
    refused((kernels + "sizes a for kk { i=1 }\n").as_bytes(), &["TW0306"]);
}

#[test]
fn an_identifier_of_ten_megabytes() {
    let name = "n".repeat(10 * MILLION);
    refused(name.as_bytes(), &["TW0102"]);
    refused(kernel("f", &name).as_bytes(), &["TW0201"]);
    refused(kernel("f", &format!("{name}(x)")).as_bytes(), &["TW0201"]);
    refused(kernel("f", &format!("x : {name}")).as_bytes(), &["TW0204"]);
    refused(kernel("f", &format!("sum[{name}](x)")).as_bytes(), &["TW0201"]);
    refused(kernel("f", &format!("{name} = x")).as_bytes(), &["TW0106"]);
    refused(kernel("f", &format!("x * 1{}", "0".repeat(10 * MILLION))).as_bytes(), &["TW0103"]);
    refused(kernel(&name, "y").as_bytes(), &["TW0201"]);
    refused(format!("@{name}\n{}", kernel("f", "x")).as_bytes(), &["TW0215"]);
    refused(format!("kernel f(x: f32[{name},{name}]) -> f32 {{ 1 }}\n").as_bytes(), &["TW0212"]);
    refused(format!("{}sizes {name} {{ {name}=1 }}\n", kernel("f", "x")).as_bytes(), &["TW0302"]);
}

#[test]
fn a_hundred_thousand_lines_of_faults() {
    let lines: String = (0..100_000).map(|n| format!("  a{n} = b{n} ** 2\n")).collect();
    refused(kernel("f", &lines).as_bytes(), &["TW0101", "TW0108"]);
    let lines: String = (0..100_000).map(|n| format!("  a{n} = b{n} + c{n}\n")).collect();
    refused(kernel("f", &lines).as_bytes(), &["TW0201", "TW0108"]);
    let lines = "kernel\n".repeat(100_000);
    refused(lines.as_bytes(), &["TW0102", "99900 more faults are not shown"]);
    refused("2x 3y\n".repeat(100_000).as_bytes(), &["TW0103", "TW0108"]);
    let kernels: String = (0..33_000).map(|n| kernel(&format!("k{n}"), "x + y")).collect();
    refused(kernels.as_bytes(), &["TW0201", "32900 more faults are not shown"]);
}
