//! A side that is a file: its row groups are read by several threads.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use pwalk_engine::Cancel;
use pwalk_scan::report::extent;
use pwalk_scan::{Metadata, ScanFile, Verdict, ledger_of, read_losses};

use super::{Adder, Facts, Pool, Side, spilled};
use crate::TrackError;
use crate::key::Roots;
use crate::sort::Spill;

/// A scan, opened.
pub(crate) struct Opened {
    file: ScanFile,
    metadata: Option<Metadata>,
    pub(crate) roots: Roots,
}

impl Opened {
    pub(crate) fn new(path: &Path) -> Result<Self, TrackError> {
        let file = ScanFile::open(path)?;
        let metadata = file.metadata()?;
        // Another program kept the rows and not what was said about them: all absolute paths have one root.
        let given = metadata.as_ref().map(|metadata| metadata.roots.iter().map(|root| root.0.clone()).collect());
        let roots = Roots::new(given.unwrap_or_else(|| vec![b"/".to_vec()]));
        Ok(Self { file, metadata, roots })
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
            entries: self.file.rows(),
            verdict: self.metadata.as_ref().map_or(Verdict::Complete, |metadata| metadata.verdict),
            extent: self.metadata.as_ref().map(of),
        }
    }
}

/// Reads scans, all at once, with so many threads and so much memory together.
pub(crate) fn read(
    all: Vec<Opened>,
    threads: usize,
    memory: usize,
    spill: &Spill,
    cancel: &Cancel,
) -> Result<Vec<Side>, TrackError> {
    let pools: Vec<_> = all.iter().map(|_| Pool::new(threads, memory / all.len().max(1), spill)).collect();
    let mut tasks: Vec<_> = all
        .iter()
        .enumerate()
        .flat_map(|(side, opened)| (0..opened.file.groups()).map(move |group| (group, side)))
        .collect();
    // In turn: so both are done at the same time, and neither waits with its memory full.
    tasks.sort_unstable();
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = || -> Result<(), TrackError> {
        // Relaxed: nothing else depends on it.
        while let Some((group, side)) = tasks.get(next.fetch_add(1, Relaxed)) {
            let (opened, pool) = (&all[*side], &pools[*side]);
            let mut adder = Adder::default();
            let mut sorter = pool.take();
            opened.file.read(*group, |row| {
                match adder.path(&mut sorter, &opened.roots, row.path, &row.stat).map_err(spilled(spill))? {
                    true => Ok(()),
                    false => Err(TrackError::NoScan {
                        path: opened.file.path(),
                        why: "it has rows that are below none of its roots; only scans that pwalk wrote can be compared",
                    }),
                }
            })?;
            if cancel.is_cancelled() {
                return Err(TrackError::Interrupted);
            }
            if failed.load(Relaxed) {
                return Ok(());
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.max(1).min(tasks.len()))
            .map(|_| scope.spawn(|| work().inspect_err(|_| failed.store(true, Relaxed))))
            .collect();
        threads.into_iter().try_for_each(|t| t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    all.into_iter().zip(pools).map(|(opened, pool)| finish(&opened, pool, spill)).collect()
}

fn finish(opened: &Opened, pool: Pool, spill: &Spill) -> Result<Side, TrackError> {
    let facts = opened.facts();
    let mut is_vague = false;
    if facts.verdict == Verdict::Partial {
        let ledger = ledger_of(&opened.file.path());
        is_vague = !ledger.exists();
        if !is_vague {
            read_losses(&ledger, |path, class| match opened.roots.key(path) {
                // What was gone when it was looked at is gone.
                Some(key) if class != "vanished" => pool.unseen(&key).map_err(spilled(spill)),
                _ => Ok::<_, TrackError>(()),
            })?;
        }
    }
    let (entries, unseen) = pool.finish().map_err(spilled(spill))?;
    Ok(Side { roots: opened.roots.clone(), entries, unseen, is_vague, facts })
}
