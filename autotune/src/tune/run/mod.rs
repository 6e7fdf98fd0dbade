//! The state of a tuning run and its phases.

mod telling;

use super::build::{Built, Refused, build_all};
use super::carried::{carried, priors};
use super::pacer::Pacer;
use super::report::{Timed, TuneReport};
use super::tally::Tally;
use super::trial::{Pace, Trial, nanoseconds, try_artifact};
use super::tried::tried;
use super::{NO_THREADS, TuneOptions};
use crate::ceiling::{Bound, Ceilings, bound};
use crate::clock::Stopwatch;
use crate::judge::{Judge, Rejection};
use crate::protocol::{Budget, Ended, Event, Phase, Role, Start, TargetName};
use crate::search::{Outcome, Search};
use crate::stats::{Work, over_lanes, work};
use crate::store::{Store, Task};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tilewright_ir::backend::Backend;
use tilewright_ir::diag::Diagnostic;
use tilewright_ir::graph::Graph;
use tilewright_ir::plan;
use tilewright_ir::schedule::{Forms, Schedule};

/// Accepted candidates that are kept compiled for the finals.
pub(super) const FINALISTS: usize = 12;
/// Measuring the machine may take this part of the budget; else it is left to a longer run, or to `describe-device`.
const CEILINGS_SHARE: u32 = 4;
/// All calls of the naive loop nest may take this part of the budget; so may the first call of a candidate while nothing
/// is known.
const NAIVE_SHARE: u32 = 8;
/// Calls of a candidate of a large kernel: the first, two for each of three cases, those of the clock and the last.
const TRIAL_CALLS: u32 = 10;
/// Most threads that compile.
const THREADS_MAX: usize = 4096;
/// Schedules of earlier runs that a search begins with.
const KNOWN: usize = 3;

/// An accepted candidate with its code.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) schedule: Schedule,
    pub(super) built: Built,
    pub(super) timed: Timed,
}

/// A tuning run.
pub(super) struct Run<'a> {
    pub(super) backend: &'a dyn Backend,
    pub(super) options: &'a TuneOptions,
    /// Every legal schedule of every form.
    forms: Forms,
    /// What the caller leaves open of them.
    pub(super) narrowed: Forms,
    tally: Tally,
    pub(super) task: Task,
    sizes: BTreeMap<String, u64>,
    kernel: String,
    work: Work,
    /// How many times the ceiling of multiply-adds the kernel's products may reach.
    over_lanes: f64,
    pub(super) store: &'a mut Store,
    observer: &'a mut dyn FnMut(&Event),
    stop: &'a AtomicBool,
    pub(super) watch: Stopwatch,
    pool: rayon::ThreadPool,
    pub(super) judge: Judge<'a>,
    ceilings: Option<Ceilings>,
    /// Whether they have been measured a second time.
    has_doubted: bool,
    naive: Option<Timed>,
    /// What a call of it takes at least, where that is all that is known.
    naive_over_ns: Option<f64>,
    /// Why it has no time.
    naive_rejection: Option<Rejection>,
    evaluated: u64,
    rejected: BTreeMap<String, u64>,
    /// What the back end refused first, while it has compiled nothing.
    refused: Refused,
    /// The fastest accepted candidates, fastest first.
    pub(super) kept: Vec<Kept>,
    /// The default schedule of the first form, if it was accepted.
    pub(super) default: Option<Kept>,
    /// Wall-clock time that the accepted candidates took, and how many they were.
    pub(super) trials: (Duration, u32),
    /// The smallest accepted median.
    best_ns: Option<f64>,
    pacer: Pacer,
    /// Candidates since the last that was faster than all before.
    without_progress: u64,
    /// Why the search has ended.
    ended: Ended,
    /// The schedule that first gave an image.
    images: BTreeMap<[u8; 32], String>,
}

impl<'a> Run<'a> {
    /// Plans the kernel, draws the judge's first cases and says so.
    pub(super) fn start(
        backend: &'a dyn Backend,
        graph: &'a Graph,
        options: &'a TuneOptions,
        store: &'a mut Store,
        observer: &'a mut dyn FnMut(&Event),
        stop: &'a AtomicBool,
    ) -> Result<Self, Diagnostic> {
        let watch = Stopwatch::start();
        let plan = plan::build(graph);
        let forms = Forms::new(graph, backend.target());
        let mut narrowed = forms.clone();
        let narrow =
            narrowed.fix(&options.fixed).and_then(|()| narrowed.forbid(&options.forbidden));
        narrow.map_err(|mut faults| faults.swap_remove(0))?;
        let task = Task::of(graph, &plan, backend);
        let pool = compilers(options.threads)?;
        let work = work(graph);
        observer(&Event::Start(Start {
            kernel: graph.name.clone(),
            sizes: task.row().sizes.clone(),
            target: TargetName::new(backend.target()),
            forms: narrowed.list().len() as u64,
            space_combinations: narrowed.combinations(),
            budget: Budget {
                seconds: options.budget_seconds,
                evaluations: options.budget_evaluations,
            },
            seed: options.seed,
            flops: work.flops,
            bytes: work.bytes,
            task: task.key(),
        }));
        let judge = pool.install(|| Judge::new(graph, options.seed));
        Ok(Self {
            backend,
            options,
            tally: Tally::new(&narrowed),
            forms,
            narrowed,
            sizes: task.row().sizes.clone(),
            kernel: graph.name.clone(),
            task,
            work,
            over_lanes: over_lanes(graph, backend.target()),
            store,
            observer,
            stop,
            watch,
            pool,
            judge,
            ceilings: None,
            has_doubted: false,
            naive: None,
            naive_over_ns: None,
            naive_rejection: None,
            evaluated: 0,
            rejected: BTreeMap::new(),
            refused: Refused::default(),
            kept: vec![],
            default: None,
            trials: (Duration::ZERO, 0),
            best_ns: None,
            pacer: Pacer::default(),
            without_progress: 0,
            ended: Ended::Budget,
            images: BTreeMap::new(),
        })
    }

    /// Runs all phases.
    pub(super) fn finish(mut self) -> Result<TuneReport, Diagnostic> {
        self.progress(Phase::Ceilings);
        let now_unix = self.now_unix();
        let budget = self.options.budget() / CEILINGS_SHARE;
        let known = super::ceilings(self.backend, self.store, budget, now_unix, self.stop)?;
        self.ceilings = known.map(|known| known.ceilings);
        self.progress(Phase::Naive);
        self.naive = self.time_naive()?;
        self.progress(Phase::Search);
        self.search()?;
        let decision = super::finals::decide(&mut self)?;
        let mut report = self.report(decision);
        if let Some(best) = &report.best {
            report.tried = Some(tried(self.store, &self.task, &self.narrowed, &best.schedule)?);
        }
        (self.observer)(&Event::Result(report.result()));
        Ok(report)
    }

    /// Runs the last phase alone, with candidates that passed before.
    pub(super) fn settle(mut self, candidates: &[Timed]) -> Result<TuneReport, Diagnostic> {
        let (now_unix, budget) = (self.now_unix(), self.options.budget() / CEILINGS_SHARE);
        let known = super::ceilings(self.backend, self.store, budget, now_unix, self.stop)?;
        self.ceilings = known.map(|known| known.ceilings);
        let schedules: Vec<_> = candidates.iter().map(|timed| timed.schedule.clone()).collect();
        for (timed, built) in candidates.iter().zip(self.build(&schedules)) {
            if let Ok(built) = built {
                let schedule = timed.schedule.clone();
                self.keep(Kept { schedule, built, timed: timed.clone() });
            }
        }
        let decision = super::finals::decide(&mut self)?;
        Ok(self.report(decision))
    }

    /// Judges and times the naive loop nest. It is the baseline, so it gets a large share of the time if it needs it, but
    /// not the time of the candidates.
    fn time_naive(&mut self) -> Result<Option<Timed>, Diagnostic> {
        if self.is_stopped() {
            return Ok(None);
        }
        let schedule = self.forms.naive_schedule();
        let built = self.build(std::slice::from_ref(&schedule)).pop();
        let (built, trial) = match built {
            Some(Ok(built)) => {
                let first_call = self.options.budget() / NAIVE_SHARE / TRIAL_CALLS;
                let pace = Pace { first_call, ..self.pace() };
                let trial = try_artifact(&mut self.judge, &built.artifact, &pace)?;
                let late = trial.rejection.as_ref().filter(|why| why.reason == "timeout");
                self.naive_over_ns = late.map(|_| pace.first_call.as_secs_f64() * 1e9);
                (Some(built), trial)
            }
            Some(Err(rejection)) => (None, Trial::rejected(rejection)),
            None => return Ok(None),
        };
        let tile_hash = built.as_ref().map(|built| built.tile_hash.to_string());
        self.tell(None, Role::Naive, &schedule, tile_hash, &trial)?;
        self.naive_rejection.clone_from(&trial.rejection);
        let naive = timed(&schedule, &trial);
        // On small sizes it may be the fastest; then it is the answer.
        if let (Some(built), Some(timed), true) =
            (built, naive.clone(), self.narrowed.check(&schedule).is_ok())
        {
            self.keep(Kept { schedule, built, timed });
        }
        Ok(naive)
    }

    fn search(&mut self) -> Result<(), Diagnostic> {
        let known = self.store.fastest(&self.task, KNOWN)?;
        let known = known.iter().filter_map(|row| Schedule::parse(&row.schedule).ok());
        let known = known.filter(|seed| self.narrowed.check(seed).is_ok());
        // Every form gets its chance: what the model expects of them may be wrong.
        let defaults = self.narrowed.list().iter().map(|form| form.space.default_schedule());
        let carried = carried(self.store, &self.task, &self.narrowed)?;
        let seeds = defaults.chain(known).chain(carried).collect();
        let priors = priors(self.store, &self.task, &self.narrowed)?;
        let search = Search::new(self.narrowed.clone(), self.options.seed, seeds);
        let mut search = search.with_priors(&priors);
        // The default schedule is tried whatever the budget, so that there is an answer.
        while !self.is_over() || self.is_untried() {
            let proposals = search.propose(self.batch());
            if proposals.is_empty() {
                self.ended = Ended::Exhausted;
                break;
            }
            let built = self.build(&proposals);
            for (schedule, built) in proposals.iter().zip(built) {
                if self.is_over() && !self.is_untried() {
                    break;
                }
                let outcome = self.evaluate(schedule, built)?;
                search.report(schedule, outcome);
            }
            self.progress(Phase::Search);
            self.without_progress = search.without_progress();
            if self.is_hopeless() {
                self.ended = Ended::NoProgress;
                break;
            }
        }
        Ok(())
    }

    /// Whether so much has been tried in vain that more of it is not likely to find anything.
    fn is_hopeless(&self) -> bool {
        let patience = self.options.patience;
        patience > 0 && self.without_progress >= patience.max(self.evaluated / 2)
    }

    /// Whether the default schedule is still to be tried and nobody objects.
    fn is_untried(&self) -> bool {
        self.evaluated == 0 && !self.is_stopped() && self.options.budget_evaluations != Some(0)
    }

    /// How many proposals to build next.
    fn batch(&self) -> usize {
        let wanted = match self.options.batch {
            // Enough to keep the compiling threads busy, few enough to learn from soon.
            0 => (2 * self.pool.current_num_threads()).clamp(8, 32),
            batch => batch,
        };
        let left = self.options.budget_evaluations.map(|most| most.saturating_sub(self.evaluated));
        left.map_or(wanted, |left| wanted.min(usize::try_from(left).unwrap_or(usize::MAX)))
    }

    pub(super) fn build(&mut self, schedules: &[Schedule]) -> Vec<Result<Built, Rejection>> {
        let built = build_all(&self.pool, self.backend, &self.forms, schedules);
        self.refused.learn(&built);
        built
    }

    /// Tries one proposal and records it.
    fn evaluate(
        &mut self,
        schedule: &Schedule,
        built: Result<Built, Rejection>,
    ) -> Result<Outcome, Diagnostic> {
        let index = self.evaluated;
        self.evaluated += 1;
        let tile_hash = built.as_ref().ok().map(|built| built.tile_hash.to_string());
        let built = built.and_then(|built| self.refuse_duplicate(schedule, built));
        let pace = self.pace();
        let before = self.watch.elapsed();
        let trial = match &built {
            Ok(built) => {
                let mut trial = try_artifact(&mut self.judge, &built.artifact, &pace)?;
                if trial.is_impossible() && self.doubt_ceilings()? {
                    let pace = self.pace();
                    trial = try_artifact(&mut self.judge, &built.artifact, &pace)?;
                }
                self.pacer.learn(&self.judge, &built.artifact, &trial);
                trial
            }
            Err(rejection) => Trial::rejected(rejection.clone()),
        };
        if let (Ok(built), Some(timed)) = (built, timed(schedule, &trial)) {
            let took = self.watch.elapsed().saturating_sub(before);
            self.trials = (self.trials.0 + took, self.trials.1 + 1);
            let kept = Kept { schedule: schedule.clone(), built, timed };
            if index == 0 {
                self.default = Some(kept.clone());
            }
            self.keep(kept);
        }
        self.tally.learn(schedule, trial.time_ns().map(|time| time.median));
        self.tell(Some(index), Role::Search, schedule, tile_hash, &trial)?;
        Ok(trial.outcome())
    }

    /// Measures the machine once more, where the time allows: it was busy when that was done, or the candidate is not
    /// honest. Whether it can do more than was known.
    fn doubt_ceilings(&mut self) -> Result<bool, Diagnostic> {
        if std::mem::replace(&mut self.has_doubted, true) || self.left() < 2 * super::ceilings::TIME
        {
            return Ok(false);
        }
        let higher = super::doubted(self.backend, self.store, self.now_unix(), self.stop)?;
        let is_higher = higher.is_some();
        self.ceilings = higher.or(self.ceilings.take());
        Ok(is_higher)
    }

    fn refuse_duplicate(&mut self, schedule: &Schedule, built: Built) -> Result<Built, Rejection> {
        let hash = schedule.hash().to_string();
        match self.images.insert(built.image_hash, hash) {
            None => Ok(built),
            Some(first) => {
                let evidence = format!("the same code as schedule {first}");
                self.images.insert(built.image_hash, first);
                Err(Rejection::new("duplicate", evidence))
            }
        }
    }

    fn keep(&mut self, kept: Kept) {
        let median = kept.timed.time_ns.median;
        self.best_ns = Some(self.best_ns.map_or(median, |best_ns| best_ns.min(median)));
        let place = self.kept.partition_point(|known| known.timed.time_ns.median <= median);
        self.kept.insert(place, kept);
        self.kept.truncate(FINALISTS);
    }

    pub(super) fn best_ns(&self) -> Option<f64> {
        self.best_ns
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// What is left of the wall-clock budget.
    pub(super) fn left(&self) -> Duration {
        self.options.budget().saturating_sub(self.watch.elapsed())
    }

    /// Whether the search has to end: stopped, or what is left is needed for the finals.
    fn is_over(&self) -> bool {
        let enough = self.options.budget_evaluations.is_some_and(|most| self.evaluated >= most);
        self.is_stopped()
            || enough
            || self.refused.is_everything()
            || self.left() <= super::finals::reserve(self)
    }

    pub(super) fn pace(&self) -> Pace {
        let naive_ns = self.naive.as_ref().map(|naive| naive.time_ns.median);
        let first_call = match naive_ns {
            Some(naive_ns) => {
                nanoseconds(2.0 * naive_ns).saturating_add(Duration::from_millis(250))
            }
            None => self.options.budget() / NAIVE_SHARE,
        };
        let floor_ns = self.roofline().map_or(0.0, |bound| bound.floor_ns);
        let (best_ns, drift) = (self.best_ns(), self.pacer.drift());
        Pace { best_ns, drift, floor_ns, first_call, careful: None }
    }

    /// The shortest time that the measured ceilings allow on all threads.
    fn roofline(&self) -> Option<Bound> {
        let ceilings = self.ceilings.as_ref()?;
        let threads = self.backend.target().threads;
        let working_set = self.work.bytes as u64;
        let flops = self.work.flops / self.over_lanes;
        Some(bound(flops, self.work.bytes, working_set, threads, ceilings))
    }

    fn now_unix(&self) -> u64 {
        self.options.started_unix + self.watch.elapsed().as_secs()
    }
}

/// The threads that compile.
pub(super) fn compilers(threads: usize) -> Result<rayon::ThreadPool, Diagnostic> {
    if threads > THREADS_MAX {
        return Err(Diagnostic::new(NO_THREADS, "more threads than a machine has")
            .found(threads.to_string())
            .expected(format!("at most {THREADS_MAX}"))
            .help("0 takes as many as this machine has"));
    }
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|error| Diagnostic::new(NO_THREADS, format!("no threads to compile on: {error}")))
}

/// The accepted outcome of a trial.
pub(super) fn timed(schedule: &Schedule, trial: &Trial) -> Option<Timed> {
    Some(Timed {
        schedule: schedule.clone(),
        time_ns: trial.time_ns()?,
        worst_ratio: trial.worst_ratio?,
    })
}
