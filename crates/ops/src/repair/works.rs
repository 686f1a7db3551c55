//! Changes on their way from being decided to being made.
//!
//! A sync of the journal takes as long as thousands of changes do, so they are collected, over many directories, until there is a group
//! worth a sync. The worker that makes the group full takes it: announces it in the journal, makes the changes, and notes what became of
//! them, while the others walk on and fill the next. Each waiting change holds its directory open; so what waits is bounded
//! by descriptors as well as by number, and where calls are slow a group is small enough to be done in a quarter of a second.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pwalk_engine::{DirFd, Permits};
use pwalk_fs::{Errno, Time, change_time, file_descriptor_limit, pin};

use super::act::{Content, Failure, Found, Linked, Pin, check, make};
use super::change::Change;
use super::error::RepairError;
use super::journal::Journal;
use super::syslog::Syslog;
use super::{Event, Listener};

/// An open directory, or the very thing that is to be changed.
pub(crate) enum Holder {
    Walk(DirFd),
    Own(Arc<OwnedFd>),
}

impl AsFd for Holder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Walk(fd) => fd.as_fd(),
            Self::Own(fd) => fd.as_fd(),
        }
    }
}

/// A change that waits.
pub(crate) struct Pending {
    pub(crate) change: Change,
    pub(crate) holder: Holder,
    /// Its name in the directory; none where the holder is itself what is to be changed.
    pub(crate) name: Option<CString>,
    /// The mount that the directory is in, if the kernel does not say by itself where mounts are.
    pub(crate) mount: u64,
    /// The last change of its inode when it was decided on.
    pub(crate) seen: Option<Time>,
    pub(crate) linked: Linked,
}

/// What is to be changed: the holder itself, or a name in it, pinned.
enum Pinned<'a> {
    Held(&'a Holder),
    Own(OwnedFd),
}

impl AsFd for Pinned<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Held(holder) => holder.as_fd(),
            Self::Own(fd) => fd.as_fd(),
        }
    }
}

impl Pending {
    fn pinned(&self) -> Result<Pinned<'_>, Errno> {
        match &self.name {
            None => Ok(Pinned::Held(&self.holder)),
            Some(name) => pin(self.holder.as_fd(), name).map(Pinned::Own),
        }
    }
}

/// The most changes in a group.
const MOST: usize = 4096;
/// How long a group should take.
const PACE: Duration = Duration::from_millis(250);
/// System calls for one change, on average.
const CALLS: usize = 6;
/// Threads for the last group of a walk, which has all other workers idle.
const LAST_HANDS: usize = 16;

/// Where changes are made.
pub(crate) struct Works {
    journal: Journal,
    syslog: Syslog,
    listener: Arc<dyn Listener>,
    limit: u64,
    /// Before anything was pinned.
    began: Time,
    waiting: Mutex<Waiting>,
    /// How large a group should be now.
    size: AtomicUsize,
    /// Directories that are held open, by what waits and by what is being made.
    held: AtomicUsize,
    most_held: usize,
    announced: AtomicU64,
    made: AtomicU64,
    failed: AtomicU64,
    /// Somebody else made the same change first.
    already: AtomicU64,
    halted: AtomicBool,
    error: Mutex<Option<RepairError>>,
}

#[derive(Default)]
struct Waiting {
    changes: Vec<Pending>,
    holders: usize,
}

/// Changes that are to be made now.
pub(crate) struct Group {
    changes: Vec<Pending>,
    holders: usize,
}

/// Descriptors that waiting changes may hold.
pub(crate) fn descriptors() -> usize {
    usize::try_from(file_descriptor_limit() / 4).unwrap_or(usize::MAX).clamp(4, MOST)
}

impl Works {
    /// `limit` is the most changes that may be made.
    pub(crate) fn new(journal: Journal, listener: &Arc<dyn Listener>, limit: u64) -> Self {
        Self {
            journal,
            syslog: Syslog::open(),
            listener: Arc::clone(listener),
            limit,
            began: change_time(),
            waiting: Mutex::default(),
            size: AtomicUsize::new(MOST / 8),
            held: AtomicUsize::new(0),
            most_held: descriptors(),
            announced: AtomicU64::new(0),
            made: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            already: AtomicU64::new(0),
            halted: AtomicBool::new(false),
            error: Mutex::new(None),
        }
    }

    /// Adds changes in one directory. What comes back is a group for the caller to [`make`](Self::make).
    pub(crate) fn add(&self, changes: &mut Vec<Pending>) -> Option<Group> {
        if changes.is_empty() {
            return None;
        }
        // Relaxed: a bound, not a message; it may be passed by one for each worker.
        let held = self.held.fetch_add(1, Relaxed) + 1;
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.changes.append(changes);
        waiting.holders += 1;
        let full = waiting.changes.len() >= self.size.load(Relaxed) || held >= self.most_held;
        full.then(|| waiting.take())
    }

    /// All that waits.
    pub(crate) fn rest(&self) -> Group {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether the run must end.
    pub(crate) fn is_halted(&self) -> bool {
        // Relaxed: who wants the reason takes its lock.
        self.halted.load(Relaxed)
    }

    /// Announces a group and makes its changes. False if the run must end.
    pub(crate) fn make(&self, group: Group, permits: Permits<'_>) -> bool {
        self.make_by(group, permits, 1)
    }

    /// The same for the last group of a walk: nobody else has anything to do.
    pub(crate) fn make_last(&self, permits: Permits<'_>) -> bool {
        self.make_by(self.rest(), permits, LAST_HANDS)
    }

    fn make_by(&self, group: Group, permits: Permits<'_>, hands: usize) -> bool {
        let Group { mut changes, holders } = group;
        let done = if changes.is_empty() { Ok(()) } else { self.try_make(&mut changes, permits, hands) };
        drop(changes);
        self.held.fetch_sub(holders, Relaxed);
        if let Err(error) = done {
            self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            self.halted.store(true, Relaxed);
        }
        !self.is_halted()
    }

    fn try_make(&self, group: &mut [Pending], permits: Permits<'_>, hands: usize) -> Result<(), RepairError> {
        if self.is_halted() {
            return Ok(());
        }
        // Taken at once, so that two groups cannot pass the limit together.
        let so_far = self.announced.fetch_add(group.len() as u64, Relaxed);
        if so_far + group.len() as u64 > self.limit {
            return Err(RepairError::TooMany { limit: self.limit, applied: self.made.load(Relaxed) });
        }
        for pending in group.iter_mut().filter(|pending| pending.change.drops_privilege()) {
            let content = pending.pinned().ok().and_then(|pinned| Content::of(pinned.as_fd()));
            pending.change.before.content = content.map(|content| content.digest);
        }
        let group = &*group;
        let first = self.journal.announce(group.iter().map(|pending| &pending.change))?;
        self.syslog.tell(group.iter().map(|pending| &pending.change));
        let began = Instant::now();
        let piece = group.len().div_ceil(hands).max(64);
        let failures = Mutex::new(Vec::new());
        let work = |(i, piece_of): (usize, &[Pending])| {
            for (j, pending) in piece_of.iter().enumerate() {
                permits.wait(CALLS);
                if let Err(failure) = self.one(pending) {
                    failures.lock().unwrap_or_else(PoisonError::into_inner).push((i * piece + j, failure));
                }
            }
        };
        if group.len() <= piece {
            work((0, group));
        } else {
            std::thread::scope(|scope| {
                for piece in group.chunks(piece).enumerate() {
                    scope.spawn(move || work(piece));
                }
            });
        }
        self.set_size(group.len(), began.elapsed());
        let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.syslog.take_back(failures.iter().filter_map(|(i, why)| Some((&group.get(*i)?.change, why))));
        self.journal.conclude(first, group.len(), &failures)
    }

    /// The next group: as many as would have taken the right time.
    fn set_size(&self, done: usize, took: Duration) {
        let fit = done as u128 * PACE.as_micros() / took.as_micros().max(1);
        self.size.store(usize::try_from(fit).unwrap_or(MOST).clamp(MOST / 128, MOST), Relaxed);
    }

    fn one(&self, pending: &Pending) -> Result<(), Failure> {
        let change = &pending.change;
        let done = self.try_one(pending);
        match &done {
            Ok(true) => {
                self.made.fetch_add(1, Relaxed);
                self.listener.hear(&Event::Made(change));
            }
            Ok(false) => {
                self.already.fetch_add(1, Relaxed);
            }
            Err(why) => {
                self.failed.fetch_add(1, Relaxed);
                self.listener.hear(&Event::Failed { path: &change.path, why });
            }
        }
        done.map(drop)
    }

    /// Whether it was for us to change.
    fn try_one(&self, pending: &Pending) -> Result<bool, Failure> {
        let Pending { change, name, mount, seen, linked, .. } = pending;
        let before = if name.is_some() { change_time() } else { self.began };
        let pinned = pending.pinned().map_err(|errno| Failure::Refused { what: "open it", errno })?;
        let fd = pinned.as_fd();
        let pin = Pin { fd, before, mount: name.is_some().then_some(*mount) };
        match check(pin, change, *seen, *linked)? {
            Found::AsItWas => make(fd, change).map(|()| true),
            Found::AsItShould => Ok(false),
        }
    }

    /// What became of all: changes made and failed, the journal, whether the system's log was heard.
    pub(crate) fn finish(self) -> Result<Made, RepairError> {
        let made = self.made.load(Relaxed);
        let journal = self.journal.finish();
        match self.error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(RepairError::Journal { path, why, .. }) => return Err(RepairError::Journal { path, why, made }),
            Some(error) => return Err(error),
            None => {}
        }
        Ok(Made {
            made,
            failed: self.failed.load(Relaxed),
            already: self.already.load(Relaxed),
            journal: journal?.map(Path::to_owned),
            is_logged: self.syslog.is_heard(),
        })
    }
}

impl Waiting {
    fn take(&mut self) -> Group {
        Group { changes: std::mem::take(&mut self.changes), holders: std::mem::take(&mut self.holders) }
    }
}

/// What became of the changes.
pub(crate) struct Made {
    pub(crate) made: u64,
    pub(crate) failed: u64,
    pub(crate) already: u64,
    /// None if there was nothing to change.
    pub(crate) journal: Option<PathBuf>,
    pub(crate) is_logged: bool,
}
