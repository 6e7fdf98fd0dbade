//! Texts that are meant to hurt: the front end ends, within a thread's usual stack, with diagnostics.

use tilewright_ir::check::{check, check_bytes};
use tilewright_ir::{diag, syntax};

const MANY: usize = 1_000_000;

/// The codes of the faults, which are few and can be shown.
fn codes(source: &str) -> Vec<&'static str> {
    let faults = check(source).expect_err("a text with faults");
    assert!(faults.len() <= diag::SHOWN_MAX + 1);
    let text = diag::to_text("hostile", source, &faults);
    assert!(text.len() < 1 << 20, "{} bytes of messages", text.len());
    faults.iter().map(|fault| fault.code).collect()
}

fn body(expression: &str) -> String {
    format!("kernel f(x: f32[i]) -> f32[i] {{\n  {expression}\n}}\n")
}

#[test]
fn a_million_brackets_are_too_deep_or_unclosed() {
    for bracket in ["(", "x[", "exp(", "-", "!", "sum[i](", "(-", "x + (", "x * -"] {
        assert_eq!(codes(&body(&bracket.repeat(MANY)))[0], "TW0104", "{bracket}");
    }
    for bracket in ["(", ")", "[", "{", "}", "}{", "fn f(", "@", "kernel f(", "{(["] {
        let text = bracket.repeat(MANY / bracket.len());
        assert!(!codes(&text).is_empty(), "{bracket}");
        assert!(!codes(&body(&format!("x{text}"))).is_empty(), "{bracket}");
    }
}

#[test]
fn long_chains_are_too_long() {
    assert_eq!(codes(&body(&format!("x{}", " + x".repeat(MANY)))), ["TW0104"]);
    assert_eq!(codes(&body(&format!("x{}", " : f32".repeat(MANY)))), ["TW0104"]);
}

#[test]
fn long_lists_and_long_lines_are_read() {
    assert_eq!(codes(&body(&format!("min({}x)", "x, ".repeat(MANY)))), ["TW0203"]);
    assert_eq!(codes(&"x".repeat(MANY)), ["TW0102"]);
    assert_eq!(codes(&"9".repeat(MANY)), ["TW0102"]);
    assert!(check(&"#".repeat(MANY)).is_ok());
    assert!(check(&"\n".repeat(MANY)).is_ok());
}

#[test]
fn a_chain_of_weak_values_does_not_recurse_without_bound() {
    let lines: String =
        (1..2000).map(|number| format!("  a{number} = a{} + i\n", number - 1)).collect();
    let text = body(&format!("a0 = i\n{lines}  x * a1999"));
    assert_eq!(codes(&text), ["TW0104"]);
}

#[test]
fn a_chain_of_typed_values_may_be_long() {
    let lines: String =
        (1..10_000).map(|number| format!("  a{number} = a{} + i\n", number - 1)).collect();
    let text = body(&format!("a0 = x\n{lines}  a9999"));
    let file = check(&text).expect("a long kernel");
    let graph = &file.kernels[0].graph;
    assert_eq!(graph.nodes.len(), 2 + 1 + 9_999);
    let again = check(&graph.print()).expect("its own text");
    assert_eq!(&again.kernels[0].graph, graph);
}

#[test]
fn functions_that_double_are_cut() {
    let functions: String = (1..64)
        .map(|number| format!("fn f{number}(x) {{ f{0}(x) + f{0}(x) }}\n", number - 1))
        .collect();
    let text = format!("fn f0(x) {{ x }}\n{functions}{}", body("f31(x)"));
    assert_eq!(codes(&text), ["TW0214"]);
    assert_eq!(codes(&text.replace("  f31(x)", "  f63(x)")), ["TW0214"]);
}

#[test]
fn many_faulty_kernels_are_cut_short() {
    let kernels: String = (0..20_000).map(|_| body("y + zz(x)")).collect();
    let codes = codes(&kernels);
    assert_eq!((codes.len(), codes.last()), (diag::SHOWN_MAX + 1, Some(&"TW0108")));
    let faults = check(&kernels).expect_err("faults");
    assert_eq!(faults.last().unwrap().message, "59899 more faults are not shown");
}

/// A generator of bytes that needs no crate: splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("below a usize")
    }
}

#[test]
fn random_bytes_never_panic() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let bytes: Vec<u8> = (0..400).map(|_| random.next().to_le_bytes()[0]).collect();
        println!("seed {seed}");
        if let Err(faults) = check_bytes(&bytes) {
            assert!(!faults.is_empty());
        }
        let ascii: Vec<u8> = bytes.iter().map(|byte| b' ' + byte % 95).collect();
        assert!(check_bytes(&ascii).is_err_and(|faults| !faults.is_empty()) || ascii[0] == b'#');
    }
}

/// Kernel texts with tokens removed, doubled, swapped or replaced: a fault or a graph that obeys the rules, and a text
/// without faults of the syntax is printed canonically.
#[test]
fn mutated_kernels_never_panic() {
    let sources = [
        include_str!("../../kernels/attention_causal.tw"),
        include_str!("../../kernels/linear_gelu.tw"),
        include_str!("../src/check/prelude.tw"),
        include_str!("../../tests/files/check/types.tw"),
        include_str!("../../tests/files/check/weak_values.tw"),
        include_str!("../../tests/files/print/canonical.tw"),
    ];
    for seed in 0..1500 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let source = sources[random.below(sources.len())];
        let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_';
        let mut tokens: Vec<&str> = source.split_inclusive(|char| !is_word(char)).collect();
        for _ in 0..=random.below(3) {
            let (from, to) = (random.below(tokens.len()), random.below(tokens.len()));
            match random.below(4) {
                0 => drop(tokens.remove(from)),
                1 => tokens.insert(to, tokens[from]),
                2 => tokens.swap(from, to),
                _ => tokens[to] = tokens[from],
            }
        }
        survives(&tokens.concat());
    }
}

fn survives(source: &str) {
    match check(source) {
        Ok(file) => {
            for kernel in &file.kernels {
                assert_eq!(tilewright_ir::graph::verify(&kernel.graph), Ok(()), "{source}");
            }
        }
        Err(faults) => assert!(!diag::to_text("mutated", source, &faults).is_empty()),
    }
    let parsed = syntax::parse(source);
    if parsed.faults.is_empty() {
        let canonical = syntax::print(&parsed.file);
        let again = syntax::parse(&canonical);
        assert!(again.faults.is_empty(), "{source}\n---\n{canonical}\n{:?}", again.faults);
        assert_eq!(syntax::print(&again.file), canonical, "{source}");
        assert_eq!(again.file.comments.len(), parsed.file.comments.len(), "{source}");
    }
}
