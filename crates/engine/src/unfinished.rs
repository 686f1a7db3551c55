//! What a fold that was stopped leaves unfinished.
//!
//! A fold that is cancelled, or that gives up because too many calls hang, never leaves the directories it was in:
//! their `leave` would claim sums that are not the whole. Yet they were met, and who writes a row for each directory
//! wants one for these too. So they are handed back, with what they had added up by then.
//!
//! They are found from the work that was not done: what is queued, and what each worker was at when it stopped (its
//! flight). Every unit that a directory still waits for is one of these, or a directory below it.
//!
//! This is no [`Frontier`](crate::Frontier): names that were listed and not described are gone, so a fold cannot go on from here.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use pwalk_fs::{Meta, Names};

use crate::dir::join;
use crate::places::Places;
use crate::shared::Shared;
use crate::slot::Flight;
use crate::task::{Child, Task};
use crate::{Dir, Totals, Visitor};

/// The directories that a stopped fold met and never left.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unfinished {
    /// Each after the one above it.
    pub dirs: Vec<UnfinishedDir>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub struct UnfinishedDir {
    /// The directory above it, by its place in [`Unfinished::dirs`]; none for a root.
    pub parent: Option<usize>,
    /// The place of its root.
    pub root: usize,
    /// Its name; for a root its path.
    pub name: Vec<u8>,
    /// Its metadata, if that was read.
    pub meta: Option<Meta>,
    /// Its sums so far, those of all that is below it included.
    pub totals: Totals,
}

impl Unfinished {
    /// Makes `out` the path of directory `index`.
    pub fn path_into(&self, index: usize, out: &mut Vec<u8>) {
        let mut chain: Vec<&UnfinishedDir> = Vec::new();
        let mut at = Some(index);
        while let Some(dir) = at.and_then(|at| self.dirs.get(at)) {
            chain.push(dir);
            at = dir.parent;
        }
        out.clear();
        for (i, dir) in chain.into_iter().rev().enumerate() {
            if i > 0 {
                join(out, &dir.name);
            } else {
                out.extend_from_slice(&dir.name);
            }
        }
    }

    /// How many directories are above directory `index`.
    pub fn depth(&self, index: usize) -> usize {
        let above = |at: &usize| self.dirs.get(*at).and_then(|dir| dir.parent);
        std::iter::successors(Some(index), above).count() - 1
    }
}

/// Collects them. No worker may run any more, but for those that were given up.
pub(crate) fn collect<V: Visitor>(shared: &Shared<V>) -> Unfinished {
    let mut all = Collector { list: Vec::new(), places: Places::default() };
    let mut tasks = std::mem::take(&mut *shared.aside.lock());
    tasks.append(&mut shared.shelf.lock());
    tasks.extend(std::iter::from_fn(|| shared.steal(0)));
    for task in &tasks {
        match task {
            Task::Root { .. } => {}
            Task::List(open) => drop(all.open(&open.dir)),
            Task::Slice(slice) => drop(all.open(&slice.dir)),
            Task::Job { dir, .. } => drop(all.open(dir)),
            Task::Children(children) => {
                let parent = all.open(&children.dir);
                children.list.iter().for_each(|child| all.unread(parent, &children.dir, &children.names, child));
            }
        }
    }
    for slot in &shared.slots[..shared.spawned.load(Relaxed)] {
        match &*slot.flight.lock() {
            Flight::None | Flight::Root { .. } => {}
            Flight::List { dir, .. } => drop(all.open(dir)),
            Flight::Stat { slice } => drop(all.open(&slice.dir)),
            Flight::Open { parent, names, child } => {
                let above = all.open(parent);
                all.unread(above, parent, names, child);
            }
        }
    }
    let mut list = all.list;
    for index in (0..list.len()).rev() {
        let below = list[index].totals;
        if let Some(parent) = list[index].parent {
            list[parent].totals.add_below(&below);
        }
    }
    Unfinished { dirs: list }
}

struct Collector {
    list: Vec<UnfinishedDir>,
    /// The directories are alive as long as the tasks and flights they were found in.
    places: Places,
}

impl Collector {
    /// The place of `dir`; those above it are put there first.
    fn open<S>(&mut self, dir: &Arc<Dir<S>>) -> usize {
        let Self { list, places } = self;
        places.of(dir, |dir, parent| {
            let (root, name, meta) = (dir.root, dir.name().to_vec(), dir.meta);
            list.push(UnfinishedDir { parent, root, name, meta, totals: dir.sums.get() });
            list.len() - 1
        })
    }

    fn unread<S>(&mut self, parent: usize, dir: &Dir<S>, names: &Names, child: &Child) {
        let totals = child.meta.as_ref().map(Totals::of_itself).unwrap_or_default();
        self.list.push(UnfinishedDir {
            parent: Some(parent),
            root: dir.root,
            name: names.name(child.index as usize).to_vec(),
            meta: child.meta,
            totals,
        });
    }
}
