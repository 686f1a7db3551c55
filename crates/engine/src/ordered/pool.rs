//! The threads that read ahead, one pool for all walks of the process.
//!
//! A walk with something to read is in the queue; a thread takes the walk, takes one directory of its plan, puts the walk
//! back if there is more, and reads. So walks take turns, and a thread never belongs to one.
//!
//! How many threads read at once is decided as for the fold ([`Controller`]): more while that gives more. Threads start when
//! there is work and end when there was none for a while; a program that walks nothing has none. After a `fork` they are in
//! the other process only: each process has its own pool, made when it is first wanted.

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::time::{Duration, Instant};

use pwalk_fs::{cores, cpu_time};

use super::ahead::Shared;
use crate::control::{Controller, Sample};

/// The most threads that pay anywhere: what is read ahead is bounded.
const MOST: usize = 64;
const STACK: usize = 256 << 10;
/// Directories that a thread reads for one walk before others have their turn.
const TURN: u64 = 16;
/// Threads to begin with where calls are slow.
const START_SLOW: usize = 16;
/// A thread without work ends after this time.
const PATIENCE: Duration = Duration::from_millis(500);
/// To have the lock of [`POOL`].
const ATTEMPTS: u32 = 10_000;

/// The pool of this process, or of the one that it was forked from.
static POOL: Mutex<Option<Arc<Pool>>> = Mutex::new(None);

/// The pool of this process, made if it has none.
///
/// The lock is held for microseconds. If it cannot be had all the same, it was held when this process was forked, and is for
/// ever; then the walk has a pool of its own.
pub(super) fn pool() -> Arc<Pool> {
    for _ in 0..ATTEMPTS {
        let mut current = match POOL.try_lock() {
            Ok(current) => current,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                std::thread::yield_now();
                continue;
            }
        };
        // One of another process goes as it is: nothing of it is touched.
        drop(current.take_if(|pool| pool.process != std::process::id()));
        return Arc::clone(current.get_or_insert_with(|| Arc::new(Pool::new())));
    }
    Arc::new(Pool::new())
}

pub(super) struct Pool {
    process: u32,
    state: Mutex<State>,
    /// There is a walk in the queue, or the limit has risen.
    work: Condvar,
}

struct State {
    /// Walks that may have something to read. A walk that was dropped meanwhile is passed over.
    queue: VecDeque<Weak<Shared>>,
    threads: usize,
    /// Threads that wait.
    idle: usize,
    controller: Controller,
    /// The walk that came last is behind slow calls.
    slow: bool,
    last: Look,
}

/// The last look at how it goes.
struct Look {
    at: Instant,
    cpu: Duration,
    /// Directories read since then.
    calls: u64,
}

impl Pool {
    fn new() -> Self {
        let state = State {
            queue: VecDeque::new(),
            threads: 0,
            idle: 0,
            controller: Controller::new(cores().count, MOST),
            slow: false,
            last: Look { at: Instant::now(), cpu: cpu_time(), calls: 0 },
        };
        Self { process: std::process::id(), state: Mutex::new(state), work: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a walk into the queue, unless it is there.
    pub(super) fn submit(self: &Arc<Self>, walk: &Arc<Shared>) {
        let mut state = self.lock();
        if !walk.queued.swap(true, Relaxed) {
            state.slow = !walk.is_fast();
            state.queue.push_back(Arc::downgrade(walk));
            self.call(&mut state);
        }
    }

    /// Wakes a thread, or starts one.
    fn call(self: &Arc<Self>, state: &mut State) {
        if state.threads - state.idle >= state.limit() {
            // The next that is done finds it in the queue.
        } else if state.idle > 0 {
            self.work.notify_one();
        } else {
            state.threads += 1;
            let pool = Arc::clone(self);
            let thread = std::thread::Builder::new().name("pwalk-ahead".into()).stack_size(STACK);
            if let Err(error) = thread.spawn(move || pool.run()) {
                // The caller reads by itself what nobody reads ahead.
                tracing::warn!(%error, "no thread to read ahead");
                state.threads -= 1;
            }
        }
    }

    fn run(self: Arc<Self>) {
        let mut state = self.lock();
        loop {
            let busy = state.threads - state.idle;
            let walk = if busy > state.limit() { None } else { state.queue.pop_front() };
            let Some(walk) = walk else {
                state.idle += 1;
                let waited = self.work.wait_timeout(state, PATIENCE);
                let (woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                state = woken;
                state.idle -= 1;
                if timeout.timed_out() && state.queue.is_empty() {
                    state.threads -= 1;
                    return;
                }
                continue;
            };
            let Some(walk) = walk.upgrade() else { continue };
            // From now on whoever finds something to read puts it back.
            walk.queued.store(false, Relaxed);
            drop(state);
            let mut read = 0;
            while read < TURN
                && let Some((job, more)) = walk.next_job()
            {
                if more && read == 0 {
                    self.submit(&walk);
                }
                walk.run(&job, || self.submit(&walk));
                read += 1;
            }
            if walk.is_hungry() {
                self.submit(&walk);
            }
            drop(walk);
            state = self.lock();
            state.count(read);
        }
    }
}

impl State {
    /// How many threads may read. Where calls are fast, one core is the caller's. Behind slow calls a few more than
    /// cores harm nobody, and the caller waits less until it is known how many pay.
    fn limit(&self) -> usize {
        let limit = self.controller.limit();
        if self.slow { limit.max(START_SLOW) } else { limit.saturating_sub(1).max(1) }
    }

    /// So many directories were read.
    fn count(&mut self, read: u64) {
        self.last.calls += read;
        let now = Instant::now();
        let elapsed = now - self.last.at;
        if elapsed < self.controller.interval() {
            return;
        }
        let cpu = cpu_time();
        let sample = Sample {
            elapsed,
            calls: self.last.calls,
            cpu: cpu.saturating_sub(self.last.cpu),
            hungry: self.idle,
            starved: Duration::ZERO,
        };
        self.last = Look { at: now, cpu, calls: 0 };
        self.controller.sample(&sample);
    }
}
