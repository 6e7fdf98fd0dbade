//! Subscripts: elements of a tensor of the signature, or of a named value, at computed places.

use super::Maker;
use super::value::{Type, Value, level};
use tilewright_ir::DType;

impl Maker<'_, '_> {
    /// `x[e, f]`: at least one axis is read at computed indices, which may lie outside of it.
    pub(super) fn gather(&mut self, depth: u32, wanted: fn(Type) -> bool) -> Value {
        let tensors = self.scope.orders.iter().filter(|(value, _)| wanted(value.ty));
        let tensors: Vec<(Value, Vec<usize>)> = tensors.cloned().collect();
        if tensors.is_empty() {
            return match wanted {
                _ if wanted(Type::Of(DType::Bool)) => self.truth(depth - 1),
                _ if wanted(Type::Whole) => self.integer(depth - 1),
                _ => self.float(depth - 1),
            };
        }
        let (tensor, order) = tensors[self.below(tensors.len())].clone();
        let replaced = self.below(order.len());
        let (mut axes, mut subscripts) = (0, vec![]);
        for (position, &bit) in order.iter().enumerate() {
            let keeps = position != replaced && !self.one_in(3);
            let index = match keeps {
                true => Value::atom(self.axes[bit].name, 1 << bit, Type::Whole, (0.0, 0.0)),
                false => self.subscript(bit),
            };
            axes |= index.axes;
            subscripts.push(index.text);
        }
        let text = format!("{}[{}]", tensor.text, subscripts.join(", "));
        Value::atom(text, axes, tensor.ty.settled(), tensor.range)
    }

    /// An index for an axis.
    fn subscript(&mut self, bit: usize) -> Value {
        let last = self.axes[bit].extent.saturating_sub(1);
        match self.below(6) {
            0..2 => self.integer(0),
            2 => {
                let (x, y) = (self.integer(0), self.integer(0));
                self.infix("+", &x, &y)
            }
            3 => {
                let (x, y) = (self.integer(0), self.integer(0));
                let factor = 1 + self.below(3);
                let (a, b) = (x.operand(level::PREFIX), y.operand(level::MUL));
                let (axes, ty) = (x.axes | y.axes, x.ty.join(y.ty));
                let text = format!("{factor} * {a} + {b}");
                Value { text, level: level::ADD, axes, ty, range: (0.0, 0.0) }
            }
            4 => {
                let x = self.integer(0);
                // The number takes the type of what it meets.
                let narrow = matches!(x.ty, Type::Of(dtype) if dtype.bits() < 32);
                let x = if narrow { self.cast(x, DType::I32) } else { x };
                let text = format!("{last} - {}", x.operand(level::MUL));
                x.rewritten(text, level::ADD, (0.0, last as f64))
            }
            _ => self.integer(1),
        }
    }
}
