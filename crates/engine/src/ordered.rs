//! The ordered walk: one directory after another, in the order that the caller decides as it goes, read ahead in parallel.
//!
//! `os.walk` has a contract that the fold cannot keep: the caller gets each directory in depth-first order on its own thread,
//! and may then remove, reorder or add sub-directories before the walk goes on. So here the caller pulls. What takes
//! time, the reading of directories, is done ahead by a pool of threads that all walks of the process share ([`pool`]): always
//! the directory next that the caller will want first if it changes nothing ([`plan`]).
//!
//! **Nothing is stale.** A directory that was read ahead is compared, when its turn comes, with what stands under its name then:
//! device, inode, time of modification and of change by one `statx`. If anything differs, it is read again. A directory
//! changed so recently that its time of modification might not show another change is always read again.
//!
//! **Bounded.** The entries that were read and not asked for yet are counted; beyond [`OrderedOptions::read_ahead`] nothing is
//! read ahead. A walk holds no thread, and no descriptor but a few of directories whose sub-directories are due, and those only
//! where calls are slow.
//!
//! **No deadlock.** The caller waits only for a directory that some thread is reading at that moment; whatever nobody has begun
//! it reads itself.
//!
//! Rejected: reading ahead in the order of the fold and sorting afterwards; the caller would wait for the
//! whole tree before its first directory.

mod ahead;
mod listed;
mod plan;
mod pool;
mod read;

use std::collections::HashMap;
use std::ffi::CString;
use std::sync::Arc;

use pwalk_fs::{Errno, Kind};

pub use listed::{Listed, ListedFd};

use crate::{FollowLinks, Snapshots};
use ahead::{Ahead, below};
use read::{Failure, Place, Source};

/// How to walk in order.
#[derive(Clone, Copy, Debug)]
pub struct OrderedOptions {
    /// Whether links to directories are walked into. There is no detection of loops: they end at `ELOOP`.
    pub follow_links: FollowLinks,
    /// Whether snapshot directories are listed.
    pub snapshots: Snapshots,
    /// Parents before what is in them, or after.
    pub order: Order,
    /// Threads that read at once for this walk, the caller's among them; `None` for as many as pay.
    pub threads: Option<usize>,
    /// Entries that may be read before they are asked for.
    pub read_ahead: usize,
    /// What is promised of each directory.
    pub contract: Contract,
}

/// What an ordered walk promises of each directory that is to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Contract {
    /// What `os.walk` does: a directory that a link has replaced is passed over, a path longer than the kernel takes is an
    /// error.
    #[default]
    OsWalk,
    /// One answer for each, a visit or an error, however long its path is.
    Each,
}

/// Which comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// A directory comes before what is in it.
    #[default]
    TopDown,
    /// A directory comes after what is in it.
    BottomUp,
}

impl Default for OrderedOptions {
    fn default() -> Self {
        Self {
            follow_links: FollowLinks::Never,
            snapshots: Snapshots::Include,
            order: Order::TopDown,
            threads: None,
            read_ahead: 100_000,
            contract: Contract::OsWalk,
        }
    }
}

/// One directory, when its turn has come.
#[derive(Debug)]
pub struct Visit {
    /// Its path: the root as it was given, then the names.
    pub path: Vec<u8>,
    /// What is in it.
    pub listed: Arc<Listed>,
}

/// A directory that could not be read. The walk goes on without it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read the directory {}: {errno}", path.escape_ascii())]
pub struct OrderedError {
    /// Its path.
    pub path: Vec<u8>,
    /// What the kernel said.
    pub errno: Errno,
}

/// A walk in order.
pub struct OrderedWalk {
    options: OrderedOptions,
    ahead: Ahead,
    stack: Vec<Step>,
}

/// What is still to be done, the last first.
enum Step {
    /// The root.
    Root(Vec<u8>),
    /// Sub-directories of a directory, in the caller's order.
    Children(Frame),
    /// A directory whose turn comes after everything in it.
    Leave(Visit),
}

struct Frame {
    /// The path of the directory that they are in.
    path: Vec<u8>,
    /// The directory in the plan; none if nothing of it can be read ahead.
    branch: Option<u64>,
    listed: Arc<Listed>,
    children: Vec<Child>,
    next: usize,
}

enum Child {
    /// By its place in [`Listed::dirs`].
    Listed(u32),
    /// A name that the caller added.
    Added(Vec<u8>),
}

impl OrderedWalk {
    /// A walk of `root`. Nothing is read before the first [`next`](Iterator::next).
    pub fn new(root: &[u8], options: OrderedOptions) -> Self {
        let ahead = Ahead::new(&options);
        Self { options, ahead, stack: vec![Step::Root(root.to_vec())] }
    }

    /// Puts what follows a directory on the stack, and the directory itself where its turn comes later.
    fn arrive(&mut self, path: Vec<u8>, listed: Arc<Listed>, branch: Option<u64>) -> Option<Visit> {
        let order = below(&listed, &self.options);
        let children = order.iter().copied().map(Child::Listed).collect();
        let branch = branch.or_else(|| self.ahead.plan(&path, &listed, order));
        let frame = Frame { path: path.clone(), branch, listed: Arc::clone(&listed), children, next: 0 };
        let visit = Visit { path, listed };
        match self.options.order {
            Order::TopDown => {
                self.stack.push(Step::Children(frame));
                Some(visit)
            }
            Order::BottomUp => {
                self.stack.push(Step::Leave(visit));
                self.stack.push(Step::Children(frame));
                None
            }
        }
    }

    /// Sets which directories follow below the one that [`next`](Iterator::next) gave last, and in which order, instead of all
    /// that it has. Names that it did not list are tried too. Only for [`Order::TopDown`].
    pub fn descend_into<'n>(&mut self, names: impl Iterator<Item = &'n [u8]>) {
        let Some(Step::Children(frame)) = self.stack.last_mut() else { return };
        self.ahead.stay_in_process();
        let listed = Arc::clone(&frame.listed);
        let mut places: HashMap<&[u8], u32> =
            (0_u32..).take(listed.dirs().len()).map(|place| (listed.dir_name(place), place)).collect();
        let follow = self.options.follow_links == FollowLinks::Always;
        frame.children.clear();
        for name in names {
            // The second time a name is there it is walked a second time, which is read then.
            match places.remove(name) {
                Some(place) if !follow && listed.is_link(place) => {}
                Some(place) => frame.children.push(Child::Listed(place)),
                None => frame.children.push(Child::Added(name.to_vec())),
            }
        }
        if let Some(branch) = frame.branch {
            let order = frame.children.iter().filter_map(|child| match child {
                Child::Listed(place) => Some(*place),
                Child::Added(_) => None,
            });
            self.ahead.reorder(branch, order.collect());
        }
    }
}

impl OrderedWalk {
    /// Passes over the directory that would come next, and over everything below it, as long as another one of the same directory's
    /// could come. Only for [`Order::TopDown`].
    pub fn pass_over(&mut self) {
        while let Some(Step::Children(frame)) = self.stack.last_mut() {
            match frame.children.get(frame.next) {
                None => {
                    self.ahead.forget(frame.branch);
                    self.stack.pop();
                }
                Some(child) => {
                    if let (Child::Listed(nth), Some(branch)) = (child, frame.branch) {
                        self.ahead.skip(branch, *nth);
                    }
                    frame.next += 1;
                    return;
                }
            }
        }
    }
}

impl Iterator for OrderedWalk {
    type Item = Result<Visit, OrderedError>;

    /// The next directory, or one that could not be read; `None` at the end.
    fn next(&mut self) -> Option<Result<Visit, OrderedError>> {
        self.ahead.stay_in_process();
        let contract = self.options.contract;
        loop {
            let (path, taken) = match self.stack.pop()? {
                Step::Leave(visit) => return Some(Ok(visit)),
                Step::Root(path) => {
                    let found = self.ahead.read_here(Place { path: &path, above: None, contract }, Source::Root);
                    (path, found)
                }
                Step::Children(mut frame) => {
                    let Some(child) = frame.children.get(frame.next) else {
                        self.ahead.forget(frame.branch);
                        continue;
                    };
                    let name = match child {
                        Child::Listed(place) => frame.listed.dir_name(*place),
                        Child::Added(name) => name,
                    };
                    let path = join_path(&frame.path, name);
                    let found = match (child, frame.branch) {
                        (Child::Listed(nth), branch) => {
                            let place = Place { path: &path, above: Some((&frame.listed, *nth)), contract };
                            match branch {
                                Some(branch) => self.ahead.take(branch, *nth, place),
                                None => self.ahead.read_here(place, Source::Listed),
                            }
                        }
                        (Child::Added(_), _) => {
                            let place = Place { path: &path, above: None, contract };
                            self.ahead.read_here(place, Source::Added)
                        }
                    };
                    frame.next += 1;
                    self.stack.push(Step::Children(frame));
                    (path, found)
                }
            };
            match taken {
                Ok((listed, branch)) => {
                    if let Some(visit) = self.arrive(path, listed, branch) {
                        return Some(Ok(visit));
                    }
                }
                Err(Failure::Link) if contract == Contract::OsWalk => {}
                Err(Failure::Link) => return Some(Err(OrderedError { path, errno: Errno::LOOP })),
                Err(Failure::Errno(errno)) => return Some(Err(OrderedError { path, errno })),
            }
        }
    }
}

/// As `os.path.join` does it: a slash between, unless there is one.
fn join_path(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if name.starts_with(b"/") {
        return name.to_vec();
    }
    let mut path = Vec::with_capacity(dir.len() + name.len() + 1);
    path.extend_from_slice(dir);
    if !path.is_empty() && !path.ends_with(b"/") {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// A path as the kernel is to see it: one with a NUL in it does not exist.
fn c_path(path: &[u8]) -> CString {
    CString::new(path).unwrap_or_default()
}

/// Whether an entry of this type may be a directory.
const fn may_be_dir(kind: Kind) -> bool {
    matches!(kind, Kind::Dir | Kind::Symlink | Kind::Unknown)
}
