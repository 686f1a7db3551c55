//! Repairing the permissions of shared folders: what should belong to a group does, and the group can use it.
//!
//! ```text
//!  walk ──► rules: what should it be? ──► Change ──► plan: told, or written to a file
//!  (fold)   (group handed down)             │
//!                                           └──► works: journal, then pinned, checked, made, looked at
//!  plan file, journal ──► replay ──────────────────┘
//! ```
//!
//! * [`rules`](self): what is right (`rules.rs`), a pure function;
//! * `fold.rs`: the visitor, which knows the group to inherit and finds what is wrong;
//! * `works.rs`, `act.rs`: groups of changes, and how one is made **race-free**;
//! * `journal.rs`: write-ahead; `replay.rs`: undoing a journal and applying a reviewed plan;
//! * `protect.rs`: what is never touched, and which mounts lead out of the tree;
//! * `exclude.rs`, `privilege.rs`, `syslog.rs`, `plan.rs`, `reach.rs`: what their names say.

mod access;
mod act;
mod change;
mod error;
mod exclude;
mod fold;
mod journal;
mod options;
mod plan;
mod plausible;
mod privilege;
mod protect;
mod reach;
mod replay;
mod rules;
mod syslog;
mod works;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pwalk_engine::{Ended, Progress, WalkError};

pub use access::Access;
pub use act::Failure;
pub use change::{Change, to_json};
pub use error::RepairError;
pub use options::{Applying, Doing, RepairOptions, UNASKED, group_number, read_excludes, user_number};
pub use replay::{apply_plan, undo};
pub use rules::NewOwner;
pub use syslog::difference;

/// Something that happens in a repair, told as it happens, from any thread.
#[derive(Debug)]
pub enum Event<'a> {
    /// These would be changed.
    Planned(&'a [Change]),
    /// This was changed.
    Made(&'a Change),
    /// This should have been changed and was not.
    Failed {
        /// Its path.
        path: &'a [u8],
        /// Why.
        why: &'a Failure,
    },
    /// This is left alone.
    Left {
        /// Its path.
        path: &'a [u8],
        /// Why: `has 3 names (hard links)`.
        why: &'a str,
    },
    /// This could not be read.
    Unread(&'a WalkError),
}

/// Who is told.
pub trait Listener: Send + Sync + 'static {
    /// Is told.
    fn hear(&self, event: &Event<'_>);
}

/// Entries of a root whose group is private, and above which no directory has another: nothing was changed there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ungrouped {
    /// The root.
    pub root: Vec<u8>,
    /// How many.
    pub count: u64,
    /// One of them.
    pub first: Vec<u8>,
}

/// What a repair came to.
#[derive(Clone, Debug)]
pub struct RepairSummary {
    /// Changes that were found.
    pub changes: u64,
    /// Whether changes were to be made, and not only to be found.
    pub is_applied: bool,
    /// Changes that were made. None in a plan.
    pub made: u64,
    /// Changes that should have been made and were not.
    pub failed: u64,
    /// Files that should be changed and have other names.
    pub hard_linked: u64,
    /// Other entries that were left alone: mounts that lead out of the tree, system directories.
    pub left: u64,
    /// What is as it should be already: because somebody else was faster, or, undoing, because it never was changed.
    pub already: u64,
    /// Entries without a group to inherit, a line for each root that has some.
    pub ungrouped: Vec<Ungrouped>,
    /// What could not be read.
    pub errors: u64,
    /// Entries seen.
    pub entries: u64,
    /// Directories among them.
    pub dirs: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// How the walk ended.
    pub ended: Ended,
    /// The plan that was written.
    pub plan: Option<PathBuf>,
    /// The journal that was written; none if nothing was to be changed.
    pub journal: Option<PathBuf>,
    /// Whether the system's log heard of the changes; none if there were none to tell.
    pub logged: Option<bool>,
}

impl RepairSummary {
    pub(crate) fn new() -> Self {
        Self {
            changes: 0,
            is_applied: false,
            made: 0,
            failed: 0,
            hard_linked: 0,
            left: 0,
            already: 0,
            ungrouped: Vec::new(),
            errors: 0,
            entries: 0,
            dirs: 0,
            elapsed: Duration::ZERO,
            ended: Ended::Whole,
            plan: None,
            journal: None,
            logged: None,
        }
    }

    /// Whether everything was seen and everything that should be changed was, or would be.
    pub fn is_complete(&self) -> bool {
        self.ended == Ended::Whole && self.errors == 0 && self.failed == 0 && self.ungrouped.is_empty()
    }

    /// `COMPLETE` or `PARTIAL`.
    pub fn verdict(&self) -> &'static str {
        if self.is_complete() { "COMPLETE" } else { "PARTIAL" }
    }

    pub(crate) fn add_made(&mut self, made: works::Made) {
        self.is_applied = true;
        self.made = made.made;
        self.failed += made.failed;
        self.already += made.already;
        self.journal = made.journal;
        self.logged = (self.made > 0).then_some(made.is_logged);
    }
}

/// Plans a repair, or applies it.
///
/// Changes are made in the order in which they are found, which is unspecified, and each is in the journal before it is made.
/// Without leave for many changes, or without all of root's rights, the tree is walked once more before the first change, to know
/// whether all of them may be made.
///
/// # Errors
/// [`RepairError`]: whatever keeps it from beginning, and a journal that cannot be written. Trouble with single entries is told to
/// `listener` and counted.
pub fn run(
    options: &RepairOptions,
    listener: &Arc<dyn Listener>,
    progress: &dyn Progress,
) -> Result<RepairSummary, RepairError> {
    fold::run(options, listener, progress)
}
