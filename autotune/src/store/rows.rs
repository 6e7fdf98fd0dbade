//! Rows in and out of the tables.

use super::Task;
use crate::protocol::{FORMAT_VERSION, RecordRow, Role, Status, TaskRow, TimeNs};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use tilewright_ir::base::hash_text;
use tilewright_ir::schedule::Schedule;

/// An evaluation to be recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRecord {
    /// Why it was tried.
    pub role: Role,
    /// The canonical text of the schedule.
    pub schedule: String,
    /// The hash of `schedule`.
    pub schedule_hash: String,
    /// The hash of the tile program, if there is one.
    pub tile_hash: Option<String>,
    /// The class of the rejection; `None`: accepted.
    pub reason: Option<String>,
    /// The rejection in words.
    pub evidence: Option<String>,
    /// The time of one call, if it was timed.
    pub time_ns: Option<TimeNs>,
    /// The samples behind it, in nanoseconds of one call.
    pub samples_ns: Vec<f64>,
    /// The largest error as a fraction of what is allowed.
    pub worst_ratio: Option<f64>,
    /// The seed of the judge's data, below 2^53.
    pub seed: Option<u64>,
    /// The hash of the outputs on the data of digests, if it was taken.
    pub digest: Option<String>,
    /// How much of the judge it has passed: 1 or 2.
    pub tier: Option<u8>,
    /// Seconds since the Unix epoch.
    pub created: u64,
}

impl NewRecord {
    /// A record of a schedule about which nothing is known yet: accepted, not timed, not checked.
    pub fn new(role: Role, schedule: &Schedule, created: u64) -> Self {
        Self {
            role,
            schedule: schedule.print(),
            schedule_hash: schedule.hash().to_string(),
            tile_hash: None,
            reason: None,
            evidence: None,
            time_ns: None,
            samples_ns: vec![],
            worst_ratio: None,
            seed: None,
            digest: None,
            tier: None,
            created,
        }
    }

    /// What identifies it: the hash of the row that is made of it.
    pub(super) fn hash(&self, task: &Task) -> String {
        self.row(task).record
    }

    fn row(&self, task: &Task) -> RecordRow {
        let status = if self.reason.is_none() { Status::Accepted } else { Status::Rejected };
        let mut row = RecordRow {
            format_version: FORMAT_VERSION,
            record: String::new(),
            task_key: task.key(),
            task: task.row().clone(),
            role: self.role,
            schedule: self.schedule.clone(),
            schedule_hash: self.schedule_hash.clone(),
            tile_hash: self.tile_hash.clone(),
            status,
            reason: self.reason.clone(),
            evidence: self.evidence.clone(),
            time_ns: self.time_ns,
            samples_ns: self.samples_ns.clone(),
            worst_ratio: self.worst_ratio,
            seed: self.seed,
            digest: self.digest.clone(),
            tier: self.tier,
            created: self.created,
        };
        row.record = hash_text("record", &row.to_line()).to_string();
        row
    }
}

const COLUMNS: &str = "
SELECT t.kernel, t.kernel_hash, t.form_hash, t.sizes, t.arguments, t.target, t.target_hash, t.compiler, t.key,
       r.record, r.role, r.schedule, r.schedule_hash, r.tile_hash, r.accepted, r.reason, r.evidence,
       r.median_ns, r.lo_ns, r.hi_ns, r.samples_ns, r.worst_ratio, r.seed, r.created, r.digest, r.tier
FROM results r JOIN tasks t ON t.id = r.task ";

/// The rows of a task that may be used: timed, and their schedule never rejected for its numbers or its behaviour.
const ELIGIBLE: &str = "
WHERE t.key = ?1 AND r.accepted AND r.median_ns IS NOT NULL AND r.role != 'naive'
AND NOT EXISTS (SELECT 1 FROM results q WHERE q.task = r.task AND q.schedule_hash = r.schedule_hash
                AND NOT q.accepted
                AND q.reason NOT IN ('slow', 'timeout', 'killed', 'skipped', 'undecided', 'impossible'))";

/// The task's row, added if it is new.
pub(super) fn task_id(transaction: &Transaction<'_>, task: &Task) -> rusqlite::Result<i64> {
    let row = task.row();
    let key = task.key();
    let known = transaction
        .prepare_cached("SELECT id FROM tasks WHERE key = ?1")?
        .query_row([&key], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    transaction.execute(
        "INSERT INTO tasks(key, kernel, kernel_hash, form_hash, sizes, arguments, target, target_hash, compiler)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            key,
            row.kernel,
            row.kernel_hash,
            row.form_hash,
            to_json(&row.sizes),
            to_json(&row.arguments),
            row.target,
            row.target_hash,
            row.compiler
        ],
    )?;
    Ok(transaction.last_insert_rowid())
}

pub(super) fn insert(
    transaction: &Transaction<'_>,
    task_id: i64,
    task: &Task,
    record: &NewRecord,
) -> rusqlite::Result<String> {
    let row = record.row(task);
    transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO results(task, record, role, schedule, schedule_hash, tile_hash, accepted,
             reason, evidence, median_ns, lo_ns, hi_ns, samples_ns, worst_ratio, seed, created, digest,
             tier)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
        )?
        .execute(params![
            task_id,
            row.record,
            row.role.name(),
            row.schedule,
            row.schedule_hash,
            row.tile_hash,
            row.status == Status::Accepted,
            row.reason,
            row.evidence,
            row.time_ns.map(|time| time.median),
            row.time_ns.map(|time| time.lo),
            row.time_ns.map(|time| time.hi),
            to_bytes(&row.samples_ns),
            row.worst_ratio,
            row.seed.map(u64::cast_signed),
            row.created.cast_signed(),
            row.digest,
            row.tier
        ])?;
    Ok(row.record)
}

/// The last winner first, since every run measures the winner before it in turns with its own; then the others by
/// their medians, which other runs on another day may have measured.
pub(super) fn fastest(
    connection: &Connection,
    key: &str,
    count: usize,
) -> rusqlite::Result<Vec<RecordRow>> {
    let mut found: Vec<RecordRow> = vec![];
    for order in [
        "AND r.role = 'winner' ORDER BY r.created DESC, r.id DESC LIMIT 1",
        "ORDER BY r.median_ns, r.id",
    ] {
        let sql = format!("{COLUMNS} {ELIGIBLE} {order}");
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query([key])?;
        while found.len() < count {
            let Some(row) = rows.next()? else { break };
            let row = read(row)?;
            if !found.iter().any(|known| known.schedule_hash == row.schedule_hash) {
                found.push(row);
            }
        }
    }
    Ok(found)
}

/// The tasks that compute the same kernel at other extents, on other machines or by other code generators.
pub(super) fn relatives(connection: &Connection, task: &Task) -> rusqlite::Result<Vec<TaskRow>> {
    let sql = "
SELECT kernel, kernel_hash, form_hash, sizes, arguments, target, target_hash, compiler FROM tasks
WHERE kernel_hash = ?1 AND key != ?2 ORDER BY id";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([&task.row().kernel_hash, &task.key()], read_task)?;
    rows.collect()
}

pub(super) fn read_task(row: &Row<'_>) -> rusqlite::Result<TaskRow> {
    Ok(TaskRow {
        kernel: row.get("kernel")?,
        kernel_hash: row.get("kernel_hash")?,
        form_hash: row.get("form_hash")?,
        sizes: from_json(row, "sizes")?,
        arguments: from_json(row, "arguments")?,
        target: row.get("target")?,
        target_hash: row.get("target_hash")?,
        compiler: row.get("compiler")?,
    })
}

pub(super) fn count(connection: &Connection, key: &str) -> rusqlite::Result<u64> {
    let sql = "SELECT count(*) FROM results r JOIN tasks t ON t.id = r.task WHERE t.key = ?1";
    connection.query_row(sql, [key], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned)
}

pub(super) fn each(
    connection: &Connection,
    kernel: Option<&str>,
    visit: &mut dyn FnMut(RecordRow) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let sql = format!("{COLUMNS} WHERE ?1 IS NULL OR t.kernel = ?1 ORDER BY r.id");
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([kernel])?;
    while let Some(row) = rows.next()? {
        visit(read(row)?)?;
    }
    Ok(())
}

/// What became of a schedule, in short.
#[derive(Clone, Debug, PartialEq)]
pub struct OutcomeRow {
    /// The canonical text of the schedule.
    pub schedule: String,
    /// The class of the rejection; `None`: accepted.
    pub reason: Option<String>,
    /// The median of its times in nanoseconds, if it was timed.
    pub median_ns: Option<f64>,
}

/// What became of the schedules of a task, in the order in which they were committed.
pub(super) fn outcomes(connection: &Connection, key: &str) -> rusqlite::Result<Vec<OutcomeRow>> {
    let sql = "
SELECT r.schedule, r.reason, r.median_ns FROM results r JOIN tasks t ON t.id = r.task
WHERE t.key = ?1 ORDER BY r.id";
    let mut statement = connection.prepare(sql)?;
    let read = |row: &Row<'_>| {
        Ok(OutcomeRow { schedule: row.get(0)?, reason: row.get(1)?, median_ns: row.get(2)? })
    };
    statement.query_map([key], read)?.collect()
}

pub(super) fn find(connection: &Connection, record: &str) -> rusqlite::Result<Option<RecordRow>> {
    let sql = format!("{COLUMNS} WHERE substr(r.record, 1, length(?1)) = ?1 ORDER BY r.id LIMIT 1");
    connection.prepare(&sql)?.query_row([record], read).optional()
}

fn read(row: &Row<'_>) -> rusqlite::Result<RecordRow> {
    let accepted: bool = row.get("accepted")?;
    let role: String = row.get("role")?;
    let median: Option<f64> = row.get("median_ns")?;
    let time_ns = match median {
        Some(median) => Some(TimeNs { median, lo: row.get("lo_ns")?, hi: row.get("hi_ns")? }),
        None => None,
    };
    Ok(RecordRow {
        format_version: FORMAT_VERSION,
        record: row.get("record")?,
        task_key: row.get("key")?,
        task: read_task(row)?,
        role: Role::parse(&role).ok_or_else(|| unreadable(format!("role {role}").into()))?,
        schedule: row.get("schedule")?,
        schedule_hash: row.get("schedule_hash")?,
        tile_hash: row.get("tile_hash")?,
        status: if accepted { Status::Accepted } else { Status::Rejected },
        reason: row.get("reason")?,
        evidence: row.get("evidence")?,
        time_ns,
        samples_ns: from_bytes(&row.get::<_, Vec<u8>>("samples_ns")?),
        worst_ratio: row.get("worst_ratio")?,
        seed: row.get::<_, Option<i64>>("seed")?.map(i64::cast_unsigned),
        digest: row.get("digest")?,
        tier: row.get("tier")?,
        created: row.get::<_, i64>("created")?.cast_unsigned(),
    })
}

fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("columns are plain data")
}

fn from_json<T: serde::de::DeserializeOwned>(row: &Row<'_>, name: &str) -> rusqlite::Result<T> {
    let text: String = row.get(name)?;
    serde_json::from_str(&text).map_err(|error| unreadable(error.into()))
}

/// Samples are stored as little-endian f64, since JSON text does not bring every number back to the bit.
fn to_bytes(samples: &[f64]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

fn from_bytes(bytes: &[u8]) -> Vec<f64> {
    bytes.as_chunks().0.iter().map(|chunk| f64::from_le_bytes(*chunk)).collect()
}

fn unreadable(why: Box<dyn std::error::Error + Send + Sync>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, why)
}
