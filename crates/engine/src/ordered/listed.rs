//! A directory as it was when it was read, and what tells later whether it is still the same.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use pwalk_fs::{Kind, Meta, Names, Time, file_descriptor_limit};

/// A directory as it was when it was read.
#[derive(Debug)]
pub struct Listed {
    pub(super) names: Names,
    /// Places in `names`, in the order of the directory: first of the directories, links to directories among them, then of
    /// everything else.
    places: Box<[u32]>,
    /// How many directories there are.
    split: usize,
    /// Those of [`dirs`](Self::dirs) that are links, in order.
    links: Vec<u32>,
    pub(super) mark: Mark,
    /// The directory itself, kept where calls are slow.
    pub(super) fd: Option<Arc<Kept>>,
}

/// A directory as far as it was read.
///
/// Each thread has one, and uses it again and again: a listing that grew would be moved several times, and what is made by
/// one thread and dropped by another makes threads wait for each other in the allocator.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) names: Names,
    pub(super) dirs: Vec<u32>,
    pub(super) others: Vec<u32>,
    pub(super) links: Vec<u32>,
    /// Names before this place are in one of the lists, unless they are left out.
    pub(super) sorted: usize,
}

/// A directory that had more entries takes its room with it.
const MOST_SCRATCH: usize = 16_384;

impl Scratch {
    /// Begins with another directory.
    pub(super) fn clear(&mut self) {
        if self.names.len() > MOST_SCRATCH {
            *self = Self::default();
            return;
        }
        self.names.clear();
        self.dirs.clear();
        self.others.clear();
        self.links.clear();
        self.sorted = 0;
    }

    /// What there is up to now, in memory of just its size.
    pub(super) fn listed(&self, mark: Mark, fd: Option<Arc<Kept>>) -> Listed {
        let places = [self.dirs.as_slice(), self.others.as_slice()].concat().into_boxed_slice();
        Listed { names: self.names.clone(), places, split: self.dirs.len(), links: self.links.clone(), mark, fd }
    }
}

/// A directory that was read and is open.
#[derive(Clone, Debug)]
pub struct ListedFd(Arc<Kept>);

impl AsFd for ListedFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A descriptor that is kept, counted among all of them.
#[derive(Debug)]
pub(super) struct Kept(OwnedFd);

/// How many are kept in the process. Relaxed: a bound, exact enough.
static KEPT: AtomicU64 = AtomicU64::new(0);
/// Never more than this, nor more than a quarter of what the process may have.
const MOST_KEPT: u64 = 256;

impl Kept {
    /// If there may be another one; else the descriptor comes back.
    pub(super) fn new(fd: OwnedFd) -> Result<Self, OwnedFd> {
        let most = MOST_KEPT.min(file_descriptor_limit() / 4);
        if KEPT.fetch_add(1, Relaxed) < most {
            return Ok(Self(fd));
        }
        KEPT.fetch_sub(1, Relaxed);
        Err(fd)
    }
}

impl AsFd for Kept {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        KEPT.fetch_sub(1, Relaxed);
    }
}

/// What tells whether a directory has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    id: (u64, u64),
    mtime: Time,
    ctime: Time,
    /// Its last modification was long enough before it was read that another one must show.
    pub(super) settled: bool,
    /// Its last change of any kind was: being renamed is one.
    pub(super) change_settled: bool,
}

impl Listed {
    /// Places of the directories (links to directories among them), for [`name`](Self::name).
    pub fn dirs(&self) -> &[u32] {
        &self.places[..self.split]
    }

    /// Places of all other entries.
    pub fn others(&self) -> &[u32] {
        &self.places[self.split..]
    }

    /// The name at a place.
    pub fn name(&self, place: u32) -> &[u8] {
        self.names.name(place as usize)
    }

    /// The name of the directory that is `nth` in [`dirs`](Self::dirs).
    pub fn dir_name(&self, nth: u32) -> &[u8] {
        self.name(self.dirs()[nth as usize])
    }

    /// Whether the directory that is `nth` in [`dirs`](Self::dirs) is a link to one.
    pub fn is_link(&self, nth: u32) -> bool {
        self.links.binary_search(&nth).is_ok()
    }

    /// The name at a place, as a system call wants it.
    pub fn c_name(&self, place: u32) -> &CStr {
        self.names.c_name(place as usize)
    }

    /// What the directory says of the type of the entry at a place.
    pub fn kind(&self, place: u32) -> Kind {
        self.names.entry(place as usize).kind
    }

    /// Device and inode of the directory itself.
    pub fn id(&self) -> (u64, u64) {
        self.mark.id
    }

    /// The directory itself, if it was kept open: it is where calls are slow.
    pub fn fd(&self) -> Option<ListedFd> {
        self.fd.clone().map(ListedFd)
    }

    /// Names that are in neither list: snapshots that were to be left out.
    pub fn left_out(&self) -> usize {
        self.names.len() - self.places.len()
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

impl Mark {
    pub(super) fn of(meta: &Meta) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Coarser than the clock of any file system, and room for the clock of a server.
        let is_old = |time: Time| u64::try_from(time.sec).unwrap_or(0) + 2 < now.as_secs();
        let (settled, change_settled) = (is_old(meta.mtime), is_old(meta.ctime));
        Self { id: meta.id(), mtime: meta.mtime, ctime: meta.ctime, settled, change_settled }
    }

    pub(super) fn is_of(&self, meta: &Meta) -> bool {
        (self.id, self.mtime, self.ctime) == (meta.id(), meta.mtime, meta.ctime) && meta.kind() == Kind::Dir
    }
}
