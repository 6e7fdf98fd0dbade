//! The operator tables: name in text, meaning in f64, and the ulps an implementation may be off by.
//!
//! Invariant: adding an operator is one row here; an exhaustive `match` elsewhere makes the compiler list the work.
//! `ulps` is `c_f` of the error bound (shared semantics, "The bound"): what generated code is allowed and tested for.

use std::fmt;

macro_rules! operators {
    ($(#[$doc:meta])* $name:ident { $($(#[$row_doc:meta])* $row:ident = $text:literal, $ulps:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$row_doc])* $row,)* }

        impl $name {
            /// Every operator, in table order.
            pub const ALL: &'static [Self] = &[$(Self::$row,)*];

            /// The name or symbol in a text.
            pub fn name(self) -> &'static str {
                match self { $(Self::$row => $text,)* }
            }

            /// Units of roundoff (u, half ulps of 1) that an implementation may be off by, relative to the result.
            pub fn ulps(self) -> f64 {
                match self { $(Self::$row => $ulps,)* }
            }

            /// The operator of that name or symbol.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|op| op.name() == text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

operators! {
    /// Operators of one operand, written as calls (`neg` also as a prefix minus, `not` as `!`).
    UnaryOp {
        /// `-x`, exact.
        Neg = "neg", 0.0;
        /// The absolute value, exact.
        Abs = "abs", 0.0;
        /// `1 / x`.
        Recip = "recip", 2.0;
        /// The natural exponential.
        Exp = "exp", 3.0;
        /// Two to the power of x.
        Exp2 = "exp2", 3.0;
        /// The natural logarithm.
        Log = "log", 8.0;
        /// The logarithm to base two.
        Log2 = "log2", 8.0;
        /// The square root, correctly rounded.
        Sqrt = "sqrt", 1.0;
        /// `1 / sqrt(x)`.
        Rsqrt = "rsqrt", 4.0;
        /// The hyperbolic tangent.
        Tanh = "tanh", 8.0;
        /// The error function.
        Erf = "erf", 8.0;
        /// The sine.
        Sin = "sin", 8.0;
        /// The cosine.
        Cos = "cos", 8.0;
        /// The largest integer not above x, exact.
        Floor = "floor", 0.0;
        /// The nearest integer, ties to even, exact.
        Round = "round", 0.0;
        /// Logical not, on `bool`.
        Not = "not", 0.0;
    }
}

operators! {
    /// Operators of two operands: symbols, and calls for `min`, `max`, `pow`.
    BinaryOp {
        /// Addition.
        Add = "+", 1.0;
        /// Subtraction.
        Sub = "-", 1.0;
        /// Multiplication.
        Mul = "*", 1.0;
        /// Division.
        Div = "/", 2.0;
        /// The smaller; NaN if either is NaN.
        Min = "min", 0.0;
        /// The larger; NaN if either is NaN.
        Max = "max", 0.0;
        /// x to the power of y.
        Pow = "pow", 16.0;
        /// Logical and, on `bool`.
        And = "&&", 0.0;
        /// Logical or, on `bool`.
        Or = "||", 0.0;
    }
}

operators! {
    /// Comparisons; with NaN all are false except `!=`.
    CompareOp {
        /// Less.
        Lt = "<", 0.0;
        /// Less or equal.
        Le = "<=", 0.0;
        /// Greater.
        Gt = ">", 0.0;
        /// Greater or equal.
        Ge = ">=", 0.0;
        /// Equal.
        Eq = "==", 0.0;
        /// Not equal.
        Ne = "!=", 0.0;
    }
}

operators! {
    /// Reductions over axes.
    ReduceOp {
        /// The sum; over nothing 0.
        Sum = "sum", 1.0;
        /// The product; over nothing 1.
        Product = "product", 1.0;
        /// The largest; over nothing -inf; NaN if any is NaN.
        Max = "max", 0.0;
        /// The smallest; over nothing +inf; NaN if any is NaN.
        Min = "min", 0.0;
        /// Whether all hold; over nothing true.
        All = "all", 0.0;
        /// Whether any holds; over nothing false.
        Any = "any", 0.0;
        /// The first index of the largest, an `i32`.
        Argmax = "argmax", 0.0;
        /// The first index of the smallest, an `i32`.
        Argmin = "argmin", 0.0;
    }
}

impl UnaryOp {
    /// Whether results are rounded: a function whose values are fractions in general, and whose code costs much more
    /// than an addition. The others are exact.
    pub fn is_rounded(self) -> bool {
        self.ulps() > 0.0
    }

    /// Whether every value is a whole number, so that a whole operand is its own value.
    pub fn is_step(self) -> bool {
        matches!(self, Self::Floor | Self::Round)
    }
}

impl BinaryOp {
    /// Whether the operator is written between its operands.
    pub fn is_infix(self) -> bool {
        !matches!(self, Self::Min | Self::Max | Self::Pow)
    }

    /// The meaning over f64. Truth values are 0 and 1.
    pub fn apply(self, x: f64, y: f64) -> f64 {
        match self {
            Self::Add => x + y,
            Self::Sub => x - y,
            Self::Mul => x * y,
            Self::Div => x / y,
            Self::Min if x.is_nan() || y.is_nan() => f64::NAN,
            Self::Max if x.is_nan() || y.is_nan() => f64::NAN,
            Self::Min => x.min(y),
            Self::Max => x.max(y),
            Self::Pow => x.powf(y),
            Self::And => f64::from(u8::from(x != 0.0 && y != 0.0)),
            Self::Or => f64::from(u8::from(x != 0.0 || y != 0.0)),
        }
    }
}

impl CompareOp {
    /// The meaning over f64.
    pub fn apply(self, x: f64, y: f64) -> bool {
        match self {
            Self::Lt => x < y,
            Self::Le => x <= y,
            Self::Gt => x > y,
            Self::Ge => x >= y,
            Self::Eq => x == y,
            Self::Ne => x != y,
        }
    }
}

impl CompareOp {
    /// The meaning over whole numbers.
    pub fn apply_whole(self, x: i64, y: i64) -> bool {
        match self {
            Self::Lt => x < y,
            Self::Le => x <= y,
            Self::Gt => x > y,
            Self::Ge => x >= y,
            Self::Eq => x == y,
            Self::Ne => x != y,
        }
    }
}

impl ReduceOp {
    /// The value of a reduction over nothing (for `argmax`/`argmin`: -1, no element).
    pub fn identity(self) -> f64 {
        match self {
            Self::Sum | Self::Any => 0.0,
            Self::Product | Self::All => 1.0,
            Self::Max => f64::NEG_INFINITY,
            Self::Min => f64::INFINITY,
            Self::Argmax | Self::Argmin => -1.0,
        }
    }

    /// The name of the scan that keeps every partial result: `cumsum` for `sum`. `None` where there is none.
    pub fn scan_name(self) -> Option<&'static str> {
        match self {
            Self::Sum => Some("cumsum"),
            Self::Product => Some("cumprod"),
            Self::Max => Some("cummax"),
            Self::Min => Some("cummin"),
            Self::All | Self::Any | Self::Argmax | Self::Argmin => None,
        }
    }

    /// The reduction whose scan has that name.
    pub fn parse_scan(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|op| op.scan_name() == Some(text))
    }

    /// The binary operator that folds two partial results; `None` for `argmax`/`argmin`, which fold pairs.
    pub fn fold(self) -> Option<BinaryOp> {
        match self {
            Self::Sum => Some(BinaryOp::Add),
            Self::Product => Some(BinaryOp::Mul),
            Self::Max => Some(BinaryOp::Max),
            Self::Min => Some(BinaryOp::Min),
            Self::All => Some(BinaryOp::And),
            Self::Any => Some(BinaryOp::Or),
            Self::Argmax | Self::Argmin => None,
        }
    }
}
