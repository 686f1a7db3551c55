//! The local catalog: a directory that needs no server.
//!
//! ```text
//! catalog.sqlite            which runs there were, which files are part of it
//! views.sql                 the same for DuckDB
//! 1/state/000007.parquet    rows of root 1 that run 7 found new or changed
//! 1/gone/000008.parquet     rows of earlier files that run 8 found to be there no more
//! 1/changes/000008.parquet  what changed, as people understand it
//! 1/errors/000008.jsonl     what run 8 could not read
//! 1/past/000009.parquet     rows that were there once, put together by run 9
//! ```
//!
//! Files are never changed. A run writes what changed, whatever the size of the tree: new rows, and which rows are no more, by their places. Nothing is looked up
//! to read the state: all rows of the state files but those. When there are many files they become one ([`compact`]).
//!
//! Files that are in no transaction were left by a run that did not get there, and are removed by the next.

mod book;
mod changes;
mod compact;
mod gone;
mod views;

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use pwalk_fs::try_lock;
use pwalk_scan::report::FileFormat;
use pwalk_scan::{LedgerTarget, Loss, ScanFile, Target, read_losses};

use super::record::{Contents, Keeper, NewRow};
use super::run::{Root, Run};
use super::segment::{SegmentRow, SegmentWriter};
use super::store::{Draft, Entry, Store};
use crate::TrackError;
use crate::change::Change;
use crate::fingerprint::FingerprintMode;
use crate::key::Roots;
use crate::side::{Bits, Facts, Opened, Reading, Side, StateRows, read};
use crate::write::{ChangeWriter, ChangesOf};
use book::{Book, Publication, Segment, SegmentKind};
use gone::{GoneWriter, Starts};

/// A catalog in a directory.
pub(crate) struct LocalStore {
    dir: PathBuf,
    book: Book,
    locks: HashMap<u64, File>,
}

/// The directories of a root's files.
const ROOMS: [&str; 5] = ["state", "gone", "past", "changes", "errors"];

/// The views for DuckDB.
const VIEWS: &str = "views.sql";

impl LocalStore {
    /// Opens a catalog; `is_new` lets it be made if there is none.
    pub(crate) fn open(dir: &Path, is_new: bool) -> Result<Self, TrackError> {
        let book = dir.join("catalog.sqlite");
        if !is_new && !book.try_exists().map_err(|why| failed("look into", dir, why))? {
            return Err(TrackError::Unknown(format!(
                "there is no catalog in {}; make one with `pwalk track scan`, or name its directory with --catalog",
                dir.display()
            )));
        }
        fs::create_dir_all(dir).map_err(|why| failed("make", dir, why))?;
        let store = Self { dir: dir.to_owned(), book: Book::open(&book)?, locks: HashMap::new() };
        if is_new && !dir.join(VIEWS).exists() {
            store.write_views()?;
        }
        Ok(store)
    }

    /// The path of a root's file, below the catalog.
    fn file(root: &Root, room: &str, run: u64, ending: &str) -> String {
        format!("{}/{room}/{run:06}.{ending}", root.id)
    }

    /// Removes what is part of no run. Whoever has the root locked may.
    fn sweep(&self, root: &Root) -> Result<(), TrackError> {
        let known: HashSet<String> = self.book.files()?.into_iter().collect();
        for room in ROOMS {
            let place = self.dir.join(root.id.to_string()).join(room);
            let runs: HashSet<u64> = match room {
                "errors" => self.book.runs()?.iter().filter(|run| !run.is_pruned).map(|run| run.id).collect(),
                _ => HashSet::new(),
            };
            for entry in fs::read_dir(&place).map_err(|why| failed("read", &place, why))? {
                let entry = entry.map_err(|why| failed("read", &place, why))?;
                let name = entry.file_name();
                let name = name.to_str().unwrap_or_default();
                let run = name.split('.').next().and_then(|run| run.parse().ok()).unwrap_or(0);
                if !known.contains(&format!("{}/{room}/{name}", root.id)) && !runs.contains(&run) {
                    fs::remove_file(entry.path()).map_err(|why| failed("remove", &entry.path(), why))?;
                }
            }
        }
        Ok(())
    }

    /// The state of a root: its files, in order, and which of their rows are no more.
    fn state_files(&self, segments: Vec<Segment>) -> Result<StateFiles, TrackError> {
        let starts = Starts::of(&segments);
        let mut state = StateFiles::default();
        for segment in segments.iter().filter(|segment| segment.kind == SegmentKind::State) {
            state.files.push(ScanFile::open(&self.dir.join(&segment.file))?);
            state.rows += segment.rows;
        }
        starts.gone(&self.dir, &segments, |number, _| state.gone.insert(number))?;
        Ok(StateFiles { segments, starts, ..state })
    }

    /// Which run found which row gone, for who looks back: sixteen bytes for each of them.
    fn find_gone_by(&self, state: &mut StateFiles) -> Result<(), TrackError> {
        let gone_by = &mut state.gone_by;
        state.starts.gone(&self.dir, &state.segments, |number, run| gone_by.push((number, run)))?;
        gone_by.sort_unstable();
        Ok(())
    }

    /// Where it stands what a run could not read.
    fn ledger_of(&self, root: &Root, run: u64) -> PathBuf {
        self.dir.join(Self::file(root, "errors", run, "jsonl"))
    }
}

/// The files of the state of a root.
#[derive(Default)]
struct StateFiles {
    segments: Vec<Segment>,
    files: Vec<ScanFile>,
    starts: Starts,
    rows: u64,
    gone: Bits,
    /// Which run found which row gone, if that was asked for.
    gone_by: Vec<(u64, u64)>,
}

fn failed(doing: &'static str, path: &Path, why: io::Error) -> TrackError {
    TrackError::Catalog { doing, path: path.to_owned(), why }
}

impl Store for LocalStore {
    fn own_place(&self) -> Option<(u64, u64)> {
        self.dir.metadata().ok().map(|meta| (meta.dev(), meta.ino()))
    }

    fn roots(&mut self) -> Result<Vec<Root>, TrackError> {
        self.book.roots()
    }

    fn runs(&mut self) -> Result<Vec<Run>, TrackError> {
        self.book.runs()
    }

    fn lock(&mut self, path: &[u8]) -> Result<Root, TrackError> {
        let id = self.book.root_id(path)?;
        let place = self.dir.join(id.to_string());
        for room in ROOMS {
            fs::create_dir_all(place.join(room)).map_err(|why| failed("make", &place, why))?;
        }
        let name = place.join("lock");
        let file = OpenOptions::new().create(true).append(true).open(&name);
        let file = file.map_err(|why| failed("open", &name, why))?;
        if !try_lock(&file).map_err(|errno| failed("lock", &name, errno.into()))? {
            return Err(TrackError::Locked { root: path.escape_ascii().to_string() });
        }
        self.locks.insert(id, file);
        let known = self.book.roots()?.into_iter().find(|root| root.id == id);
        let root = known.unwrap_or_else(|| Root {
            id,
            path: path.to_vec(),
            identity: super::run::Identity::default(),
            last_scan: None,
            last: 0,
        });
        self.sweep(&root)?;
        Ok(root)
    }

    fn unlock(&mut self, root: &Root) {
        self.locks.remove(&root.id);
    }

    fn begin(&mut self, root: &Root) -> Result<(u64, LedgerTarget), TrackError> {
        let run = self.book.draw()?;
        Ok((run, LedgerTarget::IfAny(self.ledger_of(root, run))))
    }

    fn state(&mut self, root: &Root, rereads: FingerprintMode, reading: &Reading) -> Result<Side, TrackError> {
        let state = self.state_files(self.book.segments(root.id)?)?;
        let last = root.last_scan.as_ref();
        let facts = Facts {
            roots: vec![root.path.clone()],
            // What was not seen the last time is among them.
            entries: state.rows - state.gone.count(),
            bytes: last.map(|run| run.bytes),
            verdict: last.map_or(pwalk_scan::Verdict::Complete, |run| run.verdict),
            extent: last.map(|run| run.extent.clone()),
        };
        let losses = last.filter(|run| run.errors > 0).map(|run| self.ledger_of(root, run.id));
        let rows = StateRows { gone: state.gone, rereads };
        let opened = Opened::state(state.files, root.roots(), facts, losses, rows);
        read(vec![opened], reading)?.pop().ok_or(TrackError::Interrupted)
    }

    fn publish(
        &mut self,
        draft: Draft<'_>,
        contents: Contents,
        roots: &Roots,
        reading: &Reading,
    ) -> Result<Run, TrackError> {
        let Draft { root, identity, mut run } = draft;
        let name = |room| Self::file(root, room, run.id, "parquet");
        let files = [name("state"), name("gone"), name("changes")];
        let [state, gone, changes] = files.each_ref().map(|file| self.dir.join(file));
        let segments = self.book.segments(root.id)?;
        let before = Starts::of(&segments);
        let mut writer = Writer {
            run: run.id,
            rows: SegmentWriter::new(state),
            gone: GoneWriter::new(gone),
            before: &before,
            changes: None,
            changes_path: changes,
        };
        run.counts = contents.hand_over(roots, reading, &mut writer)?;
        let (rows, gone) = (writer.rows.finish()?, writer.gone.finish()?);
        let has_changes = writer.changes.is_some();
        writer.changes.map_or(Ok(()), |changes| changes.finish().map(|_| ()))?;
        let [state, gone_file, changes] = files;
        let segment = |kind, file, rows| Segment { kind, run: run.id, file, rows };
        let mut added = vec![segment(SegmentKind::State, state, rows), segment(SegmentKind::Gone, gone_file, gone)];
        added.retain(|segment| segment.rows > 0);
        let plan = compact::plan(&segments, &added);
        let mut removed = Vec::new();
        if plan.is_due {
            (added, removed) = self.compacted(root, &added, &plan, run.id, None, reading)?;
        }
        run.finished = self.book.publish(&Publication {
            root: root.id,
            identity: &identity,
            run: &run,
            changes: has_changes.then_some(changes),
            added,
            removed,
        })?;
        self.write_views()?;
        Ok(run)
    }

    fn entries(
        &mut self,
        root: &Root,
        subtree: &[u8],
        at: Option<u64>,
        reading: &Reading,
        each: &mut dyn FnMut(&Entry<'_>) -> Result<(), TrackError>,
    ) -> Result<(), TrackError> {
        compact::entries(self, root, subtree, at, reading, each)
    }

    fn changes(
        &mut self,
        run: &Run,
        each: &mut dyn FnMut(&Change<'_>) -> Result<(), TrackError>,
    ) -> Result<(), TrackError> {
        match self.book.changes_of(run.id)? {
            Some(file) => changes::read_changes(&self.dir.join(file), each),
            None => Ok(()),
        }
    }

    fn errors(
        &mut self,
        run: &Run,
        each: &mut dyn FnMut(&Loss<'_>) -> Result<(), TrackError>,
    ) -> Result<(), TrackError> {
        let root = self.book.roots()?.into_iter().find(|root| root.path == run.root);
        let ledger = root.map(|root| self.ledger_of(&root, run.id));
        match ledger.filter(|ledger| run.errors > 0 && ledger.exists()) {
            Some(ledger) => read_losses(&ledger, each),
            None => Ok(()),
        }
    }

    fn duckdb_sql(&mut self) -> Result<String, TrackError> {
        self.views()
    }

    fn prune(&mut self, root: &Root, before: u64, reading: &Reading) -> Result<(), TrackError> {
        let run = self.book.draw()?;
        let plan = compact::Plan::everything();
        let (added, removed) = self.compacted(root, &[], &plan, run, Some(before), reading)?;
        let runs = self.book.runs()?;
        let pruned: Vec<_> =
            runs.iter().filter(|run| run.root == root.path && run.id < before).map(|run| run.id).collect();
        self.book.prune(root.id, &pruned, &added, &removed)?;
        self.write_views()
    }
}

/// Writes a run's files.
struct Writer<'a> {
    run: u64,
    rows: SegmentWriter,
    gone: GoneWriter,
    before: &'a Starts,
    changes: Option<ChangeWriter>,
    changes_path: PathBuf,
}

impl Keeper for Writer<'_> {
    fn row(&mut self, row: &NewRow<'_>) -> Result<(), TrackError> {
        let NewRow { path, stat, is_racy, hashed } = *row;
        self.rows.write(&SegmentRow { path, stat: *stat, is_racy, hashed, run: self.run, to_run: None })
    }

    fn change(&mut self, change: &Change<'_>) -> Result<(), TrackError> {
        let mut writer = match self.changes.take() {
            Some(writer) => writer,
            None => {
                ChangeWriter::create(&Target::File(self.changes_path.clone()), FileFormat::Parquet, ChangesOf::One)?
            }
        };
        writer.write(self.run, change)?;
        self.changes = Some(writer);
        Ok(())
    }

    fn removed(&mut self, _: &[u8]) -> Result<(), TrackError> {
        // Rows are known by their places here.
        Ok(())
    }

    fn gone(&mut self, place: u64) -> Result<(), TrackError> {
        self.gone.write(self.before.place(place), self.run)
    }
}
