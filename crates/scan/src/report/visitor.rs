//! The visitor of a report: entries become rows, errors become lines of the ledger.
//!
//! A directory's row needs its totals, so it is written when the directory is left; all other rows are
//! written with their batch. An encoder is borrowed from the pool for one batch at a time and never kept
//! while the file system is waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use pwalk_engine::{Batch, Context, Descend, Descent, Dir, Operand, Totals, Unfinished, Visitor, WalkError};
use pwalk_fs::Meta;

use super::UnreadDirs;
use crate::pool::Rows;
use crate::{DirColumns, Ledger, LedgerEntry, Oddities, Parent, Pool, Stopped, class, join};

/// How many roots that cannot be read are named where no root can.
const ERRORS_NAMED: usize = 8;

/// Where all visitors of a report write.
pub(crate) struct Desk {
    pub(crate) pool: Pool,
    pub(crate) ledger: Ledger,
    pub(crate) unread_dirs: UnreadDirs,
    /// How many visitors there were.
    pub(crate) reporters: AtomicUsize,
}

pub(crate) struct Reporter {
    desk: Arc<Desk>,
    /// Rows written.
    pub(crate) rows: u64,
    /// Directories among them.
    pub(crate) dirs: u64,
    /// The first errors it was told.
    pub(crate) first_errors: Vec<WalkError>,
    /// Tells it from the others, so that it gets back the encoder it had.
    id: usize,
    path: Vec<u8>,
}

impl Reporter {
    pub(crate) fn new(desk: Arc<Desk>) -> Self {
        // Relaxed: the numbers need only differ.
        let id = desk.reporters.fetch_add(1, Relaxed);
        Self { desk, rows: 0, dirs: 0, first_errors: Vec::new(), id, path: Vec::new() }
    }

    /// Writes one row by itself.
    fn single(&mut self, parent: &Parent<'_>, name: &[u8], meta: &Meta, dir: Option<Totals>) -> Result<(), Stopped> {
        let desk = Arc::clone(&self.desk);
        let mut rows = desk.pool.take(self.id)?;
        rows.begin(parent);
        self.row(&mut rows, parent, name, meta, dir)
    }

    fn row(
        &mut self,
        rows: &mut Rows<'_>,
        parent: &Parent<'_>,
        name: &[u8],
        meta: &Meta,
        dir: Option<Totals>,
    ) -> Result<(), Stopped> {
        let columns = dir.map(|t| DirColumns {
            fcount: t.count,
            dirsum: t.size,
            tree_count: t.tree_count,
            tree_size: t.tree_size,
            tree_blocks: t.tree_blocks,
        });
        let odd = rows.row(parent, name, meta, columns.as_ref())?;
        self.rows += 1;
        self.dirs += u64::from(dir.is_some());
        if odd.any() {
            self.note(odd, parent, name);
        }
        Ok(())
    }

    /// Writes the rows of the directories that a stopped walk was in, with what it had added up, and notes that there is more
    /// in them.
    pub(crate) fn unfinished(&mut self, all: &Unfinished) {
        let mut path = Vec::new();
        for dir in &all.dirs {
            let Some(meta) = &dir.meta else { continue };
            let parent = match dir.parent {
                None => Parent { path: None, ino: 0, depth: -1 },
                Some(above) => {
                    all.path_into(above, &mut path);
                    let depth = i32::try_from(all.depth(above)).unwrap_or(i32::MAX);
                    Parent { path: Some(&path), ino: all.dirs[above].meta.map_or(0, |m| m.ino), depth }
                }
            };
            let place = join(parent.path, &dir.name);
            let (operation, class) = ("list", class::INTERRUPTED);
            self.desk.ledger.record(&LedgerEntry { operation, errno: None, class, path: &place });
            // The output has failed: finishing it says why.
            if self.single(&parent, &dir.name, meta, Some(dir.totals)).is_err() {
                return;
            }
        }
    }

    /// What the format could not show exactly is in the ledger.
    #[cold]
    fn note(&self, odd: Oddities, parent: &Parent<'_>, name: &[u8]) {
        let path = join(parent.path, name);
        for (is, class) in [(odd.unprintable, class::UNPRINTABLE), (odd.unrepresentable, class::UNREPRESENTABLE)] {
            if is {
                self.desk.ledger.record(&LedgerEntry { operation: "write", errno: None, class, path: &path });
            }
        }
    }
}

/// How deep the entries of a directory are: 0 in a root.
fn depth_in(dir: &Dir<()>) -> i32 {
    i32::try_from(dir.depth()).unwrap_or(i32::MAX)
}

fn inode(dir: &Dir<()>) -> u64 {
    dir.meta().map_or(0, |m| m.ino)
}

impl Visitor for Reporter {
    type State = ();

    fn enter(&mut self, _: &mut Context<'_, Self>, _: &Dir<()>, _: Option<&()>) -> ((), Descend) {
        ((), Descend::Into)
    }

    fn batch(&mut self, cx: &mut Context<'_, Self>, batch: &mut Batch<'_, ()>) {
        let desk = Arc::clone(&self.desk);
        let dir = batch.dir();
        let mut path = std::mem::take(&mut self.path);
        dir.path_into(&mut path);
        let parent = Parent { path: Some(&path), ino: inode(dir), depth: depth_in(dir) };
        // Taken with the first row: a batch of nothing but directories has none.
        let mut rows = None;
        for entry in batch.iter().filter(|e| e.descent != Descent::Yes) {
            let Some(meta) = entry.meta else { continue };
            if entry.kind.is_dir() && desk.unread_dirs == UnreadDirs::Omitted {
                continue;
            }
            if rows.is_none() {
                let Ok(mut taken) = desk.pool.take(self.id) else {
                    cx.stop();
                    break;
                };
                taken.begin(&parent);
                rows = Some(taken);
            }
            let unread = entry.kind.is_dir().then(|| Totals::of_itself(meta));
            if let Some(rows) = &mut rows
                && self.row(rows, &parent, entry.name, meta, unread).is_err()
            {
                cx.stop();
                break;
            }
        }
        drop(rows);
        self.path = path;
        if self.desk.ledger.failed() {
            cx.stop();
        }
    }

    fn operand(&mut self, cx: &mut Context<'_, Self>, operand: &Operand<'_>) {
        let parent = Parent { path: None, ino: 0, depth: -1 };
        if self.single(&parent, operand.path, operand.meta, None).is_err() {
            cx.stop();
        }
    }

    fn leave(&mut self, cx: &mut Context<'_, Self>, dir: &Arc<Dir<()>>, totals: &Totals) {
        // Only a visitor that asks for names alone meets a directory of which nothing is known.
        let Some(meta) = dir.meta() else { return };
        let mut path = std::mem::take(&mut self.path);
        let parent = match dir.parent() {
            None => Parent { path: None, ino: 0, depth: -1 },
            Some(above) => {
                above.path_into(&mut path);
                Parent { path: Some(&path), ino: inode(above), depth: depth_in(above) }
            }
        };
        if self.single(&parent, dir.name(), meta, Some(*totals)).is_err() {
            cx.stop();
        }
        self.path = path;
    }

    fn error(&mut self, _: &mut Context<'_, Self>, error: &WalkError) {
        if self.first_errors.len() < ERRORS_NAMED {
            self.first_errors.push(error.clone());
        }
        self.desk.ledger.record(&LedgerEntry {
            operation: error.op.name(),
            errno: error.errno.map(|e| e.raw_os_error()),
            class: error.class.name(),
            path: &error.path,
        });
    }
}
