//! A side that is a file: its row groups are read by several threads.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use pwalk_engine::{Class, Op};
use pwalk_fs::Kind;
use pwalk_scan::report::extent;
use pwalk_scan::{Metadata, Row, RowBatch, ScanFile, Verdict, ledger_of, read_losses};

use super::{Bits, Chosen, Facts, Pool, Reading, Side, threads};
use crate::TrackError;
use crate::entry::{Detail, Hashed, Kept, encode, encode_kept, kind};
use crate::fingerprint::FingerprintMode;
use crate::key::{Roots, key_into};
use crate::sort::Sorter;

/// A scan, opened: one file, or the segments that are the state of a catalog.
pub(crate) struct Opened {
    files: Vec<ScanFile>,
    /// Row groups of all files: which one of which file, and the number of its first row.
    groups: Vec<(usize, usize, u64)>,
    rows: u64,
    pub(crate) roots: Roots,
    facts: Facts,
    /// Whether it says itself what its roots are.
    is_own: bool,
    /// Where its losses stand, and how many they should be.
    losses: Option<(PathBuf, Option<u64>)>,
    /// Of a catalog.
    state: Option<StateRows>,
}

/// What there is to say of the rows of a catalog.
pub(crate) struct StateRows {
    /// Those that are not there any more.
    pub(crate) gone: Bits,
    /// Which files are read: they are to be looked at, although they seem to be what they were.
    pub(crate) rereads: FingerprintMode,
}

/// Columns that only the segments of a catalog have.
const KEPT: [&str; 3] = ["is_racy", "fingerprint", "hashed_at"];

impl Opened {
    pub(crate) fn new(path: &Path) -> Result<Self, TrackError> {
        // What a link leads to has its ledger beside it.
        let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let file = ScanFile::open(path)?;
        let metadata = file.metadata()?;
        let rows: u64 = (0..file.groups()).map(|group| file.rows_of(group)).sum();
        if metadata.as_ref().and_then(|metadata| metadata.counts.get("entries")).is_some_and(|entries| *entries != rows)
        {
            let why = "it has not as many rows as it says; it is damaged, or another program changed it";
            return Err(TrackError::NoScan { path: path.clone(), why });
        }
        // Another program kept the rows and not what was said about them: all absolute paths have one root.
        let given = metadata.as_ref().map(|metadata| metadata.roots.iter().map(|root| root.0.clone()).collect());
        let roots = Roots::new(given.unwrap_or_else(|| vec![b"/".to_vec()]));
        let shaping = extent(&pwalk_engine::Options::default(), &[]);
        let of = |metadata: &Metadata| {
            let known = metadata.options.iter().filter(|(name, _)| shaping.contains_key(*name));
            known.map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        let facts = Facts {
            roots: roots.paths().to_vec(),
            entries: 0,
            verdict: metadata.as_ref().map_or(Verdict::Partial, |metadata| metadata.verdict),
            extent: metadata.as_ref().map(of),
            bytes: metadata.as_ref().and_then(|metadata| metadata.counts.get("bytes").copied()),
        };
        let is_partial = metadata.as_ref().filter(|metadata| metadata.verdict == Verdict::Partial);
        let losses = is_partial.map(|metadata| (ledger_of(path), metadata.counts.get("errors").copied()));
        let mut opened = Self::of(vec![file], roots, facts, losses);
        opened.is_own = metadata.is_some();
        opened.facts.entries = opened.rows;
        Ok(opened)
    }

    /// The state of a catalog.
    pub(crate) fn state(
        files: Vec<ScanFile>,
        roots: Roots,
        facts: Facts,
        losses: Option<PathBuf>,
        state: StateRows,
    ) -> Self {
        let opened = Self::of(files, roots, facts, losses.map(|losses| (losses, None)));
        Self { state: Some(state), ..opened }
    }

    fn of(files: Vec<ScanFile>, roots: Roots, facts: Facts, losses: Option<(PathBuf, Option<u64>)>) -> Self {
        let (mut groups, mut rows) = (Vec::new(), 0);
        for (number, file) in files.iter().enumerate() {
            for group in 0..file.groups() {
                groups.push((number, group, rows));
                rows += file.rows_of(group);
            }
        }
        Self { files, groups, rows, roots, facts, is_own: true, losses, state: None }
    }

    /// Takes the roots of the other side, if it says nothing of its own.
    pub(crate) fn adopt(&mut self, roots: &Roots) {
        if !self.is_own {
            self.roots = roots.clone();
            self.facts.roots = roots.paths().to_vec();
        }
    }

    /// Rows, those that are gone among them.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Tells `each` the rows of a row group that are there, with their numbers.
    fn read(
        &self,
        group: usize,
        more: &[&str],
        mut each: impl FnMut(u64, &Row<'_>, &RowBatch<'_>, usize) -> Result<(), TrackError>,
    ) -> Result<(), TrackError> {
        let (file, group, mut number) = self.groups[group];
        self.files[file].batches(group, more, |rows| {
            for row in 0..rows.count() {
                if self.state.as_ref().is_none_or(|state| !state.gone.has(number)) {
                    each(number, &rows.row(row), rows, row)?;
                }
                number += 1;
            }
            Ok(())
        })
    }

    /// The root that a row is below, and the rest of its path.
    fn below<'r>(&self, row: &Row<'r>) -> Result<(usize, &'r [u8]), TrackError> {
        self.roots.below(row.path).ok_or_else(|| TrackError::NoScan {
            path: self.files.first().map(ScanFile::path).unwrap_or_default(),
            why: "it has rows that are below none of its roots; only scans that pwalk wrote can be compared",
        })
    }

    /// Keeps the marks of a row group.
    fn mark(&self, group: usize, pool: &Pool, reading: &Reading) -> Result<(), TrackError> {
        let mut lane = pool.take();
        let rereads = self.state.as_ref().map(|state| state.rereads);
        let more: &[&str] = match rereads {
            Some(FingerprintMode::New | FingerprintMode::Sample) => &KEPT[..2],
            Some(_) => &KEPT[..1],
            None => &[],
        };
        self.read(group, more, |number, row, rows, index| {
            let (root, below) = self.below(row)?;
            if below.is_empty() {
                pool.top(root, &row.stat);
            }
            let mut mark = reading.seed.mark(root, below, &row.stat, number);
            let is_unread = || kind(&row.stat) == Kind::File && !has_fingerprint(rows, index);
            if rereads.is_some_and(|mode| is_racy(rows, index) || mode.rereads(is_unread)) {
                mark.differ();
            }
            lane.marks.push(mark).map_err(|why| reading.spilled(why))
        })
    }

    /// Reads those again that were chosen.
    pub(super) fn fetch(
        &self,
        chosen: &Chosen,
        name: &[u8],
        memory: usize,
        reading: &Reading,
    ) -> Result<Vec<Sorter>, TrackError> {
        let end = |group: usize| self.groups.get(group + 1).map_or(self.rows, |next| next.2);
        let has_chosen = |group: &usize| chosen.has_any(self.groups[*group].2..end(*group));
        let groups: Vec<_> = (0..self.groups.len()).filter(has_chosen).collect();
        let count = threads().min(groups.len());
        let next = AtomicUsize::new(0);
        let more: &[&str] = if self.state.is_some() { &KEPT } else { &[] };
        reading.in_threads(count, |is_over| {
            let mut sorter = Sorter::new(memory / count.max(1), &reading.spill);
            let mut key = Vec::new();
            // Relaxed: nothing else depends on it.
            while let (Some(group), false) = (groups.get(next.fetch_add(1, Relaxed)), is_over()) {
                self.read(*group, more, |number, row, rows, index| {
                    if !chosen.has(number) {
                        return Ok(());
                    }
                    let (root, below) = self.below(row)?;
                    key_into(&mut key, root, below);
                    let added = match &self.state {
                        None => sorter.push(&key, name, &[&encode(&row.stat)]),
                        Some(_) => {
                            let kept =
                                Kept { place: number, is_racy: is_racy(rows, index), hashed: hashed(rows, index) };
                            sorter.push(&key, name, &[&encode_kept(&Detail { stat: row.stat, kept: Some(kept) })])
                        }
                    };
                    added.map_err(|why| reading.spilled(why))
                })?;
            }
            Ok(sorter)
        })
    }
}

/// Whether a line of a ledger says that something was gone when it was looked at: then it is gone, and not unseen.
pub(crate) fn is_gone(class: &str, operation: &str) -> bool {
    class == Class::Vanished.name() && operation == Op::Stat.name()
}

/// Whether the content of a row of a catalog is to be looked at again.
pub(crate) fn is_racy(rows: &RowBatch<'_>, row: usize) -> bool {
    let column = rows.column(KEPT[0]).and_then(|column| column.as_boolean_opt());
    column.is_some_and(|column| column.is_valid(row) && column.value(row))
}

fn has_fingerprint(rows: &RowBatch<'_>, row: usize) -> bool {
    rows.column(KEPT[1]).is_some_and(|column| column.is_valid(row))
}

/// What a catalog knows of the content of a row.
pub(crate) fn hashed(rows: &RowBatch<'_>, row: usize) -> Option<Hashed> {
    let text = rows.column(KEPT[1])?.as_string_opt::<i32>().filter(|column| column.is_valid(row))?.value(row);
    let times = rows.column(KEPT[2])?.as_primitive_opt::<TimestampNanosecondType>();
    let at = times.filter(|column| column.is_valid(row)).map_or(0, |column| column.value(row));
    Some(Hashed { fingerprint: text.parse().ok()?, at })
}

/// Reads scans, all at once.
pub(crate) fn read(all: Vec<Opened>, reading: &Reading) -> Result<Vec<Side>, TrackError> {
    let pools: Vec<_> = all.iter().map(|_| Pool::new(reading)).collect();
    let groups = |(side, opened): (usize, &Opened)| (0..opened.groups.len()).map(move |group| (group, side));
    let mut tasks: Vec<_> = all.iter().enumerate().flat_map(groups).collect();
    // In turn, so that both are done at the same time.
    tasks.sort_unstable();
    let next = AtomicUsize::new(0);
    reading.in_threads(reading.threads.min(tasks.len()), |is_over| {
        while let (Some((group, side)), false) = (tasks.get(next.fetch_add(1, Relaxed)), is_over()) {
            all[*side].mark(*group, &pools[*side], reading)?;
        }
        Ok(())
    })?;
    all.into_iter().zip(pools).map(|(opened, pool)| finish(opened, pool, reading)).collect()
}

fn finish(opened: Opened, pool: Pool, reading: &Reading) -> Result<Side, TrackError> {
    let mut is_vague = !opened.is_own;
    if let Some((ledger, expected)) = &opened.losses {
        let mut losses = 0;
        if ledger.exists() {
            read_losses(ledger, |loss| {
                losses += 1;
                if is_gone(loss.class, loss.operation) {
                    return Ok(());
                }
                pool.lost(&opened.roots, loss.path).map_err(|why| reading.spilled(why))
            })?;
        }
        // Without its ledger, or with that of another scan, nobody knows where.
        is_vague = !ledger.exists() || expected.is_some_and(|expected| expected != losses);
    }
    let (roots, facts) = (opened.roots.clone(), opened.facts.clone());
    if opened.state.is_none() {
        pool.lose_unbegun(&roots).map_err(|why| reading.spilled(why))?;
    }
    pool.finish(roots, is_vague, facts, Some(opened)).map_err(|why| reading.spilled(why))
}
