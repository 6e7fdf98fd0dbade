//! Machine code as text, for `explain`.

use crate::emit::{CompiledPhase, LeafCode};
use cranelift_codegen::CompiledCode;
use iced_x86::{Decoder, DecoderOptions, Formatter as _, Instruction, NasmFormatter};
use std::fmt::Write as _;

/// The disassembly of a phase: by iced-x86 on x86-64, by Cranelift's own listing elsewhere.
pub(crate) fn disassemble(name: &str, code: Option<&CompiledCode>) -> String {
    let Some(code) = code else { return format!("; phase {name}: entered at its leaf\n") };
    let mut out = format!("; phase {name}: {} bytes\n", code.code_buffer().len());
    if cfg!(target_arch = "x86_64") {
        disassemble_x86(code.code_buffer(), &mut out);
    } else {
        out.push_str(code.vcode.as_deref().unwrap_or("(no listing)\n"));
    }
    out
}

/// The disassembly of leaves.
pub(crate) fn leaves(list: &[LeafCode]) -> String {
    let text = |code: &LeafCode| {
        let (name, bytes) = (&code.leaf.name, code.bytes.len());
        format!("; leaf {name}: {bytes} bytes\n{}", crate::wide::disassemble(&code.bytes))
    };
    list.iter().map(text).collect()
}

/// The leaves of a phase as text, and why its other nests are none.
pub(crate) fn wide(name: &str, phase: &CompiledPhase) -> String {
    let mut out = format!("; phase {name}: {} leaves\n", phase.leaves.len());
    for code in &phase.leaves {
        out.push_str(&code.leaf.to_string());
    }
    for (nest, why) in &phase.notes {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "; nest {nest} in vectors of 128 bits: {why}");
    }
    out
}

/// The instructions of x86-64 machine code, up to the first byte that is none.
pub(crate) fn disassemble_x86(bytes: &[u8], out: &mut String) {
    let mut decoder = Decoder::with_ip(64, bytes, 0, DecoderOptions::NONE);
    let mut formatter = NasmFormatter::new();
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        if instruction.is_invalid() {
            // Constants follow the code; they are not instructions.
            let _ = writeln!(out, "{:6x}: constants", instruction.ip());
            return;
        }
        let mut text = String::new();
        formatter.format(&instruction, &mut text);
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{:6x}: {text}", instruction.ip());
    }
}

/// Bytes up to the end of the first return.
pub(crate) fn bytes_to_return(bytes: &[u8]) -> usize {
    let mut decoder = Decoder::with_ip(64, bytes, 0, DecoderOptions::NONE);
    while decoder.can_decode() {
        if decoder.decode().mnemonic() == iced_x86::Mnemonic::Ret {
            return decoder.position();
        }
    }
    bytes.len()
}
