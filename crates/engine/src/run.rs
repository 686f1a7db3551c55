//! The fold itself: starts workers, watches them, and puts the result together.
//!
//! The calling thread walks nothing. It samples for the concurrency controller, tells the progress,
//! plays the watchdog, and looks at the switch that stops it all; so whoever called can stop it, and a
//! worker that hangs can not hang the caller.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crossbeam_deque::Worker as Deque;
use pwalk_fs::{cores, cpu_time, run_delay};

use crate::control::{Controller, Sample};
use crate::dir::join;
use crate::fds::Fds;
use crate::frontier::{collect, resume, root_paths};
use crate::hands::Hands;
use crate::lock::Lock;
use crate::options::{Options, Threads};
use crate::shared::{Shared, Stop};
use crate::slot::Flight;
use crate::task::Task;
use crate::watch::Watchdog;
use crate::worker::Worker;
use crate::{Frontier, Progress, Sink, Snapshot, Unfinished, Visitor, unfinished};

/// The most workers that pay anywhere.
const MOST: usize = 256;
/// Threads that may be lost to calls that hang before the fold gives up as a whole.
const SPARE: usize = 64;
const STACK: usize = 1 << 20;
/// How often the progress is told.
const TICK: Duration = Duration::from_millis(200);

/// How a fold ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything that could be read was.
    Whole,
    /// The budget was used up; [`Outcome::frontier`] says where.
    Budget,
    /// Somebody pulled the switch.
    Cancelled,
    /// A visitor had seen enough.
    Stopped,
    /// Too many calls hung.
    Hung,
}

/// What a fold came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub ended: Ended,
    /// Entries delivered, roots among them.
    pub entries: u64,
    /// Directories left.
    pub dirs: u64,
    /// Sum of the sizes of the entries, in bytes.
    pub bytes: u64,
    /// Errors told to the visitors.
    pub errors: u64,
    /// Snapshot directories left out.
    pub snapshots: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// The most workers that ran at once.
    pub workers: usize,
    /// What is left to do, if the budget was used up.
    pub frontier: Option<Frontier>,
    /// The directories that were met and never left, if the fold was cancelled, stopped or hung.
    pub unfinished: Unfinished,
}

impl Outcome {
    /// Whether everything was read without an error.
    pub fn is_complete(&self) -> bool {
        self.ended == Ended::Whole && self.errors == 0
    }
}

/// Folds `sink` over the trees of a frontier: [`Frontier::start`] for a new walk.
///
/// # Errors
/// What the sink's `finish` says. Errors of single entries are not errors of the fold.
///
/// # Panics
/// When a visitor panics, the fold stops and the panic goes on in the caller.
pub fn fold<K: Sink>(
    sink: K,
    start: Frontier,
    options: &Options,
    progress: &dyn Progress,
) -> Result<K::Summary, K::Error> {
    let mut run = Run::new(&sink, start, options);
    run.supervise(&sink, progress);
    let (visitors, outcome) = run.end();
    sink.finish(visitors, &outcome)
}

struct Run<V: Visitor> {
    shared: Arc<Shared<V>>,
    deques: Vec<Deque<Task<V>>>,
    panic: Arc<Lock<Option<Box<dyn Any + Send>>>>,
    controller: Option<Controller>,
    watchdog: Watchdog,
    /// How many workers run when nothing is measured.
    fixed: usize,
    workers: usize,
    start: Instant,
    roots: Vec<Vec<u8>>,
    cancelled: bool,
}

impl<V: Visitor> Run<V> {
    fn new<K: Sink<Worker = V>>(sink: &K, frontier: Frontier, options: &Options) -> Self {
        let (fds, feedable) = Fds::new(options.max_open, options.keep_open_until_leave);
        let cores = cores().count;
        let most = MOST.min(feedable).max(1);
        let (controller, limit) = match options.threads {
            Threads::Fixed(n) => (None, n.clamp(1, most.max(feedable))),
            Threads::Adaptive => (Some(Controller::new(cores, most)), cores.min(most)),
        };
        let slots = most.max(limit) + SPARE;
        let mut deques: Vec<_> = (0..slots).map(|_| Deque::new_lifo()).collect();
        let stealers = deques.iter().map(Deque::stealer).collect();
        deques.reverse();
        let shared = Shared::new(options.clone(), sink.needs(), root_paths(&frontier), stealers, fds, limit);
        let watchdog = Watchdog::new(&shared);
        let mut run = Self {
            shared,
            deques,
            panic: Arc::default(),
            controller,
            watchdog,
            fixed: limit,
            workers: 0,
            start: Instant::now(),
            roots: frontier.roots.clone(),
            cancelled: false,
        };
        run.prepare(sink, 0);
        resume(&run.shared, Hands { shared: &run.shared, index: 0, local: None }, &frontier);
        if run.shared.any_injected() {
            run.grow(sink, limit);
        }
        run
    }

    /// Puts a visitor in slot `index`.
    fn prepare<K: Sink<Worker = V>>(&self, sink: &K, index: usize) {
        let mut visitor = self.shared.slots[index].visitor.lock();
        if visitor.is_none() {
            *visitor = Some(sink.worker());
        }
    }

    /// Lets `limit` workers run, and those that were lost be replaced.
    fn grow<K: Sink<Worker = V>>(&mut self, sink: &K, limit: usize) {
        let want = limit + self.watchdog.lost;
        self.shared.limit.store(want, Relaxed);
        self.workers = self.workers.max(limit);
        while self.shared.spawned.load(Relaxed) < want {
            let index = self.shared.spawned.load(Relaxed);
            let Some(deque) = self.deques.pop() else { break };
            self.prepare(sink, index);
            self.shared.spawned.store(index + 1, Relaxed);
            self.shared.idle.join();
            if let Err(error) = self.spawn(index, deque) {
                tracing::warn!(%error, index, "no more threads");
                self.shared.idle.leave();
                self.deques.clear();
                if index == 0 {
                    self.shared.set_stop(Stop::Now);
                }
            }
        }
        self.shared.idle.call_from_bench();
    }

    fn spawn(&self, index: usize, deque: Deque<Task<V>>) -> std::io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let panic = Arc::clone(&self.panic);
        let name = format!("pwalk-{index}");
        let thread = std::thread::Builder::new().name(name).stack_size(STACK).spawn(move || {
            let worker = Worker::new(Arc::clone(&shared), index, deque);
            if let Err(cause) = catch_unwind(AssertUnwindSafe(|| worker.run())) {
                panic.lock().get_or_insert(cause);
                shared.set_stop(Stop::Now);
                shared.idle.leave();
            }
        });
        // Not joined: one that hangs in the kernel never could be. `Idle` counts those that are left.
        thread.map(drop)
    }

    fn supervise<K: Sink<Worker = V>>(&mut self, sink: &K, progress: &dyn Progress) {
        if self.shared.spawned.load(Relaxed) == 0 {
            return;
        }
        let mut last = Instant::now();
        let (mut last_calls, mut last_cpu) = (0, cpu_time());
        let mut starvation = Starvation::default();
        let (mut next_look, mut next_tick) = (last + self.watchdog.interval(), last + TICK);
        loop {
            let wait = self.controller.as_ref().map_or(Duration::from_millis(20), Controller::interval);
            if self.shared.idle.wait_for_end(wait.min(self.watchdog.interval())) {
                break;
            }
            let now = Instant::now();
            if self.shared.options.cancel.is_cancelled() {
                self.cancelled = true;
                self.shared.set_stop(Stop::Now);
                break;
            }
            if self.shared.options.budget.time.is_some_and(|limit| now - self.start >= limit) {
                self.shared.set_stop(Stop::Budget);
            }
            if now >= next_look {
                self.watchdog.look(&self.shared, progress);
                next_look = now + self.watchdog.interval();
                if self.watchdog.lost > self.watchdog.replaced {
                    self.replace_lost(sink);
                }
            }
            if let Some(controller) = &mut self.controller {
                let (calls, cpu) = (self.shared.count(|c| &c.calls), cpu_time());
                let sample = Sample {
                    elapsed: now - last,
                    calls: calls - last_calls,
                    cpu: cpu.saturating_sub(last_cpu),
                    hungry: self.shared.idle.hungry(),
                    starved: starvation.look(&self.shared),
                };
                (last, last_calls, last_cpu) = (now, calls, cpu);
                let (before, limit) = (controller.limit(), controller.sample(&sample));
                if limit != before {
                    tracing::debug!(before, limit, "workers");
                    self.grow(sink, limit);
                }
            }
            if now >= next_tick {
                progress.tick(&self.snapshot());
                next_tick = now + TICK;
            }
        }
        progress.tick(&self.snapshot());
    }

    /// Starts a worker for each that was lost, and only then signs those off: the fold cannot end in between.
    fn replace_lost<K: Sink<Worker = V>>(&mut self, sink: &K) {
        if self.watchdog.lost >= SPARE {
            self.shared.set_stop(Stop::Now);
        } else {
            let limit = self.controller.as_ref().map_or(self.fixed, Controller::limit);
            self.grow(sink, limit);
        }
        while self.watchdog.replaced < self.watchdog.lost {
            self.watchdog.replaced += 1;
            self.shared.idle.leave();
        }
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            entries: self.shared.count(|c| &c.entries),
            dirs: self.shared.count(|c| &c.dirs),
            bytes: self.shared.count(|c| &c.bytes),
            errors: self.shared.count(|c| &c.errors),
            elapsed: self.start.elapsed(),
            workers: self.shared.limit.load(Relaxed) - self.watchdog.lost,
            current: current(&self.shared),
        }
    }

    /// Waits for the workers, leaves behind those that do not come, and collects.
    fn end(mut self) -> (Vec<V>, Outcome) {
        let shared = Arc::clone(&self.shared);
        while shared.spawned.load(Relaxed) > 0 && !shared.idle.wait_for_empty(Duration::from_millis(50)) {
            // Only calls in the kernel are left behind: a visitor that works is waited for.
            self.watchdog.abandon_rest(&shared);
        }
        if let Some(cause) = self.panic.lock().take() {
            resume_unwind(cause);
        }
        let frontier = (shared.stop() == Stop::Budget).then(|| collect(&shared, self.roots.clone()));
        let frontier = frontier.filter(|f| !f.is_empty());
        let ended = match shared.stop() {
            Stop::Now if self.cancelled => Ended::Cancelled,
            Stop::Now if shared.stopped_by_visitor.load(Relaxed) => Ended::Stopped,
            Stop::Now => Ended::Hung,
            Stop::Budget if frontier.is_some() => Ended::Budget,
            Stop::Budget | Stop::No => Ended::Whole,
        };
        let outcome = Outcome {
            ended,
            entries: shared.count(|c| &c.entries),
            dirs: shared.count(|c| &c.dirs),
            bytes: shared.count(|c| &c.bytes),
            errors: shared.count(|c| &c.errors),
            snapshots: shared.snapshots.load(Relaxed),
            elapsed: self.start.elapsed(),
            workers: self.workers,
            frontier,
            unfinished: if shared.stop() == Stop::Now { unfinished::collect(&shared) } else { Unfinished::default() },
        };
        let visitors = shared.slots.iter().filter_map(|slot| slot.visitor.lock().take()).collect();
        shared.drain();
        (visitors, outcome)
    }
}

/// How long the first few workers waited for a core, looked at again and again.
#[derive(Default)]
struct Starvation {
    last: [Duration; 4],
}

impl Starvation {
    /// The wait since the last look, of a worker on average.
    fn look<V: Visitor>(&mut self, shared: &Shared<V>) -> Duration {
        let workers = shared.spawned.load(Relaxed).min(shared.limit.load(Relaxed)).min(self.last.len());
        let mut waited = Duration::ZERO;
        for (slot, last) in shared.slots[..workers].iter().zip(&mut self.last) {
            let now = run_delay(slot.thread.load(Relaxed)).unwrap_or(*last);
            // The first look at a worker only sets the mark.
            waited += if last.is_zero() { Duration::ZERO } else { now.saturating_sub(*last) };
            *last = now;
        }
        waited / u32::try_from(workers.max(1)).unwrap_or(1)
    }
}

/// A directory that somebody is working on.
fn current<V: Visitor>(shared: &Shared<V>) -> Option<Vec<u8>> {
    for slot in &shared.slots[..shared.spawned.load(Relaxed)] {
        let Some(flight) = slot.flight.try_lock() else { continue };
        let mut path = Vec::new();
        match &*flight {
            Flight::None => continue,
            Flight::Root { index } => path.extend_from_slice(shared.roots[*index].path.to_bytes()),
            Flight::List { dir, .. } => dir.path_into(&mut path),
            Flight::Stat { slice } => slice.dir.path_into(&mut path),
            Flight::Open { parent, names, child } => {
                parent.path_into(&mut path);
                join(&mut path, names.name(child.index as usize));
            }
        }
        return Some(path);
    }
    None
}
