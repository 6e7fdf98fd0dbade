//! Ceilings measured by hand-made probes: names, units, thread counts and plausibility.

use crate::code::{self, artifact};
use crate::{alone, work};
use std::sync::atomic::AtomicBool;
use tilewright_autotune::ceiling::{Ceilings, LevelBandwidth, Rates, bound};
use tilewright_ir::backend::{Artifact, Probe};
use tilewright_ir::target::{MemoryLevel, Target};

const KIB_64: u64 = 64 << 10;

fn probe(name: &str, code: &[u8], work: f64, unit: &'static str) -> Probe {
    let artifact = Artifact { argument_bytes: vec![KIB_64], inputs: 1, ..artifact(code, 4, 1) };
    Probe { name: name.to_string(), artifact, work, unit }
}

fn target() -> Target {
    let level = |name: &str, bytes| MemoryLevel { name: name.to_string(), bytes };
    Target {
        backend: "cpu".to_string(),
        isa: "x86_64".to_string(),
        features: vec![],
        slow: vec![],
        multiply_adds: 0,
        chip: "this".to_string(),
        vector_bytes: 16,
        vector_registers: 16,
        accumulates_in_place: false,
        threads: 2,
        memory: vec![level("L1", 32 << 10), level("L2", KIB_64), level("memory", 0)],
    }
}

fn measured(probes: &[Probe], stop: bool) -> Option<Ceilings> {
    Ceilings::measure(&target(), probes, &AtomicBool::new(stop)).unwrap()
}

#[test]
fn a_stop_leaves_no_ceilings() {
    let _machine = alone();
    let probes = [probe("fma_f32_128", work::ARITHMETIC, 1.0, "flop")];
    assert_eq!(measured(&probes, true), None);
    assert!(measured(&probes, false).is_some());
}

#[test]
fn what_was_reached_once_is_possible() {
    let rates = |gflops: f64, gbps: f64| Rates {
        fma_gflops: gflops,
        bandwidth_gbps: vec![LevelBandwidth { level: "L2".to_string(), bytes: 1, gbps }],
        ..Rates::default()
    };
    let of = |one: Rates, all: Rates| Ceilings { threads: 2, one, all };
    let now = of(rates(50.0, 9.0), rates(80.0, 9.0));
    let before = of(rates(40.0, 10.0), rates(90.0, 1.0));
    let both = of(rates(50.0, 10.0), rates(90.0, 9.0));
    assert_eq!(now.clone().raised_to(&before), both);
    // Rates of another number of threads say nothing of this one.
    let of_four = Ceilings { threads: 4, ..before };
    assert_eq!(now.clone().raised_to(&of_four).all, now.all);
}

#[test]
fn probes_become_ceilings() {
    let _machine = alone();
    let flop = 4.0 * 16_000.0;
    let probes = [
        probe("fma_f32_128", work::ARITHMETIC, flop, "flop"),
        // The same code with a hundredth of the work to its name has a hundredth of the rate.
        probe("fma_f32_256", work::ARITHMETIC, flop / 100.0, "flop"),
        probe("fma_f64_128", work::ARITHMETIC, flop / 100.0, "flop"),
        probe("read_L2", work::READ, 4.0 * KIB_64 as f64, "byte"),
        probe("something_else", code::ENDLESS, 1.0, "flop"),
    ];
    let ceilings = measured(&probes, false).unwrap();
    assert_eq!(ceilings.threads, 2);
    for rates in [&ceilings.one, &ceilings.all] {
        assert_eq!(rates.fma_gflops, rates.fma_128_gflops);
        let part = rates.fma_f64_gflops / rates.fma_gflops;
        assert!((0.001..0.1).contains(&part), "{rates:?}");
        // A 128-bit core does something between 0.5 and 1000 of either per nanosecond.
        assert!((0.5..1000.0).contains(&rates.fma_gflops), "{rates:?}");
        let [level] = &rates.bandwidth_gbps[..] else { panic!("{rates:?}") };
        assert_eq!((level.level.as_str(), level.bytes), ("L2", KIB_64));
        assert!((0.5..4000.0).contains(&level.gbps), "{rates:?}");
    }
    let text = serde_json::to_string(&ceilings).unwrap();
    let again: Ceilings = serde_json::from_str(&text).unwrap();
    // The last bit of a number may change on its way through a text.
    let change = again.all.fma_gflops / ceilings.all.fma_gflops - 1.0;
    assert!(change.abs() < 1e-15 && again.all.bandwidth_gbps[0].level == "L2", "{text}");
    let floor = bound(flop, 0.0, 1, 1, &ceilings);
    assert_eq!(floor.limited_by, "compute");
    assert!((floor.floor_ns * ceilings.one.fma_gflops / flop - 1.0).abs() < 1e-12);
}
