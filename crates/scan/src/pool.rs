//! A bounded set of encoders that any number of threads share.
//!
//! A network file system wants hundreds of threads, each waiting for its server; an encoder per thread would
//! be gigabytes. Encoding is processor work, so slightly more encoders than cores are never short for long:
//! a thread takes one for a batch of rows, and waits on a condition variable while all are
//! taken. It gets the one it had last where it can, because what it brings next is from the same part of the
//! tree and shares its prefixes (measured: mixing two parts of the tree costs Parquet 2 bytes a row).
//!
//! A full encoder is flushed by one of a few threads made for it, as many as cores, and not by the thread that
//! filled it: encoding takes megabytes of scratch memory, and the allocator would keep those for each of
//! hundreds of threads that ever did it (measured: 260 MB against 120 MB at 10 million entries and 256 workers).
//!
//! The first error stops everything: it is kept, every later row is refused with [`Stopped`], and
//! [`Pool::finish`] returns it.
//!
//! No deadlock: a thread that holds an encoder waits only for another one, after it has given its full one to the
//! flushing threads; those wait for nothing but the output's lock, which is held for one write only.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use pwalk_fs::{Meta, cores};

use crate::{DirColumns, Encoder, Error, Format, Metadata, Oddities, Parent, Written};

/// The output failed; [`Pool::finish`] has the reason. The scan should stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the output cannot be written")]
pub struct Stopped;

/// A bounded set of encoders onto one file.
pub struct Pool {
    format: Box<dyn Format>,
    max: usize,
    shared: Arc<Shared>,
    /// Full encoders on their way to the flushing threads; `None` once the pool is being finished. It has room for all
    /// encoders, so sending never waits.
    full: Option<SyncSender<Box<dyn Encoder>>>,
    flushers: Vec<JoinHandle<()>>,
}

/// What the flushing threads share with the pool.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    returned: Condvar,
    /// Set after `State::error`, under its lock; read without the lock as a hint that needs no order,
    /// because whoever wants the error takes the lock.
    failed: AtomicBool,
}

#[derive(Default)]
struct State {
    /// Each with the taker that had it last, if somebody did since it was flushed.
    idle: Vec<(Option<usize>, Box<dyn Encoder>)>,
    made: usize,
    error: Option<Error>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, taker: Option<usize>, encoder: Box<dyn Encoder>) {
        self.lock().idle.push((taker, encoder));
        self.returned.notify_one();
    }

    fn fail(&self, error: Error) -> Stopped {
        self.lock().error.get_or_insert(error);
        self.failed.store(true, Ordering::Relaxed);
        self.returned.notify_all();
        Stopped
    }

    /// A flushing thread: until the pool hangs up.
    fn flush_all(&self, full: &Mutex<Receiver<Box<dyn Encoder>>>) {
        loop {
            let next = full.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(mut encoder) = next else { return };
            // After a failure nothing is written any more, but encoders still come home.
            if !self.failed.load(Ordering::Relaxed)
                && let Err(error) = encoder.flush()
            {
                self.fail(error);
            }
            self.give_back(None, encoder);
        }
    }
}

impl Pool {
    /// At most `max` encoders (at least two: one is filled while one is flushed), made when first wanted. Cores + 1 is
    /// a good number.
    ///
    /// # Errors
    /// When the system gives no thread to flush with.
    pub fn new(format: Box<dyn Format>, max: usize) -> Result<Self, Error> {
        let (flushers, max) = (cores().count.min(max.max(1)), max.max(2));
        let shared = Arc::<Shared>::default();
        let (full, receiver) = sync_channel(max);
        let receiver = Arc::new(Mutex::new(receiver));
        let flushers = (0..flushers).map(|i| {
            let (shared, receiver) = (Arc::clone(&shared), Arc::clone(&receiver));
            let thread = std::thread::Builder::new().name(format!("pwalk-write-{i}"));
            thread.spawn(move || shared.flush_all(&receiver))
        });
        let flushers = flushers.collect::<Result<_, _>>();
        let flushers = flushers.map_err(|e| Error::io("start a thread to write", "the output".as_ref(), e))?;
        Ok(Self { format, max, shared, full: Some(full), flushers })
    }

    /// Takes an encoder for `taker` (any number that tells the threads apart), waiting for one if all are taken.
    /// It goes back when the [`Rows`] are dropped.
    pub fn take(&self, taker: usize) -> Result<Rows<'_>, Stopped> {
        Ok(Rows { pool: self, taker, encoder: Some(self.take_encoder(taker)?) })
    }

    fn take_encoder(&self, taker: usize) -> Result<Box<dyn Encoder>, Stopped> {
        let mut state = self.shared.lock();
        loop {
            if state.error.is_some() {
                return Err(Stopped);
            }
            let own = state.idle.iter().position(|(last, _)| *last == Some(taker));
            // Then one that nobody's rows are in, and only then somebody else's.
            let own = own.or_else(|| state.idle.iter().position(|(last, _)| last.is_none()));
            if own.is_none() && state.made < self.max {
                state.made += 1;
                break;
            }
            if let Some(place) = own.or(state.idle.len().checked_sub(1)) {
                return Ok(state.idle.swap_remove(place).1);
            }
            state = self.shared.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        self.format.encoder().map_err(|error| self.shared.fail(error))
    }

    /// Whether the output has failed, at the cost of one load.
    pub fn failed(&self) -> bool {
        self.shared.failed.load(Ordering::Relaxed)
    }

    /// [`finish_after`](Self::finish_after) with nothing between.
    ///
    /// # Errors
    /// Those of `finish_after`.
    pub fn finish(self, metadata: &Metadata) -> Result<Written, Error> {
        self.finish_after(metadata, &mut || Ok(()))
    }

    /// Writes what the encoders still hold, all of them at once, and completes the file. `before` is called when all is
    /// written, before the file has its name.
    ///
    /// # Errors
    /// The first error that any row or block had, else that of completing. The output's final name then
    /// shows nothing new.
    pub fn finish_after(
        mut self,
        metadata: &Metadata,
        before: &mut dyn FnMut() -> Result<(), Error>,
    ) -> Result<Written, Error> {
        let rest = std::mem::take(&mut self.shared.lock().idle);
        if let Some(full) = &self.full {
            for (_, encoder) in rest {
                // Only a flushing thread that panicked does not receive; its panic is told below.
                if full.send(encoder).is_err() {
                    break;
                }
            }
        }
        if let Some(panic) = self.hang_up() {
            std::panic::resume_unwind(panic);
        }
        let mut state = self.shared.lock();
        if let Some(error) = state.error.take() {
            return Err(error);
        }
        state.idle.clear();
        drop(state);
        self.format.finish(metadata, before)
    }

    /// Lets the flushing threads finish what they have, and waits for them. Returns the panic of one that had one.
    fn hang_up(&mut self) -> Option<Box<dyn Any + Send>> {
        self.full = None;
        let mut panic = None;
        for flusher in self.flushers.drain(..) {
            // All are waited for, whatever becomes of one.
            panic = flusher.join().err().or(panic);
        }
        panic
    }
}

impl Drop for Pool {
    /// Given up without being finished: waits for the flushing threads, so that the temporary file is gone afterwards.
    fn drop(&mut self) {
        if self.hang_up().is_some() {
            tracing::error!("a flushing thread panicked");
        }
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

    /// Appends a row to the run of `parent`. Where that filled the block, the block is on its way to the file and the
    /// run goes on in another.
    ///
    /// # Errors
    /// [`Stopped`] once the output has failed, by whichever thread.
    pub fn row(
        &mut self,
        parent: &Parent<'_>,
        name: &[u8],
        meta: &Meta,
        dir: Option<&DirColumns>,
    ) -> Result<Oddities, Stopped> {
        let Some(encoder) = &mut self.encoder else { return Err(Stopped) };
        let odd = encoder.row(name, meta, dir);
        if encoder.is_full() {
            self.change(parent)?;
        }
        Ok(odd)
    }

    /// Sends the full encoder away and takes another.
    fn change(&mut self, parent: &Parent<'_>) -> Result<(), Stopped> {
        if let (Some(encoder), Some(full)) = (self.encoder.take(), &self.pool.full) {
            full.send(encoder).map_err(|_| Stopped)?;
        }
        let mut encoder = self.pool.take_encoder(self.taker)?;
        encoder.begin(parent);
        self.encoder = Some(encoder);
        Ok(())
    }
}

impl Drop for Rows<'_> {
    fn drop(&mut self) {
        if let Some(encoder) = self.encoder.take() {
            self.pool.shared.give_back(Some(self.taker), encoder);
        }
    }
}
