//! The leaf: what the wide path computes with, between a nest and instructions.
//!
//! A leaf is a function of one frame, an array of 64-bit words that its caller fills with pointers, lengths and flags.
//! It has structured control (loops and branches) and three kinds of virtual registers that may be assigned more than
//! once: vectors of `lanes` elements, predicates (a truth value for each lane) and scalars (64-bit integers: addresses,
//! counters). The width of an operation follows from the leaf's lanes and the operation's element: in a leaf of eight
//! lanes an f64 operation takes 512 bits and an f32 operation 256.
//! Invariant: a register is assigned before it is read on every way there; no byte outside of the elements named is read
//! or written.

use super::tiles::TileOp;

/// A virtual vector register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vector(pub u32);

/// A virtual register of truth values, one for each lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Predicate(pub u32);

/// A virtual 64-bit register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scalar(pub u32);

/// What the lanes of an operation hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Floats of 32 bits.
    F32,
    /// Floats of 64 bits.
    F64,
    /// Integers of 32 bits.
    I32,
    /// Integers of 64 bits.
    I64,
}

impl Lane {
    /// Bytes of one lane.
    pub fn bytes(self) -> u64 {
        match self {
            Self::F32 | Self::I32 => 4,
            Self::F64 | Self::I64 => 8,
        }
    }
}

/// Elements in memory, as they are read into lanes and written from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Element {
    /// f32, or i32 bits.
    Word,
    /// f64, or i64 bits.
    Double,
    /// f16, as f32 lanes; written rounded to nearest even.
    F16,
    /// 16 bits into i32 lanes with zeros; written by their low half.
    U16,
    /// 16 bits into i32 lanes with their sign; written by their low half.
    I16,
    /// 8 bits into i32 lanes with zeros; written by their low byte.
    U8,
    /// 8 bits into i32 lanes with their sign; written by their low byte.
    I8,
}

impl Element {
    /// Bytes of one element in memory.
    pub fn bytes(self) -> u64 {
        match self {
            Self::Double => 8,
            Self::Word => 4,
            Self::F16 | Self::U16 | Self::I16 => 2,
            Self::U8 | Self::I8 => 1,
        }
    }

    /// Bytes of the lane that it fills.
    pub fn lane_bytes(self) -> u64 {
        if self == Self::Double { 8 } else { 4 }
    }
}

/// `base + displacement`, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// A pointer.
    pub base: Scalar,
    /// Bytes from there.
    pub displacement: i32,
}

/// The second factor or summand of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A register.
    Vector(Vector),
    /// One element of the operation's lane in memory, in all lanes.
    Splat(Address),
    /// As many elements of the operation's lane in memory as there are lanes.
    Memory(Address),
}

/// An operation of two vectors, lane by lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dyad {
    /// Sum; of integers, wrapping.
    Add,
    /// Difference; of integers, wrapping.
    Sub,
    /// Product; of integers, its low half. I64 has none.
    Mul,
    /// Quotient of floats.
    Div,
    /// `x < y ? x : y`: of floats y where either is NaN and where both are zeros; of integers signed. I64 has none.
    Min,
    /// `x > y ? x : y`, likewise.
    Max,
    /// Bits of both. Floats as well.
    And,
    /// Bits of either.
    Or,
    /// Bits of one of them.
    Xor,
    /// Bits of y that are not in x.
    AndNot,
}

/// An operation of one vector, lane by lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Monad {
    /// Square root of floats, rounded once.
    Sqrt,
    /// Rounding of floats to an integer, ties to even.
    RoundEven,
    /// Rounding of floats downwards.
    Floor,
    /// Magnitude of I32; the least integer stays.
    Abs,
    /// I32 lanes to F32 lanes.
    FloatOfInteger,
    /// F32 lanes to I32 lanes, towards zero; what does not fit becomes the least integer.
    IntegerOfFloat,
    /// I32 lanes to F64 lanes.
    DoubleOfInteger,
    /// F64 lanes to I32 lanes, towards zero; what does not fit becomes the least integer.
    IntegerOfDouble,
    /// F32 lanes to F64 lanes.
    DoubleOfFloat,
    /// F64 lanes to F32 lanes, to nearest even.
    FloatOfDouble,
    /// The low halves of I64 lanes as I32 lanes.
    LowHalf,
    /// I32 lanes to I64 lanes, with their sign.
    Extend,
    /// F32 lanes rounded to nearest even f16, back as F32 lanes.
    RoundToF16,
}

/// Narrow elements whose products are added in groups that fill a lane of 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Narrow {
    /// Four of 8 bits, unsigned times signed, summed as I32, wrapping.
    Bytes,
    /// Two signed ones of 16 bits, summed as I32, wrapping.
    Words,
    /// Two of bf16, summed as F32 in any order; subnormal factors and sums count as zero.
    Bf16,
}

impl Narrow {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Bytes, Self::Words, Self::Bf16];

    /// Elements in a lane.
    pub fn count(self) -> u64 {
        match self {
            Self::Bytes => 4,
            Self::Words | Self::Bf16 => 2,
        }
    }
}

/// A shift by a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shift {
    /// To the left.
    Left,
    /// To the right, zeros coming in.
    RightLogical,
    /// To the right, copies of the sign coming in. I32 alone.
    RightArithmetic,
}

/// A comparison, lane by lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// Equal; false with NaN.
    Equal,
    /// Not equal; true with NaN.
    NotEqual,
    /// Less; false with NaN; of integers signed.
    Less,
    /// Less or equal; false with NaN; of integers signed.
    LessEqual,
    /// Not less; true with NaN. Floats alone.
    NotLess,
    /// Either is NaN. Floats alone.
    Unordered,
}

/// An operation of truth values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Logic {
    /// Both.
    And,
    /// Either.
    Or,
    /// One of them.
    Xor,
    /// The second and not the first.
    AndNot,
}

/// Which lanes a load fills or a store writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// All, with neighbours.
    Whole,
    /// Those of the predicate, with neighbours; a load fills the others with zeros.
    Where(Predicate),
    /// All, with one element. Loads alone.
    Splat,
    /// Lane 0; a load fills the others with zeros.
    First,
}

/// A straight operation.
#[expect(missing_docs, reason = "the line of a variant says what its fields are")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// The same bits in every lane.
    Constant { to: Vector, lane: Lane, bits: u64 },
    /// 0, 1, 2, ... as I32 lanes.
    LaneNumbers { to: Vector },
    /// Sixteen words, one for each lane of four bytes.
    Words { to: Vector, words: [u32; 16] },
    /// A copy.
    Copy { to: Vector, x: Vector },
    /// `to = op(x, y)`.
    Dyad { op: Dyad, lane: Lane, to: Vector, x: Vector, y: Operand },
    /// `to = op(x)`; `lane` is that of x.
    Monad { op: Monad, lane: Lane, to: Vector, x: Vector },
    /// `to = x shifted by count`.
    Shift { op: Shift, lane: Lane, to: Vector, x: Vector, count: u8 },
    /// `to = x * y + z` of floats, rounded once.
    MultiplyAdd { lane: Lane, to: Vector, x: Vector, y: Operand, z: Vector },
    /// `to = z + ` the sum of the products of each lane's narrow elements; of bytes, x's are unsigned and y's signed.
    Dot { of: Narrow, to: Vector, x: Vector, y: Operand, z: Vector },
    /// `to = x * 2^floor(y)` of floats, rounded once, with IEEE answers, except that a quiet NaN times 2^inf is inf and
    /// times 2^-inf is 0. 0 where the predicate does not hold. AVX-512 alone.
    Scale { lane: Lane, to: Vector, x: Vector, y: Vector, mask: Option<Predicate> },
    /// `to[i] = table[at[i] mod 16]` of F32 or I32 lanes, sixteen of them. AVX-512 alone.
    LookUp { to: Vector, table: Vector, at: Vector },
    /// `to[i] = table[at[i]]` of halves of lanes: of all numbers of 16 bits in `at` the low bits that count those of a table.
    /// AVX-512 alone.
    LookUpHalves { to: Vector, table: Vector, at: Vector },
    /// The F32 lanes of x, then those of y, in halves of lanes: rounded to nearest even bf16, subnormal numbers as zero. For
    /// `Isa::Avx512Bf16`.
    Halve { to: Vector, x: Vector, y: Vector },
    /// `to = x op y`.
    Compare { op: Condition, lane: Lane, to: Predicate, x: Vector, y: Operand },
    /// `to = mask ? yes : no`.
    Select { lane: Lane, to: Vector, mask: Predicate, yes: Vector, no: Vector },
    /// `to[i] = x[i + count]`, `count` a power of two below the number of lanes; the upper lanes hold anything.
    LanesDown { lane: Lane, to: Vector, x: Vector, count: u8 },
    /// In every 16 bytes, groups of `unit` lanes in turns from the lower halves (`high`: the upper ones) of x and y.
    Zip { lane: Lane, unit: u8, high: bool, to: Vector, x: Vector, y: Vector },
    /// Pieces of 16 bytes: the lower half of them from x, the upper from y, which ones by the bits of `pick`, lowest
    /// first: two bits each of four pieces, one bit each of two.
    Pieces { lane: Lane, to: Vector, x: Vector, y: Vector, pick: u8 },
    /// The low bits of a scalar in every lane.
    Splat { lane: Lane, to: Vector, from: Scalar },
    /// `to = op(x, y)`.
    Logic { op: Logic, to: Predicate, x: Predicate, y: Predicate },
    /// `to = not x`.
    Not { to: Predicate, x: Predicate },
    /// The same truth value in every lane.
    Always { to: Predicate, value: bool },
    /// True in the lanes below a count, which is less than the number of lanes.
    FirstLanes { to: Predicate, count: Scalar },
    /// Elements of memory.
    Load { element: Element, to: Vector, at: Address, span: Span },
    /// Elements of 4 bits, two to a byte and the low half first, into I32 lanes with their sign. The predicate says which
    /// bytes are read, half as many as there are lanes; the others are zeros. AVX2 has no predicate here.
    Nibbles { to: Vector, at: Address, bytes: Option<Predicate> },
    /// The elements at `at + index` bytes, `index` an I32 for each lane; zeros where the predicate does not hold.
    Gather { element: Element, to: Vector, at: Address, index: Vector, mask: Option<Predicate> },
    /// Elements to memory; `streaming` past the caches (whole vectors of words or doubles, aligned to their size);
    /// who lets other threads read what such a store wrote executes a fence before.
    Store { element: Element, from: Vector, at: Address, span: Span, streaming: bool },
    /// Elements to `at + index` bytes, lower lanes first. AVX-512 alone.
    Scatter { element: Element, from: Vector, at: Address, index: Vector, mask: Option<Predicate> },
    /// Fetches the line of an address into the caches from `level` (1, 2 or 3) on.
    Prefetch { at: Address, level: u8 },
    /// `to = value`.
    Set { to: Scalar, value: i64 },
    /// `to = x`.
    Move { to: Scalar, x: Scalar },
    /// `to = x + value`.
    AddConstant { to: Scalar, x: Scalar, value: i64 },
    /// `to = x + y`.
    Add { to: Scalar, x: Scalar, y: Scalar },
    /// `to = x - y`.
    Subtract { to: Scalar, x: Scalar, y: Scalar },
    /// `to = x * value`.
    MultiplyConstant { to: Scalar, x: Scalar, value: i64 },
    /// `to = x / value`, for x from 0 to 2^40 and a value from 1 to 2^20.
    DivideConstant { to: Scalar, x: Scalar, value: u64 },
    /// A word of the frame.
    Frame { to: Scalar, word: u32 },
    /// An operation of tile registers. They are no part of the allocation: a leaf names those that it uses.
    Tile(TileOp),
}

/// Where a loop ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// A number.
    Constant(i64),
    /// A register, which the body does not assign.
    Scalar(Scalar),
}

/// A piece of a leaf.
#[expect(missing_docs, reason = "the line of a variant says what its fields are")]
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// One operation.
    Op(Op),
    /// `while index < end { body; index += step }`. `entered`: it is known that the body runs at least once.
    Loop { index: Scalar, end: Limit, step: i64, entered: bool, body: Vec<Node> },
    /// `if condition != 0 { then } else { otherwise }`.
    If { condition: Scalar, then: Vec<Node>, otherwise: Vec<Node> },
    /// `if any lane of mask { then }`.
    IfAny { mask: Predicate, then: Vec<Node> },
}

/// A function of one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf {
    /// The statement it comes from, for people.
    pub name: String,
    /// Lanes of every vector: a power of two.
    pub lanes: u64,
    /// Constants, each assigned once, before everything else; they may live in memory instead of a register.
    pub constants: Vec<Op>,
    /// The rest.
    pub body: Vec<Node>,
    /// Vector registers.
    pub vectors: u32,
    /// Predicates.
    pub predicates: u32,
    /// Scalars.
    pub scalars: u32,
}

/// The registers that an operation assigns and reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Register {
    /// A vector.
    Vector(Vector),
    /// A predicate.
    Predicate(Predicate),
    /// A scalar.
    Scalar(Scalar),
}

impl Op {
    /// What the operation assigns.
    pub fn assigned(&self) -> Option<Register> {
        match *self {
            Self::Constant { to, .. }
            | Self::LaneNumbers { to }
            | Self::Words { to, .. }
            | Self::LookUp { to, .. }
            | Self::LookUpHalves { to, .. }
            | Self::Halve { to, .. }
            | Self::Copy { to, .. }
            | Self::Dyad { to, .. }
            | Self::Monad { to, .. }
            | Self::Shift { to, .. }
            | Self::MultiplyAdd { to, .. }
            | Self::Dot { to, .. }
            | Self::Scale { to, .. }
            | Self::Select { to, .. }
            | Self::LanesDown { to, .. }
            | Self::Zip { to, .. }
            | Self::Pieces { to, .. }
            | Self::Splat { to, .. }
            | Self::Load { to, .. }
            | Self::Nibbles { to, .. }
            | Self::Gather { to, .. } => Some(Register::Vector(to)),
            Self::Compare { to, .. }
            | Self::Logic { to, .. }
            | Self::Not { to, .. }
            | Self::Always { to, .. }
            | Self::FirstLanes { to, .. } => Some(Register::Predicate(to)),
            Self::Set { to, .. }
            | Self::Move { to, .. }
            | Self::AddConstant { to, .. }
            | Self::Add { to, .. }
            | Self::Subtract { to, .. }
            | Self::MultiplyConstant { to, .. }
            | Self::DivideConstant { to, .. }
            | Self::Frame { to, .. } => Some(Register::Scalar(to)),
            Self::Store { .. } | Self::Scatter { .. } | Self::Prefetch { .. } | Self::Tile(_) => {
                None
            }
        }
    }

    /// What the operation reads.
    pub fn read(&self) -> Vec<Register> {
        use Register as R;
        let address = |at: Address| R::Scalar(at.base);
        let operand = |y: Operand| match y {
            Operand::Vector(y) => R::Vector(y),
            Operand::Splat(at) | Operand::Memory(at) => R::Scalar(at.base),
        };
        let span = |span: Span| match span {
            Span::Where(mask) => Some(R::Predicate(mask)),
            Span::Whole | Span::Splat | Span::First => None,
        };
        match *self {
            Self::Constant { .. }
            | Self::LaneNumbers { .. }
            | Self::Words { .. }
            | Self::Always { .. }
            | Self::Set { .. }
            | Self::Frame { .. } => vec![],
            Self::Copy { x, .. }
            | Self::Monad { x, .. }
            | Self::Shift { x, .. }
            | Self::LanesDown { x, .. } => vec![R::Vector(x)],
            Self::Dyad { x, y, .. } | Self::Compare { x, y, .. } => vec![R::Vector(x), operand(y)],
            Self::MultiplyAdd { x, y, z, .. } | Self::Dot { x, y, z, .. } => {
                vec![R::Vector(x), operand(y), R::Vector(z)]
            }
            Self::Scale { x, y, mask, .. } => {
                let own = [R::Vector(x), R::Vector(y)];
                own.into_iter().chain(mask.map(R::Predicate)).collect()
            }
            Self::Zip { x, y, .. } | Self::Pieces { x, y, .. } | Self::Halve { x, y, .. } => {
                vec![R::Vector(x), R::Vector(y)]
            }
            Self::Select { mask, yes, no, .. } => {
                vec![R::Predicate(mask), R::Vector(yes), R::Vector(no)]
            }
            Self::LookUp { table, at, .. } | Self::LookUpHalves { table, at, .. } => {
                vec![R::Vector(table), R::Vector(at)]
            }
            Self::Splat { from, .. } => vec![R::Scalar(from)],
            Self::Logic { x, y, .. } => vec![R::Predicate(x), R::Predicate(y)],
            Self::Not { x, .. } => vec![R::Predicate(x)],
            Self::FirstLanes { count, .. } => vec![R::Scalar(count)],
            Self::Load { at, span: of, .. } => {
                [Some(address(at)), span(of)].into_iter().flatten().collect()
            }
            Self::Nibbles { at, bytes, .. } => {
                [Some(address(at)), bytes.map(R::Predicate)].into_iter().flatten().collect()
            }
            Self::Store { from, at, span: of, .. } => {
                [Some(R::Vector(from)), Some(address(at)), span(of)].into_iter().flatten().collect()
            }
            Self::Gather { at, index, mask, .. } => {
                let mask = mask.map(R::Predicate);
                [Some(address(at)), Some(R::Vector(index)), mask].into_iter().flatten().collect()
            }
            Self::Scatter { from, at, index, mask, .. } => {
                let own = [R::Vector(from), address(at), R::Vector(index)];
                own.into_iter().chain(mask.map(R::Predicate)).collect()
            }
            Self::Prefetch { at, .. } => vec![address(at)],
            Self::Tile(op) => op.read(),
            Self::Move { x, .. }
            | Self::AddConstant { x, .. }
            | Self::MultiplyConstant { x, .. }
            | Self::DivideConstant { x, .. } => vec![R::Scalar(x)],
            Self::Add { x, y, .. } | Self::Subtract { x, y, .. } => {
                vec![R::Scalar(x), R::Scalar(y)]
            }
        }
    }
}
