//! A bounded set of encoders that any number of threads share.
//!
//! A network file system wants hundreds of threads, each waiting for its server; an encoder per thread would
//! be gigabytes. Encoding is processor work, so slightly more encoders than cores are never short for long:
//! a thread takes one for a batch of rows, and waits on a condition variable while all are
//! taken. It gets the one it had last where it can, because what it brings next is from the same part of the
//! tree and shares its prefixes (measured: mixing two parts of the tree costs Parquet 2 bytes a row).
//!
//! The first error stops everything: it is kept, every later row is refused with [`Stopped`], and
//! [`Pool::finish`] returns it.
//!
//! No deadlock: a thread that holds an encoder waits for nothing but the output's lock, which is
//! held for one write only.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use pwalk_fs::Meta;

use crate::{DirColumns, Encoder, Error, Format, Metadata, Oddities, Parent, Written};

/// The output failed; [`Pool::finish`] has the reason. The scan should stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the output cannot be written")]
pub struct Stopped;

/// A bounded set of encoders onto one file.
pub struct Pool {
    format: Box<dyn Format>,
    max: usize,
    state: Mutex<State>,
    returned: Condvar,
    /// Set after `State::error`, under its lock; read without the lock as a hint that needs no order,
    /// because whoever wants the error takes the lock.
    failed: AtomicBool,
}

#[derive(Default)]
struct State {
    /// Each with the taker that had it last.
    idle: Vec<(usize, Box<dyn Encoder>)>,
    made: usize,
    error: Option<Error>,
}

impl Pool {
    /// At most `max` encoders (at least one), made when first wanted. Cores + 1 is a good number: one
    /// more than can run, for the moment in which one waits for the disk.
    pub fn new(format: Box<dyn Format>, max: usize) -> Self {
        Self {
            format,
            max: max.max(1),
            state: Mutex::default(),
            returned: Condvar::new(),
            failed: AtomicBool::new(false),
        }
    }

    /// Takes an encoder for `taker` (any number that tells the threads apart), waiting for one if all are taken.
    /// It goes back when the [`Rows`] are dropped.
    pub fn take(&self, taker: usize) -> Result<Rows<'_>, Stopped> {
        let mut state = self.lock();
        loop {
            if state.error.is_some() {
                return Err(Stopped);
            }
            let own = state.idle.iter().position(|(last, _)| *last == taker);
            if own.is_none() && state.made < self.max {
                state.made += 1;
                break;
            }
            let last = state.idle.len().checked_sub(1);
            if let Some(place) = own.or(last) {
                let (_, encoder) = state.idle.swap_remove(place);
                return Ok(Rows { pool: self, taker, encoder: Some(encoder) });
            }
            state = self.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        match self.format.encoder() {
            Ok(encoder) => Ok(Rows { pool: self, taker, encoder: Some(encoder) }),
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Whether the output has failed, at the cost of one load.
    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Writes what the encoders still hold, all of them at once, and completes the file.
    ///
    /// # Errors
    /// The first error that any row or block had, else that of completing. The output's final name then
    /// shows nothing new.
    pub fn finish(self, metadata: &Metadata) -> Result<Written, Error> {
        let Self { format, state, .. } = self;
        let mut state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = state.error {
            return Err(error);
        }
        let flushed: Vec<Result<(), Error>> = std::thread::scope(|scope| {
            let running: Vec<_> = state.idle.iter_mut().map(|(_, e)| scope.spawn(|| e.flush())).collect();
            running.into_iter().map(|h| h.join().unwrap_or_else(|p| std::panic::resume_unwind(p))).collect()
        });
        flushed.into_iter().collect::<Result<(), Error>>()?;
        drop(state.idle);
        format.finish(metadata)
    }

    fn fail(&self, error: Error) -> Stopped {
        self.lock().error.get_or_insert(error);
        self.failed.store(true, Ordering::Relaxed);
        self.returned.notify_all();
        Stopped
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An encoder on loan from a [`Pool`].
pub struct Rows<'p> {
    pool: &'p Pool,
    taker: usize,
    encoder: Option<Box<dyn Encoder>>,
}

impl Rows<'_> {
    /// Starts a run of rows that have `parent` in common.
    pub fn begin(&mut self, parent: &Parent<'_>) {
        if let Some(encoder) = &mut self.encoder {
            encoder.begin(parent);
        }
    }

    /// Appends a row to the run, and writes the block if that filled it.
    ///
    /// # Errors
    /// [`Stopped`] once the output has failed, by whichever thread.
    pub fn row(&mut self, name: &[u8], meta: &Meta, dir: Option<&DirColumns>) -> Result<Oddities, Stopped> {
        let Some(encoder) = &mut self.encoder else { return Err(Stopped) };
        let odd = encoder.row(name, meta, dir);
        if encoder.is_full() {
            if self.pool.failed() {
                return Err(Stopped);
            }
            encoder.flush().map_err(|error| self.pool.fail(error))?;
        }
        Ok(odd)
    }
}

impl Drop for Rows<'_> {
    fn drop(&mut self) {
        if let Some(encoder) = self.encoder.take() {
            self.pool.lock().idle.push((self.taker, encoder));
            self.pool.returned.notify_one();
        }
    }
}
