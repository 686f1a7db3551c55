//! What a worker does to the fold besides reading: hand on work, report, finish directories.
//!
//! Apart from the worker's own thread, the watchdog works with a lost worker's hands, to settle what
//! it left behind; see `watch`.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};

use crossbeam_deque::Worker as Deque;
use pwalk_fs::{Errno, Names};

use crate::fds::{Held, Lost};
use crate::shared::{Shared, Stop};
use crate::slot::Slot;
use crate::task::{Job, Slice, Task};
use crate::throttle::Throttle;
use crate::{Class, Dir, Op, Totals, Visitor, WalkError};

pub(crate) struct Hands<'a, V: Visitor> {
    pub(crate) shared: &'a Shared<V>,
    pub(crate) index: usize,
    /// The worker's own queue; without one, work goes to everybody's.
    pub(crate) local: Option<&'a Deque<Task<V>>>,
}

impl<V: Visitor> Clone for Hands<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<V: Visitor> Copy for Hands<'_, V> {}

impl<'a, V: Visitor> Hands<'a, V> {
    pub(crate) fn slot(&self) -> &'a Slot<V> {
        &self.shared.slots[self.index]
    }

    pub(crate) fn push(&self, task: Task<V>) {
        match self.local {
            Some(deque) => deque.push(task),
            None => self.shared.injector.push(task),
        }
        self.shared.idle.announce();
    }

    /// Queues a slice as a unit of its own.
    pub(crate) fn push_slice(&self, slice: Slice<V::State>) {
        // Relaxed: the caller holds a unit and a use himself, so neither can reach zero meanwhile.
        slice.dir.add_own::<V>();
        slice.dir.users.fetch_add(1, Relaxed);
        self.push(Task::Slice(slice));
    }

    /// Calls the visitor. `anchor` is the directory that work it spawns is counted against.
    pub(crate) fn visit<R>(
        &self,
        anchor: Option<&Arc<Dir<V::State>>>,
        f: impl FnOnce(&mut V, &mut Context<'_, V>) -> R,
    ) -> Option<R> {
        let mut guard = self.slot().visitor.lock();
        let visitor = guard.as_mut()?;
        let mut cx = Context { hands: *self, anchor, inline: Vec::new() };
        let result = f(visitor, &mut cx);
        // Work spawned where nothing is left to count it against: only when a root is left.
        while let Some(job) = cx.inline.pop() {
            job(visitor, &mut cx);
        }
        Some(result)
    }

    pub(crate) fn report(&self, op: Op, class: Class, errno: Option<Errno>, path: Vec<u8>) {
        self.slot().counters.errors.fetch_add(1, Relaxed);
        let error = WalkError { op, class, errno, path };
        tracing::debug!(%error, "walk error");
        self.visit(None, |v, cx| v.error(cx, &error));
    }

    /// Reports an error of the entry `name` in `dir`.
    pub(crate) fn report_entry(&self, op: Op, lost: &Lost, dir: &Dir<V::State>, name: &[u8]) {
        let (class, errno) = classify(op, lost);
        self.report(op, class, errno, dir.path_of(name));
    }

    /// Reports an error of `dir` itself.
    pub(crate) fn report_dir(&self, op: Op, lost: &Lost, dir: &Dir<V::State>) {
        let (class, errno) = classify(op, lost);
        self.report(op, class, errno, dir.path());
    }

    /// An entry of `dir` could not be described. It counts as an entry unless it is gone.
    pub(crate) fn lost_entry(&self, lost: &Lost, dir: &Dir<V::State>, names: &Names, index: u32) {
        if classify(Op::Stat, lost).0 != Class::Vanished {
            dir.lost_something();
            dir.sums.add(&Totals { count: 1, tree_count: 1, ..Totals::default() });
        }
        self.report_entry(Op::Stat, lost, dir, names.name(index as usize));
    }

    /// Gives back `units` of `dir` that are no sub-directories; whoever gives back the last leaves it, and so on upwards.
    pub(crate) fn finish(&self, dir: Arc<Dir<V::State>>, units: usize) {
        // AcqRel, as below. The units are still counted in `pending`, so `leave` comes after.
        if V::HEARS_FILLED && dir.own.fetch_sub(units, AcqRel) == units && dir.state.get().is_some() {
            self.visit(Some(&dir), |v, cx| v.filled(cx, &dir));
        }
        let mut dir = dir;
        let mut units = units;
        // AcqRel: the one that sees the count reach zero sees all that the others added to the sums.
        while dir.pending.fetch_sub(units, AcqRel) == units {
            let totals = dir.sums.get();
            self.slot().counters.dirs.fetch_add(1, Relaxed);
            self.visit(dir.parent.as_ref(), |v, cx| v.leave(cx, &dir, &totals));
            dir.fd.take();
            let Some(parent) = dir.parent.clone() else { return };
            parent.sums.add_below(&totals);
            dir = parent;
            units = 1;
        }
    }
}

/// The class of a failure; a link or a file where a directory was listed has replaced it.
pub(crate) fn classify(op: Op, lost: &Lost) -> (Class, Option<Errno>) {
    match lost {
        Lost::Replaced => (Class::Replaced, None),
        Lost::Loop => (Class::Loop, None),
        Lost::Timeout => (Class::Timeout, None),
        Lost::Errno(errno @ (Errno::NOTDIR | Errno::LOOP)) if op == Op::Open => (Class::Replaced, Some(*errno)),
        Lost::Errno(errno) => (Class::from(*errno), Some(*errno)),
    }
}

/// An open directory, for system calls relative to it. Closed when the last copy is dropped.
#[derive(Clone, Debug)]
pub struct DirFd(pub(crate) Arc<Held>);

impl AsFd for DirFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Leave for system calls, which every thread can ask for.
#[derive(Clone, Copy)]
pub struct Permits<'a>(Option<&'a Throttle>);

impl<'a> Permits<'a> {
    /// For calls outside a fold, at a pace of their own; without one as many as are asked for.
    pub fn of(throttle: Option<&'a Throttle>) -> Self {
        Self(throttle)
    }

    /// Waits until so many calls may be made.
    pub fn wait(&self, calls: usize) {
        if let Some(throttle) = self.0 {
            (0..calls).for_each(|_| throttle.wait());
        }
    }
}

/// A directory that is kept from being left for a job to come; see [`Context::reserve`]. Dropped without one it is never left, as
/// in a fold that is stopped.
#[must_use = "the directory is not left without the job"]
pub struct Reserved<V: Visitor> {
    dir: Arc<Dir<V::State>>,
}

/// What a visitor can ask of the engine while it is called.
pub struct Context<'a, V: Visitor> {
    hands: Hands<'a, V>,
    anchor: Option<&'a Arc<Dir<V::State>>>,
    inline: Vec<Job<V>>,
}

impl<V: Visitor> Context<'_, V> {
    /// Lets any worker run `job`. It is counted against the directory that the visitor is called
    /// for, which is not left before it is done; spawned in `leave`, it is counted against the
    /// directory above.
    pub fn spawn(&mut self, job: impl FnOnce(&mut V, &mut Context<'_, V>) + Send + 'static) {
        match self.anchor {
            Some(dir) => {
                // The directory has a unit, that of the call we are in.
                dir.add_own::<V>();
                self.hands.push(Task::Job { dir: Arc::clone(dir), job: Box::new(job) });
            }
            None => self.inline.push(Box::new(job)),
        }
    }

    /// Keeps the directory that the visitor is called for from being left until the job comes that is [resumed](Self::resume) with this:
    /// for work that waits for other work. None where there is no directory to count it against.
    pub fn reserve(&self) -> Option<Reserved<V>> {
        self.anchor.map(|dir| {
            // The directory has a unit, that of the call we are in.
            dir.add_own::<V>();
            Reserved { dir: Arc::clone(dir) }
        })
    }

    /// Lets any worker run `job`, for the directory that was kept for it.
    pub fn resume(&mut self, reserved: Reserved<V>, job: impl FnOnce(&mut V, &mut Context<'_, V>) + Send + 'static) {
        self.hands.push(Task::Job { dir: reserved.dir, job: Box::new(job) });
    }

    /// Counts system calls that the visitor made itself, by which the number of workers is judged.
    pub fn count_calls(&self, calls: u64) {
        self.hands.slot().counters.calls.fetch_add(calls, Relaxed);
    }

    /// Stops the whole fold: enough was seen. What is under way elsewhere is dropped.
    pub fn stop(&mut self) {
        self.hands.shared.stopped_by_visitor.store(true, Relaxed);
        self.hands.shared.set_stop(Stop::Now);
    }

    /// Whether the fold is being stopped, for work that takes long.
    pub fn is_stopping(&self) -> bool {
        self.hands.shared.stop() == Stop::Now
    }

    /// Leave for calls that the visitor makes itself, at the pace of [`Options::max_iops`](crate::Options::max_iops).
    pub fn permits(&self) -> Permits<'_> {
        Permits(self.hands.shared.throttle.as_ref())
    }

    /// The descriptor of `dir`, opened again (and checked to be the same) where it was closed.
    ///
    /// # Errors
    /// What kept it from being opened; a directory that is not where it was is `Replaced`.
    pub fn fd(&self, dir: &Arc<Dir<V::State>>) -> Result<DirFd, WalkError> {
        self.hands.shared.fds.get(dir).map(DirFd).map_err(|lost| {
            let (class, errno) = classify(Op::Open, &lost);
            let mut path = Vec::new();
            dir.path_into(&mut path);
            WalkError { op: Op::Open, class, errno, path }
        })
    }
}
