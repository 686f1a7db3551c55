//! What a fold tells while it runs. The engine prints nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// How far the fold is.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Entries delivered, roots among them.
    pub entries: u64,
    /// Directories finished.
    pub dirs: u64,
    /// Sum of the sizes of the entries delivered, in bytes.
    pub bytes: u64,
    /// Errors so far.
    pub errors: u64,
    /// Time since the start.
    pub elapsed: Duration,
    /// Workers that may run now.
    pub workers: usize,
    /// A directory that is being worked on: its path as bytes.
    pub current: Option<Vec<u8>>,
}

/// A call that has not come back for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stall {
    /// What it reads: a path as bytes.
    pub path: Vec<u8>,
    /// What it does, as in an error.
    pub doing: &'static str,
    /// For how long.
    pub since: Duration,
    /// Whether it was given up, and the walk goes on without it.
    pub given_up: bool,
}

/// Who is told. All of it is called by the thread that called `fold`, a few times a second.
pub trait Progress {
    /// The fold goes on.
    fn tick(&self, snapshot: &Snapshot) {
        let _: &Snapshot = snapshot;
    }

    /// A call does not come back: told after 30 seconds, and once more if it is given up.
    fn stalled(&self, stall: &Stall) {
        let _: &Stall = stall;
    }
}

/// Nobody is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {}

/// A switch that stops a fold within a second, from any thread or from a signal handler.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A new switch, not pulled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the fold.
    pub fn cancel(&self) {
        // Relaxed: nothing else is published with it; who polls it sees it soon.
        self.0.store(true, Relaxed);
    }

    /// Whether it was pulled.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Relaxed)
    }

    /// The flag itself, for a signal handler to set.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}
