//! Reading one directory, and finding out later whether it is still the same.

use std::cell::RefCell;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pwalk_fs::{DirBuf, Errno, Freshness, Kind, Links, Meta, More, at_path, open_child, stat_at, stat_fd, stat_path};

use super::listed::{Kept, Listed, Mark, Scratch};
use super::{Contract, OrderedOptions, c_path, may_be_dir};
use crate::snapshot::is_snapshot;
use crate::{FollowLinks, Snapshots};

/// A directory that takes longer to read is behind slow calls. What its entries take comes on top.
const SLOW: Duration = Duration::from_micros(200);

/// Bytes of a path that the kernel takes, its NUL among them.
const PATH_MAX: usize = 4096;

/// What the names of so many entries take where calls are fast: less than a microsecond each.
pub(crate) fn fast_listing(entries: usize) -> Duration {
    Duration::from_micros(u64::try_from(entries).unwrap_or(u64::MAX))
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

thread_local! {
    /// Room for the kernel's answer, and for a directory: 64 KiB and a little more a thread that reads.
    static ROOM: RefCell<(DirBuf, Scratch)> = RefCell::default();
}

/// Where a directory is: its whole path, and where that is known its name in a directory that was read.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) path: &'a [u8],
    pub(crate) above: Option<(&'a Listed, u32)>,
    pub(crate) contract: Contract,
}

impl Place<'_> {
    /// Opens it: relative to the directory above where that is open, because a path costs a slow call for each of its names.
    fn open(&self, links: Links) -> Result<OwnedFd, Errno> {
        self.fits()?;
        match self.by_name() {
            Some((fd, name)) => open_child(fd, name, links),
            None => at_path(self.path, |dir, rest| open_child(dir, rest, links)),
        }
    }

    /// Describes what stands there now.
    fn stat(&self, links: Links) -> Result<Meta, Errno> {
        self.fits()?;
        match self.by_name() {
            Some((fd, name)) => stat_at(fd, name, links, Freshness::Fresh),
            None => at_path(self.path, |dir, rest| stat_at(dir, rest, links, Freshness::Fresh)),
        }
    }

    /// A path that is too long for the kernel is an error for `os.walk`, so it is one whichever way the directory is opened.
    fn fits(&self) -> Result<(), Errno> {
        if self.path.len() < PATH_MAX || self.contract == Contract::Each { Ok(()) } else { Err(Errno::NAMETOOLONG) }
    }

    fn by_name(&self) -> Option<(BorrowedFd<'_>, &CStr)> {
        let (listed, nth) = self.above?;
        let fd = listed.fd.as_ref()?.as_fd();
        Some((fd, listed.names.c_name(listed.dirs()[nth as usize] as usize)))
    }
}

/// Reads the directory at `place`.
///
/// Where calls are slow, `first` is given what the first call has brought, if there are directories among it: they can be read
/// while the next call finds out that there is no more. What is returned then begins with the same directories, in the
/// same places.
pub(crate) fn read(
    place: Place<'_>,
    source: Source,
    options: &OrderedOptions,
    mut first: impl FnMut(&Arc<Listed>),
) -> Result<Arc<Listed>, Failure> {
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
    let mark = Mark::of(&meta);
    ROOM.with_borrow_mut(|(buffer, scratch)| {
        scratch.clear();
        let mut handle = Handle::Own(fd);
        let mut early: Option<Arc<Listed>> = None;
        loop {
            match scratch.names.read(handle.as_fd(), buffer) {
                Ok(More::Maybe)
                    if early.is_none()
                        && handle.kept().is_none()
                        && begun.elapsed() > SLOW + fast_listing(scratch.names.len()) =>
                {
                    handle = handle.keep();
                    sort(scratch, place.path, handle.as_fd(), options);
                    if !scratch.dirs.is_empty() {
                        let part = Arc::new(scratch.listed(mark, handle.kept()));
                        first(&part);
                        early = Some(part);
                    }
                }
                Ok(More::Maybe) | Err(Errno::INTR) => {}
                Ok(More::End) => break,
                Err(errno) => return Err(Failure::Errno(errno)),
            }
        }
        if let Some(early) = early.filter(|early| early.len() == scratch.names.len()) {
            return Ok(early);
        }
        sort(scratch, place.path, handle.as_fd(), options);
        Ok(Arc::new(scratch.listed(mark, handle.kept())))
    })
}

/// Tells directories from other entries, from where it stopped the last time.
fn sort(listed: &mut Scratch, path: &[u8], dir: BorrowedFd<'_>, options: &OrderedOptions) {
    for index in listed.sorted..listed.names.len() {
        let place = u32::try_from(index).unwrap_or(u32::MAX);
        let (mut kind, name) = (listed.names.entry(index).kind, listed.names.c_name(index));
        if name.to_bytes().first() == Some(&b'.')
            && options.snapshots == Snapshots::Skip
            && is_snapshot(dir, name.to_bytes(), kind)
        {
            continue;
        }
        if !may_be_dir(kind) {
            listed.others.push(place);
            continue;
        }
        let look = |links| match (links, options.follow_links) {
            // By the whole path, in which every link counts: that is what ends a circle.
            (Links::Follow, FollowLinks::Always) if options.contract == Contract::OsWalk => {
                stat_path(&c_path(&super::join_path(path, name.to_bytes())), links)
            }
            _ => stat_at(dir, name, links, Freshness::Fresh),
        };
        let look = |links| look(links).map_or(Kind::Unknown, |meta| meta.kind());
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
    listed.sorted = listed.names.len();
}

/// The directory that is being read.
enum Handle {
    Own(OwnedFd),
    Kept(Arc<Kept>),
}

impl Handle {
    /// Keeps it, if there may be another one.
    fn keep(self) -> Self {
        match self {
            Self::Own(fd) => Kept::new(fd).map_or_else(Self::Own, |kept| Self::Kept(Arc::new(kept))),
            Self::Kept(kept) => Self::Kept(kept),
        }
    }

    fn kept(&self) -> Option<Arc<Kept>> {
        if let Self::Kept(kept) = self { Some(Arc::clone(kept)) } else { None }
    }
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Own(fd) => fd.as_fd(),
            Self::Kept(kept) => kept.as_fd(),
        }
    }
}

fn links(source: Source, options: &OrderedOptions) -> Links {
    if source == Source::Root || options.follow_links == FollowLinks::Always { Links::Follow } else { Links::NoFollow }
}

/// What stands at `place` now.
pub(crate) fn look(place: Place<'_>, options: &OrderedOptions) -> Option<Meta> {
    place.stat(links(Source::Listed, options)).ok()
}

/// Whether the directory at `place` is still what was read. `seen`: what stood there when the caller had asked for it already, if
/// somebody looked.
///
/// Where calls are slow and the directory is still open, it is asked itself: renaming or removing it shows in its time of
/// change and its number of links, and looking up a name costs a call or two more.
pub(crate) fn is_current(place: Place<'_>, listed: &Listed, seen: Option<Meta>, options: &OrderedOptions) -> bool {
    let mark = &listed.mark;
    let now = match (&listed.fd, seen) {
        _ if !mark.settled => return false,
        (_, Some(seen)) => Some(seen),
        (Some(own), None) if mark.change_settled => {
            stat_fd(own.as_ref(), Freshness::Fresh).ok().filter(|meta| meta.nlink > 0)
        }
        _ => look(place, options),
    };
    now.is_some_and(|meta| mark.is_of(&meta))
}
