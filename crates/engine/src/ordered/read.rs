//! Reading one directory, and finding out later whether it is still the same.

use std::cell::RefCell;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pwalk_fs::{
    DirBuf, Errno, Freshness, Kind, Links, Meta, More, Names, Time, file_descriptor_limit, open_child, open_path,
    stat_at, stat_fd, stat_path,
};

use super::{OrderedOptions, c_path, may_be_dir};
use crate::snapshot::is_snapshot;
use crate::{FollowLinks, Snapshots};

/// A directory as it was when it was read.
#[derive(Debug)]
pub struct Listed {
    names: Names,
    /// Places in `names` of the directories, links to directories among them, in the order of the directory.
    dirs: Vec<u32>,
    /// Places of everything else.
    others: Vec<u32>,
    /// Those of `dirs` that are links, in order.
    links: Vec<u32>,
    mark: Mark,
    /// The directory itself, kept where calls are slow.
    fd: Option<Kept>,
}

/// A descriptor that is kept, counted among all of them.
#[derive(Debug)]
struct Kept(OwnedFd);

/// How many are kept in the process. Relaxed: a bound, exact enough.
static KEPT: AtomicU64 = AtomicU64::new(0);
/// Never more than this, nor more than a quarter of what the process may have.
const MOST_KEPT: u64 = 256;
/// A directory that takes longer to read is behind slow calls.
const SLOW: Duration = Duration::from_micros(200);

impl Kept {
    fn new(fd: OwnedFd) -> Option<Self> {
        let most = MOST_KEPT.min(file_descriptor_limit() / 4);
        if KEPT.fetch_add(1, Relaxed) < most {
            return Some(Self(fd));
        }
        KEPT.fetch_sub(1, Relaxed);
        None
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        KEPT.fetch_sub(1, Relaxed);
    }
}

/// What tells whether a directory has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    id: (u64, u64),
    mtime: Time,
    ctime: Time,
    /// Its last modification was long enough before it was read that another one must show.
    settled: bool,
    /// Its last change of any kind was: being renamed is one.
    change_settled: bool,
}

/// Why a directory was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It is a link, and links are not followed: passed over.
    Link,
    Errno(Errno),
}

/// How a path came to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The user named it: a link is followed.
    Root,
    /// It was listed as a directory.
    Listed,
    /// The caller put its name among the directories.
    Added,
}

impl Listed {
    /// Places of the directories (links to directories among them), for [`name`](Self::name).
    pub fn dirs(&self) -> &[u32] {
        &self.dirs
    }

    /// Places of all other entries.
    pub fn others(&self) -> &[u32] {
        &self.others
    }

    /// The name at a place.
    pub fn name(&self, place: u32) -> &[u8] {
        self.names.name(place as usize)
    }

    /// The name of the directory that is `nth` in [`dirs`](Self::dirs).
    pub fn dir_name(&self, nth: u32) -> &[u8] {
        self.name(self.dirs[nth as usize])
    }

    /// Whether the directory that is `nth` in [`dirs`](Self::dirs) is a link to one.
    pub fn is_link(&self, nth: u32) -> bool {
        self.links.binary_search(&nth).is_ok()
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

thread_local! {
    /// Room for the kernel's answer; 64 KiB a thread that reads.
    static BUFFER: RefCell<DirBuf> = RefCell::default();
}

/// Where a directory is: its whole path, and where that is known its name in a directory that was read.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) path: &'a [u8],
    pub(crate) above: Option<(&'a Listed, u32)>,
}

impl Place<'_> {
    /// Opens it: relative to the directory above where that is open, because a path costs a slow call for each of its names.
    fn open(&self, links: Links) -> Result<OwnedFd, Errno> {
        match self.by_name() {
            Some((fd, name)) => open_child(fd, name, links),
            None => open_path(&c_path(self.path), links),
        }
    }

    /// Describes what stands there now.
    fn stat(&self, links: Links) -> Result<Meta, Errno> {
        match self.by_name() {
            // What looking the name up has just brought; fresh attributes would be asked for once more.
            Some((fd, name)) => stat_at(fd, name, links, Freshness::Cached),
            None => stat_path(&c_path(self.path), links),
        }
    }

    fn by_name(&self) -> Option<(BorrowedFd<'_>, &CStr)> {
        let (listed, nth) = self.above?;
        let fd = listed.fd.as_ref()?.0.as_fd();
        Some((fd, listed.names.c_name(listed.dirs[nth as usize] as usize)))
    }
}

/// Reads the directory at `place`.
pub(crate) fn read(place: Place<'_>, source: Source, options: &OrderedOptions) -> Result<Listed, Failure> {
    let begun = Instant::now();
    let links = links(source, options);
    let fd = match place.open(links) {
        Ok(fd) => fd,
        Err(errno @ (Errno::NOTDIR | Errno::LOOP)) if links == Links::NoFollow => {
            let is_link = place.stat(Links::NoFollow).is_ok_and(|meta| meta.kind() == Kind::Symlink);
            return Err(if is_link { Failure::Link } else { Failure::Errno(errno) });
        }
        Err(errno) => return Err(Failure::Errno(errno)),
    };
    // What opening has just brought.
    let meta = stat_fd(&fd, Freshness::Cached).map_err(Failure::Errno)?;
    let mut names = Names::default();
    BUFFER.with_borrow_mut(|buffer| {
        loop {
            match names.read(fd.as_fd(), buffer) {
                Ok(More::Maybe) | Err(Errno::INTR) => {}
                Ok(More::End) => return Ok(()),
                Err(errno) => return Err(Failure::Errno(errno)),
            }
        }
    })?;
    if options.snapshots == Snapshots::Skip {
        names.retain(|name, entry| name.first() != Some(&b'.') || !is_snapshot(fd.as_fd(), name, entry.kind));
    }
    let mut listed = Listed {
        dirs: Vec::new(),
        others: Vec::with_capacity(names.len()),
        links: Vec::new(),
        mark: Mark::of(&meta),
        fd: None,
        names,
    };
    for (place, index) in (0_u32..).zip(0..listed.names.len()) {
        let mut kind = listed.names.entry(index).kind;
        if !may_be_dir(kind) {
            listed.others.push(place);
            continue;
        }
        let name = listed.names.c_name(index);
        let look = |links| stat_at(fd.as_fd(), name, links, Freshness::Fresh).map_or(Kind::Unknown, |meta| meta.kind());
        if kind == Kind::Unknown {
            kind = look(Links::NoFollow);
        }
        let is_link = kind == Kind::Symlink;
        if kind == Kind::Dir || (is_link && look(Links::Follow) == Kind::Dir) {
            if is_link {
                listed.links.push(u32::try_from(listed.dirs.len()).unwrap_or(u32::MAX));
            }
            listed.dirs.push(place);
        } else {
            listed.others.push(place);
        }
    }
    if begun.elapsed() > SLOW {
        listed.fd = Kept::new(fd);
    }
    Ok(listed)
}

fn links(source: Source, options: &OrderedOptions) -> Links {
    if source == Source::Root || options.follow_links == FollowLinks::Always { Links::Follow } else { Links::NoFollow }
}

/// Whether the directory at `place` is still what was read.
///
/// Where calls are slow and the directory is still open, it is asked itself: renaming or removing it shows in its time of change and its
/// number of links, and looking up a name costs a call or two more.
pub(crate) fn is_current(place: Place<'_>, listed: &Listed, options: &OrderedOptions) -> bool {
    let mark = &listed.mark;
    let now = match &listed.fd {
        _ if !mark.settled => return false,
        Some(own) if mark.change_settled => stat_fd(&own.0, Freshness::Fresh).ok().filter(|meta| meta.nlink > 0),
        _ => place.stat(links(Source::Listed, options)).ok(),
    };
    now.is_some_and(|meta| mark.is_of(&meta))
}

impl Mark {
    fn of(meta: &Meta) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Coarser than the clock of any file system, and room for the clock of a server.
        let is_old = |time: Time| u64::try_from(time.sec).unwrap_or(0) + 2 < now.as_secs();
        let (settled, change_settled) = (is_old(meta.mtime), is_old(meta.ctime));
        Self { id: meta.id(), mtime: meta.mtime, ctime: meta.ctime, settled, change_settled }
    }

    fn is_of(&self, meta: &Meta) -> bool {
        (self.id, self.mtime, self.ctime) == (meta.id(), meta.mtime, meta.ctime) && meta.kind() == Kind::Dir
    }
}
