//! Opening a file below a root, so that it is the one that the scan saw and nothing else.
//!
//! Between the scan and the reading anybody may have put something else in the place of a file or of a directory on the way. So every
//! component is opened in the directory before it and never through a link, and what is found at the end must be a regular file with the device, inode,
//! size and times that the scan saw: before it is opened, so that no fifo and no device is, and again when it is open. With an inode's time of
//! change the same, and the file the same, the directories on the way need no comparison.
//!
//! Files come in the order of their directories, so the last directory stays open, and the first few on the way to it.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use pwalk_fs::{Errno, Freshness, Kind, Links, Meta, open_child, open_file, stat_at, stat_quick};
use pwalk_scan::Stat;

/// Directories that stay open, the last one among them.
const HELD: usize = 16;

/// Why a file cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Missed {
    /// There is nothing of this name.
    Vanished,
    /// There is something else.
    Changed,
    /// A call failed.
    Failed(&'static str, Errno),
}

/// The way to the directory that was used last.
pub(super) struct Reach {
    root: Arc<OwnedFd>,
    /// Its path below the root.
    path: Vec<u8>,
    /// Directories on the way that are open, the nearest to the root first, with the length of their path.
    held: Vec<(usize, OwnedFd)>,
}

impl Reach {
    pub(super) fn new(root: Arc<OwnedFd>) -> Self {
        Self { root, path: Vec::new(), held: Vec::with_capacity(HELD) }
    }

    /// Opens the file at a path below the root, `a/b/c`, if it is as expected.
    pub(super) fn open(&mut self, path: &[u8], expected: &Stat) -> Result<OwnedFd, Missed> {
        let first = self.try_open(path, expected);
        // What is held may have been moved away or be forgotten by its server, and the path lead elsewhere now.
        let is_stale = matches!(first, Err(Missed::Vanished | Missed::Failed(_, Errno::STALE)));
        if is_stale && !self.held.is_empty() {
            self.held.clear();
            return self.try_open(path, expected);
        }
        first
    }

    fn try_open(&mut self, path: &[u8], expected: &Stat) -> Result<OwnedFd, Missed> {
        let (dir, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(0) => return Err(Missed::Failed("open", Errno::INVAL)),
            Some(at) => (&path[..at], &path[at + 1..]),
            None => (&path[..0], path),
        };
        let name = name_of(name)?;
        let dir = self.directory(dir)?;
        let meta = stat_at(dir, &name, Links::NoFollow, Freshness::Fresh).map_err(|errno| missed("stat", errno))?;
        same(&meta, expected)?;
        let file = open_file(dir, &name).map_err(|errno| missed("open", errno))?;
        check(file.as_fd(), expected)?;
        Ok(file)
    }

    fn directory(&mut self, path: &[u8]) -> Result<BorrowedFd<'_>, Missed> {
        let is_on_the_way = |end: usize| {
            path.get(..end) == self.path.get(..end) && matches!(path.get(end), None | Some(b'/')) && end <= path.len()
        };
        let kept = self.held.iter().take_while(|(end, _)| is_on_the_way(*end)).count();
        self.held.truncate(kept);
        self.path.clear();
        self.path.extend_from_slice(path);
        let mut at = self.held.last().map_or(0, |(end, _)| *end);
        while at < path.len() {
            // After what is open comes the slash before the next name.
            let begin = if at == 0 { 0 } else { at + 1 };
            let end = path[begin..].iter().position(|byte| *byte == b'/').map_or(path.len(), |length| begin + length);
            let above = self.held.last().map_or(self.root.as_fd(), |(_, fd)| fd.as_fd());
            let opened = name_of(&path[begin..end])
                .and_then(|name| open_child(above, &name, Links::NoFollow).map_err(|errno| missed("open", errno)))?;
            if self.held.len() == HELD {
                self.held.pop();
            }
            self.held.push((end, opened));
            at = end;
        }
        Ok(self.held.last().map_or(self.root.as_fd(), |(_, fd)| fd.as_fd()))
    }
}

/// Whether an open file is still as expected.
pub(super) fn check(file: BorrowedFd<'_>, expected: &Stat) -> Result<(), Missed> {
    let meta = stat_quick(file).map_err(|errno| Missed::Failed("stat", errno))?;
    same(&meta, expected)
}

fn same(meta: &Meta, expected: &Stat) -> Result<(), Missed> {
    // Devices have other numbers when they are mounted again.
    let seen = |stat: &Stat| (stat.ino, stat.size, stat.mtime, stat.ctime);
    let is_same = meta.kind() == Kind::File && seen(&Stat::of(meta)) == seen(expected);
    if is_same { Ok(()) } else { Err(Missed::Changed) }
}

/// A component. None but a name leads downwards.
fn name_of(name: &[u8]) -> Result<CString, Missed> {
    if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') {
        return Err(Missed::Failed("open", Errno::INVAL));
    }
    CString::new(name).map_err(|_| Missed::Failed("open", Errno::INVAL))
}

fn missed(operation: &'static str, errno: Errno) -> Missed {
    match errno {
        Errno::NOENT => Missed::Vanished,
        // A link or a file where a directory was; a socket or a driver that is gone where a file was.
        Errno::NOTDIR | Errno::LOOP | Errno::NXIO => Missed::Changed,
        errno => Missed::Failed(operation, errno),
    }
}
