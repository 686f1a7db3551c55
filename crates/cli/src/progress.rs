//! Progress on standard error: a live line on a terminal, plain lines or JSON where asked for.

use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pwalk_engine::{Progress, Snapshot, Stall};
use serde_json::{Value, json};

use crate::args::ProgressMode;
use crate::human::{bytes, count, shown};

/// What is shown while a fold runs.
pub(crate) struct Show {
    how: How,
    /// When the last plain line was written.
    last: Cell<Duration>,
}

enum How {
    Nothing,
    Bar(ProgressBar),
    Lines,
    Json,
}

impl Show {
    pub(crate) fn new(mode: ProgressMode, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let how = match mode {
            _ if quiet => How::Nothing,
            ProgressMode::Json => How::Json,
            ProgressMode::Never => How::Nothing,
            ProgressMode::Auto if !terminal => How::Nothing,
            ProgressMode::Always if !terminal => How::Lines,
            ProgressMode::Auto | ProgressMode::Always => How::Bar(bar()),
        };
        Self { how, last: Cell::new(Duration::ZERO) }
    }

    /// Whether results, too, should be JSON.
    pub(crate) fn is_json(&self) -> bool {
        matches!(self.how, How::Json)
    }

    /// Whether anybody sees progress.
    pub(crate) fn is_seen(&self) -> bool {
        !matches!(self.how, How::Nothing)
    }

    /// Lets the process have as many files open as it may; a failure is told.
    pub(crate) fn raise_file_descriptor_limit(&self) {
        pwalk_fs::raise_file_descriptor_limit().unwrap_or_else(|error| {
            self.say(&format!("pwalk: cannot raise the limit of open files ({error}); going on with the present one"));
            0
        });
    }

    /// Shows how far it is, `elapsed` after the start.
    pub(crate) fn line(&self, elapsed: Duration, text: impl Fn() -> String, json: impl Fn() -> Value) {
        match &self.how {
            How::Nothing => {}
            How::Bar(bar) => {
                bar.set_message(text());
                bar.tick();
            }
            How::Lines => {
                if elapsed.saturating_sub(self.last.get()) >= Duration::from_secs(1) {
                    self.last.set(elapsed);
                    self.say(&text());
                }
            }
            How::Json => self.say(&json().to_string()),
        }
    }

    /// Takes the line away.
    pub(crate) fn finish(&self) {
        if let How::Bar(bar) = &self.how {
            bar.finish_and_clear();
        }
    }

    /// A line on standard error; with a live line, above it.
    pub(crate) fn say(&self, line: &str) {
        let write = || {
            // Nowhere is left to tell that standard error is closed.
            writeln!(std::io::stderr(), "{line}").unwrap_or_default();
        };
        match &self.how {
            How::Bar(bar) => bar.suspend(write),
            _ => write(),
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
    // A template that does not parse leaves the default style.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
        bar.set_style(style);
    }
    bar
}

impl Progress for Show {
    fn tick(&self, s: &Snapshot) {
        self.line(
            s.elapsed,
            || line(s),
            || {
                json!({
                    "event": "progress", "entries": s.entries, "directories": s.dirs, "bytes": s.bytes,
                    "errors": s.errors, "seconds": s.elapsed.as_secs_f64(), "workers": s.workers,
                    "current": s.current.as_deref().map(shown),
                })
            },
        );
    }

    fn stalled(&self, stall: &Stall) {
        let (path, seconds) = (shown(&stall.path), stall.since.as_secs());
        if self.is_json() {
            let event = if stall.given_up { "given_up" } else { "stalled" };
            let line = json!({"event": event, "operation": stall.doing, "path": path, "seconds": seconds});
            return self.say(&line.to_string());
        }
        let what = if stall.given_up {
            "given up; the walk goes on without it"
        } else {
            "still waiting; check the server, or use --give-up-after"
        };
        self.say(&format!("pwalk: {} of {path} has not come back for {seconds} s: {what}", stall.doing));
    }
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shown")]
pub(crate) fn rate(entries: u64, elapsed: Duration) -> u64 {
    (entries as f64 / elapsed.as_secs_f64().max(1e-9)) as u64
}

fn line(s: &Snapshot) -> String {
    let mut line = format!(
        "{} entries  {} directories  {}  {}/s  {} workers",
        count(s.entries),
        count(s.dirs),
        bytes(s.bytes),
        count(rate(s.entries, s.elapsed)),
        s.workers
    );
    if s.errors > 0 {
        line.push_str(&format!("  {} errors", count(s.errors)));
    }
    if let Some(current) = &s.current {
        line.push_str("  ");
        line.push_str(&shown(current));
    }
    line
}
