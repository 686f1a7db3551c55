//! Ways of copying: each strategy, each number of workers, each way to take components. What was copied is counted after each
//! run, by another walk than the one that made it; a method whose copy is not the source has failed.

use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex, PoisonError};

use pwalk_engine::{Ended, Options, Silent, Threads, join};
use pwalk_ops::copy::{CopyOptions, Event, Listener, Strategy, run as copy, strategies, strategy};

use crate::Error;
use crate::method::{Method, Running, Sample};
use crate::scratch::Scratch;
use crate::tally::{Tally, tally};
use crate::walks::note;

/// The strategy that all are compared with.
const BASELINE: &str = "baseline";
/// How many workers are tried.
const WORKERS: [usize; 5] = [1, 2, 4, 8, 16];

/// What is copied in one section, and where to.
pub(crate) struct Task {
    /// The source, all links in its path followed.
    pub(crate) source: Vec<u8>,
    /// Only these sub-directories of it.
    pub(crate) components: Option<Vec<Vec<u8>>>,
    /// What is in them.
    pub(crate) there: Tally,
    pub(crate) scratch: Arc<Scratch>,
}

impl Task {
    /// The trees that are copied.
    pub(crate) fn roots(source: &[u8], components: Option<&[Vec<u8>]>) -> Vec<Vec<u8>> {
        let of = |name: &Vec<u8>| {
            let mut path = source.to_vec();
            join(&mut path, name);
            path
        };
        components.map_or_else(|| vec![source.to_vec()], |names| names.iter().map(of).collect())
    }
}

/// Each strategy that there is.
pub(crate) fn by_strategy(task: &Arc<Task>) -> Vec<Arc<dyn Method>> {
    // The yardstick first, in the table as in the rounds.
    let mut all = strategies();
    all.sort_by_key(|strategy| strategy.name() != BASELINE);
    all.into_iter().map(|strategy| Copying::method(task, strategy, None)).collect()
}

/// More and more workers.
pub(crate) fn by_workers(task: &Arc<Task>) -> Vec<Arc<dyn Method>> {
    let by_name = |name| strategy(name).ok();
    let baseline = by_name(BASELINE).map(|strategy| Copying::method(task, strategy, None));
    let more = WORKERS.into_iter().filter_map(|n| Some(Copying::method(task, by_name("parallel")?, Some(n))));
    baseline.into_iter().chain(more).collect()
}

/// Components, by the strategy that knows of them and by others.
pub(crate) fn by_components(task: &Arc<Task>) -> Vec<Arc<dyn Method>> {
    let known = [BASELINE, "auto", "pipeline"].into_iter().filter_map(|name| strategy(name).ok());
    known.map(|strategy| Copying::method(task, strategy, None)).collect()
}

struct Copying {
    name: String,
    description: String,
    strategy: Arc<dyn Strategy>,
    workers: Option<usize>,
    task: Arc<Task>,
}

impl Copying {
    fn method(task: &Arc<Task>, strategy: Arc<dyn Strategy>, workers: Option<usize>) -> Arc<dyn Method> {
        let name = workers.map_or_else(|| strategy.name().to_owned(), |n| format!("{}-{n}", strategy.name()));
        let description = match workers {
            None => strategy.description().to_owned(),
            Some(n) => format!("strategy {}, {n} worker{}", strategy.name(), if n == 1 { "" } else { "s" }),
        };
        Arc::new(Self { name, description, strategy, workers, task: Arc::clone(task) })
    }

    /// With components: as operands of one copy, for a strategy that does not know of them.
    fn has_operands(&self) -> bool {
        self.task.components.is_some() && !self.strategy.has_components()
    }

    fn options(&self, running: &Running<'_>) -> CopyOptions {
        let task = &self.task;
        let threads = self.workers.map_or(Threads::Adaptive, Threads::Fixed);
        let sources = if self.has_operands() {
            Task::roots(&task.source, task.components.as_deref())
        } else {
            vec![task.source.clone()]
        };
        CopyOptions {
            exact: !self.has_operands(),
            strategy: Arc::clone(&self.strategy),
            components: if self.has_operands() { None } else { task.components.clone() },
            walk: Options { threads, cancel: running.cancel.clone(), ..Options::default() },
            ..CopyOptions::new(sources, task.scratch.copy_bytes())
        }
    }
}

impl Method for Copying {
    fn name(&self) -> &str {
        &self.name
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn baseline(&self) -> Option<&str> {
        Some(BASELINE)
    }

    fn prepare(&self) -> Result<(), Error> {
        let scratch = &self.task.scratch;
        scratch.make_room(&self.task.there)?;
        if self.has_operands() {
            let made = std::fs::create_dir(scratch.copy());
            made.map_err(|why| Error::Target { path: scratch.path().to_owned(), why: why.to_string() })?;
        }
        scratch.settle();
        Ok(())
    }

    fn run(&self, running: &Running<'_>) -> Sample {
        let trouble = Arc::new(Trouble::default());
        let listener: Arc<dyn Listener> = Arc::clone(&trouble) as Arc<dyn Listener>;
        let done = copy(&self.options(running), &listener, running);
        let mut errors = std::mem::take(&mut *trouble.0.lock().unwrap_or_else(PoisonError::into_inner));
        match done {
            Ok(summary) => {
                if errors.is_empty() && !summary.is_complete() && summary.ended != Ended::Cancelled {
                    errors.push("not everything was copied".to_owned());
                }
                Sample { count: summary.files, bytes: Some(summary.bytes), errors, warnings: summary.warnings }
            }
            Err(error) => {
                note(&mut errors, error.to_string());
                Sample { errors, ..Sample::default() }
            }
        }
    }

    fn check(&self, sample: &mut Sample) -> Result<(), Error> {
        if sample.errors.is_empty() {
            let copied = tally(&[self.task.scratch.copy_bytes()], &Options::default(), &Silent);
            sample.errors.extend(self.task.there.lacks(&copied));
        }
        self.task.scratch.put_away(&self.task.there)
    }
}

/// What went wrong.
#[derive(Default)]
struct Trouble(Mutex<Vec<String>>);

impl Listener for Trouble {
    fn hear(&self, event: &Event<'_>) {
        let why = match event {
            Event::Failed { path, why } => format!("{}: {why}", std::ffi::OsStr::from_bytes(path).display()),
            Event::Unread(error) => error.to_string(),
            _ => return,
        };
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), why);
    }
}
