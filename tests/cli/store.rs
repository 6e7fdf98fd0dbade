//! Stores that can only be read, and what `list` and `tune` make of them.

use crate::user::{User, stderr};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};

/// The user and group whom no file belongs to.
const NOBODY: u32 = 65534;

fn allow(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A user with a winner in a store that nobody can write, nor its folder.
struct Reader {
    user: User,
}

impl Reader {
    fn new() -> Self {
        let user = User::new();
        std::fs::create_dir(user.path().join("locked")).unwrap();
        let reader = Self { user };
        reader.user.ok_with(
            &["tune", "product.tw", "--seconds", "20", "--evaluations", "2", "--json"],
            &reader.store(),
        );
        allow(reader.user.path(), 0o755);
        allow(&reader.store(), 0o444);
        allow(&reader.user.path().join("locked"), 0o555);
        reader
    }

    fn store(&self) -> std::path::PathBuf {
        self.user.path().join("locked/store.sqlite")
    }

    /// Runs the program as somebody whom permissions bind: for the superuser they do not hold.
    fn run(&self, arguments: &[&str]) -> Output {
        let program = self.user.path().join("tilewright");
        if !program.exists() {
            std::fs::copy(env!("CARGO_BIN_EXE_tilewright"), &program).unwrap();
        }
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.user.path());
        command.env("TILEWRIGHT_STORE", self.store()).stdin(std::process::Stdio::null());
        if std::fs::OpenOptions::new().append(true).open(self.store()).is_ok() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.output().unwrap()
    }

    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        allow(&self.user.path().join("locked"), 0o755);
    }
}

#[test]
fn a_store_that_cannot_be_written_is_read() {
    let reader = Reader::new();
    let run: Value =
        serde_json::from_str(&reader.ok(&["run", "product.tw", "--verify", "--json"])).unwrap();
    assert_eq!(run["schedule"]["origin"], "stored");
    assert!(reader.ok(&["best", "product.tw"]).starts_with("schedule product"));
    assert!(reader.ok(&["list"]).contains("winner"));
    assert!(reader.ok(&["export"]).contains("\"role\":\"winner\""));
    assert!(reader.ok(&["describe-device"]).contains("measured"));

    // It is refused before anything is measured.
    let output = reader.run(&["tune", "product.tw", "--seconds", "60", "--json"]);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert!(stderr(&output).contains("TW0801"), "{}", stderr(&output));

    // A writable file in a folder that is not.
    allow(&reader.store(), 0o666);
    assert!(reader.ok(&["list"]).contains("winner"));
    let output = reader.run(&["tune", "product.tw", "--seconds", "60"]);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
}

#[test]
fn a_stored_schedule_that_is_damaged_is_named_and_mended_by_tuning() {
    let user = User::new();
    let tune = ["tune", "product.tw", "--seconds", "20", "--evaluations", "2"];
    user.ok(&tune);
    let store = rusqlite::Connection::open(user.path().join("store.sqlite")).unwrap();
    for broken in ["'garbage {'", "replace(schedule, '= ', '= 9')", "'schedule product { }x'"] {
        let set = format!("UPDATE results SET schedule = {broken}");
        store.execute(&set, []).unwrap();
        let run = user.run(&["run", "product.tw", "--json"]);
        let (told, shown) = (stderr(&run), String::from_utf8_lossy(&run.stdout));
        assert!(run.status.success(), "{told}");
        for word in ["TW0802", "record", "tune the kernel again"] {
            assert!(told.contains(word), "{told}");
        }
        let shown: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(shown["schedule"]["origin"], "default");
        user.ok(&tune);
        assert_eq!(user.json(&["run", "product.tw"])["schedule"]["origin"], "stored");
    }
}

#[test]
fn the_program_works_within_little_address_space() {
    let user = User::new();
    let limited = |kib: u32, arguments: &str| {
        let program = env!("CARGO_BIN_EXE_tilewright");
        let script = format!("ulimit -v {kib} && exec '{program}' {arguments}");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(user.path());
        command.env("TILEWRIGHT_STORE", user.path().join("store.sqlite")).output().unwrap()
    };
    let tune = "tune product.tw --seconds 20 --evaluations 1 --jobs 1";
    let output = limited(200_000, tune);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains("256 MiB of address space"), "{}", stderr(&output));
    let output = limited(1_200_000, tune);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn list_shows_winners_and_says_how_to_see_the_others() {
    let user = User::new();
    user.ok(&["tune", "product.tw", "--seconds", "20", "--evaluations", "2"]);
    let all = user.json(&["list"]);
    let winners = user.json(&["list", "--winners"]);
    let winners = winners["records"].as_array().unwrap();
    assert_eq!(winners.len(), 1);
    assert_eq!(winners[0]["role"], "winner");
    assert!(all["records"].as_array().unwrap().len() > 1);
    let output = user.run(&["list"]);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(table.contains("winner") && !table.contains("naive"), "{table}");
    let hint = "not shown: `tilewright list --all` shows all";
    assert!(crate::user::stderr(&output).contains(hint), "{}", crate::user::stderr(&output));
    let every = user.run(&["list", "--all"]);
    assert!(String::from_utf8_lossy(&every.stdout).contains("naive"));
    assert_eq!(crate::user::stderr(&every), "");
}

#[test]
fn a_kernel_without_work_has_no_peak() {
    let user = User::new();
    user.write("twice.tw", "kernel twice(x: f32[i]) -> f32[i] { x + x }\nsizes none { i=0 }\n");
    let text = user.ok(&["tune", "twice.tw", "--evaluations", "1", "--seconds", "4"]);
    assert!(text.contains("twice at i=0") && !text.contains("of peak"), "{text}");
}

#[test]
fn a_small_budget_is_not_spent_on_the_machine() {
    let user = User::new();
    let text = user.ok(&["tune", "product.tw", "--seconds", "4", "--evaluations", "2"]);
    assert!(text.contains("have not been measured"), "{text}");
    let device = user.ok(&["describe-device", "--no-measure"]);
    assert!(device.contains("not at all"), "{device}");
}

#[test]
fn a_naive_loop_nest_that_is_too_slow_is_bounded() {
    let user = User::new();
    let tune = ["tune", "product.tw", "--size", "m=700,k=700,n=700", "--seconds", "2"];
    let text = user.ok(&[&tune[..], &["--evaluations", "1"]].concat());
    assert!(text.contains("over 25.00 ms, too slow"), "{text}");
    assert!(text.contains("the best is more than"), "{text}");
}
