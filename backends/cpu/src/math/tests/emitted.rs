//! Emitted code gives the bits of the scalar text, calls nothing, and holds no address.
//!
//! Invariant: a function under test is `fn(input, output, vectors)` over 16-byte vectors in a
//! sealed read-execute page.

use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{
    AbiParam, Function, InstBuilder, MemFlagsData, Signature, UserFuncName,
};
use cranelift_codegen::isa::{CallConv, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic};
use tilewright_ir::base::UnaryOp;

use super::{OPS, boundaries, double, doubles, single};
use crate::math::clif::{Abilities, ClifLanes};
use crate::math::scalar::{ScalarF32, ScalarF64};
use crate::math::{Lanes as _, power, unary};

/// A mapped function.
struct Code {
    start: *mut libc::c_void,
    bytes: usize,
}

impl Drop for Code {
    fn drop(&mut self) {
        // SAFETY: `map` made this mapping, with this length, and nothing calls it any more.
        unsafe { libc::munmap(self.start, self.bytes) };
    }
}

fn map(code: &[u8]) -> Code {
    let bytes = code.len().next_multiple_of(4096);
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANON;
    // SAFETY: an anonymous mapping at an address the system picks touches no existing memory.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
    assert_ne!(start, libc::MAP_FAILED);
    // SAFETY: the fresh mapping is writable and at least as long as the code.
    unsafe { std::ptr::copy_nonoverlapping(code.as_ptr(), start.cast::<u8>(), code.len()) };
    // SAFETY: the range is the mapping made above.
    let sealed = unsafe { libc::mprotect(start, bytes, libc::PROT_READ | libc::PROT_EXEC) };
    assert_eq!(sealed, 0);
    Code { start, bytes }
}

/// The host, or x86-64 without any extension.
fn isa(host: bool) -> OwnedTargetIsa {
    let mut flags = settings::builder();
    flags.set("opt_level", "speed").unwrap();
    let flags = settings::Flags::new(flags);
    if host {
        return cranelift_native::builder().unwrap().finish(flags).unwrap();
    }
    let triple = "x86_64-unknown-linux-gnu".parse().unwrap();
    cranelift_codegen::isa::lookup(triple).unwrap().finish(flags).unwrap()
}

/// For tests of the power function.
const EXPONENT: f64 = -7.0;

/// The bytes of a loop over vectors: of the operator, or of the power to [`EXPONENT`].
fn compile(op: Option<UnaryOp>, is_double: bool, host: bool) -> Vec<u8> {
    let isa = isa(host);
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.extend([AbiParam::new(I64); 3]);
    let function = Function::with_name_signature(UserFuncName::default(), signature);
    let mut context = Context::for_function(function);
    let mut builder_context = FunctionBuilderContext::new();
    let mut builder = FunctionBuilder::new(&mut context.func, &mut builder_context);
    emit_loop(&mut builder, op, is_double, Abilities::of(&*isa));
    builder.seal_all_blocks();
    builder.finalize(isa.frontend_config());
    let compiled = context.compile(&*isa, &mut ControlPlane::default()).unwrap();
    assert!(compiled.buffer.relocs().is_empty(), "{op:?}: relocations tie the code to a place");
    compiled.code_buffer().to_vec()
}

fn emit_loop(
    builder: &mut FunctionBuilder<'_>,
    op: Option<UnaryOp>,
    is_double: bool,
    abilities: Abilities,
) {
    let (entry, body, end) =
        (builder.create_block(), builder.create_block(), builder.create_block());
    builder.append_block_params_for_function_params(entry);
    builder.switch_to_block(entry);
    let arguments = builder.block_params(entry).to_vec();
    for _ in 0..3 {
        builder.append_block_param(body, I64);
    }
    builder.ins().jump(body, &[arguments[0].into(), arguments[1].into(), arguments[2].into()]);
    builder.switch_to_block(body);
    let state = builder.block_params(body).to_vec();
    let vector = ClifLanes::new(builder, is_double, abilities).float_type();
    let x = builder.ins().load(vector, MemFlagsData::trusted(), state[0], 0);
    let mut lanes = ClifLanes::new(builder, is_double, abilities);
    let y = match op {
        Some(op) => unary(&mut lanes, op, x).unwrap(),
        None => {
            let exponent = lanes.float(EXPONENT);
            power(&mut lanes, x, exponent)
        }
    };
    builder.ins().store(MemFlagsData::trusted(), y, state[1], 0);
    let input = builder.ins().iadd_imm_s(state[0], 16);
    let output = builder.ins().iadd_imm_s(state[1], 16);
    let left = builder.ins().iadd_imm_s(state[2], -1);
    builder.ins().brif(left, body, &[input.into(), output.into(), left.into()], end, &[]);
    builder.switch_to_block(end);
    builder.ins().return_(&[]);
}

/// Vector instructions up to the return, without moves: cold blocks lie behind it.
fn instructions(code: &[u8]) -> usize {
    let decoder = Decoder::new(64, code, DecoderOptions::NONE);
    let hot = decoder.into_iter().take_while(|instruction| instruction.mnemonic() != Mnemonic::Ret);
    let works = |instruction: &Instruction| {
        let name = format!("{:?}", instruction.mnemonic());
        instruction.op0_register().is_xmm() && !name.to_lowercase().contains("mov")
    };
    hot.filter(works).count()
}

fn run<T: Copy + Default>(code: &[u8], input: &[T]) -> Vec<T> {
    let code = map(code);
    let mut output = vec![T::default(); input.len()];
    // SAFETY: the bytes are a System V function of this signature, just compiled.
    let function = unsafe {
        std::mem::transmute::<*mut libc::c_void, extern "C" fn(*const T, *mut T, usize)>(code.start)
    };
    function(input.as_ptr(), output.as_mut_ptr(), size_of_val(input) / 16);
    output
}

fn report(op: UnaryOp, is_double: bool, host: bool, code: &[u8]) {
    let lane = if is_double { "f64" } else { "f32" };
    println!("{lane} {:6} host {host:5}: {} vector instructions", op.name(), instructions(code));
}

fn check_single(op: UnaryOp, host: bool) {
    let code = compile(Some(op), false, host);
    report(op, false, host, &code);
    let fused = Abilities::of(&*isa(host)).fused;
    let mut input: Vec<f32> = (0..=u32::MAX).step_by(4099).map(f32::from_bits).collect();
    input.extend(boundaries().iter().map(|x| *x as f32));
    input.truncate(input.len() / 4 * 4);
    for (x, got) in input.iter().zip(run(&code, &input)) {
        let want = single(op, fused, *x);
        let same = got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan();
        assert!(same, "{op}({x:e}): emitted {got:e}, scalar {want:e}");
    }
}

fn check_double(op: UnaryOp, host: bool) {
    let code = compile(Some(op), true, host);
    report(op, true, host, &code);
    let fused = Abilities::of(&*isa(host)).fused;
    let mut input: Vec<f64> = doubles(500_000).collect();
    input.extend(boundaries());
    input.truncate(input.len() / 2 * 2);
    for (x, got) in input.iter().zip(run(&code, &input)) {
        let want = double(op, fused, *x);
        let same = got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan();
        assert!(same, "{op}({x:e}): emitted {got:e}, scalar {want:e}");
    }
}

#[test]
fn host_code_gives_the_scalar_bits() {
    for op in OPS {
        check_single(op, true);
        check_double(op, true);
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn plain_code_gives_the_scalar_bits() {
    for op in OPS {
        check_single(op, false);
        check_double(op, false);
    }
}

#[test]
fn emitted_power_gives_the_scalar_bits() {
    let hosts: &[bool] = if cfg!(target_arch = "x86_64") { &[true, false] } else { &[true] };
    for &on_host in hosts {
        let fused = Abilities::of(&*isa(on_host)).fused;
        let code = compile(None, false, on_host);
        println!("f32 pow host {on_host}: {} vector instructions", instructions(&code));
        let input: Vec<f32> = (0..=u32::MAX).step_by(8191).map(f32::from_bits).collect();
        let input = &input[..input.len() / 4 * 4];
        for (x, got) in input.iter().zip(run(&code, input)) {
            let want = power(&mut ScalarF32 { fused }, *x, EXPONENT as f32);
            assert!(got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(), "pow({x})");
        }
        let code = compile(None, true, on_host);
        println!("f64 pow host {on_host}: {} vector instructions", instructions(&code));
        let input: Vec<f64> = doubles(200_000).collect();
        for (x, got) in input.iter().zip(run(&code, &input)) {
            let want = power(&mut ScalarF64 { fused }, *x, EXPONENT);
            assert!(got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(), "pow({x})");
        }
    }
}
