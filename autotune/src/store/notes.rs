//! Notes: what people and agents have found out about a task, in their own words.
//!
//! Invariant: notes are only ever added, and one that two stores have is one.

use super::{Store, Task, explain, rows};
use crate::protocol::{FORMAT_VERSION, NoteRow};
use rusqlite::{Connection, Row, Transaction, TransactionBehavior, params};
use tilewright_ir::base::hash_text;
use tilewright_ir::diag::Diagnostic;

const COLUMNS: &str = "
SELECT t.kernel, t.kernel_hash, t.form_hash, t.sizes, t.arguments, t.target, t.target_hash, t.compiler, t.key,
       n.note, n.text, n.created
FROM notes n JOIN tasks t ON t.id = n.task ";

/// A longer text is not a note but a file.
const NOTE_BYTES_MAX: usize = 64 << 10;

/// What is wrong with the text of a note.
pub fn note_fault(text: &str) -> Option<String> {
    if text.trim().is_empty() {
        return Some("a note has some text".to_string());
    }
    let bytes = text.len();
    (bytes > NOTE_BYTES_MAX)
        .then(|| format!("a note has at most {NOTE_BYTES_MAX} bytes, found {bytes}"))
}

impl Store {
    /// Commits a note about a task and returns its hash. An equal note again is no error and adds nothing.
    ///
    /// # Errors
    /// As `record`.
    pub fn add_note(
        &mut self,
        task: &Task,
        text: &str,
        created: u64,
    ) -> Result<String, Diagnostic> {
        self.check_present()?;
        let path = self.path.clone();
        let mut write = || -> rusqlite::Result<String> {
            let transaction =
                self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let row = row_of(task, text, created);
            insert(&transaction, task, &row)?;
            transaction.commit()?;
            Ok(row.note)
        };
        write().map_err(|error| explain(&path, &error))
    }

    /// The notes about a task, oldest first; about all tasks without one.
    ///
    /// # Errors
    /// As `best`.
    pub fn notes(&self, task: Option<&Task>) -> Result<Vec<NoteRow>, Diagnostic> {
        let key = task.map(Task::key);
        let read = || -> rusqlite::Result<Vec<NoteRow>> {
            let sql = format!("{COLUMNS} WHERE ?1 IS NULL OR t.key = ?1 ORDER BY n.id");
            self.connection.prepare(&sql)?.query_map([key], read)?.collect()
        };
        read().map_err(|error| explain(&self.path, &error))
    }
}

/// A note as it is exported; its hash is over the rest.
pub(super) fn row_of(task: &Task, text: &str, created: u64) -> NoteRow {
    let mut row = NoteRow {
        format_version: FORMAT_VERSION,
        note: String::new(),
        task_key: task.key(),
        task: task.row().clone(),
        text: text.to_string(),
        created,
    };
    row.note = hash_text("note", &row.to_line()).to_string();
    row
}

/// Adds a note; whether it is new.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    task: &Task,
    row: &NoteRow,
) -> rusqlite::Result<bool> {
    let id = rows::task_id(transaction, task)?;
    let connection: &Connection = transaction;
    let added = connection.execute(
        "INSERT OR IGNORE INTO notes(task, note, text, created) VALUES(?1, ?2, ?3, ?4)",
        params![id, row.note, row.text, row.created.cast_signed()],
    )?;
    Ok(added > 0)
}

fn read(row: &Row<'_>) -> rusqlite::Result<NoteRow> {
    Ok(NoteRow {
        format_version: FORMAT_VERSION,
        note: row.get("note")?,
        task_key: row.get("key")?,
        task: rows::read_task(row)?,
        text: row.get("text")?,
        created: row.get::<_, i64>("created")?.cast_unsigned(),
    })
}
