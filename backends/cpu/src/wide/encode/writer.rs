//! Puts instructions and constants into bytes.
//!
//! Instructions go through iced-x86, whose assembler resolves labels and picks the sizes of jumps. Constants are
//! gathered in a pool behind the code, each aligned to its size, and addressed from the instruction pointer.
//! Invariant: the bytes hold no address. The pool begins at a multiple of 64 from the first byte.

use super::super::isa::{Isa, Refusal};
use super::rows::Row;
use iced_x86::code_asm::CodeAssembler;
use iced_x86::{
    BlockEncoderOptions, Code, ConstantOffsets, IcedError, Instruction, OpKind, Register,
};
use std::collections::BTreeMap;

/// Where the pool seems to be until its place is known: farther than any code is long.
const POOL: u64 = 0x1000_0000;

/// Bytes at which the pool is aligned.
const POOL_ALIGNMENT: usize = 64;

/// A place in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    /// A pointer, or `RIP` for the pool.
    pub(super) base: Register,
    /// A register added to it, or `None`.
    pub(super) index: Register,
    /// Bytes from there.
    pub(super) displacement: i64,
    /// Whether one element stands for all lanes.
    pub(super) broadcast: bool,
}

impl Memory {
    /// `base + displacement`.
    pub(super) fn at(base: Register, displacement: i64) -> Self {
        Self { base, index: Register::None, displacement, broadcast: false }
    }

    /// The same place `bytes` farther.
    pub(super) fn plus(self, bytes: i64) -> Self {
        Self { displacement: self.displacement + bytes, ..self }
    }
}

/// An operand of an instruction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Arg {
    /// A vector register by number, of so many bytes.
    Vector(u8, u64),
    /// A mask register, `k1` for 0.
    Mask(u8),
    /// Any other register.
    General(Register),
    /// A place in memory.
    Memory(Memory),
    /// A number of 8 bits.
    Byte(u8),
}

/// Lanes that an instruction writes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Under {
    /// All.
    All,
    /// Those of a mask register; the others stay.
    Keep(u8),
    /// Those of a mask register; the others become zero.
    Zero(u8),
}

/// Instructions being written.
pub(super) struct Writer {
    /// For jumps, labels and scalar instructions.
    pub(super) asm: CodeAssembler,
    /// The instruction set.
    pub(super) isa: Isa,
    pool: Vec<u8>,
    known: BTreeMap<Vec<u8>, u64>,
    /// Whether an instruction touched more than 128 bits of a register.
    wide: bool,
}

impl Writer {
    pub(super) fn new(isa: Isa) -> Result<Self, Refusal> {
        let asm = CodeAssembler::new(64).map_err(refusal)?;
        Ok(Self { asm, isa, pool: vec![], known: BTreeMap::new(), wide: false })
    }

    /// Whether the upper parts of vector registers must be cleared before the return.
    pub(super) fn is_wide(&self) -> bool {
        self.wide
    }

    /// The instruction of `row` for vectors of `bytes`.
    pub(super) fn row(
        &mut self,
        row: &Row,
        bytes: u64,
        args: &[Arg],
        under: Under,
    ) -> Result<(), Refusal> {
        let code = row.code(self.isa, bytes).ok_or_else(|| {
            let name = row.name.to_ascii_lowercase().replace('_', " ");
            Refusal::Missing(self.isa, format!("{name} of {bytes} bytes"))
        })?;
        self.instruct(code, args, under)
    }

    /// One instruction.
    pub(super) fn instruct(
        &mut self,
        code: Code,
        args: &[Arg],
        under: Under,
    ) -> Result<(), Refusal> {
        let mut instruction = Instruction::new();
        instruction.set_code(code);
        for (place, arg) in args.iter().enumerate() {
            self.set(&mut instruction, place as u32, *arg)?;
        }
        match under {
            Under::All => {}
            Under::Keep(mask) => instruction.set_op_mask(Register::K1 + u32::from(mask)),
            Under::Zero(mask) => {
                instruction.set_op_mask(Register::K1 + u32::from(mask));
                instruction.set_zeroing_masking(true);
            }
        }
        self.asm.add_instruction(instruction).map_err(refusal)
    }

    fn set(&mut self, to: &mut Instruction, place: u32, arg: Arg) -> Result<(), Refusal> {
        let register = match arg {
            Arg::Vector(number, bytes) => {
                self.wide |= bytes > 16;
                vector(number, bytes)
            }
            Arg::Mask(number) => Register::K1 + u32::from(number),
            Arg::General(register) => register,
            Arg::Memory(memory) => {
                to.try_set_op_kind(place, OpKind::Memory).map_err(refusal)?;
                to.set_memory_base(memory.base);
                to.set_memory_index(memory.index);
                to.set_memory_index_scale(1);
                to.set_memory_displacement64(memory.displacement as u64);
                let size = match memory {
                    Memory { base: Register::RIP, .. } => 8,
                    Memory { displacement: 0, .. } => 0,
                    Memory { .. } => 1,
                };
                to.set_memory_displ_size(size);
                to.set_is_broadcast(memory.broadcast);
                return Ok(());
            }
            Arg::Byte(value) => {
                to.try_set_op_kind(place, OpKind::Immediate8).map_err(refusal)?;
                to.set_immediate8(value);
                return Ok(());
            }
        };
        to.try_set_op_kind(place, OpKind::Register).map_err(refusal)?;
        to.try_set_op_register(place, register).map_err(refusal)
    }

    /// Bytes of the pool: a power of two of them, at most 64, aligned to their number.
    pub(super) fn constant(&mut self, bytes: &[u8]) -> Memory {
        let offset = *self.known.entry(bytes.to_vec()).or_insert_with(|| {
            self.pool.resize(self.pool.len().next_multiple_of(bytes.len()), 0);
            self.pool.extend_from_slice(bytes);
            (self.pool.len() - bytes.len()) as u64
        });
        Memory::at(Register::RIP, (POOL + offset) as i64)
    }

    /// The code, then the pool.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, Refusal> {
        let from_pointer: Vec<bool> = self
            .asm
            .instructions()
            .iter()
            .map(|instruction| instruction.is_ip_rel_memory_operand())
            .collect();
        let options = BlockEncoderOptions::RETURN_NEW_INSTRUCTION_OFFSETS
            | BlockEncoderOptions::RETURN_CONSTANT_OFFSETS;
        let result = self.asm.assemble_options(0, options).map_err(refusal)?.inner;
        let mut bytes = result.code_buffer;
        if self.pool.is_empty() {
            return Ok(bytes);
        }
        let begin = bytes.len().next_multiple_of(POOL_ALIGNMENT);
        let places = result.new_instruction_offsets.iter().zip(&result.constant_offsets);
        for ((&instruction, constants), _) in
            places.zip(&from_pointer).filter(|(_, from_pointer)| **from_pointer)
        {
            move_pool(&mut bytes, instruction as usize, constants, begin);
        }
        bytes.resize(begin, 0xcc);
        bytes.extend_from_slice(&self.pool);
        Ok(bytes)
    }
}

/// Corrects the distance to the pool, which the encoder believed to be at `POOL`.
fn move_pool(bytes: &mut [u8], instruction: usize, constants: &ConstantOffsets, begin: usize) {
    let at = instruction + constants.displacement_offset();
    let field = &mut bytes[at..at + 4];
    let believed = i32::from_le_bytes(field.try_into().expect("a distance has four bytes"));
    let distance = i64::from(believed) - POOL as i64 + begin as i64;
    let distance = i32::try_from(distance).expect("code is shorter than 2 GiB");
    field.copy_from_slice(&distance.to_le_bytes());
}

/// The register of a number and a width.
pub(super) fn vector(number: u8, bytes: u64) -> Register {
    let first = match bytes {
        64 => Register::ZMM0,
        32 => Register::YMM0,
        _ => Register::XMM0,
    };
    first + u32::from(number)
}

/// An error of the assembler: an operand that an instruction does not take.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn refusal(error: IcedError) -> Refusal {
    Refusal::Malformed(error.to_string())
}
