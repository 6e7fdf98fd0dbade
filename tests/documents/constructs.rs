//! The language reference is complete: every operator, element type, keyword and library function stands in one of its
//! examples, which the other tests run.

use crate::blocks::{Document, Kind, documents};
use std::collections::BTreeSet;
use tilewright::ir::base::{BinaryOp, CompareOp, DType, ReduceOp, UnaryOp};

/// Words of the language that no table of operators has.
const WORDS: [&str; 21] = [
    "kernel", "fn", "sizes", "const", "for", "where", "in", "strides", "len", "mask", "mean",
    "inf", "nan", "true", "false", "argmax", "argmin", "@exact", "@reassoc", "@approx", "->",
];

/// Operators that are written as symbols, under the names of their rows.
const SYMBOLS: [(&str, &str); 2] = [("neg", "-"), ("not", "!")];

fn examples(document: &Document) -> String {
    let kernels = document.blocks.iter().filter(|block| block.kind == Kind::Kernel);
    kernels.map(|block| block.text.as_str()).collect()
}

/// The words and the runs of symbols of a text.
fn tokens(text: &str) -> BTreeSet<&str> {
    let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let words = text.split(|char| !is_word(char));
    let symbols =
        text.split(|char: char| is_word(char) || char.is_whitespace() || "()[]{},".contains(char));
    words.chain(symbols).collect()
}

/// The functions of the library, by its text.
fn library() -> Vec<String> {
    let path = crate::blocks::root().join("ir/src/check/prelude.tw");
    let text = std::fs::read_to_string(path).unwrap();
    let heads = text.lines().filter_map(|line| line.strip_prefix("fn "));
    heads.map(|head| head.split(['[', '(']).next().unwrap().to_string()).collect()
}

#[test]
fn the_reference_has_an_example_of_every_construct() {
    let documents = documents();
    let reference = documents.iter().find(|document| document.path == "docs/language.md").unwrap();
    let text = examples(reference);
    let tokens = tokens(&text);
    let symbol = |name: &'static str| {
        SYMBOLS.iter().find(|(row, _)| *row == name).map_or(name, |(_, symbol)| symbol)
    };
    let mut wanted: Vec<String> = library();
    assert!(wanted.len() > 8, "the library's functions are found: {wanted:?}");
    wanted.extend(UnaryOp::ALL.iter().map(|op| symbol(op.name()).to_string()));
    wanted.extend(BinaryOp::ALL.iter().map(|op| op.name().to_string()));
    wanted.extend(CompareOp::ALL.iter().map(|op| op.name().to_string()));
    wanted.extend(ReduceOp::ALL.iter().map(|op| op.name().to_string()));
    wanted.extend(ReduceOp::ALL.iter().filter_map(|op| op.scan_name()).map(str::to_string));
    wanted.extend(DType::all().map(|dtype| dtype.name().to_string()));
    wanted.extend(WORDS.map(str::to_string));
    let shown = |word: &String| {
        tokens.contains(word.as_str()) || word.starts_with(['@', '!', '-']) && text.contains(word)
    };
    let missing: Vec<_> = wanted.iter().filter(|word| !shown(word)).collect();
    assert!(missing.is_empty(), "docs/language.md has no example of {missing:?}");
}
