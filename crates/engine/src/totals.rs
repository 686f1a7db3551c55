//! Counts and sizes that flow up the tree.
//!
//! Each directory has a few atomic sums. A batch adds to them once, a finished directory adds its
//! own to its parent's, so the cost is a handful of atomic additions per directory and none per
//! entry. Hard links are counted once per walk: the names all count, size and blocks only where
//! the inode is met first.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_utils::CachePadded;
use pwalk_fs::Meta;

use crate::lock::Lock;

/// The sums of one directory when it is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Entries directly in it.
    pub count: u64,
    /// The sum of their sizes in bytes, every name counted.
    pub size: u64,
    /// Names in the whole subtree, the directory itself among them.
    pub tree_count: u64,
    /// Bytes in the whole subtree, the directory itself among them, each inode once per walk.
    pub tree_size: u64,
    /// Allocated blocks of 512 bytes in the whole subtree, counted likewise: what `du` says.
    pub tree_blocks: u64,
}

impl Totals {
    /// Adds what a sub-directory comes to. That it is an entry was counted where it was listed.
    pub(crate) fn add_below(&mut self, t: &Self) {
        self.tree_count = self.tree_count.wrapping_add(t.tree_count);
        self.tree_size = self.tree_size.wrapping_add(t.tree_size);
        self.tree_blocks = self.tree_blocks.wrapping_add(t.tree_blocks);
    }

    /// An unread directory: itself and nothing else.
    pub fn of_itself(meta: &Meta) -> Self {
        Self { count: 0, size: 0, tree_count: 1, tree_size: meta.size, tree_blocks: meta.blocks }
    }
}

/// The same while they grow. Relaxed suffices: who reads them has seen the last unit of the
/// directory finish, and that counter (`Dir::pending`) is released and acquired.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    count: AtomicU64,
    size: AtomicU64,
    tree_count: AtomicU64,
    tree_size: AtomicU64,
    tree_blocks: AtomicU64,
}

impl Sums {
    pub(crate) fn add(&self, t: &Totals) {
        self.count.fetch_add(t.count, Relaxed);
        self.size.fetch_add(t.size, Relaxed);
        self.add_below(t);
    }

    /// Adds what a finished sub-directory comes to. That it is an entry was counted with its batch.
    pub(crate) fn add_below(&self, t: &Totals) {
        self.tree_count.fetch_add(t.tree_count, Relaxed);
        self.tree_size.fetch_add(t.tree_size, Relaxed);
        self.tree_blocks.fetch_add(t.tree_blocks, Relaxed);
    }

    pub(crate) fn get(&self) -> Totals {
        Totals {
            count: self.count.load(Relaxed),
            size: self.size.load(Relaxed),
            tree_count: self.tree_count.load(Relaxed),
            tree_size: self.tree_size.load(Relaxed),
            tree_blocks: self.tree_blocks.load(Relaxed),
        }
    }
}

/// A hard-linked inode that was met, and how many of its names were not met yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkSeen {
    /// Device.
    pub dev: u64,
    /// Inode.
    pub ino: u64,
    /// Names not met yet, by the link count when it was first met.
    pub left: u32,
}

/// Which hard-linked inodes were met. An inode whose last name was met is forgotten, so the memory
/// is that of the inodes with names still to come (or outside the walk). A link made while walking
/// can therefore count twice; a walk of a changing tree has no exact answer.
#[derive(Default)]
pub(crate) struct HardLinks {
    shards: [CachePadded<Shard>; 32],
}

/// By device and inode: the names not met yet.
type Shard = Lock<HashMap<(u64, u64), u32>>;

impl HardLinks {
    /// Whether this is the first name met of an inode that has several.
    pub(crate) fn is_first(&self, meta: &Meta) -> bool {
        let shard = usize::try_from(meta.ino % 32).unwrap_or(0);
        let mut seen = self.shards[shard].lock();
        match seen.entry((meta.dev, meta.ino)) {
            Entry::Vacant(v) => {
                v.insert(meta.nlink.saturating_sub(1));
                true
            }
            Entry::Occupied(mut o) => {
                *o.get_mut() = o.get().saturating_sub(1);
                if *o.get() == 0 {
                    o.remove();
                }
                false
            }
        }
    }

    pub(crate) fn restore(&self, links: &[LinkSeen]) {
        for l in links {
            let shard = usize::try_from(l.ino % 32).unwrap_or(0);
            self.shards[shard].lock().insert((l.dev, l.ino), l.left);
        }
    }

    pub(crate) fn export(&self) -> Vec<LinkSeen> {
        let all = self
            .shards
            .iter()
            .flat_map(|s| s.lock().iter().map(|(&(dev, ino), &left)| LinkSeen { dev, ino, left }).collect::<Vec<_>>());
        all.collect()
    }
}
