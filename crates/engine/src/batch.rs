//! Some entries of one directory, as a visitor sees them.

use std::ffi::CStr;
use std::sync::Arc;

use pwalk_fs::{Kind, Meta, Names};

use crate::Dir;

/// Whether and why (not) the walk goes into an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Descent {
    /// It is a directory and will be entered.
    Yes,
    /// It is no directory (or a link that is not followed).
    NotDir,
    /// It is as deep as the walk goes.
    Depth,
    /// Another file system is mounted there and the walk stays on one.
    Mount,
    /// The visitor pruned it.
    Pruned,
}

/// Whether an entry's metadata was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Never,
    Todo,
    /// The visitor has no use for the entry.
    Unwanted,
    Done,
    Failed,
}

/// What the engine keeps of an entry while its batch is made.
pub(crate) struct Item {
    pub(crate) index: u32,
    pub(crate) kind: Kind,
    pub(crate) via_link: bool,
    pub(crate) look: Look,
    pub(crate) descent: Descent,
    pub(crate) meta: Option<Meta>,
}

/// One entry of a directory.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its name, as bytes.
    pub name: &'a [u8],
    /// The inode number that the directory gave; the metadata's is the one to trust.
    pub d_ino: u64,
    /// Its type; where links are followed, the type of what a link leads to.
    pub kind: Kind,
    /// Its metadata, where the visitor needs it.
    pub meta: Option<&'a Meta>,
    /// Whether it is a link that is followed: type and metadata are those of what it leads to.
    pub via_link: bool,
    /// Whether the visitor said that it has no use for it ([`Want::Nothing`](crate::Want::Nothing)).
    pub unwanted: bool,
    /// Whether the walk goes into it.
    pub descent: Descent,
    names: &'a Names,
    index: usize,
}

impl<'a> Entry<'a> {
    /// Its name, as a system call wants it.
    pub fn c_name(&self) -> &'a CStr {
        self.names.c_name(self.index)
    }
}

/// Some entries of one directory: all of them, or a part when it is large or slow.
pub struct Batch<'a, S> {
    pub(crate) dir: &'a Arc<Dir<S>>,
    pub(crate) names: &'a Names,
    pub(crate) items: &'a mut [Item],
}

impl<'a, S> Batch<'a, S> {
    /// The directory.
    pub fn dir(&self) -> &'a Arc<Dir<S>> {
        self.dir
    }

    /// How many entries there are, at least one.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none (never, in a call of the engine's).
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The entry at `index`.
    pub fn get(&self, index: usize) -> Entry<'_> {
        view(self.names, &self.items[index])
    }

    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.items.iter().map(|item| view(self.names, item))
    }

    /// Keeps the walk out of the directory at `index`. Nothing else is changed: it stays an entry.
    pub fn prune(&mut self, index: usize) {
        let item = &mut self.items[index];
        if item.descent == Descent::Yes {
            item.descent = Descent::Pruned;
        }
    }
}

pub(crate) fn view<'a>(names: &'a Names, item: &'a Item) -> Entry<'a> {
    let index = item.index as usize;
    Entry {
        name: names.name(index),
        d_ino: names.entry(index).ino,
        kind: item.kind,
        meta: item.meta.as_ref(),
        via_link: item.via_link,
        unwanted: item.look == Look::Unwanted,
        descent: item.descent,
        names,
        index,
    }
}
