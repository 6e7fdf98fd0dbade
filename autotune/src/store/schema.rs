//! The tables, and the check that a file has them in a version that this program understands.

use super::{BUSY_MILLISECONDS, NEWER, damaged, explain};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use std::path::Path;
use std::time::Duration;
use tilewright_ir::diag::Diagnostic;

/// The version of the tables. A higher one in a file means that a newer program wrote it.
const VERSION: i64 = 5;

/// Statement lists that lead from version i to i + 1; the first makes an empty file a store.
const MIGRATIONS: [&str; 5] = [
    "
CREATE TABLE schema_version(version INTEGER NOT NULL);
INSERT INTO schema_version(version) VALUES(0);
CREATE TABLE tasks(
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    kernel TEXT NOT NULL,
    kernel_hash TEXT NOT NULL,
    form_hash TEXT NOT NULL,
    sizes TEXT NOT NULL,
    arguments TEXT NOT NULL,
    target TEXT NOT NULL,
    target_hash TEXT NOT NULL,
    compiler TEXT NOT NULL
);
CREATE TABLE results(
    id INTEGER PRIMARY KEY,
    task INTEGER NOT NULL REFERENCES tasks(id),
    record TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    schedule TEXT NOT NULL,
    schedule_hash TEXT NOT NULL,
    tile_hash TEXT,
    accepted INTEGER NOT NULL,
    reason TEXT,
    evidence TEXT,
    median_ns REAL,
    lo_ns REAL,
    hi_ns REAL,
    samples_ns BLOB NOT NULL,
    worst_ratio REAL,
    seed INTEGER,
    created INTEGER NOT NULL
);
CREATE INDEX results_by_task ON results(task, accepted, median_ns);
CREATE TABLE ceilings(key TEXT PRIMARY KEY, text TEXT NOT NULL, created INTEGER NOT NULL);
",
    "
CREATE TABLE campaigns(
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL
);
CREATE TABLE events(
    campaign INTEGER NOT NULL REFERENCES campaigns(id),
    sequence INTEGER NOT NULL,
    created INTEGER NOT NULL,
    data TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY(campaign, sequence)
) WITHOUT ROWID;
",
    "ALTER TABLE results ADD COLUMN digest TEXT;",
    "
CREATE TABLE notes(
    id INTEGER PRIMARY KEY,
    task INTEGER NOT NULL REFERENCES tasks(id),
    note TEXT NOT NULL UNIQUE,
    text TEXT NOT NULL,
    created INTEGER NOT NULL
);
",
    "ALTER TABLE results ADD COLUMN tier INTEGER;",
];

/// Checks the file, brings it to the current version, and sets how it is written. A file that is no store, or a
/// newer one, is only read.
pub(super) fn prepare(connection: &mut Connection, path: &Path) -> Result<(), Diagnostic> {
    let fail = |error: rusqlite::Error| explain(path, &error);
    connection.busy_timeout(Duration::from_millis(BUSY_MILLISECONDS)).map_err(fail)?;
    check_version(connection, path)?;
    check_whole(connection, path)?;
    write_ahead(connection).map_err(fail)?;
    connection.pragma_update(None, "synchronous", "normal").map_err(fail)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(fail)?;
    migrate(connection, path)
}

/// Checks a file that cannot be written. `false`: it is empty, and has no tables to read.
pub(super) fn prepare_to_read(connection: &Connection, path: &Path) -> Result<bool, Diagnostic> {
    let fail = |error: rusqlite::Error| explain(path, &error);
    connection.busy_timeout(Duration::from_millis(BUSY_MILLISECONDS)).map_err(fail)?;
    let found = check_version(connection, path)?;
    check_whole(connection, path)?;
    Ok(found > 0)
}

fn check_whole(connection: &Connection, path: &Path) -> Result<(), Diagnostic> {
    let whole = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    let whole: String = whole.map_err(|error| explain(path, &error))?;
    if whole == "ok" { Ok(()) } else { Err(damaged(path, &whole)) }
}

/// Readers and one writer work at once, and a commit survives the end of the process.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let mut attempt = 0;
    loop {
        match connection.pragma_update(None, "journal_mode", "wal") {
            // Two processes that create one store may collide here, where SQLite does not wait by itself.
            Err(error) if attempt < ATTEMPTS && is_busy(&error) => {
                attempt += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
            result => return result,
        }
    }
}

/// Attempts to switch a new file to write-ahead logging.
const ATTEMPTS: u32 = 500;

fn is_busy(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked))
}

/// The version of the tables in a file that this program may use.
fn check_version(connection: &Connection, path: &Path) -> Result<i64, Diagnostic> {
    let found = version(connection).map_err(|error| explain(path, &error))?;
    let Some(found) = found.filter(|&found| found >= 0) else {
        return Err(damaged(path, "it is a database of another program"));
    };
    if found <= VERSION {
        return Ok(found);
    }
    let message = format!("the store {} was written by a newer Tilewright", path.display());
    Err(Diagnostic::new(NEWER, message)
        .found(format!("table version {found}"))
        .expected(format!("at most {VERSION}"))
        .help("use the newer program, or name another store; the file has been left as it is"))
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Diagnostic> {
    let fail = |error: rusqlite::Error| explain(path, &error);
    // One transaction holds the check and the change, so two processes that start at once agree.
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
    let found = check_version(&transaction, path)?;
    for statements in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(usize::MAX)) {
        transaction.execute_batch(statements).map_err(fail)?;
    }
    if found < VERSION {
        transaction.execute("UPDATE schema_version SET version = ?1", [VERSION]).map_err(fail)?;
    }
    transaction.commit().map_err(fail)
}

/// The version of the tables: 0 for an empty file, `None` for the tables of another program.
fn version(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(Some(0));
    }
    let ours: i64 = connection.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE name IN ('schema_version', 'tasks', 'results')",
        [],
        |row| row.get(0),
    )?;
    if ours < 3 {
        return Ok(None);
    }
    connection.query_row("SELECT version FROM schema_version", [], |row| row.get(0)).optional()
}
