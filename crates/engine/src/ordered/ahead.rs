//! The caller's side of reading ahead: takes directories from the plan, and sees to it that they are still what they were.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pwalk_fs::Meta;

use super::OrderedOptions;
use super::listed::Listed;
use super::plan::{Job, Plan, Taken};
use super::pool::{Pool, pool};
use super::read::{Failure, Place, Source, fast_listing, is_current, look, read};
use crate::FollowLinks;

/// A directory that takes longer had rather been read by a thread while the caller sleeps.
const FAST: Duration = Duration::from_micros(100);
/// So much evidence for slow calls is enough, and no more than twice that is collected.
const ENOUGH: u32 = 4;
/// Nothing was read yet. The first directory alone decides.
const NO_EVIDENCE: u32 = u32::MAX;

/// What the caller of one walk and the threads of the pool share.
pub(super) struct Shared {
    options: OrderedOptions,
    plan: Mutex<Plan>,
    /// Something that the caller may wait for was read.
    delivered: Condvar,
    /// Evidence that calls are slow: it grows with each directory that took long, and shrinks with each that did not. A single
    /// one says little, since the thread may have lost its core in the middle. Relaxed: a rough number.
    slowness: AtomicU32,
    /// Whether the pool has it in its queue. Relaxed: whoever changes it holds the lock of the plan or of the pool's queue.
    pub(super) queued: AtomicBool,
}

impl Shared {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A directory to read, if there is one and reading it now is allowed, and whether there is another one.
    pub(super) fn next_job(&self) -> Option<(Job, bool)> {
        let mut plan = self.plan();
        if !self.has_room(&plan, self.options.read_ahead) {
            return None;
        }
        let job = plan.next_job()?;
        Some((job, plan.unread > 0))
    }

    /// Whether another thread may read while less than `ready` entries are ready.
    fn has_room(&self, plan: &Plan, ready: usize) -> bool {
        // One of the threads is the caller's.
        plan.ready < ready && plan.reading + 1 < self.options.threads.unwrap_or(usize::MAX)
    }

    /// Whether there is something to read, and room for it.
    pub(super) fn is_hungry(&self) -> bool {
        self.wants_more(self.options.read_ahead)
    }

    /// The same, with so much room that it is worth waking a thread for.
    fn is_very_hungry(&self) -> bool {
        self.wants_more(self.options.read_ahead / 4 * 3)
    }

    fn wants_more(&self, ready: usize) -> bool {
        let plan = self.plan();
        plan.unread > 0 && self.has_room(&plan, ready)
    }

    fn read(&self, place: Place<'_>, source: Source, first: impl FnMut(&Arc<Listed>)) -> Result<Arc<Listed>, Failure> {
        let begun = Instant::now();
        let result = read(place, source, &self.options, first);
        let own = result.as_ref().map_or(Duration::ZERO, |listed| fast_listing(listed.len()));
        let before = self.slowness.load(Relaxed);
        let is_slow = begun.elapsed().saturating_sub(own) > FAST;
        let after = match (before, is_slow) {
            (NO_EVIDENCE, true) => ENOUGH,
            (NO_EVIDENCE, false) => 0,
            (before, true) => before + 1,
            (before, false) => before.saturating_sub(2),
        };
        self.slowness.store(after.min(2 * ENOUGH), Relaxed);
        result
    }

    /// Reads what was taken. `more` is called when a part of it was read, and there is more to read in it.
    pub(super) fn run(&self, job: &Job, more: impl Fn()) {
        let place = Place { path: &job.path(), above: Some(job.above()), contract: self.options.contract };
        let result = self.read(place, Source::Listed, |part| {
            let order = below(part, &self.options);
            if !order.is_empty() {
                self.plan().deliver_part(job, part, order);
                more();
            }
        });
        let order = result.as_ref().map_or_else(|_| Vec::new(), |listed| below(listed, &self.options));
        let mut plan = self.plan();
        plan.deliver(job, result, order);
        if std::mem::take(&mut plan.waiting) {
            drop(plan);
            self.delivered.notify_all();
        }
    }

    /// Whether reading a directory takes less time than sleeping and being woken.
    pub(super) fn is_fast(&self) -> bool {
        let slowness = self.slowness.load(Relaxed);
        slowness < ENOUGH || slowness == NO_EVIDENCE
    }
}

/// Sub-directories that are walked into unless the caller says otherwise.
pub(super) fn below(listed: &Listed, options: &OrderedOptions) -> Vec<u32> {
    let follow = options.follow_links == FollowLinks::Always;
    (0_u32..).take(listed.dirs().len()).filter(|&place| follow || !listed.is_link(place)).collect()
}

/// Reading ahead for one walk.
pub(super) struct Ahead {
    shared: Arc<Shared>,
    pool: Option<Arc<Pool>>,
    process: u32,
}

impl Ahead {
    pub(super) fn new(options: &OrderedOptions) -> Self {
        Self { shared: Self::share(options), pool: None, process: std::process::id() }
    }

    fn share(options: &OrderedOptions) -> Arc<Shared> {
        Arc::new(Shared {
            options: *options,
            plan: Mutex::default(),
            delivered: Condvar::new(),
            slowness: AtomicU32::new(NO_EVIDENCE),
            queued: AtomicBool::new(false),
        })
    }

    /// To be called before anything else is done with it. After a `fork` the threads are in the other process, and with them
    /// whoever held a lock at that moment: what was shared with them is left behind untouched, and reading ahead begins anew.
    pub(super) fn stay_in_process(&mut self) {
        if !self.is_in_process() {
            *self = Self::new(&self.shared.options);
        }
    }

    fn is_in_process(&self) -> bool {
        self.process == std::process::id()
    }

    /// Reads a directory on the caller's thread; what is in it may be read ahead before that has come to its end.
    pub(super) fn read_here(
        &mut self,
        place: Place<'_>,
        source: Source,
    ) -> Result<(Arc<Listed>, Option<u64>), Failure> {
        let (shared, mut branch) = (Arc::clone(&self.shared), None);
        let options = &shared.options;
        let result = shared.read(place, source, |part| branch = self.plan(place.path, part, below(part, options)));
        match (&result, branch) {
            (Ok(listed), Some(branch)) => {
                shared.plan().complete(branch, listed, below(listed, options));
                self.wake();
            }
            (Err(_), branch) => self.forget(branch),
            (Ok(_), None) => {}
        }
        result.map(|listed| (listed, branch))
    }

    /// Lets the sub-directories of a directory that the caller is given be read ahead.
    pub(super) fn plan(&mut self, path: &[u8], listed: &Arc<Listed>, order: Vec<u32>) -> Option<u64> {
        if order.is_empty() || self.shared.options.threads == Some(1) {
            return None;
        }
        let branch = self.shared.plan().begin(path, listed, order);
        self.wake();
        Some(branch)
    }

    /// The `nth` sub-directory of `branch`, as it is now, and its own branch.
    pub(super) fn take(
        &mut self,
        branch: u64,
        nth: u32,
        place: Place<'_>,
    ) -> Result<(Arc<Listed>, Option<u64>), Failure> {
        let (taken, seen) = self.wait_for(branch, nth, place);
        let Taken::Found(found) = taken else {
            return self.read_here(place, Source::Listed);
        };
        // There is room again.
        self.wake();
        match found.result {
            Ok(listed) if is_current(place, &listed, seen, &self.shared.options) => Ok((listed, found.branch)),
            _ => {
                self.forget(found.branch);
                self.read_here(place, Source::Listed)
            }
        }
    }

    /// The `nth` sub-directory of `branch`, and what stood there while a thread was reading it, if that is known.
    fn wait_for(&self, branch: u64, nth: u32, place: Place<'_>) -> (Taken, Option<Meta>) {
        let mut seen = None;
        let mut plan = self.shared.plan();
        loop {
            match plan.take(branch, nth) {
                Taken::Wait => {}
                taken => return (taken, seen),
            }
            if !self.shared.is_fast() && seen.is_none() {
                // What is to be compared later can be found out meanwhile.
                drop(plan);
                seen = look(place, &self.shared.options);
                plan = self.shared.plan();
                if seen.is_some() {
                    continue;
                }
            }
            if self.shared.is_fast()
                && let Some(job) = plan.next_job()
            {
                // Meanwhile the next one.
                drop(plan);
                self.shared.run(&job, || ());
                plan = self.shared.plan();
                continue;
            }
            plan.waiting = true;
            let waited = self.shared.delivered.wait_timeout(plan, Duration::from_millis(100));
            plan = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(super) fn forget(&self, branch: Option<u64>) {
        if let Some(branch) = branch {
            self.shared.plan().forget(branch);
        }
    }

    /// Nobody wants the `nth` sub-directory of a branch.
    pub(super) fn skip(&mut self, branch: u64, nth: u32) {
        self.shared.plan().skip(branch, nth);
        self.wake();
    }

    pub(super) fn reorder(&mut self, branch: u64, order: Vec<u32>) {
        self.shared.plan().reorder(branch, order);
        self.wake();
    }

    /// Tells the pool if there is something to read.
    fn wake(&mut self) {
        if self.shared.queued.load(Relaxed) || !self.shared.is_very_hungry() {
            return;
        }
        self.pool.get_or_insert_with(pool).submit(&self.shared);
    }
}

impl Drop for Ahead {
    /// What is being read is thrown away by who reads it.
    fn drop(&mut self) {
        if self.is_in_process() {
            self.shared.plan().clear();
        }
    }
}
