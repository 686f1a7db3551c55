//! `--max-iops`: at most so many calls a second, for a server that others use too.
//!
//! A virtual clock (the generic cell rate algorithm): each call moves the time of the next allowed
//! call by one interval, and waits until its own. A tenth of a second's calls may come in a burst,
//! so that workers woken late do not lose rate.

use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A pace for system calls.
pub struct Throttle {
    start: Instant,
    interval: u64,
    next: AtomicU64,
    gate: Mutex<bool>,
    opened: Condvar,
}

const BURST: u64 = 100_000_000;

impl Throttle {
    /// So many calls a second, at least one.
    pub fn new(per_second: u64) -> Self {
        Self {
            start: Instant::now(),
            interval: 1_000_000_000 / per_second.max(1),
            next: AtomicU64::new(0),
            gate: Mutex::new(false),
            opened: Condvar::new(),
        }
    }

    /// Waits until one more call is allowed, or until [`Self::open`].
    pub(crate) fn wait(&self) {
        let now = self.now();
        // Relaxed: only the number itself matters, nothing is published with it.
        let mine = self.next.fetch_update(Relaxed, Relaxed, |next| {
            Some(next.max(now.saturating_sub(BURST)).saturating_add(self.interval))
        });
        let at = mine.unwrap_or(0).max(now.saturating_sub(BURST));
        let Some(mut left) = at.checked_sub(now).filter(|&left| left > 0) else { return };
        let mut open = self.gate.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        while !*open && left > 0 {
            let waited = self.opened.wait_timeout(open, Duration::from_nanos(left));
            open = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
            left = at.saturating_sub(self.now());
        }
    }

    /// Lets everybody through for good: the walk is being stopped.
    pub(crate) fn open(&self) {
        *self.gate.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = true;
        self.opened.notify_all();
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
