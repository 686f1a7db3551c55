//! Lines on standard output from many workers: whole, never mixed, in large blocks.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use pwalk_engine::{Cancel, Ended};
use pwalk_ops::path_text;
use serde_json::{Value, json};

use crate::Exit;
use crate::human::shown;

/// Whole lines are written at once, so many bytes at a time.
const BLOCK: usize = 64 << 10;

/// Standard output, and whether writing to it failed.
pub(crate) struct Out {
    failed: Mutex<Option<std::io::Error>>,
    /// Names on a terminal are escaped; a pipe gets the bytes.
    terminal: bool,
}

impl Out {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { failed: Mutex::new(None), terminal: std::io::stdout().is_terminal() })
    }

    /// How a run ends that wrote here.
    pub(crate) fn exit(&self, ended: Ended, is_partial: bool) -> anyhow::Result<Exit> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        match failed {
            Some(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Exit::Failed),
            Some(error) => Err(anyhow::Error::new(error).context("cannot write to standard output")),
            None if ended == Ended::Cancelled => Ok(Exit::Interrupted),
            None if is_partial || ended != Ended::Whole => Ok(Exit::Partial),
            None => Ok(Exit::Complete),
        }
    }
}

/// The lines of one worker.
pub(crate) struct Lines {
    out: Arc<Out>,
    bytes: Vec<u8>,
}

impl Lines {
    pub(crate) fn new(out: &Arc<Out>) -> Self {
        Self { out: Arc::clone(out), bytes: Vec::new() }
    }

    /// Appends text.
    pub(crate) fn text(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// Appends a path.
    pub(crate) fn path(&mut self, path: &[u8]) {
        if self.out.terminal {
            self.text(&shown(path));
        } else {
            self.bytes.extend_from_slice(path);
        }
    }

    /// Ends a line. False if nothing can be written any more.
    pub(crate) fn end(&mut self) -> bool {
        self.bytes.push(b'\n');
        if self.bytes.len() >= BLOCK || self.out.terminal { self.flush() } else { true }
    }

    /// Writes what is there. False if nothing can be written any more.
    pub(crate) fn flush(&mut self) -> bool {
        let mut failed = self.out.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.is_none() {
            // Under the lock, so that blocks do not mix.
            *failed = std::io::stdout().lock().write_all(&self.bytes).err();
        }
        self.bytes.clear();
        failed.is_none()
    }
}

/// Lines that all workers write to one after the other: of events, which are few.
pub(crate) struct SharedLines {
    lines: Mutex<Lines>,
    /// Pulled when nobody reads any more, if nothing but reading depends on the run.
    cancel: Option<Cancel>,
}

impl SharedLines {
    pub(crate) fn new(out: &Arc<Out>, cancel: Option<Cancel>) -> Self {
        Self { lines: Mutex::new(Lines::new(out)), cancel }
    }

    /// Appends a line.
    pub(crate) fn line(&self, write: impl FnOnce(&mut Lines)) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        write(&mut lines);
        if !lines.end()
            && let Some(cancel) = &self.cancel
        {
            cancel.cancel();
        }
    }

    /// Appends an object.
    pub(crate) fn json(&self, value: &Value) {
        self.line(|lines| lines.text(&value.to_string()));
    }

    /// Appends what happened to a path.
    pub(crate) fn event(&self, event: &str, path: &[u8], why: Option<&str>) {
        let (path, path_bytes) = path_text(path);
        let mut value = json!({"event": event, "path": path});
        for (key, text) in [("path_bytes", path_bytes.as_deref()), ("why", why)] {
            if let Some(text) = text {
                value[key] = text.into();
            }
        }
        self.json(&value);
    }

    pub(crate) fn flush(&self) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).flush();
    }
}
