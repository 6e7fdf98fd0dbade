//! The functions that a kernel may call, and suggestions for names that do not exist.
//!
//! Invariant: the library's text has no fault (a test checks it); a user's function hides a library function of its
//! name, but none of the language's own operations.

use super::constant::Constants;
use crate::base::{BinaryOp, ReduceOp, UnaryOp};
use crate::syntax::ast::{File, Function, Item};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// The text of the functions that every file may call.
pub const LIBRARY_TEXT: &str = include_str!("prelude.tw");

static LIBRARY: LazyLock<File> = LazyLock::new(|| crate::syntax::parse(LIBRARY_TEXT).file);

static OPERATIONS: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| operations().collect());

/// The functions of a file and of the library.
#[derive(Debug)]
pub(super) struct Functions<'a> {
    pub(super) user: BTreeMap<&'a str, &'a Function>,
    /// Names of functions whose text is faulty: calls of them are not judged.
    pub(super) faulty: BTreeSet<&'a str>,
    /// The constants of the file; the library sees none of them.
    pub(super) constants: Constants<'a>,
    library: BTreeMap<&'a str, &'a Function>,
}

impl<'a> Functions<'a> {
    /// The library without functions of a user.
    pub(super) fn library() -> Self {
        let library = LIBRARY.items.iter().filter_map(|item| match item {
            Item::Function(function) => Some((function.name.text.as_str(), function)),
            Item::Kernel(_) | Item::Sizes(_) | Item::Constant(_) | Item::Faulty(..) => None,
        });
        let constants = Constants::default();
        let (user, faulty) = (BTreeMap::new(), BTreeSet::new());
        Self { user, faulty, constants, library: library.collect() }
    }

    /// The function of a name, and whether it is the library's.
    pub(super) fn find(&self, name: &str) -> Option<(&'a Function, bool)> {
        let user = self.user.get(name).map(|&function| (function, false));
        user.or_else(|| self.library.get(name).map(|&function| (function, true)))
    }

    /// Every name that can be called.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let functions = self.user.keys().chain(self.library.keys()).copied();
        functions.chain(operations().map(|name| -> &str { name }))
    }
}

/// The operations of the language that are written as calls.
fn operations() -> impl Iterator<Item = &'static str> {
    let unary = UnaryOp::ALL.iter().map(|op| op.name());
    let binary = BinaryOp::ALL.iter().filter(|op| !op.is_infix()).map(|op| op.name());
    let reduce = ReduceOp::ALL.iter().map(|op| op.name());
    let scan = ReduceOp::ALL.iter().filter_map(|op| op.scan_name());
    let others = ["mean", "len", "where", "mask", "wrap"];
    unary.chain(binary).chain(reduce).chain(scan).chain(others)
}

/// Whether a call of this name is an operation of the language.
pub(super) fn is_operation(name: &str) -> bool {
    OPERATIONS.contains(name)
}

/// The known name nearest to a misspelt one.
pub(crate) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<String> {
    let limit = (name.len() / 3).max(1);
    known
        .filter(|known| known.len().abs_diff(name.len()) <= limit)
        .map(|known| (distance(name, known), known))
        .filter(|&(distance, _)| distance <= limit && distance < name.len())
        .min()
        .map(|(_, known)| format!("did you mean `{known}`?"))
}

/// The edit distance of two short names; long ones are not compared.
fn distance(left: &str, right: &str) -> usize {
    if left.len().max(right.len()) > 32 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_has_no_fault_and_hides_no_operation() {
        let parsed = crate::syntax::parse(LIBRARY_TEXT);
        assert!(parsed.faults.is_empty(), "{:?}", parsed.faults);
        assert_eq!(crate::syntax::print(&parsed.file), LIBRARY_TEXT);
        for item in &parsed.file.items {
            let Item::Function(function) = item else { panic!("the library holds functions") };
            assert!(!is_operation(&function.name.text), "{}", function.name.text);
        }
    }

    #[test]
    fn the_nearest_name_is_suggested() {
        let names = ["softmax", "sum", "sqrt"];
        let nearest = |name| nearest(name, names.into_iter());
        assert_eq!(nearest("sofmax").as_deref(), Some("did you mean `softmax`?"));
        assert_eq!(nearest("summ").as_deref(), Some("did you mean `sum`?"));
        assert_eq!(nearest("x"), None);
    }
}
