//! Double-double numbers: the unevaluated sum of two f64, about 32 decimal digits, to judge kernels in f64.
//!
//! Sums after Knuth (The Art of Computer Programming 2, 4.2.2), products after Dekker (A floating-point technique for
//! extending the available precision, 1971), the rest after Hida, Li and Bailey's QD library (2001).
//! Invariant: |low| is at most half an ulp of high; a number that is not finite has low 0.

use super::real::Real;
use super::tensor::{exponent_of, power_of_two};
use std::ops::{Add, Div, Mul, Neg, Sub};

/// A double-double number.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub(super) struct Twofold {
    high: f64,
    low: f64,
}

const LN_2: Twofold = Twofold { high: std::f64::consts::LN_2, low: 2.319_046_813_846_299_6e-17 };
const PI: Twofold = Twofold { high: std::f64::consts::PI, low: 1.224_646_799_147_353_2e-16 };
/// pi / 2 in three parts.
const HALF_PI: [f64; 3] =
    [std::f64::consts::FRAC_PI_2, 6.123_233_995_736_766e-17, -1.497_384_904_859_169_8e-33];
/// Beyond this, reducing by three parts of pi / 2 loses digits.
const REDUCTION_MAX: f64 = 1_099_511_627_776.0;

/// Below this, the error of a product may itself underflow, and the product alone is kept.
const ERROR_FREE_MIN: f64 = 1e-290;

/// a + b and its rounding error.
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

/// The upper 26 bits of a number and the rest.
fn split(a: f64) -> (f64, f64) {
    const FACTOR: f64 = 134_217_729.0;
    const SCALE: f64 = 268_435_456.0;
    if !a.is_finite() {
        return (a, 0.0);
    }
    if a.abs() > 1e300 {
        let (high, low) = split(a / SCALE);
        return (high * SCALE, low * SCALE);
    }
    let scaled = FACTOR * a;
    let high = scaled - (scaled - a);
    (high, a - high)
}

/// a b and its rounding error.
fn two_product(a: f64, b: f64) -> (f64, f64) {
    let product = a * b;
    let ((ah, al), (bh, bl)) = (split(a), split(b));
    (product, ((ah * bh - product) + ah * bl + al * bh) + al * bl)
}

/// The number high + low for |high| >= |low|.
fn joined(high: f64, low: f64) -> Twofold {
    if low == 0.0 {
        // Adding a zero would lose the sign of a negative zero.
        return Twofold { high, low: 0.0 };
    }
    let sum = high + low;
    if sum.is_finite() {
        Twofold { high: sum, low: low - (sum - high) }
    } else {
        // An infinite high makes low NaN; high alone is the value.
        Twofold { high: if high.is_finite() { sum } else { high }, low: 0.0 }
    }
}

impl Add for Twofold {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let (high, error) = two_sum(self.high, other.high);
        if !high.is_finite() {
            return Self::of(high);
        }
        let (low, rest) = two_sum(self.low, other.low);
        let first = joined(high, error + low);
        joined(first.high, first.low + rest)
    }
}

impl Neg for Twofold {
    type Output = Self;
    fn neg(self) -> Self {
        Self { high: -self.high, low: -self.low }
    }
}

impl Sub for Twofold {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for Twofold {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let (product, error) = two_product(self.high, other.high);
        if !product.is_finite() || product.abs() < ERROR_FREE_MIN {
            return Self::of(product);
        }
        joined(product, error + (self.high * other.low + self.low * other.high))
    }
}

impl Div for Twofold {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let first = self.high / other.high;
        let tiny = first.abs() < ERROR_FREE_MIN || self.high.abs() < ERROR_FREE_MIN;
        if !first.is_finite() || tiny || other.high.is_infinite() {
            return Self::of(first);
        }
        let rest = self - other * Self::of(first);
        let second = rest.high / other.high;
        let rest = rest - other * Self::of(second);
        let third = rest.high / other.high;
        joined(first, second) + Self::of(third)
    }
}

impl Twofold {
    /// The number times two to an integer power, in two steps so that the power itself does not overflow.
    fn scaled(self, exponent: i32) -> Self {
        let half = exponent / 2;
        let (first, second) = (power_of_two(half), power_of_two(exponent - half));
        joined(self.high * first * second, self.low * first * second)
    }

    /// exp(x) - 1 for |x| < 1: the Taylor series at x / 256, then eight times e -> 2 e + e^2.
    fn small_exp_m1(self) -> Self {
        const HALVINGS: i32 = 8;
        if self.high.abs() < 1e-40 {
            return self + (self * self).scaled(-1);
        }
        let x = self.scaled(-HALVINGS);
        let (mut term, mut sum) = (x, x);
        for n in 2..=12 {
            term = term * x / Self::of(f64::from(n));
            sum = sum + term;
        }
        (0..HALVINGS).fold(sum, |e, _| e.scaled(1) + e * e)
    }

    fn exp_m1(self) -> Self {
        if self.high.abs() < 0.5 { self.small_exp_m1() } else { self.exp() - Self::of(1.0) }
    }

    /// log(x) for x in [0.75, 1.5]: 2 artanh((x - 1) / (x + 1)).
    fn ln_near_one(self) -> Self {
        let one = Self::of(1.0);
        let z = (self - one) / (self + one);
        let square = z * z;
        let (mut power, mut sum, mut odd) = (z, z, 1.0);
        while power.high.abs() > sum.high.abs() * Self::ROUNDOFF / 4.0 {
            odd += 2.0;
            power = power * square;
            sum = sum + power / Self::of(odd);
        }
        sum.scaled(1)
    }

    /// Sine and cosine: x - q pi/2 and the Taylor series.
    fn sin_cos(self) -> (Self, Self) {
        if self.high.is_nan() || self.high.abs() >= REDUCTION_MAX {
            let (sine, cosine) = self.high.sin_cos();
            // The low part of a large number may be many turns.
            let (low_sine, low_cosine) = self.low.sin_cos();
            let (sine, cosine) = (Self::of(sine), Self::of(cosine));
            let (low_sine, low_cosine) = (Self::of(low_sine), Self::of(low_cosine));
            let turned = sine * low_cosine + cosine * low_sine;
            return (turned, cosine * low_cosine - sine * low_sine);
        }
        let quarter = (self.high / std::f64::consts::FRAC_PI_2).round_ties_even();
        let rest = HALF_PI.iter().fold(self, |rest, &part| {
            let (product, error) = two_product(quarter, part);
            rest - joined(product, error)
        });
        let (sine, cosine) = (series(rest, 1), series(rest, 0));
        match quarter.rem_euclid(4.0) as u8 {
            0 => (sine, cosine),
            1 => (cosine, -sine),
            2 => (-sine, -cosine),
            _ => (-cosine, sine),
        }
    }
}

/// The sum of (-1)^n x^(2n + first) / (2n + first)!.
fn series(x: Twofold, first: u8) -> Twofold {
    let square = x * x;
    let mut term = if first == 1 { x } else { Twofold::of(1.0) };
    let mut sum = term;
    let mut n = f64::from(first);
    while term.high.abs() > sum.high.abs() * Twofold::ROUNDOFF / 4.0 {
        term = -(term * square / Twofold::of((n + 1.0) * (n + 2.0)));
        sum = sum + term;
        n += 2.0;
    }
    sum
}

impl Real for Twofold {
    const ROUNDOFF: f64 = f64::EPSILON * f64::EPSILON / 4.0;
    const ERF_ONE: f64 = 9.0;

    fn of(value: f64) -> Self {
        Self { high: value, low: 0.0 }
    }

    fn high(self) -> f64 {
        self.high
    }

    fn low(self) -> f64 {
        self.low
    }

    fn sqrt(self) -> Self {
        let root = self.high.sqrt();
        if !root.is_finite() || root == 0.0 {
            return Self::of(root);
        }
        let square = Self::of(root) * Self::of(root);
        joined(root, (self - square).high / (2.0 * root))
    }

    fn exp(self) -> Self {
        if self.high.is_nan() || self.high > 710.0 || self.high < -746.0 {
            return Self::of(self.high.exp());
        }
        let k = (self.high / std::f64::consts::LN_2).round_ties_even();
        let rest = self - LN_2 * Self::of(k);
        (rest.small_exp_m1() + Self::of(1.0)).scaled(k as i32)
    }

    fn exp2(self) -> Self {
        if self.high.abs() > 1100.0 {
            return Self::of(self.high.exp2());
        }
        (self * LN_2).exp()
    }

    fn ln(self) -> Self {
        if self.high.is_nan() || self.high <= 0.0 || self.high.is_infinite() {
            return Self::of(self.high.ln());
        }
        // A subnormal is brought into the normal range first.
        let lift = if self.high < f64::MIN_POSITIVE { 60 } else { 0 };
        let lifted = self.scaled(lift);
        let mut k = exponent_of(lifted.high);
        let mut m = lifted.scaled(-k);
        if m.high > 1.5 {
            m = m.scaled(-1);
            k += 1;
        }
        m.ln_near_one() + LN_2 * Self::of(f64::from(k - lift))
    }

    fn log2(self) -> Self {
        self.ln() / LN_2
    }

    fn tanh(self) -> Self {
        if self.high.abs() > 40.0 {
            return Self::of(1f64.copysign(self.high));
        }
        if self.high.abs() < 1e-40 {
            return self;
        }
        let e = self.scaled(1).exp_m1();
        e / (e + Self::of(2.0))
    }

    fn sin(self) -> Self {
        if self.high == 0.0 { self } else { self.sin_cos().0 }
    }

    fn cos(self) -> Self {
        self.sin_cos().1
    }

    fn floor(self) -> Self {
        if self.low == 0.0 {
            return Self::of(self.high.floor());
        }
        let whole = self.high.floor();
        if whole == self.high { joined(whole, self.low.floor()) } else { Self::of(whole) }
    }

    fn round_ties_even(self) -> Self {
        let whole = self.high.round_ties_even();
        if self.low == 0.0 {
            return Self::of(whole);
        }
        if whole == self.high {
            joined(whole, self.low.round_ties_even())
        } else if (whole - self.high).abs() == 0.5 && self.low != 0.0 {
            // Not a tie after all.
            Self::of(if self.low > 0.0 { self.high.ceil() } else { self.high.floor() })
        } else {
            Self::of(whole)
        }
    }

    fn pow(self, exponent: Self) -> Self {
        let plain = self.high.powf(exponent.high);
        // One to any power is 1, anything to the power of 0 too, NaN included.
        let limits = self.high.is_infinite()
            || exponent.high.is_infinite()
            || exponent.high.is_nan()
            || exponent.high == 0.0;
        if !plain.is_finite() || plain == 0.0 || limits {
            return Self::of(plain);
        }
        let whole = exponent.low == 0.0 && exponent.high == exponent.high.trunc();
        if whole && exponent.high.abs() <= 64.0 {
            let power = (0..exponent.high.abs() as u32).fold(Self::of(1.0), |p, _| p * self);
            return if exponent.high < 0.0 { Self::of(1.0) / power } else { power };
        }
        let magnitude = (exponent * self.abs().ln()).exp();
        if plain < 0.0 { -magnitude } else { magnitude }
    }

    fn two_over_sqrt_pi() -> Self {
        Self::of(2.0) / PI.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::super::real::erf;
    use super::*;

    /// The number of a decimal text with a point.
    fn parse(text: &str) -> Twofold {
        let (whole, digits) = text.split_once('.').unwrap();
        let ten = Twofold::of(10.0);
        let all = whole.chars().chain(digits.chars());
        let value = all.fold(Twofold::of(0.0), |value, digit| {
            value * ten + Twofold::of(f64::from(digit.to_digit(10).unwrap()))
        });
        digits.chars().fold(value, |value, _| value / ten)
    }

    fn near(name: &str, got: Twofold, expected: Twofold) {
        let error = ((got - expected) / expected).high.abs();
        assert!(error < 1e-29, "{name}: {got:?}, not {expected:?}: {error:e}");
    }

    #[test]
    fn constants_to_thirty_digits() {
        let one = Twofold::of(1.0);
        let two = Twofold::of(2.0);
        for (name, got, digits) in [
            ("exp", one.exp(), "2.71828182845904523536028747135266249776"),
            ("ln", Twofold::of(10.0).ln(), "2.30258509299404568401799145468436420760"),
            ("sqrt", two.sqrt(), "1.41421356237309504880168872420969807857"),
            ("sin", one.sin(), "0.84147098480789650665250232163029899962"),
            ("cos", one.cos(), "0.54030230586813971740093660744297660373"),
            ("tanh", one.tanh(), "0.76159415595576488811945828260479359041"),
            ("erf", erf(one), "0.84270079294971486934122063508260925930"),
            ("pow", two.pow(Twofold::of(0.5)), "1.41421356237309504880168872420969807857"),
            ("exp2", Twofold::of(0.5).exp2(), "1.41421356237309504880168872420969807857"),
        ] {
            near(name, got, parse(digits));
        }
    }

    #[test]
    fn identities_hold_over_the_range() {
        for step in -60..60 {
            let x = Twofold::of(f64::from(step)) / Twofold::of(7.0) + Twofold::of(1e-3);
            let (sine, cosine) = x.sin_cos();
            near("sin^2 + cos^2", sine * sine + cosine * cosine, Twofold::of(1.0));
            near("ln exp", x.exp().ln(), x);
            near("sqrt", x.abs().sqrt() * x.abs().sqrt(), x.abs());
            let (up, down) = (x.exp(), (-x).exp());
            near("tanh", x.tanh(), (up - down) / (up + down));
            near("div", x / Twofold::of(3.0) * Twofold::of(3.0), x);
        }
    }

    #[test]
    fn small_arguments_keep_their_digits() {
        let x = Twofold::of(1e-20);
        near("tanh", x.tanh(), x);
        near("sin", x.sin(), x);
        near("ln", (Twofold::of(1.0) + x).ln(), x - x * x / Twofold::of(2.0));
        near("erf", erf(x), x * Twofold::two_over_sqrt_pi());
    }

    #[test]
    fn a_zero_keeps_its_sign() {
        let (zero, one) = (Twofold::of(-0.0), Twofold::of(1.0));
        let results = [
            zero + zero,
            zero - -zero,
            zero * one,
            zero / one,
            zero.sqrt(),
            zero.sin(),
            zero.tanh(),
            erf(zero),
            zero.floor(),
            zero.round_ties_even(),
        ];
        for (place, result) in results.into_iter().enumerate() {
            assert!(result.high == 0.0 && result.high.is_sign_negative(), "{place}: {result:?}");
        }
        assert!((zero + -zero).high.is_sign_positive());
    }

    #[test]
    fn infinities_and_nan_pass_through() {
        let (inf, nan) = (Twofold::of(f64::INFINITY), Twofold::of(f64::NAN));
        let one = Twofold::of(1.0);
        assert_eq!((inf + one).high, f64::INFINITY);
        assert_eq!((one / inf).high, 0.0);
        assert_eq!((one / Twofold::of(0.0)).high, f64::INFINITY);
        assert_eq!((-inf).exp().high, 0.0);
        assert_eq!(Twofold::of(0.0).ln().high, f64::NEG_INFINITY);
        assert_eq!(inf.tanh().high, 1.0);
        assert!((inf - inf).high.is_nan() && nan.exp().high.is_nan() && (-one).ln().high.is_nan());
        assert_eq!(Twofold::of(2.5).round_ties_even().high, 2.0);
        assert_eq!((Twofold::of(2.5) + Twofold::of(1e-20)).round_ties_even().high, 3.0);
    }
}
