//! The work that is handed around.
//!
//! A task is a few pointers. Those that are large can be divided: a slice of names in halves, a list
//! of sub-directories by taking one and putting the rest back, a listing by reading a block and
//! putting itself back. So nothing needs to be cut small in advance, and thieves, who take the
//! oldest task of a queue, get the largest pieces.

use std::sync::Arc;

use pwalk_fs::{Meta, Names};

use crate::fds::Held;
use crate::{Context, Dir, Visitor};

/// Work that a visitor spawned for a directory.
pub(crate) type Job<V> = Box<dyn FnOnce(&mut V, &mut Context<'_, V>) + Send>;

pub(crate) enum Task<V: Visitor> {
    /// Open root `index`.
    Root { index: usize },
    /// Go on reading the names of a directory.
    List(OpenListing<V::State>),
    /// Stat (where needed) and deliver some names of a directory.
    Slice(Slice<V::State>),
    /// Enter sub-directories.
    Children(Children<V::State>),
    /// Run a job.
    Job { dir: Arc<Dir<V::State>>, job: Job<V> },
}

/// A directory whose names are being read; the position is the descriptor's own.
pub(crate) struct OpenListing<S> {
    pub(crate) dir: Arc<Dir<S>>,
    pub(crate) fd: Arc<Held>,
}

/// Names `from..to` of a block of one directory's names.
pub(crate) struct Slice<S> {
    pub(crate) dir: Arc<Dir<S>>,
    pub(crate) names: Arc<Names>,
    pub(crate) from: u32,
    pub(crate) to: u32,
}

impl<S> Clone for Slice<S> {
    fn clone(&self) -> Self {
        Self { dir: Arc::clone(&self.dir), names: Arc::clone(&self.names), from: self.from, to: self.to }
    }
}

impl<S> Slice<S> {
    pub(crate) fn len(&self) -> usize {
        (self.to - self.from) as usize
    }

    /// The part of this slice in `from..to`.
    pub(crate) fn part(&self, from: u32, to: u32) -> Self {
        Self { from, to, ..self.clone() }
    }
}

/// Sub-directories of one directory that are to be entered; the last one first.
pub(crate) struct Children<S> {
    pub(crate) dir: Arc<Dir<S>>,
    pub(crate) names: Arc<Names>,
    pub(crate) list: Vec<Child>,
}

/// One of them.
#[derive(Clone, Copy)]
pub(crate) struct Child {
    pub(crate) index: u32,
    pub(crate) via_link: bool,
    /// What its entry said; none where only its name and type were asked for.
    pub(crate) meta: Option<Meta>,
}
