//! Copying trees: fast, and with everything that is worth keeping.
//!
//! ```text
//!  target: cp's meaning of SRC and DST, room ──► tree, in a strategy's order ──► sweep: what is to go
//!                                                  │
//!  walk (fold) ──► enter: make the directory ──► files, a few at a time ──► leave: set what is kept
//!                                                  │ file.rs: open, content, look again, attributes, name
//!                                                  │ hands.rs: large files by several workers
//!                                                  └ other.rs: links, fifos, devices; hard links (links.rs)
//! ```
//!
//! * `strategy.rs`, `content.rs`, `pair.rs`: how bytes are moved, and what was measured of that;
//! * `place.rs`, `keep.rs`: directories at the destination; what is kept, and in which order;
//! * `verify.rs`, `count.rs`, `sweep.rs`, `would.rs`: what their names say.
//!
//! A name at the destination stands for a whole file or for none; a file that changes while it is copied is copied again or told of;
//! nothing is done through a path twice.

mod config;
mod content;
mod count;
mod data;
mod draft;
mod error;
mod file;
mod group;
mod hands;
mod keep;
mod links;
mod options;
mod other;
mod pair;
mod place;
mod shared;
mod strategy;
mod sweep;
mod target;
mod tree;
mod verify;
mod visitor;
mod would;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use pwalk_engine::{Ended, Options, RootLinks, Stall, Threads, WalkError};
use pwalk_fs::{file_descriptor_limit, sync_file_system};

pub use config::Config;
pub use content::{Broken, Piece};
pub use error::{CopyError, Failure, Halt};
pub use options::{BUFFER, CopyOptions, Existing, Fsync, Keep, Reflink, Sparse, read_patterns};
pub use strategy::{
    Auto, Baseline, Buffered, Chunks, Parallel, Pipeline, Sendfile, Strategy, Workers, register_strategy, strategies,
    strategy,
};
pub use tree::Tree;

use place::Places;
use shared::Shared;

/// Something that happens in a copy, told as it happens, from any thread.
#[derive(Debug)]
pub enum Event<'a> {
    /// This would be copied, in a run that only looks.
    Would {
        /// Its path in the source.
        path: &'a [u8],
        /// Whether something would be replaced.
        replaces: bool,
    },
    /// This was removed from the destination, or would be.
    Deleted {
        /// Its path at the destination.
        path: &'a [u8],
    },
    /// This was not copied, or not with all that should be kept.
    Failed {
        /// Its path.
        path: &'a [u8],
        /// Why.
        why: &'a Failure,
    },
    /// This could not be read.
    Unread(&'a WalkError),
    /// Something is done otherwise than it was asked for.
    Warning(&'a str),
}

/// Who is told.
pub trait Listener: Send + Sync + 'static {
    /// Is told.
    fn hear(&self, event: &Event<'_>);
}

/// How far a copy is.
#[derive(Clone, Debug, Default)]
pub struct CopyProgress {
    /// Entries copied that are no directories.
    pub files: u64,
    /// How many there are, if they were counted.
    pub total_files: Option<u64>,
    /// Bytes copied.
    pub bytes: u64,
    /// Entries and bytes that were there already and were left as they were.
    pub left: (u64, u64),
    /// How many there are, if they were counted.
    pub total_bytes: Option<u64>,
    /// A directory that is being worked on.
    pub current: Option<Vec<u8>>,
    /// The component that is being copied; of those that are copied at once the first.
    pub component: Option<Vec<u8>>,
    /// Entries that failed so far.
    pub errors: u64,
    /// Time since the start.
    pub elapsed: Duration,
    /// Workers that may run now.
    pub workers: usize,
}

/// Who is told how far it is, a few times a second, by the thread that called [`run`].
pub trait CopyWatcher {
    /// It goes on.
    fn tick(&self, progress: &CopyProgress) {
        let _: &CopyProgress = progress;
    }

    /// A call does not come back.
    fn stalled(&self, stall: &Stall) {
        let _: &Stall = stall;
    }
}

impl CopyWatcher for pwalk_engine::Silent {}

/// What a copy came to.
#[derive(Clone, Debug)]
pub struct CopySummary {
    /// Entries that were copied and are no directories, names of hard-linked files among them.
    pub files: u64,
    /// Directories that were copied.
    pub dirs: u64,
    /// Names among the files that were linked to a copy made before.
    pub links: u64,
    /// Bytes of the files that were copied.
    pub bytes: u64,
    /// Bytes among them that share their blocks with the source.
    pub cloned: u64,
    /// Files that replaced another.
    pub replaced: u64,
    /// Files that were left because something stood there (`--existing`).
    pub skipped: u64,
    /// Files that had been copied before (`--resume`).
    pub already: u64,
    /// Entries removed from the destination.
    pub deleted: u64,
    /// Entries that should have been copied or removed and were not.
    pub failed: u64,
    /// Attributes that should have been kept and were not.
    pub not_kept: u64,
    /// Entries whose owner was not kept because only root may do that.
    pub disowned: u64,
    /// Errors of reading the sources' directories.
    pub unread: u64,
    /// Snapshot directories left out.
    pub snapshots: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// The most workers that ran at once.
    pub workers: usize,
    /// How the walk ended.
    pub ended: Ended,
    /// Why the copy could not go on, if it could not.
    pub halted: Option<Halt>,
    /// The strategy.
    pub strategy: String,
    /// What was done otherwise than it was asked for.
    pub warnings: Vec<String>,
    /// Whether this was only looked at.
    pub is_dry: bool,
    /// Whether something should have been removed and nothing was, because not everything in the source could be read.
    pub is_mirror_refused: bool,
}

impl CopySummary {
    /// Whether everything was copied, with all that should be kept.
    pub fn is_complete(&self) -> bool {
        self.ended == Ended::Whole
            && self.halted.is_none()
            && self.failed + self.not_kept + self.unread == 0
            && !self.is_mirror_refused
    }

    /// `COMPLETE` or `PARTIAL`.
    pub fn verdict(&self) -> &'static str {
        if self.is_complete() { "COMPLETE" } else { "PARTIAL" }
    }
}

/// Descriptors left to the rest of the process.
const RESERVED: usize = 24;
/// With fewer than this nothing waits with one open.
const FEW: usize = 400;
/// Descriptors that a worker needs at once.
const EACH: usize = 5;
/// Workers, at the most, that have a file open.
const MOST: usize = 256;

/// Copies.
///
/// # Errors
/// [`CopyError`]: what keeps it from beginning. Trouble with single entries is told to `listener` and counted.
pub fn run(
    options: &CopyOptions,
    listener: &Arc<dyn Listener>,
    watcher: &dyn CopyWatcher,
) -> Result<CopySummary, CopyError> {
    let begun = Instant::now();
    options.check()?;
    let process = usize::try_from(file_descriptor_limit()).unwrap_or(usize::MAX);
    let budget = process.saturating_sub(RESERVED);
    let is_tight = budget < FEW;
    let places = Places::new((budget / 10 * 3).clamp(8, 4096));
    let walk = walk(options, budget, is_tight);
    let target::Plan { parts, missing, mut obstacles } = target::plan(options, &places)?;
    let totals = match count::check_room(&parts, options, &places, &walk) {
        Err(error @ CopyError::NoRoom { .. }) if options.dry_run => {
            obstacles.push(error.to_string());
            None
        }
        counted => counted?,
    };
    let spare = (budget / 20 * 3).saturating_sub(MOST);
    let shared = Arc::new(Shared::new(options, places, is_tight, spare, listener));
    obstacles.into_iter().for_each(|why| shared.warn(format!("this could not be done: {why}")));
    for (path, errno) in missing {
        shared.fail(&path, &Failure::Source { what: "find", errno });
    }
    let mut tree = Tree::new(Arc::clone(&shared), parts.clone(), walk.clone(), watcher);
    tree.totals = totals;
    tree.begun = begun;
    let done = options.strategy.copy_tree(&mut tree).and_then(|()| finish(&mut tree, options, &parts, &walk));
    let (is_mirror_refused, halted) = match done {
        Ok(is_mirror_refused) => (is_mirror_refused, None),
        Err(CopyError::Halted(halt)) => (false, Some(halt)),
        Err(error) => return Err(error),
    };
    let of = |count: &std::sync::atomic::AtomicU64| count.load(Relaxed);
    let counts = &shared.counts;
    Ok(CopySummary {
        files: of(&counts.files),
        dirs: of(&counts.dirs),
        links: of(&counts.links),
        bytes: of(&counts.bytes),
        cloned: of(&counts.cloned),
        replaced: of(&counts.replaced),
        skipped: of(&counts.skipped),
        already: of(&counts.already),
        deleted: of(&counts.deleted),
        failed: of(&counts.failed),
        not_kept: of(&counts.not_kept),
        disowned: of(&counts.disowned),
        unread: of(&counts.unread),
        snapshots: tree.snapshots,
        elapsed: begun.elapsed(),
        workers: tree.workers,
        ended: tree.ended,
        halted,
        strategy: options.strategy.name().to_owned(),
        warnings: std::mem::take(&mut *shared.warnings.lock().unwrap_or_else(std::sync::PoisonError::into_inner)),
        is_dry: options.dry_run,
        is_mirror_refused,
    })
}

/// Removes what is to go, copies what that was in the way of, and waits for the disk. Whether removing was refused.
fn finish(
    tree: &mut Tree<'_>,
    options: &CopyOptions,
    parts: &[target::Part],
    walk: &Options,
) -> Result<bool, CopyError> {
    let shared = Arc::clone(&tree.shared);
    if tree.ended != Ended::Whole {
        return Ok(false);
    }
    let has_failed = shared.counts.unread.load(Relaxed) + shared.counts.failed.load(Relaxed) > 0;
    if options.mirror && has_failed {
        shared.warn("nothing was removed, because not everything in the source could be read or copied".to_owned());
        return Ok(true);
    }
    if options.mirror || options.resume {
        tree.ended = sweep::sweep(&shared, parts, walk);
        if shared.put_off.swap(0, Relaxed) > 0 && tree.ended == Ended::Whole && !options.dry_run {
            shared.is_second.store(true, Relaxed);
            options.strategy.copy_tree(tree)?;
        }
    }
    if options.fsync == Fsync::End && !options.dry_run {
        for part in parts {
            let Some(place) = part.place() else { continue };
            let failed = |why: String| CopyError::Destination { path: options.destination.clone(), why };
            let fd = shared.places.fd(place).map_err(|why| failed(why.to_string()))?;
            sync_file_system(&*fd).map_err(|errno| failed(format!("cannot write it to the disk: {errno}")))?;
        }
    }
    Ok(false)
}

/// How the sources are walked: links are links, and there are other users of descriptors.
fn walk(options: &CopyOptions, budget: usize, is_tight: bool) -> Options {
    let mut walk = Options {
        root_links: RootLinks::Keep,
        max_open: Some(budget / 10 * 4),
        max_depth: None,
        ..options.walk.clone()
    };
    if is_tight {
        let most = (budget / 10 * 3 / EACH).max(1);
        walk.threads = match walk.threads {
            Threads::Fixed(threads) => Threads::Fixed(threads.min(most)),
            Threads::Adaptive => Threads::Fixed(most.min(pwalk_fs::cores().count)),
        };
    }
    walk
}
