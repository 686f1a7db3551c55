//! Describing entries and handing them to the visitor.
//!
//! How many entries are taken at once follows from how long a stat takes: some hundreds at a
//! microsecond each, single ones at a millisecond each, so that a slow directory is spread over all
//! workers and a fast one costs no hand-over. What is too large is divided in halves before it is
//! begun; what turns out slow while it is under way is cut off and left to others.

use std::ffi::CStr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use pwalk_fs::{Errno, Freshness, Kind, Links, Names, stat_at};

use crate::batch::{Batch, Descent, Item, Look, view};
use crate::fds::{Held, Lost};
use crate::hands::Hands;
use crate::list::push_below;
use crate::slot::{Flight, Quit};
use crate::task::{Child, Children, Slice, Task};
use crate::worker::Worker;
use crate::{Dir, FollowLinks, Mounts, Needs, Totals, Visitor, Want};

/// How long a piece of work should take.
const PIECE: Duration = Duration::from_micros(500);
/// The most entries in one piece.
const MOST: usize = 512;

/// How long a stat takes, for this worker, lately.
pub(crate) struct Pace(u64);

impl Default for Pace {
    /// Slow until shown otherwise: small first pieces cost nothing, large ones behind a slow server
    /// would keep the other workers idle.
    fn default() -> Self {
        Self(100_000)
    }
}

impl Pace {
    fn entries(&self) -> usize {
        let nanos = u64::try_from(PIECE.as_nanos()).unwrap_or(u64::MAX);
        usize::try_from(nanos / self.0.max(1)).unwrap_or(MOST).clamp(1, MOST)
    }

    /// Whether a look at the clock is cheap beside a stat.
    fn is_slow(&self) -> bool {
        self.0 > 20_000
    }

    fn learn(&mut self, time: Duration, stats: usize) {
        if stats > 0 {
            let each = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX) / stats as u64;
            self.0 = u64::midpoint(self.0, each).max(1);
        }
    }
}

impl<V: Visitor> Worker<V> {
    /// Describes and delivers a slice. Holds one unit and one use of its directory.
    pub(crate) fn slice(&mut self, mut slice: Slice<V::State>) -> Result<(), Quit> {
        // Of chosen entries it is not known before how many there are: `describe` divides.
        if self.shared.needs == Needs::Meta {
            while slice.len() > self.pace.entries() {
                self.give_half(&mut slice);
            }
        }
        self.describe(&mut slice)?;
        for (index, lost) in std::mem::take(&mut self.failed) {
            self.hands().lost_entry(&lost, &slice.dir, &slice.names, index);
        }
        self.deliver(&slice);
        let Slice { dir, names, .. } = slice;
        drop(names);
        if self.shared.fds.done(&dir, 1) {
            self.shared.fds.may_lose(&dir);
        }
        self.hands().finish(dir, 1);
        Ok(())
    }

    /// Queues the second half of a slice.
    fn give_half(&self, slice: &mut Slice<V::State>) {
        let middle = slice.from + (slice.to - slice.from) / 2;
        self.hands().push_slice(slice.part(middle, slice.to));
        slice.to = middle;
    }

    /// Fills `items` and `failed`.
    fn describe(&mut self, slice: &mut Slice<V::State>) -> Result<(), Quit> {
        self.items.clear();
        let mut wanted = self.first_look(slice);
        while wanted > self.pace.entries() && slice.len() > 1 {
            self.give_half(slice);
            self.items.truncate(slice.len());
            wanted = self.items.iter().filter(|item| item.look == Look::Todo).count();
        }
        if wanted == 0 {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let slot = &shared.slots[self.index];
        *slot.flight.lock() = Flight::Stat { slice: slice.clone() };
        slot.at.store(slice.from, Relaxed);
        if slice.dir.is_hopeless() {
            self.fail_all(|| Lost::Timeout);
            return Ok(());
        }
        let held = slice.dir.fd.get();
        let fd = match held {
            Some(fd) => fd,
            None => match slot.call(|| shared.fds.get(&slice.dir))? {
                Ok(fd) => fd,
                Err(lost) => {
                    self.fail_all(|| lost);
                    return Ok(());
                }
            },
        };
        let start = Instant::now();
        let (mut stats, mut done) = (0, 0);
        while done < self.items.len() {
            if self.items[done].look == Look::Todo {
                self.permit()?;
                let index = self.items[done].index;
                slot.at.store(index, Relaxed);
                let name = slice.names.c_name(index as usize);
                let follow = shared.options.follow_links;
                let item = &mut self.items[done];
                match slot.call(|| item.describe(&fd, name, follow, shared.options.freshness))? {
                    Ok(()) => item.look = Look::Done,
                    Err(lost) => {
                        item.look = Look::Failed;
                        self.failed.push((index, lost));
                    }
                }
                stats += 1;
            }
            done += 1;
            // Slow, and somebody has nothing to do: leave the rest to others.
            let look = self.pace.is_slow() || done % 16 == 0;
            if look && start.elapsed() > 2 * PIECE && done < self.items.len() && shared.idle.hungry() > 0 {
                let rest = slice.part(slice.from + u32::try_from(done).unwrap_or(0), slice.to);
                slice.to = rest.from;
                self.items.truncate(done);
                // The flight must not name what somebody else now does.
                *slot.flight.lock() = Flight::None;
                self.hands().push_slice(rest);
            }
        }
        self.pace.learn(start.elapsed(), stats);
        if !self.failed.is_empty() {
            self.items.retain(|item| item.look != Look::Failed);
        }
        Ok(())
    }

    /// Puts an item for every name, and marks those that must be stat'ed. Returns how many.
    fn first_look(&mut self, slice: &Slice<V::State>) -> usize {
        let follow = self.shared.options.follow_links == FollowLinks::Always;
        let all = self.shared.needs == Needs::Meta;
        let mut wanted = 0;
        for index in slice.from..slice.to {
            let kind = slice.names.entry(index as usize).kind;
            let must = all || kind == Kind::Unknown || (follow && kind == Kind::Symlink);
            wanted += usize::from(must);
            let look = if must { Look::Todo } else { Look::Never };
            self.items.push(Item { index, kind, via_link: false, look, descent: Descent::NotDir, meta: None });
        }
        if self.shared.needs == Needs::Chosen {
            let items = &mut self.items;
            let hands = Hands { shared: &self.shared, index: self.index, local: Some(&self.local) };
            hands.visit(Some(&slice.dir), |v, _| {
                for item in items.iter_mut().filter(|i| i.look == Look::Never) {
                    match v.wants(&slice.dir, &view(&slice.names, item)) {
                        Want::Meta => {
                            item.look = Look::Todo;
                            wanted += 1;
                        }
                        Want::Names => {}
                        Want::Nothing => item.look = Look::Unwanted,
                    }
                }
            });
        }
        wanted
    }

    /// All that was to be stat'ed failed alike.
    fn fail_all(&mut self, lost: impl FnOnce() -> Lost) {
        let lost = lost();
        for item in &self.items {
            if item.look == Look::Todo {
                self.failed.push((item.index, lost));
            }
        }
        self.items.retain(|item| item.look != Look::Todo);
    }

    /// Gives the entries to the visitor, adds up, and queues the sub-directories.
    fn deliver(&mut self, slice: &Slice<V::State>) {
        let dir = &slice.dir;
        let mut items = std::mem::take(&mut self.items);
        self.exclude_late(dir, &slice.names, &mut items);
        for item in &mut items {
            item.descent = self.descent(dir, item);
        }
        if !items.is_empty() {
            let mut batch = Batch { dir, names: &slice.names, items: &mut items };
            self.hands().visit(Some(dir), |v, cx| v.batch(cx, &mut batch));
            self.add_up(dir, &items);
            self.queue_children(slice, &items);
        }
        items.clear();
        self.items = items;
    }

    /// Excludes whose answer depended on the type, where the directory did not tell it.
    fn exclude_late(&self, dir: &Dir<V::State>, names: &Names, items: &mut Vec<Item>) {
        let Some(exclude) = self.shared.options.exclude.as_deref().filter(|x| !x.is_empty()) else { return };
        let listed_as = |item: &Item| names.entry(item.index as usize).kind;
        if items.iter().all(|i| !matches!(listed_as(i), Kind::Unknown | Kind::Symlink)) {
            return;
        }
        let mut path = Vec::new();
        dir.path_below_root_into(&mut path);
        let base = path.len();
        items.retain(|item| {
            path.truncate(base);
            push_below(&mut path, names.name(item.index as usize));
            !exclude.matches(&path, item.kind.is_dir())
        });
    }

    fn descent(&self, dir: &Dir<V::State>, item: &Item) -> Descent {
        let options = &self.shared.options;
        let foreign = || match (&dir.meta, &item.meta) {
            (Some(above), Some(own)) => above.dev != own.dev,
            _ => false,
        };
        if !item.kind.is_dir() {
            Descent::NotDir
        } else if options.max_depth.is_some_and(|max| dir.depth >= max) {
            Descent::Depth
        } else if options.mounts == Mounts::Stay && foreign() {
            Descent::Mount
        } else {
            Descent::Yes
        }
    }

    fn add_up(&self, dir: &Dir<V::State>, items: &[Item]) {
        let mut sum = Totals { count: items.len() as u64, ..Totals::default() };
        for item in items {
            let Some(meta) = &item.meta else {
                sum.tree_count += u64::from(item.descent != Descent::Yes);
                continue;
            };
            sum.size = sum.size.wrapping_add(meta.size);
            if item.descent == Descent::Yes {
                // Counted with its own subtree.
                continue;
            }
            sum.tree_count += 1;
            let once = item.kind.is_dir() || meta.nlink < 2 || self.shared.links.is_first(meta);
            if once && item.descent != Descent::Mount {
                sum.tree_size = sum.tree_size.wrapping_add(meta.size);
                sum.tree_blocks = sum.tree_blocks.wrapping_add(meta.blocks);
            }
        }
        dir.sums.add(&sum);
        let counters = &self.shared.slots[self.index].counters;
        counters.entries.fetch_add(sum.count, Relaxed);
        counters.bytes.fetch_add(sum.size, Relaxed);
        if self.shared.options.budget.entries.is_some() {
            self.shared.spend(sum.count);
        }
    }

    fn queue_children(&self, slice: &Slice<V::State>, items: &[Item]) {
        let enter = items.iter().rev().filter(|item| item.descent == Descent::Yes);
        let list: Vec<Child> = enter.map(|i| Child { index: i.index, via_link: i.via_link, meta: i.meta }).collect();
        if list.is_empty() {
            return;
        }
        // Relaxed: the slice holds a unit and a use of its own.
        slice.dir.pending.fetch_add(list.len(), Relaxed);
        slice.dir.users.fetch_add(list.len(), Relaxed);
        self.shared.waiting.fetch_add(list.len(), Relaxed);
        let (dir, names) = (Arc::clone(&slice.dir), Arc::clone(&slice.names));
        self.hands().push(Task::Children(Children { dir, names, list }));
    }
}

impl Item {
    /// Describes the entry; when links are followed, what it leads to, or itself if that is nothing. In place: metadata are
    /// too large to be handed from function to function.
    #[inline]
    fn describe(&mut self, fd: &Held, name: &CStr, follow: FollowLinks, fresh: Freshness) -> Result<(), Lost> {
        let own = self.meta.insert(stat_at(fd.as_fd(), name, Links::NoFollow, fresh).map_err(Lost::Errno)?);
        self.kind = own.kind();
        if follow == FollowLinks::Never || self.kind != Kind::Symlink {
            return Ok(());
        }
        match stat_at(fd.as_fd(), name, Links::Follow, fresh) {
            Ok(target) => {
                (self.kind, self.meta, self.via_link) = (target.kind(), Some(target), true);
                Ok(())
            }
            Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => Ok(()),
            Err(errno) => Err(Lost::Errno(errno)),
        }
    }
}
