//! Numbers as unevaluated sums of two f64, about 106 bits: enough to judge f64 functions.
//!
//! Invariant: the second part is at most half a unit of the first (Dekker, 1971). Nothing here
//! scales: the caller keeps arguments away from both ends of the range.

/// `high + low`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    pub(super) high: f64,
    pub(super) low: f64,
}

pub(super) const LN_2: Pair =
    Pair { high: std::f64::consts::LN_2, low: 2.319_046_813_846_299_6e-17 };

/// 2 / sqrt(pi).
const ERF_SLOPE: Pair =
    Pair { high: std::f64::consts::FRAC_2_SQRT_PI, low: 1.533_545_961_316_588e-17 };

impl Pair {
    pub(super) fn new(high: f64) -> Self {
        Self { high, low: 0.0 }
    }

    fn sum(a: f64, b: f64) -> Self {
        let high = a + b;
        let part = high - a;
        Self { high, low: (a - (high - part)) + (b - part) }
    }

    pub(super) fn add(self, other: Self) -> Self {
        let sum = Self::sum(self.high, other.high);
        let rest = Self::sum(self.low, other.low);
        let sum = Self::sum(sum.high, sum.low + rest.high);
        Self::sum(sum.high, sum.low + rest.low)
    }

    pub(super) fn negate(self) -> Self {
        Self { high: -self.high, low: -self.low }
    }

    pub(super) fn mul(self, other: Self) -> Self {
        let high = self.high * other.high;
        let error = self.high.mul_add(other.high, -high);
        Self::sum(high, error + (self.high * other.low + self.low * other.high))
    }

    pub(super) fn div(self, other: Self) -> Self {
        let mut quotient = Self::new(self.high / other.high);
        for _ in 0..2 {
            let rest = self.add(quotient.mul(other).negate());
            quotient = quotient.add(Self::new(rest.high / other.high));
        }
        quotient
    }

    /// Times a power of two in the range of f64.
    pub(super) fn scale(self, exponent: i32) -> Self {
        let factor = 2f64.powi(exponent);
        Self { high: self.high * factor, low: self.low * factor }
    }

    /// (m, k): e^self = m 2^k.
    pub(super) fn exp(self) -> (Self, i32) {
        let count = (self.high / LN_2.high).round();
        let rest = self.add(LN_2.mul(Self::new(-count)));
        let mut power = rest.scale(-6).expm1_series();
        for _ in 0..6 {
            // (1 + p)^2 - 1 = 2 p + p^2 keeps the small part exact.
            power = power.add(power).add(power.mul(power));
        }
        (power.add(Self::new(1.0)), count as i32)
    }

    /// e^self - 1 for |self| <= 1/2.
    fn expm1_series(self) -> Self {
        let terms = if self.high.abs() < 0.02 { 15 } else { 26 };
        let mut sum = Self::new(0.0);
        for n in (1..=terms).rev() {
            sum = sum.add(Self::new(1.0)).mul(self).div(Self::new(f64::from(n)));
        }
        sum
    }

    /// The natural logarithm of a normal number.
    pub(super) fn ln(self) -> Self {
        if (self.high - 1.0).abs() < 0.2 {
            let s = self.add(Self::new(-1.0)).div(self.add(Self::new(1.0)));
            let square = s.mul(s);
            let mut sum = Self::new(0.0);
            for n in (0..18).rev() {
                let term = Self::new(1.0).div(Self::new(f64::from(2 * n + 1)));
                sum = sum.mul(square).add(term);
            }
            return sum.mul(s).mul(Self::new(2.0));
        }
        // One Newton step from the rounded logarithm: x e^-start = 1 + a tiny step.
        let start = self.high.ln();
        let (power, exponent) = Self::new(-start).exp();
        let half = exponent / 2;
        let step = power.mul(self.scale(half).scale(exponent - half)).add(Self::new(-1.0));
        Self::new(start).add(step).add(step.mul(step).scale(-1).negate())
    }

    /// The hyperbolic tangent for 0 <= self <= 30.
    pub(super) fn tanh(self) -> Self {
        let doubled = self.add(self);
        let grown = if doubled.high < 0.5 {
            doubled.expm1_series()
        } else {
            let (power, exponent) = doubled.exp();
            power.scale(exponent).add(Self::new(-1.0))
        };
        grown.div(grown.add(Self::new(2.0)))
    }

    /// The error function for 0 <= self <= 6: 2/sqrt(pi) e^(-x^2) times the sum of 2^k x^(2k+1) /
    /// (2k+1)!!, whose terms are all positive.
    pub(super) fn erf(self) -> Self {
        let square = self.mul(self);
        let (power, exponent) = square.negate().exp();
        let (mut term, mut sum, mut n) = (self, self, 3.0);
        while term.high > sum.high * 1e-33 {
            term = term.mul(square).scale(1).div(Self::new(n));
            sum = sum.add(term);
            n += 2.0;
        }
        sum.mul(power.scale(exponent)).mul(ERF_SLOPE)
    }
}
