//! Sleeping, waking and the end of the fold.
//!
//! # No lost wake-up
//!
//! A worker that finds no work takes the lock, counts itself as asleep, looks at every queue once
//! more and only then waits. A worker that adds work pushes it and then looks whether anybody is
//! asleep. Both sides have a sequentially consistent fence between their write and their read:
//!
//! ```text
//! adds work                         goes to sleep (holding the lock)
//! push(task)                        asleep += 1
//! fence(SeqCst)                     fence(SeqCst)
//! asleep > 0 ?                      queues empty ?
//! ```
//!
//! so at least one of them sees the other: either the sleeper sees the task, or the adder sees the
//! sleeper, takes the lock (so the sleeper is really waiting) and wakes it.
//!
//! # Termination
//!
//! The fold ends when the last worker that is awake finds all queues empty under the lock. Tasks
//! are made only by running workers, or by the watchdog from what a lost worker left: that one counts as
//! awake until another has joined in its place. If everybody else sleeps and the queues are empty there is no task, and nobody
//! who could make one. The last worker to fall asleep is the one that notices, so it is always
//! noticed. Workers on the bench (above the concurrency limit) count as asleep: they hold no task,
//! and their queues are among those that are looked at.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst, fence};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Default)]
struct State {
    live: usize,
    asleep: usize,
    done: bool,
}

#[derive(Default)]
pub(crate) struct Idle {
    state: Mutex<State>,
    work: Condvar,
    bench: Condvar,
    ended: Condvar,
    /// Workers asleep for want of work, not those on the bench. Written under the lock.
    hungry: AtomicUsize,
}

impl Idle {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more worker; call before its thread starts.
    pub(crate) fn join(&self) {
        self.lock().live += 1;
    }

    /// A worker is gone for good. If it was the last one awake, the others must look.
    pub(crate) fn leave(&self) {
        let mut state = self.lock();
        state.live -= 1;
        if state.live == 0 {
            state.done = true;
        }
        self.work.notify_all();
        self.ended.notify_all();
    }

    /// Work was added: wakes one hungry worker, if there is one.
    pub(crate) fn announce(&self) {
        // Pairs with the fence in `wait_for_work`; see above.
        fence(SeqCst);
        if self.hungry.load(SeqCst) > 0 {
            drop(self.lock());
            self.work.notify_one();
        }
    }

    /// How many workers want work.
    pub(crate) fn hungry(&self) -> usize {
        self.hungry.load(SeqCst)
    }

    /// Waits until there may be work. False: the fold is over.
    pub(crate) fn wait_for_work(&self, any_work: impl Fn() -> bool) -> bool {
        let mut state = self.lock();
        state.asleep += 1;
        self.hungry.fetch_add(1, SeqCst);
        fence(SeqCst);
        while !state.done && !any_work() {
            if state.asleep == state.live {
                self.finish_locked(&mut state);
                break;
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.asleep -= 1;
        self.hungry.fetch_sub(1, SeqCst);
        !state.done
    }

    /// Waits while `benched` holds. False: the fold is over.
    pub(crate) fn sit_out(&self, benched: impl Fn() -> bool, any_work: impl Fn() -> bool) -> bool {
        let mut state = self.lock();
        state.asleep += 1;
        while !state.done && benched() {
            if any_work() {
                // Somebody who may work must know: this worker might have been the one woken for it.
                self.work.notify_one();
            } else if state.asleep == state.live {
                self.finish_locked(&mut state);
                break;
            }
            state = self.bench.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.asleep -= 1;
        !state.done
    }

    /// The limit rose: whoever sits out looks again.
    pub(crate) fn call_from_bench(&self) {
        drop(self.lock());
        self.bench.notify_all();
    }

    /// Ends the fold now: everybody wakes and leaves.
    pub(crate) fn finish(&self) {
        self.finish_locked(&mut self.lock());
    }

    fn finish_locked(&self, state: &mut State) {
        state.done = true;
        self.work.notify_all();
        self.bench.notify_all();
        self.ended.notify_all();
    }

    /// Waits up to `time` for the end. True: it came.
    pub(crate) fn wait_for_end(&self, time: std::time::Duration) -> bool {
        let state = self.lock();
        if state.done {
            return true;
        }
        let (state, _) = self.ended.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner);
        state.done
    }

    /// Waits up to `time` for the last worker to leave. True: nobody is left.
    pub(crate) fn wait_for_empty(&self, time: std::time::Duration) -> bool {
        let state = self.lock();
        let waited = self.ended.wait_timeout_while(state, time, |s| s.live > 0);
        waited.unwrap_or_else(PoisonError::into_inner).0.live == 0
    }
}
