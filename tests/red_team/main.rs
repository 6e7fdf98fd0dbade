//! The red team: candidates in C that cheat or break out, each with the verdict it must get.
//!
//! A candidate is a file of `candidates`; its first lines say what it tries and which verdicts it may get, and `base.h`
//! makes it honest but for that. Invariant: none but the honest ones is accepted, and none leaves a trace outside of its
//! process. A compiler that is missing fails.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tilewright::autotune::clock::against::Verdict;
use tilewright::autotune::judge::{
    Contest, Judge, Judgement, Outcome, Rejection, Tier, judge_library,
};
use tilewright::autotune::launch::{Library, Profile, SessionOptions};
use tilewright::ir::base::Sizes;
use tilewright::{BoundKernel, Kernel};

/// The kernel that all claim to compute, at the size that `base.h` names.
const KERNEL: &str = "kernel product(A: f32[m,k], B: f32[k,n]) -> C: f32[m,n] { sum[k](A * B) }";
const SIZES: [(&str, u64); 3] = [("m", 33), ("k", 65), ("n", 31)];

/// A candidate of the folder.
struct Candidate {
    name: String,
    /// The verdicts that it may get.
    verdicts: Vec<String>,
    path: PathBuf,
}

fn candidates() -> Vec<Candidate> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/red_team/candidates");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "c")).collect();
    paths.sort();
    let candidate = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut lines = text.lines();
        let tries = lines.next().unwrap();
        assert!(tries.starts_with("// tries: "), "{}", path.display());
        let verdicts = lines.next().unwrap().strip_prefix("// verdict: ").unwrap();
        let verdicts = verdicts.split(' ').map(str::to_string).collect();
        Candidate { name: path.file_stem().unwrap().to_str().unwrap().to_string(), verdicts, path }
    };
    paths.into_iter().map(candidate).collect()
}

fn compile(source: &Path, folder: &Path) -> PathBuf {
    let library = folder.join(source.file_stem().unwrap()).with_extension("so");
    let mut compiler = Command::new("cc");
    compiler.args(["-O1", "-w", "-fPIC", "-shared", "-pthread", "-o"]).arg(&library).arg(source);
    let output = compiler.args(["-lm", "-ldl"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    library
}

fn options() -> SessionOptions {
    SessionOptions {
        deadline: Duration::from_millis(500),
        start_limit: Duration::from_secs(2),
        ..SessionOptions::default()
    }
}

fn bound() -> BoundKernel {
    let kernel = Kernel::parse(KERNEL).unwrap();
    let sizes: Sizes = SIZES.iter().map(|&(axis, extent)| (axis.to_string(), extent)).collect();
    kernel.bind_sizes(&sizes).unwrap()
}

fn library(path: &Path) -> Library {
    Library::new(&std::fs::read(path).unwrap(), "tw_product", Profile::Strict).unwrap()
}

fn judged(path: &Path, seed: u64) -> Judgement {
    judged_as(path, Profile::Strict, seed)
}

fn judged_as(path: &Path, profile: Profile, seed: u64) -> Judgement {
    let bytes = std::fs::read(path).unwrap();
    let (bound, library) = (bound(), Library::new(&bytes, "tw_product", profile).unwrap());
    let mut judge = Judge::new(bound.graph(), seed);
    judge_library(&mut judge, &library, Tier::Second, &options())
}

/// Times a library against another; neither has been judged.
fn contest(candidate: &Path, incumbent: &Path, floor_ns: f64) -> Result<Outcome, Rejection> {
    let (bound, candidate, incumbent) = (bound(), library(candidate), library(incumbent));
    let mut judge = Judge::new(bound.graph(), 5);
    let contest = Contest {
        candidate: &candidate,
        incumbent: &incumbent,
        workspace_bytes: [0, 0],
        call_ns: 1e9,
        floor_ns,
        budget: Duration::from_secs(5),
    };
    judge.contest(&contest, &options())
}

/// What is wrong with the verdict of a candidate.
fn complaint(candidate: &Candidate, judgement: &Judgement) -> Option<String> {
    let (verdict, evidence) = match &judgement.outcome {
        Ok(_) => ("passed", ""),
        Err(rejection) => (rejection.reason, rejection.evidence.as_str()),
    };
    let expected = candidate.verdicts.iter().any(|word| word == verdict);
    let tier = judgement.tier;
    (!expected).then(|| {
        format!(
            "{}: {verdict} after {tier:?}, not {:?}: {evidence}",
            candidate.name, candidate.verdicts
        )
    })
}

#[test]
fn no_dishonest_candidate_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let trace = Path::new("/tmp/tilewright-red-team");
    assert!(!trace.exists(), "an earlier run has left {}", trace.display());
    let candidates = candidates();
    let libraries: Vec<PathBuf> =
        candidates.par_iter().map(|candidate| compile(&candidate.path, folder.path())).collect();
    let complaints: Vec<String> = candidates
        .iter()
        .zip(&libraries)
        .filter_map(|(candidate, library)| {
            let judgement = judged(library, 7);
            complaint(candidate, &judgement)
        })
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(!trace.exists(), "a candidate has written a file");
    let honest = candidates.iter().filter(|one| one.verdicts == ["passed"]).count();
    assert!(honest >= 2 && candidates.len() > 90, "{} candidates", candidates.len());
}

#[test]
fn a_file_that_is_no_library_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.so");
    assert!(Library::new(b"no library", "f", Profile::Strict).is_err());
    assert!(Library::new(b"\x7fELF", "f\0g", Profile::Strict).is_err());
    std::fs::write(&path, "\x7fELF and nothing else").unwrap();
    let rejection = judged(&path, 1).outcome.unwrap_err();
    assert_eq!(rejection.reason, "load");
    assert!(rejection.evidence.contains("file too short"), "{}", rejection.evidence);
}

/// What `tilewright judge` says about the honest candidate on a system that lacks a system call.
fn without(number: i64) -> (Option<i32>, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/red_team");
    let folder = tempfile::tempdir().unwrap();
    let library = compile(&root.join("candidates/honest.c"), folder.path());
    let launcher = folder.path().join("without");
    let mut compiler = Command::new("cc");
    compiler.args(["-O1", "-o"]).arg(&launcher).arg(root.join("without.c"));
    assert!(compiler.status().unwrap().success());
    let kernel = folder.path().join("product.tw");
    std::fs::write(&kernel, KERNEL).unwrap();
    let mut judge = Command::new(&launcher);
    judge.arg(number.to_string()).arg(env!("CARGO_BIN_EXE_tilewright")).arg("judge").arg(&kernel);
    judge.args(["--size", "m=33,k=65,n=31", "--candidate"]).arg(library);
    let output = judge.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn a_system_without_locks_refuses_libraries() {
    let (code, text) = without(libc::SYS_landlock_create_ruleset);
    assert!(code == Some(8) && text.contains("TW0704"), "{code:?} {text}");
    let (code, text) = without(libc::SYS_seccomp);
    assert!(code == Some(8) && text.contains("TW0704"), "{code:?} {text}");
    // A system call that nothing of this needs.
    let (code, text) = without(libc::SYS_acct);
    assert!(code == Some(0) && text.contains("passed tier 2"), "{code:?} {text}");
}

#[test]
fn the_clock_is_not_cheated() {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/red_team");
    let library = |name: &str| compile(&root.join(name).with_extension("c"), folder.path());
    let (honest, slow) = (library("candidates/honest"), library("clocks/slow"));
    assert_eq!(contest(&honest, &slow, 0.0).unwrap().verdict, Verdict::Faster);
    let slower = contest(&slow, &honest, 0.0).unwrap();
    assert_eq!(slower.verdict, Verdict::Slower);
    // The faster of both says how long a sample is, whatever the other showed while it was judged.
    assert!(slower.slots > 1, "{}", slower.slots);
    let cheats = [
        "answers_early",
        "works_in_the_last_call",
        "keeps_all_answers",
        "works_on_numbers_that_are_none",
        "keeps_products_by_rows",
        "serves_the_doorbell_itself",
    ];
    for name in cheats {
        let cheat = library(&format!("clocks/{name}"));
        let told = contest(&cheat, &honest, 0.0).map(|outcome| (outcome.verdict, outcome.ratio));
        // A cheat that works gains much more; compilers make a few percent of the same text.
        let gains = matches!(told, Ok((Verdict::Faster, (median, ..))) if median < 0.9);
        assert!(!gains, "{name}: {told:?}");
    }
}

#[test]
fn a_time_that_no_machine_has_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/red_team");
    let honest = compile(&root.join("candidates/honest.c"), folder.path());
    let rejection = contest(&honest, &honest, 1e9).unwrap_err();
    assert_eq!(rejection.reason, "impossible");
    assert!(contest(&honest, &honest, 10.0).is_ok());
}

#[test]
fn threads_are_for_vendors() {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/red_team/vendor.c");
    let library = compile(&source, folder.path());
    let strict = judged_as(&library, Profile::Strict, 1).outcome.unwrap_err();
    assert_eq!(strict.reason, "crash");
    assert!(strict.evidence.contains("SIGSYS"), "{}", strict.evidence);
    let vendor = judged_as(&library, Profile::Vendor, 1);
    assert_eq!((vendor.tier, vendor.outcome.err()), (Some(Tier::Second), None));
}
