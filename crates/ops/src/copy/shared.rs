//! What all workers of one copy share.

use std::ffi::{CStr, CString};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::SystemTime;

use pwalk_engine::{Context, Throttle};
use pwalk_fs::Errno;

use super::content::{Pace, UNIT};
use super::error::{CopyError, Failure, Halt};
use super::links::Links;
use super::pair::Pairs;
use super::place::{Place, Places};
use super::visitor::{Waiting, Worker};
use super::{CopyOptions, Event, Listener};

/// Where a part of the sources is copied to.
#[derive(Clone)]
pub(crate) struct Target {
    /// The directory that it is made in; none in a run that makes nothing, where nothing is.
    pub(crate) place: Option<Arc<Place>>,
    /// Its name there; none if that directory itself is the copy.
    pub(crate) name: Option<CString>,
}

/// What was done so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) files: AtomicU64,
    pub(crate) dirs: AtomicU64,
    pub(crate) links: AtomicU64,
    /// Bytes of the files that were copied.
    pub(crate) bytes: AtomicU64,
    /// Bytes that were moved so far, of files that are not whole yet as well.
    pub(crate) moved: AtomicU64,
    pub(crate) cloned: AtomicU64,
    pub(crate) skipped: AtomicU64,
    pub(crate) already: AtomicU64,
    /// Bytes of files that were left as they were: those that were skipped or copied already.
    pub(crate) left_bytes: AtomicU64,
    pub(crate) replaced: AtomicU64,
    pub(crate) deleted: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) not_kept: AtomicU64,
    pub(crate) disowned: AtomicU64,
    pub(crate) unread: AtomicU64,
}

/// What one worker did and has not told yet: a counter that all share is dear.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) replaced: u64,
    pub(crate) moved: AtomicU64,
}

impl Tally {
    /// Adds it to what all did.
    pub(crate) fn tell(&mut self, counts: &Counts) {
        let tell = |mine: &mut u64, all: &AtomicU64| {
            if *mine > 0 {
                all.fetch_add(std::mem::take(mine), Relaxed);
            }
        };
        tell(&mut self.files, &counts.files);
        tell(&mut self.bytes, &counts.bytes);
        tell(&mut self.replaced, &counts.replaced);
        tell(self.moved.get_mut(), &counts.moved);
    }
}

pub(crate) struct Shared {
    pub(crate) options: CopyOptions,
    pub(crate) places: Places,
    pub(crate) links: Links<Waiting>,
    pub(crate) pairs: Pairs,
    pub(crate) listener: Arc<dyn Listener>,
    pub(crate) counts: Counts,
    pub(crate) bytes_throttle: Option<Throttle>,
    /// The bits that new files do not get.
    pub(crate) umask: u32,
    /// A second before the run began, since 1970.
    pub(crate) begun: i64,
    pub(crate) is_root: bool,
    /// Whether descriptors are so few that nothing may wait with some open.
    pub(crate) is_tight: bool,
    /// Files that may be open at once beside one for each worker.
    spare: AtomicUsize,
    /// Numbers for names that do not stay.
    pub(crate) temporary: AtomicU64,
    /// Of the parts that are copied now, where to.
    targets: RwLock<Vec<Target>>,
    /// Directories that the sources become.
    destinations: RwLock<Vec<(u64, u64)>>,
    /// What ended the run, and where.
    halt: OnceLock<Halt>,
    pub(crate) warnings: Mutex<Vec<String>>,
    /// Whether what is kept of the sources themselves is set when they are left.
    pub(crate) keeps_roots: AtomicBool,
    /// Whether anything but directories is copied.
    pub(crate) copies_files: AtomicBool,
    /// Entries that something is in the way of which mirroring removes.
    pub(crate) put_off: AtomicU64,
    /// Whether that was removed, and what is copied already need not be again.
    pub(crate) is_second: AtomicBool,
}

impl Shared {
    pub(crate) fn new(
        options: &CopyOptions,
        places: Places,
        is_tight: bool,
        spare: usize,
        listener: &Arc<dyn Listener>,
    ) -> Self {
        Self {
            options: options.clone(),
            places,
            links: Links::default(),
            pairs: Pairs::default(),
            listener: Arc::clone(listener),
            counts: Counts::default(),
            bytes_throttle: options.max_bytes_per_sec.map(|bytes| Throttle::new(bytes.div_ceil(UNIT))),
            // Where nobody says, as if everything were taken.
            umask: pwalk_fs::umask().unwrap_or(0o777),
            begun: now() - 1,
            is_root: rustix::process::geteuid().is_root(),
            is_tight,
            spare: AtomicUsize::new(spare),
            temporary: AtomicU64::new(0),
            targets: RwLock::default(),
            destinations: RwLock::default(),
            halt: OnceLock::new(),
            warnings: Mutex::default(),
            keeps_roots: AtomicBool::new(true),
            copies_files: AtomicBool::new(true),
            put_off: AtomicU64::new(0),
            is_second: AtomicBool::new(false),
        }
    }

    /// Takes leave to have as many as `want` files open, or fewer; to be given back.
    pub(crate) fn take_spare(&self, want: usize) -> usize {
        let taken = self.spare.fetch_update(Relaxed, Relaxed, |spare| Some(spare - want.min(spare)));
        taken.map_or(0, |spare| want.min(spare))
    }

    pub(crate) fn give_spare(&self, files: usize) {
        self.spare.fetch_add(files, Relaxed);
    }

    pub(crate) fn set_targets(&self, targets: Vec<Target>) {
        *self.targets.write().unwrap_or_else(PoisonError::into_inner) = targets;
    }

    /// Where root `index` of the walk is copied to.
    pub(crate) fn target(&self, index: usize) -> Target {
        let targets = self.targets.read().unwrap_or_else(PoisonError::into_inner);
        targets.get(index).cloned().unwrap_or(Target { place: None, name: None })
    }

    /// Whether a source is copied under this name.
    pub(crate) fn is_target(&self, name: &CStr) -> bool {
        let targets = self.targets.read().unwrap_or_else(PoisonError::into_inner);
        targets.iter().any(|target| target.name.as_deref() == Some(name))
    }

    /// Whether a directory of the source is one that the sources become: it would be copied for ever.
    pub(crate) fn is_destination(&self, id: Option<(u64, u64)>) -> bool {
        let destinations = self.destinations.read().unwrap_or_else(PoisonError::into_inner);
        id.is_some_and(|id| destinations.contains(&id))
    }

    pub(crate) fn add_destination(&self, place: Option<&Arc<Place>>) {
        if let Some(place) = place {
            self.destinations.write().unwrap_or_else(PoisonError::into_inner).push(place.id);
        }
    }

    pub(crate) fn pace<'a>(
        &'a self,
        cx: &'a Context<'_, Worker>,
        is_stopping: &'a dyn Fn() -> bool,
        moved: &'a AtomicU64,
    ) -> Pace<'a> {
        Pace { permits: cx.permits(), bytes: self.bytes_throttle.as_ref(), is_stopping, moved }
    }

    /// Tells of trouble with an entry, and ends the run if there is no sense in going on.
    pub(crate) fn fail(&self, path: &[u8], why: &Failure) {
        if let Failure::NotKept { what: "owner", .. } = why
            && !self.is_root
        {
            // As everybody knows of a user who copies what is not his: told once, at the end.
            self.counts.disowned.fetch_add(1, Relaxed);
            return;
        }
        let is_stopping = self.is_halted() || self.options.walk.cancel.is_cancelled();
        if is_stopping && matches!(why, Failure::Target { errno: Errno::CANCELED, .. }) {
            // The run is being stopped, and says so. A file system may say the same word, of a file that is lost.
            return;
        }
        if matches!(why, Failure::InTheWay(_)) && self.options.mirror && !self.is_second.load(Relaxed) {
            self.put_off.fetch_add(1, Relaxed);
            return;
        }
        let count = if why.is_minor() { &self.counts.not_kept } else { &self.counts.failed };
        count.fetch_add(1, Relaxed);
        self.listener.hear(&Event::Failed { path, why });
        if let Some(errno) = why.halts() {
            self.halt.get_or_init(|| Halt { path: path.to_vec(), errno });
        }
    }

    pub(crate) fn is_halted(&self) -> bool {
        self.halt.get().is_some()
    }

    /// Why the run ended.
    pub(crate) fn why_halted(&self) -> Option<CopyError> {
        self.halt.get().cloned().map(CopyError::Halted)
    }

    pub(crate) fn warn(&self, warning: String) {
        self.listener.hear(&Event::Warning(&warning));
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(warning);
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
