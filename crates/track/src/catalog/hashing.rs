//! Reading files for a run, while the run goes on finding more.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use pwalk_engine::Cancel;
use pwalk_scan::{Ledger, LedgerEntry, Stat};

use super::record::{Wanting, record_digest};
use super::scan::now;
use crate::TrackError;
use crate::fingerprint::{
    Fingerprint, FingerprintMode, Hash, HashOptions, HashSink, Hashers, Item, Outcome, PIECE, PIECES, Rate,
};
use crate::key::Roots;
use crate::side::Reading;
use crate::sort::Sorter;

/// How files are read.
#[derive(Clone, Debug)]
pub struct Hashing {
    /// With which hash function.
    pub hash: Hash,
    /// In how many threads; none: as many as there are cores.
    pub threads: Option<usize>,
    /// Bytes a second, of all threads together.
    pub max_bytes_per_sec: Option<u64>,
}

impl Default for Hashing {
    fn default() -> Self {
        Self { hash: Hash::Blake3, threads: None, max_bytes_per_sec: None }
    }
}

/// Threads that read files, one set for each kind of digest that is asked for.
pub(super) struct Readers<'a> {
    root: Vec<u8>,
    roots: Roots,
    options: HashOptions,
    /// The hash function, and whether samples are enough, where there is nothing to compare with.
    kind: (Hash, bool),
    ledger: &'a Arc<Ledger>,
    reading: &'a Reading,
    counted: Arc<Counted>,
    started: Vec<((Hash, bool), Hashers<Wanted, Sink>)>,
    failed: Option<TrackError>,
}

/// A file that is to be read.
struct Wanted {
    key: Vec<u8>,
    /// How many bytes of it.
    bytes: u64,
}

/// What was read.
#[derive(Default)]
struct Counted {
    files: AtomicU64,
    bytes: AtomicU64,
    /// Files that are not what was expected.
    missed: AtomicU64,
    told: Mutex<Told>,
    /// Something was told.
    more: Condvar,
}

/// What became of files so far.
#[derive(Default)]
struct Told {
    files: u64,
    /// Of those, files and bytes that were not read.
    unread: (u64, u64),
}

/// What was read in the end.
pub(super) struct Read {
    /// Files and bytes.
    pub(super) hashed: (u64, u64),
    /// Files that were not what was expected.
    pub(super) missed: u64,
}

/// What one thread found out.
struct Sink {
    digests: Sorter,
    failed: Option<io::Error>,
    ledger: Arc<Ledger>,
    counted: Arc<Counted>,
    roots: Roots,
}

/// Memory for the digests of one thread.
const MEMORY: usize = 2 << 20;

impl<'a> Readers<'a> {
    pub(super) fn new(
        root: &[u8],
        (mode, hashing): (FingerprintMode, &Hashing),
        cancel: &Cancel,
        ledger: &'a Arc<Ledger>,
        reading: &'a Reading,
    ) -> Self {
        Self {
            root: root.to_vec(),
            roots: Roots::new([root.to_vec()]),
            options: HashOptions {
                threads: hashing.threads.unwrap_or_else(|| pwalk_fs::cores().count),
                rate: hashing.max_bytes_per_sec.map(|most| Arc::new(Rate::new(most))),
                cancel: cancel.clone(),
                ..HashOptions::default()
            },
            kind: (hashing.hash, mode == FingerprintMode::Sample),
            ledger,
            reading,
            counted: Arc::default(),
            started: Vec::new(),
            failed: None,
        }
    }

    /// The threads that make digests of this kind.
    fn hashers(&mut self, kind: (Hash, bool)) -> Result<&Hashers<Wanted, Sink>, TrackError> {
        let at = match self.started.iter().position(|(started, _)| *started == kind) {
            Some(at) => at,
            None => {
                let sink = || Sink {
                    digests: Sorter::new(MEMORY, &self.reading.spill),
                    failed: None,
                    ledger: Arc::clone(self.ledger),
                    counted: Arc::clone(&self.counted),
                    roots: self.roots.clone(),
                };
                let options = HashOptions { hash: kind.0, is_sample: kind.1, ..self.options.clone() };
                self.started.push((kind, Hashers::new(&self.root, &options, sink)?));
                self.started.len() - 1
            }
        };
        Ok(&self.started[at].1)
    }

    /// Waits for all of them: the digests, and how many files and bytes were read.
    pub(super) fn finish(self) -> Result<(Vec<Sorter>, Read), TrackError> {
        let mut digests = Vec::new();
        let mut failed = self.failed;
        for (_, hashers) in self.started {
            for sink in hashers.finish() {
                if let Some(why) = sink.failed {
                    failed.get_or_insert(self.reading.spilled(why));
                }
                digests.push(sink.digests);
            }
        }
        // Relaxed: all threads have ended.
        let counted = Read {
            hashed: (self.counted.files.load(Relaxed), self.counted.bytes.load(Relaxed)),
            missed: self.counted.missed.load(Relaxed),
        };
        failed.map_or(Ok((digests, counted)), Err)
    }
}

impl Wanting for Readers<'_> {
    fn unread_of(&self, files: u64) -> (u64, u64) {
        let told = self.counted.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = || self.started.iter().all(|(_, hashers)| hashers.is_over());
        let mut told = told;
        // All threads may have panicked; then nobody tells any more.
        while told.files < files && !is_over() {
            let waited = self.counted.more.wait_timeout(told, Duration::from_millis(100));
            told = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        told.unread
    }

    fn want(&mut self, key: &[u8], stat: &Stat, known: Option<&Fingerprint>) -> io::Result<()> {
        let kind = known.map_or(self.kind, |known| (known.hash(), known.is_sample()));
        let path = self.roots.path(key);
        let below = self.roots.below(&path).map(|(_, below)| below.to_vec()).unwrap_or_default();
        let size = u64::try_from(stat.size).unwrap_or(0);
        let bytes = if kind.1 { size.min(PIECES * PIECE) } else { size };
        let item = Item { key: Wanted { key: key.to_vec(), bytes }, path: below, stat: *stat };
        let sent = match self.hashers(kind) {
            Ok(hashers) => hashers.send(item),
            Err(why) => {
                let told = why.to_string();
                self.failed.get_or_insert(why);
                return Err(io::Error::other(told));
            }
        };
        // They have panicked: `finish` goes on with that.
        sent.map_err(io::Error::other)
    }
}

impl Counted {
    fn tell(&self, bytes: u64, is_read: bool) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.files += 1;
        if !is_read {
            told.unread = (told.unread.0 + 1, told.unread.1 + bytes);
        }
        self.more.notify_all();
    }
}

impl HashSink<Wanted> for Sink {
    fn told(&mut self, Wanted { key, bytes }: Wanted, outcome: Outcome) {
        self.counted.tell(bytes, matches!(outcome, Outcome::Hashed(_)));
        let (fingerprint, failure) = match outcome {
            Outcome::Hashed(fingerprint) => {
                self.counted.files.fetch_add(1, Relaxed);
                self.counted.bytes.fetch_add(bytes, Relaxed);
                (Some(fingerprint), None)
            }
            // The next run sees what became of them.
            Outcome::Changed | Outcome::Vanished => {
                self.counted.missed.fetch_add(1, Relaxed);
                (None, None)
            }
            Outcome::Cancelled => return,
            Outcome::Failed { operation, errno } => (None, Some((operation, errno))),
        };
        if let Some((operation, errno)) = failure {
            self.ledger.record(&LedgerEntry {
                operation,
                errno: Some(errno.raw_os_error()),
                class: pwalk_engine::Class::from(errno).name(),
                path: &self.roots.path(&key),
            });
        }
        if let Err(why) = record_digest(&mut self.digests, &key, fingerprint, now()) {
            self.failed.get_or_insert(why);
        }
    }
}
