//! Documents and their fenced blocks.
//!
//! The word after the fence is the kind, further words are its arguments:
//! `tw [NAME.tw]` a kernel file that is right; `tw refused CODE.. [NAME.tw]` one with these faults; `message` the text that
//! the program writes for the refused example just before; `schedule [NAME.schedule]` a schedule of the kernel example
//! before it, `schedule refused CODE..` one with these faults; `console` a session of the program that is replayed in a
//! folder with the named examples; `console recorded` one that holds times or depends on a machine, so it is only shown;
//! `rust FILE` and `c FILE` lines of that file of the project; `text`, `sh`, `rust`, `c`, `toml`, `json`: not run here.
//! `BLESS=1` rewrites what examples print; read the difference.

use std::path::Path;
use std::sync::Mutex;

/// Held while a document is rewritten.
static BLESSING: Mutex<()> = Mutex::new(());

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Kernel,
    Refused,
    Message,
    Schedule,
    RefusedSchedule,
    Session,
    Quoted,
    Shown,
    Unknown,
}

/// A fenced block.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) kind: Kind,
    /// The line of the fence without the fence.
    info: String,
    /// The words after the kind.
    pub(crate) arguments: Vec<String>,
    pub(crate) text: String,
    /// `docs/language.md:12`, the place of the fence.
    pub(crate) place: String,
}

/// A document with its blocks in order.
#[derive(Debug)]
pub(crate) struct Document {
    /// The path from the root of the project.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) blocks: Vec<Block>,
}

impl Block {
    /// A complaint that names the block.
    pub(crate) fn complain(&self, what: &str) -> String {
        format!("{}: {what}", self.place)
    }

    /// With `BLESS=1`, makes this the text of the block in its document.
    pub(crate) fn bless(&self, text: &str) {
        if std::env::var_os("BLESS").is_none() {
            return;
        }
        let _guard = BLESSING.lock().unwrap();
        let path = root().join(self.place.rsplit_once(':').unwrap().0);
        let document = std::fs::read_to_string(&path).unwrap();
        // Blocks are blessed in their order, so of equal ones the first that is left is this one.
        let fenced = |text: &str| format!("```{}\n{text}```\n", self.info);
        std::fs::write(path, document.replacen(&fenced(&self.text), &fenced(text), 1)).unwrap();
    }

    /// The codes of the faults that a refused example has.
    pub(crate) fn codes(&self) -> Vec<&str> {
        let is_code = |word: &&str| word.starts_with("TW");
        self.arguments.iter().map(String::as_str).filter(is_code).collect()
    }

    /// The name of the file that a session finds this block in.
    pub(crate) fn file(&self) -> Option<&str> {
        let is_file = |word: &&String| word.ends_with(".tw") || word.ends_with(".schedule");
        self.arguments.iter().find(is_file).map(String::as_str)
    }
}

/// The root of the project.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The guides at the root and in `docs/`, in path order.
pub(crate) fn documents() -> Vec<Document> {
    let mut paths = vec![];
    for folder in ["", "docs"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                paths.push(if folder.is_empty() { name } else { format!("{folder}/{name}") });
            }
        }
    }
    paths.sort();
    assert!(paths.contains(&"docs/language.md".to_string()), "the documents are found: {paths:?}");
    paths.into_iter().map(Document::read).collect()
}

impl Document {
    fn read(path: String) -> Self {
        let text = std::fs::read_to_string(root().join(&path)).unwrap();
        let blocks = blocks(&path, &text);
        Self { path, text, blocks }
    }
}

fn blocks(path: &str, text: &str) -> Vec<Block> {
    let mut blocks = vec![];
    let mut open: Option<Block> = None;
    for (index, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(info), None) => {
                open = Some(block(info, format!("{path}:{}", index + 1)));
            }
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    if let Some(block) = open {
        blocks.push(Block { kind: Kind::Unknown, ..block });
    }
    blocks
}

fn block(info: &str, place: String) -> Block {
    let mut words = info.split_whitespace().map(str::to_string);
    let first = words.next().unwrap_or_default();
    let arguments: Vec<_> = words.collect();
    let argument = arguments.first().map_or("", String::as_str);
    let kind = match (first.as_str(), argument) {
        ("tw", "refused") => Kind::Refused,
        ("tw", "") => Kind::Kernel,
        ("tw", name) if name.ends_with(".tw") => Kind::Kernel,
        ("message", "") => Kind::Message,
        ("schedule", "refused") => Kind::RefusedSchedule,
        ("schedule", "") => Kind::Schedule,
        ("schedule", name) if name.ends_with(".schedule") => Kind::Schedule,
        ("console", "") => Kind::Session,
        ("rust", file) if file.ends_with(".rs") => Kind::Quoted,
        ("c", file) if file.ends_with(".c") => Kind::Quoted,
        ("console", "recorded") | ("text" | "sh" | "rust" | "c" | "toml" | "json", _) => {
            Kind::Shown
        }
        _ => Kind::Unknown,
    };
    Block { kind, info: info.to_string(), arguments, text: String::new(), place }
}
