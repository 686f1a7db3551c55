//! Reading an error ledger back: the places that a scan did not see.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;

use crate::{Error, class};

/// Where the ledger of a scan is, unless its user wanted it elsewhere.
pub fn ledger_of(scan: &Path) -> PathBuf {
    let mut name = scan.as_os_str().to_owned();
    name.push(".errors.jsonl");
    name.into()
}

#[derive(Deserialize)]
struct Line {
    operation: String,
    #[serde(default)]
    errno: Option<i32>,
    class: String,
    #[serde(default)]
    message: String,
    path: String,
    path_bytes: Option<String>,
}

/// An entry of a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss<'a> {
    /// What was being done.
    pub operation: &'a str,
    /// What the kernel said, if it was the kernel.
    pub errno: Option<i32>,
    /// The kind of trouble.
    pub class: &'a str,
    /// What is the matter, in words.
    pub message: &'a str,
    /// The path.
    pub path: &'a [u8],
}

/// Tells `each` all entries that make a scan partial.
///
/// # Errors
/// What reading says, and a line that is none of a ledger; whatever `each` returns.
pub fn read_losses<E: From<Error>>(ledger: &Path, each: impl FnMut(&Loss<'_>) -> Result<(), E>) -> Result<(), E> {
    let file = File::open(ledger).map_err(|e| Error::io("open", ledger, e))?;
    read_losses_of(BufReader::new(file), ledger, each)
}

/// The same of a ledger that is open; `ledger` is what messages call it.
///
/// # Errors
/// As [`read_losses`].
pub fn read_losses_of<E: From<Error>>(
    lines: impl BufRead,
    ledger: &Path,
    mut each: impl FnMut(&Loss<'_>) -> Result<(), E>,
) -> Result<(), E> {
    for line in lines.lines() {
        let line = line.map_err(|e| Error::io("read", ledger, e))?;
        let line: Line = serde_json::from_str(&line).map_err(|e| Error::json("understand", ledger, e))?;
        if !class::makes_partial(&line.class) {
            continue;
        }
        let bytes = line.path_bytes.as_ref().map(|bytes| BASE64.decode(bytes)).transpose();
        let bytes = bytes.map_err(|_| Error::because("understand", ledger, "path_bytes is no base64"))?;
        let path = bytes.as_deref().unwrap_or(line.path.as_bytes());
        let Line { operation, errno, class, message, .. } = &line;
        each(&Loss { operation, errno: *errno, class, message, path })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ledger, LedgerEntry, LedgerTarget};

    #[test]
    fn only_losses_come_back_with_their_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let scan = dir.path().join("x.parquet");
        let ledger = Ledger::new(LedgerTarget::beside(&scan)).unwrap();
        for (class, path) in [("denied", &b"/a\xff"[..]), (class::UNPRINTABLE, b"/b"), (class::INTERRUPTED, b"/c\n")] {
            ledger.record(&LedgerEntry { operation: "list", errno: None, class, path });
        }
        ledger.finish().unwrap();
        let mut found = Vec::new();
        read_losses(&ledger_of(&scan), |loss| {
            found.push((loss.path.to_vec(), loss.class.to_owned()));
            Ok::<_, Error>(())
        })
        .unwrap();
        assert_eq!(found, [(b"/a\xff".to_vec(), "denied".to_owned()), (b"/c\n".to_vec(), "interrupted".to_owned())]);
        std::fs::write(ledger_of(&scan), "{}\n").unwrap();
        assert!(read_losses(&ledger_of(&scan), |_| Ok::<_, Error>(())).is_err());
    }
}
