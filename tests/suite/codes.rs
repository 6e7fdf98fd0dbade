//! Every diagnostic code stands in the table of codes, and `tests/files/codes.txt` names the test that shows it.
//!
//! A code of a text that people write is shown by a data file with the whole message; others by a test function.

use super::tree::{SourceFile, files, none, root};
use std::collections::{BTreeMap, BTreeSet};

/// The diagnostic codes in a text: `TW` and four digits.
fn codes(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| word.len() == 6 && word.starts_with("TW"))
        .filter(|word| word[2..].bytes().all(|byte| byte.is_ascii_digit()))
        .map(str::to_string)
        .collect()
}

/// A source file without and with only its unit tests and comments' examples.
fn split_tests(file: &SourceFile) -> (String, String) {
    if file.path.contains("tests/") {
        return (String::new(), file.text.clone());
    }
    let (code, tests) = file.text.split_once("#[cfg(test)]").unwrap_or((&file.text, ""));
    let code: Vec<_> = code.lines().filter(|line| !line.trim().starts_with("//")).collect();
    (code.join("\n"), tests.to_string())
}

/// `const NAME: &str = "TW....";` gives a code a name that tests may use.
fn named_code(line: &str) -> Option<(String, String)> {
    let (name, value) = line.trim().split_once("const ")?.1.split_once(": &str = ")?;
    Some((name.to_string(), codes(value).pop_first()?))
}

#[test]
fn every_diagnostic_code_is_tested() {
    let (mut known, mut tested) = (BTreeSet::new(), BTreeSet::new());
    let (mut names, mut words) = (BTreeMap::new(), BTreeSet::new());
    for file in files(&[".rs", ".tw", ".txt", ".tile", ".schedule", ".plan", ".diag", ".expected"])
    {
        if !file.path.ends_with(".rs") {
            tested.extend(codes(&file.text));
            continue;
        }
        let (code, tests) = split_tests(&file);
        known.extend(codes(&code));
        names.extend(code.lines().filter_map(named_code));
        tested.extend(codes(&tests));
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        words.extend(tests.split(|c| !is_name(c)).map(str::to_string));
    }
    tested.extend(words.iter().filter_map(|word| names.get(word).cloned()));
    let complaints: Vec<_> = known.difference(&tested).cloned().collect();
    none("every diagnostic code has a test that shows it", &complaints);
}

/// The codes of the table in `ir/src/diag/code.rs`.
fn listed() -> Vec<String> {
    tilewright::ir::diag::code::ALL.iter().map(|(code, _)| (*code).to_string()).collect()
}

#[test]
fn every_code_that_is_used_is_in_the_table() {
    let listed: BTreeSet<_> = listed().into_iter().collect();
    let mut complaints = vec![];
    for file in files(&[".rs"]) {
        let (code, _) = split_tests(&file);
        let unknown = codes(&code).into_iter().filter(|code| !listed.contains(code));
        complaints.extend(unknown.map(|code| format!("{}: {code}", file.path)));
    }
    none("a code has a row in ir/src/diag/code.rs", &complaints);
}

/// A row `CODE PATH` or `CODE PATH FUNCTION` of the table of tests.
fn shows(row: &str, names: &BTreeMap<String, String>) -> Result<String, String> {
    let words: Vec<_> = row.split_whitespace().collect();
    let (code, path, function) = match words.as_slice() {
        [code, path] => (*code, *path, None),
        [code, path, function] => (*code, *path, Some(*function)),
        _ => return Err(format!("{row}: expected a code, a path and perhaps a function")),
    };
    let text =
        std::fs::read_to_string(root().join(path)).map_err(|error| format!("{row}: {error}"))?;
    let mut named = names.iter().filter(|(_, value)| *value == code);
    let shown = match function {
        // The rendered message, or the faults that follow a tile program.
        None => text.lines().any(|line| {
            line.contains(&format!("error[{code}]"))
                || line.contains(&format!("warning[{code}]"))
                || line.starts_with("#!") && line.contains(code)
        }),
        Some(function) => {
            text.contains(&format!("fn {function}("))
                && (text.contains(code) || named.any(|(name, _)| text.contains(name)))
        }
    };
    let is_text = ["TW01", "TW02", "TW03", "TW04"].contains(&&code[..4]);
    let data_missing = is_text && function.is_some() && code != "TW0107";
    match (shown, data_missing) {
        (true, false) => Ok(code.to_string()),
        (true, true) => Err(format!("{row}: this code needs a data file with the whole message")),
        (false, _) => Err(format!("{row}: the test does not show the code")),
    }
}

#[test]
fn the_table_names_a_test_for_every_code() {
    let sources = files(&[".rs"]);
    let names = sources
        .iter()
        .flat_map(|file| split_tests(file).0.lines().filter_map(named_code).collect::<Vec<_>>());
    let names: BTreeMap<_, _> = names.collect();
    let table = std::fs::read_to_string(root().join("tests/files/codes.txt")).unwrap();
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    let outcomes: Vec<_> = rows.map(|row| shows(row, &names)).collect();
    let complaints: Vec<_> = outcomes.iter().filter_map(|row| row.clone().err()).collect();
    none("a row of tests/files/codes.txt names a test that shows the code", &complaints);
    let shown: Vec<_> = outcomes.into_iter().flatten().collect();
    assert_eq!(shown, listed(), "tests/files/codes.txt has a row for each code, in order");
}
