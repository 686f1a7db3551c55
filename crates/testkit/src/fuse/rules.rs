//! What goes wrong: faults, and which request meets which.
//!
//! A fault names a path. It is resolved once, at mount time, since the kernel sends inode numbers: every request
//! but a lookup is matched by the inode, a lookup by directory and name. So a lookup fault works for one name of a
//! hard-linked file, and for a name that does not exist.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::io::Errno;

use super::layout::{Attr, Layout};
use super::tree::resolve;

/// The requests that can be counted, delayed and failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    /// A name in a directory to inode and attributes: `stat` and `open` of a name.
    Lookup,
    /// Attributes: `stat`, `fstat`.
    Getattr,
    /// The target of a symbolic link.
    Readlink,
    /// `open` of a file.
    Open,
    /// `read` of a file.
    Read,
    /// `open` of a directory.
    Opendir,
    /// One portion of a listing: `getdents64`.
    Readdir,
    /// `statfs`.
    Statfs,
}

impl Op {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Lookup,
        Self::Getattr,
        Self::Readlink,
        Self::Open,
        Self::Read,
        Self::Opendir,
        Self::Readdir,
        Self::Statfs,
    ];

    /// Its place in a table with one element per operation.
    pub(super) fn index(self) -> usize {
        self as usize
    }
}

/// How often each operation was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts([u64; Op::ALL.len()]);

impl Counts {
    /// Requests of one operation, failed ones included.
    pub fn of(&self, op: Op) -> u64 {
        self.0[op.index()]
    }

    /// All requests.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// What was asked since `earlier`, counts of the same mount.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] - earlier.0[i]))
    }
}

/// The running form of [`Counts`].
#[derive(Debug, Default)]
pub(super) struct Counters([AtomicU64; Op::ALL.len()]);

impl Counters {
    pub(super) fn add(&self, op: Op) {
        self.0[op.index()].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Counts {
        Counts(std::array::from_fn(|i| self.0[i].load(Ordering::Relaxed)))
    }
}

/// What a [`Fault`] does to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It fails with this errno.
    Error(Errno),
    /// It is not answered until [`Mounted::release`](super::Mounted::release), or the end of the mount (then `EIO`).
    Hang,
    /// It takes this much longer than the others.
    Slow(Duration),
    /// It is answered as ever, but the file was written to: from then on its times of change are a second later, each time anew.
    Touch,
    /// As `Touch`, and the file has this many bytes from then on.
    Resize(u64),
    /// The file's bytes are others from then on, and nothing else shows it: a disk that lies.
    Rot,
}

/// A rule: requests of one operation on one path, from the `after`-th on and `times` times, meet an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The operation.
    pub op: Op,
    /// The path below the root, bytes separated by `/`, empty for the root; `None` for any.
    pub path: Option<Vec<u8>>,
    /// What happens.
    pub effect: Effect,
    /// That many matching requests pass first.
    pub after: u64,
    /// That many meet the effect, `None` for all that follow.
    pub times: Option<u64>,
}

impl Fault {
    fn new(op: Op, path: Option<&[u8]>, effect: Effect) -> Self {
        Self { op, path: path.map(<[u8]>::to_vec), effect, after: 0, times: None }
    }

    /// `op` on `path` fails.
    pub fn error(op: Op, path: impl AsRef<[u8]>, errno: Errno) -> Self {
        Self::new(op, Some(path.as_ref()), Effect::Error(errno))
    }

    /// `op` fails wherever.
    pub fn error_anywhere(op: Op, errno: Errno) -> Self {
        Self::new(op, None, Effect::Error(errno))
    }

    /// `op` on `path` is not answered.
    pub fn hang(op: Op, path: impl AsRef<[u8]>) -> Self {
        Self::new(op, Some(path.as_ref()), Effect::Hang)
    }

    /// `op` on `path` takes `longer`.
    pub fn slow(op: Op, path: impl AsRef<[u8]>, longer: Duration) -> Self {
        Self::new(op, Some(path.as_ref()), Effect::Slow(longer))
    }

    /// `op` on `path` finds the file being written to.
    pub fn touch(op: Op, path: impl AsRef<[u8]>) -> Self {
        Self::new(op, Some(path.as_ref()), Effect::Touch)
    }

    /// `op` on `path` finds the file growing or shrinking to `bytes`.
    pub fn resize(op: Op, path: impl AsRef<[u8]>, bytes: u64) -> Self {
        Self::new(op, Some(path.as_ref()), Effect::Resize(bytes))
    }

    /// `op` on `path` finds other bytes in the file.
    pub fn rot(op: Op, path: impl AsRef<[u8]>) -> Self {
        Self::new(op, Some(path.as_ref()), Effect::Rot)
    }

    /// The first `requests` pass.
    #[must_use]
    pub fn after(mut self, requests: u64) -> Self {
        self.after = requests;
        self
    }

    /// Only `requests` meet the effect; those after them pass.
    #[must_use]
    pub fn times(mut self, requests: u64) -> Self {
        self.times = Some(requests);
        self
    }
}

/// What a request is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Subject<'a> {
    /// An inode.
    Inode(u64),
    /// A name in a directory.
    Name(u64, &'a [u8]),
}

#[derive(Debug)]
enum Target {
    Any,
    Inode(u64),
    Name(u64, Vec<u8>),
}

/// A fault at work.
#[derive(Debug)]
pub(super) struct Rule {
    op: Op,
    target: Target,
    pub(super) effect: Effect,
    after: u64,
    end: u64,
    met: AtomicU64,
}

impl Rule {
    /// Panics when the path is not in the layout: a fault that nothing can meet is a mistake in a test.
    pub(super) fn new(fault: &Fault, layout: &dyn Layout) -> Self {
        let target = match (&fault.path, fault.op) {
            (None, _) => Target::Any,
            (Some(path), Op::Lookup) => name_target(path, layout),
            (Some(path), _) => Target::Inode(
                resolve(layout, path).unwrap_or_else(|| panic!("fault on {}: no such path", path.escape_ascii())),
            ),
        };
        let end = fault.times.map_or(u64::MAX, |times| fault.after.saturating_add(times));
        Self { op: fault.op, target, effect: fault.effect, after: fault.after, end, met: AtomicU64::new(0) }
    }

    /// The effect on this request, which is counted when it matches.
    pub(super) fn meet(&self, op: Op, subject: Subject<'_>) -> Option<Effect> {
        let matches = op == self.op
            && match (&self.target, subject) {
                (Target::Any, _) => true,
                (Target::Inode(a), Subject::Inode(b)) => *a == b,
                (Target::Name(a, x), Subject::Name(b, y)) => *a == b && x == y,
                _ => false,
            };
        if !matches {
            return None;
        }
        let earlier = self.met.fetch_add(1, Ordering::Relaxed); // a count; orders nothing else
        (self.after..self.end).contains(&earlier).then_some(self.effect)
    }
}

/// What was done to a file while it was mounted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    times: u32,
    size: Option<u64>,
    /// What all its bytes are.
    pub(super) byte: u8,
}

impl Written {
    pub(super) fn write(&mut self, size: Option<u64>) {
        self.times += 1;
        self.size = size.or(self.size);
    }

    /// What became of the attributes.
    pub(super) fn apply(&self, attr: &mut Attr) {
        let later = Duration::from_secs(u64::from(self.times));
        (attr.mtime, attr.ctime) = (attr.mtime + later, attr.ctime + later);
        if let Some(size) = self.size {
            (attr.size, attr.blocks) = (size, size.div_ceil(4_096) * 8);
        }
    }
}

fn name_target(path: &[u8], layout: &dyn Layout) -> Target {
    let (directory, name) = split(path);
    let directory =
        resolve(layout, directory).unwrap_or_else(|| panic!("fault on {}: no such directory", path.escape_ascii()));
    Target::Name(directory, name.to_vec())
}

/// A path into directory and last name.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    path.iter().rposition(|b| *b == b'/').map_or((b"", path), |at| (&path[..at], &path[at + 1..]))
}

/// A name that leads to another inode after some lookups: the directory was replaced while somebody walked.
#[derive(Debug)]
pub(super) struct Swap {
    directory: u64,
    name: Vec<u8>,
    instead: u64,
    after: u64,
    met: AtomicU64,
}

impl Swap {
    pub(super) fn new(path: &[u8], instead: &[u8], after: u64, layout: &dyn Layout) -> Self {
        let (directory, name) = split(path);
        let find = |path: &[u8]| {
            resolve(layout, path).unwrap_or_else(|| panic!("swap with {}: no such path", path.escape_ascii()))
        };
        let (directory, instead) = (find(directory), find(instead));
        Self { directory, name: name.to_vec(), instead, after, met: AtomicU64::new(0) }
    }

    /// The inode that this lookup shall find instead of its own.
    pub(super) fn meet(&self, directory: u64, name: &[u8]) -> Option<u64> {
        let matches = directory == self.directory && name == self.name;
        (matches && self.met.fetch_add(1, Ordering::Relaxed) >= self.after).then_some(self.instead)
    }
}
