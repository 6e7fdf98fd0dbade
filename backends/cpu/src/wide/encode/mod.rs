//! A leaf as machine code: `extern "sysv64" fn(frame: *const u64)`.
//!
//! `vectors`, `predicates`, `memory`, `lanes` and `scalars` write single operations, here stands what holds them
//! together: the entry, the loops and branches, the return. The frame stays in rdi; rax, rcx and rdx belong to single
//! operations; the other registers hold scalars. Below the saved registers the stack has a stage (where code goes lane
//! by lane) and the spilled scalars.
//! Invariant: the code calls nothing, holds no address, and leaves the registers of its caller as they were.

mod avx2;
mod demands;
mod lanes;
mod memory;
mod predicates;
mod products;
mod rows;
mod scalars;
mod shuffles;
mod tiles;
mod vectors;
mod writer;

use super::allocate::{Allocation, poolable};
use super::isa::{Isa, Refusal};
use super::print::words;
use super::program::{Lane, Leaf, Limit, Node, Op, Predicate, Register as Virtual, Scalar, Vector};
use demands::{Needs, Survey};
use iced_x86::Code;
use iced_x86::Register;
use iced_x86::code_asm::{AsmRegister64, CodeLabel, get_gpr64, rax, rcx, rsp};
use std::collections::BTreeMap;
use writer::{Arg, Under, Writer, refusal};

/// Registers of scalars: first those that a function may change.
const SCALARS: [Register; 11] = [
    Register::RSI,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::R11,
    Register::RBX,
    Register::RBP,
    Register::R12,
    Register::R13,
    Register::R14,
    Register::R15,
];

/// How many of `SCALARS` are free to change.
const UNSAVED: usize = 5;

/// Bytes of the stage: a vector of indices and a vector of elements.
const STAGE_BYTES: i32 = 128;

/// Machine code of a leaf, to be placed at a multiple of 64.
///
/// # Errors
/// When the instruction set lacks an operation, when vectors or predicates do not fit into its registers, or when the
/// leaf breaks its rules.
pub fn encode(leaf: &Leaf, isa: Isa) -> Result<Vec<u8>, Refusal> {
    let survey = Survey::of(leaf, isa);
    let needs = Needs { isa, widest: survey.widest };
    let at = Allocation::of(leaf, isa, SCALARS.len(), &needs)?;
    let mut encoder = Encoder::new(leaf, isa, at, &survey)?;
    encoder.enter()?;
    for op in &leaf.constants {
        if poolable(op).is_none_or(|constant| !encoder.at.pooled.contains(&constant)) {
            encoder.op(op)?;
        }
    }
    encoder.nodes(&leaf.body)?;
    encoder.leave()?;
    encoder.writer.finish()
}

/// The least instruction set with vectors of this length for which `encode` writes the same code.
pub fn least_isa(leaf: &Leaf, isa: Isa) -> Isa {
    isa.base().max(Survey::of(leaf, isa).least.min(isa))
}

/// The code of a leaf being written.
struct Encoder<'a> {
    isa: Isa,
    lanes: u64,
    /// Bytes of the widest lane of the leaf.
    widest: u64,
    at: Allocation,
    constants: BTreeMap<Vector, &'a Op>,
    writer: Writer,
    /// Scratch vectors taken by the operation at hand.
    taken: usize,
    /// Whether the leaf uses tile registers.
    tiled: bool,
    /// Bytes of the stack before the spilled scalars.
    stage_bytes: i32,
}

impl<'a> Encoder<'a> {
    fn new(leaf: &'a Leaf, isa: Isa, at: Allocation, survey: &Survey) -> Result<Self, Refusal> {
        let constants = leaf.constants.iter();
        let constants = constants.filter_map(|op| Some((poolable(op)?, op))).collect();
        Ok(Self {
            isa,
            lanes: leaf.lanes,
            widest: survey.widest,
            at,
            constants,
            writer: Writer::new(isa)?,
            taken: 0,
            tiled: survey.tiled,
            stage_bytes: if survey.staged { STAGE_BYTES } else { 0 },
        })
    }

    fn saved(&self) -> Vec<AsmRegister64> {
        let mut used: Vec<u8> = self.at.scalar_registers().collect();
        used.sort_unstable();
        used.dedup();
        used.retain(|&register| usize::from(register) >= UNSAVED);
        used.into_iter().map(scalar_register).collect()
    }

    fn stack_bytes(&self) -> i32 {
        self.stage_bytes + 8 * self.at.stack_words as i32
    }

    fn enter(&mut self) -> Result<(), Refusal> {
        for register in self.saved() {
            self.writer.asm.push(register).map_err(refusal)?;
        }
        match self.stack_bytes() {
            0 => Ok(()),
            bytes => self.writer.asm.sub(rsp, bytes).map_err(refusal),
        }?;
        if self.tiled { self.configure_tiles() } else { Ok(()) }
    }

    fn leave(&mut self) -> Result<(), Refusal> {
        if self.tiled {
            self.release_tiles()?;
        }
        if self.stack_bytes() != 0 {
            self.writer.asm.add(rsp, self.stack_bytes()).map_err(refusal)?;
        }
        for register in self.saved().into_iter().rev() {
            self.writer.asm.pop(register).map_err(refusal)?;
        }
        if self.writer.is_wide() {
            self.writer.instruct(Code::VEX_Vzeroupper, &[], Under::All)?;
        }
        self.writer.asm.ret().map_err(refusal)
    }

    fn nodes(&mut self, nodes: &[Node]) -> Result<(), Refusal> {
        for node in nodes {
            match node {
                Node::Op(op) => self.op(op)?,
                Node::Loop { index, end, step, entered, body } => {
                    self.repeat((*index, *end, *step), *entered, body)?;
                }
                Node::If { condition, then, otherwise } => {
                    self.branch(*condition, then, otherwise)?;
                }
                Node::IfAny { mask, then } => {
                    let mut over = self.label();
                    self.jump_if_none(*mask, over)?;
                    self.nodes(then)?;
                    self.place(&mut over)?;
                }
            }
        }
        Ok(())
    }

    fn repeat(
        &mut self,
        (index, end, step): (Scalar, Limit, i64),
        entered: bool,
        body: &[Node],
    ) -> Result<(), Refusal> {
        let (mut top, mut over) = (self.label(), self.label());
        if !entered {
            self.compare(index, end)?;
            self.writer.asm.jge(over).map_err(refusal)?;
        }
        self.place(&mut top)?;
        self.nodes(body)?;
        self.add_constant(index, index, step)?;
        self.compare(index, end)?;
        self.writer.asm.jl(top).map_err(refusal)?;
        self.place(&mut over)
    }

    fn branch(
        &mut self,
        condition: Scalar,
        then: &[Node],
        otherwise: &[Node],
    ) -> Result<(), Refusal> {
        let (mut other, mut over) = (self.label(), self.label());
        let condition = self.read(condition, rax)?;
        self.writer.asm.test(condition, condition).map_err(refusal)?;
        self.writer.asm.je(other).map_err(refusal)?;
        self.nodes(then)?;
        if !otherwise.is_empty() {
            self.writer.asm.jmp(over).map_err(refusal)?;
        }
        self.place(&mut other)?;
        self.nodes(otherwise)?;
        self.place(&mut over)
    }

    fn compare(&mut self, index: Scalar, end: Limit) -> Result<(), Refusal> {
        let index = self.read(index, rax)?;
        let end = match end {
            Limit::Constant(value) => match i32::try_from(value) {
                Ok(value) => return self.writer.asm.cmp(index, value).map_err(refusal),
                Err(_) => {
                    self.writer.asm.mov(rcx, value).map_err(refusal)?;
                    rcx
                }
            },
            Limit::Scalar(end) => self.read(end, rcx)?,
        };
        self.writer.asm.cmp(index, end).map_err(refusal)
    }

    fn label(&mut self) -> CodeLabel {
        self.writer.asm.create_label()
    }

    /// Puts a label before the next instruction. An empty instruction carries it, since two labels may meet.
    fn place(&mut self, label: &mut CodeLabel) -> Result<(), Refusal> {
        self.writer.asm.set_label(label).map_err(refusal)?;
        self.writer.asm.zero_bytes().map_err(refusal)
    }

    fn op(&mut self, op: &Op) -> Result<(), Refusal> {
        self.taken = 0;
        match *op {
            Op::Constant { to, .. } | Op::LaneNumbers { to } | Op::Words { to, .. } => {
                self.constant(to, op)
            }
            Op::LookUp { to, table, at } => self.look_up(to, table, at),
            Op::LookUpHalves { to, table, at } => self.look_up_halves(to, table, at),
            Op::Halve { to, x, y } => self.halve(to, x, y),
            Op::Copy { to, x } => self.copy(to, x),
            Op::Dyad { op, lane, to, x, y } => self.dyad(op, lane, to, (x, y)),
            Op::Monad { op, lane, to, x } => self.monad(op, lane, to, x),
            Op::Shift { op, lane, to, x, count } => self.shift(op, lane, to, (x, count)),
            Op::MultiplyAdd { lane, to, x, y, z } => self.multiply_add(lane, to, (x, y, z)),
            Op::Nibbles { to, at, bytes } => self.nibbles(to, at, bytes),
            Op::Dot { of, to, x, y, z } => self.dot(of, to, (x, y, z)),
            Op::Scale { lane, to, x, y, mask } => self.scale(lane, to, (x, y), mask),
            Op::Compare { op, lane, to, x, y } => self.condition(op, lane, to, (x, y)),
            Op::Select { lane, to, mask, yes, no } => self.select(lane, to, mask, (yes, no)),
            Op::LanesDown { lane, to, x, count } => self.lanes_down(lane, to, x, count),
            Op::Zip { lane, unit, high, to, x, y } => {
                self.zip(lane, to, (x, y), (u64::from(unit), high))
            }
            Op::Pieces { lane, to, x, y, pick } => self.pieces(lane, to, (x, y), pick),
            Op::Splat { lane, to, from } => self.splat(lane, to, from),
            Op::Logic { op, to, x, y } => self.logic(op, to, x, y),
            Op::Not { to, x } => self.not(to, x),
            Op::Always { to, value } => self.always(to, value),
            Op::FirstLanes { to, count } => self.first_lanes(to, count),
            Op::Load { element, to, at, span } => self.load(element, to, at, span),
            Op::Gather { element, to, at, index, mask } => {
                self.gather(element, to, at, (index, mask))
            }
            Op::Store { element, from, at, span, streaming } => {
                self.store(element, from, at, (span, streaming))
            }
            Op::Scatter { element, from, at, index, mask } => {
                self.scatter(element, from, at, (index, mask))
            }
            Op::Prefetch { at, level } => self.prefetch(at, level),
            Op::Set { to, value } => self.set(to, value),
            Op::Move { to, x } => self.add_constant(to, x, 0),
            Op::AddConstant { to, x, value } => self.add_constant(to, x, value),
            Op::Add { to, x, y } => self.add(to, x, y),
            Op::Subtract { to, x, y } => self.subtract(to, x, y),
            Op::MultiplyConstant { to, x, value } => self.multiply_constant(to, x, value),
            Op::DivideConstant { to, x, value } => self.divide_constant(to, x, value),
            Op::Frame { to, word } => self.frame(to, word),
            Op::Tile(op) => self.tile(op),
        }
    }

    /// Bytes of a vector with lanes of `lane_bytes`.
    fn bytes(&self, lane_bytes: u64) -> Result<u64, Refusal> {
        let bytes = self.lanes * lane_bytes;
        if matches!(bytes, 16 | 32 | 64) && bytes <= self.isa.vector_bytes() {
            Ok(bytes)
        } else {
            let what = format!("vectors of {} lanes of {lane_bytes} bytes", self.lanes);
            Err(Refusal::Missing(self.isa, what))
        }
    }

    /// The register of a vector that is assigned.
    fn vector(&self, of: Vector) -> u8 {
        self.at.register(Virtual::Vector(of)).expect("a vector that is assigned has a register")
    }

    /// The register of a predicate: a mask or a vector.
    fn predicate(&self, of: Predicate) -> u8 {
        let register = self.at.register(Virtual::Predicate(of));
        register.expect("a predicate that occurs has a register")
    }

    /// A vector register for the operation at hand.
    fn scratch(&mut self) -> u8 {
        assert!(self.taken < self.at.scratch.vectors, "`Needs` counts every scratch register");
        self.taken += 1;
        (self.isa.vectors() - self.taken) as u8
    }

    /// A mask register for the operation at hand.
    fn scratch_mask(&self) -> u8 {
        assert!(self.at.scratch.predicates > 0, "`Needs` counts every scratch register");
        (self.isa.predicates() - 1) as u8
    }

    /// The error of an operation that the set lacks.
    fn missing<T>(&self, lane: Lane, op: &impl std::fmt::Debug) -> Result<T, Refusal> {
        Err(Refusal::Missing(self.isa, format!("{lane} {}", words(op))))
    }

    fn arg(&self, of: Vector, bytes: u64) -> Arg {
        Arg::Vector(self.vector(of), bytes)
    }
}

/// The register at a position of `SCALARS`.
fn scalar_register(position: u8) -> AsmRegister64 {
    get_gpr64(SCALARS[usize::from(position)]).expect("`SCALARS` are registers of 64 bits")
}
