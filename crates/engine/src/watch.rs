//! The watchdog: what to do about a call that does not come back.
//!
//! A dead server leaves a thread in the kernel for hours, and nothing can take it out. Such a call
//! is named; and where the user said after how long to give up, its work is taken from the thread
//! (see `slot` for who wins if the call comes back just then): what it was reading is an error of
//! class timeout, the rest of its work is queued for others, another thread takes its place, and the
//! fold goes on. The lost thread keeps nothing that others need: it holds no lock and no unit, and its
//! visitor, with all that is buffered in it, is used to report its loss and then finished like the
//! others.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use pwalk_fs::Names;

use crate::dir::join;
use crate::fds::Lost;
use crate::hands::Hands;
use crate::progress::Stall;
use crate::shared::Shared;
use crate::slot::{Flight, Watched, look};
use crate::task::Slice;
use crate::{Dir, Op, Progress, Visitor};

/// How long a call may take before it is told.
const NAME_AFTER: Duration = Duration::from_secs(30);

pub(crate) struct Watchdog {
    watched: Vec<Option<Watched>>,
    name_after: Duration,
    give_up_after: Option<Duration>,
    /// Workers given up so far.
    pub(crate) lost: usize,
    /// Of those, how many were replaced and signed off.
    pub(crate) replaced: usize,
}

impl Watchdog {
    pub(crate) fn new<V: Visitor>(shared: &Shared<V>) -> Self {
        Self {
            watched: vec![None; shared.slots.len()],
            name_after: shared.options.name_stalls_after.unwrap_or(NAME_AFTER),
            give_up_after: shared.options.give_up_after,
            lost: 0,
            replaced: 0,
        }
    }

    /// How often to look: often enough to be on time, seldom enough to cost nothing.
    pub(crate) fn interval(&self) -> Duration {
        let soonest = self.give_up_after.unwrap_or(self.name_after).min(self.name_after);
        (soonest / 8).clamp(Duration::from_millis(5), Duration::from_millis(500))
    }

    /// Looks at all workers once.
    pub(crate) fn look<V: Visitor>(&mut self, shared: &Shared<V>, progress: &dyn Progress) {
        let now = Instant::now();
        for index in 0..shared.spawned.load(Relaxed) {
            let slot = &shared.slots[index];
            let Some((call, since)) = look(&**slot, &mut self.watched[index], now) else { continue };
            let late = self.give_up_after.is_some_and(|limit| since >= limit);
            if late && slot.abandon(call) {
                let flight = std::mem::replace(&mut *slot.flight.lock(), Flight::None);
                progress.stalled(&describe(shared, &flight, slot.at.load(Relaxed), since, true));
                self.lost += 1;
                settle(shared, index, flight);
            } else if since >= self.name_after
                && let Some(watched) = self.watched[index].as_mut().filter(|w| !w.named)
            {
                watched.named = true;
                progress.stalled(&describe(shared, &slot.flight.lock(), slot.at.load(Relaxed), since, false));
            }
        }
    }

    /// The fold is over: gives up every call that is still out. What it was reading is lost.
    pub(crate) fn abandon_rest<V: Visitor>(&mut self, shared: &Shared<V>) {
        let now = Instant::now();
        for index in 0..shared.spawned.load(Relaxed) {
            let slot = &shared.slots[index];
            let Some((call, since)) = look(&**slot, &mut self.watched[index], now) else { continue };
            if since >= Duration::from_millis(200) && slot.abandon(call) {
                self.lost += 1;
                shared.idle.leave();
            }
        }
    }
}

/// Reports what a lost worker was reading, and queues the rest of its work.
fn settle<V: Visitor>(shared: &Shared<V>, index: usize, flight: Flight<V::State>) {
    let hands = Hands { shared, index, local: None };
    match flight {
        Flight::None => {}
        Flight::Root { index } => {
            let path = shared.roots[index].path.to_bytes().to_vec();
            hands.report(Op::Open, crate::Class::Timeout, None, path);
        }
        Flight::Open { parent, names, child } => {
            shared.fds.done(&parent, 1);
            hands.lost_child(&parent, &names, &child, None, &Lost::Timeout);
        }
        Flight::List { dir, names } => {
            dir.lost_something();
            hands.report_dir(Op::List, &Lost::Timeout, &dir);
            requeue(hands, &dir, names);
            shared.fds.done(&dir, 1);
            hands.finish(dir, 1);
        }
        Flight::Stat { slice } => {
            let at = shared.slots[index].at.load(Relaxed).clamp(slice.from, slice.to.saturating_sub(1));
            slice.dir.timeouts.fetch_add(1, Relaxed);
            hands.lost_entry(&Lost::Timeout, &slice.dir, &slice.names, at);
            for part in [slice.part(slice.from, at), slice.part(at + 1, slice.to)] {
                if part.len() > 0 {
                    hands.push_slice(part);
                }
            }
            shared.fds.done(&slice.dir, 1);
            hands.finish(slice.dir, 1);
        }
    }
}

fn requeue<V: Visitor>(hands: Hands<'_, V>, dir: &Arc<Dir<V::State>>, names: Names) {
    let to = u32::try_from(names.len()).unwrap_or(u32::MAX);
    if to > 0 {
        hands.push_slice(Slice { dir: Arc::clone(dir), names: Arc::new(names), from: 0, to });
    }
}

fn describe<V: Visitor>(shared: &Shared<V>, flight: &Flight<V::State>, at: u32, since: Duration, gone: bool) -> Stall {
    let mut path = Vec::new();
    let doing = match flight {
        Flight::None => "work",
        Flight::Root { index } => {
            path.extend_from_slice(shared.roots[*index].path.to_bytes());
            Op::Open.name()
        }
        Flight::Open { parent, names, child } => {
            parent.path_into(&mut path);
            join(&mut path, names.name(child.index as usize));
            Op::Open.name()
        }
        Flight::List { dir, .. } => {
            dir.path_into(&mut path);
            Op::List.name()
        }
        Flight::Stat { slice } => {
            slice.dir.path_into(&mut path);
            join(&mut path, slice.names.name(at.min(slice.to.saturating_sub(1)) as usize));
            Op::Stat.name()
        }
    };
    Stall { path, doing, since, given_up: gone }
}
