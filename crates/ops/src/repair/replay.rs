//! Changes that were decided before: undoing a journal, applying a reviewed plan.
//!
//! Nothing is decided anew. Each entry is found by its path, must be the inode that was written down, and must be as it was
//! written down. What is not is told and left. The changes go through the same works as those of a walk: journal, pin, check, make.
//!
//! An undo must understand what a killed run left half-way: some of the steps that `act` takes, in its order. So every part of an
//! entry's access, and every bit of its mode, may be as it was before or as it should have become, and setuid and setgid may be gone.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use pwalk_engine::{Cancel, Ended, Permits, Throttle};
use pwalk_fs::{Errno, Freshness, attribute_of, path_of, stat_fd};

use super::access::{Access, CAPABILITY, SET_IDS, acl_of};
use super::act::{Failure, Linked};
use super::change::Change;
use super::error::RepairError;
use super::fold::directory_of;
use super::journal::{Journal, Record, Root};
use super::options::{Applying, UNASKED};
use super::plan::ReviewedPlan;
use super::privilege::Privilege;
use super::protect::Protected;
use super::reach::Reach;
use super::works::{Holder, Pending, Works};
use super::{Event, Listener, RepairSummary};

/// Undoes what a journal has: everything that still is as the run left it, or half-left it, becomes what it was.
///
/// # Errors
/// [`RepairError`]: whatever keeps it from beginning, and a journal that cannot be read or written. What does not match any more is told to
/// `listener` and counted as failed.
pub fn undo(
    journal: &Path,
    applying: &Applying,
    cancel: &Cancel,
    listener: &Arc<dyn Listener>,
) -> Result<RepairSummary, RepairError> {
    let mut record = Record::open(journal)?;
    let mut replay = Replay::new(&record.roots, cancel, listener)?;
    let unreadable = |why| RepairError::Unreadable { path: journal.to_owned(), why };
    let whole = Privilege::of_this_process();
    if !whole.is_whole() {
        for group in Record::open(journal)?.backwards() {
            group.map_err(unreadable)?.iter().for_each(|change| replay.ask(&whole, &reversed(change)));
        }
        replay.answer()?;
    }
    if !applying.dry_run {
        // Whoever applied so much may take it back without being asked again.
        replay.begin(&Applying { many: true, ..applying.clone() })?;
    }
    for group in record.backwards() {
        for change in group.map_err(unreadable)? {
            if !replay.go_on() {
                break;
            }
            replay.take_back(change);
        }
    }
    replay.finish()
}

/// Applies a plan that was written to a file, entry by entry.
///
/// # Errors
/// [`RepairError`]: whatever keeps it from beginning, a plan with a line that is none, and a journal that cannot be written. What
/// does not match any more is told to `listener` and counted as failed.
pub fn apply_plan(
    plan: &Path,
    applying: &Applying,
    cancel: &Cancel,
    listener: &Arc<dyn Listener>,
) -> Result<RepairSummary, RepairError> {
    let reviewed = ReviewedPlan::open(plan)?;
    if reviewed.changes > applying.limit() && !applying.dry_run {
        return Err(RepairError::TooMany { limit: UNASKED, applied: 0 });
    }
    let unreadable = |why| RepairError::Unreadable { path: plan.to_owned(), why };
    let mut replay = Replay::new(&reviewed.roots, cancel, listener)?;
    let whole = Privilege::of_this_process();
    if !whole.is_whole() {
        for change in reviewed.changes()? {
            replay.ask(&whole, &change.map_err(unreadable)?);
        }
        replay.answer()?;
    }
    if !applying.dry_run {
        replay.begin(applying)?;
    }
    for change in reviewed.changes()? {
        if !replay.go_on() {
            break;
        }
        replay.apply(change.map_err(unreadable)?);
    }
    replay.finish()
}

struct Replay<'a> {
    roots: Vec<Root>,
    reached: HashMap<usize, Result<Reach, Errno>>,
    protected: Protected,
    cancel: &'a Cancel,
    listener: &'a Arc<dyn Listener>,
    works: Option<Works>,
    throttle: Option<Throttle>,
    waiting: Vec<Pending>,
    lacking: Option<(u64, Vec<u8>, &'static str)>,
    summary: RepairSummary,
    began: Instant,
}

impl<'a> Replay<'a> {
    fn new(roots: &[Root], cancel: &'a Cancel, listener: &'a Arc<dyn Listener>) -> Result<Self, RepairError> {
        let mut replay = Self {
            roots: roots.to_vec(),
            reached: HashMap::new(),
            protected: Protected::find(),
            cancel,
            listener,
            works: None,
            throttle: None,
            waiting: Vec::new(),
            lacking: None,
            summary: RepairSummary::new(),
            began: Instant::now(),
        };
        for (index, root) in roots.iter().enumerate() {
            let reach = Reach::open(root);
            match &reach {
                Ok(reach) => replay.refuse_system(root, reach.root())?,
                // Told once, and not for each of its entries.
                Err(errno) => listener.hear(&Event::Failed { path: &root.path, why: &gone(*errno) }),
            }
            replay.reached.insert(index, reach);
        }
        Ok(replay)
    }

    /// A plan or a journal may come from anywhere; system directories are not for it either.
    fn refuse_system(&self, root: &Root, fd: &OwnedFd) -> Result<(), RepairError> {
        let failed = |errno| RepairError::Root { path: root.path.clone(), errno };
        let refusal = if stat_fd(fd, Freshness::Fresh).map_err(failed)?.kind().is_dir() {
            self.protected.check(fd.as_fd())
        } else {
            directory_of(fd).and_then(|dir| self.protected.check_file(fd.as_fd(), dir.as_fd()))
        };
        match refusal.map_err(failed)? {
            None => Ok(()),
            Some(refusal) => {
                Err(RepairError::Protected { path: root.path.clone(), how: refusal.how, system: refusal.system })
            }
        }
    }

    fn ask(&mut self, own: &Privilege, change: &Change) {
        if let Some(why) = own.lacks(change) {
            let lacking = self.lacking.get_or_insert_with(|| (0, change.path.clone(), why));
            lacking.0 += 1;
        }
    }

    fn answer(&mut self) -> Result<(), RepairError> {
        match self.lacking.take() {
            Some((count, first, why)) => Err(RepairError::Privilege { count, first, why }),
            None => Ok(()),
        }
    }

    fn begin(&mut self, applying: &Applying) -> Result<(), RepairError> {
        let places = self.reached.values().flatten().filter_map(|reach| path_of(reach.root().as_fd()).ok());
        let journal = Journal::create(&applying.journal_path()?, &self.roots, &places.collect::<Vec<_>>())?;
        self.throttle = applying.max_iops.map(Throttle::new);
        self.works = Some(Works::new(journal, self.listener, applying.limit()));
        Ok(())
    }

    fn go_on(&mut self) -> bool {
        if self.cancel.is_cancelled() {
            self.summary.ended = Ended::Cancelled;
        }
        self.summary.ended == Ended::Whole && !self.works.as_ref().is_some_and(Works::is_halted)
    }

    fn fail(&mut self, change: &Change, why: &Failure) {
        self.summary.failed += 1;
        if !matches!(self.reached.get(&change.root), Some(Err(_))) {
            self.listener.hear(&Event::Failed { path: &change.path, why });
        }
    }

    /// Finds what a change is about: pinned, and the inode it was.
    fn find(&mut self, change: &mut Change) -> Result<Arc<OwnedFd>, Failure> {
        let refused = |errno| if errno == Errno::INVAL { Failure::Outside } else { gone(errno) };
        let Some(reach) = self.reached.get_mut(&change.root) else { return Err(Failure::Outside) };
        let reach = reach.as_mut().map_err(|errno| gone(*errno))?;
        let fd = reach.pin(&change.path).map_err(refused)?;
        change.dev = reach.device(change.dev);
        let meta = stat_fd(&fd, Freshness::Fresh).map_err(refused)?;
        if !change.is_of(&meta) || self.protected.is(meta.id()).is_some() {
            return Err(Failure::Replaced);
        }
        Ok(fd)
    }

    fn apply(&mut self, mut change: Change) {
        self.summary.entries += 1;
        match self.find(&mut change) {
            Ok(fd) => self.push(fd, change),
            Err(why) => self.fail(&change, &why),
        }
    }

    fn take_back(&mut self, mut change: Change) {
        self.summary.entries += 1;
        let found = self.find(&mut change).and_then(|fd| {
            let now = access_of(&fd, &change).map_err(|errno| Failure::Refused { what: "look at it", errno })?;
            Ok((fd, now))
        });
        match found {
            Ok((_, now)) if now == change.before => self.summary.already += 1,
            Ok((fd, now)) if is_between(&now, &change) => {
                let back = Change { after: change.before.clone(), before: now, ..change };
                self.push(fd, back);
            }
            Ok(_) => self.fail(&change, &Failure::Changed),
            Err(why) => self.fail(&change, &why),
        }
    }

    fn push(&mut self, fd: Arc<OwnedFd>, change: Change) {
        self.summary.changes += 1;
        let Some(works) = &self.works else { return self.listener.hear(&Event::Planned(&[change])) };
        let linked = if change.links > 1 { Linked::Changed } else { Linked::LeftAlone };
        self.waiting.push(Pending { change, holder: Holder::Own(fd), name: None, mount: 0, seen: None, linked });
        if let Some(group) = works.add(&mut self.waiting) {
            works.make(group, Permits::of(self.throttle.as_ref()));
        }
    }

    fn finish(mut self) -> Result<RepairSummary, RepairError> {
        if let Some(works) = self.works {
            if self.summary.ended == Ended::Whole {
                works.make(works.rest(), Permits::of(self.throttle.as_ref()));
            }
            self.summary.add_made(works.finish()?);
        }
        self.summary.elapsed = self.began.elapsed();
        Ok(self.summary)
    }
}

/// Why something cannot be found.
fn gone(errno: Errno) -> Failure {
    // As `Reach::open` says that another inode has its path.
    if errno == Errno::STALE { Failure::Replaced } else { Failure::Refused { what: "find it", errno } }
}

/// The change that takes a change back.
fn reversed(change: &Change) -> Change {
    Change { before: change.after.clone(), after: change.before.clone(), ..change.clone() }
}

/// How something is now, as far as the change is concerned.
fn access_of(fd: &OwnedFd, change: &Change) -> Result<Access, Errno> {
    let mut now = Access::new(&stat_fd(fd, Freshness::Fresh)?, acl_of(fd.as_fd())?);
    if change.before.capability.is_some() {
        now.capability = attribute_of(fd.as_fd(), CAPABILITY)?;
    }
    // Compared when it matters, and as late as can be: see `act::make`.
    now.content.clone_from(&change.before.content);
    Ok(now)
}

/// Whether something is as a change left it, finished or not.
fn is_between(now: &Access, change: &Change) -> bool {
    let Change { before, after, .. } = change;
    let strange = (now.mode ^ before.mode) & (now.mode ^ after.mode);
    let dropped = strange & !SET_IDS == 0 && now.mode & strange == 0;
    (now.uid == before.uid || now.uid == after.uid)
        && (now.gid == before.gid || now.gid == after.gid)
        && (now.acl == before.acl || now.acl == after.acl)
        && (now.capability == before.capability || now.capability == after.capability)
        && dropped
}
