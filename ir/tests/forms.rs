//! The forms of a kernel as spaces: their names, their schedules, and what all of them compute.
//!
//! A failure prints the form and the schedule that shows it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod machine;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;
use tilewright_ir::base::Sizes;
use tilewright_ir::diag::Diagnostic;
use tilewright_ir::graph::Graph;
use tilewright_ir::reference::{Family, InterpreterShare, draw, evaluate};
use tilewright_ir::schedule::{ChoiceValue, Forms, Schedule, Setting, Space};
use tilewright_ir::target::Target;
use tilewright_ir::{check, lower, plan, tile};

const ATTENTION: &str = "\
kernel attention(Q: f32[i,d], K: f32[j,d], V: f32[j,e]) -> O: f32[i,e] {
  p = softmax[j](sum[d](Q * K) * rsqrt(len(d)))
  sum[j](p * V)
}
";
const PRODUCT: &str = "kernel product(A: f32[m,k], B: f32[k,n]) -> C: f32[m,n] { sum[k](A * B) }";

fn target() -> Target {
    machine::target(&[("L1", 1 << 15), ("L2", 1 << 20), ("L3", 1 << 24), ("memory", 0)])
}

fn bound(text: &str, sizes: &[(&str, u64)]) -> Graph {
    let sizes: Sizes = sizes.iter().map(|&(axis, extent)| (axis.to_string(), extent)).collect();
    check::check(text).unwrap().kernels[0].bind(&sizes).unwrap()
}

fn attention(j: u64) -> Graph {
    bound(ATTENTION, &[("i", 5), ("j", j), ("d", 4), ("e", 6)])
}

fn forms(j: u64) -> Forms {
    Forms::new(&attention(j), &target())
}

fn setting(name: &str, value: &str) -> Setting {
    let count = value.parse().map(ChoiceValue::Count);
    Setting {
        name: name.to_string(),
        value: count.unwrap_or_else(|_| ChoiceValue::Word(value.to_string())),
    }
}

fn codes(faults: &[Diagnostic]) -> Vec<&str> {
    faults.iter().map(|fault| fault.code).collect()
}

fn names(forms: &Forms) -> Vec<&str> {
    forms.list().iter().map(|form| form.name()).collect()
}

#[test]
fn the_first_form_is_the_text_and_keeps_its_schedules() {
    let (graph, forms) = (attention(40), forms(40));
    let written = &forms.list()[0];
    let space = Space::new(&plan::build(&graph), &target());
    assert_eq!(written.id, None);
    assert_eq!(written.graph.print(), graph.print());
    assert_eq!(written.space.default_schedule(), space.default_schedule());
    let naive = forms.naive_schedule();
    assert_eq!(naive, space.naive_schedule());
    assert_eq!((naive.get("form"), naive.form_name()), (None, "written".to_string()));
    assert_eq!(forms.of(&naive).unwrap().name(), "written");
    assert!(forms.list().len() > 1, "attention has other forms");
    let texts: BTreeSet<_> = forms.list().iter().map(|form| plan::print(&form.plan)).collect();
    assert_eq!(texts.len(), forms.list().len(), "no form is there twice");
}

#[test]
fn names_are_the_same_every_time() {
    let (one, other) = (forms(40), forms(40));
    assert_eq!(names(&one), names(&other));
    for form in &one.list()[1..] {
        let digits = form.name().strip_prefix('f').unwrap();
        assert!(digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert!(form.graph.hash().to_string().starts_with(digits));
    }
}

#[test]
fn schedules_of_a_form_name_it_first() {
    let forms = forms(40);
    for form in &forms.list()[1..] {
        let schedule = form.space.default_schedule();
        let line = format!("  choose form = {}", form.name());
        assert_eq!(schedule.print().lines().nth(1), Some(line.as_str()));
        assert_eq!(Schedule::parse(&schedule.print()).unwrap(), schedule);
        assert_eq!(forms.read(&schedule.print()).unwrap(), schedule);
        assert_eq!(forms.canonical(&schedule), schedule);
        assert_eq!(forms.of(&schedule).unwrap().id, form.id);
        let program = forms.lower(&schedule).unwrap();
        assert_eq!(program.choices[0].1, form.name());
        // A choice of a form means nothing in the text as written.
        let mut without = schedule.clone();
        without.settings.remove(0);
        assert_ne!(forms.of(&without).unwrap().id, form.id);
        // The form alone is a schedule: the rest takes the defaults.
        let bare = format!("schedule attention {{ choose form = {} }}", form.name());
        assert_eq!(forms.canonical(&forms.read(&bare).unwrap()), schedule);
    }
}

#[test]
fn the_preferred_form_should_be_the_fastest() {
    let forms = forms(400);
    let best = forms.preferred();
    assert!(forms.list().iter().all(|form| best.predicted_ns <= form.predicted_ns));
    assert_eq!(best.passes["j"], 1, "attention in one pass");
    assert_eq!(forms.default_schedule().form_name(), best.name());
}

#[test]
fn unknown_forms_are_refused_with_those_there_are() {
    let forms = forms(40);
    let faults = forms.read("schedule attention { choose form = f1 }").unwrap_err();
    assert_eq!(codes(&faults), ["TW0407"]);
    assert_eq!(faults[0].expected.as_deref(), Some(names(&forms).join(", ").as_str()));
    assert!(faults[0].help.as_deref().unwrap().contains("--stage forms"));
    assert_eq!(faults[0].span.unwrap().start, 21);
    let faults = forms.read("schedule attention { choose form = 3 }").unwrap_err();
    assert_eq!(codes(&faults), ["TW0407"]);
    // The form as written may be named; without the line it is meant, so that equal schedules have equal texts.
    let written = forms.read("schedule attention { choose form = written }").unwrap();
    let silent = Schedule { settings: vec![], ..written.clone() };
    assert_eq!(forms.canonical(&written), forms.canonical(&silent));
    assert_eq!(forms.lower(&written), forms.lower(&silent));
    assert!(forms.list()[1].space.check(&written).is_err(), "another form's space");
    let faults = forms.read("schedule other { choose form = f1 }").unwrap_err();
    assert_eq!(codes(&faults), ["TW0401"]);
    let text = "schedule attention { choose form = F choose form = F choose none.x = 1 }";
    let text = text.replace('F', forms.list()[1].name());
    assert_eq!(codes(&forms.read(&text).unwrap_err()), ["TW0403", "TW0402"]);
}

#[test]
fn fixed_settings_leave_the_forms_that_have_them() {
    let all = forms(40);
    let fixed = |settings: &[Setting]| {
        let mut forms = all.clone();
        forms.fix(settings).map(|()| forms)
    };
    let written = fixed(&[setting("form", "written"), setting("threads", "1")]).unwrap();
    assert_eq!(names(&written), ["written"]);
    assert_eq!(written.default_schedule().get("threads"), Some(&ChoiceValue::Count(1)));
    let last = all.list().last().unwrap().name();
    let one = fixed(&[setting("form", last)]).unwrap();
    assert_eq!(names(&one), [last]);
    assert_eq!(one.default_schedule().form_name(), last);
    assert_eq!(codes(&one.check(&all.naive_schedule()).unwrap_err()), ["TW0407"]);
    assert_eq!(names(&fixed(&[setting("threads", "1")]).unwrap()), names(&all));

    // Each choice of each form leaves exactly the forms that know it.
    for form in all.list() {
        for choice in form.space.choices.iter().filter(|choice| choice.name.ends_with(".unroll")) {
            let kept = fixed(&[setting(&choice.name, "2")]).unwrap();
            let knows = |space: &Space| space.choices.iter().any(|c| c.name == choice.name);
            let expected: Vec<_> = all
                .list()
                .iter()
                .filter(|form| knows(&form.space))
                .map(|form| form.name())
                .collect();
            assert_eq!(names(&kept), expected, "{}", choice.name);
        }
    }
    assert_eq!(codes(&fixed(&[setting("none.x", "1")]).unwrap_err()), ["TW0402"]);
    assert_eq!(codes(&fixed(&[setting("form", "f1")]).unwrap_err()), ["TW0407"]);
    let twice = [setting("form", last), setting("form", "written")];
    assert_eq!(codes(&fixed(&twice).unwrap_err()), ["TW0403"]);
}

#[test]
fn draws_reach_every_form_and_neighbours_hop_now_and_then() {
    let forms = forms(40);
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let drawn: BTreeSet<_> = (0..40).map(|_| forms.sample(&mut rng).form_name()).collect();
    assert_eq!(drawn.len(), forms.list().len());
    let start = forms.default_schedule();
    let near: Vec<_> = (0..300).map(|_| forms.neighbour(&start, &mut rng)).collect();
    let hops = near.iter().filter(|near| near.form_name() != start.form_name());
    for hop in hops.clone() {
        assert_eq!(*hop, forms.of(hop).unwrap().space.default_schedule());
    }
    assert!((6..40).contains(&hops.count()), "about one in sixteen");
}

#[test]
fn a_kernel_without_other_forms_is_its_space() {
    let graph = bound(PRODUCT, &[("m", 8), ("k", 9), ("n", 12)]);
    let forms = Forms::new(&graph, &target());
    let space = Space::new(&plan::build(&graph), &target());
    assert_eq!(names(&forms), ["written"]);
    assert_eq!(forms.combinations(), space.combinations());
    let (mut one, mut other) = (ChaCha8Rng::seed_from_u64(3), ChaCha8Rng::seed_from_u64(3));
    assert_eq!(forms.sample(&mut one), space.sample(&mut other));
    let start = space.default_schedule();
    assert_eq!(forms.neighbour(&start, &mut one), space.neighbour(&start, &mut other));
    // Where nothing is reduced no rule holds.
    let forms = Forms::new(&attention(0), &target());
    assert_eq!((names(&forms), forms.growth()), (vec!["written"], None));
}

#[test]
fn all_forms_compute_the_same() {
    for j in [1, 13, 40] {
        let (graph, forms) = (attention(j), forms(j));
        let inputs = draw(&graph, Family::Normal, j);
        let expected = evaluate(&graph, &inputs);
        let share = InterpreterShare::of(&graph);
        for form in forms.list() {
            let schedule = form.space.default_schedule();
            let program = lower::lower_in(&form.space, &schedule).unwrap();
            tile::verify(&program, &target()).unwrap();
            let values = tile::interpret(&program, &inputs);
            for (index, &got) in values[0].iter().enumerate() {
                let ratio = share.ratio(&expected[0], index, got);
                assert!(
                    ratio <= 1.0,
                    "j={j} {} [{index}]: {got}\n{}",
                    form.name(),
                    schedule.print()
                );
            }
        }
    }
}

/// Schedules found at some extents are legal ones at others, and themselves at their own.
#[test]
fn a_schedule_carries_to_other_extents() {
    let sizes = |graph: &Graph| -> Sizes {
        let axes = &graph.axes;
        axes.ids().map(|axis| (axes.name(axis).to_string(), axes.extent(axis))).collect()
    };
    let products = [[64, 64, 64], [65, 7, 1], [200, 512, 96], [1, 1000, 48], [0, 3, 2]];
    let products = products.map(|[m, k, n]| bound(PRODUCT, &[("m", m), ("k", k), ("n", n)]));
    for graphs in [products.to_vec(), [40, 13, 1, 128].map(attention).to_vec()] {
        let forms: Vec<Forms> = graphs.iter().map(|graph| Forms::new(graph, &target())).collect();
        for (from, graph) in graphs.iter().enumerate() {
            let mut rng = ChaCha8Rng::seed_from_u64(from as u64);
            for _ in 0..12 {
                let schedule = forms[from].sample(&mut rng);
                for (to, other) in forms.iter().enumerate() {
                    let found = other.adapted(&schedule, &sizes(graph));
                    let Some(found) = found else { panic!("{from} to {to}: {}", schedule.print()) };
                    other.check(&found).unwrap_or_else(|faults| panic!("{faults:?}"));
                    assert!(from != to || found == schedule, "{}", schedule.print());
                }
            }
        }
    }
}

#[test]
fn a_step_over_the_whole_axis_stays_whole() {
    let (small, large) = ([("m", 64), ("k", 32), ("n", 48)], [("m", 128), ("k", 96), ("n", 80)]);
    let space = |sizes| Space::new(&plan::build(&bound(PRODUCT, sizes)), &target());
    let (one, other) = (space(&small), space(&large));
    let mut narrowed = one.clone();
    let whole = ["C.grid.m", "C.grid.n", "C.block.k"].into_iter().zip(["64", "48", "32"]);
    narrowed.fix(&whole.map(|(name, value)| setting(name, value)).collect::<Vec<_>>()).unwrap();
    let sizes = small.iter().map(|&(axis, extent)| (axis.to_string(), extent)).collect();
    let found = other.adapted(&narrowed.default_schedule(), &sizes).unwrap();
    for (name, value) in [("C.grid.m", 128), ("C.grid.n", 80)] {
        assert_eq!(found.get(name), Some(&ChoiceValue::Count(value)), "{}", found.print());
    }
}

/// A product behind a product, on a machine with tile registers: what a choice makes meaningless is left out of the canonical
/// schedule, which must be legal without it.
#[test]
fn canonical_schedules_are_legal_and_stay_as_they_are() {
    const ADAPTER: &str = "\
kernel adapter(x: f32[t,i], W: f32[i,o], A: f32[i,r], B: f32[r,o]) -> y: f32[t,o] {
  h = sum[i](x * A)
  sum[i](x * W) + sum[r](h * B)
}
";
    let features = ["amx-bf16", "amx-tile", "avx512bf16", "avx512f"];
    let target = Target {
        features: features.map(str::to_string).to_vec(),
        multiply_adds: 2,
        vector_bytes: 64,
        vector_registers: 32,
        accumulates_in_place: true,
        ..target()
    };
    let graph = bound(ADAPTER, &[("t", 48), ("i", 640), ("o", 960), ("r", 16)]);
    let forms = Forms::new(&graph, &target);
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let mut schedule = forms.default_schedule();
    for step in 0..4000 {
        schedule = match step % 8 {
            0 => forms.sample(&mut random),
            _ => forms.neighbour(&schedule, &mut random),
        };
        let canonical = forms.canonical(&schedule);
        let faults = forms.check(&canonical).err();
        assert!(faults.is_none(), "{faults:?}\n{}", canonical.print());
        assert_eq!(forms.canonical(&canonical), canonical);
    }
}
