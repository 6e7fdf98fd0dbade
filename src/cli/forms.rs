//! `forms FILE`, and the forms as `explain` and `tune` show them: what each is expected to cost, and its text.
//!
//! Invariant: the form as written is shown first, the others in the order of what is expected of them.

use super::failure::Failure;
use super::output::Output;
use super::select::KernelArgs;
use crate::report::{passes, time};
use serde_json::{Value, json};
use tilewright::BoundKernel;
use tilewright::ir::rewrite::Step;
use tilewright::ir::schedule::{FormSpace, Forms};

/// The arguments of `forms`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    kernel: KernelArgs,
    /// Show every step of the proofs, those that only move signs and reciprocals too
    #[arg(long)]
    all_steps: bool,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let selected = args.kernel.select()?;
    let forms = proved(&selected.bound);
    if !output.is_json() {
        return Ok(output.text(&text(&forms, args.all_steps))?);
    }
    let (preferred, sizes) = (forms.preferred().name(), &selected.sizes);
    Ok(output.json(&json!({
        "kernel": selected.name(), "sizes": sizes, "preferred": preferred,
        "variants": variants(&forms), "egraph": egraph(&forms),
    }))?)
}

/// The forms with their proofs.
pub(super) fn proved(bound: &BoundKernel) -> Forms {
    bound.proved_forms()
}

/// Every form with its program and proof; steps of bookkeeping are shown, or only counted.
pub(super) fn text(forms: &Forms, all_steps: bool) -> String {
    let mut text: String = forms.list().iter().map(|form| form_text(form, all_steps)).collect();
    if let Some(growth) = forms.growth() {
        text.push_str(&format!(
            "# e-graph: {} nodes in {} classes after {} rounds; {}\n",
            growth.nodes,
            growth.classes,
            growth.iterations,
            stop(growth.stop_reason)
        ));
    }
    text
}

fn form_text(form: &FormSpace, all_steps: bool) -> String {
    let mut text = format!(
        "# form {}: {}; predicted {}\n{}",
        form.name(),
        passes(&form.passes),
        time(form.predicted_ns),
        form.graph.print()
    );
    let is_folded = |step: &&Step| step.is_bookkeeping && !all_steps;
    let folded = form.steps.iter().filter(is_folded).count();
    for step in form.steps.iter().filter(|step| !is_folded(step)) {
        let Step { rule, class, meaning, before, after, .. } = step;
        text.push_str(&format!("# by {rule} ({class}): {meaning}\n#   {before}\n#   = {after}\n"));
    }
    if folded > 0 {
        text.push_str(&format!(
            "# and {folded} steps that move signs and reciprocals (--all-steps)\n"
        ));
    }
    text.push('\n');
    text
}

/// Why the growth of the e-graph ended, in words.
fn stop(reason: &str) -> &'static str {
    match reason {
        "saturated" => "the rules find nothing new",
        "nodes" => "stopped at the limit of nodes",
        "iterations" => "stopped at the limit of rounds",
        "time" => "stopped at the limit of time",
        _ => "the kernel is too large to be rewritten",
    }
}

/// `variants`: the forms.
pub(super) fn variants(forms: &Forms) -> Value {
    forms.list().iter().map(variant).collect()
}

fn variant(form: &FormSpace) -> Value {
    let step = |step: &Step| {
        let Step { rule, class, meaning, before, after, is_bookkeeping } = step;
        json!({
            "rule": rule, "class": class.name(), "meaning": meaning, "before": before, "after": after,
            "is_bookkeeping": is_bookkeeping,
        })
    };
    json!({
        "id": form.name(),
        "predicted_ns": form.predicted_ns,
        "passes": form.passes,
        "program": form.graph.print(),
        "steps": form.steps.iter().map(step).collect::<Vec<_>>(),
    })
}

/// `egraph`: how it grew; `null` where there was nothing to rewrite.
pub(super) fn egraph(forms: &Forms) -> Value {
    let growth = forms.growth().map(|growth| {
        json!({
            "nodes": growth.nodes,
            "classes": growth.classes,
            "iterations": growth.iterations,
            "time_ms": growth.time_us as f64 / 1e3,
            "stop_reason": growth.stop_reason,
        })
    });
    growth.unwrap_or(Value::Null)
}
