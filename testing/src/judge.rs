//! One kernel file against the reference: every stage, several schedules, every family of inputs.
//!
//! Invariant: code runs between guard pages and every decided element of every output is compared.

use crate::guard::Guarded;
use crate::{Tally, forms, round_trip, stages};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use tilewright_cpu::{CpuBackend, Loaded};
use tilewright_ir::backend::Backend as _;
use tilewright_ir::base::Sizes;
use tilewright_ir::graph::Graph;
use tilewright_ir::plan::PassProgram;
use tilewright_ir::reference::{Expected, Family, HostTensor, compare, draw, evaluate, memory};
use tilewright_ir::schedule::{ChoiceValue, Schedule, Space};
use tilewright_ir::tile::TileProgram;
use tilewright_ir::{lower, plan, tile};

/// Draws of inputs before a family counts as undecided.
const DRAWS: u64 = 4;
/// The interpreters of the stages run up to this many elements of the iteration space.
const INTERPRETED_MAX: u64 = 1 << 10;

/// Forms judged beside the one as written.
const FORMS: usize = 2;

/// One schedule in so many keeps its threads.
const THREADED: u32 = 40;

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Sampled schedules beside the default and the naive one.
    pub schedules: usize,
    /// Whether the interpreters of small programs run.
    pub stages: bool,
    /// How many forms of the rewriter are judged as well.
    pub forms: usize,
}

impl Default for Effort {
    fn default() -> Self {
        Self { schedules: 1, stages: true, forms: FORMS }
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// What kind of fault; a smaller file has the same fault if the kind is the same.
    pub kind: String,
    /// Everything that is known of it.
    pub detail: String,
    /// The schedule with which it happened.
    pub schedule: Option<Schedule>,
    /// The place of the kernel in the file.
    pub kernel: usize,
}

impl Fault {
    pub(crate) fn new(kind: &str, detail: impl Into<String>) -> Self {
        Self { kind: kind.to_string(), detail: detail.into(), schedule: None, kernel: 0 }
    }

    fn with(self, schedule: &Schedule) -> Self {
        Self { schedule: Some(schedule.clone()), ..self }
    }
}

/// Machine code of one schedule.
pub(crate) struct Candidate {
    schedule: Schedule,
    program: TileProgram,
    loaded: Option<Loaded>,
}

/// Takes every kernel of a file, at each of its size sets, through the whole compiler.
///
/// # Errors
/// The first fault, a panic among them. A text that the checker refuses is a fault.
pub fn judge(text: &str, seed: u64, effort: Effort, tally: &mut Tally) -> Result<(), Fault> {
    guarded(|| judge_file(text, seed, effort, None, tally))
}

/// As `judge` with one schedule for the kernel of that name; the others are left out.
///
/// # Errors
/// As `judge`; a schedule that does not fit the kernel is a fault of the kind `lower`.
pub fn judge_with(text: &str, seed: u64, schedule: &Schedule) -> Result<(), Fault> {
    let effort = Effort { schedules: 0, stages: true, forms: 0 };
    guarded(|| judge_file(text, seed, effort, Some(schedule), &mut Tally::default()))
}

/// A panic is a fault.
fn guarded(work: impl FnOnce() -> Result<(), Fault>) -> Result<(), Fault> {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        let text = text.unwrap_or_default();
        // Numbers in a message differ from one size to the next.
        let kind: String = text.chars().take(40).filter(|c| !c.is_ascii_digit()).collect();
        Err(Fault::new(&format!("panic {kind}"), text))
    })
}

fn judge_file(
    text: &str,
    seed: u64,
    effort: Effort,
    schedule: Option<&Schedule>,
    tally: &mut Tally,
) -> Result<(), Fault> {
    let checked = round_trip(text).map_err(|detail| Fault::new("round trip", detail))?;
    let Some(file) = checked else {
        let faults = tilewright_ir::check::check(text).err().unwrap_or_default();
        return Err(Fault::new("refused", tilewright_ir::diag::to_text("drawn", text, &faults)));
    };
    tally.text(text);
    for (position, kernel) in file.kernels.iter().enumerate() {
        if schedule.is_some_and(|schedule| schedule.kernel != kernel.graph.name) {
            continue;
        }
        let none = [(String::new(), Sizes::new())];
        let sets = if kernel.size_sets.is_empty() { &none[..] } else { &kernel.size_sets[..] };
        for (_, sizes) in sets {
            let graph = kernel
                .bind(sizes)
                .map_err(|faults| Fault::new("bind", format!("{sizes:?} {faults:?}")))?;
            judge_kernel(&graph, seed, effort, schedule, tally)
                .map_err(|fault| Fault { kernel: position, ..fault })?;
        }
    }
    Ok(())
}

fn judge_kernel(
    graph: &Graph,
    seed: u64,
    effort: Effort,
    schedule: Option<&Schedule>,
    tally: &mut Tally,
) -> Result<(), Fault> {
    let plan = plan::build(graph);
    plan::verify(&plan).map_err(|faults| Fault::new("plan", format!("{faults:?}")))?;
    // Inputs do not depend on how many schedules are drawn.
    let mut random = ChaCha8Rng::seed_from_u64(!seed);
    let mut schedules = ChaCha8Rng::seed_from_u64(seed);
    let mut list = candidates(&plan, &mut schedules, effort, schedule, tally)?;
    let mut rewritten = match (schedule, effort.forms) {
        (None, 1..) => forms::rewritten(graph, &mut schedules, effort, tally)?,
        _ => vec![],
    };
    tally.kernels += 1;
    let volume = graph.axes.volume(graph.axes.ids().collect());
    let interpreted = effort.stages && volume <= INTERPRETED_MAX;
    for &family in Family::ALL {
        let Some((inputs, expected)) = decided(graph, family, random.random()) else {
            tally.undecided += 1;
            continue;
        };
        tally.elements(graph, family, &expected);
        if interpreted && [Family::Normal, Family::Integers].contains(&family) {
            tally.interpreted += 1;
            let programs = list.iter().map(|one| &one.program);
            stages::check(graph, &plan, programs, &inputs, &expected)?;
        }
        for candidate in &mut list {
            judge_candidate(graph, family, (&inputs, &expected), candidate, tally)?;
        }
        for form in &mut rewritten {
            if volume <= INTERPRETED_MAX {
                let got = plan::interpret(&form.plan, &inputs);
                verdict(graph, family, &expected, &form.tensors(graph, got))
                    .map_err(|fault| form.told.fault(fault))?;
            }
            for candidate in &mut form.candidates {
                judge_candidate(graph, family, (&inputs, &expected), candidate, tally)
                    .map_err(|fault| form.told.fault(fault))?;
            }
        }
    }
    Ok(())
}

/// Runs the code of one candidate on one case.
fn judge_candidate(
    graph: &Graph,
    family: Family,
    (inputs, expected): (&[HostTensor], &[Expected]),
    candidate: &mut Candidate,
    tally: &mut Tally,
) -> Result<(), Fault> {
    let Some(loaded) = &mut candidate.loaded else { return Ok(()) };
    let got = run(graph, inputs, loaded)?;
    tally.calls += 1;
    verdict(graph, family, expected, &got).map_err(|fault| fault.with(&candidate.schedule))
}

/// Compiles the given schedule, or the default, the naive and sampled ones.
pub(crate) fn candidates(
    plan: &PassProgram,
    random: &mut ChaCha8Rng,
    effort: Effort,
    schedule: Option<&Schedule>,
    tally: &mut Tally,
) -> Result<Vec<Candidate>, Fault> {
    let backend = CpuBackend::host().map_err(|refused| Fault::new("host", refused.to_string()))?;
    let space = Space::new(plan, backend.target());
    let mut schedules: Vec<Schedule> = schedule.into_iter().cloned().collect();
    if schedules.is_empty() {
        schedules.extend([space.default_schedule(), space.naive_schedule()]);
        schedules.extend((0..effort.schedules).map(|_| space.sample(random)));
        for schedule in &mut schedules {
            // Threads that wait for work spin; most kernels run on one.
            if random.random_range(0..THREADED) > 0 {
                run_alone(schedule);
            }
        }
    }
    let mut list = vec![];
    for schedule in schedules {
        let lowered = lower::lower_in(&space, &schedule);
        let program =
            lowered.map_err(|faults| Fault::new("lower", format!("{faults:?}")).with(&schedule))?;
        tile::verify(&program, backend.target())
            .map_err(|faults| Fault::new("verify", format!("{faults:?}")).with(&schedule))?;
        let loaded = match backend.compile(&program) {
            Ok(artifact) => {
                tally.schedules += 1;
                let loaded = Loaded::new(&artifact);
                Some(loaded.map_err(|error| Fault::new("load", error.to_string()))?)
            }
            Err(refused) => {
                *tally.unsupported.entry(refused.what).or_default() += 1;
                None
            }
        };
        list.push(Candidate { schedule, program, loaded });
    }
    Ok(list)
}

fn run_alone(schedule: &mut Schedule) {
    for setting in &mut schedule.settings {
        if setting.name == "threads" {
            setting.value = ChoiceValue::Count(1);
        }
    }
}

/// Inputs of a family whose results are decided, if any of a few draws has them.
fn decided(graph: &Graph, family: Family, seed: u64) -> Option<(Vec<HostTensor>, Vec<Expected>)> {
    (0..DRAWS).find_map(|draw_number| {
        let inputs = draw(graph, family, seed.wrapping_add(draw_number));
        let expected = evaluate(graph, &inputs);
        let enough = |one: &Expected| one.undecided * 2 <= one.values.len() as u64;
        expected.iter().all(enough).then_some((inputs, expected))
    })
}

fn run(
    graph: &Graph,
    inputs: &[HostTensor],
    loaded: &mut Loaded,
) -> Result<Vec<HostTensor>, Fault> {
    let lying = memory(graph, inputs);
    let read: Vec<Guarded> = lying.iter().map(|bytes| Guarded::input(bytes)).collect();
    let empty = outputs(graph);
    let mut written: Vec<Guarded> =
        empty.iter().map(|tensor| Guarded::new(tensor.bytes.len())).collect();
    let read: Vec<&[u8]> = read.iter().map(Guarded::bytes).collect();
    let mut slices: Vec<&mut [u8]> = written.iter_mut().map(Guarded::bytes_mut).collect();
    let called = loaded.call(&read, &mut slices);
    called.map_err(|error| Fault::new("call", error.to_string()))?;
    if !written.iter_mut().all(Guarded::front_is_intact) {
        return Err(Fault::new("front", "code wrote before an output"));
    }
    let filled = empty.into_iter().zip(&written);
    Ok(filled.map(|(one, buffer)| HostTensor { bytes: buffer.bytes().to_vec(), ..one }).collect())
}

fn outputs(graph: &Graph) -> Vec<HostTensor> {
    let outputs = graph.outputs.iter();
    outputs
        .map(|output| HostTensor::zeros(output.tensor.dtype, &output.tensor.shape(&graph.axes)))
        .collect()
}

fn verdict(
    graph: &Graph,
    family: Family,
    expected: &[Expected],
    got: &[HostTensor],
) -> Result<(), Fault> {
    for ((expected, got), output) in expected.iter().zip(got).zip(&graph.outputs) {
        let verdict = compare(expected, got);
        if verdict.wrong > 0 {
            let (name, family) = (&output.tensor.name, family.name());
            return Err(Fault::new("wrong", format!("{name} {family}: {verdict:?}")));
        }
    }
    Ok(())
}

/// Refused constructs and how often.
pub(crate) type Refused = BTreeMap<String, u64>;
