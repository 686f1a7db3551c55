//! The file system that the kernel talks to: layout and rules put together, request by request.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use fuser::{
    FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags, KernelConfig, LockOwner, OpenFlags, ReplyAttr,
    ReplyData, ReplyDirectory, ReplyEntry, ReplyOpen, ReplyStatfs, Request, RequestId,
};
use rustix::fs::FileType;
use rustix::io::Errno;

use super::layout::{Attr, Layout};
use super::queue::Queue;
use super::rules::{Counters, Effect, Op, Rule, Subject, Swap, Written};

/// Background requests (read-ahead) the kernel may have in flight. Lookups, stats and listings are not counted by it.
const BACKGROUND: u16 = 1_024;

/// How the tree is shown.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Show {
    pub(super) dt_unknown: bool,
    pub(super) d_ino_lies: bool,
    /// How long the kernel may keep a name.
    pub(super) names_valid: Duration,
    /// How long the kernel may keep attributes.
    pub(super) attributes_valid: Duration,
}

/// What the session threads, the timers and the test share.
pub(super) struct Shared {
    pub(super) layout: Box<dyn Layout>,
    pub(super) show: Show,
    pub(super) queue: Arc<Queue>,
    pub(super) rules: RwLock<Vec<Rule>>,
    pub(super) swaps: Vec<Swap>,
    /// Files that were written to, by inode.
    pub(super) written: RwLock<HashMap<u64, Written>>,
    /// Nanoseconds by operation.
    pub(super) delays: [AtomicU64; Op::ALL.len()],
    pub(super) counters: Counters,
    pub(super) in_flight: AtomicUsize,
    pub(super) max_in_flight: AtomicUsize,
    /// Set once, before the mount ends; from then on every answer is `EIO`.
    pub(super) closed: AtomicBool,
    /// The connection, for the one reply that `fuser` cannot send.
    pub(super) device: OnceLock<OwnedFd>,
}

impl Shared {
    /// Counts a request and has it answered: at once, later, never or with an error, as the rules say.
    fn submit<F>(self: &Arc<Self>, op: Op, subject: Subject<'_>, answer: F)
    where
        F: FnOnce(Result<(), Errno>) + Send + 'static,
    {
        self.counters.add(op);
        let now = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1; // statistics; they order nothing
        self.max_in_flight.fetch_max(now, Ordering::Relaxed);
        let mut delay = Duration::from_nanos(self.delays[op.index()].load(Ordering::Relaxed));
        let (mut outcome, mut hang) = (Ok(()), false);
        for rule in self.rules.read().unwrap_or_else(PoisonError::into_inner).iter() {
            match rule.meet(op, subject) {
                None => {}
                Some(Effect::Error(errno)) => outcome = outcome.and(Err(errno)),
                Some(Effect::Hang) => hang = true,
                Some(Effect::Slow(longer)) => delay += longer,
                Some(Effect::Touch) => self.write(subject, |written| written.write(None)),
                Some(Effect::Resize(bytes)) => self.write(subject, |written| written.write(Some(bytes))),
                Some(Effect::Rot) => self.write(subject, |written| written.byte = 1),
            }
        }
        let shared = Arc::clone(self);
        // Counted down before the reply: after it the caller may send its next request, which is not one more at once.
        let answer = move |outcome| {
            shared.in_flight.fetch_sub(1, Ordering::Relaxed);
            answer(outcome);
        };
        // A close that this load misses is harmless: the queue has its own flag under its lock, and an answer at once
        // holds nobody up.
        if self.closed.load(Ordering::Relaxed) {
            answer(Err(Errno::IO));
        } else if hang {
            self.queue.hang(outcome, Box::new(answer));
        } else if delay.is_zero() {
            answer(outcome);
        } else {
            self.queue.after(delay, outcome, Box::new(answer));
        }
    }

    /// Something happens to the file of a request.
    fn write(&self, subject: Subject<'_>, happens: impl FnOnce(&mut Written)) {
        let ino = match subject {
            Subject::Inode(ino) => Some(ino),
            Subject::Name(directory, name) => self.layout.lookup(directory, name),
        };
        if let Some(ino) = ino {
            happens(self.written.write().unwrap_or_else(PoisonError::into_inner).entry(ino).or_default());
        }
    }

    /// The attributes of an inode as they are now.
    fn attr(&self, ino: u64) -> Option<Attr> {
        let mut attr = self.layout.attr(ino)?;
        if let Some(written) = self.written.read().unwrap_or_else(PoisonError::into_inner).get(&ino) {
            written.apply(&mut attr);
        }
        Some(attr)
    }

    /// What the bytes of a file are.
    fn byte(&self, ino: u64) -> u8 {
        self.written.read().unwrap_or_else(PoisonError::into_inner).get(&ino).map_or(0, |written| written.byte)
    }

    fn lookup(&self, directory: u64, name: &[u8]) -> Option<Attr> {
        let swapped = self.swaps.iter().find_map(|swap| swap.meet(directory, name));
        let ino = swapped.or_else(|| self.layout.lookup(directory, name))?;
        self.attr(ino)
    }

    /// Fills a portion of a listing from `offset` and sends it. Offset 0 is `.`, 1 is `..`, then the entries.
    fn list(&self, directory: u64, offset: u64, unique: RequestId, mut reply: ReplyDirectory) {
        let mut unknown = self.show.dt_unknown.then(|| RawListing::new(unique));
        let mut name = Vec::new();
        for offset in offset.. {
            name.clear();
            let entry = match offset {
                0 => Some((directory, FileType::Directory, b".".as_slice())),
                1 => Some((self.layout.parent(directory), FileType::Directory, b"..".as_slice())),
                _ => {
                    self.layout.entry(directory, offset - 2, &mut name).map(|(ino, kind)| (ino, kind, name.as_slice()))
                }
            };
            let Some((ino, kind, name)) = entry else { break };
            let ino = if self.show.d_ino_lies { ino | 1 << 62 } else { ino };
            if reply.add(INodeNo(ino), offset + 1, to_fuser(kind), OsStr::from_bytes(name)) {
                break;
            }
            if let Some(raw) = &mut unknown {
                raw.add(ino, offset + 1, name);
            }
        }
        match (unknown, self.device.get()) {
            (Some(raw), Some(device)) => raw.send(device, reply),
            _ => reply.ok(),
        }
    }
}

/// A listing whose entries have `d_type` `DT_UNKNOWN`.
///
/// `fuser` has no such file type. So this reply is written by hand, in the kernel's format (`fuse_out_header`, then
/// `fuse_dirent`s: include/uapi/linux/fuse.h), to the same connection. The kernel takes the first reply to a request;
/// the one that `fuser` sends when its own is dropped comes second and is refused with `ENOENT`.
struct RawListing(Vec<u8>);

impl RawListing {
    fn new(unique: RequestId) -> Self {
        let mut bytes = vec![0; 8]; // length, filled in at the end, and error 0
        bytes.extend_from_slice(&unique.0.to_ne_bytes());
        Self(bytes)
    }

    fn add(&mut self, ino: u64, next: u64, name: &[u8]) {
        let length = u32::try_from(name.len()).expect("a name is short");
        self.0.extend_from_slice(&ino.to_ne_bytes());
        self.0.extend_from_slice(&next.to_ne_bytes());
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&0u32.to_ne_bytes()); // DT_UNKNOWN
        self.0.extend_from_slice(name);
        self.0.resize(self.0.len().next_multiple_of(8), 0); // the header is 16 bytes, so this aligns every entry
    }

    fn send(mut self, device: &OwnedFd, reply: ReplyDirectory) {
        let length = u32::try_from(self.0.len()).expect("a portion is short");
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        match rustix::io::write(device, &self.0) {
            Ok(_) => drop(reply),
            Err(_) => reply.error(fuser::Errno::EIO), // the request is gone (aborted): nobody reads this either
        }
    }
}

/// The face towards `fuser`.
pub(super) struct Server(pub(super) Arc<Shared>);

impl Filesystem for Server {
    fn init(&mut self, _req: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // Without it the kernel sends one lookup or listing of a directory at a time.
        if config.add_capabilities(InitFlags::FUSE_PARALLEL_DIROPS).is_err() {
            return Err(std::io::Error::other("the kernel has no FUSE_PARALLEL_DIROPS (Linux 4.7)"));
        }
        let refused = |value| std::io::Error::other(format!("fuser refuses {BACKGROUND}, offers {value}"));
        config.set_max_background(BACKGROUND).map_err(refused)?;
        config.set_congestion_threshold(BACKGROUND).map_err(refused)?;
        Ok(())
    }

    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let name = name.as_bytes();
        let (attr, show) = (self.0.lookup(parent.0, name), self.0.show);
        self.0.submit(Op::Lookup, Subject::Name(parent.0, name), move |outcome| match (outcome, attr) {
            (Err(errno), _) => reply.error(to_errno(errno)),
            (Ok(()), None) => reply.error(fuser::Errno::ENOENT),
            (Ok(()), Some(attr)) => {
                reply.entry_with_ttls(&show.attributes_valid, &show.names_valid, &to_attr(&attr), Generation(0));
            }
        });
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        let (attr, show) = (self.0.attr(ino.0), self.0.show);
        self.0.submit(Op::Getattr, Subject::Inode(ino.0), move |outcome| match (outcome, attr) {
            (Err(errno), _) => reply.error(to_errno(errno)),
            (Ok(()), None) => reply.error(fuser::Errno::ESTALE),
            (Ok(()), Some(attr)) => reply.attr(&show.attributes_valid, &to_attr(&attr)),
        });
    }

    fn readlink(&self, _req: &Request, ino: INodeNo, reply: ReplyData) {
        let shared = Arc::clone(&self.0);
        self.0.submit(Op::Readlink, Subject::Inode(ino.0), move |outcome| {
            match outcome.and_then(|()| shared.layout.target(ino.0).ok_or(Errno::INVAL)) {
                Ok(target) => reply.data(target),
                Err(errno) => reply.error(to_errno(errno)),
            }
        });
    }

    fn open(&self, _req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        self.0.submit(Op::Open, Subject::Inode(ino.0), move |outcome| opened(outcome, reply));
    }

    fn opendir(&self, _req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        self.0.submit(Op::Opendir, Subject::Inode(ino.0), move |outcome| opened(outcome, reply));
    }

    fn read(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let left = self.0.attr(ino.0).map_or(0, |attr| attr.size.saturating_sub(offset));
        let length = usize::try_from(left.min(u64::from(size))).expect("u32 fits usize");
        let shared = Arc::clone(&self.0);
        self.0.submit(Op::Read, Subject::Inode(ino.0), move |outcome| match outcome {
            Ok(()) => reply.data(&vec![shared.byte(ino.0); length]),
            Err(errno) => reply.error(to_errno(errno)),
        });
    }

    fn readdir(&self, req: &Request, ino: INodeNo, _fh: FileHandle, offset: u64, reply: ReplyDirectory) {
        let (shared, unique) = (Arc::clone(&self.0), req.unique());
        self.0.submit(Op::Readdir, Subject::Inode(ino.0), move |outcome| match outcome {
            Ok(()) => shared.list(ino.0, offset, unique, reply),
            Err(errno) => reply.error(to_errno(errno)),
        });
    }

    fn statfs(&self, _req: &Request, ino: INodeNo, reply: ReplyStatfs) {
        let files = self.0.layout.entries().unwrap_or(u64::MAX / 2);
        self.0.submit(Op::Statfs, Subject::Inode(ino.0), move |outcome| match outcome {
            Ok(()) => reply.statfs(1 << 40, 1 << 39, 1 << 39, files + 1, 0, 4_096, 255, 4_096),
            Err(errno) => reply.error(to_errno(errno)),
        });
    }
}

fn opened(outcome: Result<(), Errno>, reply: ReplyOpen) {
    match outcome {
        Ok(()) => reply.opened(FileHandle(0), FopenFlags::empty()),
        Err(errno) => reply.error(to_errno(errno)),
    }
}

fn to_errno(errno: Errno) -> fuser::Errno {
    fuser::Errno::from_i32(errno.raw_os_error())
}

fn to_fuser(kind: FileType) -> fuser::FileType {
    match kind {
        FileType::Directory => fuser::FileType::Directory,
        FileType::Symlink => fuser::FileType::Symlink,
        FileType::Fifo => fuser::FileType::NamedPipe,
        FileType::Socket => fuser::FileType::Socket,
        FileType::CharacterDevice => fuser::FileType::CharDevice,
        FileType::BlockDevice => fuser::FileType::BlockDevice,
        FileType::RegularFile | FileType::Unknown => fuser::FileType::RegularFile,
    }
}

fn to_attr(attr: &Attr) -> fuser::FileAttr {
    fuser::FileAttr {
        ino: INodeNo(attr.ino),
        size: attr.size,
        blocks: attr.blocks,
        atime: attr.atime,
        mtime: attr.mtime,
        ctime: attr.ctime,
        crtime: attr.mtime,
        kind: to_fuser(attr.kind),
        perm: attr.mode,
        nlink: attr.nlink,
        uid: attr.uid,
        gid: attr.gid,
        rdev: 0,
        blksize: 4_096,
        flags: 0,
    }
}
