//! The fingerprint of one file after the other, in one thread.
//!
//! Content is read into a buffer that stays in the processor's own cache, and hashed there. A mapping would save the copy, but a file that
//! shrinks meanwhile would kill the process. BLAKE3 could use all cores for one file; here each file has one thread, because there are more files than cores.
//!
//! A fingerprint is of the content that the metadata describes: who read it looks again, and what is not as the scan saw it has none.
//! Changes within a tick of the clock before the scan are not seen so; who scans has to look at such young files again.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use pwalk_engine::Cancel;
use pwalk_fs::{Errno, expect_all, read_at};
use pwalk_scan::Stat;

use super::digest::{Digest, pieces};
use super::reach::{Missed, Reach, check};
use super::{Fingerprint, Hash, Rate};

/// Bytes of one read: the fastest on cached files, of 16 KiB to 1 MiB that were measured (`examples/hash.rs`).
const BUFFER: usize = 256 * 1024;
/// Pages, as the kernel copies from them.
const PAGE: usize = 4096;
/// Where in a page the buffer begins. Where it begins with the page, as the content in memory does, each load of the copy looks as if it needed the
/// store before it, of which the processor compares 12 bits only; in the middle of a page that is far away. A few per cent.
const SHIFT: usize = PAGE / 2 + 16;

/// How files are hashed.
#[derive(Clone, Debug)]
pub struct HashOptions {
    /// The hash function.
    pub hash: Hash,
    /// Whether only samples are read.
    pub is_sample: bool,
    /// Threads, at least one.
    pub threads: usize,
    /// How many bytes a second may be read; all who share it, together.
    pub rate: Option<Arc<Rate>>,
    /// Stops it within a second, also within a file.
    pub cancel: Cancel,
}

impl Default for HashOptions {
    fn default() -> Self {
        Self { hash: Hash::default(), is_sample: false, threads: 1, rate: None, cancel: Cancel::new() }
    }
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its content, while its metadata was as expected before and after.
    Hashed(Fingerprint),
    /// It is no longer as expected, or something else has its name or that of a directory on the way.
    Changed,
    /// Nothing has its name.
    Vanished,
    /// A call failed.
    Failed {
        /// `open`, `stat` or `read`.
        operation: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
    /// It was not read to its end, because hashing was cancelled.
    Cancelled,
}

/// Hashes files below a root.
pub struct Hasher {
    reach: Reach,
    hash: Hash,
    is_sample: bool,
    rate: Option<Arc<Rate>>,
    /// Each of them ends it: whoever asked for it, and whoever has its threads.
    cancel: [Cancel; 2],
    buffer: Vec<u8>,
}

/// Why there is no fingerprint.
enum Stop {
    Missed(Missed),
    Cancelled,
}

impl From<Missed> for Stop {
    fn from(missed: Missed) -> Self {
        Self::Missed(missed)
    }
}

fn is_any(cancel: &[Cancel]) -> bool {
    cancel.iter().any(Cancel::is_cancelled)
}

impl Hasher {
    /// For files below the directory `root`, which is open.
    pub fn new(root: Arc<OwnedFd>, options: &HashOptions) -> Self {
        Self::stopped_by(Cancel::new(), root, options)
    }

    /// The same, ended by one more switch.
    pub(super) fn stopped_by(stop: Cancel, root: Arc<OwnedFd>, options: &HashOptions) -> Self {
        Self {
            reach: Reach::new(root),
            hash: options.hash,
            is_sample: options.is_sample,
            rate: options.rate.clone(),
            cancel: [options.cancel.clone(), stop],
            buffer: vec![0; BUFFER + 2 * PAGE],
        }
    }

    /// The fingerprint of the file at `path` below the root (`a/b/c`, without a slash before it), of which `expected` is known: inode,
    /// size, and the times of change are compared.
    pub fn hash(&mut self, path: &[u8], expected: &Stat) -> Outcome {
        match self.read(path, expected) {
            Ok(print) => Outcome::Hashed(print),
            Err(Stop::Cancelled) => Outcome::Cancelled,
            Err(Stop::Missed(Missed::Changed)) => Outcome::Changed,
            Err(Stop::Missed(Missed::Vanished)) => Outcome::Vanished,
            Err(Stop::Missed(Missed::Failed(operation, errno))) => Outcome::Failed { operation, errno },
        }
    }

    fn read(&mut self, path: &[u8], expected: &Stat) -> Result<Fingerprint, Stop> {
        if is_any(&self.cancel) {
            return Err(Stop::Cancelled);
        }
        let size = u64::try_from(expected.size).map_err(|_| Missed::Changed)?;
        let file = self.reach.open(path, expected)?;
        let mut digest = Digest::new(self.hash);
        if self.is_sample {
            digest.update(&size.to_le_bytes());
            for (at, length) in pieces(size) {
                self.stretch(&file, at, length, &mut digest)?;
            }
        } else {
            if size > BUFFER as u64 {
                expect_all(file.as_fd());
            }
            self.stretch(&file, 0, size, &mut digest)?;
        }
        check(file.as_fd(), expected)?;
        Ok(digest.finish(self.is_sample))
    }

    /// Hashes `length` bytes from `at` on, all of which must be there.
    fn stretch(&mut self, file: &OwnedFd, mut at: u64, length: u64, digest: &mut Digest) -> Result<(), Stop> {
        let end = at + length;
        while at < end {
            let most = usize::try_from(end - at).unwrap_or(BUFFER).min(BUFFER);
            if let Some(rate) = &self.rate {
                rate.wait(most as u64, || is_any(&self.cancel));
            }
            if is_any(&self.cancel) {
                return Err(Stop::Cancelled);
            }
            let from = self.buffer.as_ptr().align_offset(PAGE) + SHIFT;
            let room = &mut self.buffer[from..from + most];
            let read = read_at(file.as_fd(), at, room).map_err(|errno| Missed::Failed("read", errno))?;
            if read == 0 {
                return Err(Missed::Changed.into());
            }
            digest.update(&room[..read]);
            at += read as u64;
        }
        Ok(())
    }
}
