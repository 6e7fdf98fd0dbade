//! Streams cut into chunks, in machine code: long ones within the bound, and the same bytes on one thread and on two.
//!
//! A failure prints the kernel, the family of its inputs and the schedule.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use tilewright::ir::reference::{Family, HostTensor, compare, draw, evaluate, memory};
use tilewright::ir::schedule::{ChoiceValue, Domain, FormSpace, Schedule, Setting};
use tilewright::{BoundKernel, Kernel};

const DECODE: &str = "kernel decode(q: f32[r,d], K: f32[j,d], V: f32[j,e]) -> f32[r,e] {
  sum[j](softmax[j](sum[d](q * K) * rsqrt(len(d))) * V)
}";
/// The first 100,000 keys are hidden, so that whole chunks have nothing to see; from the first row so are all keys.
const HIDDEN: &str = "kernel hidden(q: f32[r,d], K: f32[j,d], V: f32[j,e]) -> f32[r,e] {
  sum[j](softmax[j](mask(j >= 100000 && r > 0, sum[d](q * K))) * V)
}";
const TOTAL: &str = "kernel total(x: f32[k]) -> f32 { sum[k](x) }";
const PRODUCT: &str = "kernel product(A: f32[m,k], B: f32[k,n]) -> f32[m,n] { sum[k](A * B) }";
const SPREAD: &str = "kernel spread(x: f32[i,d]) -> f32[i] {
  m = mean[d](x)
  mean[d]((x - m) * (x - m))
}";

fn bound(text: &str, sizes: &[(&str, u64)]) -> BoundKernel {
    Kernel::parse(text).unwrap().bind(sizes.iter().copied()).unwrap()
}

/// The default schedule of a form with every stream that has so many elements cut into `count` chunks.
fn cut(form: &FormSpace, count: u64, threads: u64) -> Schedule {
    let mut space = form.space.clone();
    let value = ChoiceValue::Count(count);
    let has = |domain: &Domain| domain.contains(&value);
    let names = space.choices.iter().filter(|choice| choice.name.contains(".split."));
    let names = names.filter(|choice| has(&choice.domain)).map(|choice| choice.name.clone());
    let setting = |name: String| Setting { name, value: value.clone() };
    let mut settings: Vec<Setting> = names.map(setting).collect();
    assert!(!settings.is_empty(), "nothing can be cut into {count} chunks");
    let threads = ChoiceValue::Count(threads);
    settings.push(Setting { name: "threads".to_string(), value: threads });
    space.fix(&settings).unwrap_or_else(|faults| panic!("{settings:?}: {faults:?}"));
    space.default_schedule()
}

fn run(bound: &BoundKernel, schedule: &Schedule, inputs: &[HostTensor]) -> Vec<HostTensor> {
    let graph = bound.graph();
    let compiled = bound.compile(schedule).unwrap();
    let output = |output: &tilewright::ir::graph::Output| {
        let axes = output.tensor.axes.iter();
        let shape: Vec<u64> = axes.map(|&axis| graph.axes.extent(axis)).collect();
        let mut tensor = HostTensor::zeros(output.tensor.dtype, &shape);
        tensor.bytes.fill(0xaa);
        tensor
    };
    let mut outputs: Vec<HostTensor> = graph.outputs.iter().map(output).collect();
    let lying = memory(graph, inputs);
    let read: Vec<&[u8]> = lying.iter().map(AsRef::as_ref).collect();
    let mut written: Vec<&mut [u8]> =
        outputs.iter_mut().map(|output| output.bytes.as_mut_slice()).collect();
    compiled.call_bytes(&read, &mut written).unwrap();
    outputs
}

fn check(text: &str, sizes: &[(&str, u64)], families: &[Family]) {
    let bound = bound(text, sizes);
    for &family in families {
        let inputs = draw(bound.graph(), family, 3);
        let expected = evaluate(bound.graph(), &inputs);
        for form in bound.forms().list() {
            for count in [2, 4, 8, 16, 32, 64] {
                let schedule = cut(form, count, 2);
                let got = run(&bound, &schedule, &inputs);
                let what = format!("{text}\n{family:?}\n{}", schedule.print());
                for (expected, got) in expected.iter().zip(&got) {
                    let verdict = compare(expected, got);
                    assert_eq!(verdict.wrong, 0, "{what}{verdict:?}");
                }
                let alone = run(&bound, &cut(form, count, 1), &inputs);
                for (alone, got) in alone.iter().zip(&got) {
                    assert!(alone.bytes == got.bytes, "{what}threads change the bytes");
                }
            }
        }
    }
}

#[test]
fn attention_over_many_keys_holds_in_chunks() {
    let sizes = [("r", 2), ("j", 131_072), ("d", 4), ("e", 4)];
    check(DECODE, &sizes, &[Family::Normal, Family::Equal, Family::Specials]);
}

#[test]
fn chunks_that_see_nothing_change_nothing() {
    check(HIDDEN, &[("r", 2), ("j", 131_072), ("d", 4), ("e", 4)], &[Family::Normal]);
}

#[test]
fn long_sums_hold_in_chunks() {
    check(TOTAL, &[("k", 1 << 20)], &[Family::Normal, Family::Equal, Family::Wide]);
    check(PRODUCT, &[("m", 8), ("n", 8), ("k", 65_536)], &[Family::Normal, Family::Equal]);
    check(SPREAD, &[("i", 2), ("d", 100_003)], &[Family::Normal, Family::Equal]);
}
