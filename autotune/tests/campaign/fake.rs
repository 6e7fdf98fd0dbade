//! A space of points, and a queue that knows the time of each.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tilewright_autotune::campaign::{Done, Evaluated, Queue, RunOptions, Work, run};
use tilewright_autotune::protocol::{
    Began, CampaignBudget, CampaignEvent, CampaignSpec, Confirmed, Finished, JobSpec, LoggedEvent,
    Role, TargetName, TaskRow, TimeNs,
};
use tilewright_autotune::search::{Moves, mix};
use tilewright_autotune::store::{NewRecord, Store, Tail, Task};
use tilewright_ir::diag::Diagnostic;
use tilewright_ir::schedule::{ChoiceValue, Schedule, Setting};

/// The number of choices: as many as a schedule of a real kernel has.
const CHOICES: usize = 24;
/// The values of each.
const SIDE: u64 = 16;

/// The space.
#[derive(Debug)]
pub(crate) struct Points;

pub(crate) fn schedule(values: impl IntoIterator<Item = u64>) -> Schedule {
    let setting = |(place, value)| Setting {
        name: format!("phase{}.choice{place}", place / 4),
        value: ChoiceValue::Count(value),
    };
    let settings = values.into_iter().enumerate().map(setting).collect();
    Schedule { kernel: "points".to_string(), settings }
}

fn values(schedule: &Schedule) -> Vec<u64> {
    let value = |setting: &Setting| match setting.value {
        ChoiceValue::Count(value) => value,
        _ => unreachable!("points have numbers"),
    };
    schedule.settings.iter().map(value).collect()
}

impl Moves for Points {
    fn first(&self) -> Schedule {
        schedule([0; CHOICES])
    }

    fn sample(&self, rng: &mut ChaCha8Rng) -> Schedule {
        schedule((0..CHOICES).map(|_| rng.random_range(0..SIDE)).collect::<Vec<_>>())
    }

    fn neighbour(&self, from: &Schedule, rng: &mut ChaCha8Rng) -> Schedule {
        let mut to = values(from);
        to[rng.random_range(0..CHOICES)] = rng.random_range(0..SIDE);
        schedule(to)
    }

    fn canonical(&self, given: &Schedule) -> Schedule {
        given.clone()
    }

    fn mixed(&self, one: &Schedule, other: &Schedule, rng: &mut ChaCha8Rng) -> Option<Schedule> {
        Some(mix(one, other, rng))
    }
}

/// The time of a point; every seventh is refused.
pub(crate) fn time_ns(schedule: &Schedule) -> Option<f64> {
    let values = values(schedule);
    let sum: u64 = values.iter().sum();
    let distance: u64 = values.iter().map(|value| value.abs_diff(11).pow(2)).sum();
    (sum % 7 != 3).then_some(1000.0 + distance as f64 / 3.0)
}

/// The last work that was put is done first, so that results come in another order than proposals.
#[derive(Default)]
pub(crate) struct FakeQueue {
    pub(crate) delay: Duration,
    pub(crate) done: u64,
    waiting: VecDeque<Work>,
}

impl FakeQueue {
    pub(crate) fn slow(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }
}

fn time(median: f64) -> TimeNs {
    TimeNs { median, lo: median * 0.99, hi: median * 1.01 }
}

pub(crate) fn task(job: u64) -> Task {
    Task::from(TaskRow {
        kernel: "points".to_string(),
        kernel_hash: "0".repeat(32),
        form_hash: "0".repeat(32),
        sizes: BTreeMap::from([("m".to_string(), 8 + job)]),
        arguments: vec!["A: f32[m] row-major".to_string()],
        target: "{}".to_string(),
        target_hash: "0".repeat(32),
        compiler: "fake 1".to_string(),
    })
}

impl Queue for FakeQueue {
    fn put(&mut self, work: Vec<Work>) -> Result<(), Diagnostic> {
        self.waiting.extend(work);
        Ok(())
    }

    fn take(&mut self) -> Result<Done, Diagnostic> {
        std::thread::sleep(self.delay);
        self.done += 1;
        let work = self.waiting.pop_back().expect("who takes has put");
        Ok(match work {
            Work::Evaluate(work) => {
                let median = time_ns(&work.schedule);
                let record = NewRecord {
                    tile_hash: Some(work.schedule.hash().to_string()),
                    reason: median.is_none().then(|| "wrong".to_string()),
                    evidence: median.is_none().then(|| "element [3] is 4".to_string()),
                    time_ns: median.map(time),
                    samples_ns: median.map_or(vec![], |median| vec![median; 5]),
                    worst_ratio: Some(0.25),
                    seed: Some(7),
                    ..NewRecord::new(Role::Search, &work.schedule, 1_800_000_000)
                };
                let image = Some(work.schedule.hash().to_string());
                let (job, index) = (work.job, work.index);
                let evaluated = Evaluated {
                    job,
                    index,
                    task: task(job),
                    record,
                    first_ns: None,
                    image,
                    seconds: 0.5,
                };
                Done::Evaluated(Box::new(evaluated))
            }
            Work::Confirm(finals) => Done::Confirmed(Confirmed {
                job: finals.job,
                record: None,
                schedule: finals.finalists.first().map(|best| best.schedule.hash().to_string()),
                time_ns: finals.finalists.first().map(|best| best.time_ns),
                fraction_of_peak: None,
                bound: None,
                stays: None,
                seconds: 2.0,
            }),
        })
    }

    fn learn(&mut self, _: &Finished) {}
}

/// A campaign of two kernels, the second with twice the share.
pub(crate) fn began(name: &str, seed: u64, evaluations: u64) -> Began {
    let job = |job: u64| JobSpec {
        kernel: "points".to_string(),
        sizes: BTreeMap::from([("m".to_string(), 8 + job)]),
        task: task(job).key(),
        share: 1.0 + job as f64,
        fixed: vec![],
        forbidden: vec![],
    };
    let text = |word: &str| word.to_string();
    let spec = CampaignSpec {
        format_version: 1,
        name: name.to_string(),
        seed,
        budget: CampaignBudget { evaluations: Some(evaluations), seconds: None },
        batch: 6,
        machine: TargetName {
            backend: text("fake"),
            isa: text("a"),
            chip: text("b"),
            hash: text("c"),
        },
        compiler: "fake 1".to_string(),
        jobs: vec![job(0), job(1)],
    };
    let seed = schedule([11; CHOICES].iter().map(|value| value - 3)).print();
    Began { spec, seeds: vec![vec![seed], vec![]], priors: vec![] }
}

pub(crate) const NOW: u64 = 1_800_000_000;

/// Drives a campaign until it ends or is stopped.
pub(crate) fn drive(
    store: &mut Store,
    began: &Began,
    queue: &mut FakeQueue,
    stop: &AtomicBool,
    observer: &mut dyn FnMut(&LoggedEvent),
) -> Result<bool, Diagnostic> {
    let options = RunOptions { now: &|| NOW, stop };
    run(store, began.clone(), vec![Points, Points], queue, &options, observer)
}

/// Drives a campaign to its end in memory and returns its log.
pub(crate) fn uninterrupted(began: &Began) -> Vec<CampaignEvent> {
    let mut store = Store::in_memory().expect("there is memory");
    let mut queue = FakeQueue::default();
    let stop = AtomicBool::new(false);
    let ended = drive(&mut store, began, &mut queue, &stop, &mut |_| {});
    assert!(ended.expect("nothing fails"));
    log(&store, &began.spec.id())
}

/// The log of a campaign; every link is checked.
pub(crate) fn log(store: &Store, campaign: &str) -> Vec<CampaignEvent> {
    let mut events = vec![];
    let read = store.events_after(campaign, &Tail::start(campaign), &mut |event| {
        events.push(event.event().expect("events can be read"));
        Ok(())
    });
    read.expect("the chain is whole");
    events
}

/// The decisions of a log.
pub(crate) fn decisions(log: &[CampaignEvent]) -> Vec<CampaignEvent> {
    log.iter().filter(|event| event.is_decision()).cloned().collect()
}

/// The outcomes of a log, in proposal order: one for each proposal, no more.
pub(crate) fn outcomes(log: &[CampaignEvent]) -> Vec<Finished> {
    let mut outcomes: Vec<Finished> = log
        .iter()
        .filter_map(|event| match event {
            CampaignEvent::Finished(finished) => Some(finished.clone()),
            _ => None,
        })
        .collect();
    outcomes.sort_by_key(|finished| (finished.job, finished.index));
    outcomes
}
