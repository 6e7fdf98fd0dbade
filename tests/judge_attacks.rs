//! A dishonest code generator against the judge: it returns code of other mathematics, or real code behind a hostile
//! prelude, for every schedule of a kernel.
//!
//! Invariant: nothing of it is accepted, every candidate is a record with its reason, and the run ends in order.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::atomic::AtomicBool;
use tilewright::autotune::protocol::Status;
use tilewright::autotune::store::Store;
use tilewright::autotune::tune::{TuneOptions, tune};
use tilewright::ir::backend::{Artifact, Backend, Probe, Unsupported};
use tilewright::ir::target::Target;
use tilewright::ir::tile::TileProgram;
use tilewright::{BoundKernel, Kernel};

/// The kernel that is tuned; its arguments stay of one size when operands or axes are confused.
const HONEST: &str = "kernel product(A: f32[m,k], B: f32[k,n]) -> f32[m,n] { sum[k](A * B) }";
const EXTENT: u64 = 24;
const EVALUATIONS: u64 = 3;

/// What stands before the honest code. The calling convention is that of `Launch`: rdi the arguments.
const PRELUDES: &[(&str, &[u8], &[&str])] = &[
    ("ud2", &[0x0f, 0x0b], &["crash"]),
    ("returns at once", &[0xc3], &["wrong"]),
    ("spins for ever", &[0xeb, 0xfe], &["timeout"]),
    // eax = 2^32 - 1 turns
    ("is slow", &[0xb8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc8, 0x75, 0xfc], &["timeout", "slow"]),
    ("calls itself", &[0xe8, 0xfb, 0xff, 0xff, 0xff], &["crash"]),
    // A[0] = 1
    ("writes an input", &[0x4c, 0x8b, 0x07, 0x41, 0xc6, 0x00, 0x01], &["crash"]),
    // The eight bytes behind, or before, the output.
    (
        "writes behind the output",
        &[0x4c, 0x8b, 0x47, 0x10, 0x49, 0xc7, 0x80, 0, 0x09, 0, 0, 0xa5, 0xa5, 0xa5, 0x05],
        &["stray_write", "crash"],
    ),
    (
        "writes before the output",
        &[0x4c, 0x8b, 0x47, 0x10, 0x49, 0xc7, 0x40, 0xf8, 0xa5, 0xa5, 0xa5, 0x05],
        &["stray_write", "crash"],
    ),
    (
        "writes its own code",
        &[0x4c, 0x8d, 0x05, 0xf9, 0xff, 0xff, 0xff, 0x41, 0xc6, 0x00, 0x90],
        &["crash"],
    ),
    // nanosleep(1 s)
    (
        "sleeps",
        &[
            0x57, 0x56, 0xb8, 0x23, 0, 0, 0, 0x6a, 0, 0x6a, 1, 0x48, 0x89, 0xe7, 0x31, 0xf6, 0x0f,
            0x05, 0x48, 0x83, 0xc4, 0x10, 0x5e, 0x5f,
        ],
        &["crash"],
    ),
    ("exits with success", &[0xb8, 0xe7, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05], &["crash"]),
    ("forks", &[0xb8, 0x39, 0, 0, 0, 0x0f, 0x05], &["crash"]),
    // kill(getppid(), SIGKILL)
    (
        "kills its parent",
        &[
            0xb8, 0x6e, 0, 0, 0, 0x0f, 0x05, 0x89, 0xc7, 0xbe, 9, 0, 0, 0, 0xb8, 0x3e, 0, 0, 0,
            0x0f, 0x05,
        ],
        &["crash"],
    ),
    // Counts its calls in the last device buffer and returns at once from the thirteenth on.
    (
        "stops working after a while",
        &[
            0x4c, 0x8b, 0x87, 0x44, 0x33, 0x22, 0x11, 0x41, 0x81, 0x78, 0x04, 0x54, 0x49, 0x55,
            0x51, 0x74, 0x0f, 0x41, 0xc7, 0x40, 0x04, 0x54, 0x49, 0x55, 0x51, 0x41, 0xc7, 0x00, 0,
            0, 0, 0, 0x41, 0xff, 0x00, 0x41, 0x83, 0x38, 0x0c, 0x76, 0x01, 0xc3,
        ],
        &["wrong", "nondeterministic"],
    ),
    // Remembers the first A that it saw in the last device buffer and works for that one only.
    (
        "works on the first slot only",
        &[
            0x4c, 0x8b, 0x87, 0x44, 0x33, 0x22, 0x11, 0x4c, 0x8b, 0x0f, 0x41, 0x81, 0x38, 0x54,
            0x49, 0x55, 0x51, 0x74, 0x0b, 0x41, 0xc7, 0x00, 0x54, 0x49, 0x55, 0x51, 0x4d, 0x89,
            0x48, 0x08, 0x4d, 0x3b, 0x48, 0x08, 0x74, 0x01, 0xc3,
        ],
        &["wrong", "nondeterministic"],
    ),
];
/// Stands in a prelude for the offset of the last device buffer in the arguments.
const DEVICE_OFFSET: [u8; 4] = [0x44, 0x33, 0x22, 0x11];

/// Other mathematics over arguments of the same sizes.
const TEXTS: &[(&str, &str)] = &[
    ("operands swapped", "(A: f32[k,n], B: f32[m,k]) -> f32[m,n] { sum[k](A * B) }"),
    ("second operand transposed", "(A: f32[m,k], B: f32[n,k]) -> f32[m,n] { sum[k](A * B) }"),
    ("result transposed", "(A: f32[m,k], B: f32[k,n]) -> f32[n,m] { sum[k](A * B) }"),
    (
        "last block of k dropped",
        "(A: f32[m,k], B: f32[k,n]) -> f32[m,n] { sum[k](where(k < 16, A * B, 0)) }",
    ),
    (
        "last term of k dropped",
        "(A: f32[m,k], B: f32[k,n]) -> f32[m,n] { sum[k](where(k < 23, A * B, 0)) }",
    ),
    (
        "last row missing",
        "(A: f32[m,k], B: f32[k,n]) -> f32[m,n] { where(m < 23, sum[k](A * B), 0) }",
    ),
    (
        "last row off by a thousandth",
        "(A: f32[m,k], B: f32[k,n]) -> f32[m,n] { where(m == 23, 1.001, 1) * sum[k](A * B) }",
    ),
    ("constant", "(A: f32[m,k], B: f32[k,n]) -> f32[m,n] { sum[k](A * B) * 0 + 0.5 }"),
    ("zero", "(A: f32[m,k], B: f32[k,n]) -> f32[m,n] { sum[k](A * B) * 0 }"),
    ("magnitudes only", "(A: f32[m,k], B: f32[k,n]) -> f32[m,n] { sum[k](abs(A) * abs(B)) }"),
    // x * (2^16 + 1) - (x * (2^16 + 1) - x) has the eight bits of a bf16.
    (
        "inputs rounded to bf16",
        "(A: f32[m,k], B: f32[k,n]) -> f32[m,n] { \
         sum[k]((A * 65537 - (A * 65537 - A)) * (B * 65537 - (B * 65537 - B))) }",
    ),
];

/// Other mathematics that is right for most numbers: what is wrong, honest body, dishonest body, the signature of both.
const CORNERS: &[(&str, &str, &str, &str)] = &[
    ("NaN is lost", "(x: f32[i], y: f32[i]) -> f32[i]", "max(x, y)", "where(x > y, x, y)"),
    (
        "infinity becomes the largest number",
        "(x: f32[i]) -> f32[i]",
        "x + x",
        "min(max(x + x, -3.4028234e38), 3.4028234e38)",
    ),
    (
        "subnormal inputs are zero",
        "(x: f32[i]) -> f32[i]",
        "x * 1e30",
        "where(abs(x) < 1e-38, 0, x * 1e30)",
    ),
    (
        "a negative zero is positive",
        "(x: f32[i]) -> f32[i]",
        "recip(x)",
        "where(x == 0, inf, recip(x))",
    ),
    ("large numbers are wrong", "(x: f32[i]) -> f32[i]", "exp2(x)", "exp2(min(max(x, -9), 9))"),
    (
        "the softmax overflows",
        "(x: f32[i,j]) -> f32[i,j]",
        "softmax[j](x)",
        "exp(x) / sum[j](exp(x))",
    ),
    (
        "a comparison has a tolerance",
        "(x: f32[i], y: f32[i]) -> f32[i]",
        "where(x < y, 1, 0)",
        "where(x + 0.00001 < y, 1, 0)",
    ),
    ("ties are rounded up", "(x: f32[i]) -> f32[i]", "round(x)", "floor(x + 0.5)"),
    (
        "an integer is exact to 24 bits",
        "(x: i32[i]) -> i32[i]",
        "max(x, -7)",
        "((max(x, -7)) : f32) : i32",
    ),
    (
        "a variance is computed in one pass",
        "(x: f32[i,j]) -> f32[i]",
        "mean[j]((x - mean[j](x)) * (x - mean[j](x)))",
        "mean[j](x * x) - mean[j](x) * mean[j](x)",
    ),
    ("a sum begins at 1e-9", "(x: f32[i,j]) -> f32[i]", "sum[j](x)", "sum[j](x) + 1e-9"),
    ("large numbers are seven", "(x: f32[i]) -> f32[i]", "x + x", "where(abs(x) > 1e5, 7, x + x)"),
    (
        "a row of -inf is a row like others",
        "(x: f32[i,j]) -> f32[i,j]",
        "softmax[j](x)",
        "softmax[j](max(x, -3e38))",
    ),
    (
        "huge numbers are halved",
        "(x: f32[i,j]) -> f32[i,j]",
        "max(x, 0)",
        "max(where(abs(x) > 1e12 && abs(x) < 3e38, x * 0.5, x), 0)",
    ),
    (
        "tiny numbers are halved",
        "(x: f32[i,j]) -> f32[i,j]",
        "abs(x)",
        "abs(where(abs(x) < 1e-12 && abs(x) > 1e-37, x * 0.5, x))",
    ),
    (
        "the epsilon is another",
        "(x: f32[i,j], y: f32[j]) -> f32[i,j]",
        "rmsnorm[j](x, y, 1e-5)",
        "rmsnorm[j](x, y, 1.01e-5)",
    ),
    (
        "one element of a thousand is off by a few ulps",
        "(x: f32[i,j]) -> f32[i,j]",
        "x * x",
        "where(i == 11 && j == 37, 1.0000005, 1) * (x * x)",
    ),
];

/// What is done to the honest code.
#[derive(Clone, Debug)]
enum Sabotage {
    /// This stands before each entry.
    Prelude(&'static [u8]),
    /// Another kernel's code takes its place.
    Other(Artifact),
    /// The last launch runs one iteration less.
    LastIteration,
    /// The last launch does not run.
    LastLaunch,
}

struct Dishonest {
    honest: &'static dyn Backend,
    sabotage: Sabotage,
}

impl Backend for Dishonest {
    fn name(&self) -> &'static str {
        self.honest.name()
    }

    fn target(&self) -> &Target {
        self.honest.target()
    }

    fn version(&self) -> String {
        "dishonest".to_string()
    }

    fn compile(&self, program: &TileProgram) -> Result<Artifact, Unsupported> {
        let mut artifact = self.honest.compile(program)?;
        match &self.sabotage {
            Sabotage::Prelude(code) => prepend(&mut artifact, code),
            Sabotage::Other(other) => artifact = other.clone(),
            Sabotage::LastIteration => artifact.launches.last_mut().unwrap().iterations -= 1,
            Sabotage::LastLaunch => {
                let last = artifact.launches.last_mut().unwrap();
                last.iterations = 0;
            }
        }
        Ok(artifact)
    }

    fn listings(&self, program: &TileProgram) -> Result<Vec<(&'static str, String)>, Unsupported> {
        self.honest.listings(program)
    }

    fn probes(&self) -> Result<Vec<Probe>, Unsupported> {
        // Without ceilings nothing is called impossible: the judge alone has to tell.
        Err(Unsupported { what: "probes".to_string(), place: "here".to_string() })
    }
}

/// Puts code before each entry, on one thread, with a device buffer of its own.
fn prepend(artifact: &mut Artifact, code: &[u8]) {
    let device = 8 * (artifact.argument_bytes.len() + artifact.device_bytes.len());
    artifact.device_bytes.push(64);
    let offset = u32::try_from(device).unwrap().to_le_bytes();
    let mut code = code.to_vec();
    if let Some(place) = code.windows(4).position(|bytes| bytes == DEVICE_OFFSET) {
        code[place..place + 4].copy_from_slice(&offset);
    }
    for launch in &mut artifact.launches {
        let entry = artifact.image.len() as u64;
        artifact.image.extend(&code);
        // jmp to the honest code
        let next = artifact.image.len() as i64 + 5;
        artifact.image.push(0xe9);
        let distance = i32::try_from(launch.entry as i64 - next).unwrap();
        artifact.image.extend(distance.to_le_bytes());
        launch.entry = entry;
        launch.threads = 1;
    }
}

/// Tunes with a dishonest back end; the records as (reason, evidence).
#[track_caller]
fn rejections(what: &str, sabotage: Sabotage) -> Vec<(String, String)> {
    let bound = Kernel::parse(HONEST).unwrap().bind(axes()).unwrap();
    rejections_of(&bound, what, sabotage)
}

/// As `rejections`, for another kernel than `HONEST`.
#[track_caller]
fn rejections_of(bound: &BoundKernel, what: &str, sabotage: Sabotage) -> Vec<(String, String)> {
    let backend = Dishonest { honest: bound.backend(), sabotage };
    let options = TuneOptions {
        budget_seconds: 6.0,
        budget_evaluations: Some(EVALUATIONS),
        seed: 3,
        threads: 1,
        batch: 1,
        started_unix: 1_800_000_000,
        ..TuneOptions::default()
    };
    let mut store = Store::in_memory().unwrap();
    let stop = AtomicBool::new(false);
    let report = tune(&backend, bound.graph(), &options, &mut store, &mut |_| {}, &stop).unwrap();
    assert_eq!(report.naive, None, "{what}: the baseline was believed");
    assert_eq!(report.best, None, "{what}: a candidate was believed");
    assert_eq!(report.record, None, "{what}");
    let rows = store.list(None).unwrap();
    assert!(!rows.is_empty() && report.evaluated > 0, "{what}: nothing was tried");
    rows.into_iter()
        .map(|row| {
            assert_eq!(row.status, Status::Rejected, "{what}");
            assert_eq!(row.time_ns, None, "{what}: a time without a passed check");
            let (reason, evidence) = (row.reason.unwrap(), row.evidence.unwrap());
            assert!(!evidence.is_empty(), "{what}: {reason} without evidence");
            (reason, evidence)
        })
        .collect()
}

fn axes() -> [(&'static str, u64); 3] {
    [("m", EXTENT), ("k", EXTENT), ("n", EXTENT)]
}

/// Every record has one of these reasons, or repeats the code of an earlier one.
#[track_caller]
fn rejected(what: &str, sabotage: Sabotage, reasons: &[&str]) {
    all_for(what, &rejections(what, sabotage), reasons);
}

#[track_caller]
fn all_for(what: &str, found: &[(String, String)], reasons: &[&str]) {
    for (position, (reason, evidence)) in found.iter().enumerate() {
        let repeats = position > 0 && reason == "duplicate";
        assert!(repeats || reasons.contains(&reason.as_str()), "{what}: {reason}: {evidence}");
    }
}

#[test]
fn hostile_preludes_are_rejected() {
    for &(what, code, reasons) in PRELUDES {
        rejected(what, Sabotage::Prelude(code), reasons);
    }
}

#[test]
fn an_empty_prelude_is_accepted() {
    let bound = Kernel::parse(HONEST).unwrap().bind(axes()).unwrap();
    let sabotage = Sabotage::Prelude(&[]);
    let backend = Dishonest { honest: bound.backend(), sabotage };
    let options = TuneOptions {
        budget_seconds: 20.0,
        budget_evaluations: Some(EVALUATIONS),
        ..TuneOptions::default()
    };
    let mut store = Store::in_memory().unwrap();
    let stop = AtomicBool::new(false);
    let report = tune(&backend, bound.graph(), &options, &mut store, &mut |_| {}, &stop).unwrap();
    assert!(report.best.is_some(), "the harness itself spoils nothing: {:?}", report.rejected);
}

#[test]
fn code_of_other_mathematics_is_wrong() {
    for (what, text) in TEXTS {
        let kernel = Kernel::parse(&format!("kernel product{text}")).unwrap();
        let bound = kernel.bind(axes()).unwrap();
        let schedule = bound.space().default_schedule();
        let other = bound.backend().compile(&bound.lower(&schedule).unwrap()).unwrap();
        rejected(what, Sabotage::Other(other), &["wrong"]);
    }
}

/// The code of the default schedule.
fn code(bound: &BoundKernel) -> Artifact {
    let schedule = bound.space().default_schedule();
    bound.backend().compile(&bound.lower(&schedule).unwrap()).unwrap()
}

#[test]
fn code_that_is_right_for_most_numbers_is_wrong() {
    for (what, signature, honest, dishonest) in CORNERS {
        let bind = |body: &str| {
            let kernel = Kernel::parse(&format!("kernel corner{signature} {{ {body} }}")).unwrap();
            let axes = [("i", 19), ("j", 53)];
            let used = axes.into_iter().filter(|(name, _)| signature.contains(name));
            kernel.bind(used).unwrap()
        };
        let sabotage = Sabotage::Other(code(&bind(dishonest)));
        all_for(what, &rejections_of(&bind(honest), what, sabotage), &["wrong"]);
    }
}

/// Sums of a thousand standard normal numbers make exponentials that one form of the kernel overflows and another does not.
#[test]
fn a_kernel_of_which_little_can_be_said_is_judged_on_smaller_numbers() {
    let text = "kernel gate(x: f32[m,k], G: f32[k,n], D: f32[n,k]) -> f32[m,k] { \
                h = silu(sum[k](x * G))\n sum[n](h * D) }";
    let bound = Kernel::parse(text).unwrap().bind([("m", 6), ("k", 1024), ("n", 96)]).unwrap();
    let options = TuneOptions {
        budget_seconds: 20.0,
        budget_evaluations: Some(2),
        threads: 1,
        ..TuneOptions::default()
    };
    let (mut store, stop) = (Store::in_memory().unwrap(), AtomicBool::new(false));
    let (backend, graph) = (bound.backend(), bound.graph());
    let report = tune(backend, graph, &options, &mut store, &mut |_| {}, &stop).unwrap();
    assert!(report.best.is_some(), "{:?}", report.rejected);
    assert!(!report.rejected.contains_key("wrong"), "{:?}", report.rejected);
}

#[test]
fn one_wrong_element_in_a_million_is_wrong() {
    let bind = |body: &str| {
        let text = format!("kernel square(x: f32[i]) -> f32[i] {{ {body} }}");
        Kernel::parse(&text).unwrap().bind([("i", 1_000_003)]).unwrap()
    };
    let sabotage = Sabotage::Other(code(&bind("where(i == 777777, 1.0000005, 1) * (x * x)")));
    let found = rejections_of(&bind("x * x"), "one element", sabotage);
    all_for("one element", &found, &["wrong"]);
    assert!(found[0].1.contains("1 of 1000003"), "{found:?}");
}

#[test]
fn code_of_another_shape_of_the_same_size_is_wrong() {
    let bind = |i, j| {
        let text = "kernel rows(x: f32[i,j]) -> f32[i,j] { softmax[j](x) }";
        Kernel::parse(text).unwrap().bind([("i", i), ("j", j)]).unwrap()
    };
    let sabotage = Sabotage::Other(code(&bind(48, 16)));
    let what = "sixteen columns for forty-eight";
    all_for(what, &rejections_of(&bind(16, 48), what, sabotage), &["wrong"]);
}

#[test]
fn work_left_out_is_wrong() {
    rejected("the last iteration left out", Sabotage::LastIteration, &["wrong"]);
    rejected("the last launch left out", Sabotage::LastLaunch, &["wrong", "refused"]);
}

#[test]
fn artifacts_that_lie_about_themselves_are_rejected() {
    let bound = Kernel::parse(HONEST).unwrap().bind(axes()).unwrap();
    let schedule = bound.space().default_schedule();
    let honest = bound.backend().compile(&bound.lower(&schedule).unwrap()).unwrap();
    let lie = |what: &str, change: &dyn Fn(&mut Artifact)| {
        let mut artifact = honest.clone();
        change(&mut artifact);
        assert_ne!(artifact, honest, "{what}");
        rejected(what, Sabotage::Other(artifact), &["refused", "crash", "wrong"]);
    };
    lie("an entry behind the image", &|artifact| artifact.launches[0].entry = u64::MAX);
    lie("an empty image", &|artifact| artifact.image.clear());
    lie("no launches", &|artifact| artifact.launches.clear());
    lie("an image cut short", &|artifact| artifact.image.truncate(7));
    lie("scratch of 2^63 bytes", &|artifact| artifact.launches[0].scratch_bytes = 1 << 63);
    lie("a device buffer of 2^64 bytes", &|artifact| artifact.device_bytes.push(u64::MAX));
    lie("fewer arguments", &|artifact| artifact.argument_bytes.truncate(2));
    lie("more inputs than arguments", &|artifact| artifact.inputs = 99);
    lie("an output of another size", &|artifact| artifact.argument_bytes[2] = 4);
    lie("unwind tables elsewhere", &|artifact| {
        artifact.unwind = Some(u64::MAX);
        artifact.image[0] = 0x0b;
        artifact.launches[0].entry = u64::MAX;
    });
}
