//! What all workers of one fold share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};

use crossbeam_deque::{Injector, Steal, Stealer};
use crossbeam_utils::CachePadded;

use crate::fds::Fds;
use crate::idle::Idle;
use crate::list::ListBuf;
use crate::lock::Lock;
use crate::options::Options;
use crate::slot::Slot;
use crate::task::Task;
use crate::throttle::Throttle;
use crate::totals::HardLinks;
use crate::{Dir, Needs, Visitor};

/// How a fold is ending, if it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Stop {
    /// It goes on.
    No = 0,
    /// The budget is used up: what has begun is finished, the rest is handed back.
    Budget = 1,
    /// Cancelled, or a visitor has seen enough: everything stops.
    Now = 2,
}

pub(crate) struct Shared<V: Visitor> {
    pub(crate) options: Options,
    pub(crate) needs: Needs,
    pub(crate) roots: Vec<RootPath>,
    pub(crate) slots: Box<[CachePadded<Slot<V>>]>,
    pub(crate) stealers: Box<[Stealer<Task<V>>]>,
    pub(crate) injector: Injector<Task<V>>,
    /// Slots in use: those below it have, or had, a thread.
    pub(crate) spawned: AtomicUsize,
    /// Workers that may run; the others sit on the bench.
    pub(crate) limit: AtomicUsize,
    pub(crate) idle: Idle,
    pub(crate) fds: Fds<Dir<V::State>>,
    pub(crate) links: HardLinks,
    pub(crate) throttle: Option<Throttle>,
    stop: AtomicU8,
    pub(crate) stopped_by_visitor: AtomicBool,
    /// Entries delivered, kept only for an entry budget.
    pub(crate) delivered: AtomicU64,
    /// Buffers for listing, for whoever lists: of hundreds of workers only a few do at once.
    pub(crate) buffers: Lock<Vec<ListBuf>>,
    /// Sub-directories queued and not entered yet.
    pub(crate) waiting: AtomicUsize,
    /// Listings put off because too many wait; see `worker`.
    pub(crate) shelf: Lock<Vec<Task<V>>>,
    /// Tasks set aside when the budget was used up.
    pub(crate) aside: Lock<Vec<Task<V>>>,
    /// Names left out because they are snapshots.
    pub(crate) snapshots: AtomicU64,
}

/// Sub-directories that may wait before listings are put off: enough for hundreds of workers, a few megabytes.
const CROWD: usize = 16 << 10;

/// A root as it was given.
#[derive(Clone, Debug)]
pub(crate) struct RootPath {
    /// As the kernel is to see it.
    pub(crate) path: Box<std::ffi::CStr>,
    /// As the paths below it begin.
    pub(crate) name: Box<std::ffi::CStr>,
}

impl<V: Visitor> Shared<V> {
    pub(crate) fn new(
        options: Options,
        needs: Needs,
        roots: Vec<RootPath>,
        stealers: Box<[Stealer<Task<V>>]>,
        fds: Fds<Dir<V::State>>,
        limit: usize,
    ) -> Arc<Self> {
        let slots = stealers.iter().map(|_| CachePadded::new(Slot::new())).collect();
        let throttle = options.max_iops.map(Throttle::new);
        Arc::new(Self {
            options,
            needs,
            roots,
            slots,
            stealers,
            injector: Injector::new(),
            spawned: AtomicUsize::new(0),
            limit: AtomicUsize::new(limit),
            idle: Idle::default(),
            fds,
            links: HardLinks::default(),
            throttle,
            stop: AtomicU8::new(0),
            stopped_by_visitor: AtomicBool::new(false),
            delivered: AtomicU64::new(0),
            buffers: Lock::default(),
            waiting: AtomicUsize::new(0),
            shelf: Lock::default(),
            aside: Lock::default(),
            snapshots: AtomicU64::new(0),
        })
    }

    pub(crate) fn stop(&self) -> Stop {
        match self.stop.load(Relaxed) {
            0 => Stop::No,
            1 => Stop::Budget,
            _ => Stop::Now,
        }
    }

    /// Stops, or stops harder; never less.
    pub(crate) fn set_stop(&self, how: Stop) {
        self.stop.fetch_max(how as u8, Relaxed);
        if how == Stop::Now {
            self.idle.finish();
            if let Some(throttle) = &self.throttle {
                throttle.open();
            }
        }
    }

    /// Counts entries against the budget.
    pub(crate) fn spend(&self, entries: u64) {
        let spent = self.delivered.fetch_add(entries, Relaxed) + entries;
        if self.options.budget.entries.is_some_and(|budget| spent >= budget) {
            self.set_stop(Stop::Budget);
        }
    }

    pub(crate) fn any_work(&self) -> bool {
        let spawned = self.spawned.load(Relaxed);
        !self.injector.is_empty()
            || self.stealers[..spawned].iter().any(|s| !s.is_empty())
            || !self.shelf.lock().is_empty()
    }

    /// Whether so many sub-directories wait that no more should be listed.
    pub(crate) fn is_crowded(&self) -> bool {
        self.waiting.load(Relaxed) > CROWD
    }

    /// Whether there is work that no worker made: what a fold starts with.
    pub(crate) fn any_injected(&self) -> bool {
        !self.injector.is_empty()
    }

    /// Takes the oldest task of somebody else, beginning to look after `own`.
    pub(crate) fn steal(&self, own: usize) -> Option<Task<V>> {
        let spawned = self.spawned.load(Relaxed).max(1);
        loop {
            let mut retry = false;
            match self.injector.steal() {
                Steal::Success(task) => return Some(task),
                Steal::Retry => retry = true,
                Steal::Empty => {}
            }
            for i in 1..=spawned {
                match self.stealers[(own + i) % spawned].steal() {
                    Steal::Success(task) => return Some(task),
                    Steal::Retry => retry = true,
                    Steal::Empty => {}
                }
            }
            if !retry {
                return None;
            }
        }
    }

    /// Tasks that nobody will run: at the end, those of a stopped fold.
    pub(crate) fn drain(&self) {
        while self.steal(0).is_some() {}
        self.shelf.lock().clear();
    }

    pub(crate) fn count(&self, pick: impl Fn(&crate::slot::Counters) -> &AtomicU64) -> u64 {
        let used = self.spawned.load(Relaxed);
        self.slots[..used].iter().map(|s| pick(&s.counters).load(Relaxed)).sum()
    }
}
