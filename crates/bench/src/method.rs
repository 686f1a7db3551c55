//! One way of doing the work, as it is measured; and who is told while it is.

use std::time::{Duration, Instant};

use pwalk_engine::{Cancel, Progress, Snapshot};
use pwalk_ops::copy::{CopyProgress, CopyWatcher};

use crate::Error;

/// What one run came to.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Entries that were seen, or files that were copied.
    pub count: u64,
    /// Bytes that were copied; none of what only walks.
    pub bytes: Option<u64>,
    /// What was not done. A method with an error has failed, and is not run again.
    pub errors: Vec<String>,
    /// What was done otherwise than it was asked for.
    pub warnings: Vec<String>,
}

/// One way of doing the work.
pub trait Method: Send + Sync {
    /// Its name, in tables and in results.
    fn name(&self) -> &str;

    /// What it does, in a line.
    fn description(&self) -> &str;

    /// The method that it is compared with.
    fn baseline(&self) -> Option<&str>;

    /// Gets ready; is not measured.
    ///
    /// # Errors
    /// What ends the whole benchmark.
    fn prepare(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Does the work: what is measured.
    fn run(&self, running: &Running<'_>) -> Sample;

    /// Looks at what was made, and removes it; is not measured.
    ///
    /// # Errors
    /// What ends the whole benchmark.
    fn check(&self, sample: &mut Sample) -> Result<(), Error> {
        let _: &Sample = sample;
        Ok(())
    }
}

/// How far a benchmark is.
#[derive(Clone, Debug)]
pub struct Step {
    /// What is measured: `traversal`.
    pub operation: &'static str,
    /// Which method runs.
    pub method: String,
    /// The round; 0 is the one that warms up.
    pub round: u32,
    /// How many rounds there are, that one not counted.
    pub rounds: u32,
    /// Since when this run runs.
    pub elapsed: Duration,
}

/// Who is told how far it is: when a run begins, and a few times a second while it lasts.
pub trait Watcher {
    /// It goes on.
    fn tick(&self, step: &Step) {
        let _: &Step = step;
    }
}

impl Watcher for pwalk_engine::Silent {}

/// A run that goes on.
pub struct Running<'a> {
    pub(crate) step: Step,
    pub(crate) begun: Instant,
    pub(crate) watcher: &'a dyn Watcher,
    /// The switch that stops it.
    pub cancel: &'a Cancel,
}

impl Running<'_> {
    pub(crate) fn tell(&self) {
        self.watcher.tick(&Step { elapsed: self.begun.elapsed(), ..self.step.clone() });
    }
}

impl Progress for Running<'_> {
    fn tick(&self, _: &Snapshot) {
        self.tell();
    }
}

impl CopyWatcher for Running<'_> {
    fn tick(&self, _: &CopyProgress) {
        self.tell();
    }
}
