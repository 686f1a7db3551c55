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

use std::collections::VecDeque;
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
pub(crate) struct Held {
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

pub(crate) struct Fds<S> {
    budget: usize,
    open: Arc<AtomicUsize>,
    waiting: Lock<VecDeque<Weak<Dir<S>>>>,
    keep_until_leave: bool,
}

/// Why something could not be read.
#[derive(Clone, Copy)]
pub(crate) enum Lost {
    /// The kernel said no.
    Errno(Errno),
    /// It is not there any more; something else is.
    Replaced,
    /// It is one of the directories above.
    Loop,
    /// The call was given up.
    Timeout,
}

impl<S> Fds<S> {
    /// A budget for this process and, with it, how many workers it can feed.
    pub(crate) fn new(limit: Option<usize>, keep_until_leave: bool) -> (Self, usize) {
        let process = usize::try_from(file_descriptor_limit()).unwrap_or(usize::MAX);
        let budget = limit.unwrap_or(PLENTY).min(process.saturating_sub(RESERVED)).clamp(8, PLENTY);
        let fds = Self { budget, open: Arc::default(), waiting: Lock::default(), keep_until_leave };
        // A worker holds its parent, its own and, opening a chain again, two more.
        (fds, (budget / 4).max(1))
    }

    /// Whether directories should be read to their end instead of waiting open.
    pub(crate) fn is_tight(&self) -> bool {
        self.open.load(Relaxed) > self.budget / 2
    }

    /// Runs an opening call, making room before and, where the kernel says there is none, again.
    pub(crate) fn open(&self, mut call: impl FnMut() -> Result<OwnedFd, Errno>) -> Result<Arc<Held>, Errno> {
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
    pub(crate) fn may_lose(&self, dir: &Arc<Dir<S>>) {
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
            let Some(dir) = oldest.upgrade().filter(|d| d.parent.is_some()) else { continue };
            if let Some(fd) = dir.fd.lock().take() {
                // Somebody using it right now closes it a moment later.
                drop(fd);
                closed += 1;
            }
        }
        closed
    }

    /// One use of the descriptor less; the last closes it. True: somebody may still need it.
    pub(crate) fn done(&self, dir: &Dir<S>, uses: usize) -> bool {
        // AcqRel: the closing thread sees what the others did with the descriptor.
        let before = dir.users.fetch_sub(uses, std::sync::atomic::Ordering::AcqRel);
        let kept = before > uses || self.keep_until_leave;
        if !kept {
            dir.fd.lock().take();
        }
        kept
    }

    /// The descriptor of `dir`, opened again where it was closed.
    pub(crate) fn get(&self, dir: &Arc<Dir<S>>) -> Result<Arc<Held>, Lost> {
        if let Some(fd) = dir.fd.lock().as_ref() {
            return Ok(Arc::clone(fd));
        }
        let mut missing = vec![dir];
        let mut from = None;
        let mut at = dir.parent.as_ref();
        while let Some(above) = at {
            from = above.fd.lock().clone();
            if from.is_some() {
                break;
            }
            missing.push(above);
            at = above.parent.as_ref();
        }
        let keep = (self.budget / 2).max(1);
        let mut fd = from;
        while let Some(dir) = missing.pop() {
            let next = self.open(|| match &fd {
                Some(above) => {
                    open_child(above.as_fd(), &dir.name, if dir.via_link { Links::Follow } else { Links::NoFollow })
                }
                None => open_root(&dir.name),
            });
            let next = next.map_err(|errno| match errno {
                Errno::NOTDIR | Errno::LOOP => Lost::Replaced,
                other => Lost::Errno(other),
            })?;
            let now = stat_fd(&*next, Freshness::Fresh).map_err(Lost::Errno)?;
            if dir.meta.as_ref().is_none_or(|then| then.id() != now.id()) {
                return Err(Lost::Replaced);
            }
            if missing.len() < keep {
                *dir.fd.lock() = Some(Arc::clone(&next));
                self.may_lose(dir);
            }
            fd = Some(next);
        }
        fd.ok_or(Lost::Replaced)
    }
}
