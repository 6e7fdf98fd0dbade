//! One schedule at a time outside of a run: compiled, judged, timed, made a record of.
//!
//! Invariant: nothing compiles while something is timed; a record of a schedule that is not accepted has a reason.

use super::build::{Built, build_all};
use super::run::compilers;
use super::trial::{Pace, Trial, try_artifact};
use crate::ceiling::{Bound, Ceilings, bound};
use crate::judge::{Judge, Rejection};
use crate::protocol::Role;
use crate::stats::{Work, over_lanes, work};
use crate::store::NewRecord;
use std::time::Duration;
use tilewright_ir::backend::{Artifact, Backend};
use tilewright_ir::base::StableHash;
use tilewright_ir::diag::Diagnostic;
use tilewright_ir::graph::Graph;
use tilewright_ir::schedule::{Forms, Schedule};

/// The longest that one call may take while no time of the kernel is known.
const FIRST_CALL: Duration = Duration::from_secs(10);

/// All that trying schedules of one kernel takes.
pub(crate) struct Workbench<'a> {
    backend: &'a dyn Backend,
    forms: Forms,
    judge: Judge<'a>,
    pool: rayon::ThreadPool,
    ceilings: Option<Ceilings>,
    work: Work,
    over_lanes: f64,
}

impl<'a> Workbench<'a> {
    /// A workbench for a bound graph; `threads` compile, all of the machine's for 0.
    pub(crate) fn new(
        backend: &'a dyn Backend,
        graph: &'a Graph,
        seed: u64,
        threads: usize,
        ceilings: Option<Ceilings>,
    ) -> Result<Self, Diagnostic> {
        let pool = compilers(threads)?;
        let judge = pool.install(|| Judge::new(graph, seed));
        let forms = Forms::new(graph, backend.target());
        let over_lanes = over_lanes(graph, backend.target());
        Ok(Self { backend, forms, judge, pool, ceilings, work: work(graph), over_lanes })
    }

    /// Every legal schedule.
    pub(crate) fn forms(&self) -> &Forms {
        &self.forms
    }

    /// Compiles schedules side by side.
    pub(crate) fn build(&self, schedules: &[Schedule]) -> Vec<Result<Built, Rejection>> {
        build_all(&self.pool, self.backend, &self.forms, schedules)
    }

    /// Judges and times one of them.
    ///
    /// # Errors
    /// Only if the machine lets no process start.
    pub(crate) fn evaluate(
        &mut self,
        schedule: &Schedule,
        built: &Result<Built, Rejection>,
        best_ns: Option<f64>,
        created: u64,
    ) -> Result<NewRecord, Diagnostic> {
        let floor_ns = self.roofline().map_or(0.0, |bound| bound.floor_ns);
        let pace = Pace { best_ns, floor_ns, first_call: FIRST_CALL, careful: None };
        let trial = match built {
            Ok(built) => try_artifact(&mut self.judge, &built.artifact, &pace)?,
            Err(rejection) => Trial::rejected(rejection.clone()),
        };
        let rejection = trial.rejection.as_ref();
        Ok(NewRecord {
            tile_hash: built.as_ref().ok().map(|built| built.tile_hash.to_string()),
            reason: rejection.map(|rejection| rejection.reason.to_string()),
            evidence: rejection.map(|rejection| rejection.evidence.clone()),
            time_ns: trial.time_ns(),
            samples_ns: trial.measurement.as_ref().map_or(vec![], |m| m.samples_ns.clone()),
            worst_ratio: trial.worst_ratio,
            seed: trial.seed,
            ..NewRecord::new(Role::Search, schedule, created)
        })
    }

    /// Judges and times code that no schedule makes. The record is not for the store: its schedule is the default one.
    ///
    /// # Errors
    /// As `evaluate`.
    pub(crate) fn evaluate_code(
        &mut self,
        artifact: &Artifact,
        created: u64,
    ) -> Result<NewRecord, Diagnostic> {
        let built = Built {
            tile_hash: StableHash([0; 16]),
            image_hash: [0; 32],
            artifact: artifact.clone(),
        };
        let schedule = self.forms.default_schedule();
        let record = self.evaluate(&schedule, &Ok(built), None, created)?;
        Ok(NewRecord { tile_hash: None, ..record })
    }

    /// The shortest time that the measured ceilings allow; `None` without ceilings.
    pub(crate) fn roofline(&self) -> Option<Bound> {
        let ceilings = self.ceilings.as_ref()?;
        let threads = self.backend.target().threads;
        let working_set = self.work.bytes as u64;
        let flops = self.work.flops / self.over_lanes;
        Some(bound(flops, self.work.bytes, working_set, threads, ceilings))
    }
}
