//! `schema [NAME]`: the JSON Schemas of what the program prints and reads as JSON.
//!
//! Invariant: a schema is derived from the type that is written, so it cannot say anything else.

use super::failure::Failure;
use super::output::Output;
use schemars::{Schema, schema_for};
use serde_json::{Map, Value, json};
use tilewright::autotune::protocol::{
    Answer, BenchRecord, CampaignEvent, CampaignSpec, DeviceReport, Event, LoggedEvent, NoteRow,
    ProposalLine, RecordRow, TuneResult,
};

/// The arguments of `schema`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// One of the names that `schema` lists; all of them without it
    name: Option<String>,
}

/// Name, what it is of, and the schema.
type Row = (&'static str, &'static str, fn() -> Schema);

const SCHEMAS: &[Row] = &[
    ("event", "a line of `tune --json`", || schema_for!(Event)),
    ("result", "the last line of `tune --json`", || schema_for!(TuneResult)),
    ("proposal", "a line of `evaluate --proposals`", || schema_for!(ProposalLine)),
    ("answer", "a line of `evaluate --json`", || schema_for!(Answer)),
    ("record", "a line of `export`, and of a file for `records import`", || schema_for!(RecordRow)),
    ("note", "a note in `export`, and of a file for `records import`", || schema_for!(NoteRow)),
    ("campaign", "what a campaign is; its hash is the campaign's identity", || {
        schema_for!(CampaignSpec)
    }),
    ("campaign-event", "what happens in a campaign", || schema_for!(CampaignEvent)),
    ("log", "a line of `campaign log --json`", || schema_for!(LoggedEvent)),
    ("device", "`describe-device --json`", || schema_for!(DeviceReport)),
    ("bench", "a record of `bench --record`", || schema_for!(BenchRecord)),
];

pub(super) fn run(args: &Args, output: &mut Output) -> Result<(), Failure> {
    let Some(name) = &args.name else {
        return all(output);
    };
    let Some(row) = SCHEMAS.iter().find(|row| row.0 == name) else {
        let names: Vec<_> = SCHEMAS.iter().map(|row| row.0).collect();
        let message = format!("there is no schema `{name}`; there are {}", names.join(", "));
        return Err(Failure::Usage(message));
    };
    Ok(output.json(&titled(row.1, row.2()))?)
}

fn all(output: &mut Output) -> Result<(), Failure> {
    if !output.is_json() {
        let rows = SCHEMAS.iter().map(|(name, of, _)| format!("{name:<16}{of}\n"));
        return Ok(output.text(&rows.collect::<String>())?);
    }
    let schemas = SCHEMAS.iter().map(|(name, of, schema)| (name.to_string(), titled(of, schema())));
    Ok(output.json(&json!({ "schemas": schemas.collect::<Map<String, Value>>() }))?)
}

/// The schema with what it is of as its title.
fn titled(of: &str, schema: Schema) -> Value {
    let mut value = schema.to_value();
    if let Some(object) = value.as_object_mut() {
        object.insert("title".to_string(), Value::from(of));
    }
    value
}
