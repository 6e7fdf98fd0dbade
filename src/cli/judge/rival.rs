//! What a foreign candidate is timed against: our own schedule, as a library like it.
//!
//! Invariant: it is the function that `build` would write for one thread.

use crate::cli::device;
use crate::cli::failure::Failure;
use crate::cli::select::Selected;
use crate::report::time;
use serde_json::{Value, json};
use std::time::Duration;
use tilewright::autotune::ceiling::{Ceilings, bound};
use tilewright::autotune::clock::Measurement;
use tilewright::autotune::clock::against::Verdict;
use tilewright::autotune::judge::{Contest, Judge, Outcome, Rejection, Standing};
use tilewright::autotune::launch::{Library, Profile, SessionOptions};
use tilewright::autotune::stats::work;
use tilewright::autotune::tune::Foreign;
use tilewright::export::{Arch, Machine, Package};
use tilewright::ir::graph::Graph;
use tilewright::{Origin, host};

/// The product of tile registers is so many times as fast as multiply-adds at most; that of groups of narrow numbers.
const TILES_OVER_LANES: f64 = 16.0;
const GROUPS_OVER_LANES: f64 = 4.0;

/// Our own schedule as a library.
pub(in crate::cli) struct Rival {
    library: Library,
    workspace_bytes: u64,
    origin: Origin,
    floor_ns: f64,
}

/// The stored winner for the kernel on one thread, else that on all as it is on one, else the default schedule.
pub(in crate::cli) fn of(selected: &Selected) -> Result<Rival, Failure> {
    const PREFIX: &str = "tw_";
    let backend = host::backend()?;
    let mut bound = selected.kernel.bind_sizes(&selected.sizes)?;
    bound.set_threads_max(Some(1));
    let (schedule, origin) = match (bound.schedule()?, selected.bound.stored_schedule()?) {
        ((_, Origin::Default), Some((winner, origin))) => {
            let here = bound.forms().adapted(&winner, &selected.sizes);
            here.map_or_else(|| bound.schedule(), |schedule| Ok((schedule, origin)))?
        }
        (own, _) => own,
    };
    let arch = Arch::host().ok_or_else(|| {
        Failure::Usage("there is no code for libraries of this machine".to_string())
    })?;
    let mut package = Package::new("incumbent", PREFIX, Machine::named(arch, None)?)?;
    package.add(&bound, "", schedule, origin.clone())?;
    let entry = package.entries().first().expect("one was added");
    let (symbol, workspace_bytes) = (entry.symbol().to_string(), entry.workspace_bytes(1));
    let files = package.files()?;
    let shared = files.iter().find(|file| file.name.ends_with(".so"));
    let bytes = &shared.expect("a package has a shared library").bytes;
    let library = Library::new(bytes, &symbol, Profile::Strict)
        .map_err(|failure| Failure::File(failure.to_string()))?;
    let ceilings = device::known_ceilings(backend)?.map(|known| known.ceilings).unwrap_or_default();
    let floor_ns = floor_ns(bound.graph(), &ceilings);
    Ok(Rival { library, workspace_bytes, origin, floor_ns })
}

/// The shortest time on this machine, as far as its ceilings tell. Those are of multiply-adds with the vectors that our
/// code uses; a foreign library may use whatever the machine has.
fn floor_ns(graph: &Graph, ceilings: &Ceilings) -> f64 {
    let work = work(graph);
    let has_tiles =
        std::fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| text.contains("amx_tile"));
    let narrow = graph.inputs.iter().any(|tensor| tensor.dtype.bits() < 32);
    let over = match (std::env::var_os("TILEWRIGHT_ISA"), has_tiles, narrow) {
        (Some(_), _, _) => f64::INFINITY,
        (None, true, _) => TILES_OVER_LANES,
        (None, false, true) => GROUPS_OVER_LANES,
        (None, false, false) => 1.0,
    };
    // A library of a vendor may use all threads.
    let threads = ceilings.threads.max(1);
    bound(work.flops / over, work.bytes, work.bytes as u64, threads, ceilings).floor_ns
}

impl Rival {
    /// A library of somebody else's, to be timed against this.
    pub(in crate::cli) fn against(self, candidate: Library, seconds: f64) -> Foreign {
        Foreign {
            candidate,
            incumbent: self.library,
            incumbent_workspace_bytes: self.workspace_bytes,
            floor_ns: self.floor_ns,
            budget: Duration::from_secs_f64(seconds),
        }
    }

    /// Times a candidate against this.
    pub(super) fn contest(
        &self,
        judge: &mut Judge<'_>,
        (candidate, standing): (&Library, &Standing),
        seconds: f64,
        options: &SessionOptions,
    ) -> Result<Outcome, Rejection> {
        let contest = Contest {
            candidate,
            incumbent: &self.library,
            workspace_bytes: [standing.workspace_bytes, self.workspace_bytes],
            call_ns: standing.call_ns_min,
            floor_ns: self.floor_ns,
            budget: Duration::from_secs_f64(seconds),
        };
        judge.contest(&contest, options)
    }

    pub(super) fn to_text(&self, outcome: &Outcome) -> String {
        let (ratio, low, high) = outcome.ratio;
        let verdict = match outcome.verdict {
            Verdict::Faster => "faster than",
            Verdict::Tie => "a tie with",
            Verdict::Slower => "slower than",
        };
        format!(
            "{verdict} the {} on one thread: {} against {}; round by round {ratio:.3} of its time ({low:.3} to {high:.3})\n",
            self.origin,
            time(outcome.candidate.median),
            time(outcome.incumbent.median)
        )
    }

    pub(super) fn to_json(&self, outcome: &Outcome) -> Value {
        let (ratio, low, high) = outcome.ratio;
        let measured = |measurement: &Measurement| {
            json!({
                "median_ns": measurement.median, "lo_ns": measurement.lo, "hi_ns": measurement.hi,
                "samples_ns": measurement.samples_ns,
            })
        };
        json!({
            "verdict": outcome.verdict, "ratio": ratio, "ratio_lo": low, "ratio_hi": high,
            "candidate": measured(&outcome.candidate), "incumbent": measured(&outcome.incumbent),
            "incumbent_origin": self.origin.to_string(), "floor_ns": self.floor_ns,
            "calls_of_a_sample": outcome.slots, "worst_ratio": outcome.worst_ratio,
        })
    }
}
