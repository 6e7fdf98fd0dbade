//! The canonical form: a fixed point that keeps every comment and the meaning, on every kernel text of the tree and on
//! texts made of them by random changes.
//!
//! Seeds are printed; `TILEWRIGHT_SEED` replays one.

use std::fs;
use std::path::{Path, PathBuf};
use tilewright_ir::check::check;
use tilewright_ir::syntax::{self, Parsed};

const SEEDS: u64 = 1000;

/// The kernel texts of the tree; what stands behind the mark of a test file is none.
fn texts() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders = vec![root.join("kernels"), root.join("tests/files"), root.join("ir/src")];
    let mut paths: Vec<PathBuf> = vec![];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "tw") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    assert!(paths.len() > 40, "{} texts", paths.len());
    let text = |path: &PathBuf| {
        let text = fs::read_to_string(path).expect("a text");
        text.split_once("# ---- expected\n").map_or(text.clone(), |(source, _)| source.to_string())
    };
    paths.iter().map(text).collect()
}

/// The comments, without their places.
fn comments(parsed: &Parsed) -> Vec<&str> {
    parsed.file.comments.iter().map(|comment| comment.text.as_str()).collect()
}

/// What the kernels of a text mean; `None` if it has faults.
fn meaning(text: &str) -> Option<Vec<String>> {
    let file = check(text).ok()?;
    Some(
        file.kernels
            .iter()
            .map(|kernel| format!("{}{:?}", kernel.graph.print(), kernel.size_sets))
            .collect(),
    )
}

/// Formats a text, if it has no faults of the syntax. Whether it had none.
fn formats(text: &str) -> bool {
    let parsed = syntax::parse(text);
    if !parsed.faults.is_empty() {
        return false;
    }
    let canonical = syntax::print(&parsed.file);
    let again = syntax::parse(&canonical);
    assert!(again.faults.is_empty(), "{text}\n---\n{canonical}\n{:?}", again.faults);
    assert_eq!(syntax::print(&again.file), canonical, "not a fixed point:\n{text}");
    let (mut before, mut after) = (comments(&parsed), comments(&again));
    before.sort_unstable();
    after.sort_unstable();
    assert_eq!(before, after, "comments are kept:\n{text}\n---\n{canonical}");
    assert_eq!(
        meaning(text),
        meaning(&canonical),
        "the meaning is kept:\n{text}\n---\n{canonical}"
    );
    assert!(canonical.is_empty() || canonical.ends_with('\n') && !canonical.ends_with("\n\n"));
    assert!(
        canonical.lines().all(|line| line.trim_end() == line),
        "spaces at line ends:\n{canonical}"
    );
    true
}

#[test]
fn every_text_of_the_tree_has_a_canonical_form() {
    let formatted = texts().iter().filter(|text| formats(text)).count();
    assert!(formatted > 20, "{formatted} texts without faults of the syntax");
}

#[test]
fn line_ends_and_byte_order_marks_do_not_matter() {
    for text in texts() {
        let parsed = syntax::parse(&text);
        if !parsed.faults.is_empty() {
            continue;
        }
        let canonical = syntax::print(&parsed.file);
        let tabs = text.replace("\n  ", "\n\t");
        for other in [text.replace('\n', "\r\n"), format!("\u{feff}{text}"), tabs] {
            let other = syntax::parse(&other);
            assert!(other.faults.is_empty(), "{:?}", other.faults);
            assert_eq!(syntax::print(&other.file), canonical);
        }
    }
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % limit as u64).expect("below a usize")
    }
}

/// Changes spaces, line breaks and comments between words, and sometimes the words.
fn changed(text: &str, random: &mut Random) -> String {
    const BETWEEN: [&str; 8] =
        [" ", "  ", "\t", "\n", "\n\n\n", "  # a remark\n", "\n# a line\n", "\r\n"];
    let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let mut tokens: Vec<&str> = text.split_inclusive(|char| !is_word(char)).collect();
    for _ in 0..=random.below(6) {
        let (from, to) = (random.below(tokens.len()), random.below(tokens.len()));
        match random.below(12) {
            0 => drop(tokens.remove(from)),
            1 => tokens.insert(to, tokens[from]),
            2 => tokens[to] = tokens[from],
            _ => tokens.insert(to, BETWEEN[random.below(BETWEEN.len())]),
        }
        if tokens.is_empty() {
            break;
        }
    }
    tokens.concat()
}

#[test]
fn changed_texts_have_a_canonical_form() {
    let texts: Vec<_> = texts().into_iter().filter(|text| text.len() < 6000).collect();
    let seed = std::env::var("TILEWRIGHT_SEED").ok().map(|seed| seed.parse().expect("a number"));
    let seeds = seed.map_or(0..SEEDS, |seed| seed..seed + 1);
    let mut formatted = 0;
    for seed in seeds.clone() {
        println!("TILEWRIGHT_SEED={seed}");
        let mut random = Random(seed);
        let text = &texts[random.below(texts.len())];
        formatted += u64::from(formats(&changed(text, &mut random)));
    }
    assert!(
        seed.is_some() || formatted > SEEDS / 10,
        "only {formatted} of {SEEDS} texts have no faults"
    );
}
