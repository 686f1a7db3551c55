//! One side of a comparison: a scan, or a directory that is walked now.
//!
//! ```text
//! row groups ──► threads ──┐
//!                          ├─► lanes: a mark for each entry ──► what differs, by place ──► details, read again
//! walk ──► visitors ───────┘          └ of a walk: the details themselves, in a log
//! ```
//!
//! Beside the entries stand the places that were not seen: where a listing failed nothing is known of what is below.

mod file;
mod log;
mod walk;

use std::collections::BTreeMap;
use std::io;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use pwalk_engine::Cancel;
use pwalk_fs::cores;
use pwalk_scan::{Stat, Verdict};

use crate::TrackError;
use crate::entry::{Detail, encode, encode_kept};
use crate::key::{Roots, root_key};
use crate::marks::{Mark, Marks, Seed};
use crate::sort::{Merged, Sorter, Spill};

pub(crate) use file::{Opened, StateRows, hashed, is_gone, is_racy, read};
pub(crate) use log::Log;
pub(crate) use walk::{Wishes, nothing, walk};

/// Where one side comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A Parquet file of a scan.
    Scan(PathBuf),
    /// A directory, which is walked now.
    Directory(Vec<u8>),
}

/// One side.
pub(crate) struct Side {
    pub(crate) roots: Roots,
    /// What the roots are, by their number.
    pub(crate) tops: BTreeMap<usize, Stat>,
    /// By key: places below which not everything was seen. To be read once.
    pub(crate) unseen: Option<Merged>,
    /// Whether that is not known, so that it may be anywhere.
    pub(crate) is_vague: bool,
    pub(crate) facts: Facts,
    lanes: Vec<Marks>,
    details: Details,
}

/// Where all that is known of an entry can be read.
enum Details {
    File(Box<Opened>),
    Logs(Vec<Log>),
}

/// What is known of a side as a whole.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Its roots, as they were given.
    pub roots: Vec<Vec<u8>>,
    /// Its entries.
    pub entries: u64,
    /// The sizes of all of them, if that is known.
    pub bytes: Option<u64>,
    /// Whether everything was seen.
    pub verdict: Verdict,
    /// The options that decided which entries there are; none if they are not known.
    pub extent: Option<BTreeMap<String, serde_json::Value>>,
}

/// How both sides are read.
#[derive(Clone)]
pub(crate) struct Reading {
    pub(crate) seed: Seed,
    /// Into how many parts marks fall.
    pub(crate) parts: usize,
    pub(crate) threads: usize,
    /// Bytes that the marks of a side may take.
    pub(crate) memory: usize,
    pub(crate) spill: Spill,
    pub(crate) cancel: Cancel,
    /// Whether entries that are the same but for their inodes are to be told of, where inodes tell nothing.
    pub(crate) renews: bool,
}

impl Reading {
    pub(crate) fn spilled(&self, why: io::Error) -> TrackError {
        TrackError::Spill { dir: self.spill.dir().to_owned(), why }
    }

    /// Does the same in so many threads, and gives up when one of them or the user does.
    pub(crate) fn in_threads<T: Send>(
        &self,
        count: usize,
        work: impl Fn(&dyn Fn() -> bool) -> Result<T, TrackError> + Sync,
    ) -> Result<Vec<T>, TrackError> {
        // Relaxed: nothing else depends on it.
        let failed = AtomicBool::new(false);
        let is_over = || failed.load(Relaxed) || self.cancel.is_cancelled();
        let done = thread::scope(|scope| {
            let work = || work(&is_over).inspect_err(|_| failed.store(true, Relaxed));
            let threads: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
            let joined = threads.into_iter().map(|t| t.join().unwrap_or_else(|panic| resume_unwind(panic)));
            joined.collect::<Result<Vec<T>, TrackError>>()
        })?;
        if self.cancel.is_cancelled() { Err(TrackError::Interrupted) } else { Ok(done) }
    }
}

/// More lanes than this are not worth their memory.
const MOST: usize = 8;

/// How many threads it is worth to compare with.
pub(crate) fn threads() -> usize {
    cores().count.clamp(1, MOST)
}

/// Bits of a place that count the entries of a lane; those above are the lane's number.
const LANE: u32 = 40;

/// What one thread at a time fills.
pub(crate) struct Lane {
    number: u64,
    pub(crate) marks: Marks,
    log: Log,
}

impl Lane {
    /// Adds an entry that nobody else will know of. `key` is that of its directory, `below` its own path below the root.
    fn log(&mut self, seed: Seed, root: usize, key: &[u8], below: &[u8], name: &[u8], stat: &Stat) -> io::Result<()> {
        let place = self.number << LANE | self.log.push(key, name, &encode(stat))?;
        self.marks.push(seed.mark(root, below, stat, place))
    }

    /// The same of what a catalog knows of one root; `is_suspect` has it looked at in any case.
    pub(crate) fn keep(&mut self, seed: Seed, of: &Known<'_>, detail: &Detail, is_suspect: bool) -> io::Result<()> {
        let place = self.number << LANE | self.log.push(of.key, of.name, &encode_kept(detail))?;
        let mut mark = seed.mark(0, of.below, &detail.stat, place);
        if is_suspect {
            mark.differ();
        }
        self.marks.push(mark)
    }
}

/// Which entry a catalog knows: the key of its directory, its own path below the root, its name.
pub(crate) struct Known<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) below: &'a [u8],
    pub(crate) name: &'a [u8],
}

/// What several threads fill.
pub(crate) struct Pool {
    lanes: Vec<Mutex<Lane>>,
    next: AtomicUsize,
    failed: Mutex<Option<io::Error>>,
    unseen: Mutex<Sorter>,
    tops: Mutex<BTreeMap<usize, Stat>>,
}

impl Pool {
    pub(crate) fn new(reading: &Reading) -> Self {
        let count = threads();
        let lane = |number| Lane {
            number,
            marks: Marks::new(reading.parts, reading.memory / count, &reading.spill),
            log: Log::new(&reading.spill),
        };
        Self {
            lanes: (0_u64..).take(count).map(|number| Mutex::new(lane(number))).collect(),
            next: AtomicUsize::new(0),
            failed: Mutex::default(),
            unseen: Mutex::new(Sorter::new(reading.memory / 8, &reading.spill)),
            tops: Mutex::default(),
        }
    }

    /// One of the lanes, if it can one that nobody uses.
    pub(crate) fn take(&self) -> MutexGuard<'_, Lane> {
        let free = self.lanes.iter().find_map(|lane| lane.try_lock().ok());
        free.unwrap_or_else(|| {
            // Relaxed: any will do.
            let turn = self.next.fetch_add(1, Relaxed) % self.lanes.len();
            self.lanes[turn].lock().unwrap_or_else(PoisonError::into_inner)
        })
    }

    /// Notes a place that was not seen; one that is below no root may be anywhere.
    pub(crate) fn lost(&self, roots: &Roots, path: &[u8]) -> io::Result<()> {
        let mut unseen = self.unseen.lock().unwrap_or_else(PoisonError::into_inner);
        match roots.key(path) {
            Some(key) => unseen.push(&key, b"", &[]),
            None => (0..roots.paths().len()).try_for_each(|root| unseen.push(&root_key(root), b"", &[])),
        }
    }

    /// Notes what a root is.
    pub(crate) fn top(&self, root: usize, stat: &Stat) {
        self.tops.lock().unwrap_or_else(PoisonError::into_inner).insert(root, *stat);
    }

    /// Keeps the first trouble.
    pub(crate) fn fail(&self, error: io::Error) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// Notes the roots that have no row: they were not begun. Of a catalog that knows nothing yet that would be wrong.
    pub(crate) fn lose_unbegun(&self, roots: &Roots) -> io::Result<()> {
        let tops = self.tops.lock().unwrap_or_else(PoisonError::into_inner);
        let mut unseen = self.unseen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut unbegun = (0..roots.paths().len()).filter(|root| !tops.contains_key(root));
        unbegun.try_for_each(|root| unseen.push(&root_key(root), b"", &[]))
    }

    /// The side; without a file its details are in the logs.
    pub(crate) fn finish(self, roots: Roots, is_vague: bool, facts: Facts, file: Option<Opened>) -> io::Result<Side> {
        if let Some(error) = self.failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let tops = self.tops.into_inner().unwrap_or_else(PoisonError::into_inner);
        let unseen = Merged::all(vec![self.unseen.into_inner().unwrap_or_else(PoisonError::into_inner)])?;
        let lanes = self.lanes.into_iter().map(|lane| lane.into_inner().unwrap_or_else(PoisonError::into_inner));
        let (lanes, logs) = lanes.map(|lane| (lane.marks, lane.log)).unzip();
        let details = file.map_or(Details::Logs(logs), |file| Details::File(Box::new(file)));
        Ok(Side { roots, tops, unseen: Some(unseen), is_vague, facts, lanes, details })
    }
}

/// Some numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    pub(crate) fn insert(&mut self, number: u64) {
        let word = usize::try_from(number / 64).unwrap_or(usize::MAX);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (number % 64);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    pub(crate) fn has(&self, number: u64) -> bool {
        let word = usize::try_from(number / 64).ok().and_then(|word| self.0.get(word));
        word.is_some_and(|word| word & 1 << (number % 64) != 0)
    }
}

/// Some of the entries of a side, by place.
pub(crate) struct Chosen {
    bits: Vec<AtomicU64>,
    /// Where the entries of each lane begin.
    bases: Vec<u64>,
}

impl Chosen {
    fn index(&self, place: u64) -> (usize, u64) {
        let lane = usize::try_from(place >> LANE).unwrap_or(0);
        let index = self.bases.get(lane).copied().unwrap_or(0) + (place & ((1 << LANE) - 1));
        (usize::try_from(index / 64).unwrap_or(usize::MAX), 1 << (index % 64))
    }

    /// Chooses one, from any thread.
    pub(crate) fn choose(&self, place: u64) {
        let (word, bit) = self.index(place);
        if let Some(word) = self.bits.get(word) {
            // Relaxed: read when all are done.
            word.fetch_or(bit, Relaxed);
        }
    }

    fn has(&self, place: u64) -> bool {
        let (word, bit) = self.index(place);
        self.bits.get(word).is_some_and(|word| word.load(Relaxed) & bit != 0)
    }

    /// Whether any of these is chosen.
    fn has_any(&self, places: std::ops::Range<u64>) -> bool {
        let (from, to) = (self.index(places.start).0, self.index(places.end).0);
        let words = self.bits.get(from..=to.min(self.bits.len().saturating_sub(1)));
        words.is_some_and(|words| words.iter().any(|word| word.load(Relaxed) != 0))
    }
}

impl Side {
    /// Forgets the marks.
    pub(crate) fn forget(&mut self) {
        self.lanes.iter_mut().for_each(Marks::clear);
    }

    /// The marks of one part.
    pub(crate) fn part(&self, part: usize, out: &mut Vec<Mark>) -> io::Result<()> {
        self.lanes.iter().try_for_each(|lane| lane.read(part, out))
    }

    /// None of its entries.
    pub(crate) fn none(&self) -> Chosen {
        let counts: Vec<u64> = match &self.details {
            Details::File(opened) => vec![opened.rows()],
            Details::Logs(logs) => logs.iter().map(Log::entries).collect(),
        };
        let mut bases = Vec::new();
        let mut total = 0;
        for count in counts {
            bases.push(total);
            total += count;
        }
        let words = usize::try_from(total / 64 + 1).unwrap_or(0);
        Chosen { bits: (0..words).map(|_| AtomicU64::new(0)).collect(), bases }
    }

    /// Adds what was chosen to sorters, by its own key and under `name`.
    pub(crate) fn fetch(
        &self,
        chosen: &Chosen,
        name: &[u8],
        memory: usize,
        reading: &Reading,
    ) -> Result<Vec<Sorter>, TrackError> {
        match &self.details {
            Details::File(opened) => opened.fetch(chosen, name, memory, reading),
            Details::Logs(logs) => {
                let mut sorter = Sorter::new(memory, &reading.spill);
                for (lane, log) in logs.iter().enumerate() {
                    let lane = (lane as u64) << LANE;
                    let add = |ordinal, key: &[u8], detail: &[u8]| match chosen.has(lane | ordinal) {
                        true => sorter.push(key, name, &[detail]),
                        false => Ok(()),
                    };
                    log.read(add).map_err(|why| reading.spilled(why))?;
                }
                Ok(vec![sorter])
            }
        }
    }
}
