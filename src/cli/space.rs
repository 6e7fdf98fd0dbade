//! `space FILE`: the choices of a kernel's schedule with their meaning and legal values.
//!
//! Invariant: a space is counted and sampled, never enumerated.

use super::failure::Failure;
use super::output::{Output, note};
use super::select::KernelArgs;
use crate::report::{Table, count};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tilewright::ir::schedule::{Choice, ChoiceValue, Domain, Space};

/// The arguments of `space`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    kernel: KernelArgs,
    /// Print this many random legal schedules instead
    #[arg(long, value_name = "COUNT")]
    sample: Option<usize>,
    /// The seed of the samples
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let selected = args.kernel.select()?;
    let space = selected.bound.space();
    match args.sample {
        Some(samples) => sample(space, samples, args.seed, output),
        None if output.is_json() => {
            let choices: Vec<_> = space.choices.iter().map(choice_json).collect();
            let combinations = space.combinations();
            let kernel = selected.name();
            output.json(
                &json!({"kernel": kernel, "combinations": combinations, "choices": choices}),
            )?;
            Ok(())
        }
        None => {
            output.text(&table(space))?;
            note(&format!("{} combinations before constraints", count(space.combinations())));
            Ok(())
        }
    }
}

fn sample(space: &Space, samples: usize, seed: u64, output: &mut Output) -> Result<(), Failure> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for _ in 0..samples {
        let schedule = space.sample(&mut rng);
        if output.is_json() {
            let hash = schedule.hash().to_string();
            output.json(&json!({"hash": hash, "schedule": schedule.print()}))?;
        } else {
            output.text(&schedule.print())?;
        }
    }
    Ok(())
}

fn table(space: &Space) -> String {
    let mut table = Table::new(&["choice", "default", "legal values", "meaning"]);
    for choice in &space.choices {
        let legal = match &choice.domain {
            Domain::OneOf(values) => {
                values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
            }
            Domain::OrderOf(axes) => format!("any order of {}", axes.join(", ")),
        };
        table.row([choice.name.clone(), choice.default.to_string(), legal, choice.meaning.clone()]);
    }
    table.render()
}

fn choice_json(choice: &Choice) -> Value {
    let domain = match &choice.domain {
        Domain::OneOf(values) => {
            json!({"one_of": values.iter().map(value_json).collect::<Vec<_>>()})
        }
        Domain::OrderOf(axes) => json!({ "order_of": axes }),
    };
    json!({
        "name": choice.name,
        "meaning": choice.meaning,
        "default": value_json(&choice.default),
        "domain": domain,
    })
}

fn value_json(value: &ChoiceValue) -> Value {
    match value {
        ChoiceValue::Count(count) => json!(count),
        ChoiceValue::Word(word) => json!(word),
        ChoiceValue::Words(words) => json!(words),
    }
}
