//! Schedules that are refused, with the whole message in text and in JSON: `tests/files/schedule_refused`.
//!
//! `BLESS=1` rewrites what stands after the mark; read the difference.

use super::{graphs, target};
use std::fs;
use std::path::Path;
use tilewright_ir::diag;
use tilewright_ir::schedule::Forms;

const MARK: &str = "# ---- expected\n";
const JSON_MARK: &str = "# ---- as JSON\n";

#[test]
fn schedules_are_refused_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/files/schedule_refused");
    let mut wrong = vec![];
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        let source = text.split_once(MARK).map_or(text.as_str(), |(source, _)| source);
        let found = message(&name, source);
        count += 1;
        if text != format!("{source}{MARK}{found}") {
            if std::env::var_os("BLESS").is_some() {
                fs::write(&path, format!("{source}{MARK}{found}")).unwrap();
            }
            wrong.push(format!("{name}:\n{found}"));
        }
    }
    assert!(count >= 7, "{count} files");
    assert!(wrong.is_empty(), "not as expected (BLESS=1 accepts it):\n{}", wrong.join("\n"));
}

fn message(name: &str, source: &str) -> String {
    let graph = match source.contains("schedule attention") {
        true => graphs::attention(16, 4094, 64),
        false => graphs::matmul(64, 64, 4096),
    };
    let faults = Forms::new(&graph, &target()).read(source).unwrap_err();
    for fault in &faults {
        let parts = [&fault.found, &fault.expected, &fault.help];
        let place = fault.span.is_some() || fault.code == "TW0406";
        assert!(
            place && (parts.iter().all(|part| part.is_some()) || fault.code == "TW0406"),
            "{fault}"
        );
    }
    let data = diag::to_json(source, &faults);
    let data = data.as_array().unwrap().iter().map(|fault| format!("{fault}\n"));
    diag::to_text(name, source, &faults) + JSON_MARK + &data.collect::<String>()
}
