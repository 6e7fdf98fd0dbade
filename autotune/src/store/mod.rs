//! The store: every evaluation ever made, in one SQLite file.
//!
//! A row is committed before anything acts on it, so a process may be killed at any moment and nothing recorded is
//! lost; several processes may write at once. Rows are only ever added. Not here: what a row means (`protocol`).
//! Invariant: a task's key covers everything that the generated code was specialised to, so a schedule found for
//! one task is never taken for another.

mod chain;
mod merge;
mod notes;
mod path;
mod rows;
mod schema;
mod task;

pub use chain::{CampaignRow, NewEvent, Tail};
pub use merge::{Joined, Verified};
pub use notes::note_fault;
pub use path::default_path;
pub use rows::{NewRecord, OutcomeRow};
pub use task::Task;

use crate::protocol::RecordRow;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};
use std::io::Write;
use std::path::{Path, PathBuf};
use tilewright_ir::diag::Diagnostic;

/// The file cannot be opened, created or written.
pub const CANNOT_OPEN: &str = "TW0801";
/// The file is not a store, or is damaged.
pub const DAMAGED: &str = "TW0802";
/// The file was written by a newer version.
pub const NEWER: &str = "TW0803";
/// Another process holds the file for longer than `BUSY_MILLISECONDS`.
pub const BUSY: &str = "TW0804";
/// Any other failure of a read or a write.
pub const FAILED: &str = "TW0805";

/// How long a write waits for another process.
const BUSY_MILLISECONDS: u64 = 20_000;

/// An open store.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
    /// What the file was when it was opened; `None` for one without.
    identity: Option<(u64, u64)>,
    is_read_only: bool,
}

/// What tells a file from another one that has its name later: device and number.
fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

impl Store {
    /// Opens or creates the store at a path; missing folders are created.
    ///
    /// # Errors
    /// `TW0801` if the file cannot be opened or written, `TW0802` if it is no store or is damaged, `TW0803` if a
    /// newer version wrote it, `TW0804` if another process holds it. The file is left as it is.
    pub fn open(path: &Path) -> Result<Self, Diagnostic> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|error| path::cannot_open(path, &error))?;
        }
        let connection = Connection::open(path).map_err(|error| explain(path, &error))?;
        Self::prepare(connection, path)
    }

    /// Opens an existing store to read from. Where the file or its folder cannot be written, `record` and `put_ceilings`
    /// fail and `is_read_only` tells so beforehand; else it is the same as `open`.
    ///
    /// # Errors
    /// As `open`, but a file that can only be read is none.
    pub fn open_to_read(path: &Path) -> Result<Self, Diagnostic> {
        match Self::open(path) {
            Err(fault) if fault.code == CANNOT_OPEN && path.is_file() => Self::open_read_only(path),
            opened => opened,
        }
    }

    /// Of a folder that cannot be written SQLite needs to be told that nobody changes the file, unless a writer has left
    /// its log and index there.
    fn open_read_only(path: &Path) -> Result<Self, Diagnostic> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let mut last = None;
        for suffix in ["mode=ro", "mode=ro&immutable=1"] {
            let connection = Connection::open_with_flags(path::uri(path, suffix), flags);
            let connection = connection.map_err(|error| explain(path, &error))?;
            match schema::prepare_to_read(&connection, path) {
                Ok(true) => {
                    let (path, identity) = (path.to_path_buf(), identity(path));
                    return Ok(Self { connection, path, identity, is_read_only: true });
                }
                // An empty file that nobody may write: a store without rows.
                Ok(false) => return Ok(Self { is_read_only: true, ..Self::in_memory()? }),
                Err(fault) => last = Some(fault),
            }
        }
        Err(last.expect("there are two ways to open a file"))
    }

    /// Whether nothing can be recorded.
    pub fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    /// A store that lives as long as the value and touches no file.
    ///
    /// # Errors
    /// `TW0805` if the machine has no memory left for it.
    pub fn in_memory() -> Result<Self, Diagnostic> {
        let path = Path::new(":memory:");
        let connection = Connection::open_in_memory().map_err(|error| explain(path, &error))?;
        Self::prepare(connection, path)
    }

    fn prepare(mut connection: Connection, path: &Path) -> Result<Self, Diagnostic> {
        schema::prepare(&mut connection, path)?;
        let identity = identity(path);
        Ok(Self { connection, path: path.to_path_buf(), identity, is_read_only: false })
    }

    /// Refuses to write to a file that nobody will find again: it was deleted, or another one has its name by now.
    fn check_present(&self) -> Result<(), Diagnostic> {
        if self.identity.is_none() || identity(&self.path) == self.identity {
            return Ok(());
        }
        let message = format!("the store {} is not there any more", self.path.display());
        Err(Diagnostic::new(FAILED, message)
            .help("somebody deleted or replaced it; put it back, or run again with another store"))
    }

    /// The file; `:memory:` for one without.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Commits one evaluation and returns its record: the hash of the row. Recording an equal row again is no error
    /// and adds nothing.
    ///
    /// # Errors
    /// `TW0801`, `TW0804` or `TW0805` if the row could not be committed; then nothing of it is stored.
    pub fn record(&mut self, task: &Task, record: &NewRecord) -> Result<String, Diagnostic> {
        self.check_present()?;
        let path = self.path.clone();
        self.write(task, record).map_err(|error| explain(&path, &error))
    }

    fn write(&mut self, task: &Task, record: &NewRecord) -> rusqlite::Result<String> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let id = rows::task_id(&transaction, task)?;
        let hash = rows::insert(&transaction, id, task, record)?;
        transaction.commit()?;
        Ok(hash)
    }

    /// Takes the schedule of a record out of those that may be used, by a record of its own that says why. What was recorded
    /// before stays. Returns the new record.
    ///
    /// # Errors
    /// As `record`.
    pub fn quarantine(
        &mut self,
        row: &RecordRow,
        why: &str,
        created: u64,
    ) -> Result<String, Diagnostic> {
        let record = NewRecord {
            role: row.role,
            schedule: row.schedule.clone(),
            schedule_hash: row.schedule_hash.clone(),
            tile_hash: row.tile_hash.clone(),
            reason: Some("quarantined".to_string()),
            evidence: Some(why.to_string()),
            time_ns: None,
            samples_ns: vec![],
            worst_ratio: None,
            seed: None,
            digest: None,
            tier: None,
            created,
        };
        self.record(&Task::from(row.task.clone()), &record)
    }

    /// The fastest schedule known for a task: the last confirmed winner, else the smallest median. A schedule that was
    /// ever rejected for its numbers or its behaviour (not for its speed) is out.
    ///
    /// # Errors
    /// `TW0802` if a row cannot be read, `TW0805` on any other failure.
    pub fn best(&self, task: &Task) -> Result<Option<RecordRow>, Diagnostic> {
        Ok(self.fastest(task, 1)?.pop())
    }

    /// The fastest schedules known for a task: that of `best`, then by median. At most `count`, each schedule once.
    ///
    /// # Errors
    /// As `best`.
    pub fn fastest(&self, task: &Task, count: usize) -> Result<Vec<RecordRow>, Diagnostic> {
        rows::fastest(&self.connection, &task.key(), count)
            .map_err(|error| explain(&self.path, &error))
    }

    /// The best known of the tasks that are most like this one, nearest first: the same kernel at other extents, on this
    /// machine before others. At most `count`.
    ///
    /// # Errors
    /// As `best`.
    pub fn neighbours(&self, task: &Task, count: usize) -> Result<Vec<RecordRow>, Diagnostic> {
        let mut found = vec![];
        for relative in self.relatives(task)? {
            if found.len() == count {
                break;
            }
            found.extend(self.best(&relative)?);
        }
        Ok(found)
    }

    /// The tasks of the same kernel at other extents, on other machines or by other versions, the most like first.
    ///
    /// # Errors
    /// As `best`.
    pub fn relatives(&self, task: &Task) -> Result<Vec<Task>, Diagnostic> {
        let fail = |error: rusqlite::Error| explain(&self.path, &error);
        let relatives = rows::relatives(&self.connection, task).map_err(fail)?;
        let mut relatives: Vec<(f64, Task)> =
            relatives.into_iter().map(|row| (task.distance(&row), Task::from(row))).collect();
        relatives.sort_by(|one, other| one.0.total_cmp(&other.0));
        Ok(relatives.into_iter().map(|(_, task)| task).collect())
    }

    /// What became of the schedules of a task, in the order in which they were committed.
    ///
    /// # Errors
    /// As `best`.
    pub fn outcomes(&self, task: &Task) -> Result<Vec<OutcomeRow>, Diagnostic> {
        rows::outcomes(&self.connection, &task.key()).map_err(|error| explain(&self.path, &error))
    }

    /// The best known of the same task on another machine of this one's kind, or by another version; of several, the
    /// task that was stored last.
    ///
    /// # Errors
    /// As `best`.
    pub fn best_elsewhere(&self, task: &Task) -> Result<Option<RecordRow>, Diagnostic> {
        let fail = |error: rusqlite::Error| explain(&self.path, &error);
        let relatives = rows::relatives(&self.connection, task).map_err(fail)?;
        for row in relatives.into_iter().rev().filter(|row| task.is_kin(row)) {
            if let Some(found) = self.best(&Task::from(row))? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// How many evaluations of a task are stored.
    ///
    /// # Errors
    /// `TW0805` if the store cannot be read.
    pub fn count(&self, task: &Task) -> Result<u64, Diagnostic> {
        rows::count(&self.connection, &task.key()).map_err(|error| explain(&self.path, &error))
    }

    /// All rows in the order in which they were committed; with a kernel's name, those of that kernel.
    ///
    /// # Errors
    /// As `best`.
    pub fn list(&self, kernel: Option<&str>) -> Result<Vec<RecordRow>, Diagnostic> {
        let mut list = vec![];
        rows::each(&self.connection, kernel, &mut |row| {
            list.push(row);
            Ok(())
        })
        .map_err(|error| explain(&self.path, &error))?;
        Ok(list)
    }

    /// The row of a record, by the first digits of its hash.
    ///
    /// # Errors
    /// As `best`; an ambiguous prefix finds the oldest row.
    pub fn find(&self, record: &str) -> Result<Option<RecordRow>, Diagnostic> {
        rows::find(&self.connection, record).map_err(|error| explain(&self.path, &error))
    }

    /// Writes all rows as NDJSON in the order in which they were committed, then all notes, and returns how many rows.
    ///
    /// # Errors
    /// As `best`; `TW0805` if the writer fails.
    pub fn export(&self, writer: &mut dyn Write) -> Result<u64, Diagnostic> {
        let mut count = 0;
        let mut failure = None;
        let read = rows::each(&self.connection, None, &mut |row| {
            if let Err(error) = writeln!(writer, "{}", row.to_line()) {
                failure = Some(error);
                return Err(rusqlite::Error::InvalidQuery);
            }
            count += 1;
            Ok(())
        });
        let failed = |error| Diagnostic::new(FAILED, format!("cannot export: {error}"));
        match (failure, read) {
            (Some(error), _) => return Err(failed(error)),
            (None, Err(error)) => return Err(explain(&self.path, &error)),
            (None, Ok(())) => {}
        }
        for note in self.notes(None)? {
            writeln!(writer, "{}", note.to_line()).map_err(failed)?;
        }
        Ok(count)
    }

    /// Keeps the measured ceilings of a target and code generator, as a text of the caller's; replaces older ones.
    ///
    /// # Errors
    /// As `record`.
    pub fn put_ceilings(&mut self, key: &str, text: &str, created: u64) -> Result<(), Diagnostic> {
        self.connection
            .execute(
                "INSERT OR REPLACE INTO ceilings(key, text, created) VALUES(?1, ?2, ?3)",
                params![key, text, created.cast_signed()],
            )
            .map(|_| ())
            .map_err(|error| explain(&self.path, &error))
    }

    /// The ceilings of a target and code generator, and when they were measured.
    ///
    /// # Errors
    /// As `best`.
    pub fn ceilings(&self, key: &str) -> Result<Option<(String, u64)>, Diagnostic> {
        self.connection
            .query_row("SELECT text, created FROM ceilings WHERE key = ?1", [key], |row| {
                Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
            })
            .optional()
            .map_err(|error| explain(&self.path, &error))
    }
}

/// What a failure of SQLite means for the user.
fn explain(path: &Path, error: &rusqlite::Error) -> Diagnostic {
    use rusqlite::{Error, ErrorCode as Code};
    let file = path.display();
    match error {
        // The tables, or what stands in them, are not what this program wrote.
        Error::SqlInputError { msg, .. } => return damaged(path, msg),
        Error::FromSqlConversionFailure(..)
        | Error::InvalidColumnType(..)
        | Error::IntegralValueOutOfRange(..) => return damaged(path, &error.to_string()),
        Error::SqliteFailure(failure, Some(why)) if failure.code == Code::Unknown => {
            return damaged(path, why);
        }
        _ => {}
    }
    match error.sqlite_error_code() {
        Some(Code::NotADatabase | Code::DatabaseCorrupt) => damaged(path, &error.to_string()),
        Some(Code::ReadOnly) => {
            Diagnostic::new(CANNOT_OPEN, format!("the store {file} can be read, not written")).help(
                "allow writing to the file and its folder, or set TILEWRIGHT_STORE to another",
            )
        }
        Some(Code::CannotOpen | Code::PermissionDenied) => path::cannot_open(path, error),
        Some(Code::DatabaseBusy | Code::DatabaseLocked) => {
            Diagnostic::new(BUSY, format!("another process holds the store {file}"))
                .help("wait for it to finish, or use another store")
        }
        Some(Code::DiskFull) => Diagnostic::new(FAILED, format!("the disk of {file} is full"))
            .help("make room and run again; everything recorded before is kept"),
        Some(Code::SystemIoFailure) => Diagnostic::new(
            FAILED,
            format!("the system could not read or write {file}: {error}"),
        )
        .help("make room, look at the disk, and run again; everything recorded before is kept"),
        _ => Diagnostic::new(FAILED, format!("the store {file} failed: {error}")),
    }
}

/// The file is no store. It is never touched.
fn damaged(path: &Path, why: &str) -> Diagnostic {
    Diagnostic::new(DAMAGED, format!("{} is not a usable Tilewright store: {why}", path.display()))
        .help("move the file away, or name another one; it has been left as it is")
}

#[cfg(test)]
mod tests {
    use super::explain;
    use rusqlite::{Error, ffi};
    use std::path::Path;

    #[test]
    fn failures_have_codes_and_a_way_out() {
        for (failure, code) in [
            (ffi::SQLITE_CANTOPEN, "TW0801"),
            (ffi::SQLITE_READONLY, "TW0801"),
            (ffi::SQLITE_NOTADB, "TW0802"),
            (ffi::SQLITE_CORRUPT, "TW0802"),
            (ffi::SQLITE_BUSY, "TW0804"),
            (ffi::SQLITE_FULL, "TW0805"),
        ] {
            let error = Error::SqliteFailure(ffi::Error::new(failure), None);
            let diagnostic = explain(Path::new("some.sqlite"), &error);
            assert_eq!(diagnostic.code, code);
            assert!(diagnostic.message.contains("some.sqlite"), "{diagnostic}");
            assert!(diagnostic.help.is_some(), "{diagnostic}");
        }
    }
}
