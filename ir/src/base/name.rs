//! Fresh names for generated passes, buffers and locals.
//!
//! Invariant: a name handed out is an identifier, is no reserved word of a text, and was never handed out before.

use super::{AxisTable, BinaryOp, DType, ReduceOp, UnaryOp};
use std::collections::{BTreeMap, BTreeSet};

/// Words that mean something else in the texts.
const RESERVED: [&str; 40] = [
    "and", "as", "axis", "body", "by", "carry", "cast", "choose", "false", "for", "grid", "group",
    "if", "in", "index", "inf", "kernel", "last", "len", "let", "load", "mma", "nan", "next",
    "none", "optional", "or", "out", "pass", "phase", "plan", "reduce", "result", "select",
    "stage", "state", "store", "tile", "true", "where",
];

/// Hands out names that are unique in one program.
#[derive(Clone, Debug, Default)]
pub struct Namer {
    taken: BTreeSet<String>,
    /// The last number tried after a base, so that many names of one base take linear time.
    counts: BTreeMap<String, u64>,
}

impl Namer {
    /// A namer that avoids the reserved words, operator and type names, and the names of the axes.
    pub fn new(axes: &AxisTable) -> Self {
        let mut namer = Self::default();
        let operators = UnaryOp::ALL
            .iter()
            .map(|op| op.name())
            .chain(BinaryOp::ALL.iter().map(|op| op.name()))
            .chain(ReduceOp::ALL.iter().map(|op| op.name()));
        let words = operators.chain(DType::all().map(DType::name)).chain(RESERVED);
        words.for_each(|word| namer.reserve(word));
        axes.ids().for_each(|axis| namer.reserve(axes.name(axis)));
        namer
    }

    /// Keeps a name from being handed out.
    pub fn reserve(&mut self, name: &str) {
        self.taken.insert(name.to_string());
    }

    /// `base` if it is free, else `base_2`, `base_3`, ...
    pub fn fresh(&mut self, base: &str) -> String {
        let base = identifier(base);
        if self.taken.insert(base.clone()) {
            return base;
        }
        self.counts.entry(format!("{base}_")).or_insert(1);
        self.counted(&format!("{base}_"))
    }

    /// `base1`, `base2`, ...: the first that is free.
    pub fn numbered(&mut self, base: &str) -> String {
        self.counted(&identifier(base))
    }

    fn counted(&mut self, base: &str) -> String {
        let count = self.counts.entry(base.to_string()).or_insert(0);
        loop {
            *count += 1;
            let name = format!("{base}{count}");
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

/// The text with every character that an identifier cannot hold replaced.
fn identifier(text: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let name: String = text.chars().map(keep).collect();
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("v{name}")
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::{AxisTable, Namer};

    #[test]
    fn names_are_unique_identifiers() {
        let mut axes = AxisTable::new();
        axes.intern("i");
        let mut namer = Namer::new(&axes);
        assert_eq!(namer.fresh("s"), "s");
        assert_eq!(namer.fresh("s"), "s_2");
        assert_eq!(namer.fresh("i"), "i_2");
        assert_eq!(namer.fresh("sum"), "sum_2");
        assert_eq!(namer.fresh("3.x"), "v3_x");
        assert_eq!(namer.numbered("sum"), "sum1");
        assert_eq!(namer.numbered("sum"), "sum2");
    }
}
