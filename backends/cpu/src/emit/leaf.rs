//! Nests as calls of leaves: the wide path's side of a phase.
//!
//! The phase fills a frame on its stack with pointers, starts and lengths, and calls the leaf, which lies behind the
//! phase's own code. A nest that no leaf can say is emitted in 128-bit vectors, and a note says why.
//! Invariant: a leaf reads the words of its frame and nothing else of its caller.

use super::direct;
use super::phase::{Block, Extent, Flag, PhaseEmitter};
use crate::machine::{Nest, Place};
use crate::wide::program::Leaf;
use crate::wide::{self, BlockShape, Isa, PARTIALS_MAX, Surroundings, Word};
use cranelift_codegen::CompiledCode;
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    AbiParam, ExtFuncData, ExternalName, Function, InstBuilder, Signature, StackSlot,
    StackSlotData, StackSlotKind, UserExternalName, Value, types,
};
use cranelift_codegen::isa::CallConv;
use std::collections::BTreeMap;
use tilewright_ir::AxisId;
use tilewright_ir::backend::Unsupported;

/// The name space of leaves among the functions that a phase calls.
const LEAVES: u32 = 1;
/// Leaves begin at multiples of so many bytes: lines of the caches.
const ALIGNMENT: usize = 64;

/// The machine code of a leaf.
#[derive(Clone, Debug)]
pub struct LeafCode {
    /// The leaf.
    pub leaf: Leaf,
    /// Its code and constants; position independent.
    pub bytes: Vec<u8>,
    /// For each word of its frame the argument whose address it is, if every word is one.
    pub(super) arguments: Option<Vec<u32>>,
}

/// The leaves of a phase.
#[derive(Debug)]
pub(super) struct Leaves {
    pub(super) isa: Isa,
    pub(super) codes: Vec<LeafCode>,
    /// Why nests are not leaves: name, reason.
    pub(super) notes: Vec<(String, String)>,
    /// Whether some leaf stores past the caches.
    pub(super) stream: bool,
    /// Memory for partial results, which all leaves share.
    partials: Option<StackSlot>,
}

impl Leaves {
    pub(super) fn new(isa: Isa) -> Self {
        Self { isa, codes: vec![], notes: vec![], stream: false, partials: None }
    }
}

impl PhaseEmitter<'_, '_> {
    /// Emits a nest as a call of a leaf.
    ///
    /// # Errors
    /// Why it has to be emitted otherwise; `None` where there are no leaves.
    pub(super) fn call_leaf(&mut self, nest: &Nest) -> Result<(), Option<Unsupported>> {
        let isa = self.leaves.as_ref().map(|leaves| leaves.isa).ok_or(None)?;
        match self.leaf(nest, isa) {
            Ok((code, words)) => {
                let leaves = self.leaves.as_mut().expect("the phase has leaves");
                let number = u32::try_from(leaves.codes.len()).expect("a phase has few nests");
                leaves.codes.push(code);
                // Only what is stored past the caches asks where its target lies.
                leaves.stream |= words.contains(&Word::Aligned);
                self.call(nest, number, &words);
                Ok(())
            }
            Err(refusal) => {
                let leaves = self.leaves.as_mut().expect("the phase has leaves");
                leaves.notes.push((nest.name.clone(), refusal.what.clone()));
                Err(Some(refusal))
            }
        }
    }

    fn leaf(&self, nest: &Nest, isa: Isa) -> Result<(LeafCode, Vec<Word>), Unsupported> {
        let refuse = |what: &str| self.unsupported(what, nest);
        if nest.micro.vector.is_none() {
            return Err(refuse("a nest without a vector axis"));
        }
        let axes = self.axes.ids();
        let blocks: BTreeMap<AxisId, BlockShape> =
            axes.map(|axis| (axis, shape(self.block(axis)))).collect();
        let mut around = Surroundings {
            blocks,
            always_first: matches!(self.first, Flag::Always),
            always_last: matches!(self.last, Flag::Always),
            isa,
            partials_in_memory: false,
            refuse: &refuse,
        };
        let mut nest = nest.clone();
        loop {
            let (leaf, words) = wide::lower(&nest, &around)?;
            let leaf = wide::fuse(wide::prune(leaf), isa);
            match encoded(&leaf, isa) {
                Ok((leaf, bytes)) => {
                    let is_fixed = |place: &Place| {
                        let absolute = place.terms.iter().filter(|term| !term.relative);
                        absolute.into_iter().all(|term| self.block(term.axis).start.is_none())
                    };
                    let arguments = direct::arguments(&nest, &words, is_fixed);
                    return Ok((LeafCode { leaf, bytes, arguments }, words));
                }
                Err(_) if nest.micro.chain > 0 && !around.partials_in_memory => {
                    around.partials_in_memory = true;
                }
                Err(error) if !has_smaller_tile(&mut nest) => {
                    return Err(refuse(&error.to_string()));
                }
                Err(_) => {}
            }
        }
    }

    fn call(&mut self, nest: &Nest, number: u32, words: &[Word]) {
        let places: Vec<_> = nest.dag.places.iter().chain([&nest.target]).collect();
        let mut pointers = self.base_pointers(&places);
        for (pointer, _) in pointers.iter_mut().zip(&places).filter(|(_, place)| place.packed) {
            // Leaves count whole bytes.
            *pointer = self.b.ins().ushr_imm_u(*pointer, 1);
        }
        let bytes = u32::try_from(words.len() * 8).expect("a frame has few words");
        let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 3);
        let slot = self.b.create_sized_stack_slot(slot);
        for (position, &word) in words.iter().enumerate() {
            let value = self.word(word, &pointers);
            let offset = i32::try_from(position * 8).expect("a frame has few words");
            self.b.ins().stack_store(types::I64, value, slot, offset);
        }
        let mut signature = Signature::new(CallConv::SystemV);
        signature.params.push(AbiParam::new(types::I64));
        let signature = self.b.import_signature(signature);
        let name = UserExternalName { namespace: LEAVES, index: number };
        let name = self.b.func.declare_imported_user_function(name);
        let data = ExtFuncData {
            name: ExternalName::user(name),
            signature,
            colocated: true,
            patchable: false,
        };
        let leaf = self.b.import_function(data);
        let frame = self.b.ins().stack_addr(types::I64, slot, 0);
        self.b.ins().call(leaf, &[frame]);
    }

    fn word(&mut self, word: Word, pointers: &[Value]) -> Value {
        match word {
            Word::Pointer(place) => pointers[place],
            Word::Start(axis) => match self.block(axis).start {
                Some(start) => start,
                None => self.constant(0),
            },
            Word::Length(axis) => {
                let extent = self.block(axis).extent;
                self.extent_value(extent)
            }
            Word::Partials => self.partials(),
            Word::Aligned => {
                let target = *pointers.last().expect("the target is the last place");
                let line = i64::try_from(ALIGNMENT).expect("a line is short");
                let inside = self.b.ins().band_imm_s(target, line - 1);
                let aligned = self.b.ins().icmp_imm_s(IntCC::Equal, inside, 0);
                self.b.ins().uextend(types::I64, aligned)
            }
            Word::First => self.flag(self.first),
            Word::Last => self.flag(self.last),
        }
    }

    /// The first line of the phase's memory for partial results.
    fn partials(&mut self) -> Value {
        let line = u32::try_from(ALIGNMENT).expect("a line is short");
        let bytes = u32::try_from(PARTIALS_MAX).expect("a register tile is small") * line + line;
        let known = self.leaves.as_ref().and_then(|leaves| leaves.partials);
        let slot = known.unwrap_or_else(|| {
            let data = StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 3);
            self.b.create_sized_stack_slot(data)
        });
        if let Some(leaves) = &mut self.leaves {
            leaves.partials = Some(slot);
        }
        // A stack is aligned to less than a line.
        let start = self.b.ins().stack_addr(types::I64, slot, i32::try_from(line - 1).unwrap_or(0));
        self.b.ins().band_imm_s(start, -i64::from(line))
    }

    fn flag(&mut self, flag: Flag) -> Value {
        match flag {
            Flag::Always => self.constant(1),
            Flag::Value(value) => self.b.ins().uextend(types::I64, value),
        }
    }
}

/// Chains that run side by side: as many as there are registers for.
const WIDTHS: [usize; 4] = [8, 4, 2, 1];

/// A leaf with as many chains side by side as fit, and its code.
fn encoded(leaf: &Leaf, isa: Isa) -> Result<(Leaf, Vec<u8>), wide::Refusal> {
    for width in WIDTHS {
        let leaf = wide::interleave(leaf.clone(), width);
        if let Ok(bytes) = wide::encode(&leaf, isa) {
            return Ok((leaf, bytes));
        }
    }
    wide::encode(leaf, isa).map(|bytes| (leaf.clone(), bytes))
}

/// Makes the register tile smaller along its longest side but for the vector, so that it still lines up with panels;
/// `false` where it is smallest. A tile that needs too many registers is a wish that a smaller one comes nearest to.
pub(super) fn has_smaller_tile(nest: &mut Nest) -> bool {
    let vector = nest.micro.vector;
    let reduce = &nest.reduce;
    let tiles = &mut nest.micro.tile;
    if nest.micro.unroll > 1 {
        nest.micro.unroll = 1;
        return true;
    }
    // Along a reduced axis the tile says how many terms are added in a row.
    let free = tiles.iter_mut().filter(|entry| entry.1 > 1 && !reduce.contains(&entry.0));
    let longest = free.max_by_key(|entry| {
        // Vectors are halved last.
        (Some(entry.0) != vector, entry.1)
    });
    let Some((_, tile)) = longest else { return false };
    let divisor = (2..=*tile).find(|divisor| tile.is_multiple_of(*divisor));
    *tile /= divisor.unwrap_or(*tile);
    true
}

fn shape(block: Block) -> BlockShape {
    let extent = match block.extent {
        Extent::Known(extent) => Some(extent),
        Extent::Value(_) => None,
    };
    BlockShape { extent, step: block.step, ragged: block.ragged, moves: block.start.is_some() }
}

/// The phase's code with its leaves behind it and the calls between them; `None` if it needs anything else.
pub(super) fn linked(
    code: &CompiledCode,
    function: &Function,
    leaves: &[LeafCode],
) -> Option<Vec<u8>> {
    let mut image = code.code_buffer().to_vec();
    let mut starts = vec![];
    for leaf in leaves {
        image.resize(image.len().next_multiple_of(ALIGNMENT), 0);
        starts.push(image.len());
        image.extend_from_slice(&leaf.bytes);
    }
    for reloc in code.buffer.relocs() {
        let number =
            leaf_of(&reloc.target, function).filter(|_| reloc.kind == Reloc::X86CallPCRel4)?;
        let at = usize::try_from(reloc.offset).ok()?;
        let start = i64::try_from(*starts.get(number)?).ok()?;
        let distance = i32::try_from(start + reloc.addend - i64::try_from(at).ok()?).ok()?;
        image.get_mut(at..at + 4)?.copy_from_slice(&distance.to_le_bytes());
    }
    Some(image)
}

fn leaf_of(target: &cranelift_codegen::FinalizedRelocTarget, function: &Function) -> Option<usize> {
    use cranelift_codegen::FinalizedRelocTarget;
    let FinalizedRelocTarget::ExternalName(ExternalName::User(name)) = target else { return None };
    let name = &function.params.user_named_funcs()[*name];
    (name.namespace == LEAVES).then_some(name.index as usize)
}
