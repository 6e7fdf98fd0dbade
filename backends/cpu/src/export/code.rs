//! The text of one exported function: the phases as they are, behind them bodies, entry, query and services.
//!
//! Invariant: every call stays within the text and is resolved here; what is left is the word in which the processor's
//! answer is remembered, at an address that the files decide, for each function apart.

use super::frames::Frames;
use super::glue::{self, Callee, Kind};
use super::machine::Machine;
use super::{Function, services};
use crate::unwind;
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::entity::PrimaryMap;
use cranelift_codegen::ir::{ExternalName, UserExternalName, UserExternalNameRef};
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::{CompiledCode, FinalizedRelocTarget};
use std::collections::BTreeMap;
use tilewright_ir::backend::{Artifact, Launch, Unsupported};

/// A compiled glue function, with the names that it calls.
pub(super) struct Code {
    pub(super) compiled: CompiledCode,
    pub(super) names: PrimaryMap<UserExternalNameRef, UserExternalName>,
}

/// A named part of a text.
#[derive(Clone, Debug)]
pub(super) struct Symbol {
    pub(super) name: String,
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) exported: bool,
}

/// The text of one function.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) symbols: Vec<Symbol>,
    /// Where the distance to the word of the processor's answer belongs: 4 bytes, relative to their own end.
    pub(super) answer_at: Option<u64>,
    pub(super) frames: Frames,
}

impl Text {
    pub(super) fn exported(&self) -> impl Iterator<Item = &str> {
        let exported = self.symbols.iter().filter(|symbol| symbol.exported);
        exported.map(|symbol| symbol.name.as_str())
    }
}

/// The alignment of a text.
pub(super) const ALIGN: u64 = 64;

struct Builder<'a> {
    function: &'a Function,
    isa: &'a dyn TargetIsa,
    text: Text,
    places: BTreeMap<Callee, u64>,
    glue: Vec<(u64, Code)>,
}

/// Makes the text of a function.
///
/// # Errors
/// `Unsupported` as `library`.
pub(super) fn text(
    function: &Function,
    machine: Machine,
    isa: &dyn TargetIsa,
) -> Result<Text, Unsupported> {
    let name = function.symbol.clone();
    let text =
        Text { name, bytes: vec![], symbols: vec![], answer_at: None, frames: Frames::default() };
    let mut builder = Builder { function, isa, text, places: BTreeMap::new(), glue: vec![] };
    builder.phases();
    let supported = services::supported(function.machine(machine));
    builder.bodies(machine)?;
    builder.glue(Kind::Entry(supported.is_some()), function.symbol.clone(), true)?;
    let query = format!("{}_workspace_bytes", function.symbol);
    builder.glue(Kind::WorkspaceBytes, query, true)?;
    builder.service(Callee::Map, services::map(machine.arch));
    builder.service(Callee::Unmap, services::unmap(machine.arch));
    if let Some(code) = supported {
        let at = builder.service(Callee::Supported, &code);
        builder.text.answer_at = Some(at + services::ANSWER_AT);
    }
    builder.resolve()?;
    Ok(builder.text)
}

impl Builder<'_> {
    fn phases(&mut self) {
        // Without `..`: what an artifact gains has to be thought of here and in the entry.
        let Artifact {
            image,
            unwind,
            launches,
            argument_bytes: _,
            input_layouts: _,
            inputs: _,
            device_bytes: _,
            least_isa: _,
        } = &self.function.artifact;
        let length = |offset: u64| usize::try_from(offset).expect("an image lies in memory");
        let end = unwind.map_or(image.len(), length);
        self.text.bytes.extend(&image[..end]);
        if let Some(at) = *unwind {
            self.text.frames.add(&image[end..], at.cast_signed());
        }
        let launches = launches
            .iter()
            .map(|&Launch { entry, iterations: _, scratch_bytes: _, threads: _ }| entry);
        let ends = launches.clone().skip(1).chain([end as u64]);
        for ((index, start), end) in (0..).zip(launches).zip(ends) {
            self.places.insert(Callee::Phase(index), start);
            self.symbol(format!("{}.phase{index}", self.function.symbol), start, end, false);
        }
    }

    fn bodies(&mut self, machine: Machine) -> Result<(), Unsupported> {
        for (index, launch) in (0..).zip(&self.function.artifact.launches) {
            if glue::is_spread(launch) {
                let address = services::own_address(machine.arch);
                self.service(Callee::BodyAddress(index), &address);
                let name = format!("{}.body{index}", self.function.symbol);
                self.glue(Kind::Body(index), name, false)?;
            }
        }
        Ok(())
    }

    fn glue(&mut self, kind: Kind, name: String, exported: bool) -> Result<(), Unsupported> {
        let code = glue::compile(self.function, self.isa, kind)?;
        let start = self.append(code.compiled.code_buffer());
        self.symbol(name, start, self.text.bytes.len() as u64, exported);
        self.glue.push((start, code));
        Ok(())
    }

    fn service(&mut self, callee: Callee, code: &[u8]) -> u64 {
        let start = self.append(code);
        self.places.insert(callee, start);
        start
    }

    fn append(&mut self, code: &[u8]) -> u64 {
        let bytes = &mut self.text.bytes;
        bytes.resize(bytes.len().next_multiple_of(services::ADDRESS_BYTES), 0);
        let start = bytes.len();
        bytes.extend(code);
        start as u64
    }

    fn symbol(&mut self, name: String, offset: u64, end: u64, exported: bool) {
        self.text.symbols.push(Symbol { name, offset, bytes: end - offset, exported });
    }

    fn resolve(&mut self) -> Result<(), Unsupported> {
        for (start, code) in &self.glue {
            for reloc in code.compiled.buffer.relocs() {
                let at = start + u64::from(reloc.offset);
                let target = callee(&reloc.target, code).and_then(|name| self.places.get(&name));
                let patched = target.and_then(|&target| {
                    let distance = target.cast_signed() - at.cast_signed();
                    patch(&mut self.text.bytes, at, reloc.kind, distance + reloc.addend)
                });
                patched.ok_or_else(|| Unsupported {
                    what: format!("a call of kind {:?} out of its reach", reloc.kind),
                    place: format!("`{}`", self.function.symbol),
                })?;
            }
        }
        let frames: Vec<_> =
            self.glue.iter().map(|(start, code)| (start.cast_signed(), &code.compiled)).collect();
        let section = unwind::section(&frames, self.isa);
        self.text.frames.add(&section, 0);
        Ok(())
    }
}

fn callee(target: &FinalizedRelocTarget, code: &Code) -> Option<Callee> {
    let FinalizedRelocTarget::ExternalName(ExternalName::User(name)) = target else { return None };
    Callee::of(code.names.get(*name)?)
}

/// Writes a distance into a call; `None` where it does not fit or the call is of no known kind.
fn patch(bytes: &mut [u8], at: u64, kind: Reloc, distance: i64) -> Option<()> {
    let at = usize::try_from(at).ok()?;
    let distance = i32::try_from(distance).ok()?;
    match kind {
        Reloc::X86CallPCRel4 => {
            bytes.get_mut(at..at + 4)?.copy_from_slice(&distance.to_le_bytes());
        }
        Reloc::Arm64Call => {
            if distance % 4 != 0 || !(-(1 << 27)..1 << 27).contains(&distance) {
                return None;
            }
            let field = (distance >> 2).cast_unsigned() & 0x03ff_ffff;
            change(bytes, at, |word| word & 0xfc00_0000 | field)?;
        }
        Reloc::RiscvCallPlt => {
            // auipc adds the upper 20 bits, and jalr the lower 12 with their sign.
            let upper = distance.checked_add(0x800)?.cast_unsigned() & 0xffff_f000;
            let lower = distance.cast_unsigned() & 0xfff;
            change(bytes, at, |word| word & 0xfff | upper)?;
            change(bytes, at + 4, |word| word & 0x000f_ffff | lower << 20)?;
        }
        _ => return None,
    }
    Some(())
}

fn change(bytes: &mut [u8], at: usize, change: impl Fn(u32) -> u32) -> Option<()> {
    let field = bytes.get_mut(at..at + 4)?;
    let word = u32::from_le_bytes(field.try_into().ok()?);
    field.copy_from_slice(&change(word).to_le_bytes());
    Some(())
}
