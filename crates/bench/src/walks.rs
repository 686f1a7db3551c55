//! Ways of walking: the engine with and without metadata, and one thread that reads one directory after another.
//!
//! The yardstick is what anybody would write: `read_dir` on paths, and for metadata one `lstat` for each entry. What needs only
//! names is compared with the one, what needs metadata with the other.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use pwalk_engine::{
    Batch, Context, Descend, Dir, Frontier, Needs, Options, Outcome, Sink, Snapshots, Threads, Visitor, WalkError, fold,
};

use crate::method::{Method, Running, Sample};

/// So many errors of a method are kept.
pub(crate) const KEPT: usize = 20;
/// The yardsticks.
const READDIR: &str = "readdir";
const READDIR_STAT: &str = "readdir-stat";

/// All ways of walking the tree at `path` on a machine with `cores` processors.
pub(crate) fn walks(path: &[u8], cores: usize) -> Vec<Arc<dyn Method>> {
    let mut methods: Vec<Arc<dyn Method>> = Vec::new();
    for with_stat in [false, true] {
        methods.push(Arc::new(Readdir { path: OsStr::from_bytes(path).into(), with_stat }));
        let counts = doubled(cores.saturating_mul(2).max(4)).map(Threads::Fixed);
        methods.extend(
            counts.chain([Threads::Adaptive]).map(|threads| Arc::new(Engine::new(path, with_stat, threads)) as _),
        );
    }
    methods
}

/// 1, 2, 4 and so on.
fn doubled(most: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(1_usize), |n| n.checked_mul(2)).take_while(move |n| *n <= most)
}

struct Readdir {
    path: PathBuf,
    with_stat: bool,
}

impl Method for Readdir {
    fn name(&self) -> &str {
        if self.with_stat { READDIR_STAT } else { READDIR }
    }

    fn description(&self) -> &str {
        if self.with_stat {
            "one thread: each directory is read, and each entry's metadata"
        } else {
            "one thread: each directory is read"
        }
    }

    fn baseline(&self) -> Option<&str> {
        Some(self.name())
    }

    fn run(&self, running: &Running<'_>) -> Sample {
        let mut sample = Sample { count: 1, ..Sample::default() };
        let mut unread = vec![self.path.clone()];
        while let Some(dir) = unread.pop() {
            if running.cancel.is_cancelled() {
                break;
            }
            if let Err(why) = self.read(&dir, &mut unread, &mut sample.count) {
                note(&mut sample.errors, format!("cannot read {}: {why}", dir.display()));
            }
        }
        sample
    }
}

impl Readdir {
    fn read(&self, dir: &PathBuf, unread: &mut Vec<PathBuf>, count: &mut u64) -> std::io::Result<()> {
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            *count += 1;
            let is_dir = if self.with_stat { entry.metadata()?.is_dir() } else { entry.file_type()?.is_dir() };
            if is_dir {
                unread.push(entry.path());
            }
        }
        Ok(())
    }
}

/// Keeps an error, if not too many are kept already.
pub(crate) fn note(errors: &mut Vec<String>, error: String) {
    if errors.len() < KEPT {
        errors.push(error);
    }
}

struct Engine {
    name: String,
    description: String,
    path: Vec<u8>,
    needs: Needs,
    threads: Threads,
}

impl Engine {
    fn new(path: &[u8], with_stat: bool, threads: Threads) -> Self {
        let (needs, what) =
            if with_stat { (Needs::Meta, "names and metadata") } else { (Needs::Names, "names and types") };
        let (short, long) = match threads {
            Threads::Fixed(1) => ("1".to_owned(), "1 thread".to_owned()),
            Threads::Fixed(n) => (n.to_string(), format!("{n} threads")),
            Threads::Adaptive => ("adaptive".to_owned(), "as many threads as pay".to_owned()),
        };
        let kind = if with_stat { "engine-stat" } else { "engine" };
        Self {
            name: format!("{kind}-{short}"),
            description: format!("pwalk's engine, {long}: {what}"),
            path: path.to_vec(),
            needs,
            threads,
        }
    }
}

impl Method for Engine {
    fn name(&self) -> &str {
        &self.name
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn baseline(&self) -> Option<&str> {
        Some(if self.needs == Needs::Meta { READDIR_STAT } else { READDIR })
    }

    fn run(&self, running: &Running<'_>) -> Sample {
        let walk = Options {
            threads: self.threads,
            snapshots: Snapshots::Include,
            cancel: running.cancel.clone(),
            ..Options::default()
        };
        let sink = Seeing { needs: self.needs, errors: Arc::default() };
        let Ok(sample) = fold(sink, Frontier::start([&self.path]), &walk, running);
        sample
    }
}

/// A walk that does nothing with what it sees.
struct Seeing {
    needs: Needs,
    errors: Arc<Mutex<Vec<String>>>,
}

struct Seer(Arc<Mutex<Vec<String>>>);

impl Visitor for Seer {
    type State = ();

    fn enter(&mut self, _: &mut Context<'_, Self>, _: &Dir<()>, _: Option<&()>) -> ((), Descend) {
        ((), Descend::Into)
    }

    fn batch(&mut self, _: &mut Context<'_, Self>, batch: &mut Batch<'_, ()>) {
        std::hint::black_box(batch.len());
    }

    fn error(&mut self, _: &mut Context<'_, Self>, error: &WalkError) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), error.to_string());
    }
}

impl Sink for Seeing {
    type Worker = Seer;
    type Summary = Sample;
    type Error = Infallible;

    fn needs(&self) -> Needs {
        self.needs
    }

    fn worker(&self) -> Seer {
        Seer(Arc::clone(&self.errors))
    }

    fn finish(self, workers: Vec<Seer>, outcome: &Outcome) -> Result<Sample, Infallible> {
        drop(workers);
        let errors = std::mem::take(&mut *self.errors.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(Sample { count: outcome.entries, errors, ..Sample::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_doubled() {
        assert_eq!(doubled(4).collect::<Vec<_>>(), [1, 2, 4]);
        assert_eq!(doubled(12).collect::<Vec<_>>(), [1, 2, 4, 8]);
    }

    #[test]
    fn each_method_has_a_baseline_among_them() {
        let methods = walks(b"/", 2);
        let names: Vec<_> = methods.iter().map(|method| method.name()).collect();
        let all = ["readdir", "engine-1", "engine-2", "engine-4", "engine-adaptive"];
        let with_stat = ["readdir-stat", "engine-stat-1", "engine-stat-2", "engine-stat-4", "engine-stat-adaptive"];
        assert_eq!(names, [all, with_stat].concat());
        assert!(methods.iter().all(|method| method.baseline().is_some_and(|baseline| names.contains(&baseline))));
    }
}
