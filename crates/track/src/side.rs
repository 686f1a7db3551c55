//! One side of a comparison: a scan, or a directory that is walked now, sorted by directory.
//!
//! ```text
//! row groups ──► threads ─┐
//!                         ├─► sorters, a few ──► one sorted stream of directories and what is in them
//! walk ──► visitors ──────┘
//! ```
//!
//! Beside the entries stand the places that were not seen: where a listing failed nothing is known of what is below.

mod file;
mod walk;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pwalk_scan::{Stat, Verdict};

use crate::TrackError;
use crate::entry::encode;
use crate::key::{Roots, dir_key};
use crate::sort::{Merged, Sorter, Spill};

pub(crate) use file::{Opened, read};
pub(crate) use walk::walk;

/// Where one side comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A Parquet file of a scan.
    Scan(PathBuf),
    /// A directory, which is walked now.
    Directory(Vec<u8>),
}

/// One side, sorted.
pub(crate) struct Side {
    pub(crate) roots: Roots,
    /// By directory and name: metadata.
    pub(crate) entries: Merged,
    /// By key: places below which not everything was seen.
    pub(crate) unseen: Merged,
    /// Whether that is not known, so that it may be anywhere.
    pub(crate) is_vague: bool,
    pub(crate) facts: Facts,
}

/// What is known of a side as a whole.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Its roots, as they were given.
    pub roots: Vec<Vec<u8>>,
    /// Its entries.
    pub entries: u64,
    /// Whether everything was seen.
    pub verdict: Verdict,
    /// The options that decided which entries there are; none if they are not known.
    pub extent: Option<BTreeMap<String, serde_json::Value>>,
}

/// Sorters that several threads fill.
pub(crate) struct Pool {
    sorters: Vec<Mutex<Sorter>>,
    next: AtomicUsize,
    failed: Mutex<Option<io::Error>>,
    unseen: Mutex<Sorter>,
}

impl Pool {
    /// So many that take about `memory` bytes in all.
    pub(crate) fn new(sorters: usize, memory: usize, spill: &Spill) -> Self {
        let sorters = sorters.max(1);
        let new = || Mutex::new(Sorter::new(memory / sorters, spill));
        Self {
            sorters: (0..sorters).map(|_| new()).collect(),
            next: AtomicUsize::new(0),
            failed: Mutex::default(),
            unseen: Mutex::new(Sorter::new(memory / 16, spill)),
        }
    }

    /// One of them, if it can one that nobody uses.
    pub(crate) fn take(&self) -> MutexGuard<'_, Sorter> {
        let free = self.sorters.iter().find_map(|sorter| sorter.try_lock().ok());
        free.unwrap_or_else(|| {
            // Relaxed: any will do.
            let turn = self.next.fetch_add(1, Relaxed) % self.sorters.len();
            self.sorters[turn].lock().unwrap_or_else(PoisonError::into_inner)
        })
    }

    /// Notes a place that was not seen.
    pub(crate) fn unseen(&self, key: &[u8]) -> io::Result<()> {
        self.unseen.lock().unwrap_or_else(PoisonError::into_inner).push(key, b"", &[])
    }

    /// Keeps the first trouble.
    pub(crate) fn fail(&self, error: io::Error) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// All entries, and all places that were not seen.
    pub(crate) fn finish(self) -> io::Result<(Merged, Merged)> {
        if let Some(error) = self.failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let inner = |sorter: Mutex<Sorter>| sorter.into_inner().unwrap_or_else(PoisonError::into_inner);
        let unseen = Merged::new(vec![inner(self.unseen)])?;
        Ok((Merged::new(self.sorters.into_iter().map(inner).collect())?, unseen))
    }
}

/// Adds rows, and remembers the directory of the last one: mostly the next is in it as well.
#[derive(Default)]
pub(crate) struct Adder {
    /// Path of the directory, up to where names go.
    dir: Vec<u8>,
    key: Vec<u8>,
}

impl Adder {
    /// Adds an entry by its path. False if it is below no root.
    pub(crate) fn path(&mut self, sorter: &mut Sorter, roots: &Roots, path: &[u8], stat: &Stat) -> io::Result<bool> {
        let known = self.dir.len();
        // Of roots within each other a path alone does not tell.
        let is_one = roots.paths().len() == 1;
        if is_one && known > 0 && path.len() > known && path.starts_with(&self.dir) && !path[known..].contains(&b'/') {
            sorter.push(&self.key, &path[known..], &[&encode(stat)])?;
            return Ok(true);
        }
        let Some((root, below, name)) = roots.split(path) else { return Ok(false) };
        dir_key(&mut self.key, root, below);
        self.dir.clear();
        self.dir.extend_from_slice(&path[..path.len() - name.len()]);
        if name.is_empty() {
            // A root: nothing begins with it alone.
            self.dir.clear();
        }
        sorter.push(&self.key, name, &[&encode(stat)])?;
        Ok(true)
    }
}

/// What goes wrong with putting aside.
pub(crate) fn spilled(spill: &Spill) -> impl Fn(io::Error) -> TrackError {
    let dir = spill.dir().to_owned();
    move |why| TrackError::Spill { dir: dir.clone(), why }
}
