//! Answers that wait for their time.
//!
//! A request that is delayed or hangs is its reply and a moment, not a thread: a thousand of them are a thousand
//! elements of a heap. Two timer threads take what is due, so that one long listing does not hold up the rest.
//!
//! A delay says how long one request takes. A capacity says how many the server works on at once: a request gets the
//! slot that is free first and is due one delay after it, so beyond the capacity the server only queues, like a real
//! one that is saturated.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;

/// Sends the reply: the true one, or an error.
pub(super) type Answer = Box<dyn FnOnce(Result<(), Errno>) + Send>;

/// Threads that answer what is due.
const TIMERS: usize = 2;

/// The waiting answers of one mount.
pub(super) struct Queue {
    state: Mutex<State>,
    /// Signals the timers: a new first element, or closed.
    due: Condvar,
    /// Signals tests that wait for a request to hang.
    hung: Condvar,
}

struct State {
    waiting: BinaryHeap<Reverse<Waiting>>,
    hung: Vec<(Answer, Result<(), Errno>)>,
    /// When each slot of the server is free, if there is a limit to them.
    slots: Option<BinaryHeap<Reverse<Instant>>>,
    serial: u64,
    closed: bool,
}

struct Waiting {
    due: Instant,
    serial: u64,
    answer: Answer,
    outcome: Result<(), Errno>,
}

impl Queue {
    /// A queue with its timer threads, which end when it is closed. `capacity` is the number of requests that are
    /// worked on at once, `None` for no limit.
    pub(super) fn start(capacity: Option<usize>) -> std::io::Result<Arc<Self>> {
        let now = Instant::now();
        let slots = capacity.map(|n| std::iter::repeat_n(Reverse(now), n.max(1)).collect());
        let state = State { waiting: BinaryHeap::new(), hung: Vec::new(), slots, serial: 0, closed: false };
        let queue = Arc::new(Self { state: Mutex::new(state), due: Condvar::new(), hung: Condvar::new() });
        for i in 0..TIMERS {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new().name(format!("fuse-timer-{i}")).spawn(move || queue.run())?;
        }
        Ok(queue)
    }

    /// A panic while the lock was held (in a test's own layout, say) does not change what the state means.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers after `delay`; at once with `EIO` when the queue is closed.
    pub(super) fn after(&self, delay: Duration, outcome: Result<(), Errno>, answer: Answer) {
        let mut state = self.lock();
        if state.closed {
            drop(state);
            return answer(Err(Errno::IO));
        }
        let mut start = Instant::now();
        if let Some(slots) = &mut state.slots {
            start = slots.pop().map_or(start, |Reverse(free)| free.max(start));
            slots.push(Reverse(start + delay));
        }
        let (due, serial) = (start + delay, state.serial);
        state.serial += 1;
        let first = state.waiting.peek().is_none_or(|Reverse(first)| due < first.due);
        state.waiting.push(Reverse(Waiting { due, serial, answer, outcome }));
        drop(state);
        if first {
            self.due.notify_one();
        }
    }

    /// Keeps the answer until [`release`](Self::release); at once with `EIO` when the queue is closed.
    pub(super) fn hang(&self, outcome: Result<(), Errno>, answer: Answer) {
        let mut state = self.lock();
        if state.closed {
            drop(state);
            return answer(Err(Errno::IO));
        }
        state.hung.push((answer, outcome));
        drop(state);
        self.hung.notify_all();
    }

    /// Answers everything that hangs.
    pub(super) fn release(&self) {
        let hung = std::mem::take(&mut self.lock().hung);
        hung.into_iter().for_each(|(answer, outcome)| answer(outcome));
    }

    /// How many hang now.
    pub(super) fn hanging(&self) -> usize {
        self.lock().hung.len()
    }

    /// Waits until `count` hang, at most `timeout`; whether they do.
    pub(super) fn wait_hanging(&self, count: usize, timeout: Duration) -> bool {
        let waited = self.hung.wait_timeout_while(self.lock(), timeout, |state| state.hung.len() < count);
        waited.unwrap_or_else(PoisonError::into_inner).0.hung.len() >= count
    }

    /// Answers everything with `EIO`, now and from now on, and ends the timers.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let (hung, waiting) = (std::mem::take(&mut state.hung), std::mem::take(&mut state.waiting));
        drop(state);
        self.due.notify_all();
        hung.into_iter().for_each(|(answer, _)| answer(Err(Errno::IO)));
        waiting.into_iter().for_each(|Reverse(w)| (w.answer)(Err(Errno::IO)));
    }

    /// A timer thread.
    fn run(&self) {
        let mut state = self.lock();
        while !state.closed {
            let now = Instant::now();
            let wait = state.waiting.peek().map(|Reverse(first)| first.due.saturating_duration_since(now));
            state = match wait {
                None => self.due.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => {
                    let due = state.waiting.pop();
                    let more = !state.waiting.is_empty();
                    drop(state);
                    if more {
                        self.due.notify_one(); // the other timer watches the next while this one answers
                    }
                    if let Some(Reverse(due)) = due {
                        (due.answer)(due.outcome);
                    }
                    self.lock()
                }
                Some(wait) => self.due.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.due, self.serial).cmp(&(other.due, other.serial))
    }
}
