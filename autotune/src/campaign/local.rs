//! The queue of one machine: work is done here, when it is asked for.
//!
//! Invariant: a batch is compiled before any of it is timed.

use super::queue::{Done, Evaluated, Evaluation, Finals, Queue, Work};
use crate::ceiling::Ceilings;
use crate::clock::Stopwatch;
use crate::judge::Rejection;
use crate::protocol::{Confirmed, Finished};
use crate::search::Outcome;
use crate::store::{Store, Task};
use crate::tune::{Built, Timed, TuneOptions, Workbench, confirm};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::AtomicBool;
use tilewright_ir::backend::Backend;
use tilewright_ir::diag::Diagnostic;
use tilewright_ir::graph::Graph;
use tilewright_ir::schedule::{Schedule, Setting};

/// Seconds that the finals of a kernel may take.
const FINALS_SECONDS: f64 = 20.0;

/// A kernel of a campaign with its code generator.
pub struct LocalJob<'a> {
    /// The kernel at its sizes.
    pub graph: &'a Graph,
    /// Who compiles it.
    pub backend: &'a dyn Backend,
    /// What its records belong to.
    pub task: Task,
    /// Settings that every candidate has.
    pub fixed: Vec<Setting>,
    /// Settings that no candidate has.
    pub forbidden: Vec<Setting>,
}

impl fmt::Debug for LocalJob<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalJob").field("task", &self.task).finish_non_exhaustive()
    }
}

/// A kernel and what is known of its code.
struct Bench<'a> {
    job: LocalJob<'a>,
    workbench: Workbench<'a>,
    /// The proposal that first had an image.
    images: BTreeMap<String, u64>,
}

/// A proposal that has been compiled.
struct Ready {
    evaluation: Evaluation,
    built: Result<Built, Rejection>,
    /// Its part of the time that its batch took to compile.
    seconds: f64,
}

/// The local queue.
pub struct LocalQueue<'a> {
    benches: Vec<Bench<'a>>,
    /// A connection of its own, for the finals.
    store: Store,
    seed: u64,
    threads: usize,
    now: &'a dyn Fn() -> u64,
    stop: &'a AtomicBool,
    waiting: VecDeque<Work>,
    ready: VecDeque<Ready>,
}

impl fmt::Debug for LocalQueue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalQueue").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

impl<'a> LocalQueue<'a> {
    /// A queue for the kernels of a campaign in their order. `store` is a connection for the finals; `threads` compile.
    ///
    /// # Errors
    /// `TW0812` if there are no threads to compile on.
    pub fn new(
        jobs: Vec<LocalJob<'a>>,
        store: Store,
        ceilings: Option<&Ceilings>,
        (seed, threads): (u64, usize),
        now: &'a dyn Fn() -> u64,
        stop: &'a AtomicBool,
    ) -> Result<Self, Diagnostic> {
        let bench = |job: LocalJob<'a>| {
            let ceilings = ceilings.cloned();
            let workbench = Workbench::new(job.backend, job.graph, seed, threads, ceilings)?;
            Ok(Bench { job, workbench, images: BTreeMap::new() })
        };
        let benches = jobs.into_iter().map(bench).collect::<Result<_, Diagnostic>>()?;
        let (waiting, ready) = (VecDeque::new(), VecDeque::new());
        Ok(Self { benches, store, seed, threads, now, stop, waiting, ready })
    }

    fn bench(&mut self, job: u64) -> &mut Bench<'a> {
        let place = usize::try_from(job).expect("jobs are counted from 0");
        self.benches.get_mut(place).expect("work is for the kernels of the campaign")
    }

    /// Compiles the proposals at the head of the queue that are of one kernel.
    fn compile(&mut self) {
        let mut batch: Vec<Evaluation> = vec![];
        while let Some(Work::Evaluate(next)) = self.waiting.front() {
            if batch.first().is_some_and(|first| first.job != next.job) {
                break;
            }
            let Some(Work::Evaluate(next)) = self.waiting.pop_front() else { break };
            batch.push(next);
        }
        let Some(job) = batch.first().map(|first| first.job) else { return };
        let schedules: Vec<Schedule> = batch.iter().map(|one| one.schedule.clone()).collect();
        let watch = Stopwatch::start();
        let built = self.bench(job).workbench.build(&schedules);
        let seconds = watch.elapsed().as_secs_f64() / batch.len() as f64;
        let ready = batch.into_iter().zip(built);
        self.ready.extend(ready.map(|(evaluation, built)| Ready { evaluation, built, seconds }));
    }

    fn evaluate(&mut self, ready: Ready) -> Result<Evaluated, Diagnostic> {
        let Ready { evaluation, built, seconds } = ready;
        let created = (self.now)();
        let watch = Stopwatch::start();
        let place = usize::try_from(evaluation.job).expect("jobs are counted from 0");
        let bench = self.benches.get_mut(place).expect("work is for the kernels of the campaign");
        let image = built.as_ref().ok().map(image_name);
        let earlier = image.as_ref().and_then(|image| bench.images.get(image)).copied();
        let built = match earlier.filter(|&index| index != evaluation.index) {
            Some(index) => {
                let evidence = format!("the same code as proposal {index}");
                Err(Rejection::new("duplicate", evidence))
            }
            None => built,
        };
        let Evaluation { job, index, schedule, best_ns } = evaluation;
        let (record, outcome) =
            bench.workbench.evaluate(&schedule, &built, best_ns, (&mut self.store, created))?;
        let first_ns = match outcome {
            Outcome::Slow(first_ns) => Some(first_ns),
            Outcome::Time(_) | Outcome::Rejected => None,
        };
        let seconds = seconds + watch.elapsed().as_secs_f64();
        let task = bench.job.task.clone();
        Ok(Evaluated { job, index, task, record, first_ns, image, seconds })
    }

    fn confirm(&mut self, finals: &Finals) -> Result<Confirmed, Diagnostic> {
        let watch = Stopwatch::start();
        let place = usize::try_from(finals.job).expect("jobs are counted from 0");
        let job = &self.benches[place].job;
        let options = TuneOptions {
            budget_seconds: FINALS_SECONDS,
            seed: self.seed,
            fixed: job.fixed.clone(),
            forbidden: job.forbidden.clone(),
            threads: self.threads,
            started_unix: (self.now)(),
            ..TuneOptions::default()
        };
        let timed = finals.finalists.iter().map(|known| Timed {
            schedule: known.schedule.clone(),
            time_ns: known.time_ns,
            worst_ratio: known.worst_ratio,
        });
        let timed: Vec<_> = timed.collect();
        let store = &mut self.store;
        let report = confirm(job.backend, job.graph, &options, store, &timed, self.stop)?;
        let best = report.best.as_ref();
        Ok(Confirmed {
            job: finals.job,
            record: report.record.clone(),
            schedule: best.map(|best| best.schedule.hash().to_string()),
            time_ns: best.map(|best| best.time_ns),
            fraction_of_peak: report.fraction_of_peak,
            bound: report.bound.clone(),
            stays: report.standing.as_ref().map(|standing| standing.record.clone()),
            seconds: watch.elapsed().as_secs_f64(),
        })
    }
}

/// 32 hexadecimal digits.
fn image_name(built: &Built) -> String {
    built.image_hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

impl Queue for LocalQueue<'_> {
    fn put(&mut self, work: Vec<Work>) -> Result<(), Diagnostic> {
        self.waiting.extend(work);
        Ok(())
    }

    fn take(&mut self) -> Result<Done, Diagnostic> {
        if self.ready.is_empty() {
            self.compile();
        }
        if let Some(ready) = self.ready.pop_front() {
            return self.evaluate(ready).map(Box::new).map(Done::Evaluated);
        }
        match self.waiting.pop_front() {
            Some(Work::Confirm(finals)) => self.confirm(&finals).map(Done::Confirmed),
            _ => unreachable!("who takes has put"),
        }
    }

    fn learn(&mut self, finished: &Finished) {
        if let Some(image) = finished.image.clone() {
            let index = finished.index;
            self.bench(finished.job).images.entry(image).or_insert(index);
        }
    }
}
