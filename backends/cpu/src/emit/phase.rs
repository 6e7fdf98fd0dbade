//! One function for each phase: decodes grid iterations, loops over blocks, and emits the nests in order.
//!
//! Invariant: an axis bound by the grid or a loop has a `Block`; its start and length are SSA values that dominate
//! everything in the loop's body.

use super::direct;
use super::lanes::less;
use super::leaf::{LeafCode, Leaves, linked};
use super::visit::Visited;
use crate::machine::{Loop, MachinePhase, Nest, Pack, Step};
use crate::math::clif::Abilities;
use crate::wide::Isa;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    self, AbiParam, BlockArg, Function, InstBuilder, MemFlagsData, Signature, UserFuncName, Value,
    types,
};
use cranelift_codegen::isa::{CallConv, TargetIsa};
use cranelift_codegen::{CompiledCode, Context};
use cranelift_control::ControlPlane;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use std::collections::BTreeMap;
use tilewright_ir::AxisId;
use tilewright_ir::backend::Unsupported;
use tilewright_ir::base::AxisTable;

/// Vectors of a register tile of a nest that is no leaf; a tile for wide vectors has four times as many small ones.
const FALLBACK_VECTORS_MAX: u64 = 8;

/// The current block of an axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// The first index; `None`: 0.
    pub(super) start: Option<Value>,
    /// The number of indices.
    pub(super) extent: Extent,
    /// The step of the loop that binds the axis (its extent if none does).
    pub(super) step: u64,
    /// The length of the last block where it is shorter than the others.
    pub(super) ragged: Option<u64>,
}

/// A number of indices.
#[derive(Clone, Copy, Debug)]
pub(super) enum Extent {
    /// Known now.
    Known(u64),
    /// Known when the code runs.
    Value(Value),
}

/// Whether the current block is the first or the last of the enclosing loop.
#[derive(Clone, Copy, Debug)]
pub(super) enum Flag {
    /// It always is.
    Always,
    /// An i8 that tells when the code runs.
    Value(Value),
}

/// A loop whose body is being emitted.
#[derive(Debug)]
pub(super) struct OpenLoop {
    inside: ir::Block,
    after: ir::Block,
    end: Value,
    step: u64,
    /// The index in the body.
    pub(super) index: Value,
    /// The carried values in the body.
    pub(super) carried: Vec<Value>,
}

/// The code of one phase.
#[derive(Debug)]
pub struct CompiledPhase {
    /// Cranelift's result; none of a phase that is entered at its leaf.
    pub code: Option<CompiledCode>,
    /// The code with everything that it calls; position independent.
    pub image: Vec<u8>,
    /// The leaves that it calls.
    pub leaves: Vec<LeafCode>,
    /// Nests that are not leaves, and why.
    pub notes: Vec<(String, String)>,
    /// The Cranelift IR before optimisation.
    pub clif: String,
    /// The number of grid iterations.
    pub iterations: u64,
}

pub(super) struct PhaseEmitter<'f, 'p> {
    pub(super) b: FunctionBuilder<'f>,
    pub(super) axes: &'p AxisTable,
    pub(super) abilities: Abilities,
    pub(super) arguments: Vec<Value>,
    pub(super) scratch: Value,
    pub(super) first: Flag,
    pub(super) last: Flag,
    /// Where nests become leaves.
    pub(super) leaves: Option<Leaves>,
    blocks: BTreeMap<AxisId, Block>,
    phase: &'p str,
}

/// Compiles a phase. `arguments` is the number of arguments and device buffers; `wide` the instruction set of leaves, if
/// nests may be leaves.
///
/// # Errors
/// `Unsupported` names the construct that this path does not emit.
pub fn compile(
    phase: &MachinePhase,
    axes: &AxisTable,
    arguments: usize,
    (isa, wide): (&dyn TargetIsa, Option<Isa>),
    with_text: bool,
) -> Result<CompiledPhase, Unsupported> {
    let mut signature = Signature::new(isa.default_call_conv());
    signature.params.extend([types::I64; 4].map(AbiParam::new));
    let function = Function::with_name_signature(UserFuncName::user(0, 0), signature);
    let mut context = Context::for_function(function);
    context.set_disasm(with_text);
    let mut builder_context = FunctionBuilderContext::new();
    let builder = FunctionBuilder::new(&mut context.func, &mut builder_context);
    let (iterations, leaves) = emit(builder, phase, axes, arguments, (isa, wide))?;
    let direct = leaves.as_ref().and_then(|leaves| direct::leaf(phase, axes, iterations, leaves));
    if let Some(leaf) = direct.filter(|_| isa.default_call_conv() == CallConv::SystemV) {
        let (image, notes) = (leaf.bytes.clone(), vec![]);
        let clif = format!("; phase {}: none, it is entered at its leaf\n", phase.name);
        return Ok(CompiledPhase {
            code: None,
            image,
            leaves: vec![leaf],
            notes,
            clif,
            iterations,
        });
    }
    let clif = if with_text { context.func.display().to_string() } else { String::new() };
    let failed = |what: String| Unsupported { what, place: format!("phase `{}`", phase.name) };
    let code = context
        .compile(isa, &mut ControlPlane::default())
        .map_err(|error| failed(format!("code that Cranelift refuses: {:?}", error.inner)))?
        .clone();
    let (leaves, notes) = leaves.map_or_else(Default::default, |all| (all.codes, all.notes));
    let Some(image) = linked(&code, &context.func, &leaves) else {
        return Err(failed("an operation that this machine's instruction set lacks".to_string()));
    };
    Ok(CompiledPhase { code: Some(code), image, leaves, notes, clif, iterations })
}

fn emit(
    mut builder: FunctionBuilder<'_>,
    phase: &MachinePhase,
    axes: &AxisTable,
    arguments: usize,
    (isa, wide): (&dyn TargetIsa, Option<Isa>),
) -> Result<(u64, Option<Leaves>), Unsupported> {
    let entry = builder.create_block();
    builder.append_block_params_for_function_params(entry);
    builder.switch_to_block(entry);
    let params = builder.block_params(entry).to_vec();
    let flags = MemFlagsData::new().with_notrap().with_readonly().with_can_move();
    let arguments = (0..arguments)
        .map(|position| {
            let offset = i32::try_from(position * 8).expect("a kernel has few arguments");
            builder.ins().load(types::I64, flags, params[0], offset)
        })
        .collect();
    let header = MemFlagsData::new().with_notrap();
    builder.ins().store(header, params[1], params[1], 0);
    let mut emitter = PhaseEmitter {
        b: builder,
        axes,
        abilities: Abilities::of(isa),
        arguments,
        scratch: params[1],
        first: Flag::Always,
        last: Flag::Always,
        leaves: wide.map(Leaves::new),
        blocks: BTreeMap::new(),
        phase: &phase.name,
    };
    let iterations = emitter.grid(phase, params[2], params[3])?;
    // Streaming stores are not ordered with others; whoever reads after this phase must find them. A leaf does not wait
    // for them: the memory takes its time, and the next iteration has work.
    if emitter.leaves.as_ref().is_some_and(|leaves| leaves.stream) {
        emitter.b.ins().fence();
    }
    emitter.b.ins().return_(&[]);
    emitter.b.seal_all_blocks();
    let leaves = emitter.leaves.take();
    emitter.b.finalize(isa.frontend_config());
    Ok((iterations, leaves))
}

impl PhaseEmitter<'_, '_> {
    fn grid(&mut self, phase: &MachinePhase, first: Value, end: Value) -> Result<u64, Unsupported> {
        let counts: Vec<u64> =
            phase.grid.iter().map(|&(axis, step)| self.axes.extent(axis).div_ceil(step)).collect();
        let iterations: u64 = counts.iter().product();
        if iterations == 0 {
            return Ok(0);
        }
        let open = self.begin_loop(first, end, 1, &[]);
        let mut number = open.index;
        if phase.descending {
            let last = self.constant(iterations - 1);
            number = self.b.ins().isub(last, number);
        }
        self.bind_grid(&phase.grid, &counts, number);
        self.steps(&phase.body)?;
        self.end_loop(&open, &[]);
        self.blocks.clear();
        Ok(iterations)
    }

    fn bind_grid(&mut self, grid: &[(AxisId, u64)], counts: &[u64], iteration: Value) {
        let mut rest = iteration;
        for (&(axis, step), &count) in grid.iter().zip(counts).rev() {
            let count = i64::try_from(count).expect("a grid has fewer than 2^63 iterations");
            let number = if count == 1 {
                None
            } else {
                let quotient = self.b.ins().udiv_imm_u(rest, count);
                let whole = self.b.ins().imul_imm_s(quotient, count);
                let number = self.b.ins().isub(rest, whole);
                rest = quotient;
                Some(number)
            };
            let start = number.map(|number| {
                self.b
                    .ins()
                    .imul_imm_s(number, i64::try_from(step).expect("a step is an extent at most"))
            });
            self.bind(axis, step, start);
        }
    }

    /// Binds an axis to the block that begins at `start`.
    fn bind(&mut self, axis: AxisId, step: u64, start: Option<Value>) {
        let length = self.axes.extent(axis);
        let step = step.min(length).max(1);
        let ragged = Some(length % step).filter(|&rest| rest != 0);
        let extent = match (start, ragged) {
            (None, _) => Extent::Known(step.min(length)),
            (Some(_), None) => Extent::Known(step),
            (Some(start), Some(_)) => {
                let length = self.constant(length);
                let left = self.b.ins().isub(length, start);
                let full = self.constant(step);
                Extent::Value(self.b.ins().smin(left, full))
            }
        };
        self.blocks.insert(
            axis,
            Block { start, extent, step, ragged: ragged.filter(|_| start.is_some()) },
        );
    }

    /// The current block of an axis: all of it where no loop binds it.
    pub(super) fn block(&self, axis: AxisId) -> Block {
        self.blocks.get(&axis).copied().unwrap_or_else(|| {
            let extent = self.axes.extent(axis);
            Block { start: None, extent: Extent::Known(extent), step: extent, ragged: None }
        })
    }

    pub(super) fn steps(&mut self, steps: &[Step]) -> Result<(), Unsupported> {
        for step in steps {
            match step {
                Step::Nest(nest) => self.nest(nest)?,
                Step::Pack(pack) => self.pack(*pack),
                Step::Choice(choice) => self.choice(choice)?,
                Step::Loop(inner) => self.visited_loop(inner)?,
            }
        }
        Ok(())
    }

    /// Emits the loop over `inner.axes[level..]`; `first` and `last` are the conjunction of the outer levels. `visited`
    /// has the parts of axes that are visited; there is a block in each.
    pub(super) fn block_loop(
        &mut self,
        inner: &Loop,
        visited: &Visited,
        level: usize,
        (first, last): (Option<Value>, Option<Value>),
    ) -> Result<(), Unsupported> {
        let Some(&(axis, step)) = inner.axes.get(level) else {
            return self.loop_body(inner, first, last);
        };
        let length = self.axes.extent(axis);
        if length <= step {
            self.bind(axis, step, None);
            let outcome = self.block_loop(inner, visited, level + 1, (first, last));
            self.blocks.remove(&axis);
            return outcome;
        }
        let (start, end, final_start) = match visited.get(&axis) {
            Some(part) => (part.start, part.end, part.last),
            None => {
                (self.constant(0), self.constant(length), self.constant((length - 1) / step * step))
            }
        };
        let open = self.begin_loop(start, end, step, &[]);
        self.bind(axis, step, Some(open.index));
        let is_first = self.b.ins().icmp(IntCC::Equal, open.index, start);
        let is_last = self.b.ins().icmp(IntCC::Equal, open.index, final_start);
        let first = self.both(first, is_first);
        let last = self.both(last, is_last);
        self.block_loop(inner, visited, level + 1, (Some(first), Some(last)))?;
        self.end_loop(&open, &[]);
        self.blocks.remove(&axis);
        Ok(())
    }

    pub(super) fn both(&mut self, outer: Option<Value>, own: Value) -> Value {
        outer.map_or(own, |outer| self.b.ins().band(outer, own))
    }

    fn loop_body(
        &mut self,
        inner: &Loop,
        first: Option<Value>,
        last: Option<Value>,
    ) -> Result<(), Unsupported> {
        let saved = (self.first, self.last);
        self.first = first.map_or(Flag::Always, Flag::Value);
        self.last = last.map_or(Flag::Always, Flag::Value);
        let outcome = self.steps(&inner.body);
        (self.first, self.last) = saved;
        outcome
    }

    /// Puts elements of a byte each together, two to a byte; a last one alone leaves its high half 0.
    fn pack(&mut self, pack: Pack) {
        let (from, to) = (self.arguments[pack.from], self.arguments[pack.to]);
        let flags = MemFlagsData::new().with_notrap();
        let pairs = pack.elements / 2;
        if pairs > 0 {
            let (start, end) = (self.constant(0), self.constant(pairs));
            let open = self.begin_loop(start, end, 1, &[]);
            let pair = self.b.ins().ishl_imm_u(open.index, 1);
            let at = self.b.ins().iadd(from, pair);
            let low = self.b.ins().uload8(types::I32, flags, at, 0);
            let high = self.b.ins().uload8(types::I32, flags, at, 1);
            let low = self.b.ins().band_imm_u(low, 15);
            let high = self.b.ins().ishl_imm_u(high, 4);
            let both = self.b.ins().bor(low, high);
            let at = self.b.ins().iadd(to, open.index);
            self.b.ins().istore8(flags, both, at, 0);
            self.end_loop(&open, &[]);
        }
        if pack.elements % 2 == 1 {
            let pairs = i64::try_from(pairs).expect("an array fits in memory");
            let at = self.b.ins().iadd_imm_s(from, 2 * pairs);
            let low = self.b.ins().uload8(types::I32, flags, at, 0);
            let low = self.b.ins().band_imm_u(low, 15);
            let at = self.b.ins().iadd_imm_s(to, pairs);
            self.b.ins().istore8(flags, low, at, 0);
        }
    }

    fn nest(&mut self, nest: &Nest) -> Result<(), Unsupported> {
        if nest.outer.iter().any(|&axis| self.axes.extent(axis) == 0) {
            return Ok(());
        }
        match self.call_leaf(nest) {
            Ok(()) => Ok(()),
            Err(_) if !nest.others.is_empty() => {
                nest.apart().iter().try_for_each(|nest| self.nest(nest))
            }
            Err(None) => super::nest::emit(self, nest),
            Err(Some(refusal)) => self.portable(nest, &refusal),
        }
    }

    /// A nest that is no leaf, with a register tile that suits small vectors.
    fn portable(&mut self, nest: &Nest, refusal: &Unsupported) -> Result<(), Unsupported> {
        let mut nest = nest.clone();
        while super::nest::tile_vectors(&nest) > FALLBACK_VECTORS_MAX
            && super::leaf::has_smaller_tile(&mut nest)
        {}
        super::nest::emit(self, &nest).map_err(|portable| {
            let what = format!("{}; {}", refusal.what, portable.what);
            Unsupported { what, ..portable }
        })
    }

    /// A 64-bit constant.
    pub(super) fn constant(&mut self, value: u64) -> Value {
        self.b.ins().iconst(types::I64, i64::try_from(value).expect("extents are below 2^63"))
    }

    /// An extent as a value.
    pub(super) fn extent_value(&mut self, extent: Extent) -> Value {
        match extent {
            Extent::Known(extent) => self.constant(extent),
            Extent::Value(value) => value,
        }
    }

    /// Begins `while index < end { ..; index += step }` with carried values; the caller emits the body at once and
    /// then ends the loop.
    pub(super) fn begin_loop(
        &mut self,
        start: Value,
        end: Value,
        step: u64,
        carried: &[Value],
    ) -> OpenLoop {
        let (inside, after) = (self.b.create_block(), self.b.create_block());
        for block in [inside, after] {
            self.b.append_block_param(block, types::I64);
            for &value in carried {
                let ty = self.b.func.dfg.value_type(value);
                self.b.append_block_param(block, ty);
            }
        }
        let arguments = block_arguments(start, carried);
        match (self.known(start), self.known(end)) {
            (Some(start), Some(end)) if start < end => {
                self.b.ins().jump(inside, &arguments);
            }
            _ => {
                let enter = less(&mut self.b, start, end);
                self.b.ins().brif(enter, inside, &arguments, after, &arguments);
            }
        }
        self.b.switch_to_block(inside);
        let params = self.b.block_params(inside).to_vec();
        OpenLoop { inside, after, end, step, index: params[0], carried: params[1..].to_vec() }
    }

    /// Ends a loop with the next carried values: the final index and the final carried values.
    pub(super) fn end_loop(&mut self, open: &OpenLoop, next: &[Value]) -> (Value, Vec<Value>) {
        let step = i64::try_from(open.step).expect("a step is below 2^63");
        let index = self.b.ins().iadd_imm_s(open.index, step);
        let arguments = block_arguments(index, next);
        let again = less(&mut self.b, index, open.end);
        self.b.ins().brif(again, open.inside, &arguments, open.after, &arguments);
        self.b.switch_to_block(open.after);
        let params = self.b.block_params(open.after).to_vec();
        (params[0], params[1..].to_vec())
    }

    /// The number a value is known to be.
    fn known(&self, value: Value) -> Option<i64> {
        let definition = self.b.func.dfg.value_def(value).inst()?;
        match self.b.func.dfg.insts[definition] {
            cranelift_codegen::ir::InstructionData::UnaryImm { imm, .. } => Some(imm.bits()),
            _ => None,
        }
    }

    pub(super) fn unsupported(&self, what: impl Into<String>, nest: &Nest) -> Unsupported {
        Unsupported {
            what: what.into(),
            place: format!("`{}` of phase `{}`", nest.name, self.phase),
        }
    }
}

/// Block arguments: an index and the carried values.
pub(super) fn block_arguments(index: Value, carried: &[Value]) -> Vec<BlockArg> {
    std::iter::once(index).chain(carried.iter().copied()).map(BlockArg::from).collect()
}
