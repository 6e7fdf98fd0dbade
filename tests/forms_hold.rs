//! Every form holds where numbers are hard: large scores, long sums of equal terms, rows that do not fit in memory.
//!
//! Machine code of each form's default schedule runs against the reference of the text. Invariant: what is compared is
//! decided and finite.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Stdio};
use tilewright::ir::reference::{Family, HostTensor, compare, draw, evaluate};
use tilewright::ir::schedule::FormSpace;
use tilewright::{BoundKernel, Kernel};

const ATTENTION: &str = "\
kernel attention(Q: f32[i,d], K: f32[j,d], V: f32[j,e]) -> O: f32[i,e] {
  p = softmax[j](sum[d](Q * K) * rsqrt(len(d)))
  sum[j](p * V)
}
";

fn file(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(root.join(format!("tests/files/rewrite/{name}.tw"))).unwrap()
}

/// The kernel with these extents, and a small one for every other axis.
fn bind(text: &str, sizes: &[(&str, u64)]) -> BoundKernel {
    let kernel = Kernel::parse(text).unwrap();
    let mut all = kernel.size_sets().first().map(|(_, sizes)| sizes.clone()).unwrap_or_default();
    all.values_mut().for_each(|extent| *extent = 6);
    all.extend(sizes.iter().map(|&(axis, extent)| (axis.to_string(), extent)));
    kernel.bind_sizes(&all).unwrap()
}

/// Runs a form with its default schedule.
#[track_caller]
fn outputs(bound: &BoundKernel, form: &FormSpace, inputs: &[HostTensor]) -> Vec<HostTensor> {
    let graph = bound.graph();
    let compiled = bound.compile(&form.space.default_schedule()).unwrap();
    let mut outputs: Vec<HostTensor> = (graph.outputs.iter())
        .map(|output| HostTensor::zeros(output.tensor.dtype, &output.tensor.shape(&graph.axes)))
        .collect();
    let read: Vec<&[u8]> = inputs.iter().map(|input| input.bytes.as_slice()).collect();
    let mut written: Vec<&mut [u8]> =
        outputs.iter_mut().map(|output| output.bytes.as_mut_slice()).collect();
    compiled.call_bytes(&read, &mut written).unwrap();
    outputs
}

/// Runs a form and compares; says how far off the worst element is, as a share of what is allowed.
#[track_caller]
fn hold(what: &str, bound: &BoundKernel, form: &FormSpace, inputs: &[HostTensor]) -> f64 {
    let outputs = outputs(bound, form, inputs);
    let mut worst = 0.0_f64;
    for (expected, got) in evaluate(bound.graph(), inputs).iter().zip(&outputs) {
        let what = format!("{what}, form {}", form.name());
        assert!(got.to_f64().iter().all(|value| value.is_finite()), "{what}: {:?}", got.to_f64());
        let verdict = compare(expected, got);
        assert_eq!((verdict.wrong, verdict.undecided), (0, 0), "{what}: {verdict:?}");
        worst = worst.max(verdict.worst_ratio);
    }
    worst
}

/// An input with other values.
fn fill(tensor: &mut HostTensor, value: impl Fn(usize) -> f64) {
    for position in 0..tensor.len() {
        tensor.set(position, value(position));
    }
}

/// Numbers without a pattern, in [-1, 1].
fn scattered(position: usize) -> f64 {
    let mixed = (position as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    mixed as f64 / f64::from(1 << 23) - 1.0
}

/// Scores far beyond what `exp` can take in f32: each text takes out a maximum or is repaired.
#[test]
fn large_scores_do_not_overflow() {
    // The text, and the input that holds the scores; all of them keep weighted sums.
    let texts = [("masked", 0), ("swa", 0), ("late", 0), ("early", 0), ("two", 0), ("exp2att", 0)];
    for (name, scores) in texts {
        let bound = bind(&file(name), &[("i", 5), ("j", 70)]);
        for scale in [400.0, 1e4] {
            let mut inputs = draw(bound.graph(), Family::Uniform, 3);
            fill(&mut inputs[scores], |position| scattered(position) * scale);
            if name == "masked" {
                // A row without any key is not what is asked here.
                let mask = inputs.len() - 1;
                fill(&mut inputs[mask], |position| f64::from(u8::from(position % 3 != 1)));
            }
            let forms = bound.forms();
            assert!(forms.list().len() > 1, "{name} has other forms");
            for form in forms.list() {
                hold(&format!("{name}, scores of {scale}"), &bound, form, &inputs);
            }
        }
    }
    // Scores that are computed, as in attention.
    let bound = bind(ATTENTION, &[("i", 5), ("j", 70), ("d", 8), ("e", 6)]);
    for scale in [400.0, 1e4] {
        let mut inputs = draw(bound.graph(), Family::Uniform, 3);
        fill(&mut inputs[0], |position| scattered(position) * scale);
        for form in bound.forms().list() {
            hold(&format!("attention, scores of {scale}"), &bound, form, &inputs);
        }
    }
}

/// What the text does without a maximum overflows in f32 as written; the preferred form does not.
#[test]
fn unsafe_texts_are_repaired() {
    for name in ["unsafe_attention", "lse_unsafe", "unsafe_exp2", "soft"] {
        let bound = bind(&file(name), &[("i", 5), ("j", 70)]);
        let mut inputs = draw(bound.graph(), Family::Uniform, 3);
        // `exp` overflows f32 from 89 on, and f64 from 710 on, where the text says nothing any more.
        fill(&mut inputs[0], |position| scattered(position) * 200.0);
        let outputs = outputs(&bound, bound.forms().preferred(), &inputs);
        // Where the text itself overflows in f32 its value is undecided, so the mathematics is the judge.
        for (expected, got) in evaluate(bound.graph(), &inputs).iter().zip(&outputs) {
            for (want, got) in expected.values.iter().zip(got.to_f64()) {
                let close = (got - want).abs() <= 1e-4 * want.abs().max(1e-3);
                assert!(close, "{name}: {got} for {want}");
            }
        }
    }
}

/// 131,072 equal terms in f32: a chain of additions would be off by a few per cent.
#[test]
fn long_sums_of_equal_terms_stay_within_the_bound() {
    const LONG: u64 = 131_072;
    let lse = "kernel lse(x: f32[i,j]) -> f32[i] { logsumexp[j](x) }";
    let norm = "kernel norm(x: f32[i,j]) -> f32[i,j] { layernorm[j](x, 1, 0, 1e-5) }";
    let stats =
        "kernel stats(x: f32[i,j]) -> (m: f32[i], v: f32[i]) { (mean[j](x), variance[j](x)) }";
    let texts = [("attention", ATTENTION), ("lse", lse), ("norm", norm), ("stats", stats)];
    for (name, text) in texts {
        let axes: &[(&str, u64)] = match name {
            "attention" => &[("i", 2), ("j", LONG), ("d", 4), ("e", 3)],
            _ => &[("i", 2), ("j", LONG)],
        };
        let bound = bind(text, axes);
        let mut inputs = draw(bound.graph(), Family::Uniform, 1);
        match name {
            // All keys are equal, so every weight is 1 / 131072.
            "attention" => fill(&mut inputs[1], |position| [0.3, -0.7, 0.1, 0.9][position % 4]),
            // Equal but for a few, so that a variance is not 0.
            "norm" | "stats" => {
                fill(&mut inputs[0], |at| if at % 1000 == 0 { 3.5 } else { 3.0 });
            }
            _ => fill(&mut inputs[0], |_| 0.7),
        }
        assert!(name == "norm" || bound.forms().list().len() > 1, "{name} has other forms");
        for form in bound.forms().list() {
            let worst = hold(name, &bound, form, &inputs);
            println!("{name} {}: {:.1} % of what is allowed", form.name(), worst * 100.0);
        }
    }
}

/// The highest memory of a run of the program in KiB.
fn peak_kib(folder: &Path, extent: &str) -> u64 {
    let size = format!("i={extent},j={extent},d=16,e=16");
    let mut child = Command::new(env!("CARGO_BIN_EXE_tilewright"))
        .args(["run", "attention.tw", "--size", &size])
        .current_dir(folder)
        .env("TILEWRIGHT_STORE", folder.join("store.sqlite"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut peak = 0;
    loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
        let line =
            status.iter().flat_map(|text| text.lines()).find(|line| line.starts_with("VmHWM"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        peak = peak.max(kib.unwrap_or(0));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            return peak;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// The scores of 16,384 queries and keys are 1 GiB; one pass never has them.
#[test]
fn one_pass_attention_keeps_no_scores() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("attention.tw"), ATTENTION).unwrap();
    let (small, large) = (peak_kib(folder.path(), "16"), peak_kib(folder.path(), "16384"));
    let tensors = 4 * 16384 * 16 * 4 / 1024;
    assert!(small > 0 && large >= small, "{small} {large}");
    println!("{small} KiB at 16, {large} KiB at 16384, of which inputs and outputs {tensors}");
    assert!(large - small - tensors.min(large - small) < 64 * 1024, "{small} {large}");
}
