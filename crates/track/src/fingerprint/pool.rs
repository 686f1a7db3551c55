//! Fingerprints of many files, in threads.
//!
//! Hashing is work for the processor, and reading from disks that are waited for; so its threads are its own, and their number is chosen by who knows the
//! disks. Files are handed over in the order of their directories, if it can be, and wait in a queue of fixed length: who hands over waits while it is full.
//!
//! Every file that was taken is told of exactly once, by the thread that had it and in no order, to that thread's own sink; also those that
//! were waiting when hashing was cancelled. The sinks come back at the end, and with them what they hold. A thread that panics takes its sink with it; the
//! others go on, and [`Hashers::finish`] panics as it did.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use pwalk_engine::Cancel;
use pwalk_fs::{Errno, Links, at_path, open_child};
use pwalk_scan::{Stat, path_text};

use super::{HashOptions, Hasher, Outcome};
use crate::TrackError;

/// Files that wait for each thread.
const WAITING: usize = 32;

/// A file to hash.
#[derive(Clone, Debug)]
pub struct Item<T> {
    /// What the caller knows it by.
    pub key: T,
    /// Its path below the root: `a/b/c`, without a slash before it.
    pub path: Vec<u8>,
    /// What is known of it.
    pub stat: Stat,
}

/// Who is told what became of files.
pub trait HashSink<T>: Send {
    /// What became of one.
    fn told(&mut self, key: T, outcome: Outcome);
}

impl<T: Send> HashSink<T> for Vec<(T, Outcome)> {
    fn told(&mut self, key: T, outcome: Outcome) {
        self.push((key, outcome));
    }
}

/// All threads have panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no thread hashes any more")]
pub struct Stopped;

/// Threads that hash files below a root. When they are dropped and not [`finish`](Self::finish)ed, they end by themselves, within a second.
pub struct Hashers<T, S> {
    queue: Option<SyncSender<Item<T>>>,
    threads: Vec<JoinHandle<S>>,
    stop: Cancel,
}

impl<T, S> Drop for Hashers<T, S> {
    fn drop(&mut self) {
        // After `finish` nobody is left to stop.
        self.stop.cancel();
    }
}

impl<T: Send + 'static, S: HashSink<T> + 'static> Hashers<T, S> {
    /// Starts them. Links in the path of the root are followed; `sink` makes the sink of each thread.
    ///
    /// # Errors
    /// The root cannot be opened, or no thread can be started.
    pub fn new(root: &[u8], options: &HashOptions, mut sink: impl FnMut() -> S) -> Result<Self, TrackError> {
        let failed = |why: String| TrackError::Hash { path: path_text(root).0.into_owned(), why };
        let root_fd = at_path(root, |above, rest| open_child(above, rest, Links::Follow))
            .map_err(|errno: Errno| failed(errno.to_string()))?;
        let root_fd = Arc::new(root_fd);
        let count = options.threads.max(1);
        let (queue, waiting) = sync_channel(count * WAITING);
        let waiting = Arc::new(Mutex::new(waiting));
        let mut hashers = Self { queue: Some(queue), threads: Vec::with_capacity(count), stop: Cancel::new() };
        for number in 0..count {
            let hasher = Hasher::stopped_by(hashers.stop.clone(), Arc::clone(&root_fd), options);
            let (waiting, sink) = (Arc::clone(&waiting), sink());
            let started = Builder::new().name(format!("hash-{number}")).spawn(move || work(hasher, &waiting, sink));
            match started {
                Ok(thread) => hashers.threads.push(thread),
                // Where there are too many threads, fewer must do.
                Err(_) if number > 0 => break,
                Err(why) => return Err(failed(format!("cannot start a thread: {why}"))),
            }
        }
        Ok(hashers)
    }

    /// Whether all threads have ended, because they panicked.
    pub fn is_over(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Hands over a file; waits while the queue is full.
    ///
    /// # Errors
    /// All threads have panicked; [`Self::finish`] tells how.
    pub fn send(&self, item: Item<T>) -> Result<(), Stopped> {
        self.queue.as_ref().map_or(Err(Stopped), |queue| queue.send(item).map_err(|_| Stopped))
    }

    /// Waits until every file is told of, and gives the sinks back.
    ///
    /// # Panics
    /// As a thread did.
    pub fn finish(mut self) -> Vec<S> {
        self.queue = None;
        // All are waited for before one's panic goes on.
        let ended: Vec<_> = self.threads.drain(..).map(JoinHandle::join).collect();
        ended.into_iter().map(|end| end.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    }
}

fn work<T, S: HashSink<T>>(mut hasher: Hasher, waiting: &Mutex<Receiver<Item<T>>>, mut sink: S) -> S {
    loop {
        // Who waits holds the lock; the others wait for that. Nothing that panics is done with it.
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Item { key, path, stat }) = next else { return sink };
        let outcome = hasher.hash(&path, &stat);
        sink.told(key, outcome);
    }
}
