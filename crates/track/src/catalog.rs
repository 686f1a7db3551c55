//! A catalog: a sequence of scans of directories, and what changed between them.
//!
//! ```text
//! scan.rs ──► record.rs ──► Store: local.rs (files and SQLite), postgres.rs (tables)
//! verify.rs ─┘  hashing.rs      │
//!                               └─► runs, changes, entries ─► report.rs
//! ```
//!
//! What there is to know of a directory is its state: a row for each entry. A scan compares the state with what is there, and what differs becomes the
//! next state and a list of changes, in one step. So a catalog grows with what happens in a tree, not with the tree.

mod batches;
mod content;
mod hashing;
mod local;
mod ordered;
mod place;
mod postgres;
mod record;
mod report;
mod run;
mod scan;
mod segment;
mod store;
mod verify;

use std::path::{Path, PathBuf};

use pwalk_engine::{Cancel, Progress};
use pwalk_scan::Loss;

use crate::change::Change;
use crate::key::Roots;
use crate::{Connection, TrackError};
use local::LocalStore;
use postgres::PgStore;
use run::Root;
use scan::reading_of;
use segment::{SegmentRow, SegmentWriter};
use store::Store;

pub use batches::EntryBatches;
pub use hashing::Hashing;
pub use place::{BadPlace, Place, known_path};
pub use report::{Group, Period, Report, ReportOptions, ReportRow};
pub use run::{BadSince, ChangeFilter, Run, RunKind, Since};
pub use scan::{Accepted, ScanOptions, ScanSummary};
pub use store::Entry;
pub use verify::VerifyOptions;

/// A catalog, open.
pub struct Catalog {
    store: Box<dyn Store>,
}

/// What is kept when a catalog is pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// So many of the last scans of each root, and verifications since the first of these.
    Runs(u64),
    /// Runs since a time, in nanoseconds since 1970.
    Since(i64),
}

impl Catalog {
    /// Opens the catalog in a directory, and makes it if there is none.
    ///
    /// # Errors
    /// The directory cannot be used, or is another program's.
    pub fn create(dir: &Path) -> Result<Self, TrackError> {
        Ok(Self { store: Box::new(LocalStore::open(dir, true)?) })
    }

    /// Opens the catalog in a directory.
    ///
    /// # Errors
    /// There is none, or it cannot be used.
    pub fn open(dir: &Path) -> Result<Self, TrackError> {
        Ok(Self { store: Box::new(LocalStore::open(dir, false)?) })
    }

    /// Opens the catalog in a database, which [`init`](Self::init) made.
    ///
    /// # Errors
    /// The server cannot be reached, or has no catalog.
    pub fn connect(connection: &Connection) -> Result<Self, TrackError> {
        Ok(Self { store: Box::new(PgStore::connect(connection)?) })
    }

    /// Makes the catalog in a database, or brings it up to date; nothing is dropped.
    ///
    /// # Errors
    /// The server cannot be reached, or does not let us.
    pub fn init(connection: &Connection) -> Result<(), TrackError> {
        PgStore::init(connection)
    }

    /// Scans a directory, and publishes what changed since the last time.
    ///
    /// # Errors
    /// [`TrackError`]; the catalog is as it was then. What could not be read in the directory is none: the run is PARTIAL.
    pub fn scan(
        &mut self,
        root: &Path,
        options: &ScanOptions,
        progress: &dyn Progress,
    ) -> Result<ScanSummary, TrackError> {
        self.holding(&real_path(root)?, |catalog, root| scan::scan(&mut *catalog.store, root, options, progress))
    }

    /// Reads files at a path and below it again, those first that were not read for the longest time, and tells what is rotten as changes of a run.
    ///
    /// # Errors
    /// [`TrackError`]; the catalog is as it was then.
    pub fn verify(&mut self, path: &Path, options: &VerifyOptions) -> Result<ScanSummary, TrackError> {
        let path = real_path(path)?;
        let root = self.root_of(&path)?;
        self.holding(&root.path, |catalog, root| verify::verify(&mut *catalog.store, root, &path, options))
    }

    /// Does something while nobody else can do it with this root.
    fn holding<T>(
        &mut self,
        root: &[u8],
        act: impl FnOnce(&mut Self, &Root) -> Result<T, TrackError>,
    ) -> Result<T, TrackError> {
        let root = self.store.lock(root)?;
        let done = act(self, &root);
        self.store.unlock(&root);
        done
    }

    /// All runs, the oldest first.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn runs(&mut self) -> Result<Vec<Run>, TrackError> {
        self.store.runs()
    }

    /// Tells `each` what a run could not read.
    ///
    /// # Errors
    /// There is no such run, or the catalog cannot be read; whatever `each` says.
    pub fn errors(
        &mut self,
        run: u64,
        each: &mut dyn FnMut(&Loss<'_>) -> Result<(), TrackError>,
    ) -> Result<(), TrackError> {
        let run = self.store.runs()?.into_iter().find(|of| of.id == run).ok_or_else(|| no_run(run))?;
        if run.is_pruned {
            return Err(TrackError::Unknown(format!("what run {} could not read was pruned", run.id)));
        }
        self.store.errors(&run, each)
    }

    /// Tells `each` of changes, run by run, the oldest first; within a run in the order of directories and names.
    ///
    /// # Errors
    /// The catalog cannot be read, a run's changes were pruned, or whatever `each` says.
    pub fn changes(
        &mut self,
        filter: &ChangeFilter,
        each: &mut dyn FnMut(&Run, &Change<'_>) -> Result<(), TrackError>,
    ) -> Result<(), TrackError> {
        for run in self.asked(filter)? {
            self.changes_of(&run, filter, each)?;
        }
        Ok(())
    }

    /// Whether there is an answer to what [`Self::changes`] is to be asked, before it takes its time.
    ///
    /// # Errors
    /// The catalog cannot be read, or a run's changes were pruned.
    pub fn has_changes(&mut self, filter: &ChangeFilter) -> Result<(), TrackError> {
        self.asked(filter).map(|_| ())
    }

    /// The runs that are asked for.
    fn asked(&mut self, filter: &ChangeFilter) -> Result<Vec<Run>, TrackError> {
        let all = self.store.runs()?;
        if let Some(run) = filter.run.filter(|run| !all.iter().any(|known| known.id == *run)) {
            return Err(no_run(run));
        }
        let mut runs = all.clone();
        runs.retain(|run| {
            filter.after.is_none_or(|since| since.is_before(run, &all))
                && filter.run.is_none_or(|only| only == run.id)
                && filter.root.as_ref().is_none_or(|root| *root == run.root)
                // Nothing else can be there.
                && filter.subtree.as_ref().is_none_or(|path| run.has_part_of(path))
        });
        filter.check_subtree(&all)?;
        match runs.iter().filter(|run| run.is_pruned).max_by_key(|run| run.finished) {
            Some(run) if filter.run.is_some() => {
                Err(TrackError::Unknown(format!("the changes of run {} were pruned", run.id)))
            }
            Some(run) if filter.after.is_some() => Err(TrackError::Unknown(format!(
                "changes up to run {0} were pruned; ask for those after it with --since {0}",
                run.id
            ))),
            // Who asks for everything gets what there is.
            _ => Ok(runs.into_iter().filter(|run| !run.is_pruned).collect()),
        }
    }

    /// The same of the last scan of each directory, and of verifications after it; `filter.after` means nothing here.
    ///
    /// # Errors
    /// The catalog cannot be read, or whatever `each` says.
    pub fn last_changes(
        &mut self,
        filter: &ChangeFilter,
        each: &mut dyn FnMut(&Run, &Change<'_>) -> Result<(), TrackError>,
    ) -> Result<(), TrackError> {
        let runs = self.store.runs()?;
        filter.check_subtree(&runs)?;
        let is_scan_after =
            |run: &Run, other: &Run| other.root == run.root && other.id > run.id && other.kind == RunKind::Scan;
        let is_last = |run: &Run| !runs.iter().any(|other| is_scan_after(run, other));
        let is_asked = |run: &Run| filter.root.as_ref().is_none_or(|root| *root == run.root) && !run.is_pruned;
        for run in runs.iter().filter(|run| is_asked(run) && is_last(run)) {
            self.changes_of(run, filter, each)?;
        }
        Ok(())
    }

    fn changes_of(
        &mut self,
        run: &Run,
        filter: &ChangeFilter,
        each: &mut dyn FnMut(&Run, &Change<'_>) -> Result<(), TrackError>,
    ) -> Result<(), TrackError> {
        let subtree = filter.subtree.as_ref().map(|path| Roots::new([path.clone()]));
        self.store.changes(run, &mut |change| {
            if filter.cancel.is_cancelled() {
                return Err(TrackError::Interrupted);
            }
            let is_below = |path: &[u8]| subtree.as_ref().is_none_or(|subtree| subtree.below(path).is_some());
            let is_type = filter.types.is_empty() || filter.types.contains(&change.change_type);
            if is_type && (is_below(change.path) || change.old_path.is_some_and(is_below)) {
                each(run, change)?;
            }
            Ok(())
        })
    }

    /// Counts changes, by time and by what they are of.
    ///
    /// # Errors
    /// The catalog cannot be read, or changes that are asked for were pruned.
    pub fn report(&mut self, options: &ReportOptions) -> Result<Report, TrackError> {
        report::report(self, options)
    }

    /// Tells `each` of all entries at a path and below it, in the order of directories and names: as they are, or as they were after a run or at a time.
    ///
    /// # Errors
    /// The catalog knows nothing of the path, or of that time, or cannot be read; whatever `each` says.
    pub fn entries(
        &mut self,
        path: &[u8],
        at: Option<Since>,
        cancel: &Cancel,
        each: &mut dyn FnMut(&Entry<'_>) -> Result<(), TrackError>,
    ) -> Result<(), TrackError> {
        let root = self.root_of(path)?;
        let at = at.map(|at| self.run_at(&root, at)).transpose()?;
        self.store.entries(&root, path, at, &reading_of(cancel), each)
    }

    /// Whether there is an answer to what [`Self::entries`] is to be asked, before it takes its time.
    ///
    /// # Errors
    /// The catalog knows nothing of the path, or of that time, or cannot be read.
    pub fn has_entries(&mut self, path: &[u8], at: Option<Since>) -> Result<(), TrackError> {
        let root = self.root_of(path)?;
        at.map_or(Ok(()), |at| self.run_at(&root, at).map(|_| ()))
    }

    /// The root that a path is below: of several the innermost.
    fn root_of(&mut self, path: &[u8]) -> Result<Root, TrackError> {
        let roots = self.store.roots()?;
        let below = |root: &Root| root.roots().below(path).map(|(_, below)| below.len());
        let found = roots.iter().filter_map(|root| Some((below(root)?, root))).min_by_key(|(below, _)| *below);
        found.map(|(_, root)| root.clone()).ok_or_else(|| {
            let known: Vec<_> = roots.iter().map(|root| root.path.escape_ascii().to_string()).collect();
            let known = if known.is_empty() { "nothing yet".to_owned() } else { known.join(", ") };
            TrackError::Unknown(format!("the catalog has no scan of {}; it has {known}", path.escape_ascii()))
        })
    }

    /// The run after which a root was as it was then.
    fn run_at(&mut self, root: &Root, at: Since) -> Result<u64, TrackError> {
        let mut runs = self.store.runs()?;
        let time = match at {
            Since::Run(id) => runs.iter().find(|run| run.id == id).ok_or_else(|| no_run(id))?.finished,
            Since::Time(time) => time,
        };
        runs.retain(|run| run.root == root.path);
        let is_by_then = |run: &&Run| run.finished <= time;
        let Some(run) = runs.iter().rfind(is_by_then) else {
            let what = format!("there is no run of {} by then", root.path.escape_ascii());
            return Err(TrackError::Unknown(match runs.first() {
                Some(first) => format!("{what}; the first is run {}", first.id),
                None => what,
            }));
        };
        match run.is_pruned {
            false => Ok(run.id),
            true => Err(TrackError::Unknown(format!("how it was after run {} was pruned", run.id))),
        }
    }

    /// Forgets what old runs found, but never how things are. How many runs were forgotten.
    ///
    /// # Errors
    /// The catalog cannot be read or written, or a root is being scanned, and the others are done.
    pub fn prune(&mut self, keep: Keep, cancel: &Cancel) -> Result<u64, TrackError> {
        let (mut pruned, mut busy) = (0, None);
        for root in self.store.roots()? {
            match self.holding(&root.path, |catalog, root| catalog.prune_root(root, keep, cancel)) {
                Ok(count) => pruned += count,
                // The others need not wait for it.
                Err(locked @ TrackError::Locked { .. }) => busy = Some(locked),
                Err(why) => return Err(why),
            }
        }
        busy.map_or(Ok(pruned), Err)
    }

    fn prune_root(&mut self, root: &Root, keep: Keep, cancel: &Cancel) -> Result<u64, TrackError> {
        let runs: Vec<Run> = self.store.runs()?.into_iter().filter(|run| run.root == root.path).collect();
        let scans: Vec<usize> = (0..runs.len()).filter(|at| runs[*at].kind == RunKind::Scan).collect();
        let last = scans.last().copied().unwrap_or(0);
        let first_kept = match keep {
            Keep::Runs(count) => {
                let count = usize::try_from(count).unwrap_or(usize::MAX).max(1);
                scans.len().checked_sub(count).map_or(0, |at| scans[at])
            }
            Keep::Since(time) => runs.iter().position(|run| run.finished >= time).unwrap_or(last).min(last),
        };
        let forgotten = &runs[..first_kept];
        let count = forgotten.iter().filter(|run| !run.is_pruned).count();
        if let (Some(first), true) = (runs.get(forgotten.len()), count > 0) {
            self.store.prune(root, first.id, &reading_of(cancel))?;
        }
        Ok(count as u64)
    }

    /// The SQL with which DuckDB sees the catalog.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub fn duckdb_sql(&mut self) -> Result<String, TrackError> {
        self.store.duckdb_sql()
    }

    /// Writes all entries at a path and below it to one Parquet file: how many there are.
    ///
    /// # Errors
    /// As [`Self::entries`], and what writing says.
    pub fn export(
        &mut self,
        path: &[u8],
        at: Option<Since>,
        file: PathBuf,
        cancel: &Cancel,
    ) -> Result<u64, TrackError> {
        let mut writer = SegmentWriter::new(file);
        self.entries(path, at, cancel, &mut |entry| writer.write(&SegmentRow::of(entry)))?;
        writer.finish()
    }
}

fn no_run(run: u64) -> TrackError {
    TrackError::Unknown(format!("there is no run {run}; see `pwalk track runs`"))
}

/// The path that a catalog knows a directory by: absolute, and without links if it is there.
fn real_path(path: &Path) -> Result<Vec<u8>, TrackError> {
    use std::os::unix::ffi::OsStrExt;
    let real = path.canonicalize().or_else(|_| std::path::absolute(path));
    let failed = |why: std::io::Error| TrackError::Directory { path: path.display().to_string(), why: why.to_string() };
    Ok(real.map_err(failed)?.as_os_str().as_bytes().to_vec())
}
