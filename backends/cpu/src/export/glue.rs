//! What the loader does in a process, as code of its own: the entry (`entry`), the query of the workspace, and the bodies
//! that a parallel loop calls. Cranelift makes it, so it is one text for every architecture.
//!
//! Invariant: a body runs no iteration that there is not, on no thread that has no scratch, and counts what it ran.

use super::code::Code;
use super::{Function, THREADS_MAX};
use cranelift_codegen::Context;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    AbiParam, AtomicRmwOp, Block, ExtFuncData, ExternalName, InstBuilder, MemFlagsData, Signature,
    StackSlotData, StackSlotKind, Type, UserExternalName, UserFuncName, Value, types,
};
use cranelift_codegen::isa::TargetIsa;
use cranelift_control::ControlPlane;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use tilewright_ir::backend::{Launch, Unsupported};

/// What glue calls; the pairs are Cranelift's names of outside functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Callee {
    /// The entry of a launch.
    Phase(u32),
    /// What tells the address of the body of a launch.
    BodyAddress(u32),
    /// `services::supported`.
    Supported,
    /// `services::map`.
    Map,
    /// `services::unmap`.
    Unmap,
}

impl Callee {
    fn name(self) -> UserExternalName {
        let (namespace, index) = match self {
            Self::Phase(index) => (0, index),
            Self::BodyAddress(index) => (1, index),
            Self::Supported => (2, 0),
            Self::Map => (2, 1),
            Self::Unmap => (2, 2),
        };
        UserExternalName { namespace, index }
    }

    pub(super) fn of(name: &UserExternalName) -> Option<Self> {
        Some(match (name.namespace, name.index) {
            (0, index) => Self::Phase(index),
            (1, index) => Self::BodyAddress(index),
            (2, 0) => Self::Supported,
            (2, 1) => Self::Map,
            (2, 2) => Self::Unmap,
            _ => return None,
        })
    }
}

/// The words of the context that a body gets: the pointers, the scratch of thread 0, the number of iterations, how many
/// have run, whether a call was malformed, the number of threads.
pub(super) const CONTEXT_BYTES: u32 = 48;
pub(super) const DONE: i32 = 24;
pub(super) const MALFORMED: i32 = 32;
const THREADS: i32 = 40;

/// The code of one glue function.
pub(super) struct Glue<'f, 'p> {
    pub(super) b: FunctionBuilder<'f>,
    pub(super) isa: &'p dyn TargetIsa,
    pub(super) function: &'p Function,
    /// Takes a code and leaves the function.
    pub(super) leave: Block,
}

/// Which glue function.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// `int32_t (arguments.., workspace, workspace_bytes, parallel)`; whether the processor is asked.
    Entry(bool),
    /// `uint64_t (uint64_t threads)`.
    WorkspaceBytes,
    /// `void (context, thread, first, end)` of a launch.
    Body(u32),
}

/// Compiles a glue function.
///
/// # Errors
/// When Cranelift refuses it.
pub(super) fn compile(
    function: &Function,
    isa: &dyn TargetIsa,
    kind: Kind,
) -> Result<Code, Unsupported> {
    let (parameters, result) = match kind {
        Kind::Entry(_) => (function.aligns.len() + 3, Some(types::I32)),
        Kind::WorkspaceBytes => (1, Some(types::I64)),
        Kind::Body(_) => (4, None),
    };
    let mut signature = Signature::new(isa.default_call_conv());
    signature.params.extend(vec![AbiParam::new(types::I64); parameters]);
    signature.returns.extend(result.map(AbiParam::new));
    let name = UserFuncName::user(0, 0);
    let mut context = Context::for_function(cranelift_codegen::ir::Function::with_name_signature(
        name, signature,
    ));
    let mut builder_context = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(&mut context.func, &mut builder_context);
    let head = b.create_block();
    b.append_block_params_for_function_params(head);
    b.switch_to_block(head);
    let leave = b.create_block();
    let parameters = b.block_params(head).to_vec();
    let mut glue = Glue { b, isa, function, leave };
    match kind {
        Kind::Entry(asks) => glue.entry(&parameters, asks),
        Kind::WorkspaceBytes => glue.workspace_bytes(parameters[0]),
        Kind::Body(index) => glue.body(&parameters, index),
    }
    glue.b.seal_all_blocks();
    glue.b.finalize(isa.frontend_config());
    let compiled = context.compile(isa, &mut ControlPlane::default()).map_err(|error| {
        let what = format!("an entry that Cranelift refuses: {:?}", error.inner);
        Unsupported { what, place: format!("`{}`", function.symbol) }
    })?;
    let compiled = compiled.clone();
    Ok(Code { names: context.func.params.user_named_funcs().clone(), compiled })
}

impl Glue<'_, '_> {
    pub(super) fn at_most(&mut self, value: Value, limit: u64) -> Value {
        let limit = self.b.ins().iconst(types::I64, signed(limit.min(THREADS_MAX)));
        self.b.ins().umin(value, limit)
    }

    /// The workspace bytes of so many threads.
    pub(super) fn needed(&mut self, threads: Value) -> Value {
        let scratch = self.b.ins().imul_imm_s(threads, signed(self.function.scratch_bytes()));
        self.b.ins().iadd_imm_s(scratch, signed(self.function.device_bytes()))
    }

    /// Runs a part of a launch's iterations on one thread, if the part and the thread are among those there are.
    fn body(&mut self, parameters: &[Value], index: u32) {
        let &[context, thread, first, end] = parameters else {
            unreachable!("a body has four parameters")
        };
        let [pointers, scratch, iterations, threads] =
            [0, 8, 16, THREADS].map(|offset| self.load(context, offset));
        let (run, malformed, leave) = (self.b.create_block(), self.b.create_block(), self.leave);
        let stranger = self.b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, thread, threads);
        let backwards = self.b.ins().icmp(IntCC::UnsignedGreaterThan, first, end);
        let beyond = self.b.ins().icmp(IntCC::UnsignedGreaterThan, end, iterations);
        let wrong = self.b.ins().bor(stranger, backwards);
        let wrong = self.b.ins().bor(wrong, beyond);
        self.b.ins().brif(wrong, malformed, &[], run, &[]);

        self.b.switch_to_block(malformed);
        let one = self.b.ins().iconst(types::I64, 1);
        self.add(context, MALFORMED, one);
        self.b.ins().jump(leave, &[]);

        self.b.switch_to_block(run);
        let offset = self.b.ins().imul_imm_s(thread, signed(self.function.scratch_bytes()));
        let own = self.b.ins().iadd(scratch, offset);
        self.call(Callee::Phase(index), &[pointers, own, first, end], None);
        let count = self.b.ins().isub(end, first);
        self.add(context, DONE, count);
        self.b.ins().jump(leave, &[]);
        self.b.switch_to_block(leave);
        self.b.ins().return_(&[]);
    }

    fn workspace_bytes(&mut self, threads: Value) {
        let one = self.b.ins().iconst(types::I64, 1);
        let threads = self.b.ins().umax(threads, one);
        let threads = self.at_most(threads, self.function.threads());
        let bytes = self.needed(threads);
        let leave = self.leave;
        self.b.ins().jump(leave, &[]);
        self.b.switch_to_block(leave);
        self.b.ins().return_(&[bytes]);
    }

    fn add(&mut self, base: Value, offset: i32, value: Value) {
        let at = self.b.ins().iadd_imm_s(base, i64::from(offset));
        let flags = MemFlagsData::new().with_notrap().with_aligned();
        self.b.ins().atomic_rmw(types::I64, flags, AtomicRmwOp::Add, at, value);
    }

    pub(super) fn slot(&mut self, bytes: u32) -> Value {
        let data = StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 3);
        let slot = self.b.create_sized_stack_slot(data);
        self.b.ins().stack_addr(types::I64, slot, 0)
    }

    pub(super) fn load(&mut self, base: Value, offset: i32) -> Value {
        self.b.ins().load(types::I64, MemFlagsData::new().with_notrap(), base, offset)
    }

    pub(super) fn store(&mut self, base: Value, offset: usize, value: Value) {
        let offset = i32::try_from(offset).expect("a kernel has few arguments");
        self.b.ins().store(MemFlagsData::new().with_notrap(), value, base, offset);
    }

    pub(super) fn call(
        &mut self,
        callee: Callee,
        arguments: &[Value],
        result: Option<Type>,
    ) -> Option<Value> {
        let mut signature = Signature::new(self.isa.default_call_conv());
        signature.params.extend(vec![AbiParam::new(types::I64); arguments.len()]);
        signature.returns.extend(result.map(AbiParam::new));
        let signature = self.b.import_signature(signature);
        let name = self.b.func.declare_imported_user_function(callee.name());
        let name = ExternalName::user(name);
        let data = ExtFuncData { name, signature, colocated: true, patchable: false };
        let function = self.b.import_function(data);
        let call = self.b.ins().call(function, arguments);
        self.b.inst_results(call).first().copied()
    }
}

/// Whether several threads may share a launch.
pub(super) fn is_spread(launch: &Launch) -> bool {
    launch.threads > 1 && launch.iterations > 1
}

pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).expect("sizes in memory are below 2^63")
}
