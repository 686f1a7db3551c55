//! What the rest of the engine sees of one worker: its visitor, its counters, and the system call
//! that it is in, so that a call that never returns costs one thread and not the walk.
//!
//! # Who owns a call that hangs
//!
//! `sequence` is even while the worker runs and odd while it is in a system call. The watchdog that
//! has seen the same odd number for too long tries to exchange it for [`ABANDONED`]; the worker
//! coming back tries to exchange it for the next even number. Exactly one of the two succeeds:
//!
//! ```text
//! worker                              watchdog
//! store odd n          (Release)
//! statx(…) …                          sees n for 30 s
//!    … returns                        compare_exchange(n → ABANDONED)  (AcqRel)
//! compare_exchange(n → n + 1)         
//!    Ok:  the call counts                Err: nothing happened
//!    Err: its work is not its own        Ok:  takes `flight` and deals with it
//!         any more; the thread ends
//! ```
//!
//! Before a call the worker describes its work in `flight`; during one it holds neither that lock
//! nor the visitor's, so the watchdog can use both.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pwalk_fs::Names;

use crate::lock::Lock;
use crate::task::{Child, Slice};
use crate::{Dir, Visitor};

pub(crate) const ABANDONED: u64 = u64::MAX;

/// The work that a system call is part of.
pub(crate) enum Flight<S> {
    None,
    /// Opening (and describing) a sub-directory of `parent`.
    Open {
        parent: Arc<Dir<S>>,
        names: Arc<Names>,
        child: Child,
    },
    /// Reading the names in `dir`; `names` are those read so far and not delivered yet.
    List {
        dir: Arc<Dir<S>>,
        names: Names,
    },
    /// Describing the entry at `Slot::at` of this slice.
    Stat {
        slice: Slice<S>,
    },
    /// Opening a root.
    Root {
        index: usize,
    },
}

/// The thread must end: the fold is over, or its work was given to somebody else while a call hung.
pub(crate) struct Quit;

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) entries: AtomicU64,
    pub(crate) dirs: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) errors: AtomicU64,
    /// System calls that came back.
    pub(crate) calls: AtomicU64,
}

pub(crate) struct Slot<V: Visitor> {
    pub(crate) visitor: Lock<Option<V>>,
    pub(crate) flight: Lock<Flight<V::State>>,
    pub(crate) at: AtomicU32,
    pub(crate) counters: Counters,
    /// The kernel's number of the worker's thread; 0 before it runs.
    pub(crate) thread: AtomicU32,
    sequence: AtomicU64,
}

impl<V: Visitor> Slot<V> {
    pub(crate) fn new() -> Self {
        Self {
            visitor: Lock::new(None),
            flight: Lock::new(Flight::None),
            at: AtomicU32::new(0),
            counters: Counters::default(),
            thread: AtomicU32::new(0),
            sequence: AtomicU64::new(0),
        }
    }

    /// Runs a system call under the watchdog's eyes. Only the worker's own thread calls this.
    #[inline]
    pub(crate) fn call<R>(&self, f: impl FnOnce() -> R) -> Result<R, Quit> {
        // Relaxed: only this thread moves the number on from an even one.
        let n = self.sequence.load(Ordering::Relaxed) | 1;
        // Release: pairs with the Acquire of `abandon`, which then sees the flight described before.
        self.sequence.store(n, Ordering::Release);
        let result = f();
        self.count_call();
        match self.sequence.compare_exchange(n, n + 1, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(result),
            Err(_) => Err(Quit),
        }
    }

    fn count_call(&self) {
        // A plain store, not an addition: this thread is the only one that writes it.
        let calls = &self.counters.calls;
        calls.store(calls.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// The number of the call under way, if there is one.
    fn in_call(&self) -> Option<u64> {
        let n = self.sequence.load(Ordering::Acquire);
        (n % 2 == 1 && n != ABANDONED).then_some(n)
    }

    /// Takes the work of call `n` away from its worker. False: the call came back.
    pub(crate) fn abandon(&self, n: u64) -> bool {
        self.sequence.compare_exchange(n, ABANDONED, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.sequence.load(Ordering::Acquire) == ABANDONED
    }
}

/// What the watchdog remembers of one slot between two looks.
#[derive(Clone, Copy)]
pub(crate) struct Watched {
    call: u64,
    since: Instant,
    pub(crate) named: bool,
}

/// Looks at a slot: the call that hangs there, and for how long.
pub(crate) fn look<V: Visitor>(slot: &Slot<V>, last: &mut Option<Watched>, now: Instant) -> Option<(u64, Duration)> {
    let call = slot.in_call();
    match (call, *last) {
        (Some(n), Some(w)) if w.call == n => Some((n, now - w.since)),
        (Some(n), _) => {
            *last = Some(Watched { call: n, since: now, named: false });
            None
        }
        (None, _) => {
            *last = None;
            None
        }
    }
}
