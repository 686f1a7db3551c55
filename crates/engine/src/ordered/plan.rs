//! Which directory to read next: the plan of one walk, without threads and without system calls.
//!
//! The directories that were read and have sub-directories are *branches*. What is not read yet is a list of stretches of
//! sub-directories, in the order in which the caller will ask for them: depth first. The nearest is at the end, so
//! that all happens there: a thread takes the last directory of the list that nobody has, and leaves a marker in its place;
//! when it has read it, the marker becomes the stretch of that directory's own sub-directories. There are never more
//! markers than threads, so nothing here is searched for long.
//!
//! When the caller reorders or prunes the directory that it was given, which is the first of what is left, the part of the
//! list that lies below that directory is made anew; what was read below a pruned directory is forgotten.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::listed::Listed;
use super::read::Failure;

/// How many branches there were in this process. No number is used twice, so that one from a plan that was left behind at a
/// `fork` means nothing in the next. Relaxed: numbers only have to differ.
static BRANCHES: AtomicU64 = AtomicU64::new(0);

/// The plan of one walk.
#[derive(Default)]
pub(super) struct Plan {
    branches: HashMap<u64, Branch>,
    /// What is to be read, the nearest last.
    list: Vec<Item>,
    /// Entries read and not asked for yet.
    pub(super) ready: usize,
    /// Directories being read ahead.
    pub(super) reading: usize,
    /// Directories that nobody has begun to read.
    pub(super) unread: usize,
    /// The caller sleeps until one that is being read is there.
    pub(super) waiting: bool,
    /// The state of what nobody wants.
    gone: State,
}

enum Item {
    /// Positions `from..to` of a branch's order.
    Stretch { branch: u64, from: u32, to: u32 },
    /// A directory that is being read.
    Marker { branch: u64, place: u32 },
}

/// A directory whose sub-directories can be read ahead.
struct Branch {
    above: Option<u64>,
    path: Arc<[u8]>,
    listed: Arc<Listed>,
    /// Places of sub-directories, in the order in which they will be wanted.
    order: Vec<u32>,
    /// By place.
    states: Vec<State>,
}

/// How far a sub-directory is.
#[derive(Default)]
enum State {
    Unread,
    /// By a thread. Its own branch, if a part of it was read.
    Reading(Option<u64>),
    Ready(Found),
    /// Given to the caller, or not wanted.
    #[default]
    Gone,
}

/// A directory that was read ahead.
pub(super) struct Found {
    pub(super) result: Result<Arc<Listed>, Failure>,
    /// Its own branch, if it has one.
    pub(super) branch: Option<u64>,
}

/// A directory for a thread to read.
pub(super) struct Job {
    pub(super) branch: u64,
    pub(super) place: u32,
    dir: Arc<[u8]>,
    listed: Arc<Listed>,
}

impl Job {
    pub(super) fn path(&self) -> Vec<u8> {
        super::join_path(&self.dir, self.listed.dir_name(self.place))
    }

    /// The directory that it is in, and which of its directories it is.
    pub(super) fn above(&self) -> (&Listed, u32) {
        (&self.listed, self.place)
    }
}

/// What the caller gets when it asks for a directory.
pub(super) enum Taken {
    Found(Found),
    /// A thread is reading it.
    Wait,
    /// Nobody has begun: the caller reads it.
    Unread,
}

impl Plan {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self { reading: self.reading, ..Self::default() };
    }

    /// Adds a directory that the caller has just been given, as the first of all that is left.
    pub(super) fn begin(&mut self, path: &[u8], listed: &Arc<Listed>, order: Vec<u32>) -> u64 {
        let (id, item) = self.branch(None, path.into(), listed, order);
        self.list.push(item);
        id
    }

    fn branch(&mut self, above: Option<u64>, path: Arc<[u8]>, listed: &Arc<Listed>, order: Vec<u32>) -> (u64, Item) {
        let id = BRANCHES.fetch_add(1, Relaxed);
        let states = std::iter::repeat_with(|| State::Gone).take(listed.dirs().len());
        let mut branch = Branch { above, path, listed: Arc::clone(listed), states: states.collect(), order };
        for &place in &branch.order {
            branch.states[place as usize] = State::Unread;
        }
        let to = u32::try_from(branch.order.len()).unwrap_or(u32::MAX);
        self.unread += branch.order.len();
        self.branches.insert(id, branch);
        (id, Item::Stretch { branch: id, from: 0, to })
    }

    /// The nearest directory that nobody has begun to read.
    pub(super) fn next_job(&mut self) -> Option<Job> {
        let mut at = self.list.len();
        while at > 0 {
            at -= 1;
            let Item::Stretch { branch, from, to } = self.list[at] else { continue };
            // A stretch may be from before the caller chose, and reach further than what it left.
            let is_unread = |b: &Branch, i: u32| {
                b.order.get(i as usize).is_some_and(|place| matches!(b.states[*place as usize], State::Unread))
            };
            let unread = self.branches.get(&branch).and_then(|b| (from..to).find(|&i| is_unread(b, i)));
            let (Some(position), Some(found)) = (unread, self.branches.get_mut(&branch)) else {
                self.list.remove(at);
                continue;
            };
            let place = found.order[position as usize];
            found.states[place as usize] = State::Reading(None);
            self.reading += 1;
            self.unread -= 1;
            let job = Job { branch, place, dir: Arc::clone(&found.path), listed: Arc::clone(&found.listed) };
            self.list[at] = Item::Stretch { branch, from: position + 1, to };
            self.list.insert(at + 1, Item::Marker { branch, place });
            return Some(job);
        }
        None
    }

    fn state(&mut self, job: &Job) -> &mut State {
        self.branches.get_mut(&job.branch).map_or(&mut self.gone, |branch| &mut branch.states[job.place as usize])
    }

    /// A thread has read a part of what it took.
    pub(super) fn deliver_part(&mut self, job: &Job, listed: &Arc<Listed>, order: Vec<u32>) {
        if !matches!(self.state(job), State::Reading(None)) {
            return;
        }
        let (id, item) = self.branch(Some(job.branch), job.path().into(), listed, order);
        *self.state(job) = State::Reading(Some(id));
        let at = self.marker(job).map_or(self.list.len(), |at| at + 1);
        self.list.insert(at, item);
    }

    /// A branch was read to its end: what came after the part that is known.
    fn grow(&mut self, id: u64, listed: &Arc<Listed>, order: Vec<u32>) -> Option<Item> {
        let branch = self.branches.get_mut(&id)?;
        let known = u32::try_from(branch.states.len()).unwrap_or(u32::MAX);
        if Arc::ptr_eq(&branch.listed, listed) {
            return None;
        }
        branch.listed = Arc::clone(listed);
        branch.states.resize_with(listed.dirs().len(), || State::Gone);
        let from = u32::try_from(branch.order.len()).unwrap_or(u32::MAX);
        for place in order.into_iter().filter(|place| *place >= known) {
            branch.order.push(place);
            branch.states[place as usize] = State::Unread;
            self.unread += 1;
        }
        let to = u32::try_from(branch.order.len()).unwrap_or(u32::MAX);
        (from < to).then_some(Item::Stretch { branch: id, from, to })
    }

    /// The caller, who is reading the directory of a branch itself, has come to its end.
    pub(super) fn complete(&mut self, id: u64, listed: &Arc<Listed>, order: Vec<u32>) {
        if let Some(rest) = self.grow(id, listed, order) {
            let at = self.start_of(id);
            self.list.insert(at, rest);
        }
    }

    /// Where the part of the list begins that lies below a branch, the first of all that is left.
    fn start_of(&self, branch: u64) -> usize {
        let is_other = |item: &Item| {
            let (Item::Stretch { branch: id, .. } | Item::Marker { branch: id, .. }) = item;
            self.branches.contains_key(id) && !self.is_below(*id, branch)
        };
        self.list.iter().rposition(is_other).map_or(0, |at| at + 1)
    }

    fn marker(&self, job: &Job) -> Option<usize> {
        let is_it = |item: &Item| matches!(item, Item::Marker { branch, place } if (*branch, *place) == (job.branch, job.place));
        self.list.iter().rposition(is_it)
    }

    /// A thread has read what it took. `order`: the sub-directories to read ahead in it.
    pub(super) fn deliver(&mut self, job: &Job, result: Result<Arc<Listed>, Failure>, order: Vec<u32>) {
        self.reading -= 1;
        let marker = self.marker(job);
        let State::Reading(early) = self.state(job) else {
            marker.map(|at| self.list.remove(at));
            return;
        };
        let early = *early;
        let mut found = Found { result, branch: None };
        let mut stretch = None;
        match (&found.result, early) {
            (Ok(listed), Some(id)) => {
                found.branch = Some(id);
                stretch = self.grow(id, listed, order);
            }
            (Ok(listed), None) if !order.is_empty() => {
                let (id, item) = self.branch(Some(job.branch), job.path().into(), listed, order);
                (found.branch, stretch) = (Some(id), Some(item));
            }
            (Err(_), Some(id)) => self.forget(id),
            _ => {}
        }
        match (marker, stretch) {
            (Some(at), Some(stretch)) => self.list[at] = stretch,
            (Some(at), None) => drop(self.list.remove(at)),
            (None, Some(stretch)) => self.list.push(stretch),
            (None, None) => {}
        }
        self.ready += weight(&found.result);
        if let Some(branch) = self.branches.get_mut(&job.branch) {
            branch.states[job.place as usize] = State::Ready(found);
        }
    }

    /// The caller asks for a sub-directory.
    pub(super) fn take(&mut self, branch: u64, place: u32) -> Taken {
        let Some(state) = self.branches.get_mut(&branch).map(|b| &mut b.states[place as usize]) else {
            return Taken::Unread;
        };
        if matches!(state, State::Reading(_)) {
            return Taken::Wait;
        }
        match std::mem::replace(state, State::Gone) {
            State::Ready(found) => {
                self.ready -= weight(&found.result);
                Taken::Found(found)
            }
            State::Unread => {
                self.unread -= 1;
                Taken::Unread
            }
            State::Reading(_) | State::Gone => Taken::Unread,
        }
    }

    /// The caller does not want a sub-directory.
    pub(super) fn skip(&mut self, branch: u64, place: u32) {
        let Some(state) = self.branches.get_mut(&branch).map(|b| &mut b.states[place as usize]) else { return };
        let state = std::mem::take(state);
        if let Some(below) = self.drop_state(state) {
            self.forget(below);
        }
    }

    /// Forgets a branch and all that was read below it.
    pub(super) fn forget(&mut self, branch: u64) {
        let mut doomed = vec![branch];
        while let Some(id) = doomed.pop() {
            let Some(branch) = self.branches.remove(&id) else { continue };
            for state in branch.states {
                doomed.extend(self.drop_state(state));
            }
        }
    }

    /// The caller wants these sub-directories of a branch, in this order, and no others. The branch must be the one that the
    /// caller was given last.
    pub(super) fn reorder(&mut self, branch: u64, order: Vec<u32>) {
        self.list.truncate(self.start_of(branch));
        let Some(changed) = self.branches.get_mut(&branch) else { return };
        let mut kept: Vec<State> = std::iter::repeat_with(|| State::Gone).take(changed.states.len()).collect();
        for &place in &order {
            std::mem::swap(&mut kept[place as usize], &mut changed.states[place as usize]);
        }
        changed.order = order;
        let dropped = std::mem::replace(&mut changed.states, kept);
        for state in dropped {
            if let Some(below) = self.drop_state(state) {
                self.forget(below);
            }
        }
        self.rebuild(branch);
    }

    /// Counts what is not wanted any more; returns the branch that goes with it.
    fn drop_state(&mut self, state: State) -> Option<u64> {
        match state {
            State::Unread => {
                self.unread -= 1;
                None
            }
            State::Ready(found) => {
                self.ready -= weight(&found.result);
                found.branch
            }
            State::Reading(below) => below,
            State::Gone => None,
        }
    }

    fn is_below(&self, id: u64, branch: u64) -> bool {
        let mut at = Some(id);
        while let Some(id) = at {
            if id == branch {
                return true;
            }
            at = self.branches.get(&id).and_then(|b| b.above);
        }
        false
    }

    /// Puts all that is not read below a branch on the list again.
    fn rebuild(&mut self, branch: u64) {
        let mut items = Vec::new();
        // Branches being gone through, and the position each has come to.
        let mut path = vec![(branch, 0_u32)];
        while let Some((id, from)) = path.pop() {
            let Some(branch) = self.branches.get(&id) else { continue };
            let to = u32::try_from(branch.order.len()).unwrap_or(u32::MAX);
            let mut start = from;
            let stretch = |start: u32, end: u32, items: &mut Vec<Item>| {
                if start < end {
                    items.push(Item::Stretch { branch: id, from: start, to: end });
                }
            };
            let mut at = from;
            while at < to {
                let place = branch.order[at as usize];
                match &branch.states[place as usize] {
                    State::Unread => {
                        at += 1;
                        continue;
                    }
                    State::Reading(None) => {
                        stretch(start, at, &mut items);
                        items.push(Item::Marker { branch: id, place });
                    }
                    state @ (State::Ready(Found { branch: Some(below), .. }) | State::Reading(Some(below))) => {
                        stretch(start, at, &mut items);
                        // What else is in it comes a little too early.
                        if matches!(state, State::Reading(_)) {
                            items.push(Item::Marker { branch: id, place });
                        }
                        path.push((id, at + 1));
                        path.push((*below, 0));
                        start = to;
                        break;
                    }
                    State::Ready(_) | State::Gone => stretch(start, at, &mut items),
                }
                at += 1;
                start = at;
            }
            stretch(start, to, &mut items);
        }
        self.list.extend(items.into_iter().rev());
    }
}

/// What a directory that was read counts for.
fn weight(result: &Result<Arc<Listed>, Failure>) -> usize {
    1 + result.as_ref().map_or(0, |listed| listed.len())
}
