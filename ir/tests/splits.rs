//! Streams cut into chunks: the passes that a cut makes, their meaning, and what a default schedule cuts.
//!
//! A failure prints the kernel, the form and the schedule that shows it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod machine;

use tilewright_ir::base::Sizes;
use tilewright_ir::graph::Graph;
use tilewright_ir::plan::{self, PassProgram};
use tilewright_ir::reference::{Family, HostTensor, draw, evaluate};
use tilewright_ir::schedule::{ChoiceValue, Domain, FormSpace, Forms, Schedule, Setting};
use tilewright_ir::target::Target;
use tilewright_ir::{check, lower, tile};

/// Kernels with every operator that is reduced, one state and several, rolled and not, and rows of which a chunk or all
/// is masked.
const KERNELS: &[(&str, &[(&str, u64)])] = &[
    ("kernel total(x: f32[k]) -> f32 { sum[k](x) }", &[("k", 37)]),
    (
        "kernel product(A: f32[m,k], B: f32[k,n]) -> f32[m,n] { sum[k](A * B) + A[m, 0] }",
        &[("m", 3), ("k", 29), ("n", 5)],
    ),
    ("kernel both(A: f32[j,k]) -> f32 { sum[j,k](A * A) }", &[("j", 7), ("k", 9)]),
    ("kernel whole(x: i32[k], y: i32[i,k]) -> i32[i] { sum[k](x * y) }", &[("i", 3), ("k", 19)]),
    ("kernel powers(x: f32[i,k]) -> f32[i] { product[k](1 + x / 16) }", &[("i", 3), ("k", 19)]),
    (
        "kernel ends(x: f32[i,k]) -> (a: f32[i], b: f32[i], c: bool[i], d: bool[i]) {
  (min[k](x), max[k](x), any[k](x > 1), all[k](x > -2))
}",
        &[("i", 3), ("k", 21)],
    ),
    ("kernel place(x: f32[i,k]) -> i32[i] { argmax[k](x) }", &[("i", 3), ("k", 21)]),
    ("kernel rows(x: f32[i,k]) -> f32[i,k] { softmax[k](x) }", &[("i", 2), ("k", 23)]),
    (
        "kernel attention(Q: f32[i,d], K: f32[j,d], V: f32[j,e]) -> f32[i,e] {
  sum[j](softmax[j](sum[d](Q * K) * rsqrt(len(d))) * V)
}",
        &[("i", 2), ("j", 41), ("d", 3), ("e", 4)],
    ),
    (
        "kernel causal(Q: f32[i,d], K: f32[j,d], V: f32[j,e]) -> f32[i,e] {
  sum[j](softmax[j](mask(j <= i - 2, sum[d](Q * K))) * V)
}",
        &[("i", 9), ("j", 13), ("d", 3), ("e", 4)],
    ),
    (
        "kernel wide(s: f32[i,j], V: f32[j,e]) -> f32[i,e] { sum[j](softmax[j](s * 400) * V) }",
        &[("i", 3), ("j", 33), ("e", 4)],
    ),
    ("kernel logs(x: f32[i,k]) -> f32[i] { logsumexp[k](x) }", &[("i", 3), ("k", 31)]),
    (
        "kernel centred(x: f32[i,d]) -> f32[i,d] {
  m = mean[d](x)
  v = mean[d]((x - m) * (x - m))
  (x - m) * rsqrt(v + 1e-5)
}",
        &[("i", 3), ("d", 27)],
    ),
    (
        "kernel spread(x: f32[d], y: f32[d]) -> f32 {
  mean[d]((x - mean[d](x)) * (y - mean[d](y)))
}",
        &[("d", 25)],
    ),
    ("kernel nothing(x: f32[i,k]) -> f32[i] { sum[k](x) }", &[("i", 3), ("k", 0)]),
];

fn target() -> Target {
    machine::target(&[("L1", 1 << 15), ("L2", 1 << 20), ("L3", 1 << 24), ("memory", 0)])
}

fn bound(text: &str, sizes: &[(&str, u64)]) -> Graph {
    let sizes: Sizes = sizes.iter().map(|&(axis, extent)| (axis.to_string(), extent)).collect();
    let file = check::check(text).unwrap_or_else(|faults| panic!("{text}: {faults:?}"));
    file.kernels[0].bind(&sizes).unwrap()
}

fn near(what: &str, got: &[Vec<f64>], wanted: &[Vec<f64>]) {
    assert_eq!(got.len(), wanted.len(), "{what}: outputs");
    for (got, wanted) in got.iter().zip(wanted) {
        assert_eq!(got.len(), wanted.len(), "{what}: elements");
        for (&got, &wanted) in got.iter().zip(wanted) {
            let is_near = (got - wanted).abs() <= 1e-9 * (1.0 + wanted.abs());
            let is_same = got == wanted || got.is_nan() && wanted.is_nan();
            assert!(is_same || is_near, "{what}: {got} is not {wanted}");
        }
    }
}

/// The splits of a space: each choice with its largest value.
fn splits(form: &FormSpace) -> Vec<(String, u64)> {
    let choices = form.space.choices.iter().filter(|choice| choice.name.contains(".split."));
    let most = |domain: &Domain| match domain {
        Domain::OneOf(values) => values
            .iter()
            .filter_map(|value| match value {
                ChoiceValue::Count(count) => Some(*count),
                _ => None,
            })
            .max(),
        Domain::OrderOf(_) => None,
    };
    choices.map(|choice| (choice.name.clone(), most(&choice.domain).unwrap())).collect()
}

/// The default schedule, cut so.
fn cut(form: &FormSpace, settings: &[(String, u64)]) -> Schedule {
    let mut space = form.space.clone();
    let settings: Vec<Setting> = settings
        .iter()
        .map(|(name, count)| Setting { name: name.clone(), value: ChoiceValue::Count(*count) })
        .collect();
    space.fix(&settings).unwrap_or_else(|faults| panic!("{settings:?}: {faults:?}"));
    space.default_schedule()
}

fn verified(what: &str, passes: &PassProgram) {
    let mut faults = plan::verify(passes).err().unwrap_or_default();
    faults.retain(|fault| !fault.ends_with("is never stored"));
    assert!(faults.is_empty(), "{what}: {faults:?}\n{}", plan::print(passes));
}

/// Elements of a block with which the passes of a schedule may be interpreted: what takes a whole stream as one block has
/// no updates.
fn blocks(form: &FormSpace, schedule: &Schedule) -> Vec<u64> {
    let axes = form.plan.groups.iter().flatten();
    let mut steps = axes.flat_map(|&axis| {
        let (name, extent) = (form.plan.axes.name(axis), form.plan.axes.extent(axis));
        let of_axis = format!(".block.{name}");
        let chosen = schedule.settings.iter().filter(move |own| own.name.ends_with(&of_axis));
        chosen.map(move |own| own.value == ChoiceValue::Count(extent))
    });
    if steps.any(|is_whole| is_whole) { vec![64] } else { vec![1, 3, 64] }
}

/// Checks one schedule of a form on the levels of passes and tiles.
fn check_schedule(
    form: &FormSpace,
    schedule: &Schedule,
    cases: &[(Vec<HostTensor>, Vec<Vec<f64>>)],
) {
    let what = format!("{}\n{}", form.graph.print(), schedule.print());
    let passes = lower::passes_in(&form.space, schedule).unwrap();
    verified(&what, &passes);
    let program = lower::lower_in(&form.space, schedule).unwrap();
    let text = tile::print(&program);
    tile::verify(&program, &target()).unwrap_or_else(|faults| panic!("{what}{text}: {faults:?}"));
    for (inputs, wanted) in cases {
        let text = format!("{what}{}{text}", plan::print(&passes));
        for block in blocks(form, schedule) {
            near(&text, &plan::interpret_in_blocks(&passes, inputs, block), wanted);
        }
        near(&text, &tile::interpret(&program, inputs), wanted);
    }
}

#[test]
fn every_cut_means_what_the_kernel_means() {
    let mut cuts = 0;
    for (text, sizes) in KERNELS {
        let graph = bound(text, sizes);
        let cases: Vec<_> = [Family::Normal, Family::Integers, Family::Equal]
            .into_iter()
            .map(|family| {
                let inputs = draw(&graph, family, 7);
                let wanted = evaluate(&graph, &inputs);
                (inputs, wanted.into_iter().map(|output| output.values).collect())
            })
            .collect();
        for form in Forms::new(&graph, &target()).list() {
            let all = splits(form);
            let mut lists: Vec<Vec<(String, u64)>> = vec![all.clone()];
            for (name, most) in &all {
                let counts = (1..).map(|power| 1_u64 << power).take_while(|count| count <= most);
                lists.extend(counts.map(|count| vec![(name.clone(), count)]));
            }
            // A group in short blocks keeps its updates.
            let axes: Vec<&str> =
                form.plan.groups.iter().flatten().map(|&axis| form.plan.axes.name(axis)).collect();
            let short = all.iter().filter(|(name, _)| axes.iter().any(|axis| name.ends_with(axis)));
            let short = short.map(|(name, _)| (name.replace(".split.", ".block."), 4));
            lists.push(all.iter().cloned().chain(short).collect());
            for list in &lists {
                check_schedule(form, &cut(form, list), &cases);
                cuts += 1;
            }
        }
    }
    assert!(cuts > 100, "{cuts} schedules are cut");
}

#[test]
fn every_stream_that_is_long_enough_can_be_cut() {
    for (text, sizes) in KERNELS.iter().filter(|(text, _)| !text.contains("nothing")) {
        for form in Forms::new(&bound(text, sizes), &target()).list() {
            assert!(!splits(form).is_empty(), "{text}: {}", form.name());
        }
    }
}

/// The numbers of chunks that the default schedule of a kernel has.
fn default_counts(text: &str, sizes: &[(&str, u64)], threads: u64) -> Vec<u64> {
    let target = Target { threads, ..target() };
    let forms = Forms::new(&bound(text, sizes), &target);
    let form = forms.preferred();
    let schedule = form.space.default_schedule();
    let values = splits(form).into_iter().map(|(name, _)| match schedule.get(&name) {
        Some(ChoiceValue::Count(count)) => *count,
        _ => 0,
    });
    values.collect()
}

#[test]
fn defaults_cut_long_streams_with_few_results() {
    let total = "kernel total(x: f32[k]) -> f32 { sum[k](x) }";
    assert_eq!(default_counts(total, &[("k", 1 << 24)], 2), [4]);
    assert_eq!(default_counts(total, &[("k", 1 << 24)], 1), [1]);
    assert_eq!(default_counts(total, &[("k", 1 << 10)], 2), [1]);
    let rows = "kernel rows(x: f32[i,k]) -> f32[i] { sum[k](x) }";
    assert_eq!(default_counts(rows, &[("i", 4096), ("k", 4096)], 2), [1]);
}

#[test]
fn an_attribute_asks_for_chunks() {
    let text = "@split(k)\nkernel rows(x: f32[i,k]) -> f32[i] { sum[k](x) }";
    assert_eq!(default_counts(text, &[("i", 64), ("k", 512)], 4), [4]);
    let attention = "@split(j)
kernel decode(q: f32[i,d], K: f32[j,d], V: f32[j,e]) -> f32[i,e] {
  sum[j](softmax[j](sum[d](q * K)) * V)
}";
    let counts = default_counts(attention, &[("i", 8), ("d", 4), ("j", 2048), ("e", 4)], 2);
    assert!(counts.contains(&2), "{counts:?}");
}

/// A plan in which the number of the chunk is an axis like any other.
const CHUNKED: &str = "plan chunked {
  extents i=3, k=10, c=4
  chunks c = k by 3
  input x: f32[i, k]
  output y: f32[i]
  value part: f32[c, i]
  pass part[c, i] stream [k] {
    state s = sum(load x)
    result part = s
  }
  pass y[i] stream [c] {
    state t = sum(load part)
    result y = t
  }
}
";

#[test]
fn chunks_of_a_plan_text_are_traversed_by_any_schedule() {
    use rand::SeedableRng;
    let plan = plan::parse(CHUNKED).unwrap();
    plan::verify(&plan).unwrap();
    assert_eq!(plan::print(&plan), CHUNKED);
    let numbers = (0..30).map(|number| f64::from(number * 7 % 11));
    let inputs = [HostTensor::from_f64(tilewright_ir::DType::F32, &[3, 10], numbers.clone())];
    let numbers: Vec<f64> = numbers.collect();
    let wanted = [numbers.chunks(10).map(|row| row.iter().sum()).collect::<Vec<f64>>()];
    near("passes", &plan::interpret(&plan, &inputs), &wanted);
    let space = tilewright_ir::schedule::Space::new(&plan, &target());
    for seed in 0..100 {
        let schedule = space.sample(&mut rand_chacha::ChaCha8Rng::seed_from_u64(seed));
        let program = lower::lower_in(&space, &schedule).unwrap();
        let what = format!("seed {seed}\n{}", tile::print(&program));
        tile::verify(&program, &target()).unwrap_or_else(|faults| panic!("{what}: {faults:?}"));
        near(&what, &tile::interpret(&program, &inputs), &wanted);
    }
}

#[test]
fn chunks_that_are_no_chunks_are_refused() {
    for (from, to, fault) in [
        ("by 3", "by 2", "leave something out"),
        ("by 3", "by 0", "leave something out"),
        ("chunks c = k by 3", "chunks c = k by 3 chunks c = k by 3", "numbers chunks twice"),
        ("chunks c = k by 3", "chunks c = k by 3 chunks i = c by 4", "is cut itself"),
    ] {
        let plan = plan::parse(&CHUNKED.replace(from, to)).unwrap();
        let faults = plan::verify(&plan).unwrap_err();
        assert!(faults.iter().any(|found| found.contains(fault)), "{to}: {faults:?}");
    }
}
