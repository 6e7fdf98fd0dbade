//! The store keeps what it was given: across processes, kills, damage and versions.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tilewright_autotune::protocol::{RecordRow, Role, TaskRow, TimeNs};
use tilewright_autotune::store::{CANNOT_OPEN, DAMAGED, FAILED, NEWER, NewRecord, Store, Task};
use tilewright_ir::base::hash_text;
use tilewright_ir::target::Target;

fn task(kernel: &str, m: u64) -> Task {
    Task::from(TaskRow {
        kernel: kernel.to_string(),
        kernel_hash: hash_text("graph", kernel).to_string(),
        form_hash: hash_text("plan", kernel).to_string(),
        sizes: BTreeMap::from([("m".to_string(), m)]),
        arguments: vec!["A: f32[m] row-major".to_string()],
        target: "{}".to_string(),
        target_hash: hash_text("target", "{}").to_string(),
        compiler: "fake 1".to_string(),
    })
}

fn record(schedule: &str, median: f64) -> NewRecord {
    NewRecord {
        digest: None,
        role: Role::Search,
        schedule: schedule.to_string(),
        schedule_hash: hash_text("schedule", schedule).to_string(),
        tile_hash: Some(hash_text("tile", schedule).to_string()),
        reason: None,
        evidence: None,
        time_ns: Some(TimeNs { median, lo: median * 0.99, hi: median * 1.01 }),
        samples_ns: vec![median / 3.0, median, 0.1 + 0.2],
        worst_ratio: Some(0.25),
        seed: Some((1 << 53) - 1),
        tier: Some(1),
        created: 1_800_000_000,
    }
}

fn rejected(schedule: &str, reason: &str) -> NewRecord {
    let evidence = Some("element [0, 3] is NaN".to_string());
    let reason = Some(reason.to_string());
    NewRecord { reason, evidence, time_ns: None, samples_ns: vec![], ..record(schedule, 1.0) }
}

fn code_of(path: &Path) -> &'static str {
    Store::open(path).expect_err("the file is unusable").code
}

#[test]
fn a_file_that_is_gone_is_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let mut store = Store::open(&path).unwrap();
    let task = task("matmul", 64);
    store.record(&task, &record("a", 7.25)).unwrap();
    std::fs::remove_file(&path).unwrap();
    let fault = store.record(&task, &record("b", 7.0)).unwrap_err();
    assert_eq!(fault.code, FAILED);
    // Another file of that name is not the same either.
    Store::open(&path).unwrap();
    assert_eq!(store.add_note(&task, "a note", 1).unwrap_err().code, FAILED);
}

#[test]
fn rejections_that_say_nothing_of_the_numbers_take_nothing_out_of_use() {
    let mut store = Store::in_memory().unwrap();
    let task = task("matmul", 64);
    store.record(&task, &record("a", 7.25)).unwrap();
    for reason in ["slow", "timeout", "killed", "undecided", "impossible"] {
        store.record(&task, &rejected("a", reason)).unwrap();
        assert!(store.best(&task).unwrap().is_some(), "{reason}");
    }
    store.record(&task, &rejected("a", "wrong")).unwrap();
    assert!(store.best(&task).unwrap().is_none());
}

#[test]
fn rows_come_back_as_they_went_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folder/store.sqlite");
    let mut store = Store::open(&path).unwrap();
    let task = task("matmul", 64);
    let hash = store.record(&task, &record("a", 7.25)).unwrap();
    assert_eq!(store.record(&task, &record("a", 7.25)).unwrap(), hash, "an equal row is one row");
    store.record(&task, &rejected("b", "wrong")).unwrap();
    drop(store);

    let store = Store::open(&path).unwrap();
    let rows = store.list(None).unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(store.count(&task).unwrap(), 2);
    assert_eq!(rows[0].record, hash);
    assert_eq!(rows[0].samples_ns, record("a", 7.25).samples_ns);
    assert_eq!(rows[0].seed, Some((1 << 53) - 1));
    assert_eq!(rows[0].task, *task.row());
    assert_eq!(rows[1].reason.as_deref(), Some("wrong"));
    assert_eq!(store.find(&hash[..8]).unwrap().as_ref(), Some(&rows[0]));
    assert_eq!(store.find("xyz").unwrap(), None);
}

#[test]
fn the_export_is_one_readable_object_a_line() {
    let mut store = Store::in_memory().unwrap();
    store.record(&task("matmul", 64), &record("line one\nline two", 7.0)).unwrap();
    store.record(&task("softmax", 64), &rejected("c", "crash")).unwrap();
    let mut bytes = vec![];
    assert_eq!(store.export(&mut bytes).unwrap(), 2);
    let text = String::from_utf8(bytes).unwrap();
    let rows: Vec<RecordRow> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows, store.list(None).unwrap());
    assert_eq!(store.list(Some("softmax")).unwrap(), rows[1..]);
}

#[test]
fn the_best_is_confirmed_if_possible_and_never_quarantined() {
    let mut store = Store::in_memory().unwrap();
    let task = task("matmul", 64);
    let best = |store: &Store| store.best(&task).unwrap().map(|row| row.schedule);
    assert_eq!(best(&store), None);
    for (schedule, median) in [("slower", 9.0), ("fast", 3.0), ("middle", 5.0)] {
        store.record(&task, &record(schedule, median)).unwrap();
    }
    store.record(&task, &NewRecord { role: Role::Naive, ..record("naive", 1.0) }).unwrap();
    assert_eq!(best(&store).as_deref(), Some("fast"));
    store.record(&task, &rejected("fast", "slow")).unwrap();
    assert_eq!(best(&store).as_deref(), Some("fast"), "slow once says nothing about the numbers");
    store.record(&task, &rejected("fast", "wrong")).unwrap();
    assert_eq!(best(&store).as_deref(), Some("middle"));
    store.record(&task, &NewRecord { role: Role::Winner, ..record("slower", 8.0) }).unwrap();
    assert_eq!(best(&store).as_deref(), Some("slower"), "a confirmed time goes first");
    let fastest = store.fastest(&task, 9).unwrap();
    assert_eq!(fastest.len(), 2, "each schedule once");
    // Each run measures the winner before it, so the last one counts, whatever the machine was like then.
    store.record(&task, &NewRecord { role: Role::Winner, ..record("later", 8.5) }).unwrap();
    assert_eq!(best(&store).as_deref(), Some("later"));
    store.record(&task, &rejected("later", "crash")).unwrap();
    assert_eq!(best(&store).as_deref(), Some("slower"), "the winner before it");
}

#[test]
fn every_field_that_the_code_depends_on_is_in_the_key() {
    let base = task("matmul", 64);
    let mut keys = BTreeSet::from([base.key(), task("matmul", 65).key(), task("other", 64).key()]);
    let changes: [fn(&mut TaskRow); 4] = [
        |row| row.form_hash.push('0'),
        |row| row.arguments[0] = "A: f32[m] column-major".to_string(),
        |row| row.target_hash.push('0'),
        |row| row.compiler = "fake 2".to_string(),
    ];
    for change in changes {
        let mut row = base.row().clone();
        change(&mut row);
        keys.insert(Task::from(row).key());
    }
    assert_eq!(keys.len(), 7);
    let renamed = TaskRow { kernel: "renamed".to_string(), ..base.row().clone() };
    assert_eq!(Task::from(renamed).key(), base.key());
}

#[test]
fn unusable_files_are_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);

    std::fs::write(file("garbage"), vec![0x5a; 9000]).unwrap();
    assert_eq!(code_of(&file("garbage")), DAMAGED);
    assert_eq!(std::fs::read(file("garbage")).unwrap(), vec![0x5a; 9000]);

    assert_eq!(code_of(folder.path()), CANNOT_OPEN);
    assert_eq!(code_of(&file("garbage").join("store.sqlite")), CANNOT_OPEN);

    let other = rusqlite::Connection::open(file("other")).unwrap();
    other.execute_batch("CREATE TABLE photographs(id)").unwrap();
    drop(other);
    let before = std::fs::read(file("other")).unwrap();
    assert_eq!(code_of(&file("other")), DAMAGED);
    assert_eq!(std::fs::read(file("other")).unwrap(), before);

    drop(Store::open(&file("newer")).unwrap());
    let newer = rusqlite::Connection::open(file("newer")).unwrap();
    newer.execute("UPDATE schema_version SET version = 99", []).unwrap();
    drop(newer);
    assert_eq!(code_of(&file("newer")), NEWER);
}

#[test]
fn rows_that_this_program_did_not_write_are_damage() {
    let folder = tempfile::tempdir().unwrap();
    let changes = [
        "UPDATE results SET role = 'chief'",
        "UPDATE results SET lo_ns = NULL",
        "UPDATE results SET created = 'yesterday'",
        "UPDATE tasks SET sizes = '[1'",
        "ALTER TABLE results DROP COLUMN seed",
    ];
    let versions = ["0", "-7", "'x'", "NULL"];
    let versions = versions.map(|value| {
        format!(
            "DROP TABLE schema_version; CREATE TABLE schema_version(version);
             INSERT INTO schema_version VALUES({value})"
        )
    });
    for (index, change) in
        changes.into_iter().chain(versions.iter().map(String::as_str)).enumerate()
    {
        let path = folder.path().join(format!("{index}.sqlite"));
        let mut store = Store::open(&path).unwrap();
        store.record(&task("matmul", 64), &record("a", 7.25)).unwrap();
        drop(store);
        let raw = rusqlite::Connection::open(&path).unwrap();
        raw.execute_batch(change).unwrap();
        drop(raw);
        for open in [Store::open, Store::open_to_read] {
            let read = open(&path).and_then(|store| store.list(None));
            let fault = read.expect_err(change);
            assert_eq!(fault.code, DAMAGED, "{change}: {fault}");
            assert!(!fault.message.contains('\n'), "{change}: {fault}");
        }
    }
}

#[test]
fn a_damaged_store_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let mut store = Store::open(&path).unwrap();
    for i in 0..200 {
        store.record(&task("matmul", 64), &record(&format!("schedule {i}"), 5.0)).unwrap();
    }
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    assert!(bytes.len() > 40_000, "the rows are in the file, {} bytes", bytes.len());
    bytes.truncate(20_000);
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(code_of(&path), DAMAGED);
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

/// Set for a child process of these tests: the store to write to.
const WRITER: &str = "TILEWRIGHT_TEST_WRITER";

/// Not a test of its own: the writer that the tests below start as a process. It prints each record it has
/// committed.
#[test]
fn writer_process() {
    let Ok(words) = std::env::var(WRITER) else { return };
    let (path, rest) = words.split_once('|').unwrap();
    let (name, count) = rest.split_once('|').unwrap();
    let mut store = Store::open(Path::new(path)).unwrap();
    for i in 0..count.parse::<u64>().unwrap() {
        let row = record(&format!("{name} {i}"), 5.0 + i as f64);
        // The harness captures print!, not what is written to the stream itself.
        match store.record(&task("matmul", i % 3), &row) {
            Ok(hash) => writeln!(std::io::stdout(), "record {hash}").unwrap(),
            Err(fault) => {
                writeln!(std::io::stdout(), "failed {}", fault.code).unwrap();
                return;
            }
        }
    }
}

fn start_writer(path: &Path, name: &str, count: u64) -> Child {
    Command::new(std::env::current_exe().expect("a running test has a file"))
        .args(["--exact", "writer_process", "--nocapture"])
        .env(WRITER, format!("{}|{name}|{count}", path.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the test starts itself")
}

fn committed(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let lines = BufReader::new(child.stdout.take().expect("the output is piped")).lines();
    lines
        .map_while(Result::ok)
        .filter_map(|line| line.split_once("record ").map(|(_, hash)| hash.to_string()))
}

#[test]
fn two_processes_write_to_one_new_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let mut writers: Vec<Child> =
        ["one", "two", "three"].iter().map(|name| start_writer(&path, name, 100)).collect();
    let mut printed = BTreeSet::new();
    for writer in &mut writers {
        printed.extend(committed(writer));
        assert!(writer.wait().unwrap().success());
    }
    let stored: BTreeSet<String> =
        Store::open(&path).unwrap().list(None).unwrap().into_iter().map(|row| row.record).collect();
    assert_eq!(printed.len(), 300);
    assert_eq!(stored, printed);
}

#[test]
fn a_killed_writer_loses_nothing_that_it_committed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let mut printed: BTreeSet<String> = BTreeSet::new();
    for (round, rows) in [1, 7, 40, 3, 90].into_iter().enumerate() {
        let mut writer = start_writer(&path, &format!("round {round}"), 1_000_000);
        let mut lines = committed(&mut writer);
        printed.extend(lines.by_ref().take(rows));
        // SIGKILL: the process gets no chance to close anything.
        writer.kill().unwrap();
        writer.wait().unwrap();
        printed.extend(lines);
        let store = Store::open(&path).unwrap();
        let stored: BTreeSet<String> =
            store.list(None).unwrap().into_iter().map(|row| row.record).collect();
        assert!(printed.is_subset(&stored), "round {round}");
        // The row in flight may have been committed and not printed.
        assert!(stored.len() <= printed.len() + round + 1, "round {round}");
    }
    assert!(printed.len() >= 141);
}

#[test]
fn neighbours_are_the_nearest_sizes_of_the_same_kernel_and_machine() {
    let mut store = Store::in_memory().unwrap();
    for (m, schedule) in [(64, "a"), (100, "b"), (1000, "c")] {
        store.record(&task("matmul", m), &record(schedule, 7.0)).unwrap();
    }
    store.record(&task("softmax", 128), &record("other kernel", 7.0)).unwrap();
    let mut elsewhere = task("matmul", 120).row().clone();
    elsewhere.target_hash = hash_text("target", "another").to_string();
    store.record(&Task::from(elsewhere), &record("other machine", 7.0)).unwrap();
    let names = |m: u64, count: usize| -> Vec<String> {
        let found = store.neighbours(&task("matmul", m), count).unwrap();
        found.into_iter().map(|row| row.schedule).collect()
    };
    assert_eq!(names(128, 9), ["b", "a", "c", "other machine"]);
    assert_eq!(names(128, 1), ["b"]);
    assert_eq!(names(64, 9), ["b", "c", "other machine"], "not its own");
}

#[test]
fn a_machine_of_the_same_kind_lends_its_winner() {
    let mut store = Store::in_memory().unwrap();
    let on = |chip: &str, threads: u64, m: u64| {
        let target = Target {
            backend: "fake".to_string(),
            isa: "x".to_string(),
            features: vec!["wide".to_string()],
            slow: vec![],
            multiply_adds: 0,
            chip: chip.to_string(),
            vector_bytes: 64,
            vector_registers: 32,
            accumulates_in_place: true,
            threads,
            memory: vec![],
        };
        let mut row = task("matmul", m).row().clone();
        row.target = serde_json::to_string(&target).unwrap();
        row.target_hash = hash_text("target", &row.target).to_string();
        Task::from(row)
    };
    let here = on("here", 2, 64);
    for (other, schedule) in [
        (on("there", 4, 64), "more threads"),
        (on("there", 2, 65), "another size"),
        (on("there", 2, 64), "there"),
    ] {
        store.record(&other, &record(schedule, 7.0)).unwrap();
    }
    assert_eq!(store.best(&here).unwrap(), None);
    assert_eq!(store.best_elsewhere(&here).unwrap().unwrap().schedule, "there");
    assert_eq!(store.best_elsewhere(&on("here", 3, 64)).unwrap(), None);
}

/// A disk without room, for which a limit on the length of files stands in.
#[test]
fn a_full_disk_loses_nothing_that_was_committed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let mut store = Store::open(&path).unwrap();
    let before = store.record(&task("matmul", 1), &record("before", 1.0)).unwrap();
    drop(store);
    let program = std::env::current_exe().expect("a running test has a file");
    let script = "trap '' XFSZ; ulimit -f 600; exec \"$0\" --exact writer_process --nocapture";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(program)
        .env(WRITER, format!("{}|full|1000000", path.display()))
        .output()
        .expect("there is a shell");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let hashes = said.lines().filter_map(|line| Some(line.split_once("record ")?.1.to_string()));
    let printed: BTreeSet<String> = hashes.chain([before]).collect();
    assert!(printed.len() > 20, "{said}");
    assert!(said.contains(&format!("failed {FAILED}")), "{said}");
    let mut store = Store::open(&path).unwrap();
    let stored: BTreeSet<String> =
        store.list(None).unwrap().into_iter().map(|row| row.record).collect();
    assert_eq!(stored, printed, "what was told is there, and nothing half done");
    store.record(&task("matmul", 1), &record("after", 1.0)).unwrap();
}

/// The end of the journal of a killed writer is cut off, as a crash of the machine may do.
#[test]
fn a_journal_without_its_last_page_keeps_what_is_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let mut writer = start_writer(&path, "cut", 1_000_000);
    let mut lines = committed(&mut writer);
    let mut printed: Vec<String> = lines.by_ref().take(30).collect();
    writer.kill().unwrap();
    writer.wait().unwrap();
    printed.extend(lines);
    let journal = path.with_extension("sqlite-wal");
    let bytes = std::fs::metadata(&journal).unwrap().len();
    let file = std::fs::OpenOptions::new().write(true).open(&journal).unwrap();
    file.set_len(bytes - 2000).unwrap();
    drop(file);
    let stored = Store::open(&path).unwrap().list(None).unwrap();
    let stored: BTreeSet<String> = stored.into_iter().map(|row| row.record).collect();
    let lost = printed.iter().filter(|record| !stored.contains(*record)).count();
    assert!(lost <= 1, "{lost} of {}", printed.len());
}
