//! The error ledger: one JSON line for everything that is not, or not exactly, in the output.
//!
//! Errors are data. A scan of a million directories without permission has a million errors, so the ledger is
//! a stream to disk and keeps only counts. It is made with its first entry, as a temporary file like
//! any other [`Output`], and gets its name together with the scan.
//!
//! An entry is `{"operation", "errno", "errno_name", "class", "message", "path", "path_bytes"}`: `errno` and its
//! name are null where the kernel was not the one who refused; `path` is text, with U+FFFD for what is not UTF-8,
//! and `path_bytes` (base64) is there only in that case.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use nix::errno::Errno;
use serde::Serialize;

use crate::names::{Text, text};
use crate::output::remove_stale;
use crate::{Error, Output, Target, Written};

/// The classes that this crate itself gives. The others are the engine's.
pub mod class {
    /// The path has bytes below 0x20, which the CSV leaves out.
    pub const UNPRINTABLE: &str = "unprintable";
    /// A time is outside what Parquet's 64-bit nanoseconds hold (1677 to 2262) and was moved to the end.
    pub const UNREPRESENTABLE: &str = "unrepresentable";

    /// The scan was stopped before this directory was finished: its row has what was added up by then.
    pub const INTERRUPTED: &str = "interrupted";

    /// Whether an entry of this class means that the scan did not see everything.
    pub fn makes_partial(class: &str) -> bool {
        class != UNPRINTABLE && class != UNREPRESENTABLE
    }
}

/// One thing that went wrong.
#[derive(Clone, Copy, Debug)]
pub struct LedgerEntry<'a> {
    /// What was being done: `open`, `list`, `stat` ….
    pub operation: &'a str,
    /// What the kernel said.
    pub errno: Option<i32>,
    /// The kind of trouble: `denied`, `vanished`, `io` …, or one of [`class`].
    pub class: &'a str,
    /// The path, as the root was given.
    pub path: &'a [u8],
}

/// Where the ledger goes.
pub enum LedgerTarget {
    /// To a file, which is there only if it has entries; one from an earlier run is removed.
    IfAny(PathBuf),
    /// To a file, which is there afterwards in any case.
    Always(Target),
    /// To an open stream, a line at a time.
    Stream(Box<dyn Write + Send>),
    /// The same, but only entries that make the scan partial; the others are counted.
    Losses(Box<dyn Write + Send>),
    /// Nowhere: entries are only counted.
    Nowhere,
}

impl LedgerTarget {
    /// `NAME.errors.jsonl` beside the output `NAME`.
    pub fn beside(output: &Path) -> Self {
        Self::IfAny(crate::ledger_of(output))
    }
}

/// The error ledger of a scan, appended to from any thread.
pub struct Ledger {
    state: Mutex<State>,
}

struct State {
    sink: Sink,
    losses_only: bool,
    buffer: Vec<u8>,
    counts: BTreeMap<String, u64>,
    error: Option<Error>,
}

enum Sink {
    /// Not made yet.
    Lazy(PathBuf),
    File(Output),
    Stream(Box<dyn Write + Send>),
    Nowhere,
}

/// Lines are collected to this size before they are written.
const BUFFER: usize = 64 << 10;

impl Ledger {
    /// Opens the ledger.
    ///
    /// # Errors
    /// For [`LedgerTarget::Always`] as [`Output::create`].
    pub fn new(target: LedgerTarget) -> Result<Self, Error> {
        let losses_only = matches!(target, LedgerTarget::Losses(_));
        let sink = match target {
            LedgerTarget::IfAny(path) => Sink::Lazy(path),
            LedgerTarget::Always(target) => Sink::File(Output::create(&target)?),
            LedgerTarget::Stream(stream) | LedgerTarget::Losses(stream) => Sink::Stream(stream),
            LedgerTarget::Nowhere => Sink::Nowhere,
        };
        let state = State { sink, losses_only, buffer: Vec::new(), counts: BTreeMap::new(), error: None };
        Ok(Self { state: Mutex::new(state) })
    }

    /// Appends an entry. If the ledger cannot be written, [`finish`](Self::finish) says so: a scan goes on
    /// without it, but does not end well.
    pub fn record(&self, entry: &LedgerEntry<'_>) {
        let line = line(entry);
        let mut state = self.lock();
        match state.counts.get_mut(entry.class) {
            Some(count) => *count += 1,
            None => {
                state.counts.insert(entry.class.to_owned(), 1);
            }
        }
        let counted_only = state.losses_only && !class::makes_partial(entry.class);
        if state.error.is_some() || counted_only || matches!(state.sink, Sink::Nowhere) {
            return;
        }
        match line {
            Ok(line) => state.buffer.extend_from_slice(&line),
            Err(e) => state.error = Some(Error::json("write an entry to", Path::new("the error ledger"), e)),
        }
        if state.buffer.len() >= BUFFER || matches!(state.sink, Sink::Stream(_)) {
            state.write();
        }
    }

    /// How many entries there are, by class.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.lock().counts.clone()
    }

    /// Whether the ledger cannot be written, so that the scan had better stop.
    pub fn failed(&self) -> bool {
        self.lock().error.is_some()
    }

    /// How many entries there are that make the scan partial.
    pub fn partial_count(&self) -> u64 {
        self.lock().counts.iter().filter(|(c, _)| class::makes_partial(c)).map(|(_, n)| n).sum()
    }

    /// Completes the ledger: what is returned says where it is, if it is anywhere.
    ///
    /// # Errors
    /// The first that writing had.
    pub fn finish(self) -> Result<Option<Written>, Error> {
        let mut state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.write();
        if let Some(error) = state.error {
            return Err(error);
        }
        match state.sink {
            Sink::Lazy(path) => remove_stale(&path).map(|()| None),
            Sink::File(output) => output.commit().map(Some),
            Sink::Stream(_) | Sink::Nowhere => Ok(None),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Writes the buffer; the first failure is kept and ends all writing.
    fn write(&mut self) {
        if self.buffer.is_empty() || self.error.is_some() {
            return;
        }
        if let Sink::Lazy(path) = &self.sink {
            match Output::create(&Target::File(path.clone())) {
                Ok(output) => self.sink = Sink::File(output),
                Err(error) => {
                    self.error = Some(error);
                    return;
                }
            }
        }
        let done = match &mut self.sink {
            Sink::File(output) => output.append(&self.buffer),
            Sink::Stream(stream) => stream
                .write_all(&self.buffer)
                .and_then(|()| stream.flush())
                .map_err(|e| Error::io("write", Path::new("the error ledger"), e)),
            Sink::Lazy(_) | Sink::Nowhere => Ok(()),
        };
        self.error = done.err();
        self.buffer.clear();
    }
}

#[derive(Serialize)]
struct Line<'a> {
    operation: &'a str,
    errno: Option<i32>,
    errno_name: Option<String>,
    class: &'a str,
    message: String,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
}

fn line(entry: &LedgerEntry<'_>) -> Result<Vec<u8>, serde_json::Error> {
    let errno = entry.errno.map(Errno::from_raw);
    let Text { text, exact } = text(entry.path);
    let mut line = serde_json::to_vec(&Line {
        operation: entry.operation,
        errno: entry.errno,
        // `Errno`'s `Debug` is the name of its variant, which is the name in `errno.h`.
        errno_name: errno.filter(|&e| e != Errno::UnknownErrno).map(|e| format!("{e:?}")),
        class: entry.class,
        message: message(entry, errno),
        path: &text,
        path_bytes: (!exact).then(|| BASE64.encode(entry.path)),
    })?;
    line.push(b'\n');
    Ok(line)
}

fn message(entry: &LedgerEntry<'_>, errno: Option<Errno>) -> String {
    match (errno, entry.class) {
        (Some(errno), _) => errno.desc().to_owned(),
        (None, class::UNPRINTABLE) => "the CSV leaves out bytes below 0x20".to_owned(),
        (None, class::INTERRUPTED) => "the scan was stopped before this directory was finished".to_owned(),
        (None, class::UNREPRESENTABLE) => "a time outside 1677 to 2262 was moved to the nearest end".to_owned(),
        (None, class) => class.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENIED: LedgerEntry<'_> =
        LedgerEntry { operation: "open", errno: Some(13), class: "denied", path: b"/a\xff\n\"b" };

    fn lines(path: &Path) -> Vec<serde_json::Value> {
        std::fs::read_to_string(path).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    #[test]
    fn an_entry_keeps_the_exact_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.csv.errors.jsonl");
        let ledger = Ledger::new(LedgerTarget::beside(&dir.path().join("x.csv"))).unwrap();
        ledger.record(&DENIED);
        ledger.record(&LedgerEntry { operation: "row", errno: None, class: class::UNPRINTABLE, path: b"/a\n" });
        assert_eq!(ledger.counts().get("denied"), Some(&1));
        assert_eq!(ledger.partial_count(), 1);
        assert!(!path.exists(), "not before the end");
        assert_eq!(ledger.finish().unwrap().unwrap().path.as_deref(), Some(&*path));
        let lines = lines(&path);
        assert_eq!(lines[0]["errno"], 13);
        assert_eq!(lines[0]["errno_name"], "EACCES");
        assert_eq!(lines[0]["message"], "Permission denied");
        assert_eq!(lines[0]["path"], "/a\u{fffd}\n\"b");
        assert_eq!(BASE64.decode(lines[0]["path_bytes"].as_str().unwrap()).unwrap(), DENIED.path);
        assert_eq!(lines[1]["errno_name"], serde_json::Value::Null);
        assert_eq!(lines[1].get("path_bytes"), None);
    }

    #[test]
    fn a_clean_run_removes_the_ledger_of_an_earlier_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.errors.jsonl");
        std::fs::write(&path, "old").unwrap();
        assert_eq!(Ledger::new(LedgerTarget::IfAny(path.clone())).unwrap().finish().unwrap(), None);
        assert!(!path.exists());
        Ledger::new(LedgerTarget::Always(Target::File(path.clone()))).unwrap().finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn threads_do_not_mix_their_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("e");
        let ledger = Ledger::new(LedgerTarget::IfAny(path.clone())).unwrap();
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| (0..2000).for_each(|_| ledger.record(&DENIED)));
            }
        });
        ledger.finish().unwrap();
        assert_eq!(lines(&path).len(), 8000);
    }

    #[test]
    fn a_ledger_that_cannot_be_written_is_an_error_at_the_end() {
        let ledger = Ledger::new(LedgerTarget::IfAny("/proc/no/such".into())).unwrap();
        ledger.record(&DENIED);
        assert!(ledger.finish().is_err());
        let full = Ledger::new(LedgerTarget::Always(Target::File("/dev/full".into()))).unwrap();
        full.record(&DENIED);
        let error = full.finish().unwrap_err();
        assert_eq!(error.io_kind(), Some(std::io::ErrorKind::StorageFull), "{error}");
    }
}
