//! Stores and their NDJSON joined into one, and a store checked as a whole.
//!
//! Invariants: joining is the union of rows, by their hashes, and of chains, by their links; a row or an event whose hash is
//! not that of its text is refused, and then nothing is joined. Of a chain that two stores have continued differently this
//! one's stays.

use super::chain::{insert, row_of};
use super::notes::note_fault;
use super::{NewRecord, Store, Tail, Task, damaged, explain, notes, rows};
use crate::protocol::{CampaignEvent, LoggedEvent, NoteRow, RecordRow};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use std::collections::BTreeSet;
use std::io::BufRead;
use std::path::Path;
use tilewright_ir::diag::Diagnostic;

/// What a join has added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joined {
    /// Evaluations that were not known.
    pub records: u64,
    /// Events that were not known.
    pub events: u64,
    /// Notes that were not known.
    pub notes: u64,
    /// Campaigns whose chain goes on differently here.
    pub forks: BTreeSet<String>,
}

/// What a check of a whole store has found in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Rows whose hash is that of their fields.
    pub records: u64,
    /// Campaigns.
    pub campaigns: u64,
    /// Events, each with its link.
    pub events: u64,
    /// Notes whose hash is that of their fields.
    pub notes: u64,
}

/// What became of a foreign event.
enum Place {
    Known,
    Added,
    Fork,
    /// The events before it are missing.
    Gap,
}

impl Store {
    /// Adds all that another store has.
    ///
    /// # Errors
    /// As `record`; `TW0802` if the other store has a row or an event that is not what its hash says.
    pub fn merge(&mut self, other: &Self) -> Result<Joined, Diagnostic> {
        let rows = other.list(None)?;
        let mut events = vec![];
        for campaign in other.campaigns()? {
            other.events_after(&campaign.id, &Tail::start(&campaign.id), &mut |event| {
                events.push(event);
                Ok(())
            })?;
        }
        self.join(&other.path.clone(), &rows, &events, &other.notes(None)?)
    }

    /// Adds what `export` and `campaign log` have written: rows and events, one a line.
    ///
    /// # Errors
    /// As `merge`, and if the text cannot be read.
    pub fn import(&mut self, name: &Path, text: &mut dyn BufRead) -> Result<Joined, Diagnostic> {
        let (mut rows, mut events, mut notes) = (vec![], vec![], vec![]);
        for (number, line) in (1..).zip(text.lines()) {
            let refuse = |why: &str| damaged(name, &format!("line {number} {why}"));
            let line = line.map_err(|error| refuse(&error.to_string()))?;
            if let Some(event) = LoggedEvent::from_line(&line) {
                events.push(event);
            } else if let Ok(row) = serde_json::from_str(&line) {
                rows.push(row);
            } else if let Ok(note) = serde_json::from_str(&line) {
                notes.push(note);
            } else if !line.trim().is_empty() {
                return Err(refuse("is neither a record, nor a whole event, nor a note"));
            }
        }
        self.join(name, &rows, &events, &notes)
    }

    fn join(
        &mut self,
        from: &Path,
        rows: &[RecordRow],
        events: &[LoggedEvent],
        notes: &[NoteRow],
    ) -> Result<Joined, Diagnostic> {
        let path = self.path.clone();
        let fail = |error: rusqlite::Error| explain(&path, &error);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(fail)?;
        let mut joined = Joined::default();
        for row in rows {
            let (task, record) = parts(row);
            let task_id = rows::task_id(&transaction, &task).map_err(fail)?;
            let before = transaction.total_changes();
            let hash = rows::insert(&transaction, task_id, &task, &record).map_err(fail)?;
            if hash != row.record || task.key() != row.task_key {
                return Err(damaged(from, &format!("record {} is not what it was", row.record)));
            }
            joined.records += transaction.total_changes() - before;
        }
        for event in events.iter().filter(|event| event.is_whole()) {
            if joined.forks.contains(&event.campaign) {
                continue;
            }
            match adopt(&transaction, event).map_err(fail)? {
                Place::Known => {}
                Place::Added => joined.events += 1,
                Place::Fork => {
                    joined.forks.insert(event.campaign.clone());
                }
                Place::Gap => {
                    let why = format!("the events before {} are missing", event.hash);
                    return Err(damaged(from, &why));
                }
            }
        }
        for event in events {
            if let Some(record) = missing_record(&transaction, event).map_err(fail)? {
                let why =
                    format!("record {record}, of which event {} tells, is missing", event.hash);
                return Err(damaged(from, &why).help("import the records before the log"));
            }
        }
        for row in notes {
            if let Some(why) = note_fault(&row.text) {
                return Err(damaged(from, &format!("note {}: {why}", row.note)));
            }
            let task = Task::from(row.task.clone());
            if notes::row_of(&task, &row.text, row.created) != *row {
                return Err(damaged(from, &format!("note {} is not what it was", row.note)));
            }
            joined.notes += u64::from(notes::insert(&transaction, &task, row).map_err(fail)?);
        }
        transaction.commit().map_err(fail)?;
        Ok(joined)
    }

    /// Checks every row and every chain, and that what a chain tells of is there.
    ///
    /// # Errors
    /// `TW0802` with the first row or event that is not what it was; `TW0805` if the store cannot be read.
    pub fn verify(&self) -> Result<Verified, Diagnostic> {
        let mut found = Verified::default();
        let mut wrong = None;
        let read = rows::each(&self.connection, None, &mut |row| {
            let (task, record) = parts(&row);
            if record.hash(&task) != row.record {
                wrong.get_or_insert(row.record);
            }
            found.records += 1;
            Ok(())
        });
        read.map_err(|error| explain(&self.path, &error))?;
        if let Some(record) = wrong {
            return Err(damaged(&self.path, &format!("record {record} is not what it was")));
        }
        for row in self.notes(None)? {
            if notes::row_of(&Task::from(row.task.clone()), &row.text, row.created) != row {
                return Err(damaged(&self.path, &format!("note {} is not what it was", row.note)));
            }
            found.notes += 1;
        }
        for campaign in self.campaigns()? {
            found.campaigns += 1;
            self.events_after(&campaign.id, &Tail::start(&campaign.id), &mut |logged| {
                found.events += 1;
                let Some(CampaignEvent::Finished(finished)) = logged.event() else { return Ok(()) };
                if self.find(&finished.record)?.is_none() {
                    let why =
                        format!("record {} of event {} is missing", finished.record, logged.hash);
                    return Err(damaged(&self.path, &why));
                }
                Ok(())
            })?;
        }
        Ok(found)
    }
}

/// A row as it was recorded.
fn parts(row: &RecordRow) -> (Task, NewRecord) {
    let record = NewRecord {
        role: row.role,
        schedule: row.schedule.clone(),
        schedule_hash: row.schedule_hash.clone(),
        tile_hash: row.tile_hash.clone(),
        reason: row.reason.clone(),
        evidence: row.evidence.clone(),
        time_ns: row.time_ns,
        samples_ns: row.samples_ns.clone(),
        worst_ratio: row.worst_ratio,
        seed: row.seed,
        digest: row.digest.clone(),
        tier: row.tier,
        created: row.created,
    };
    (Task::from(row.task.clone()), record)
}

/// Adds an event where its chain ends.
fn adopt(connection: &Connection, event: &LoggedEvent) -> rusqlite::Result<Place> {
    if let (0, Some(CampaignEvent::Began(began))) = (event.sequence, event.event()) {
        connection.execute(
            "INSERT OR IGNORE INTO campaigns(key, name) VALUES(?1, ?2)",
            params![event.campaign, began.spec.name],
        )?;
    }
    let Some(id) = row_of(connection, &event.campaign)? else { return Ok(Place::Gap) };
    let hash_at = |sequence: u64| -> rusqlite::Result<Option<String>> {
        connection
            .prepare_cached("SELECT hash FROM events WHERE campaign = ?1 AND sequence = ?2")?
            .query_row(params![id, sequence.cast_signed()], |row| row.get(0))
            .optional()
    };
    if let Some(hash) = hash_at(event.sequence)? {
        return Ok(if hash == event.hash { Place::Known } else { Place::Fork });
    }
    let previous = match event.sequence.checked_sub(1) {
        Some(before) => hash_at(before)?,
        None => Some(event.campaign.clone()),
    };
    match previous {
        None => Ok(Place::Gap),
        Some(previous) if previous != event.previous => Ok(Place::Fork),
        Some(_) => insert(connection, id, event).map(|()| Place::Added),
    }
}

/// The record that an event tells of, where the store does not have it.
fn missing_record(
    connection: &Connection,
    event: &LoggedEvent,
) -> rusqlite::Result<Option<String>> {
    let Some(CampaignEvent::Finished(finished)) = event.event() else { return Ok(None) };
    let known = connection
        .prepare_cached("SELECT 1 FROM results WHERE record = ?1")?
        .exists([&finished.record])?;
    Ok((!known).then_some(finished.record))
}
