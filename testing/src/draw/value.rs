//! Typed pieces of kernel text: what the generator knows of an expression that it has written.
//!
//! Invariant: the type mirrors the checker's typing rules, the range is an estimate for normal inputs that only steers
//! the draw towards finite results; nothing is judged by it.

use tilewright_ir::DType;

/// The type of an expression. Numbers, extents and indices have none of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Of(DType),
    /// A whole number that takes any type.
    Whole,
    /// A fraction that takes any float type.
    Fraction,
}

impl Type {
    pub(crate) fn is_truth(self) -> bool {
        self == Self::Of(DType::Bool)
    }

    pub(crate) fn is_whole(self) -> bool {
        !self.is_truth() && !self.is_float()
    }

    pub(crate) fn is_float(self) -> bool {
        match self {
            Self::Of(dtype) => dtype.is_float(),
            Self::Whole => false,
            Self::Fraction => true,
        }
    }

    /// The type in which arithmetic on a value is done.
    pub(crate) fn intermediate(self) -> Self {
        match self {
            Self::Of(dtype) if dtype.is_float() && dtype.bits() < 32 => Self::Of(DType::F32),
            _ => self,
        }
    }

    /// The type of an element read at computed places: what is read lies in memory, so it has one.
    pub(crate) fn settled(self) -> Self {
        match self {
            Self::Whole => Self::Of(DType::I32),
            Self::Fraction => Self::Of(DType::F32),
            Self::Of(_) => self,
        }
    }

    /// The type of a function with fractions for values.
    pub(crate) fn fractional(self) -> Self {
        match self {
            Self::Of(dtype) if !dtype.is_float() => Self::Of(DType::F32),
            Self::Whole => Self::Fraction,
            _ => self.intermediate(),
        }
    }

    /// The type in which two numbers meet.
    pub(crate) fn join(self, other: Self) -> Self {
        let (x, y) = match (self.intermediate(), other.intermediate()) {
            (Self::Of(x), Self::Of(y)) => (x, y),
            (Self::Of(x), _) | (_, Self::Of(x)) => return Self::Of(x),
            (x, y) => return if x == Self::Fraction { x } else { y },
        };
        let unsigned = x == DType::U8 || y == DType::U8;
        Self::Of(match (x.is_float(), y.is_float()) {
            (true, false) => x,
            (false, true) => y,
            (false, false) if x != y && unsigned && x.bits().max(y.bits()) == 8 => DType::I16,
            _ if x.bits() >= y.bits() => x,
            _ => y,
        })
    }

    /// The type of a product: that of short integers is `i32`.
    pub(crate) fn product(self, other: Self) -> Self {
        let short = |ty| !matches!(ty, Self::Of(dtype) if !dtype.is_integer() || dtype.bits() > 8);
        match self.join(other) {
            Self::Of(_) if short(self) && short(other) => Self::Of(DType::I32),
            joined => joined,
        }
    }

    /// The accumulator of a reduction that states none.
    pub(crate) fn accumulator(self, op: &str) -> Self {
        match self {
            Self::Of(dtype) if dtype.is_integer() && ["sum", "product"].contains(&op) => {
                Self::Of(DType::I32)
            }
            _ => self.intermediate(),
        }
    }
}

/// How tightly the outermost operator of an expression binds.
pub(crate) mod level {
    pub(crate) const OR: u8 = 1;
    pub(crate) const AND: u8 = 2;
    pub(crate) const COMPARE: u8 = 3;
    pub(crate) const ADD: u8 = 4;
    pub(crate) const MUL: u8 = 5;
    pub(crate) const PREFIX: u8 = 6;
    pub(crate) const TYPED: u8 = 7;
    pub(crate) const ATOM: u8 = 8;
}

/// An expression.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) text: String,
    pub(crate) level: u8,
    /// One bit per axis.
    pub(crate) axes: u16,
    pub(crate) ty: Type,
    /// What its elements are between for normal inputs, as far as that is known.
    pub(crate) range: (f64, f64),
}

impl Value {
    /// A name, a number or a call.
    pub(crate) fn atom(text: impl Into<String>, axes: u16, ty: Type, range: (f64, f64)) -> Self {
        Self { text: text.into(), level: level::ATOM, axes, ty, range }
    }

    /// The text as an operand that has to bind at least as tightly as `level`.
    pub(crate) fn operand(&self, level: u8) -> String {
        if self.level >= level { self.text.clone() } else { format!("({})", self.text) }
    }

    /// The largest magnitude.
    pub(crate) fn size(&self) -> f64 {
        self.range.0.abs().max(self.range.1.abs())
    }

    /// The expression with another text.
    pub(crate) fn rewritten(self, text: String, level: u8, range: (f64, f64)) -> Self {
        Self { text, level, range, ..self }
    }
}

/// The range of the four corners of a box under an operator that is monotone in each operand.
pub(crate) fn corners(x: (f64, f64), y: (f64, f64), f: impl Fn(f64, f64) -> f64) -> (f64, f64) {
    let all = [f(x.0, y.0), f(x.0, y.1), f(x.1, y.0), f(x.1, y.1)];
    hull(all.into_iter())
}

/// The range of some numbers; those that are none are left out.
pub(crate) fn hull(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    let start = (f64::INFINITY, f64::NEG_INFINITY);
    numbers.fold(start, |(low, high), number| (low.min(number), high.max(number)))
}

/// The range a type holds.
pub(crate) fn full_range(dtype: DType) -> (f64, f64) {
    match dtype {
        DType::Bool => (0.0, 1.0),
        DType::U8 => (0.0, 255.0),
        _ if dtype.is_float() => (-dtype.max_finite(), dtype.max_finite()),
        _ => (-dtype.max_finite() - 1.0, dtype.max_finite()),
    }
}
