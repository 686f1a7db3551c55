//! The walk that finds what is wrong, one more visitor of the engine.
//!
//! What flows down is the group that a directory hands on, and what of the excluded paths is below it. A directory is judged when it is
//! entered, by its own descriptor, a file in its batch. Only what the rules find wrong costs more than the walk, apart from one call
//! for each file: whether it has an access control list is in no metadata, and its group may be shut out behind a mask that looks right.

mod look;
mod visitor;

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use pwalk_engine::{Frontier, Needs, Options, Outcome, Progress, Sink, fold};
use pwalk_fs::{Errno, Freshness, below, file_descriptor_limit, open_root, path_of, pin_path, stat_fd};

use super::act::Linked;
use super::error::RepairError;
use super::exclude::{Excluded, Left, absolute};
use super::journal::{Journal, Root};
use super::options::{Applying, Doing, RepairOptions, UNASKED};
use super::plan::PlanFile;
use super::privilege::Privilege;
use super::protect::Protected;
use super::rules::Rules;
use super::works::{Works, descriptors};
use super::{Event, Listener, RepairSummary, Ungrouped};
use visitor::Worker;

/// What is done with a change.
enum Purpose {
    Plan(Option<PlanFile>),
    /// Whether all of them may be made is found out before the first is.
    Ask(Asked),
    Apply(Works),
}

#[derive(Default)]
struct Asked {
    limit: u64,
    privilege: Option<Privilege>,
    lacking: AtomicU64,
    first: Mutex<Option<(Vec<u8>, &'static str)>>,
}

/// What all workers share.
struct Shared {
    rules: Rules,
    roots: Vec<Root>,
    /// What is left out of each root.
    excluded: Vec<Left>,
    /// Where the roots really are.
    places: Vec<Vec<u8>>,
    protected: Arc<Protected>,
    linked: Linked,
    listener: Arc<dyn Listener>,
    purpose: Purpose,
    changes: AtomicU64,
    hard_linked: AtomicU64,
    left: AtomicU64,
    failed: AtomicU64,
    too_many: AtomicBool,
    ungrouped: Vec<(AtomicU64, Mutex<Vec<u8>>)>,
}

/// What a directory hands down.
pub(crate) struct Folder {
    /// The group of the nearest directory, from this one upwards, whose group is not private.
    group: Option<u32>,
    excluded: Excluded,
    /// The mount it is in; 0 where the kernel says by itself where mounts are.
    mount: u64,
}

pub(super) fn run(
    options: &RepairOptions,
    listener: &Arc<dyn Listener>,
    progress: &dyn Progress,
) -> Result<RepairSummary, RepairError> {
    if options.roots.is_empty() {
        return Err(RepairError::NoPath);
    }
    let rules = options.rules()?;
    let protected = Arc::new(Protected::find());
    let (roots, places): (Vec<_>, Vec<_>) =
        options.roots.iter().map(|path| root(path, &protected)).collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
    let (given, roots, places) = without_nested(&options.roots, roots, places);
    let excluded: Vec<_> = roots.iter().map(|root| Excluded::of_root(&root.path, &options.exclude)).collect();
    for (root, _) in roots.iter().zip(&excluded).filter(|(_, left)| **left == Left::Out) {
        listener.hear(&Event::Left { path: &root.path, why: "is excluded" });
    }
    let once = |purpose, progress: &dyn Progress| {
        let shared = Shared {
            rules: rules.clone(),
            roots: roots.clone(),
            excluded: excluded.clone(),
            places: places.clone(),
            protected: Arc::clone(&protected),
            linked: if options.hard_linked { Linked::Changed } else { Linked::LeftAlone },
            listener: Arc::clone(listener),
            purpose,
            changes: AtomicU64::new(0),
            hard_linked: AtomicU64::new(0),
            left: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            too_many: AtomicBool::new(false),
            ungrouped: roots.iter().map(|_| Default::default()).collect(),
        };
        fold(Repair(Arc::new(shared)), Frontier::start(given.iter().cloned()), &walk(options), progress)
    };
    match &options.doing {
        Doing::Plan { file } => {
            let file = file.as_deref().map(|path| PlanFile::create(path, &roots)).transpose()?;
            once(Purpose::Plan(file), progress)
        }
        Doing::Apply(applying) => {
            ask(applying, |asked| once(Purpose::Ask(asked), progress))?;
            let journal = Journal::create(&applying.journal_path()?, &roots, &places)?;
            once(Purpose::Apply(Works::new(journal, listener, applying.limit())), progress)
        }
    }
}

/// Leaves out roots below others, whose walk comes to them anyway: nothing is to be changed twice. One on another file system stays.
fn without_nested(
    given: &[Vec<u8>],
    roots: Vec<Root>,
    places: Vec<Vec<u8>>,
) -> (Vec<Vec<u8>>, Vec<Root>, Vec<Vec<u8>>) {
    let dev = |root: &Root| root.id.map(|id| id.0);
    let is_nested = |i: usize| {
        (0..roots.len()).any(|j| {
            let is_below = below(&places[i], &places[j]).is_some() && (places[i] != places[j] || j < i);
            i != j && is_below && dev(&roots[i]) == dev(&roots[j])
        })
    };
    let kept: Vec<usize> = (0..roots.len()).filter(|i| !is_nested(*i)).collect();
    let of = |list: &[Vec<u8>]| kept.iter().map(|i| list[*i].clone()).collect();
    (of(given), kept.iter().map(|i| roots[*i].clone()).collect(), of(&places))
}

/// Walks before the first change is made, if it must be known whether all may be.
fn ask(applying: &Applying, walk: impl FnOnce(Asked) -> Result<RepairSummary, RepairError>) -> Result<(), RepairError> {
    let privilege = Some(Privilege::of_this_process()).filter(|privilege| !privilege.is_whole());
    if applying.many && privilege.is_none() {
        return Ok(());
    }
    walk(Asked { limit: applying.limit(), privilege, ..Asked::default() }).map(drop)
}

/// A root as it is remembered, and where it really is. It must be there, and not be the system's.
fn root(path: &[u8], protected: &Protected) -> Result<(Root, Vec<u8>), RepairError> {
    let failed = |errno| RepairError::Root { path: path.to_vec(), errno };
    let fd = pin_path(&CString::new(path).map_err(|_| failed(Errno::NOENT))?).map_err(failed)?;
    let meta = stat_fd(&fd, Freshness::Fresh).map_err(failed)?;
    let refusal = if meta.kind().is_dir() {
        protected.check(fd.as_fd()).map_err(failed)?
    } else {
        protected.check_file(fd.as_fd(), directory_of(&fd).map_err(failed)?.as_fd()).map_err(failed)?
    };
    if let Some(refusal) = refusal {
        return Err(RepairError::Protected { path: path.to_vec(), how: refusal.how, system: refusal.system });
    }
    let place = path_of(fd.as_fd()).unwrap_or_else(|_| absolute(path));
    Ok((Root { path: absolute(path), id: Some(meta.id()) }, place))
}

/// The directory that a file is in now.
pub(super) fn directory_of(file: &OwnedFd) -> Result<OwnedFd, Errno> {
    let path = path_of(file.as_fd())?;
    let parent = Path::new(OsStr::from_bytes(&path)).parent().ok_or(Errno::NOENT)?;
    open_root(&CString::new(parent.as_os_str().as_bytes()).map_err(|_| Errno::NOENT)?)
}

/// The engine's options: links and excludes are not for it to know, and waiting changes hold descriptors.
fn walk(options: &RepairOptions) -> Options {
    let process = usize::try_from(file_descriptor_limit()).unwrap_or(usize::MAX);
    let max_open = process.saturating_sub(24 + descriptors());
    Options { max_open: Some(max_open), exclude: None, ..options.walk.clone() }
}

struct Repair(Arc<Shared>);

impl Sink for Repair {
    type Worker = Worker;
    type Summary = RepairSummary;
    type Error = RepairError;

    fn needs(&self) -> Needs {
        Needs::Chosen
    }

    fn worker(&self) -> Worker {
        Worker::new(&self.0)
    }

    fn finish(self, workers: Vec<Worker>, outcome: &Outcome) -> Result<RepairSummary, RepairError> {
        drop(workers);
        // A worker that hangs in the kernel keeps its share; what it knew is counted already.
        let shared = &self.0;
        let mut summary = RepairSummary {
            changes: shared.changes.load(Relaxed),
            hard_linked: shared.hard_linked.load(Relaxed),
            left: shared.left.load(Relaxed),
            failed: shared.failed.load(Relaxed),
            ungrouped: shared.ungrouped(),
            errors: outcome.errors,
            entries: outcome.entries,
            dirs: outcome.dirs,
            elapsed: outcome.elapsed,
            ended: outcome.ended,
            ..RepairSummary::new()
        };
        let Some(shared) = Arc::into_inner(self.0) else { return Ok(summary) };
        match shared.purpose {
            Purpose::Plan(None) => {}
            Purpose::Plan(Some(file)) => summary.plan = Some(file.finish(summary.verdict(), summary.changes)?),
            Purpose::Ask(asked) => asked.answer(shared.too_many.into_inner())?,
            Purpose::Apply(works) => summary.add_made(works.finish()?),
        }
        Ok(summary)
    }
}

impl Asked {
    fn answer(self, too_many: bool) -> Result<(), RepairError> {
        if too_many {
            return Err(RepairError::TooMany { limit: UNASKED, applied: 0 });
        }
        match self.first.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some((first, why)) => Err(RepairError::Privilege { count: self.lacking.into_inner(), first, why }),
            None => Ok(()),
        }
    }
}

impl Shared {
    fn ungrouped(&self) -> Vec<Ungrouped> {
        let roots = self.roots.iter().zip(&self.ungrouped).filter(|(_, (count, _))| count.load(Relaxed) > 0);
        roots
            .map(|(root, (count, first))| Ungrouped {
                root: root.path.clone(),
                count: count.load(Relaxed),
                first: first.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            })
            .collect()
    }
}
