//! Operations of scalars: addresses and counters.
//!
//! Invariant: only rax, rcx and rdx change besides the result; flags mean nothing between operations.

use super::super::allocate::Place;
use super::super::isa::Refusal;
use super::super::program::{Address, Scalar};
use super::writer::{Memory, refusal};
use super::{Encoder, scalar_register};
use iced_x86::Register;
use iced_x86::code_asm::{
    AsmMemoryOperand, AsmRegister64, eax, get_gpr32, ptr, qword_ptr, rax, rcx, rdi, rdx, rsp,
};

impl Encoder<'_> {
    /// The register that a scalar is in, or `scratch` with its value from the stack.
    pub(super) fn read(
        &mut self,
        of: Scalar,
        scratch: AsmRegister64,
    ) -> Result<AsmRegister64, Refusal> {
        match self.at.scalar(of) {
            Place::Register(position) => Ok(scalar_register(position)),
            Place::Stack(word) => {
                self.writer.asm.mov(scratch, self.word(word)).map_err(refusal)?;
                Ok(scratch)
            }
        }
    }

    /// `at` as an operand; rax takes a base that is on the stack.
    pub(super) fn address(&mut self, at: Address) -> Result<Memory, Refusal> {
        let base = self.read(at.base, rax)?;
        Ok(Memory::at(base.into(), i64::from(at.displacement)))
    }

    /// A spilled word of the stack.
    fn word(&self, word: u32) -> AsmMemoryOperand {
        qword_ptr(rsp + self.word_offset(word))
    }

    /// Bytes from the stack pointer to a spilled word.
    pub(super) fn word_offset(&self, word: u32) -> i32 {
        self.stage_bytes + 8 * word as i32
    }

    /// Where to compute a result: its register, or rax.
    fn target(&self, to: Scalar) -> AsmRegister64 {
        match self.at.scalar(to) {
            Place::Register(position) => scalar_register(position),
            Place::Stack(_) => rax,
        }
    }

    /// Puts a result that is in `from` where it belongs.
    fn write(&mut self, to: Scalar, from: AsmRegister64) -> Result<(), Refusal> {
        match self.at.scalar(to) {
            Place::Register(position) if scalar_register(position) == from => Ok(()),
            Place::Register(position) => {
                self.writer.asm.mov(scalar_register(position), from).map_err(refusal)
            }
            Place::Stack(word) => self.writer.asm.mov(self.word(word), from).map_err(refusal),
        }
    }

    /// `register = value`.
    fn load_number(&mut self, register: AsmRegister64, value: i64) -> Result<(), Refusal> {
        let low = low_half(register);
        if value == 0 {
            self.writer.asm.xor(low, low).map_err(refusal)
        } else if let Ok(value) = u32::try_from(value) {
            self.writer.asm.mov(low, value).map_err(refusal)
        } else {
            self.writer.asm.mov(register, value).map_err(refusal)
        }
    }

    pub(super) fn set(&mut self, to: Scalar, value: i64) -> Result<(), Refusal> {
        let target = self.target(to);
        self.load_number(target, value)?;
        self.write(to, target)
    }

    pub(super) fn add_constant(
        &mut self,
        to: Scalar,
        x: Scalar,
        value: i64,
    ) -> Result<(), Refusal> {
        let target = self.target(to);
        let x = self.read(x, rax)?;
        let asm = &mut self.writer.asm;
        match i32::try_from(value) {
            Ok(0) => return self.write(to, x),
            Ok(value) if target == x => asm.add(target, value).map_err(refusal)?,
            Ok(value) => asm.lea(target, ptr(x + value)).map_err(refusal)?,
            Err(_) => {
                asm.mov(rcx, value).map_err(refusal)?;
                asm.lea(target, ptr(x + rcx)).map_err(refusal)?;
            }
        }
        self.write(to, target)
    }

    pub(super) fn add(&mut self, to: Scalar, x: Scalar, y: Scalar) -> Result<(), Refusal> {
        let target = self.target(to);
        let x = self.read(x, rax)?;
        let y = self.read(y, rcx)?;
        let asm = &mut self.writer.asm;
        if target == x {
            asm.add(target, y).map_err(refusal)?;
        } else if target == y {
            asm.add(target, x).map_err(refusal)?;
        } else {
            asm.lea(target, ptr(x + y)).map_err(refusal)?;
        }
        self.write(to, target)
    }

    pub(super) fn subtract(&mut self, to: Scalar, x: Scalar, y: Scalar) -> Result<(), Refusal> {
        let x = self.read(x, rax)?;
        let y = self.read(y, rcx)?;
        let target = self.target(to);
        let target = if target == y && target != x { rax } else { target };
        if target != x {
            self.writer.asm.mov(target, x).map_err(refusal)?;
        }
        self.writer.asm.sub(target, y).map_err(refusal)?;
        self.write(to, target)
    }

    pub(super) fn multiply_constant(
        &mut self,
        to: Scalar,
        x: Scalar,
        value: i64,
    ) -> Result<(), Refusal> {
        let target = self.target(to);
        let x = self.read(x, rax)?;
        let asm = &mut self.writer.asm;
        if value > 0 && value.count_ones() == 1 {
            if target != x {
                asm.mov(target, x).map_err(refusal)?;
            }
            if value > 1 {
                asm.shl(target, value.trailing_zeros()).map_err(refusal)?;
            }
        } else if let Ok(value) = i32::try_from(value) {
            asm.imul_3(target, x, value).map_err(refusal)?;
        } else {
            asm.mov(rcx, value).map_err(refusal)?;
            asm.imul_2(rcx, x).map_err(refusal)?;
            asm.mov(target, rcx).map_err(refusal)?;
        }
        self.write(to, target)
    }

    /// Exact by a reciprocal: with m = floor(2^64 / d) + 1 = (2^64 + e) / d, where 0 < e <= d, the upper half of x * m
    /// is floor(x / d + x * e / (d * 2^64)). The second summand is less than 1 / d as long as x * e < 2^64, so the sum
    /// does not reach the next integer; x <= 2^40 and e <= d <= 2^20 keep x * e within 2^60.
    pub(super) fn divide_constant(
        &mut self,
        to: Scalar,
        x: Scalar,
        value: u64,
    ) -> Result<(), Refusal> {
        if value == 0 || value > 1 << 20 {
            return Err(Refusal::Malformed(format!("a division by {value}")));
        }
        if value.is_power_of_two() {
            let target = self.target(to);
            let x = self.read(x, rax)?;
            if target != x {
                self.writer.asm.mov(target, x).map_err(refusal)?;
            }
            if value > 1 {
                self.writer.asm.shr(target, value.trailing_zeros()).map_err(refusal)?;
            }
            return self.write(to, target);
        }
        let x = self.read(x, rax)?;
        self.writer.asm.mov(rdx, reciprocal(value)).map_err(refusal)?;
        let target = self.target(to);
        self.writer.asm.mulx(target, rcx, x).map_err(refusal)?;
        self.write(to, target)
    }

    pub(super) fn frame(&mut self, to: Scalar, word: u32) -> Result<(), Refusal> {
        let offset = i32::try_from(u64::from(word) * 8);
        let offset = offset.map_err(|_| Refusal::Malformed(format!("frame word {word}")))?;
        let target = self.target(to);
        self.writer.asm.mov(target, qword_ptr(rdi + offset)).map_err(refusal)?;
        self.write(to, target)
    }

    /// eax with as many ones, from below, as `count` says.
    pub(super) fn low_ones(&mut self, count: Scalar) -> Result<(), Refusal> {
        let count = self.read(count, rcx)?;
        self.writer.asm.mov(eax, -1).map_err(refusal)?;
        self.writer.asm.bzhi(eax, eax, low_half(count)).map_err(refusal)
    }
}

/// floor(2^64 / d) + 1.
fn reciprocal(value: u64) -> u64 {
    u64::MAX / value + 1
}

/// The lower 32 bits of a register.
pub(super) fn low_half(register: AsmRegister64) -> iced_x86::code_asm::AsmRegister32 {
    let full: Register = register.into();
    get_gpr32(lower(full)).expect("every register of 64 bits has a lower half")
}

/// As `low_half`, of plain registers.
pub(super) fn lower(full: Register) -> Register {
    Register::EAX + (full as u32 - Register::RAX as u32)
}

#[cfg(test)]
mod tests {
    use super::reciprocal;

    /// The dividends next to multiples of the divisor, which are the first to go wrong.
    #[test]
    fn reciprocals_divide_exactly() {
        let limit: u64 = 1 << 40;
        let divisors = (2..2000).chain((1 << 20) - 500..=1 << 20).chain((2..1 << 20).step_by(997));
        for divisor in divisors.filter(|divisor| !u64::is_power_of_two(*divisor)) {
            let last = limit / divisor;
            for quotient in [1, 2, 3, last / 3, last / 2, last - 1, last] {
                let multiple = quotient * divisor;
                for dividend in [multiple - 1, multiple, multiple + 1, limit] {
                    let product = u128::from(dividend) * u128::from(reciprocal(divisor));
                    let found = (product >> 64) as u64;
                    assert_eq!(found, dividend / divisor, "{dividend} / {divisor}");
                }
            }
        }
    }
}
