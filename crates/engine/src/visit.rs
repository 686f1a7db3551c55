//! What a feature gives to the engine: visitors, made by a sink.
//!
//! The walk is pushed, not pulled: the engine calls the visitor with whole batches of one
//! directory's entries, on whatever thread is free. An iterator was rejected: it would need a queue
//! between the walking threads and one consumer, and formatting, testing and copying must
//! themselves run in parallel.
//!
//! **Contract.** For each directory: `enter` once, then `batch` any number of times (none for an
//! empty directory), on any threads and possibly at once for different parts of it, then `leave`
//! once, after the `leave` of every directory below it and after all work spawned for it. A
//! directory that could not be opened gets `error` and then `leave` without `enter`. The order
//! among batches, and among directories that are not above one another, is unspecified. Every name
//! that a directory gave is in exactly one batch or in exactly one `error`, or was left out by the
//! options (snapshots, excludes).

use std::sync::Arc;

use pwalk_fs::Meta;

use crate::{Batch, Context, Dir, Entry, Totals, WalkError};

/// What a visitor must know of each entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Names and types. Nothing is stat'ed whose type the directory tells.
    Names,
    /// The metadata of every entry.
    Meta,
    /// The metadata of the entries that [`Visitor::wants`] picks.
    Chosen,
}

/// What a visitor must know of one entry, under [`Needs::Chosen`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Its metadata.
    Meta,
    /// No more than its name and type.
    Names,
    /// Nothing: it will be passed over ([`Entry::unwanted`]).
    Nothing,
}

/// Whether to read a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Descend {
    /// Read it.
    Into,
    /// Leave it at once, unread.
    Skip,
}

/// A root, before anything of it is opened.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    /// The path as it was given.
    pub path: &'a [u8],
    /// Its metadata.
    pub meta: &'a Meta,
    /// Its place among the roots.
    pub root: usize,
}

/// One worker's half of a feature: called by one thread at a time.
pub trait Visitor: Send + Sized + 'static {
    /// What a directory hands down to what is in it.
    type State: Send + Sync + 'static;

    /// Whether [`filled`](Self::filled) is called, which costs some counting.
    const HEARS_FILLED: bool = false;

    /// A root that is a directory, before it is opened. One that is skipped is neither entered nor left.
    fn root(&mut self, cx: &mut Context<'_, Self>, root: &Operand<'_>) -> Descend {
        let (_, _) = (cx, root);
        Descend::Into
    }

    /// A directory was opened and is about to be read.
    fn enter(
        &mut self,
        cx: &mut Context<'_, Self>,
        dir: &Dir<Self::State>,
        parent: Option<&Self::State>,
    ) -> (Self::State, Descend);

    /// Under [`Needs::Chosen`]: what must be known of this entry, which is known by name and type.
    fn wants(&mut self, dir: &Dir<Self::State>, entry: &Entry<'_>) -> Want {
        let (_, _) = (dir, entry);
        Want::Meta
    }

    /// Some entries of one directory. Sub-directories among them can be pruned.
    fn batch(&mut self, cx: &mut Context<'_, Self>, batch: &mut Batch<'_, Self::State>);

    /// Under [`HEARS_FILLED`](Self::HEARS_FILLED): all entries of a directory that was entered were delivered, and the work spawned for
    /// it is done; the directories below it may still be under way. Before `leave`, and only once unless a directory below spawns work for it.
    fn filled(&mut self, cx: &mut Context<'_, Self>, dir: &Arc<Dir<Self::State>>) {
        let (_, _) = (cx, dir);
    }

    /// A root that is no directory.
    fn operand(&mut self, cx: &mut Context<'_, Self>, operand: &Operand<'_>) {
        let (_, _) = (cx, operand);
    }

    /// A directory and everything below it is done.
    fn leave(&mut self, cx: &mut Context<'_, Self>, dir: &Arc<Dir<Self::State>>, totals: &Totals) {
        let (_, _, _) = (cx, dir, totals);
    }

    /// Something could not be read.
    fn error(&mut self, cx: &mut Context<'_, Self>, error: &WalkError) {
        let (_, _) = (cx, error);
    }
}

/// A feature: makes a visitor for each worker and turns them into a result.
pub trait Sink {
    /// Its visitors.
    type Worker: Visitor;
    /// What the whole fold comes to.
    type Summary;
    /// How finishing can fail.
    type Error;

    /// What its visitors must know of each entry.
    fn needs(&self) -> Needs;

    /// A visitor for one more worker.
    fn worker(&self) -> Self::Worker;

    /// Everything that can fail at the end (a footer, a commit) happens here and not in `Drop`.
    fn finish(self, workers: Vec<Self::Worker>, outcome: &crate::Outcome) -> Result<Self::Summary, Self::Error>;
}
