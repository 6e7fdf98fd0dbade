//! The chains of campaigns in the tables.
//!
//! Invariants: an event is added only behind the event that its writer has seen last, so that of several writers none
//! doubles or skips one; an evaluation and the event that tells of it are one commit.

use super::{NewRecord, Store, Task, damaged, explain, rows};
use crate::protocol::{CampaignEvent, LoggedEvent};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use tilewright_ir::diag::Diagnostic;

/// A campaign of the store in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignRow {
    /// Its identity: 32 hexadecimal digits.
    pub id: String,
    /// The name that people use.
    pub name: String,
    /// How many events it has.
    pub events: u64,
    /// When the first and the last were committed.
    pub created: (u64, u64),
}

/// The end of a chain as somebody has seen it: how many events there are, and the hash of the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    /// How many events there are.
    pub events: u64,
    /// The hash of the last one; the identity of the campaign while there is none.
    pub hash: String,
}

impl Tail {
    /// Where the chain of a campaign starts.
    pub fn start(campaign: &str) -> Self {
        Self { events: 0, hash: campaign.to_string() }
    }
}

/// An event to be added, and the evaluation that it tells of.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// The event. A record in it is filled in from `evaluation`.
    pub event: CampaignEvent,
    /// The evaluation, for `finished`.
    pub evaluation: Option<(Task, NewRecord)>,
}

impl From<CampaignEvent> for NewEvent {
    fn from(event: CampaignEvent) -> Self {
        Self { event, evaluation: None }
    }
}

impl Store {
    /// Adds events behind `tail`, all or none, and returns them. `None`: the chain goes on behind `tail` already; read that
    /// first. The first event of a chain must be `began`, which also makes the campaign known.
    ///
    /// # Errors
    /// As `record`.
    pub fn append(
        &mut self,
        campaign: &str,
        tail: &Tail,
        created: u64,
        events: Vec<NewEvent>,
    ) -> Result<Option<Vec<LoggedEvent>>, Diagnostic> {
        self.check_present()?;
        let path = self.path.clone();
        self.add_events(campaign, tail, created, events).map_err(|error| explain(&path, &error))
    }

    fn add_events(
        &mut self,
        campaign: &str,
        tail: &Tail,
        created: u64,
        events: Vec<NewEvent>,
    ) -> rusqlite::Result<Option<Vec<LoggedEvent>>> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if let (0, Some(CampaignEvent::Began(began))) =
            (tail.events, events.first().map(|first| &first.event))
        {
            transaction.execute(
                "INSERT OR IGNORE INTO campaigns(key, name) VALUES(?1, ?2)",
                params![campaign, began.spec.name],
            )?;
        }
        let id = row_of(&transaction, campaign)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        if tail_of(&transaction, id, campaign)? != *tail {
            return Ok(None);
        }
        let mut last = tail.clone();
        let mut added = Vec::with_capacity(events.len());
        for NewEvent { mut event, evaluation } in events {
            if let Some((task, record)) = evaluation {
                let task_id = rows::task_id(&transaction, &task)?;
                let hash = rows::insert(&transaction, task_id, &task, &record)?;
                if let CampaignEvent::Finished(finished) = &mut event {
                    finished.record = hash;
                }
            }
            let data = serde_json::to_string(&event).expect("events are maps with text keys");
            let event = LoggedEvent::after(campaign, last.events, &last.hash, created, data);
            insert(&transaction, id, &event)?;
            last = Tail { events: last.events + 1, hash: event.hash.clone() };
            added.push(event);
        }
        transaction.commit()?;
        Ok(Some(added))
    }

    /// Visits the events behind `tail` in order, and returns where the chain ends.
    ///
    /// # Errors
    /// As `best`; `TW0802` if a link of the chain is broken; and the visitor's.
    pub fn events_after(
        &self,
        campaign: &str,
        tail: &Tail,
        visit: &mut dyn FnMut(LoggedEvent) -> Result<(), Diagnostic>,
    ) -> Result<Tail, Diagnostic> {
        let fail = |error: rusqlite::Error| explain(&self.path, &error);
        let mut last = tail.clone();
        let sql = "SELECT e.sequence, e.created, e.data, e.hash
            FROM events e JOIN campaigns c ON c.id = e.campaign
            WHERE c.key = ?1 AND e.sequence >= ?2 ORDER BY e.sequence";
        let mut statement = self.connection.prepare_cached(sql).map_err(fail)?;
        let mut rows =
            statement.query(params![campaign, tail.events.cast_signed()]).map_err(fail)?;
        while let Some(row) = rows.next().map_err(fail)? {
            let read = || -> rusqlite::Result<(u64, u64, String, String)> {
                let number = |index| row.get::<_, i64>(index).map(i64::cast_unsigned);
                Ok((number(0)?, number(1)?, row.get(2)?, row.get(3)?))
            };
            let (sequence, created, data, hash) = read().map_err(fail)?;
            let event = LoggedEvent::after(campaign, sequence, &last.hash, created, data);
            if sequence != last.events || event.hash != hash {
                let why = format!("event {} of campaign {campaign} does not follow", last.events);
                return Err(damaged(&self.path, &why));
            }
            last = Tail { events: sequence + 1, hash };
            visit(event)?;
        }
        Ok(last)
    }

    /// Where the chain of a campaign ends; `None` if the store does not know it.
    ///
    /// # Errors
    /// As `best`.
    pub fn tail(&self, campaign: &str) -> Result<Option<Tail>, Diagnostic> {
        let read = || match row_of(&self.connection, campaign)? {
            Some(id) => tail_of(&self.connection, id, campaign).map(Some),
            None => Ok(None),
        };
        read().map_err(|error| explain(&self.path, &error))
    }

    /// All campaigns, the oldest first.
    ///
    /// # Errors
    /// As `best`.
    pub fn campaigns(&self) -> Result<Vec<CampaignRow>, Diagnostic> {
        let read = || -> rusqlite::Result<Vec<CampaignRow>> {
            // A store of an older version that can only be read has no such table.
            let known: i64 = self.connection.query_row(
                "SELECT count(*) FROM sqlite_schema WHERE name = 'campaigns'",
                [],
                |row| row.get(0),
            )?;
            if known == 0 {
                return Ok(vec![]);
            }
            let sql = "SELECT c.key, c.name, count(*), min(e.created), max(e.created)
                FROM campaigns c JOIN events e ON e.campaign = c.id GROUP BY c.id ORDER BY c.id";
            let mut statement = self.connection.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                let number = |index| row.get::<_, i64>(index).map(i64::cast_unsigned);
                Ok(CampaignRow {
                    id: row.get(0)?,
                    name: row.get(1)?,
                    events: number(2)?,
                    created: (number(3)?, number(4)?),
                })
            })?;
            rows.collect()
        };
        read().map_err(|error| explain(&self.path, &error))
    }
}

pub(super) fn row_of(connection: &Connection, campaign: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM campaigns WHERE key = ?1")?
        .query_row([campaign], |row| row.get(0))
        .optional()
}

fn tail_of(connection: &Connection, id: i64, campaign: &str) -> rusqlite::Result<Tail> {
    let last = connection
        .prepare_cached(
            "SELECT sequence, hash FROM events WHERE campaign = ?1 ORDER BY sequence DESC LIMIT 1",
        )?
        .query_row([id], |row| {
            let events = row.get::<_, i64>(0)?.cast_unsigned() + 1;
            Ok(Tail { events, hash: row.get(1)? })
        })
        .optional()?;
    Ok(last.unwrap_or_else(|| Tail::start(campaign)))
}

pub(super) fn insert(
    connection: &Connection,
    id: i64,
    event: &LoggedEvent,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO events(campaign, sequence, created, data, hash) VALUES(?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            id,
            event.sequence.cast_signed(),
            event.created.cast_signed(),
            event.data,
            event.hash
        ])
        .map(|_| ())
}
