//! A side that is a file: its row groups are read by several threads.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use pwalk_engine::{Class, Op};
use pwalk_scan::report::extent;
use pwalk_scan::{Metadata, Row, ScanFile, Verdict, ledger_of, read_losses};

use super::{Chosen, Facts, Pool, Reading, Side, threads};
use crate::TrackError;
use crate::entry::encode;
use crate::key::{Roots, dir_key, own_key};
use crate::sort::Sorter;

/// A scan, opened.
pub(crate) struct Opened {
    file: ScanFile,
    metadata: Option<Metadata>,
    pub(crate) roots: Roots,
    /// The number of the first row of each row group, and that after the last.
    starts: Vec<u64>,
}

impl Opened {
    pub(crate) fn new(path: &Path) -> Result<Self, TrackError> {
        let file = ScanFile::open(path)?;
        let metadata = file.metadata()?;
        // Another program kept the rows and not what was said about them: all absolute paths have one root.
        let given = metadata.as_ref().map(|metadata| metadata.roots.iter().map(|root| root.0.clone()).collect());
        let roots = Roots::new(given.unwrap_or_else(|| vec![b"/".to_vec()]));
        let mut starts = vec![0];
        for group in 0..file.groups() {
            starts.push(starts[group] + file.rows_of(group));
        }
        Ok(Self { file, metadata, roots, starts })
    }

    /// Takes the roots of the other side, if it says nothing of its own.
    pub(crate) fn adopt(&mut self, roots: &Roots) {
        if self.metadata.is_none() {
            self.roots = roots.clone();
        }
    }

    pub(crate) fn rows(&self) -> u64 {
        self.starts.last().copied().unwrap_or(0)
    }

    /// What it says of itself.
    fn facts(&self) -> Facts {
        let shaping = extent(&pwalk_engine::Options::default(), &[]);
        let of = |metadata: &Metadata| {
            let known = metadata.options.iter().filter(|(name, _)| shaping.contains_key(*name));
            known.map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        Facts {
            roots: self.roots.paths().to_vec(),
            entries: self.rows(),
            verdict: self.metadata.as_ref().map_or(Verdict::Partial, |metadata| metadata.verdict),
            extent: self.metadata.as_ref().map(of),
        }
    }

    /// Tells `each` the rows of a row group, with their numbers.
    fn read(
        &self,
        group: usize,
        mut each: impl FnMut(u64, &Row<'_>) -> Result<(), TrackError>,
    ) -> Result<(), TrackError> {
        let mut number = self.starts[group];
        self.file.read(group, |row| {
            each(number, row)?;
            number += 1;
            Ok(())
        })
    }

    /// The root that a row is below, and the rest of its path.
    fn below<'r>(&self, row: &Row<'r>) -> Result<(usize, &'r [u8]), TrackError> {
        self.roots.below(row.path).ok_or_else(|| TrackError::NoScan {
            path: self.file.path(),
            why: "it has rows that are below none of its roots; only scans that pwalk wrote can be compared",
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
        let has_chosen = |group: &usize| chosen.has_any(self.starts[*group]..self.starts[*group + 1]);
        let groups: Vec<_> = (0..self.file.groups()).filter(has_chosen).collect();
        let count = threads().min(groups.len());
        let next = AtomicUsize::new(0);
        in_threads(count, reading, |is_over| {
            let mut sorter = Sorter::new(memory / count.max(1), &reading.spill);
            let (mut dir, mut key) = (Vec::new(), Vec::new());
            // Relaxed: nothing else depends on it.
            while let (Some(group), false) = (groups.get(next.fetch_add(1, Relaxed)), is_over()) {
                self.read(*group, |number, row| {
                    if !chosen.has(number) {
                        return Ok(());
                    }
                    let (root, below) = self.below(row)?;
                    let slash = below.iter().rposition(|byte| *byte == b'/');
                    let (above, last) = slash.map_or((&b""[..], below), |at| (&below[..at], &below[at + 1..]));
                    dir_key(&mut dir, root, above);
                    key.clear();
                    key.extend_from_slice(&own_key(&dir, last));
                    sorter.push(&key, name, &[&encode(&row.stat)]).map_err(|why| reading.spilled(why))
                })?;
            }
            Ok(sorter)
        })
    }
}

/// Reads scans, all at once.
pub(crate) fn read(all: Vec<Opened>, reading: &Reading) -> Result<Vec<Side>, TrackError> {
    let pools: Vec<_> = all.iter().map(|_| Pool::new(reading)).collect();
    let groups = |(side, opened): (usize, &Opened)| (0..opened.file.groups()).map(move |group| (group, side));
    let mut tasks: Vec<_> = all.iter().enumerate().flat_map(groups).collect();
    // In turn, so that both are done at the same time.
    tasks.sort_unstable();
    let next = AtomicUsize::new(0);
    in_threads(reading.threads.min(tasks.len()), reading, |is_over| {
        while let (Some((group, side)), false) = (tasks.get(next.fetch_add(1, Relaxed)), is_over()) {
            let (opened, pool) = (&all[*side], &pools[*side]);
            let mut lane = pool.take();
            opened.read(*group, |number, row| {
                let (root, below) = opened.below(row)?;
                if below.is_empty() {
                    pool.top(root, &row.stat);
                }
                let mark = reading.seed.mark(root, below, &row.stat, number);
                lane.marks.push(mark).map_err(|why| reading.spilled(why))
            })?;
        }
        Ok(())
    })?;
    all.into_iter().zip(pools).map(|(opened, pool)| finish(opened, pool, reading)).collect()
}

/// Does the same in so many threads, and gives up when one of them or the user does.
fn in_threads<T: Send>(
    count: usize,
    reading: &Reading,
    work: impl Fn(&dyn Fn() -> bool) -> Result<T, TrackError> + Sync,
) -> Result<Vec<T>, TrackError> {
    let failed = AtomicBool::new(false);
    let is_over = || failed.load(Relaxed) || reading.cancel.is_cancelled();
    let done = thread::scope(|scope| {
        let work = || work(&is_over).inspect_err(|_| failed.store(true, Relaxed));
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
        let joined = threads.into_iter().map(|t| t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        joined.collect::<Result<Vec<T>, TrackError>>()
    })?;
    if reading.cancel.is_cancelled() { Err(TrackError::Interrupted) } else { Ok(done) }
}

fn finish(opened: Opened, pool: Pool, reading: &Reading) -> Result<Side, TrackError> {
    let facts = opened.facts();
    let mut is_vague = opened.metadata.is_none();
    if let Some(metadata) = opened.metadata.as_ref().filter(|metadata| metadata.verdict == Verdict::Partial) {
        let ledger = ledger_of(&opened.file.path());
        let mut losses = 0;
        if ledger.exists() {
            read_losses(&ledger, |loss| {
                losses += 1;
                // What was gone when it was looked at is gone.
                if loss.class == Class::Vanished.name() && loss.operation == Op::Stat.name() {
                    return Ok(());
                }
                pool.lost(&opened.roots, loss.path).map_err(|why| reading.spilled(why))
            })?;
        }
        // Without its ledger, or with that of another scan, nobody knows where.
        is_vague = !ledger.exists() || metadata.counts.get("errors").is_some_and(|errors| *errors != losses);
    }
    pool.finish(opened.roots.clone(), is_vague, facts, Some(opened)).map_err(|why| reading.spilled(why))
}
