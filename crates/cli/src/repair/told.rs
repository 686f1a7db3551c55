//! What `pwalk repair` says while it runs and in the end: lines for people, or JSON.

use std::sync::Arc;

use pwalk_engine::Cancel;
use pwalk_fs::Accounts;
use pwalk_ops::path_text;
use pwalk_ops::repair::{Change, Event, Listener, RepairError, RepairSummary, Ungrouped, difference, to_json};
use serde_json::{Value, json};

use super::{RepairArgs, bytes, interrupted};
use crate::human::{count, plural, say, shown};
use crate::out::{Out, SharedLines};
use crate::progress::Show;

/// How it is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// Planned changes, a line each.
    Lines,
    /// Everything, a JSON object each.
    Json,
    /// No changes: they are written to a file, or made, or were not asked for.
    Nothing,
}

/// What is told, from any thread.
pub(super) struct Told {
    lines: SharedLines,
    how: How,
    quiet: bool,
    names: Accounts,
}

impl Told {
    pub(super) fn new(out: &Arc<Out>, cancel: &Cancel, args: &RepairArgs) -> Self {
        let how = match () {
            () if args.json => How::Json,
            () if args.quiet || args.doing.plan.is_some() => How::Nothing,
            () => How::Lines,
        };
        let lines = SharedLines::new(out, Some(cancel.clone()));
        Self { lines, how, quiet: args.quiet, names: Accounts::default() }
    }

    pub(super) fn flush(&self) {
        self.lines.flush();
    }

    fn changes(&self, event: &str, changes: &[Change]) {
        if self.how == How::Nothing {
            return;
        }
        for change in changes {
            // Made outside the lock: other workers write meanwhile.
            let text = match self.how {
                How::Json => format!("{{\"event\":\"{event}\",{}", to_json(change).trim_start_matches('{')),
                _ => format!(": {}", difference(&change.before, &change.after, Some(&self.names))),
            };
            self.lines.line(|lines| {
                if self.how == How::Lines {
                    lines.path(&change.path);
                }
                lines.text(&text);
            });
        }
    }

    fn trouble(&self, event: &str, path: &[u8], why: &str) {
        if self.how == How::Json {
            return self.lines.event(event, path, Some(why.trim_start_matches(": ")));
        }
        let blank = if why.starts_with(':') { "" } else { " " };
        say(format_args!("pwalk: {}{blank}{why}", shown(path)));
    }

    /// The run was refused, or ended by an error.
    pub(super) fn failed(&self, error: &RepairError) {
        self.lines.json(&json!({"event": "failed", "why": error.to_string()}));
    }

    /// What it all came to.
    pub(super) fn summary(&self, s: &RepairSummary, show: &Show) {
        for Ungrouped { root, count: n, first } in &s.ungrouped {
            let what = plural(*n, "entry", "entries");
            let why = format!(
                "has {what} with a private group and no directory above with another, for example {}; nothing was changed there. \
                 Give the directory a group that is shared: chgrp GROUP {}",
                shown(first),
                shown(root)
            );
            self.trouble("no_group", root, &why);
        }
        if self.how == How::Json {
            return self.lines.json(&as_json(s));
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
            Event::Planned(changes) => self.changes("planned", changes),
            Event::Made(change) if self.how == How::Json => self.changes("made", std::slice::from_ref(change)),
            Event::Made(_) => {}
            Event::Failed { path, why } => self.trouble("failed", path, &format!(": {why}")),
            Event::Left { .. } if self.quiet && self.how != How::Json => {}
            Event::Left { path, why } => self.trouble("left", path, &format!("{why}; left alone")),
            Event::Unread(error) if self.how == How::Json => self.trouble("unread", &error.path, &error.to_string()),
            Event::Unread(error) => say(format_args!("pwalk: {error}")),
        }
    }
}

fn tell(s: &RepairSummary, show: &Show) {
    let journal = s.journal.as_deref();
    let what = if s.is_applied {
        format!("{} made", plural(s.made, "change", "changes"))
    } else {
        format!("{} to make; nothing was changed", plural(s.changes, "change", "changes"))
    };
    let verdict = if interrupted(s) { "INTERRUPTED" } else { s.verdict() };
    show.say(&format!("{verdict}: {what}"));
    let mut parts =
        vec![format!("{} seen", plural(s.entries, "entry", "entries")), format!("{:.2} s", s.elapsed.as_secs_f64())];
    let counts = [
        (s.failed, "failed"),
        (s.errors, "not read"),
        (s.hard_linked, "hard-linked, left alone (--allow-hardlinked changes them)"),
    ];
    let counts = counts.into_iter().chain([(s.left, "left alone"), (s.already, "as they should be already")]);
    parts.extend(counts.filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", count(n))));
    show.say(&format!("  {}", parts.join("  ")));
    if let Some(plan) = &s.plan {
        show.say(&format!("  plan: {0}; apply it with: pwalk repair --apply-plan {0}", shown(bytes(plan))));
    }
    if let Some(journal) = journal {
        show.say(&format!("  journal: {0}; take it back with: pwalk repair --undo {0}", shown(bytes(journal))));
    }
    if s.logged == Some(false) {
        show.say("  nobody listens at /dev/log: the changes are in the journal only");
    }
}

fn as_json(s: &RepairSummary) -> Value {
    let text = |path: &std::path::Path| path_text(bytes(path)).0.into_owned();
    json!({
        "event": "done", "verdict": s.verdict(), "interrupted": interrupted(s), "changes": s.changes, "made": s.made,
        "failed": s.failed, "hard_linked": s.hard_linked, "left_alone": s.left, "already": s.already,
        "without_group": s.ungrouped.iter().map(|root| root.count).sum::<u64>(), "errors": s.errors, "entries": s.entries,
        "directories": s.dirs, "seconds": s.elapsed.as_secs_f64(), "plan": s.plan.as_deref().map(text),
        "journal": s.journal.as_deref().map(text), "syslog": s.logged,
    })
}
