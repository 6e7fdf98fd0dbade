//! A kernel at fixed sizes: its plan, its forms with the spaces of their schedules, and the schedule that a call uses.
//!
//! The plan and space of the form as written are always there; the other forms are found when somebody asks for them.
//! Invariant: the schedule that `call` uses is chosen once, compiled once and kept.

use super::SharedRewriter;
use super::call::{self, Strided};
use super::compiled::CompiledKernel;
use crate::error::Error;
use crate::host;
use crate::tensor::{Tensor, TensorMut};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tilewright_autotune::store::{DAMAGED, Store, Task, default_path};
use tilewright_ir::backend::{Artifact, Backend, Unsupported};
use tilewright_ir::base::AxisTable;
use tilewright_ir::diag::Diagnostic;
use tilewright_ir::graph::Graph;
use tilewright_ir::lower::lower_in;
use tilewright_ir::plan::{self, PassProgram};
use tilewright_ir::schedule::{FORM, Forms, Schedule, Space};
use tilewright_ir::tile::{self, Buffer, Layout, TileProgram};
use tilewright_ir::{AxisId, DType};

/// Where a schedule comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The winner of earlier tuning: its record in the store.
    Stored(String),
    /// What won on another machine of this one's kind, or with another version: its record. It was not tuned here.
    Carried(String),
    /// The default of the form that should be fastest, because the store has no winner for this task.
    Default,
    /// The caller.
    Given,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stored(record) => write!(f, "stored winner {record}"),
            Self::Carried(record) => {
                write!(f, "winner {record} of another machine or version, not tuned here")
            }
            Self::Default => f.write_str("default schedule"),
            Self::Given => f.write_str("given schedule"),
        }
    }
}

/// For each input its strides in elements, one for each dimension; `None`: those of the signature.
pub type InputStrides = Vec<Option<Vec<i64>>>;

/// The schedule that a store offers, if any, and what was wrong with the faster ones.
type Stored = (Option<(Schedule, Origin)>, Vec<Diagnostic>);

/// A kernel with an extent for every axis.
pub struct BoundKernel {
    graph: Graph,
    plan: PassProgram,
    space: Space,
    forms: OnceLock<Forms>,
    rewriter: Arc<SharedRewriter>,
    /// The code generator for all threads.
    unlimited: &'static dyn Backend,
    /// For the threads that code may use.
    backend: &'static dyn Backend,
    strided: Strided,
    threads_max: Option<u64>,
    compiled: OnceLock<CompiledKernel>,
    /// The kernel compiled for other strides of its inputs, by those strides.
    specialised: Mutex<BTreeMap<InputStrides, Arc<BoundKernel>>>,
}

impl std::fmt::Debug for BoundKernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BoundKernel").field("graph", &self.graph).finish_non_exhaustive()
    }
}

impl BoundKernel {
    pub(super) fn of_graph(
        graph: Graph,
        strided: Strided,
        rewriter: Arc<SharedRewriter>,
        backend: &'static dyn Backend,
    ) -> Self {
        let plan = plan::build(&graph);
        let space = Space::seeded(&plan, backend.target(), graph.split);
        Self {
            graph,
            plan,
            space,
            forms: OnceLock::new(),
            rewriter,
            unlimited: backend,
            backend,
            strided,
            threads_max: None,
            compiled: OnceLock::new(),
            specialised: Mutex::default(),
        }
    }

    /// Lets code compiled from now on use at most this many threads; `None`: what its schedule says.
    ///
    /// Default schedules and stored winners are then those of a machine with so many threads, which `tune --threads`
    /// finds.
    pub fn set_threads_max(&mut self, threads_max: Option<u64>) {
        self.threads_max = threads_max;
        self.backend = match threads_max {
            Some(threads) => host::limited(self.unlimited, threads),
            None => self.unlimited,
        };
        self.space = Space::seeded(&self.plan, self.backend.target(), self.graph.split);
        self.forms = OnceLock::new();
        self.compiled = OnceLock::new();
        self.specialised = Mutex::default();
    }

    /// The operations with bound extents.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The passes of the form as written.
    pub fn plan(&self) -> &PassProgram {
        &self.plan
    }

    /// The legal schedules of the form as written, on this machine.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// All forms of the kernel at these sizes on this machine. They are found at the first call.
    pub fn forms(&self) -> &Forms {
        let target = self.backend.target();
        self.forms.get_or_init(|| {
            let written = (&self.graph, self.plan.clone(), self.space.clone());
            Forms::beside(written, target, self.rewriter.get())
        })
    }

    /// As `forms`, with the steps that lead from the text to each form.
    pub fn proved_forms(&self) -> Forms {
        self.forms().proved(self.rewriter.get())
    }

    /// The code generator.
    pub fn backend(&self) -> &'static dyn Backend {
        self.backend
    }

    /// What the store files results under.
    pub fn task(&self) -> Task {
        Task::of(&self.graph, &self.plan, self.backend)
    }

    /// The verified tile program that a schedule makes of this kernel.
    ///
    /// # Errors
    /// The faults of the schedule, each with the legal values.
    pub fn lower(&self, schedule: &Schedule) -> Result<TileProgram, Error> {
        let program = match schedule.get(FORM) {
            None => lower_in(&self.space, schedule)?,
            Some(_) => self.forms().lower(schedule)?,
        };
        tile::verify(&program, self.backend.target())?;
        Ok(program)
    }

    /// Compiles with a given schedule.
    ///
    /// # Errors
    /// As `lower`; `Unsupported` when the back end has no lowering for a construct.
    pub fn compile(&self, schedule: &Schedule) -> Result<CompiledKernel, Error> {
        self.compile_from(schedule.clone(), Origin::Given)
    }

    /// Compiles a tile program written by hand. It enters by the verifier, as every other.
    ///
    /// # Errors
    /// `TW0606` if its signature is not this kernel's; what the verifier and the back end say.
    pub fn compile_tile(&self, program: &TileProgram) -> Result<CompiledKernel, Error> {
        self.check(program)?;
        self.compile_program(program, None, Origin::Given)
    }

    /// The code of a tile program written by hand.
    ///
    /// # Errors
    /// As `compile_tile`.
    pub fn artifact_of_tile(&self, program: &TileProgram) -> Result<Artifact, Error> {
        self.check(program)?;
        Ok(self.artifact_of(program)?)
    }

    /// The code of another kernel text that claims to compute the same, with its own stored or default schedule.
    ///
    /// # Errors
    /// `TW0606` if its signature is not this kernel's; what `schedule` and `compile` say.
    pub fn artifact_of_claim(&self, claim: &Self) -> Result<Artifact, Error> {
        let (schedule, _) = claim.schedule()?;
        let program = claim.lower(&schedule)?;
        self.check_signature(&program)?;
        Ok(self.artifact_of(&program)?)
    }

    /// Whether a tile program from outside has this kernel's arguments and keeps the rules.
    fn check(&self, program: &TileProgram) -> Result<(), Error> {
        self.check_signature(program)?;
        Ok(tile::verify(program, self.backend.target())?)
    }

    fn check_signature(&self, program: &TileProgram) -> Result<(), Error> {
        let outputs = self.graph.outputs.iter().map(|output| &output.tensor);
        let expected: Vec<String> = (self.graph.inputs.iter().chain(outputs))
            .map(|tensor| {
                let axes = &self.graph.axes;
                let of = (tensor.dtype, &tensor.axes[..]);
                argument(axes, of, tensor.strides_if_strided(axes).as_deref())
            })
            .collect();
        let found: Vec<String> = (program.inputs().chain(program.outputs()))
            .map(|buffer| argument(&program.axes, (buffer.dtype, &buffer.axes), strides_of(buffer)))
            .collect();
        if expected == found {
            return Ok(());
        }
        let fault = Diagnostic::new("TW0606", "the program has another signature");
        Err(fault.found(found.join(", ")).expected(expected.join(", ")).into())
    }

    /// The schedule that `call` uses: the store's winner for this task, else what won on a machine of the same kind, else
    /// the default.
    ///
    /// # Errors
    /// When there is a store and it cannot be read. A store that does not exist yet has no winner.
    pub fn schedule(&self) -> Result<(Schedule, Origin), Error> {
        let found = match self.stored_schedule()? {
            None => self.carried_schedule()?,
            stored => stored,
        };
        Ok(found.unwrap_or_else(|| (self.forms().default_schedule(), Origin::Default)))
    }

    /// What won for the same task on another machine of this one's kind, as it would be here.
    fn carried_schedule(&self) -> Result<Option<(Schedule, Origin)>, Error> {
        let path = default_path()?;
        if !path.exists() {
            return Ok(None);
        }
        let row = Store::open_to_read(&path)?.best_elsewhere(&self.task())?;
        Ok(row.and_then(|row| {
            let schedule = Schedule::parse(&row.schedule).ok()?;
            let schedule = self.forms().adapted(&schedule, &row.task.sizes)?;
            Some((schedule, Origin::Carried(row.record)))
        }))
    }

    /// The store's winner for this task, if there is one: the fastest that is legal.
    ///
    /// # Errors
    /// As `schedule`.
    pub fn stored_schedule(&self) -> Result<Option<(Schedule, Origin)>, Error> {
        Ok(self.stored()?.0)
    }

    /// The records of the store that are faster than the one that `schedule` uses and are not legal here, as warnings.
    ///
    /// # Errors
    /// As `schedule`.
    pub fn refused_records(&self) -> Result<Vec<Diagnostic>, Error> {
        Ok(self.stored()?.1)
    }

    /// The fastest legal schedule of the store, and what was wrong with those before it.
    fn stored(&self) -> Result<Stored, Error> {
        let (path, mut refused) = (default_path()?, vec![]);
        if !path.exists() {
            return Ok((None, refused));
        }
        for row in Store::open_to_read(&path)?.fastest(&self.task(), STORED_TRIED)? {
            let schedule = Schedule::parse(&row.schedule).and_then(|schedule| {
                match schedule.get(FORM) {
                    None => self.space.check(&schedule)?,
                    Some(_) => self.forms().check(&schedule)?,
                }
                Ok(schedule)
            });
            match schedule {
                Ok(schedule) => return Ok((Some((schedule, Origin::Stored(row.record))), refused)),
                Err(faults) => refused.push(unusable(&path, &row.record, &faults)),
            }
        }
        Ok((None, refused))
    }

    /// Computes the outputs from the inputs, both in signature order.
    ///
    /// The first call finds the store's winner (the default schedule if there is none), compiles it and keeps it.
    ///
    /// # Errors
    /// A wrong count, element type, shape or stride, before anything is written; what `schedule` and `compile` say.
    pub fn call(&self, inputs: &[Tensor<'_>], outputs: &mut [TensorMut<'_>]) -> Result<(), Error> {
        call::check(&self.graph, inputs, outputs, self.strided)?;
        if self.strided == Strided::Specialise {
            let strides = call::other_strides(&self.graph, inputs);
            if strides.iter().any(Option::is_some) {
                return self.specialise(strides)?.compiled()?.call(inputs, outputs);
            }
        }
        self.compiled()?.call(inputs, outputs)
    }

    /// The kernel for inputs with other strides than the signature's. It is made once for each combination and kept.
    ///
    /// # Errors
    /// `TW0309` for strides that reach too far.
    pub fn specialise(&self, strides: InputStrides) -> Result<Arc<Self>, Error> {
        let mut known = self.specialised.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kernel) = known.get(&strides) {
            return Ok(Arc::clone(kernel));
        }
        let graph = self.graph.with_input_strides(&strides);
        graph.check_memory()?;
        let rewriter = Arc::clone(&self.rewriter);
        let mut fresh = Self::of_graph(graph, self.strided, rewriter, self.unlimited);
        fresh.set_threads_max(self.threads_max);
        let fresh = Arc::new(fresh);
        known.insert(strides, Arc::clone(&fresh));
        Ok(fresh)
    }

    /// The code that `call` uses.
    ///
    /// # Errors
    /// As `call`.
    pub fn compiled(&self) -> Result<&CompiledKernel, Error> {
        if let Some(compiled) = self.compiled.get() {
            return Ok(compiled);
        }
        let (schedule, origin) = self.schedule()?;
        let fresh = self.compile_from(schedule, origin)?;
        // Two threads may compile at once; they compile the same, and one result is kept.
        Ok(self.compiled.get_or_init(|| fresh))
    }

    /// Compiles with a schedule whose origin is known.
    ///
    /// # Errors
    /// As `compile`.
    pub fn compile_from(
        &self,
        schedule: Schedule,
        origin: Origin,
    ) -> Result<CompiledKernel, Error> {
        let program = self.lower(&schedule)?;
        self.compile_program(&program, Some(schedule), origin)
    }

    fn compile_program(
        &self,
        program: &TileProgram,
        schedule: Option<Schedule>,
        origin: Origin,
    ) -> Result<CompiledKernel, Error> {
        let artifact = self.artifact_of(program)?;
        CompiledKernel::new(self.graph.clone(), schedule, origin, &artifact, self.strided)
    }

    /// The code that a schedule makes of this kernel, which may be for another machine.
    ///
    /// # Errors
    /// As `compile`.
    pub fn artifact(&self, schedule: &Schedule) -> Result<Artifact, Error> {
        Ok(self.artifact_of(&self.lower(schedule)?)?)
    }

    fn artifact_of(&self, program: &TileProgram) -> Result<Artifact, Unsupported> {
        let mut artifact = self.backend.compile(program)?;
        for launch in &mut artifact.launches {
            launch.threads = launch.threads.min(self.threads_max.unwrap_or(u64::MAX));
        }
        Ok(artifact)
    }
}

/// Stored schedules that are looked at before the default is taken.
const STORED_TRIED: usize = 8;

/// A stored schedule that no run of this version has written.
fn unusable(path: &Path, record: &str, faults: &[Diagnostic]) -> Diagnostic {
    let why = faults.first().map(ToString::to_string).unwrap_or_default();
    let message = format!("record {record} of the store {} is not used: {why}", path.display());
    Diagnostic::new(DAMAGED, message).help("tune the kernel again, or name another store")
}

/// `f32[m=4, k=5] strides(1, 4)`: what the caller's array has to be.
fn argument(axes: &AxisTable, (dtype, of): (DType, &[AxisId]), strides: Option<&[i64]>) -> String {
    let extent = |&axis: &AxisId| format!("{}={}", axes.name(axis), axes.extent(axis));
    let strides = strides.map(|strides| {
        let strides: Vec<String> = strides.iter().map(i64::to_string).collect();
        format!(" strides({})", strides.join(", "))
    });
    let extents = of.iter().map(extent).collect::<Vec<_>>().join(", ");
    format!("{dtype}[{extents}]{}", strides.unwrap_or_default())
}

/// The strides of a buffer that is not dense.
fn strides_of(buffer: &Buffer) -> Option<&[i64]> {
    match &buffer.layout {
        Layout::Strides(strides) => Some(strides),
        _ => None,
    }
}
