//! `judge FILE --candidate LIBRARY`: whether a foreign library computes a kernel.
//!
//! Invariant: the seed of the data is drawn after the library has been sealed, unless `--seed` repeats an earlier run.

pub(super) mod library;
pub(super) mod rival;

use super::failure::Failure;
use super::memory;
use super::output::Output;
use super::select::{KernelArgs, Selected};
use rand::Rng as _;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use tilewright::autotune::judge::{Judge, Judgement, Tier, judge_library};
use tilewright::autotune::launch::{Library, Profile, SessionOptions};

/// The arguments of `judge`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    kernel: KernelArgs,
    /// A shared library with a function of the exported interface
    #[arg(long, value_name = "FILE")]
    candidate: PathBuf,
    /// The function's name; without it `tw_` and the kernel's name
    #[arg(long, value_name = "NAME")]
    symbol: Option<String>,
    /// What the library may do: `strict`, or `vendor` for one with threads of its own
    #[arg(long, value_name = "NAME", default_value = "strict", value_parser = profile)]
    profile: Profile,
    /// How far to judge: 1, two families of inputs; 2, everything
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=2))]
    tier: u8,
    /// Time it, once it has passed, against the stored winner or the default schedule, on one thread
    #[arg(long)]
    time: bool,
    /// Seconds to spend on timing
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = seconds)]
    seconds: f64,
    /// Seconds that a call may take, and the loading
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = seconds)]
    deadline: f64,
    /// The seed of the data, to repeat an earlier judgement
    #[arg(long)]
    seed: Option<u64>,
}

pub(super) fn profile(text: &str) -> Result<Profile, String> {
    let known = Profile::ALL.into_iter().find(|profile| profile.name() == text);
    known.ok_or_else(|| format!("expected {}", Profile::ALL.map(Profile::name).join(" or ")))
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (1e-3..=1e6).contains(&seconds) => Ok(seconds),
        _ => Err("expected a number of seconds, at least 0.001".to_string()),
    }
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let selected = args.kernel.select()?;
    let graph = selected.bound.graph();
    memory::check(graph, 4, true)?;
    let bytes =
        library::read(&args.candidate).map_err(|error| Failure::file(&args.candidate, &error))?;
    let symbol = args.symbol.clone().unwrap_or_else(|| format!("tw_{}", selected.kernel.name()));
    let library = Library::new(&bytes, &symbol, args.profile)
        .map_err(|failure| Failure::File(failure.to_string()))?;
    // 53 bits, so that it survives readers of JSON that know only f64.
    let seed = args.seed.unwrap_or_else(|| rand::rng().random::<u64>() >> 11);
    let mut judge = Judge::new(graph, seed);
    let limit = Duration::from_secs_f64(args.deadline);
    let options =
        SessionOptions { deadline: limit, start_limit: limit, ..SessionOptions::default() };
    let wanted = if args.tier == 1 { Tier::First } else { Tier::Second };
    let mut judgement = judge_library(&mut judge, &library, wanted, &options);
    let mut timed = None;
    if args.time
        && let Ok(standing) = &judgement.outcome
    {
        let rival = rival::of(&selected)?;
        match rival.contest(&mut judge, (&library, standing), args.seconds, &options) {
            Ok(outcome) => timed = Some((rival, outcome)),
            Err(rejection) => judgement.outcome = Err(rejection),
        }
    }
    if let Err(rejection) = &judgement.outcome
        && let Some(fault) = &rejection.fault
    {
        return Err(Failure::Runner((**fault).clone()));
    }
    if output.is_json() {
        let mut value = to_json(args, &selected, &library, seed, &judgement);
        value["time"] = timed.map_or(Value::Null, |(rival, outcome)| rival.to_json(&outcome));
        output.json(&value)?;
    } else {
        output.text(&to_text(&library, seed, &judgement))?;
        if let Some((rival, outcome)) = timed {
            output.text(&rival.to_text(&outcome))?;
        }
    }
    match judgement.outcome {
        Ok(_) => Ok(()),
        Err(_) => Err(Failure::Told(1)),
    }
}

fn to_text(library: &Library, seed: u64, judgement: &Judgement) -> String {
    let tier =
        judgement.tier.map_or("no tier".to_string(), |tier| format!("tier {}", tier.number()));
    let verdict = match &judgement.outcome {
        Ok(standing) => format!(
            "passed {tier}: at most {:.1} % of the allowed error",
            100.0 * standing.worst_ratio
        ),
        Err(rejection) => format!("rejected, {tier} passed: {rejection}"),
    };
    format!("{} ({}): {verdict}\nseed {seed}\n", library.symbol(), &library.hash().to_hex()[..16])
}

fn to_json(
    args: &Args,
    selected: &Selected,
    library: &Library,
    seed: u64,
    judgement: &Judgement,
) -> Value {
    let (standing, rejection) = match &judgement.outcome {
        Ok(standing) => (Some(standing), None),
        Err(rejection) => (None, Some(rejection)),
    };
    json!({
        "kernel": selected.name(),
        "sizes": selected.sizes,
        "candidate": {
            "file": args.candidate.display().to_string(),
            "hash": library.hash().to_hex().as_str(),
            "bytes": library.bytes(),
            "symbol": library.symbol(),
            "profile": library.profile().name(),
        },
        "verdict": rejection.map_or("passed", |rejection| rejection.reason),
        "evidence": rejection.map(|rejection| &rejection.evidence),
        "tier": judgement.tier.map(Tier::number),
        "worst_ratio": standing.map(|standing| standing.worst_ratio),
        "workspace_bytes": standing.map(|standing| standing.workspace_bytes),
        "seed": seed,
    })
}
