//! The lane operations on one number in plain Rust.
//!
//! Invariant: each operation rounds as the vector instruction does, so that an accuracy measured
//! here, exhaustively, holds for emitted code.

use super::Lanes;

macro_rules! scalar_lanes {
    ($(#[$doc:meta])* $name:ident, $float:ty, $bits:ty, $double:literal, $to_float:expr, $to_bits:expr
        $(, $more:item)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name {
            /// Whether `fma` rounds once, as on a target that has the instruction.
            pub fused: bool,
        }

        impl Lanes for $name {
            type F = $float;
            type I = $bits;
            type M = bool;

            fn double(&self) -> bool {
                $double
            }
            fn fused(&self) -> bool {
                self.fused
            }
            fn float(&mut self, value: f64) -> $float {
                $to_float(value)
            }
            fn int(&mut self, value: u64) -> $bits {
                $to_bits(value)
            }
            fn add(&mut self, a: $float, b: $float) -> $float {
                a + b
            }
            fn sub(&mut self, a: $float, b: $float) -> $float {
                a - b
            }
            fn mul(&mut self, a: $float, b: $float) -> $float {
                a * b
            }
            fn div(&mut self, a: $float, b: $float) -> $float {
                a / b
            }
            fn fma(&mut self, a: $float, b: $float, c: $float) -> $float {
                if self.fused { a.mul_add(b, c) } else { a * b + c }
            }
            fn sqrt(&mut self, a: $float) -> $float {
                a.sqrt()
            }
            fn lt(&mut self, a: $float, b: $float) -> bool {
                a < b
            }
            fn eq(&mut self, a: $float, b: $float) -> bool {
                a == b
            }
            fn select(&mut self, mask: bool, a: $float, b: $float) -> $float {
                if mask { a } else { b }
            }
            fn bits(&mut self, a: $float) -> $bits {
                a.to_bits()
            }
            fn as_float(&mut self, a: $bits) -> $float {
                <$float>::from_bits(a)
            }
            fn iadd(&mut self, a: $bits, b: $bits) -> $bits {
                a.wrapping_add(b)
            }
            fn isub(&mut self, a: $bits, b: $bits) -> $bits {
                a.wrapping_sub(b)
            }
            fn iand(&mut self, a: $bits, b: $bits) -> $bits {
                a & b
            }
            fn ior(&mut self, a: $bits, b: $bits) -> $bits {
                a | b
            }
            fn ixor(&mut self, a: $bits, b: $bits) -> $bits {
                a ^ b
            }
            fn shl(&mut self, a: $bits, count: u32) -> $bits {
                a << count
            }
            fn shr(&mut self, a: $bits, count: u32) -> $bits {
                a >> count
            }
            fn unlikely(
                &mut self,
                mask: bool,
                x: $float,
                usual: $float,
                rare: fn(&mut Self, $float) -> $float,
            ) -> $float {
                if mask { rare(self, x) } else { usual }
            }
            $($more)*
        }
    };
}

scalar_lanes! {
    /// One f32.
    ScalarF32, f32, u32, false, |value| value as f32, |value| value as u32
}

scalar_lanes! {
    /// One f64.
    ScalarF64, f64, u64, true, |value| value, |value| value
}

scalar_lanes! {
    /// One f32 as on a target that looks up tables and multiplies by powers of two.
    TableF32, f32, u32, false, |value| value as f32, |value| value as u32,
    fn looks_up(&self) -> bool {
        true
    },
    fn looked_up(&mut self, table: &'static [f64; 16], at: f32) -> f32 {
        table[(at.to_bits() & 15) as usize] as f32
    },
    fn has_times_power(&self) -> bool {
        true
    },
    fn times_power(&mut self, a: f32, count: f32) -> f32 {
        // Exact in f64, for any f32 and any power that is not far outside of its range, then rounded once.
        (f64::from(a) * f64::from(count.floor().clamp(-400.0, 400.0)).exp2()) as f32
    },
    fn times_power_from(&mut self, a: f32, count: f32, least: f32) -> f32 {
        if count < least { 0.0 } else { self.times_power(a, count) }
    }
}
