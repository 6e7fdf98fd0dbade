//! Where the store is when nobody says.

use super::CANNOT_OPEN;
use std::ffi::OsString;
use std::fmt::Display;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use tilewright_ir::diag::Diagnostic;

/// The default file: `$TILEWRIGHT_STORE`, else `$XDG_DATA_HOME/tilewright/store.sqlite`, else
/// `~/.local/share/tilewright/store.sqlite`. Empty variables count as unset.
///
/// # Errors
/// `TW0801` if none of the variables nor `HOME` is set.
pub fn default_path() -> Result<PathBuf, Diagnostic> {
    path_from(&|name| std::env::var_os(name).filter(|value| !value.is_empty()))
}

fn path_from(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<PathBuf, Diagnostic> {
    if let Some(file) = variable("TILEWRIGHT_STORE") {
        return Ok(PathBuf::from(file));
    }
    let data = match variable("XDG_DATA_HOME") {
        Some(folder) => Some(PathBuf::from(folder)),
        None => variable("HOME").map(|home| PathBuf::from(home).join(".local/share")),
    };
    data.map(|folder| folder.join("tilewright/store.sqlite")).ok_or_else(|| {
        Diagnostic::new(CANNOT_OPEN, "there is no place for the store: HOME is not set")
            .help("set TILEWRIGHT_STORE to a file")
    })
}

/// The path as SQLite reads it where it takes options: what means something there is escaped.
pub(super) fn uri(path: &Path, options: &str) -> OsString {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
    let escape = |&byte: &u8| match byte {
        byte if plain(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02x}"),
    };
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let escaped: String = absolute.as_os_str().as_bytes().iter().map(escape).collect();
    format!("file:{escaped}?{options}").into()
}

pub(super) fn cannot_open(path: &Path, why: &dyn Display) -> Diagnostic {
    Diagnostic::new(CANNOT_OPEN, format!("cannot open the store {}: {why}", path.display()))
        .help("set TILEWRIGHT_STORE to a file that can be written")
}

#[cfg(test)]
mod tests {
    use super::path_from;
    use std::ffi::OsString;
    use std::path::PathBuf;

    fn with(pairs: &[(&str, &str)]) -> Option<PathBuf> {
        let find = |name: &str| {
            pairs.iter().find(|pair| pair.0 == name).map(|pair| OsString::from(pair.1))
        };
        path_from(&find).ok()
    }

    #[test]
    fn the_first_variable_that_is_set_wins() {
        let home = ("HOME", "/h");
        let data = ("XDG_DATA_HOME", "/d");
        assert_eq!(with(&[("TILEWRIGHT_STORE", "/s"), data, home]), Some("/s".into()));
        assert_eq!(with(&[data, home]), Some("/d/tilewright/store.sqlite".into()));
        assert_eq!(with(&[home]), Some("/h/.local/share/tilewright/store.sqlite".into()));
        assert_eq!(with(&[]), None);
    }
}
