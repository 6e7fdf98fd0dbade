//! `explain FILE`: the texts of all stages, and with `--verify-stages` whether they agree.
//!
//! Invariant: what is shown is what `run` uses: the stored winner's schedule, the default or a given one.

use super::buckets;
use super::failure::Failure;
use super::forms;
use super::given::ScheduleArgs;
use super::output::{Output, note};
use super::select::KernelArgs;
use super::stages::{Stage, check, seconds};
use crate::report::{Table, percent};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tilewright::BoundKernel;
use tilewright::draw::{self, Format};
use tilewright::ir::schedule::Schedule;

/// The arguments of `explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    kernel: KernelArgs,
    /// Only this stage; may be given several times
    #[arg(long)]
    stage: Vec<Stage>,
    /// Show which form is expected to be fastest at which extents of this axis
    #[arg(long, value_name = "AXIS", conflicts_with_all = ["stage", "verify_stages"])]
    buckets: Option<String>,
    /// Show every step of the proofs of forms, those that only move signs and reciprocals too
    #[arg(long)]
    all_steps: bool,
    /// Run every stage on random inputs and name the first that disagrees with the reference
    #[arg(long)]
    verify_stages: bool,
    /// The seed of the random inputs
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Draw the e-graph with the form, and the form's passes; with `--stage plan` the passes alone. The file ends with
    /// .svg or .dot. The forms are the only stage shown unless `--stage` asks for others
    #[arg(long, value_name = "FILE", conflicts_with = "verify_stages")]
    draw: Option<PathBuf>,
    #[command(flatten)]
    schedule: ScheduleArgs,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let format = args.draw.as_deref().map(format_of).transpose()?;
    let selected = args.kernel.select()?;
    if let Some(axis) = &args.buckets {
        let list = buckets::buckets(&selected, axis)?;
        if output.is_json() {
            let shown = buckets::value(&list);
            output.json(&json!({"kernel": selected.name(), "axis": axis, "buckets": shown}))?;
        } else {
            output.text(&buckets::text(axis, &list))?;
        }
        return Ok(());
    }
    let (schedule, _) = args.schedule.choose(&selected.bound)?;
    if args.verify_stages {
        return verify(&selected.bound, &schedule, args.seed, output);
    }
    if let (Some(path), Some(format)) = (&args.draw, format) {
        draw(args, &selected.bound, &schedule, path, format)?;
    }
    let stages = stages(args, &selected.bound, output.is_json());
    let mut texts = vec![];
    for &stage in &stages {
        let text = match stage {
            Stage::Forms => forms::text(&forms::proved(&selected.bound), args.all_steps),
            _ => stage.text(&selected.bound, &schedule)?,
        };
        texts.push((stage, text));
    }
    if output.is_json() {
        let shown: Vec<_> = texts
            .iter()
            .map(|(stage, text)| json!({"stage": stage.name(), "text": text}))
            .collect();
        let form = schedule.form_name();
        let mut all = json!({"kernel": selected.name(), "form": form, "stages": shown});
        if let Some(path) = &args.draw {
            all["drawn"] = path.display().to_string().into();
        }
        if stages.contains(&Stage::Forms) {
            let proved = forms::proved(&selected.bound);
            all["variants"] = forms::variants(&proved);
            all["egraph"] = forms::egraph(&proved);
        }
        output.json(&all)?;
        return Ok(());
    }
    for (stage, text) in &texts {
        if texts.len() > 1 {
            output.text(&format!("# {}", stage.name()))?;
        }
        output.text(text)?;
    }
    Ok(())
}

/// The format that a file's ending asks for.
fn format_of(path: &Path) -> Result<Format, Failure> {
    Format::of(path).ok_or_else(|| {
        let found = path.display();
        Failure::Usage(format!(
            "a picture is written to a file that ends with .svg or .dot, found `{found}`"
        ))
    })
}

fn draw(
    args: &Args,
    bound: &BoundKernel,
    schedule: &Schedule,
    path: &Path,
    format: Format,
) -> Result<(), Failure> {
    let form = bound.forms().of(schedule)?;
    let picture = match args.stage[..] {
        [Stage::Plan] => draw::passes(form, format),
        _ => draw::form(bound.graph(), bound.backend().target(), form, format),
    };
    std::fs::write(path, picture).map_err(|error| Failure::file(path, &error))?;
    note(&format!("form {} is drawn in {}", form.name(), path.display()));
    Ok(())
}

/// The stages to show: those asked for, else all. People are not told of forms where there is but one.
fn stages(args: &Args, bound: &BoundKernel, is_json: bool) -> Vec<Stage> {
    if !args.stage.is_empty() {
        return args.stage.clone();
    }
    if args.draw.is_some() {
        return vec![Stage::Forms];
    }
    let is_news = is_json || bound.forms().list().len() > 1;
    let all = Stage::value_variants().iter().copied();
    all.filter(|&stage| stage != Stage::Forms || is_news).collect()
}

/// Longer than this is said beforehand.
const LONG_SECONDS: f64 = 3.0;

/// A sign of life on a terminal.
fn spinner(is_json: bool) -> ProgressBar {
    let target = if is_json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let spinner = ProgressBar::with_draw_target(None, target);
    let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
    spinner.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    spinner.enable_steady_tick(Duration::from_millis(200));
    spinner
}

fn verify(
    bound: &BoundKernel,
    schedule: &Schedule,
    seed: u64,
    output: &mut Output,
) -> Result<(), Failure> {
    let seconds = seconds(bound);
    if seconds >= LONG_SECONDS {
        note(&format!(
            "every stage is computed element by element: this takes about {seconds:.0} s"
        ));
    }
    let spinner = spinner(output.is_json());
    let checks = check(bound, schedule, seed, &|what| spinner.set_message(what));
    spinner.finish_and_clear();
    let checks = checks?;
    let broken = checks.iter().find(|check| check.fault.is_some());
    if output.is_json() {
        let stages: Vec<_> = checks
            .iter()
            .map(|check| {
                let ratio = check.worst_ratio;
                json!({"stage": check.stage, "worst_ratio": ratio, "fault": check.fault})
            })
            .collect();
        let broken = broken.map(|check| check.stage);
        output.json(&json!({"seed": seed, "stages": stages, "broken": broken}))?;
    } else {
        let mut table = Table::new(&["stage", "agrees with the reference"]);
        for check in &checks {
            let share = percent(check.worst_ratio);
            let says = check.fault.clone().unwrap_or(format!("yes: {share} of what is allowed"));
            table.row([check.stage.to_string(), says]);
        }
        output.text(&table.render())?;
    }
    match broken {
        Some(check) => Err(Failure::Wrong(format!("stage `{}` broke the kernel", check.stage))),
        None => Ok(()),
    }
}
