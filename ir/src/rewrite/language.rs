//! The language of the e-graph: tensor algebra on named axes, without binders.
//!
//! Arithmetic in f32 and f64 is spelled out in few operators (`a - b` is `a + neg b`, `a / b` is `a * recip b`); every
//! other operation of the graph is an `Other` with its operands, which the rules leave alone. A reduction names its axes
//! by its first operand. Four operators exist only here:
//! * `(roll j term scale shift)` is the sum over j of `term`, accumulated beside another reduction over j whose running
//!   values it reads: after each block `acc = acc * scale + shift + sum of term`;
//! * `(after-max j h)` and its kin are the running value of `max[j](h)` with the current block, `before-max` without it;
//! * `(guard x)` is x, but 0 where x is -inf: a pivot that can be subtracted where nothing was seen; `(finite x)` is 0
//!   where x is either infinity.
//!
//! Invariant: operands of one operator have one type; a leaf carries its own.

use crate::base::{AxisSet, DType};
use egg::{Id, Symbol, define_language};
use std::fmt;
use std::str::FromStr;

/// A number of a type, by its bits, so that zeros of both signs and NaN are numbers like any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Number {
    bits: u64,
    pub(super) dtype: DType,
}

impl Number {
    pub(super) fn new(value: f64, dtype: DType) -> Self {
        Self { bits: value.to_bits(), dtype }
    }

    pub(super) fn value(self) -> f64 {
        f64::from_bits(self.bits)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.value(), self.dtype)
    }
}

impl FromStr for Number {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (value, name) = text.split_once(':').ok_or(())?;
        let dtype = DType::all().find(|dtype| dtype.name() == name).ok_or(())?;
        Ok(Self::new(value.parse().map_err(|_| ())?, dtype))
    }
}

/// The axes that a reduction removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Axes(pub(super) AxisSet);

impl fmt::Display for Axes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let axes: Vec<String> = self.0.iter().map(|axis| axis.index().to_string()).collect();
        write!(f, "#{}", axes.join(","))
    }
}

impl FromStr for Axes {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let list = text.strip_prefix('#').ok_or(())?;
        let axes = list.split(',').map(|axis| axis.parse().map(crate::base::AxisId));
        axes.collect::<Result<AxisSet, _>>().map(Self).map_err(|_| ())
    }
}

define_language! {
    /// One operation.
    pub(super) enum Math {
        Number(Number),
        Axes(Axes),
        "+" = Add([Id; 2]),
        "*" = Mul([Id; 2]),
        "neg" = Neg([Id; 1]),
        "recip" = Recip([Id; 1]),
        "exp" = Exp([Id; 1]),
        "exp2" = Exp2([Id; 1]),
        "log" = Log([Id; 1]),
        "log2" = Log2([Id; 1]),
        "sqrt" = Sqrt([Id; 1]),
        "max" = Max([Id; 2]),
        "min" = Min([Id; 2]),
        "==" = Equal([Id; 2]),
        "where" = Where([Id; 3]),
        "guard" = Guard([Id; 1]),
        "finite" = Finite([Id; 1]),
        "sum" = Sum([Id; 2]),
        "max-of" = MaxOf([Id; 2]),
        "min-of" = MinOf([Id; 2]),
        "roll" = Roll([Id; 4]),
        "after-sum" = AfterSum([Id; 2]),
        "after-max" = AfterMax([Id; 2]),
        "before-sum" = BeforeSum([Id; 2]),
        "before-max" = BeforeMax([Id; 2]),
        "ones" = Ones([Id; 2]),
        Other(Symbol, Vec<Id>),
    }
}
