//! Where a fold stopped, and how it goes on.
//!
//! A fold whose budget is used up hands back its frontier: the directories that were not read yet,
//! the directories above them with the totals they had so far, and the hard links met. It is plain
//! data, to be kept in a file or sent to another machine. A fold that starts from a frontier delivers
//! exactly the entries that are missing, and leaves each directory once, with the totals of the
//! whole: slices put together equal one run.
//!
//! A directory whose reading has begun is read to its end before the fold stops, because a position
//! in a directory means nothing to another process. `enter` is called again for the directories
//! above ([`Dir::is_resumed`] tells them), so that their state exists again. Identity is checked as on every descent: a directory
//! that is not the one it was is an error.

use std::ffi::CString;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use pwalk_fs::{Kind, Meta, Names};

use crate::dir::{Listing, trim_root};
use crate::hands::Hands;
use crate::places::Places;
use crate::shared::{RootPath, Shared};
use crate::task::{Child, Children, Task};
use crate::totals::LinkSeen;
use crate::{Dir, Totals, Visitor};

/// Where a fold stopped.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frontier {
    /// All roots.
    pub roots: Vec<Vec<u8>>,
    /// Whether they may end in a slash, which then belongs to what is opened (a link is followed) and not to the paths below.
    /// [`start`](Self::start) has dropped it.
    pub with_slashes: bool,
    /// Roots that were not begun, by their place.
    pub unread_roots: Vec<usize>,
    /// Directories that are read but not left: each after its parent.
    pub open: Vec<OpenDir>,
    /// Directories that are not read.
    pub unread: Vec<UnreadDir>,
    /// Hard-linked inodes met so far.
    pub links: Vec<LinkSeen>,
}

/// A directory that was read and waits for directories below it.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenDir {
    /// Its parent's place in [`Frontier::open`]; none for a root.
    pub parent: Option<usize>,
    /// The place of its root.
    pub root: usize,
    /// Its name; for a root its path.
    pub name: Vec<u8>,
    /// Its metadata, by which it is recognised.
    pub meta: Option<Meta>,
    /// Whether its name is a link that is followed.
    pub via_link: bool,
    /// Whether nothing of its own listing was lost.
    pub complete: bool,
    /// Its sums so far.
    pub totals: Totals,
}

/// A directory that was not read.
#[derive(Clone, Debug, PartialEq)]
pub struct UnreadDir {
    /// Its parent's place in [`Frontier::open`].
    pub parent: usize,
    /// Its name.
    pub name: Vec<u8>,
    /// The inode its parent gave.
    pub d_ino: u64,
    /// What its entry said, where it was stat'ed.
    pub meta: Option<Meta>,
    /// Whether its name is a link that is followed.
    pub via_link: bool,
}

impl Frontier {
    /// The beginning of a walk of `roots`. One trailing slash of each is dropped.
    pub fn start<I: IntoIterator<Item = P>, P: AsRef<[u8]>>(roots: I) -> Self {
        let roots: Vec<Vec<u8>> = roots.into_iter().map(|r| trim_root(r.as_ref()).to_vec()).collect();
        Self { unread_roots: (0..roots.len()).collect(), roots, ..Self::default() }
    }

    /// Whether nothing is left to do.
    pub fn is_empty(&self) -> bool {
        self.unread_roots.is_empty() && self.unread.is_empty()
    }
}

/// The roots as the kernel is to see them: a name cut at a NUL does not exist.
pub(crate) fn root_paths(frontier: &Frontier) -> Vec<RootPath> {
    let c_path = |bytes: &Vec<u8>| CString::new(bytes.as_slice()).unwrap_or_default().into_boxed_c_str();
    let name = |root: &Vec<u8>| if frontier.with_slashes { trim_root(root).to_vec() } else { root.clone() };
    frontier.roots.iter().map(|root| RootPath { path: c_path(root), name: c_path(&name(root)) }).collect()
}

/// Queues what a frontier says is to be done.
pub(crate) fn resume<V: Visitor>(shared: &Shared<V>, hands: Hands<'_, V>, frontier: &Frontier) {
    shared.links.restore(&frontier.links);
    let mut dirs: Vec<Arc<Dir<V::State>>> = Vec::with_capacity(frontier.open.len());
    for open in &frontier.open {
        let parent = open.parent.and_then(|p| dirs.get(p));
        let name = CString::new(open.name.as_slice()).unwrap_or_default();
        let mut dir = Dir::new(parent, &name, open.root, None);
        dir.meta = open.meta;
        dir.via_link = open.via_link;
        dir.resumed = true;
        dir.sums.add(&open.totals);
        let listing = if open.complete { Listing::Complete } else { Listing::Partial };
        dir.listing.store(listing as u8, Relaxed);
        let dir = Arc::new(dir);
        if let Some(parent) = parent {
            parent.pending.fetch_add(1, Relaxed);
        }
        hands.enter(&dir);
        dirs.push(dir);
    }
    for unread in &frontier.unread {
        let Some(dir) = dirs.get(unread.parent) else { continue };
        let mut names = Names::default();
        names.add(&CString::new(unread.name.as_slice()).unwrap_or_default(), unread.d_ino, Kind::Dir);
        dir.pending.fetch_add(1, Relaxed);
        dir.users.fetch_add(1, Relaxed);
        shared.waiting.fetch_add(1, Relaxed);
        let list = vec![Child { index: 0, via_link: unread.via_link, meta: unread.meta }];
        hands.push(Task::Children(Children { dir: Arc::clone(dir), names: Arc::new(names), list }));
    }
    for &index in &frontier.unread_roots {
        hands.push(Task::Root { index });
    }
    // The units of the listings, which are done: given back last, so that nothing was left early.
    for dir in dirs.into_iter().rev() {
        shared.fds.done(&dir, 1);
        hands.finish(dir, 1);
    }
}

/// The frontier of a fold that has stopped: what was set aside, and what waits for it.
pub(crate) fn collect<V: Visitor>(shared: &Shared<V>, roots: Vec<Vec<u8>>) -> Frontier {
    let with_slashes = shared.roots.iter().any(|root| root.path != root.name);
    let mut frontier = Frontier { roots, with_slashes, links: shared.links.export(), ..Frontier::default() };
    let mut places = Places::default();
    for task in shared.aside.lock().drain(..) {
        match task {
            Task::Root { index } => frontier.unread_roots.push(index),
            Task::Children(children) => {
                let parent = place(&mut frontier.open, &mut places, &children.dir);
                frontier.unread.extend(children.list.iter().map(|child| UnreadDir {
                    parent,
                    name: children.names.name(child.index as usize).to_vec(),
                    d_ino: children.names.entry(child.index as usize).ino,
                    meta: child.meta,
                    via_link: child.via_link,
                }));
            }
            Task::List(_) | Task::Slice(_) | Task::Job { .. } => {}
        }
    }
    frontier.unread_roots.sort_unstable();
    frontier
}

/// The place of `dir` in the frontier; puts it and those above it there first.
fn place<S>(open: &mut Vec<OpenDir>, places: &mut Places, dir: &Arc<Dir<S>>) -> usize {
    places.of(dir, |dir, parent| {
        open.push(OpenDir {
            parent,
            root: dir.root,
            name: dir.name().to_vec(),
            meta: dir.meta,
            via_link: dir.via_link,
            complete: dir.listing() == Listing::Complete,
            totals: dir.sums.get(),
        });
        open.len() - 1
    })
}
