//! Indices that are sums of axis positions: what they are, and which range they have.
//!
//! An index that is affine and never leaves its axis addresses memory by strides; any other is computed and clamped.
//! Invariant: no part of an accepted expression leaves the range of `i32`, so arithmetic without end gives the same.

use super::{AxisId, AxisTable, BinaryOp, DType, Expr, LocalId, UnaryOp};
use std::collections::BTreeMap;

/// Parts of an expression that are looked at before it counts as not affine.
const PARTS_MAX: usize = 256;

/// `constant + sum of factor * index(axis)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Affine {
    /// The value where every position is 0.
    pub constant: i64,
    /// The factors that are not 0.
    pub factors: BTreeMap<AxisId, i64>,
}

impl Affine {
    /// The form of an `i32` expression, if it is affine. `lets` gives the expression of a local.
    pub fn of<'e>(
        expr: &'e Expr,
        axes: &AxisTable,
        lets: &impl Fn(LocalId) -> Option<&'e Expr>,
    ) -> Option<Self> {
        Reader { axes, lets, parts: 0 }.read(expr)
    }

    /// The smallest and the largest value over all positions.
    pub fn range(&self, axes: &AxisTable) -> (i64, i64) {
        self.range_over(&|axis| {
            (0, i64::try_from(axes.extent(axis).max(1) - 1).unwrap_or(i64::MAX))
        })
    }

    /// The smallest and the largest value over the positions from the first to the last that `block` gives.
    pub fn range_over(&self, block: &impl Fn(AxisId) -> (i64, i64)) -> (i64, i64) {
        self.factors.iter().fold((self.constant, self.constant), |(low, high), (&axis, factor)| {
            let (first, last) = block(axis);
            let ends = [factor.saturating_mul(first), factor.saturating_mul(last)];
            let (least, most) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
            (low.saturating_add(least), high.saturating_add(most))
        })
    }

    /// Whether every value is an index of an axis.
    pub fn is_inside(&self, axis: AxisId, axes: &AxisTable) -> bool {
        let (low, high) = self.range(axes);
        let extent = i64::try_from(axes.extent(axis)).unwrap_or(i64::MAX);
        low >= 0 && high < extent
    }

    /// A number.
    pub fn constant(value: i64) -> Self {
        Self { constant: value, factors: BTreeMap::new() }
    }

    /// Every term times a number.
    #[must_use]
    pub fn scaled(mut self, factor: i64) -> Self {
        self.constant = self.constant.saturating_mul(factor);
        self.factors.values_mut().for_each(|own| *own = own.saturating_mul(factor));
        self.factors.retain(|_, own| *own != 0);
        self
    }

    /// The sum with another form.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        self.constant = self.constant.saturating_add(other.constant);
        for (&axis, factor) in &other.factors {
            let own = self.factors.entry(axis).or_insert(0);
            *own = own.saturating_add(*factor);
        }
        self.factors.retain(|_, own| *own != 0);
        self
    }
}

struct Reader<'a, L> {
    axes: &'a AxisTable,
    lets: &'a L,
    parts: usize,
}

impl<'e, L: Fn(LocalId) -> Option<&'e Expr>> Reader<'_, L> {
    fn read(&mut self, expr: &'e Expr) -> Option<Affine> {
        self.parts += 1;
        if self.parts > PARTS_MAX {
            return None;
        }
        let found = match expr {
            Expr::Literal(literal) if literal.dtype == DType::I32 => {
                Affine::constant(literal.value as i64)
            }
            Expr::Index(axis) => Affine { constant: 0, factors: [(*axis, 1)].into() },
            Expr::Len(axis) => Affine::constant(i64::try_from(self.axes.extent(*axis)).ok()?),
            Expr::Local(local) => self.read((self.lets)(*local)?)?,
            Expr::Unary(UnaryOp::Neg, x) => self.read(x)?.scaled(-1),
            Expr::Binary(op, x, y) => {
                let (x, y) = (self.read(x)?, self.read(y)?);
                self.binary(*op, x, y)?
            }
            _ => return None,
        };
        let (low, high) = found.range(self.axes);
        (low >= i64::from(i32::MIN) && high <= i64::from(i32::MAX)).then_some(found)
    }

    fn binary(&self, op: BinaryOp, x: Affine, y: Affine) -> Option<Affine> {
        let (of_x, of_y) = (x.range(self.axes), y.range(self.axes));
        match op {
            BinaryOp::Add => Some(x.plus(&y)),
            BinaryOp::Sub => Some(x.plus(&y.scaled(-1))),
            BinaryOp::Mul if y.factors.is_empty() => Some(x.scaled(y.constant)),
            BinaryOp::Mul if x.factors.is_empty() => Some(y.scaled(x.constant)),
            BinaryOp::Max if of_x.0 >= of_y.1 => Some(x),
            BinaryOp::Max if of_y.0 >= of_x.1 => Some(y),
            BinaryOp::Min if of_x.1 <= of_y.0 => Some(x),
            BinaryOp::Min if of_y.1 <= of_x.0 => Some(y),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> AxisTable {
        let mut axes = AxisTable::new();
        for (name, extent) in [("i", 5), ("k", 3), ("w", 7), ("empty", 0)] {
            let axis = axes.intern(name).expect("a small table");
            axes.bind(axis, extent);
        }
        axes
    }

    fn index(axis: u8) -> Expr {
        Expr::Index(AxisId(axis))
    }

    fn number(value: f64) -> Expr {
        Expr::literal(value, DType::I32)
    }

    fn read(expr: &Expr) -> Option<Affine> {
        Affine::of(expr, &table(), &|_| None)
    }

    #[test]
    fn sums_of_positions_are_affine() {
        let twice = Expr::binary(BinaryOp::Mul, number(2.0), index(0));
        let sum = Expr::binary(BinaryOp::Sub, twice, index(1));
        let found = read(&sum).expect("an affine index");
        assert_eq!(found.range(&table()), (-2, 8));
        assert_eq!(found.factors, [(AxisId(0), 2), (AxisId(1), -1)].into());
        assert!(!found.is_inside(AxisId(2), &table()));
        let shifted = Expr::binary(BinaryOp::Add, index(0), index(1));
        let found = read(&shifted).expect("an affine index");
        assert!(found.is_inside(AxisId(2), &table()) && !found.is_inside(AxisId(0), &table()));
        let gone = Expr::binary(BinaryOp::Sub, index(0), index(0));
        assert_eq!(read(&gone), Some(Affine::default()));
        let clamped = Expr::binary(BinaryOp::Max, index(0), number(0.0));
        assert_eq!(read(&clamped), read(&index(0)));
    }

    #[test]
    fn products_and_indices_that_wrap_are_not_affine() {
        assert_eq!(read(&Expr::binary(BinaryOp::Mul, index(0), index(1))), None);
        let large = Expr::binary(BinaryOp::Mul, index(0), number(2e9));
        assert_eq!(read(&Expr::binary(BinaryOp::Sub, large.clone(), large)), None);
        let between = Expr::binary(BinaryOp::Max, index(0), number(2.0));
        assert_eq!(read(&between), None);
        assert_eq!(read(&index(3)).map(|found| found.range(&table())), Some((0, 0)));
    }
}
