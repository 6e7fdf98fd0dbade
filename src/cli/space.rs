//! `space FILE`: the choices of a kernel's schedule with their meaning and legal values.
//!
//! Invariant: a space is counted and sampled, never enumerated.

use super::failure::Failure;
use super::given::FormArgs;
use super::output::{Output, note};
use super::select::KernelArgs;
use crate::report::{Table, count};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tilewright::ir::schedule::{Choice, ChoiceValue, Domain, FORM, FormSpace, Forms};

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
    #[command(flatten)]
    form: FormArgs,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let selected = args.kernel.select()?;
    let forms = selected.bound.forms();
    if let Some(samples) = args.sample {
        let only = args.form.named(&selected.bound)?;
        return sample(forms, only, samples, args.seed, output);
    }
    let form = args.form.form(&selected.bound)?;
    let choices = choices(forms, form);
    if output.is_json() {
        let choices: Vec<_> = choices.iter().map(choice_json).collect();
        let (kernel, combinations) = (selected.name(), form.space.combinations());
        let name = form.name();
        output.json(&json!({
            "kernel": kernel, "form": name, "combinations": combinations, "choices": choices
        }))?;
        return Ok(());
    }
    output.text(&table(&choices))?;
    let of_form = match forms.list().len() {
        1 => String::new(),
        _ => format!(" of form {}", form.name()),
    };
    let combinations = count(form.space.combinations());
    note(&format!("{combinations} combinations{of_form} before constraints"));
    Ok(())
}

/// The choices of a form; where there are more, with the choice among them.
fn choices(forms: &Forms, form: &FormSpace) -> Vec<Choice> {
    let word = |form: &FormSpace| ChoiceValue::Word(form.name().to_string());
    let of_form = Choice {
        name: FORM.to_string(),
        meaning: "Which of the equal forms is computed; each has choices of its own.".to_string(),
        domain: Domain::OneOf(forms.list().iter().map(word).collect()),
        default: word(form),
    };
    let others = form.space.choices.iter().filter(|choice| choice.name != FORM).cloned();
    let first = Some(of_form).filter(|_| forms.list().len() > 1);
    first.into_iter().chain(others).collect()
}

fn sample(
    forms: &Forms,
    only: Option<&FormSpace>,
    samples: usize,
    seed: u64,
    output: &mut Output,
) -> Result<(), Failure> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for _ in 0..samples {
        let schedule = match only {
            Some(form) => form.space.sample(&mut rng),
            None => forms.sample(&mut rng),
        };
        if output.is_json() {
            let hash = schedule.hash().to_string();
            output.json(&json!({"hash": hash, "schedule": schedule.print()}))?;
        } else {
            output.text(&schedule.print())?;
        }
    }
    Ok(())
}

fn table(choices: &[Choice]) -> String {
    let mut table = Table::new(&["choice", "default", "legal values", "meaning"]);
    for choice in choices {
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
