//! The table of rules in `docs/rewriter.md` is that of the rewriter.
//!
//! Invariant: one row for each rule, in the order of the table, with its class and its meaning. `BLESS=1` writes them.

use crate::blocks::root;
use tilewright::ir::rewrite::rule_rows;

const HEAD: &str = "| rule | class | meaning |\n|---|---|---|\n";

#[test]
fn the_page_of_the_rewriter_has_every_rule() {
    let path = root().join("docs/rewriter.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(HEAD).unwrap();
    let end = rest.find("\n\n").map_or(rest.len(), |end| end + 1);
    let end = if rest.starts_with('\n') { 0 } else { end };
    let rows: String = rule_rows()
        .map(|(name, class, meaning)| format!("| `{name}` | {class} | `{meaning}` |\n"))
        .collect();
    assert!(rows.lines().count() > 10, "the rules are found: {rows}");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, format!("{before}{HEAD}{rows}{}", &rest[end..])).unwrap();
    }
    assert_eq!(&rest[..end], rows, "BLESS=1 writes the table of docs/rewriter.md");
}
