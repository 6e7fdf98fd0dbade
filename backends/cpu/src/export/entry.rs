//! The entry of an exported function: checks, workspace, and the launches one after the other.
//!
//! Invariant: nothing is written to an output before every argument has been checked, and each way out gives back the
//! pages that were taken.

use super::glue::{CONTEXT_BYTES, Callee, DONE, Glue, MALFORMED, is_spread, signed};
use super::{Fault, STACK_BYTES_MAX, WORKSPACE_ALIGN};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{AbiParam, Block, BlockArg, InstBuilder, Signature, Value, types};
use tilewright_ir::backend::Launch;

/// The fields of `tilewright_parallel`.
const RUN: i32 = 0;
const USER: i32 = 8;
const PARALLEL_THREADS: i32 = 16;

/// How a call is spread: `run` and `user` of the parallel loop, and its threads.
#[derive(Clone, Copy)]
struct Spread {
    run: Value,
    user: Value,
    threads: Value,
}

impl Glue<'_, '_> {
    /// The whole entry.
    pub(super) fn entry(&mut self, parameters: &[Value], asks: bool) {
        let function = self.function;
        let arrays = &parameters[..function.aligns.len()];
        let &[workspace, workspace_bytes, parallel] = &parameters[arrays.len()..] else {
            unreachable!("an entry has three parameters behind its arrays")
        };
        if asks {
            let answer = self.call(Callee::Supported, &[], Some(types::I32)).expect("it answers");
            let lacks = self.b.ins().icmp_imm_u(IntCC::NotEqual, answer, 1);
            self.refuse(lacks, Fault::Processor, 0);
        }
        self.check_arrays(arrays);
        let spread = self.spread(parallel, arrays.len() + 3);
        let ready = self.workspace(arrays, (workspace, workspace_bytes), spread.threads);
        let [base, pages] = ready;
        let pointers = self.pointers(arrays, base);
        let scratch = self.b.ins().iadd_imm_s(base, signed(function.device_bytes()));
        let finish = self.b.create_block();
        self.b.append_block_param(finish, types::I32);
        for (index, launch) in (0..).zip(&function.artifact.launches) {
            self.launch((index, launch), (pointers, scratch), spread, finish);
        }
        let fine = self.b.ins().iconst(types::I32, 0);
        self.b.ins().jump(finish, &[BlockArg::from(fine)]);
        self.finish(finish, pages, spread.threads);
        self.close();
    }

    /// Ends a call: pages that it took are given back.
    fn finish(&mut self, finish: Block, pages: Value, threads: Value) {
        self.b.switch_to_block(finish);
        let code = self.b.block_params(finish)[0];
        let (give, out) = (self.b.create_block(), self.leave);
        let arguments = [BlockArg::from(code)];
        self.b.ins().brif(pages, give, &[], out, &arguments);
        self.b.switch_to_block(give);
        let bytes = self.needed(threads);
        self.call(Callee::Unmap, &[pages, bytes], None);
        self.b.ins().jump(out, &arguments);
    }

    /// The block that every way out of the entry comes to.
    fn close(&mut self) {
        let leave = self.leave;
        let code = self.b.append_block_param(leave, types::I32);
        self.b.switch_to_block(leave);
        self.b.ins().return_(&[code]);
    }

    /// Leaves with a code where the condition holds.
    fn refuse(&mut self, condition: Value, fault: Fault, position: usize) {
        let next = self.b.create_block();
        let code = i64::try_from(position << 8).expect("a kernel has few arguments") | fault as i64;
        let code = self.b.ins().iconst(types::I32, code);
        let leave = self.leave;
        self.b.ins().brif(condition, leave, &[BlockArg::from(code)], next, &[]);
        self.b.switch_to_block(next);
    }

    fn check_arrays(&mut self, arrays: &[Value]) {
        let artifact = &self.function.artifact;
        let bytes = &artifact.argument_bytes;
        for (position, &array) in arrays.iter().enumerate() {
            if bytes[position] == 0 {
                continue;
            }
            let null = self.b.ins().icmp_imm_u(IntCC::Equal, array, 0);
            self.refuse(null, Fault::Null, position + 1);
            self.check_alignment(array, self.function.aligns[position], position + 1);
        }
        for written in artifact.inputs..arrays.len() {
            for other in 0..written {
                let ours = (arrays[written], bytes[written]);
                self.check_overlap(ours, (arrays[other], bytes[other]), written + 1);
            }
        }
    }

    fn check_alignment(&mut self, address: Value, align: u64, position: usize) {
        if align > 1 {
            let rest = self.b.ins().band_imm_u(address, signed(align - 1));
            self.refuse(rest, Fault::Misaligned, position);
        }
    }

    /// Refuses memory that both arguments take; each is an address and a number of bytes.
    fn check_overlap(&mut self, ours: (Value, u64), other: (Value, u64), position: usize) {
        if ours.1 == 0 || other.1 == 0 {
            return;
        }
        // a < b + n and b < a + m, as distances, which cannot overflow.
        let ahead = self.b.ins().isub(ours.0, other.0);
        let ahead = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, ahead, signed(other.1));
        let behind = self.b.ins().isub(other.0, ours.0);
        let behind = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, behind, signed(ours.1));
        let both = self.b.ins().bor(ahead, behind);
        self.refuse(both, Fault::Overlap, position);
    }

    /// Reads the parallel loop: without one a single thread, and never more threads than the code makes use of.
    fn spread(&mut self, parallel: Value, position: usize) -> Spread {
        let (given, join) = (self.b.create_block(), self.b.create_block());
        let params = [types::I64; 3].map(|ty| self.b.append_block_param(join, ty));
        let (zero, one) = (self.b.ins().iconst(types::I64, 0), self.b.ins().iconst(types::I64, 1));
        let alone = [zero, zero, one].map(BlockArg::from);
        self.b.ins().brif(parallel, given, &[], join, &alone);
        self.b.switch_to_block(given);
        self.check_alignment(parallel, 8, position);
        let [run, user, threads] =
            [RUN, USER, PARALLEL_THREADS].map(|offset| self.load(parallel, offset));
        let null = self.b.ins().icmp_imm_u(IntCC::Equal, run, 0);
        self.refuse(null, Fault::Null, position);
        let none = self.b.ins().icmp_imm_u(IntCC::Equal, threads, 0);
        self.refuse(none, Fault::Parallel, position);
        let threads = self.at_most(threads, self.function.threads());
        let arguments = [run, user, threads].map(BlockArg::from);
        self.b.ins().jump(join, &arguments);
        self.b.switch_to_block(join);
        let [run, user, threads] = params;
        Spread { run, user, threads }
    }

    /// The workspace, and the pages that were taken for it (0: none).
    fn workspace(
        &mut self,
        arrays: &[Value],
        (given, given_bytes): (Value, Value),
        threads: Value,
    ) -> [Value; 2] {
        let position = arrays.len() + 1;
        let (theirs, ours, join) =
            (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let ready = [types::I64; 2].map(|ty| self.b.append_block_param(join, ty));
        let needed = self.needed(threads);
        let none = self.b.ins().iconst(types::I64, 0);
        self.b.ins().brif(given, theirs, &[], ours, &[]);

        self.b.switch_to_block(theirs);
        self.check_alignment(given, WORKSPACE_ALIGN, position);
        let short = self.b.ins().icmp(IntCC::UnsignedLessThan, given_bytes, needed);
        self.refuse(short, Fault::Workspace, position);
        for (&array, &bytes) in arrays.iter().zip(&self.function.artifact.argument_bytes) {
            self.check_workspace_overlap((given, needed), (array, bytes), position);
        }
        self.b.ins().jump(join, &[given, none].map(BlockArg::from));

        self.b.switch_to_block(ours);
        self.stack_workspace(threads, join, none);
        let pages = self.call(Callee::Map, &[needed], Some(types::I64)).expect("it answers");
        // The system call gives a negative error number, down to -4095.
        let failed = self.b.ins().icmp_imm_s(IntCC::UnsignedGreaterThan, pages, -4096);
        self.refuse(failed, Fault::Memory, position);
        self.b.ins().jump(join, &[pages, pages].map(BlockArg::from));
        self.b.switch_to_block(join);
        ready
    }

    /// A small workspace of a single thread lies on the stack.
    fn stack_workspace(&mut self, threads: Value, join: Block, none: Value) {
        let function = self.function;
        let bytes = function.device_bytes().saturating_add(function.scratch_bytes());
        if bytes > STACK_BYTES_MAX {
            return;
        }
        let (stack, next) = (self.b.create_block(), self.b.create_block());
        let alone = self.b.ins().icmp_imm_u(IntCC::Equal, threads, 1);
        self.b.ins().brif(alone, stack, &[], next, &[]);
        self.b.switch_to_block(stack);
        let slot = u32::try_from(bytes + WORKSPACE_ALIGN).expect("it is small");
        let slot = self.slot(slot);
        let start = self.b.ins().iadd_imm_s(slot, signed(WORKSPACE_ALIGN - 1));
        let start = self.b.ins().band_imm_s(start, -signed(WORKSPACE_ALIGN));
        self.b.ins().jump(join, &[start, none].map(BlockArg::from));
        self.b.switch_to_block(next);
    }

    fn check_workspace_overlap(
        &mut self,
        (given, needed): (Value, Value),
        (array, bytes): (Value, u64),
        position: usize,
    ) {
        if bytes > 0 {
            let ahead = self.b.ins().isub(given, array);
            let ahead = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, ahead, signed(bytes));
            let behind = self.b.ins().isub(array, given);
            let behind = self.b.ins().icmp(IntCC::UnsignedLessThan, behind, needed);
            let both = self.b.ins().bor(ahead, behind);
            self.refuse(both, Fault::Overlap, position);
        }
    }

    /// The list that every phase reads: the arrays, then the device buffers one behind the other in the workspace.
    fn pointers(&mut self, arrays: &[Value], base: Value) -> Value {
        let offsets = self.function.device_offsets();
        let words = arrays.len() + offsets.len();
        let bytes = u32::try_from(words.max(1) * 8).expect("a kernel has few arguments");
        let list = self.slot(bytes);
        for (position, &array) in arrays.iter().enumerate() {
            self.store(list, position * 8, array);
        }
        for (position, &offset) in offsets.iter().enumerate() {
            let buffer = self.b.ins().iadd_imm_s(base, signed(offset));
            self.store(list, (arrays.len() + position) * 8, buffer);
        }
        list
    }

    fn launch(
        &mut self,
        (index, launch): (u32, &Launch),
        (pointers, scratch): (Value, Value),
        spread: Spread,
        finish: Block,
    ) {
        if launch.iterations == 0 {
            return;
        }
        let zero = self.b.ins().iconst(types::I64, 0);
        let iterations = self.b.ins().iconst(types::I64, signed(launch.iterations));
        let all = [pointers, scratch, zero, iterations];
        if !is_spread(launch) {
            self.call(Callee::Phase(index), &all, None);
            return;
        }
        let (many, alone, next) =
            (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let several = self.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, spread.threads, 1);
        self.b.ins().brif(several, many, &[], alone, &[]);
        self.b.switch_to_block(alone);
        self.call(Callee::Phase(index), &all, None);
        self.b.ins().jump(next, &[]);
        self.b.switch_to_block(many);
        let spread = Spread {
            threads: self.at_most(spread.threads, launch.threads.min(launch.iterations)),
            ..spread
        };
        let context = self.context(pointers, scratch, iterations, spread.threads);
        self.run_spread(index, iterations, spread, context);
        self.check_done(context, iterations, finish);
        self.b.ins().jump(next, &[]);
        self.b.switch_to_block(next);
    }

    fn context(
        &mut self,
        pointers: Value,
        scratch: Value,
        iterations: Value,
        threads: Value,
    ) -> Value {
        let context = self.slot(CONTEXT_BYTES);
        let zero = self.b.ins().iconst(types::I64, 0);
        for (word, value) in
            [pointers, scratch, iterations, zero, zero, threads].into_iter().enumerate()
        {
            self.store(context, word * 8, value);
        }
        context
    }

    /// `run(user, iterations, threads, body, context)`.
    fn run_spread(&mut self, index: u32, iterations: Value, spread: Spread, context: Value) {
        let body = self.call(Callee::BodyAddress(index), &[], Some(types::I64));
        let body = body.expect("it answers");
        let mut signature = Signature::new(self.isa.default_call_conv());
        signature.params.extend([types::I64; 5].map(AbiParam::new));
        let signature = self.b.import_signature(signature);
        let arguments = [spread.user, iterations, spread.threads, body, context];
        self.b.ins().call_indirect(signature, spread.run, &arguments);
    }

    /// Every iteration has run once, and no call of the body was malformed.
    fn check_done(&mut self, context: Value, iterations: Value, finish: Block) {
        let done = self.load(context, DONE);
        let malformed = self.load(context, MALFORMED);
        let missing = self.b.ins().isub(iterations, done);
        let wrong = self.b.ins().bor(missing, malformed);
        let position = self.function.aligns.len() + 3;
        let code = i64::try_from(position << 8).expect("a kernel has few arguments")
            | Fault::Parallel as i64;
        let code = self.b.ins().iconst(types::I32, code);
        let next = self.b.create_block();
        self.b.ins().brif(wrong, finish, &[BlockArg::from(code)], next, &[]);
        self.b.switch_to_block(next);
    }
}
