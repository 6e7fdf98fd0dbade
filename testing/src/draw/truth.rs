//! Truth values: comparisons of indices and of values, logic, any and all.

use super::Maker;
use super::value::{Type, Value, level};
use tilewright_ir::DType;

const COMPARE: [&str; 6] = ["<", "<=", ">", ">=", "==", "!="];
const TRUTH: Type = Type::Of(DType::Bool);

impl Maker<'_, '_> {
    /// A truth value with at most so many operations within each other.
    pub(super) fn truth(&mut self, depth: u32) -> Value {
        let below = depth.saturating_sub(1);
        match self.below(16) {
            0..3 => self.index_predicate(),
            12 if depth > 0 => self.gather(depth, Type::is_truth),
            13 if depth > 0 => {
                let (x, y) = (self.truth(below), self.truth(below));
                let op = self.pick(&["==", "!="]);
                let text = format!("{} {op} {}", x.operand(level::ADD), y.operand(level::ADD));
                let axes = x.axes | y.axes;
                Value { text, level: level::COMPARE, axes, ty: TRUTH, range: (0.0, 1.0) }
            }
            14 if depth > 0 => {
                let (c, x, y) = (self.truth(below), self.truth(below), self.truth(below));
                let text = format!("where({}, {}, {})", c.text, x.text, y.text);
                Value::atom(text, c.axes | x.axes | y.axes, TRUTH, (0.0, 1.0))
            }
            15 => {
                let x = self.float(below.min(1));
                let text = match self.below(4) {
                    0 => format!("{} != {}", x.operand(level::ADD), x.operand(level::ADD)),
                    1 => format!("{} < inf", x.operand(level::ADD)),
                    2 => format!(
                        "{} == nan || {} <= -inf",
                        x.operand(level::ADD),
                        x.operand(level::ADD)
                    ),
                    _ => self.pick(&["true", "false"]).to_string(),
                };
                let literal = text == "true" || text == "false";
                let axes = if literal { 0 } else { x.axes };
                let level = if text.contains("||") {
                    level::OR
                } else if literal {
                    level::ATOM
                } else {
                    level::COMPARE
                };
                Value { text, level, axes, ty: TRUTH, range: (0.0, 1.0) }
            }
            3..5 if depth > 0 => self.logic(below),
            5 if depth > 0 => self.negation(below),
            6 if depth > 0 => {
                let x = self.truth(below);
                let Some(removed) = self.removable(x.axes) else { return x };
                let op = self.pick(&["any", "all"]);
                self.reduced(op, &x, removed, (TRUTH, None), (0.0, 1.0))
            }
            7 => self.known(Type::is_truth).unwrap_or_else(|| self.index_predicate()),
            8 => {
                let (x, y) = (self.integer(below.min(1)), self.integer(0));
                self.comparison(&x, &y)
            }
            9 if depth > 0 => {
                let (x, y) = (self.float(below), self.float(0));
                self.comparison(&x, &y)
            }
            _ => {
                let x = self.float(below.min(1));
                let bound = self.pick(&["0", "0.5", "-0.25"]);
                let op = self.pick(&COMPARE[..4]);
                let text = format!("{} {op} {bound}", x.operand(level::ADD));
                Value { text, level: level::COMPARE, axes: x.axes, ty: TRUTH, range: (0.0, 1.0) }
            }
        }
    }

    fn comparison(&mut self, x: &Value, y: &Value) -> Value {
        let (x, y) = self.compatible(x.clone(), y.clone());
        let op = self.pick(&COMPARE);
        let text = format!("{} {op} {}", x.operand(level::ADD), y.operand(level::ADD));
        Value { text, level: level::COMPARE, axes: x.axes | y.axes, ty: TRUTH, range: (0.0, 1.0) }
    }

    /// `j <= i + len(j) - len(i)` and the like: triangles and bands.
    pub(super) fn index_predicate(&mut self) -> Value {
        let bits: Vec<usize> = (0..16).filter(|bit| self.scope.axes >> bit & 1 == 1).collect();
        if bits.is_empty() {
            return Value::atom("true", 0, TRUTH, (0.0, 1.0));
        }
        let (i, j) = (bits[self.below(bits.len())], bits[self.below(bits.len())]);
        let (a, b) = (self.scope.names[i], self.scope.names[j]);
        let op = self.pick(&COMPARE);
        let text = match self.below(4) {
            0 => format!("{b} {op} {a} + len({b}) - len({a})"),
            1 => format!("{b} {op} {a}"),
            2 => format!("{a} - {b} {op} {}", self.below(8)),
            _ => format!("{a} * 2 {op} len({b})"),
        };
        let second = if text.ends_with(')') && text.contains("* 2") { 0 } else { 1 << j };
        let axes = 1 << i | second;
        Value { text, level: level::COMPARE, axes, ty: TRUTH, range: (0.0, 1.0) }
    }

    fn logic(&mut self, depth: u32) -> Value {
        let (x, y) = (self.truth(depth), self.truth(depth));
        let (op, own) = if self.one_in(2) { ("||", level::OR) } else { ("&&", level::AND) };
        let text = format!("{} {op} {}", x.operand(own), y.operand(own + 1));
        Value { text, level: own, axes: x.axes | y.axes, ty: TRUTH, range: (0.0, 1.0) }
    }

    fn negation(&mut self, depth: u32) -> Value {
        let x = self.truth(depth);
        let text = format!("!{}", x.operand(level::PREFIX));
        x.rewritten(text, level::PREFIX, (0.0, 1.0))
    }
}
