//! Describing a synthetic file system, before it is mounted.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{OnceLock, RwLock};
use std::time::Duration;

use super::computed::{Balanced, EndlessDepth, EndlessNames, Files};
use super::layout::Layout;
use super::mount::{Access, Mounted};
use super::queue::Queue;
use super::rules::{Counters, Fault, Op, Rule, Swap};
use super::server::{Shared, Show};
use super::tree::Tree;

/// A file system to be mounted: what it shows, how slow it is, what goes wrong.
pub struct Synthetic {
    layout: Box<dyn Layout>,
    show: Show,
    delays: [Duration; Op::ALL.len()],
    capacity: Option<usize>,
    faults: Vec<Fault>,
    swaps: Vec<(Vec<u8>, Vec<u8>, u64)>,
    access: Access,
}

impl Synthetic {
    /// Any layout.
    pub fn new(layout: impl Layout) -> Self {
        Self {
            layout: Box::new(layout),
            show: Show::default(),
            delays: [Duration::ZERO; Op::ALL.len()],
            capacity: None,
            faults: Vec::new(),
            swaps: Vec::new(),
            access: Access::Unchecked,
        }
    }

    /// A computed tree of `directories` (the root is one of them), in breadth-first order, each with up to `fanout`
    /// sub-directories `d0`, `d1`, … and with `files_per_directory` files `f0.dat`, `f1.dat`, …
    ///
    /// There are `directories - 1 + directories * files_per_directory` entries below the root. A million directories with
    /// 99 files are 100 million entries.
    pub fn tree(directories: u64, fanout: u64, files_per_directory: u64) -> Self {
        assert!(directories >= 1, "the root is a directory");
        assert!(fanout >= 1 || directories == 1, "sub-directories need a fanout");
        Self::new(Balanced { directories, fanout, files: Files::PerDirectory(files_per_directory) })
    }

    /// One directory, the root, with `files` files `f0.dat`, …
    pub fn flat(files: u64) -> Self {
        Self::flat_with_dirs(files, 0)
    }

    /// One directory, the root, with `directories` empty sub-directories `d0`, …
    pub fn flat_dirs(directories: u64) -> Self {
        Self::flat_with_dirs(0, directories)
    }

    /// A root with `directories` empty sub-directories and then `files` files.
    pub fn flat_with_dirs(files: u64, directories: u64) -> Self {
        Self::new(Balanced { directories: directories + 1, fanout: directories, files: Files::InRoot(files) })
    }

    /// A root with the file `plain` and the directory `endless`, whose listing never ends.
    pub fn endless_names() -> Self {
        Self::new(EndlessNames)
    }

    /// Every directory has a sub-directory `d` and a file `f`.
    pub fn endless_depth() -> Self {
        Self::new(EndlessDepth)
    }

    /// An explicit tree.
    pub fn custom(tree: Tree) -> Self {
        Self::new(tree)
    }

    /// Entries below the root, `None` when endless.
    pub fn entries(&self) -> Option<u64> {
        self.layout.entries()
    }

    /// Every request takes `delay`, however many there are at once.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delays = [delay; Op::ALL.len()];
        self
    }

    /// Requests of one operation take `delay`; call it after [`delay`](Self::delay), which sets all.
    #[must_use]
    pub fn delay_on(mut self, op: Op, delay: Duration) -> Self {
        self.delays[op.index()] = delay;
        self
    }

    /// The server works on `requests` at once and lets the others queue: beyond that, more threads gain nothing.
    /// Meaningful only with a delay, which is then the service time.
    #[must_use]
    pub fn capacity(mut self, requests: usize) -> Self {
        self.capacity = Some(requests);
        self
    }

    /// Something goes wrong. Several faults can meet one request: delays add up, the first error counts.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// `op` on `path` is not answered until [`Mounted::release`] or the end of the mount.
    #[must_use]
    pub fn hang(self, op: Op, path: impl AsRef<[u8]>) -> Self {
        self.fault(Fault::hang(op, path))
    }

    /// From the `after`-th lookup of `path` on, its name leads to what is at `instead`: replaced while walking. The listing
    /// goes on to show the old inode. The kernel looks up a name at each `stat` and each `open`.
    #[must_use]
    pub fn swap(mut self, path: impl AsRef<[u8]>, instead: impl AsRef<[u8]>, after: u64) -> Self {
        self.swaps.push((path.as_ref().to_vec(), instead.as_ref().to_vec(), after));
        self
    }

    /// Whether listings have `d_type` `DT_UNKNOWN` everywhere.
    #[must_use]
    pub fn dt_unknown(mut self, unknown: bool) -> Self {
        self.show.dt_unknown = unknown;
        self
    }

    /// Whether listings have other inode numbers (bit 62 set) than `stat`, as on some overlay file systems.
    #[must_use]
    pub fn d_ino_lies(mut self, lies: bool) -> Self {
        self.show.d_ino_lies = lies;
        self
    }

    /// How long the kernel may keep names and attributes; both are 0 unless set, so that every call reaches this server.
    #[must_use]
    pub fn cache(mut self, names: Duration, attributes: Duration) -> Self {
        (self.show.names_valid, self.show.attributes_valid) = (names, attributes);
        self
    }

    /// The kernel checks permission bits (mount option `default_permissions`). It then asks for the attributes of
    /// every directory that it looks something up in: one [`Op::Getattr`] more per step unless they are cached.
    #[must_use]
    pub fn check_permissions(mut self) -> Self {
        self.access = Access::Checked;
        self
    }

    /// Mounts it in a temporary directory. Panics as [`require_fuse`](super::require_fuse) does where FUSE cannot be had.
    ///
    /// # Errors
    /// What the mount failed with.
    pub fn mount(self) -> io::Result<Mounted> {
        let (access, shared) = self.share()?;
        Mounted::in_temporary(shared, access)
    }

    /// Mounts it on the directory `path`, which stays after the unmount.
    ///
    /// # Errors
    /// What the mount failed with.
    pub fn mount_at(self, path: &Path) -> io::Result<Mounted> {
        let (access, shared) = self.share()?;
        Mounted::at(shared, access, path)
    }

    fn share(self) -> io::Result<(Access, Shared)> {
        let layout = self.layout;
        let rules = self.faults.iter().map(|fault| Rule::new(fault, layout.as_ref())).collect();
        let swaps = self.swaps.iter().map(|(path, to, after)| Swap::new(path, to, *after, layout.as_ref())).collect();
        let shared = Shared {
            queue: Queue::start(self.capacity)?,
            rules: RwLock::new(rules),
            swaps,
            written: RwLock::default(),
            layout,
            show: self.show,
            delays: self.delays.map(|delay| AtomicU64::new(nanoseconds(delay))),
            counters: Counters::default(),
            in_flight: AtomicUsize::new(0),
            max_in_flight: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            device: OnceLock::new(),
        };
        Ok((self.access, shared))
    }
}

/// A delay in the unit that is kept in an atomic; 584 years are for ever.
pub(super) fn nanoseconds(delay: Duration) -> u64 {
    u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX)
}
