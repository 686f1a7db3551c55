//! A directory of the walk, while anything in it is unfinished.
//!
//! A child holds its parent, never the other way round: the live directories are the ancestors of
//! what is being worked on, and memory follows the work and not the tree. A directory keeps its own
//! name, not its path: paths of a tree 5,000 levels deep would take megabytes per level. Who needs a
//! path for output builds it into a buffer of its own.
//!
//! # When a directory is finished
//!
//! `pending` counts the units of work that belong to a directory: its listing, each slice of names
//! under way, each sub-directory not yet left, each spawned job. A unit is added only by somebody
//! who holds a unit himself, so the count cannot rise from zero; whoever takes it to zero is alone,
//! calls `leave`, adds the totals to the parent and gives back the unit that the directory was there.

use std::ffi::CStr;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use pwalk_fs::{Links, Meta};

use crate::fds::{Keeper, Node};
use crate::hands::DirFd;
use crate::totals::Sums;
use crate::{Totals, Visitor};

/// How far a directory was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Listing {
    /// Nothing of it was read: it could not be opened, or the visitor or the options said so.
    Unread = 0,
    /// Names are missing, or entries that were listed could not be stat'ed.
    Partial = 1,
    /// Every entry was read.
    Complete = 2,
}

/// A directory of the walk.
pub struct Dir<S> {
    pub(crate) parent: Option<Arc<Dir<S>>>,
    pub(crate) name: Box<CStr>,
    pub(crate) depth: u32,
    pub(crate) root: usize,
    pub(crate) via_link: bool,
    pub(crate) resumed: bool,
    pub(crate) meta: Option<Meta>,
    pub(crate) state: OnceLock<S>,
    pub(crate) pending: AtomicUsize,
    /// The units among them that are not sub-directories, where the visitor wants to know when they are done.
    pub(crate) own: AtomicUsize,
    pub(crate) sums: Sums,
    pub(crate) listing: AtomicU8,
    /// Work that may still need the descriptor: the listing, slices to stat, children to open.
    pub(crate) users: AtomicUsize,
    pub(crate) fd: Keeper,
    /// Calls in this directory that were given up: after a few the rest is not tried any more.
    pub(crate) timeouts: AtomicU8,
}

impl<S> Dir<S> {
    /// A directory with one unit of work: its listing.
    pub(crate) fn new(parent: Option<&Arc<Self>>, name: &CStr, root: usize, meta: Option<Meta>) -> Self {
        let sums = Sums::default();
        if let Some(meta) = &meta {
            sums.add_below(&Totals::of_itself(meta));
        }
        Self {
            parent: parent.cloned(),
            name: name.into(),
            depth: parent.map_or(0, |p| p.depth + 1),
            root,
            via_link: false,
            resumed: false,
            meta,
            state: OnceLock::new(),
            pending: AtomicUsize::new(1),
            own: AtomicUsize::new(1),
            sums,
            listing: AtomicU8::new(Listing::Unread as u8),
            users: AtomicUsize::new(1),
            fd: Keeper::default(),
            timeouts: AtomicU8::new(0),
        }
    }

    /// Adds a unit that is no sub-directory. Relaxed: whoever adds one holds one.
    pub(crate) fn add_own<V: Visitor>(&self) {
        self.pending.fetch_add(1, Relaxed);
        if V::HEARS_FILLED {
            self.own.fetch_add(1, Relaxed);
        }
    }

    /// The directory above, none for a root.
    pub fn parent(&self) -> Option<&Arc<Self>> {
        self.parent.as_ref()
    }

    /// Its name; for a root the path as it was given (one trailing slash dropped).
    pub fn name(&self) -> &[u8] {
        self.name.to_bytes()
    }

    /// Its name, as a system call wants it.
    pub fn c_name(&self) -> &CStr {
        &self.name
    }

    /// How many directories are above it: 0 for a root.
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// The place of its root among the roots.
    pub fn root(&self) -> usize {
        self.root
    }

    /// Whether it was entered, and its listing read, in an earlier slice of the walk.
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Its metadata: read from its own descriptor before its names were; where it could not be
    /// opened, what its entry said. None only where not even that is known.
    pub fn meta(&self) -> Option<&Meta> {
        self.meta.as_ref()
    }

    /// What `enter` made; none if the directory was never entered.
    pub fn state(&self) -> Option<&S> {
        self.state.get()
    }

    /// How far it was read. Final once it is left.
    pub fn listing(&self) -> Listing {
        match self.listing.load(Relaxed) {
            0 => Listing::Unread,
            1 => Listing::Partial,
            _ => Listing::Complete,
        }
    }

    /// Lowers `listing` to partial; a directory never gets better again.
    pub(crate) fn lost_something(&self) {
        self.listing.store(Listing::Partial as u8, Relaxed);
    }

    /// Whether so many calls hung here that the others would only hang too.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.timeouts.load(Relaxed) >= 3
    }

    /// Makes `out` the path: the root as it was given, then the names.
    pub fn path_into(&self, out: &mut Vec<u8>) {
        self.build_path(out, true);
    }

    /// Its path: the root as it was given, then the names.
    pub fn path(&self) -> Vec<u8> {
        let mut path = Vec::new();
        self.path_into(&mut path);
        path
    }

    /// The path of an entry of it.
    pub fn path_of(&self, name: &[u8]) -> Vec<u8> {
        let mut path = self.path();
        join(&mut path, name);
        path
    }

    /// Makes `out` the path below the root, without a leading slash; empty for the root itself.
    pub fn path_below_root_into(&self, out: &mut Vec<u8>) {
        self.build_path(out, false);
    }

    fn build_path(&self, out: &mut Vec<u8>, with_root: bool) {
        let mut chain: Vec<&Self> = Vec::with_capacity(self.depth as usize + 1);
        let mut at = Some(self);
        while let Some(dir) = at {
            if with_root || dir.parent.is_some() {
                chain.push(dir);
            }
            at = dir.parent.as_deref();
        }
        out.clear();
        for (i, dir) in chain.into_iter().rev().enumerate() {
            if i > 0 {
                join(out, dir.name());
            } else {
                out.extend_from_slice(dir.name());
            }
        }
    }

    /// Its descriptor, while it is open: always when it is entered. Later [`Context::fd`](crate::Context::fd) opens it again if
    /// need be.
    pub fn open_fd(&self) -> Option<DirFd> {
        self.fd.get().map(DirFd)
    }

    /// Whether `id` (device, inode) is this directory or one above it: a link to it would lead in a circle.
    pub fn is_below(&self, id: (u64, u64)) -> bool {
        let mut at = Some(self);
        while let Some(dir) = at {
            if dir.meta.as_ref().is_some_and(|m| m.id() == id) {
                return true;
            }
            at = dir.parent.as_deref();
        }
        false
    }
}

impl<S> Node for Dir<S> {
    fn above(&self) -> Option<&Arc<Self>> {
        self.parent.as_ref()
    }

    fn name(&self) -> &CStr {
        &self.name
    }

    fn links(&self) -> Links {
        if self.via_link { Links::Follow } else { Links::NoFollow }
    }

    fn id(&self) -> Option<(u64, u64)> {
        self.meta.as_ref().map(Meta::id)
    }

    fn keeper(&self) -> &Keeper {
        &self.fd
    }
}

/// A root's path as it stands in every output: as given, without one trailing slash. `/` stays.
pub fn trim_root(path: &[u8]) -> &[u8] {
    match path {
        [head @ .., b'/'] if !head.is_empty() => head,
        _ => path,
    }
}

/// Appends `name` to the path in `out`, with a slash between. Only `/` has its slash already; any other root
/// stays as the user gave it, so that `a//` gives `a//x`, as the classic program writes it.
pub fn join(out: &mut Vec<u8>, name: &[u8]) {
    if out.as_slice() != b"/" {
        out.push(b'/');
    }
    out.extend_from_slice(name);
}

/// Dropping the last directory of a chain drops its parent, and so on: by recursion that would
/// overflow the stack of a worker on a deep tree, so take the chain apart in a loop.
impl<S> Drop for Dir<S> {
    fn drop(&mut self) {
        let mut next = self.parent.take();
        while let Some(parent) = next {
            next = Arc::into_inner(parent).and_then(|mut dir| dir.parent.take());
        }
    }
}
