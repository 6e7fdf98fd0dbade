//! One schedule at a time outside of a run: compiled, judged, timed, made a record of.
//!
//! Invariant: nothing compiles while something is timed; a record of a schedule that is not accepted has a reason.

use super::build::{Built, build_all};
use super::doubted;
use super::foreign::{Beside, Foreign, try_library};
use super::pacer::Pacer;
use super::run::compilers;
use super::trial::{Pace, Trial, try_artifact};
use crate::ceiling::{Bound, Ceilings, bound};
use crate::judge::{Judge, Rejection};
use crate::protocol::Role;
use crate::search::Outcome;
use crate::stats::{Work, over_lanes, work};
use crate::store::{NewRecord, Store};
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tilewright_ir::backend::{Artifact, Backend};
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
    pacer: Pacer,
    /// Whether the ceilings have been measured a second time.
    has_doubted: bool,
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
        let (work, pacer) = (work(graph), Pacer::default());
        let has_doubted = false;
        Ok(Self { backend, forms, judge, pool, ceilings, work, over_lanes, pacer, has_doubted })
    }

    /// Every legal schedule.
    pub(crate) fn forms(&self) -> &Forms {
        &self.forms
    }

    /// Compiles schedules side by side.
    pub(crate) fn build(&self, schedules: &[Schedule]) -> Vec<Result<Built, Rejection>> {
        build_all(&self.pool, self.backend, &self.forms, schedules)
    }

    /// Takes ceilings that have been measured again, after a candidate was faster than those known allow; once.
    ///
    /// # Errors
    /// The store's.
    fn doubt_ceilings(&mut self, store: &mut Store, now: u64) -> Result<bool, Diagnostic> {
        if self.ceilings.is_none() || std::mem::replace(&mut self.has_doubted, true) {
            return Ok(false);
        }
        let higher = doubted(self.backend, store, now, &AtomicBool::new(false))?;
        let is_higher = higher.is_some();
        self.ceilings = higher.or(self.ceilings.take());
        Ok(is_higher)
    }

    /// Judges and times one of them: its record, and what a search learns.
    ///
    /// # Errors
    /// Only if the machine lets no process start.
    pub(crate) fn evaluate(
        &mut self,
        schedule: &Schedule,
        built: &Result<Built, Rejection>,
        best_ns: Option<f64>,
        (store, created): (&mut Store, u64),
    ) -> Result<(NewRecord, Outcome), Diagnostic> {
        let trial = match built {
            Ok(built) => {
                let trial = self.try_code(&built.artifact, best_ns)?;
                if trial.is_impossible() && self.doubt_ceilings(store, created)? {
                    self.try_code(&built.artifact, best_ns)?
                } else {
                    trial
                }
            }
            Err(rejection) => Trial::rejected(rejection.clone()),
        };
        let tile_hash = built.as_ref().ok().map(|built| built.tile_hash.to_string());
        Ok((trial.record(Role::Search, schedule, tile_hash, created), trial.outcome()))
    }

    /// Judges and times code, whoever made it; `best_ns` is what it has to be near to be measured well.
    ///
    /// # Errors
    /// As `evaluate`.
    pub(super) fn try_code(
        &mut self,
        artifact: &Artifact,
        best_ns: Option<f64>,
    ) -> Result<Trial, Diagnostic> {
        let floor_ns = self.roofline().map_or(0.0, |bound| bound.floor_ns);
        let drift = self.pacer.drift();
        let pace = Pace { best_ns, drift, ..Pace::unhurried(floor_ns, FIRST_CALL) };
        let trial = try_artifact(&mut self.judge, artifact, &pace)?;
        self.pacer.learn(&self.judge, artifact, &trial);
        Ok(trial)
    }

    /// Judges and times a library of somebody else's.
    pub(super) fn try_library(&mut self, foreign: &Foreign) -> (Trial, Option<Beside>) {
        try_library(&mut self.judge, foreign)
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
