//! The budget of open directories.
//!
//! A directory's descriptor is kept while something may need it: its listing, names to stat,
//! sub-directories to open. Usually that is a chain per worker and far below any limit. When it is
//! not (a tree thousands of levels deep, `ulimit -n 64`), the descriptor that has waited longest is
//! closed and its directory opened again when it is needed: from the nearest ancestor that is still
//! open, name by name, each checked to be the directory it was. Of the chain that is opened that way
//! the last half-budget stays open, so that walking back up a deep tree does not start from the root
//! at every level.
//!
//! Slower, never wrong: a directory that cannot be found again where it was is reported as replaced.
//!
//! What is kept so need not be a directory of the walk: a copy keeps those that it makes ([`Node`]).

use std::collections::VecDeque;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};

use pwalk_fs::{Errno, Freshness, Links, file_descriptor_limit, open_child, open_root, stat_fd};

use crate::Dir;
use crate::lock::Lock;

/// Descriptors left to the rest of the process: standard streams, outputs, libraries.
const RESERVED: usize = 24;
/// More than this is never needed.
const PLENTY: usize = 8192;

/// An open directory, counted while it is open.
#[derive(Debug)]
pub struct Held {
    fd: OwnedFd,
    open: Arc<AtomicUsize>,
}

impl AsFd for Held {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Relaxed);
    }
}

/// A directory that is known by its name in another, and may be open.
pub trait Node: Sized {
    /// The directory it is in; none for a root, which stays open.
    fn above(&self) -> Option<&Arc<Self>>;
    /// Its name there; for a root its path.
    fn name(&self) -> &CStr;
    /// Whether its name is a link that is followed.
    fn links(&self) -> Links;
    /// Its identity, if it is known.
    fn id(&self) -> Option<(u64, u64)>;
    /// Where its descriptor is kept.
    fn keeper(&self) -> &Keeper;
}

/// Where a descriptor is kept, or was.
#[derive(Debug, Default)]
pub struct Keeper(Lock<Option<Arc<Held>>>);

impl Keeper {
    /// The descriptor, if it is open.
    pub fn get(&self) -> Option<Arc<Held>> {
        self.0.lock().clone()
    }

    /// Keeps a descriptor.
    pub fn set(&self, fd: Arc<Held>) {
        *self.0.lock() = Some(fd);
    }

    /// Gives it up; whoever uses it right now closes it a moment later.
    pub fn take(&self) -> Option<Arc<Held>> {
        self.0.lock().take()
    }
}

/// Open directories, within a budget.
pub struct Fds<N> {
    budget: usize,
    open: Arc<AtomicUsize>,
    waiting: Lock<VecDeque<Weak<N>>>,
    keep_until_leave: bool,
}

/// Why something could not be read.
#[derive(Clone, Copy, Debug)]
pub enum Lost {
    /// The kernel said no.
    Errno(Errno),
    /// It is not there any more; something else is.
    Replaced,
    /// It is one of the directories above.
    Loop,
    /// The call was given up.
    Timeout,
}

impl<N: Node> Fds<N> {
    /// A budget for this process and, with it, how many workers it can feed.
    pub fn new(limit: Option<usize>, keep_until_leave: bool) -> (Self, usize) {
        let process = usize::try_from(file_descriptor_limit()).unwrap_or(usize::MAX);
        let budget = limit.unwrap_or(PLENTY).min(process.saturating_sub(RESERVED)).clamp(8, PLENTY);
        let fds = Self { budget, open: Arc::default(), waiting: Lock::default(), keep_until_leave };
        // A worker holds its parent, its own and, opening a chain again, two more.
        (fds, (budget / 4).max(1))
    }

    /// Whether directories should be read to their end instead of waiting open.
    pub fn is_tight(&self) -> bool {
        self.open.load(Relaxed) > self.budget / 2
    }

    /// Runs an opening call, making room before and, where the kernel says there is none, again.
    ///
    /// # Errors
    /// What the call says.
    pub fn open(&self, mut call: impl FnMut() -> Result<OwnedFd, Errno>) -> Result<Arc<Held>, Errno> {
        if self.open.load(Relaxed) >= self.budget {
            self.close_waiting(1);
        }
        loop {
            match call() {
                Ok(fd) => {
                    self.open.fetch_add(1, Relaxed);
                    return Ok(Arc::new(Held { fd, open: Arc::clone(&self.open) }));
                }
                Err(Errno::MFILE | Errno::NFILE) if self.close_waiting(16) > 0 => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Notes that `dir` waits with its descriptor open, and may lose it.
    pub fn may_lose(&self, dir: &Arc<N>) {
        let mut waiting = self.waiting.lock();
        // Directories that were finished meanwhile leave dead entries: clear them out now and then,
        // at a cost spread over as many registrations.
        if waiting.len() > 2 * self.budget.min(1024) && waiting.len() == waiting.capacity() {
            waiting.retain(|w| w.strong_count() > 0);
        }
        waiting.push_back(Arc::downgrade(dir));
    }

    fn close_waiting(&self, want: usize) -> usize {
        let mut closed = 0;
        let mut waiting = self.waiting.lock();
        while closed < want {
            let Some(oldest) = waiting.pop_front() else { break };
            // A root stays: it could only be found again by its path.
            let Some(dir) = oldest.upgrade().filter(|d| d.above().is_some()) else { continue };
            closed += usize::from(dir.keeper().take().is_some());
        }
        closed
    }

    /// The descriptor of `dir`, opened again where it was closed.
    ///
    /// # Errors
    /// What kept it from being opened again, or that something else is there now.
    pub fn get(&self, dir: &Arc<N>) -> Result<Arc<Held>, Lost> {
        if let Some(fd) = dir.keeper().get() {
            return Ok(fd);
        }
        let mut missing = vec![dir];
        let mut from = None;
        let mut at = dir.above();
        while let Some(above) = at {
            from = above.keeper().get();
            if from.is_some() {
                break;
            }
            missing.push(above);
            at = above.above();
        }
        let keep = (self.budget / 2).max(1);
        let mut fd = from;
        while let Some(dir) = missing.pop() {
            let next = self.open(|| match &fd {
                Some(above) => open_child(above.as_fd(), dir.name(), dir.links()),
                None => open_root(dir.name()),
            });
            let next = next.map_err(|errno| match errno {
                Errno::NOTDIR | Errno::LOOP => Lost::Replaced,
                other => Lost::Errno(other),
            })?;
            let now = stat_fd(&*next, Freshness::Fresh).map_err(Lost::Errno)?;
            if dir.id() != Some(now.id()) {
                return Err(Lost::Replaced);
            }
            if missing.len() < keep {
                dir.keeper().set(Arc::clone(&next));
                self.may_lose(dir);
            }
            fd = Some(next);
        }
        fd.ok_or(Lost::Replaced)
    }
}

impl<S> Fds<Dir<S>> {
    /// One use of the descriptor less; the last closes it. True: somebody may still need it.
    pub(crate) fn done(&self, dir: &Dir<S>, uses: usize) -> bool {
        // AcqRel: the closing thread sees what the others did with the descriptor.
        let before = dir.users.fetch_sub(uses, std::sync::atomic::Ordering::AcqRel);
        let kept = before > uses || self.keep_until_leave;
        if !kept {
            dir.fd.take();
        }
        kept
    }
}
