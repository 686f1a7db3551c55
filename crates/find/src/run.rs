//! A program run over trees: one fold, with an expression at every entry.

use std::convert::Infallible;
use std::fmt::Display;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use pwalk_engine::{
    Cancel, Class, Ended, FollowLinks, Frontier, Mounts, Needs, Options, Outcome, Progress, RootLinks, Sink, Snapshots,
    Stall, Threads, fold,
};
use pwalk_fs::{Errno, Time};

use crate::act::run_waiting;
use crate::command::{Commands, Waiting, insecure_path};
use crate::entry::{Pinned, System};
use crate::expr::{Exec, Links, Place};
use crate::finder::Finder;
use crate::program::{Deed, Program};
use crate::shown::{Shown, said};
use crate::sorted;
use crate::streams::{OutputError, Streams};

/// What a run is given from outside.
pub struct Io {
    /// Where results go that no action sends elsewhere.
    pub standard: Box<dyn Write + Send>,
    /// Whether that is a terminal: then nothing is printed that could move its cursor.
    pub terminal: bool,
    /// Takes each message about what could not be done: a line without the program's name and without its line feed.
    pub tell: Box<dyn Fn(&str) + Send + Sync>,
    /// The switch that stops it all.
    pub cancel: Cancel,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How the walk ended; [`Ended::Stopped`] after `-quit`, or when nothing could be written any more.
    pub ended: Ended,
    /// Things that could not be read, done or written, each of them told.
    pub errors: u64,
    /// Snapshot directories that were left out.
    pub snapshots: u64,
    /// Whether a command with `+` failed.
    pub command_failed: bool,
    /// Whether whoever read the results has gone.
    pub reader_gone: bool,
}

/// Why a run cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A file to write to cannot be opened.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A directory of the tree could decide what `-execdir` runs.
    #[error(
        "The relative path '{}' is included in the PATH environment variable, which is insecure in combination with the \
         -execdir and -okdir actions of find.  Please remove that entry from $PATH",
        Shown(.0)
    )]
    InsecurePath(Vec<u8>),
    /// Several commands at once need as many workers.
    #[error("-exec-parallel needs -threads: each command is run by a worker that waits for it")]
    ParallelNeedsThreads,
}

/// What all workers of a run share.
pub(crate) struct Run {
    pub(crate) program: Program,
    pub(crate) roots: Vec<Vec<u8>>,
    pub(crate) streams: Streams,
    pub(crate) commands: Commands,
    /// For each action, the entries that wait for its command.
    pub(crate) waiting: Vec<Mutex<Waiting>>,
    pub(crate) system: System,
    pub(crate) start: Time,
    /// Whether something is done in directories, which must be the ones that were read.
    pub(crate) acts_in_directories: bool,
    /// Whether commands run beside each other, so that entries are handed out one by one.
    pub(crate) spreads: bool,
    pub(crate) may_quit: bool,
    pub(crate) has_quit: AtomicBool,
    pub(crate) turn: Mutex<()>,
    errors: AtomicU64,
    teller: Box<dyn Fn(&str) + Send + Sync>,
}

impl Run {
    /// Tells of something that could not be done.
    pub(crate) fn tell(&self, message: &dyn Display) {
        self.errors.fetch_add(1, Relaxed);
        self.note(message);
    }

    /// Tells of something that is not counted as an error.
    pub(crate) fn note(&self, message: &dyn Display) {
        (self.teller)(&message.to_string());
    }

    pub(crate) fn failed_at(&self, path: &[u8], errno: Errno) {
        self.tell(&format_args!("'{}': {}", Shown(path), said(errno)));
    }

    pub(crate) fn tell_loop(&self, path: &[u8]) {
        self.tell(&format_args!("File system loop detected; '{}' is one of the directories above it", Shown(path)));
    }

    pub(crate) fn tell_class(&self, path: &[u8], class: Class) {
        let what = match class {
            Class::Replaced => "something else took its name while it was read; run again",
            Class::Timeout => "the file system did not answer in time",
            other => other.name(),
        };
        self.tell(&format_args!("'{}': {what}", Shown(path)));
    }
}

impl Progress for Run {
    fn stalled(&self, stall: &Stall) {
        let (path, seconds) = (Shown(&stall.path), stall.since.as_secs());
        self.note(&format_args!("'{path}': {} has not come back for {seconds} s; check the server", stall.doing));
    }
}

/// Runs a program over the trees of `roots`; none means the current directory.
///
/// # Errors
/// What keeps it from beginning. Everything later is told, counted, and gone on from.
pub fn run(program: Program, roots: Vec<Vec<u8>>, io: Io) -> Result<Summary, RunError> {
    let execs =
        |place| program.actions.iter().any(|deed| matches!(deed, Deed::Exec(Exec { place: own, .. }) if *own == place));
    let execs_inside = execs(Place::Directory);
    if execs_inside && let Some(entry) = insecure_path() {
        return Err(RunError::InsecurePath(entry));
    }
    let settings = &program.settings;
    if settings.exec_parallel.is_some() && settings.threads.is_none() {
        return Err(RunError::ParallelNeedsThreads);
    }
    let parallel = usize::try_from(settings.exec_parallel.unwrap_or(1)).unwrap_or(usize::MAX);
    let options = options(&program, &io.cancel, execs_inside);
    let streams = Streams::open(&program.actions, io.standard, io.terminal)?;
    let run = Arc::new(Run {
        roots,
        streams,
        commands: Commands::new(parallel, io.cancel.clone()),
        waiting: program.actions.iter().map(|_| Mutex::default()).collect(),
        system: System::default(),
        start: program.start,
        acts_in_directories: execs_inside || program.actions.contains(&Deed::Delete),
        spreads: parallel > 1,
        may_quit: program.actions.contains(&Deed::Quit),
        has_quit: AtomicBool::new(false),
        turn: Mutex::default(),
        errors: AtomicU64::new(0),
        teller: io.tell,
        program,
    });
    if run.program.settings.sorted {
        let (ended, snapshots) = sorted::walk(&run);
        return Ok(end(&run, ended, snapshots));
    }
    let roots = run.roots.clone();
    // As they were given: a slash behind a link means what it leads to.
    let unread_roots = (0..roots.len()).collect();
    let start = Frontier { unread_roots, roots, with_slashes: true, ..Frontier::default() };
    let Ok(outcome) = fold(Finding(Arc::clone(&run)), start, &options, &*run);
    Ok(end(&run, outcome.ended, outcome.snapshots))
}

/// Runs what waits, and adds up.
fn end(run: &Run, ended: Ended, snapshots: u64) -> Summary {
    if ended != Ended::Cancelled {
        for (action, waiting) in run.waiting.iter().enumerate() {
            let waiting = std::mem::take(&mut *waiting.lock().unwrap_or_else(PoisonError::into_inner));
            run_waiting(run, action, waiting, &Pinned::Here);
        }
    }
    // Pulled while the last commands ran.
    let ended = if run.commands.is_cancelled() { Ended::Cancelled } else { ended };
    let mut reader_gone = false;
    for (name, error) in run.streams.errors() {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            reader_gone = true;
        } else {
            run.tell(&format_args!("'{}': {error}", Shown(name)));
        }
    }
    Summary {
        ended,
        errors: run.errors.load(Relaxed),
        snapshots,
        command_failed: run.commands.any_failed(),
        reader_gone,
    }
}

fn options(program: &Program, cancel: &Cancel, execdir: bool) -> Options {
    let settings = &program.settings;
    let below = |depth: u64| u32::try_from(depth.saturating_sub(1)).unwrap_or(u32::MAX);
    Options {
        threads: settings
            .threads
            .map_or(Threads::Adaptive, |n| Threads::Fixed(usize::try_from(n).unwrap_or(usize::MAX))),
        // The engine counts directories that are read, find entries that are seen.
        max_depth: settings.max_depth.map(below),
        root_links: if settings.links == Links::Never { RootLinks::Keep } else { RootLinks::Follow },
        follow_links: if settings.links == Links::Always { FollowLinks::Always } else { FollowLinks::Never },
        mounts: if settings.one_file_system { Mounts::Stay } else { Mounts::Cross },
        snapshots: if settings.snapshots { Snapshots::Include } else { Snapshots::Skip },
        cancel: cancel.clone(),
        // Directories are acted in, or asked in, when they are left.
        keep_open_until_leave: settings.depth_first || execdir,
        ..Options::default()
    }
}

struct Finding(Arc<Run>);

impl Sink for Finding {
    type Worker = Finder;
    type Summary = Outcome;
    type Error = Infallible;

    fn needs(&self) -> Needs {
        if self.0.program.node.uses_meta() { Needs::Chosen } else { Needs::Names }
    }

    fn worker(&self) -> Finder {
        Finder::new(&self.0)
    }

    fn finish(self, workers: Vec<Finder>, outcome: &Outcome) -> Result<Outcome, Infallible> {
        workers.into_iter().for_each(Finder::finish);
        Ok(outcome.clone())
    }
}
