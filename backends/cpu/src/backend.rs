//! The back end: verified tile programs to artifacts.
//!
//! Invariant: the image depends on the program, the target and this crate's version only; it holds no address and
//! needs no symbol.

use crate::emit::{self, CompiledPhase};
use crate::export::Machine;
use crate::machine::{self, MachinePhase};
use crate::wide::{self, Isa};
use crate::{host, listing, probe, unwind};
use cranelift_codegen::isa::OwnedTargetIsa;
use std::fmt;
use tilewright_ir::backend::{Artifact, Backend, InputLayout, Launch, Probe, Unsupported};
use tilewright_ir::base::AxisTable;
use tilewright_ir::target::Target;
use tilewright_ir::tile::{Buffer, Layout, Scope, TileProgram};

/// Stack of the thread that compiles: expressions may be nested as deeply as a text is long.
const STACK_BYTES: usize = 256 << 20;

/// The CPU back end for one machine.
pub struct CpuBackend {
    isa: OwnedTargetIsa,
    /// Of the wide path; `None`: everything in vectors of 128 bits.
    wide: Option<Isa>,
    target: Target,
}

impl fmt::Debug for CpuBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CpuBackend").field("target", &self.target).finish_non_exhaustive()
    }
}

impl CpuBackend {
    /// The back end for the machine that this runs on.
    ///
    /// # Errors
    /// When Cranelift has no code generator for it, or the variable `TILEWRIGHT_ISA` names vectors that it lacks.
    pub fn host() -> Result<Self, Unsupported> {
        Self::with(host::wide()?)
    }

    /// As `host`, with these wide vectors; `None` for vectors of 128 bits alone.
    ///
    /// # Errors
    /// When Cranelift has no code generator for the host.
    pub fn with(wide: Option<Isa>) -> Result<Self, Unsupported> {
        Ok(Self { isa: host::isa()?, wide, target: host::target(wide) })
    }

    /// The back end for a machine that need not be this one; elsewhere it has so many threads.
    ///
    /// # Errors
    /// When Cranelift has no code generator for it.
    pub fn for_machine(machine: Machine, threads: u64) -> Result<Self, Unsupported> {
        let target = machine.target(threads);
        Ok(Self { isa: machine.isa()?, wide: machine.wide, target })
    }

    /// The machine program of a tile program, as text.
    ///
    /// # Errors
    /// As `compile`.
    pub fn machine_text(&self, program: &TileProgram) -> Result<String, Unsupported> {
        let phases = machine::build(program)?;
        Ok(phases.iter().map(|phase| phase.print(&program.axes)).collect())
    }

    fn phases(
        &self,
        program: &TileProgram,
        with_text: bool,
    ) -> Result<Vec<(MachinePhase, CompiledPhase)>, Unsupported> {
        let arguments =
            program.buffers.iter().filter(|buffer| buffer.scope != Scope::Group).count()
                + machine::unpacked_outputs(program).len();
        let compile = || {
            machine::build(program)?
                .into_iter()
                .map(|phase| {
                    let isa = (&*self.isa, self.wide);
                    let code = emit::compile(&phase, &program.axes, arguments, isa, with_text)?;
                    Ok((phase, code))
                })
                .collect()
        };
        let refused =
            |what: &str| Unsupported { what: what.to_string(), place: program.name.clone() };
        std::thread::scope(|scope| {
            let thread =
                std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, compile);
            let thread = thread.map_err(|error| {
                let (what, place) = (no_thread(&error), program.name.clone());
                Unsupported { what, place }
            })?;
            thread
                .join()
                .unwrap_or_else(|_| Err(refused("a program that the code generator stumbles over")))
        })
    }
}

/// Compiling needs a thread with a large stack, which a limit on address space may not leave.
fn no_thread(error: &std::io::Error) -> String {
    format!("compiling without {} MiB of address space for its thread: {error}", STACK_BYTES >> 20)
}

impl Backend for CpuBackend {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn with_threads_max(&self, threads: u64) -> Option<Box<dyn Backend>> {
        let threads = threads.max(1);
        (threads < self.target.threads).then(|| {
            let target = Target { threads, ..self.target.clone() };
            Box::new(Self { isa: self.isa.clone(), wide: self.wide, target }) as Box<dyn Backend>
        })
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn version(&self) -> String {
        let wide = self.wide.map_or("portable", Isa::name);
        let (own, cranelift) = (env!("CARGO_PKG_VERSION"), cranelift_codegen::VERSION);
        format!("cpu {own} {wide} cranelift {cranelift}")
    }

    fn compile(&self, program: &TileProgram) -> Result<Artifact, Unsupported> {
        let phases = self.phases(program, false)?;
        let mut image = Vec::new();
        let mut launches = Vec::with_capacity(phases.len());
        for (phase, compiled) in &phases {
            image.resize(image.len().next_multiple_of(64), 0);
            launches.push(Launch {
                entry: image.len() as u64,
                iterations: compiled.iterations,
                scratch_bytes: phase.scratch_bytes,
                threads: phase.threads,
            });
            image.extend_from_slice(&compiled.image);
        }
        image.resize(image.len().next_multiple_of(64), 0);
        let unwind = image.len();
        let functions: Vec<_> = launches
            .iter()
            .zip(&phases)
            .filter_map(|(launch, (_, compiled))| {
                let code = compiled.code.as_ref()?;
                Some((launch.entry.cast_signed() - unwind as i64, code))
            })
            .collect();
        let section = unwind::section(&functions, &*self.isa);
        let has_section = !section.is_empty();
        image.extend(section);
        let bytes = |scope| -> Vec<u64> {
            let buffers = program.buffers.iter().filter(|buffer| buffer.scope == scope);
            buffers
                .map(|buffer: &Buffer| buffer.dtype.bytes_of(buffer.volume(&program.axes)))
                .collect()
        };
        let inputs = bytes(Scope::Input);
        Ok(Artifact {
            image,
            unwind: has_section.then_some(unwind as u64),
            launches,
            inputs: inputs.len(),
            input_layouts: program.inputs().map(|buffer| layout(buffer, &program.axes)).collect(),
            argument_bytes: inputs.into_iter().chain(bytes(Scope::Output)).collect(),
            device_bytes: device_bytes(program),
            least_isa: self.wide.map(|isa| {
                let leaves = phases.iter().flat_map(|(_, compiled)| &compiled.leaves);
                let least = leaves.map(|code| wide::least_isa(&code.leaf, isa)).max();
                least.unwrap_or(isa.base()).name()
            }),
        })
    }

    fn listings(&self, program: &TileProgram) -> Result<Vec<(&'static str, String)>, Unsupported> {
        let phases = self.phases(program, true)?;
        let machine = phases.iter().map(|(phase, _)| phase.print(&program.axes)).collect();
        let clif = phases.iter().map(|(_, compiled)| compiled.clif.as_str()).collect();
        let disassembly = phases
            .iter()
            .map(|(phase, compiled)| {
                let own = listing::disassemble(&phase.name, compiled.code.as_ref());
                own + &listing::leaves(&compiled.leaves)
            })
            .collect();
        let leaves = phases.iter().map(|(phase, compiled)| listing::wide(&phase.name, compiled));
        let leaves = leaves.collect();
        Ok(vec![
            ("machine", machine),
            ("leaves", leaves),
            ("clif", clif),
            ("disassembly", disassembly),
        ])
    }

    fn probes(&self) -> Result<Vec<Probe>, Unsupported> {
        probe::probes(&self.target)
    }
}

fn layout(buffer: &Buffer, axes: &AxisTable) -> InputLayout {
    let extents: Vec<u64> = buffer.axes.iter().map(|&axis| axes.extent(axis)).collect();
    let mut strides = vec![1_i64; extents.len()];
    for position in (1..extents.len()).rev() {
        let extent = i64::try_from(extents[position]).unwrap_or(i64::MAX);
        strides[position - 1] = strides[position].saturating_mul(extent);
    }
    if let Layout::Strides(stated) = &buffer.layout {
        strides.clone_from(stated);
    }
    let steps = extents.into_iter().zip(strides).collect();
    InputLayout { element_bits: u64::from(buffer.dtype.bits()), steps }
}

/// The sizes of the device buffers: the program's own, then those of outputs that are packed at the end. In device
/// memory every element has an address.
fn device_bytes(program: &TileProgram) -> Vec<u64> {
    let own = program.buffers.iter().filter(|buffer| buffer.scope == Scope::Device);
    let own = own.map(|buffer| buffer.volume(&program.axes).saturating_mul(buffer.dtype.bytes()));
    own.chain(machine::unpacked_outputs(program)).collect()
}
