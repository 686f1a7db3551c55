//! One worker: takes tasks, newest first from its own queue, oldest first from the others'.
//!
//! Newest first makes the walk go deep before it goes wide, so what is waiting stays near depth ×
//! workers and not the width of the tree; the oldest task of another worker is the one nearest the
//! root, and so the largest to steal.
//!
//! That task is often a listing, and hungry workers would soon have listed all of a directory of a
//! million sub-directories, and keep them in memory. So while many sub-directories wait, a listing is put on a
//! shelf, from which it is taken when few wait or nothing else is left to do. The worker that finds nothing
//! but the shelf takes from it, so nothing on it is forgotten.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crossbeam_deque::Worker as Deque;
use pwalk_fs::{own_credentials, thread_id};

use crate::Visitor;
use crate::batch::Item;
use crate::fds::Lost;
use crate::hands::Hands;
use crate::shared::{Shared, Stop};
use crate::slot::{Flight, Quit};
use crate::stat::Pace;
use crate::task::Task;

pub(crate) struct Worker<V: Visitor> {
    pub(crate) shared: Arc<Shared<V>>,
    pub(crate) index: usize,
    pub(crate) local: Deque<Task<V>>,
    /// The batch being made; kept for its memory.
    pub(crate) items: Vec<Item>,
    /// What failed in it.
    pub(crate) failed: Vec<(u32, Lost)>,
    pub(crate) pace: Pace,
    /// Whether the task at hand was taken from the shelf for want of any other.
    from_shelf: bool,
}

impl<V: Visitor> Worker<V> {
    pub(crate) fn new(shared: Arc<Shared<V>>, index: usize, local: Deque<Task<V>>) -> Self {
        Self { shared, index, local, items: Vec::new(), failed: Vec::new(), pace: Pace::default(), from_shelf: false }
    }

    pub(crate) fn hands(&self) -> Hands<'_, V> {
        Hands { shared: &self.shared, index: self.index, local: Some(&self.local) }
    }

    /// Works until the fold is over, or until the worker is given up.
    pub(crate) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        self.hands().slot().thread.store(thread_id(), Relaxed);
        own_credentials();
        let index = self.index;
        let benched = || index >= shared.limit.load(Relaxed);
        loop {
            if shared.stop() == Stop::Now {
                break;
            }
            if self.index >= shared.limit.load(Relaxed) {
                if !shared.idle.sit_out(benched, || shared.any_work()) {
                    break;
                }
                continue;
            }
            match self.next() {
                Some(Task::List(open)) if shared.is_crowded() && !self.from_shelf => {
                    shared.shelf.lock().push(Task::List(open));
                }
                Some(task) => {
                    if self.task(task).is_err() {
                        // Its flight says where it stopped.
                        break;
                    }
                    *self.hands().slot().flight.lock() = Flight::None;
                }
                None => {
                    if !shared.idle.wait_for_work(|| shared.any_work()) {
                        break;
                    }
                }
            }
        }
        // A worker that was given up was signed off by the watchdog.
        if !self.hands().slot().is_abandoned() {
            shared.idle.leave();
        }
    }

    fn next(&mut self) -> Option<Task<V>> {
        self.from_shelf = false;
        let task = self.local.pop();
        let crowded = self.shared.is_crowded();
        let task = if crowded { task } else { task.or_else(|| self.shared.shelf.lock().pop()) };
        task.or_else(|| self.shared.steal(self.index)).or_else(|| {
            self.from_shelf = true;
            self.shared.shelf.lock().pop()
        })
    }

    fn task(&mut self, task: Task<V>) -> Result<(), Quit> {
        if self.shared.stop() == Stop::Budget && matches!(task, Task::Root { .. } | Task::Children(_)) {
            self.shared.aside.lock().push(task);
            return Ok(());
        }
        match task {
            Task::Root { index } => self.root(index),
            Task::List(open) => self.list(open),
            Task::Slice(slice) => self.slice(slice),
            Task::Children(children) => self.children(children),
            Task::Job { dir, job } => {
                self.hands().visit(Some(&dir), |v, cx| job(v, cx));
                self.hands().finish(dir, 1);
                Ok(())
            }
        }
    }

    /// Before a system call: waits for its turn under `--max-iops`, and looks whether all is over.
    pub(crate) fn permit(&self) -> Result<(), Quit> {
        if let Some(throttle) = &self.shared.throttle {
            throttle.wait();
        }
        if self.shared.stop() == Stop::Now { Err(Quit) } else { Ok(()) }
    }
}
