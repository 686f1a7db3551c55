//! What `pwalk copy` says while it runs and in the end: lines for people, or JSON.

use std::sync::Arc;

use pwalk_engine::Cancel;
use pwalk_ops::copy::{CopyError, CopyProgress, CopySummary, CopyWatcher, Event, Listener};
use serde_json::{Value, json};

use super::{CopyArgs, interrupted};
use crate::human::{bytes, count, plural, say, shown};
use crate::out::{Out, SharedLines};
use crate::progress::{Show, rate};

/// What is told, from any thread.
pub(super) struct Told {
    lines: SharedLines,
    is_json: bool,
    quiet: bool,
    dry_run: bool,
}

impl Told {
    pub(super) fn new(out: &Arc<Out>, cancel: &Cancel, args: &CopyArgs) -> Self {
        // Only a run that does nothing else is ended by who reads no more.
        let cancel = args.what.dry_run.then(|| cancel.clone());
        let lines = SharedLines::new(out, cancel);
        Self { lines, is_json: args.json, quiet: args.quiet, dry_run: args.what.dry_run }
    }

    pub(super) fn flush(&self) {
        self.lines.flush();
    }

    fn line(&self, what: &str, path: &[u8]) {
        if self.quiet {
            return;
        }
        self.lines.line(|lines| {
            lines.text(what);
            lines.path(path);
        });
    }

    /// The run was refused, or ended by an error; for people that is told where errors are.
    pub(super) fn failed(&self, error: &CopyError) {
        if self.is_json {
            let why = error.to_string();
            self.lines.json(&json!({"event": "failed", "why": why}));
            self.lines.json(&json!({"event": "done", "verdict": "PARTIAL", "why": why}));
        }
    }

    /// How to go on with what was stopped.
    pub(super) fn advise(&self, is_new: bool, show: &Show) {
        if !self.quiet && !self.is_json {
            // The same command would now copy into what it began.
            let options = if is_new { "-T and --resume" } else { "--resume" };
            show.say(&format!("  go on with the same command and {options}"));
        }
    }

    /// What it all came to.
    pub(super) fn summary(&self, s: &CopySummary, show: &Show) {
        if self.is_json {
            return self.lines.json(&as_json(s));
        }
        if let Some(halt) = &s.halted {
            show.say(&format!("pwalk: {halt}"));
        }
        if !self.quiet {
            tell(s, show);
        } else if !s.is_complete() {
            show.say(&format!("pwalk: {}", s.verdict()));
        }
    }
}

impl Listener for Told {
    fn hear(&self, event: &Event<'_>) {
        match event {
            Event::Would { path, replaces } if self.is_json => {
                self.lines.event(if *replaces { "would_replace" } else { "would_copy" }, path, None);
            }
            Event::Would { path, replaces } => self.line(if *replaces { "replace " } else { "copy " }, path),
            Event::Deleted { path } if self.is_json => self.lines.event("removed", path, None),
            Event::Deleted { path } if self.dry_run => self.line("remove ", path),
            Event::Deleted { .. } => {}
            Event::Failed { path, why } if self.is_json => {
                self.lines.event(if why.is_minor() { "not_kept" } else { "failed" }, path, Some(&why.to_string()));
            }
            Event::Failed { path, why } => say(format_args!("pwalk: {}: {why}", shown(path))),
            Event::Unread(error) if self.is_json => self.lines.event("unread", &error.path, Some(&error.to_string())),
            Event::Unread(error) => say(format_args!("pwalk: {error}")),
            Event::Warning(warning) if self.is_json => self.lines.json(&json!({"event": "warning", "why": warning})),
            Event::Warning(warning) => say(format_args!("pwalk: {warning}")),
        }
    }
}

impl CopyWatcher for Show {
    fn tick(&self, p: &CopyProgress) {
        self.line(
            p.elapsed,
            || line(p),
            || {
                json!({
                    "event": "progress", "files": p.files, "total_files": p.total_files, "bytes": p.bytes,
                    "total_bytes": p.total_bytes, "errors": p.errors, "seconds": p.elapsed.as_secs_f64(),
                    "workers": p.workers, "current": p.current.as_deref().map(shown),
                })
            },
        );
    }

    fn stalled(&self, stall: &pwalk_engine::Stall) {
        pwalk_engine::Progress::stalled(self, stall);
    }
}

fn line(p: &CopyProgress) -> String {
    let of = |total: Option<String>| total.map_or_else(String::new, |total| format!(" of {total}"));
    let mut line = format!(
        "{}{} files  {}{}  {}/s  {} workers",
        count(p.files),
        of(p.total_files.map(count)),
        bytes(p.bytes),
        of(p.total_bytes.map(bytes)),
        bytes(rate(p.bytes, p.elapsed)),
        p.workers
    );
    if p.errors > 0 {
        line.push_str(&format!("  {} errors", count(p.errors)));
    }
    if let Some(current) = &p.current {
        line.push_str("  ");
        line.push_str(&shown(current));
    }
    line
}

fn tell(s: &CopySummary, show: &Show) {
    let verdict = if interrupted(s) { "INTERRUPTED" } else { s.verdict() };
    let would = if s.is_dry { "; nothing was done" } else { "" };
    show.say(&format!(
        "{verdict}: {}  {}  {}{would}",
        plural(s.files, "file", "files"),
        plural(s.dirs, "directory", "directories"),
        bytes(s.bytes)
    ));
    let mut parts = vec![
        format!("{:.2} s", s.elapsed.as_secs_f64()),
        format!("{}/s", bytes(rate(s.bytes, s.elapsed))),
        plural(s.workers as u64, "worker", "workers"),
    ];
    if s.links > 0 {
        parts.push(plural(s.links, "hard link", "hard links"));
    }
    let counts = [
        (s.replaced, "replaced"),
        (s.skipped, "left as they were"),
        (s.already, "copied before"),
        (s.deleted, "removed"),
        (s.failed, "failed"),
        (s.unread, "not read"),
        (s.not_kept, "attributes not kept"),
        (s.snapshots, "snapshot directories left out (--include-snapshots copies them)"),
    ];
    parts.extend(counts.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", count(n))));
    if s.cloned > 0 {
        parts.push(format!("{} shared with the source", bytes(s.cloned)));
    }
    show.say(&format!("  {}", parts.join("  ")));
    if s.disowned > 0 {
        show.say(&format!(
            "  {} of others now belong to you: only root can give files away",
            plural(s.disowned, "entry", "entries")
        ));
    }
}

fn as_json(s: &CopySummary) -> Value {
    json!({
        "event": "done", "verdict": s.verdict(), "interrupted": interrupted(s), "dry_run": s.is_dry, "files": s.files,
        "directories": s.dirs, "hard_links": s.links, "bytes": s.bytes, "shared_bytes": s.cloned, "replaced": s.replaced,
        "skipped": s.skipped, "already": s.already, "removed": s.deleted, "failed": s.failed, "not_kept": s.not_kept,
        "owners_not_kept": s.disowned, "unread": s.unread, "snapshots_skipped": s.snapshots,
        "seconds": s.elapsed.as_secs_f64(), "workers": s.workers, "strategy": s.strategy, "warnings": s.warnings,
        "mirror_refused": s.is_mirror_refused, "why": s.halted.as_ref().map(ToString::to_string),
    })
}
