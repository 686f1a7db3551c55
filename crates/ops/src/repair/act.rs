//! Making a change: to one pinned inode, and to nothing else.
//!
//! Between the walk that decided and the moment of acting, the journal was written, and the tree belongs to others. So the name is
//! pinned anew, and only if what is pinned is the very inode that was decided on, as it was then, is it changed, through the pin.
//!
//! The order: setuid and setgid of a file are dropped while it still belongs to whom it belonged to, then owner and group change,
//! then it is looked at again, then the list and the mode are set, and last it is looked at whether all of it took.

use std::fs::File;
use std::io::Read;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use pwalk_fs::{
    ACCESS_ACL, Errno, Freshness, Kind, Meta, TICK, Time, is_surely_named, mount_of, open_quiet, set_attribute,
    set_mode, set_owner, stat_fd, stat_quick,
};

use super::access::{Access, CAPABILITY, SET_IDS, acl_of};
use super::change::Change;

/// Why a change was not made, or not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Under the name stands something else by now.
    #[error("something else took its name meanwhile; nothing was changed there; run it again")]
    Replaced,
    /// It is the same file, and somebody changed its owner, group, mode or access control list.
    #[error("its owner, group, mode or access control list was changed meanwhile; it was left so; run it again")]
    Changed,
    /// It has got another name, which may be anywhere.
    #[error("it has got another name meanwhile (a hard link); it was left alone")]
    Linked,
    /// The kernel refused.
    #[error("cannot {what}: {errno}; {}", advice(*.errno))]
    Refused {
        /// What was being done.
        what: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
    /// An undo, of a file whose content is not what it was, or is being written: it gets no setuid, setgid or capabilities back.
    #[error("it got no setuid, setgid or capabilities back, because its content may not be what it was")]
    Altered,
    /// It is no path below a root.
    #[error("it is not below the path that the plan or journal is for")]
    Outside,
    /// The file system took the call and did something else.
    #[error("the file system did not take it: it is now {}:{} {:04o}, see what its server or mount options allow", .0.uid, .0.gid, .0.mode)]
    NotTaken(Box<Access>),
}

fn advice(errno: Errno) -> &'static str {
    match errno {
        Errno::PERM | Errno::ACCESS => {
            "only its owner or root may; root may not either where it is immutable (lsattr) or the server maps root to nobody"
        }
        Errno::ROFS => "the file system is mounted read-only",
        Errno::NOENT => "it was removed or moved meanwhile; run it again",
        Errno::DQUOT => "the group's quota is used up",
        Errno::OPNOTSUPP => "the file system knows no such thing",
        _ => "see the kernel's log, the disk and the server",
    }
}

/// What may be acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Linked {
    LeftAlone,
    Changed,
}

fn refused(what: &'static str) -> impl Fn(Errno) -> Failure {
    move |errno| Failure::Refused { what, errno }
}

/// What is to be done with what is pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It is as it was decided on.
    AsItWas,
    /// It is as it should be: somebody else was faster.
    AsItShould,
}

/// A pinned inode.
#[derive(Clone, Copy)]
pub(crate) struct Pin<'a> {
    pub(crate) fd: BorrowedFd<'a>,
    /// A moment before it was pinned.
    pub(crate) before: Time,
    /// The mount of the directory that it was found in, if it was by its name in one.
    pub(crate) mount: Option<u64>,
}

/// Makes sure that what is pinned is what was decided on, as it was. `seen` is its last change then, if it is known: an inode that
/// was not touched since need not be asked for more.
pub(crate) fn check(pin: Pin<'_>, change: &Change, seen: Option<Time>, linked: Linked) -> Result<Found, Failure> {
    let Pin { fd, mount, .. } = pin;
    let look = refused("look at it");
    let alone = !change.kind.is_dir() && linked == Linked::LeftAlone;
    if let Some(seen) = seen
        && change.before.acl.is_none()
    {
        let now = stat_quick(fd).map_err(&look)?;
        let untouched = (now.id(), now.ctime) == ((change.dev, change.ino), seen);
        if untouched && now.nlink == change.links && change.before.is_that_of(&now) {
            return if alone { pin.is_only_name_of(&now).map(|()| Found::AsItWas) } else { Ok(Found::AsItWas) };
        }
    }
    let now = stat_fd(fd, Freshness::Fresh).map_err(look)?;
    if !change.is_of(&now) || is_mounted_over(fd, &now, mount)? {
        return Err(Failure::Replaced);
    }
    if alone {
        pin.is_only_name_of(&now)?;
    }
    let acl = acl_of(fd).map_err(refused("read its access control list"))?;
    let is = |access: &Access| access.is_that_of(&now) && access.acl == acl;
    match () {
        () if is(&change.before) => Ok(Found::AsItWas),
        () if is(&change.after) => Ok(Found::AsItShould),
        () => Err(Failure::Changed),
    }
}

impl Pin<'_> {
    /// That the file had no other name when `now` was read than the one it was pinned by.
    ///
    /// The count alone does not say it: what was pinned as a second name of somebody else's file has the count 1 as soon as that name is
    /// removed. But a name that still stands after the count was read is the one that was counted. Where the kernel cannot say that it
    /// stands, the file must not have been touched since before it was pinned: names that come and go move its `ctime`.
    fn is_only_name_of(self, now: &Meta) -> Result<(), Failure> {
        if now.nlink > 1 {
            return Err(Failure::Linked);
        }
        let settled = || plus(now.ctime, TICK) < self.before;
        if is_surely_named(self.fd) || settled() { Ok(()) } else { Err(Failure::Replaced) }
    }
}

fn plus(time: Time, more: Duration) -> Time {
    let nsec = u64::from(time.nsec) + u64::from(more.subsec_nanos());
    let carry = nsec / 1_000_000_000;
    let sec = time.sec.saturating_add_unsigned(more.as_secs() + carry);
    Time { sec, nsec: u32::try_from(nsec % 1_000_000_000).unwrap_or(0) }
}

/// Whether a name leads to what is mounted there. `mount` is that of the directory it is in.
fn is_mounted_over(fd: BorrowedFd<'_>, now: &Meta, mount: Option<u64>) -> Result<bool, Failure> {
    match (mount, now.mount_root) {
        (None, _) => Ok(false),
        (Some(_), Some(root)) => Ok(root),
        (Some(mount), None) => Ok(mount_of(fd).map_err(refused("look at it"))? != mount),
    }
}

/// Makes the change.
pub(crate) fn make(fd: BorrowedFd<'_>, change: &Change) -> Result<(), Failure> {
    let Change { before, after, .. } = change;
    let set_mode_to = |mode| set_mode(fd, mode).map_err(refused("set the mode"));
    let mut mode = before.mode;
    if change.changes_hands() {
        if !change.kind.is_dir() && mode & SET_IDS != 0 {
            set_mode_to(mode & !SET_IDS)?;
        }
        let differs = |old: u32, new: u32| (old != new).then_some(new);
        let (uid, gid) = (differs(before.uid, after.uid), differs(before.gid, after.gid));
        set_owner(fd, uid, gid).map_err(refused("change its owner or group"))?;
        let now = look(fd)?;
        if (now.uid, now.gid) != (after.uid, after.gid) {
            return Err(Failure::NotTaken(Box::new(now)));
        }
        mode = now.mode;
    }
    if let Some(acl) = after.acl.as_ref().filter(|_| after.acl != before.acl) {
        let set = set_attribute(fd, ACCESS_ACL, &acl.to_xattr());
        set.map_err(refused("set its access control list"))?;
        mode = look(fd)?.mode;
    }
    // Kept until all is set: meanwhile nobody can open it for writing unnoticed.
    let _content = if change.gives_privilege() {
        let content = Content::of(fd).filter(|content| after.content.as_ref() == Some(&content.digest));
        if content.is_none() {
            set_mode_to(after.mode & !SET_IDS)?;
            return Err(Failure::Altered);
        }
        content
    } else {
        None
    };
    if mode != after.mode {
        set_mode_to(after.mode)?;
    }
    if let Some(capability) = after.capability.as_ref().filter(|_| after.capability != before.capability) {
        set_attribute(fd, CAPABILITY, capability).map_err(refused("set its capabilities"))?;
    }
    let now = look(fd)?;
    let took = (now.uid, now.gid, now.mode) == (after.uid, after.gid, after.mode);
    if took { Ok(()) } else { Err(Failure::NotTaken(Box::new(now))) }
}

/// What is in a file, by its digest, while nobody writes to it.
pub(crate) struct Content {
    pub(crate) digest: String,
    _open: File,
}

/// Programs with setuid are not larger; who makes one that is will not have root read it for hours.
const MOST_READ: u64 = 256 << 20;

impl Content {
    /// None if it cannot be read, or somebody has it open for writing.
    pub(crate) fn of(fd: BorrowedFd<'_>) -> Option<Self> {
        // To open a device is to do something to it.
        if stat_quick(fd).ok()?.kind() != Kind::File {
            return None;
        }
        let open = File::from(open_quiet(fd).ok()?);
        let mut hasher = blake3::Hasher::new();
        let read = hasher.update_reader((&open).take(MOST_READ + 1)).ok()?.count();
        (read <= MOST_READ).then(|| Self { digest: hasher.finalize().to_hex().to_string(), _open: open })
    }
}

fn look(fd: BorrowedFd<'_>) -> Result<Access, Failure> {
    stat_quick(fd).map(|now| Access::new(&now, None)).map_err(refused("look at it again"))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use pwalk_fs::{change_time, pin};

    use super::*;

    /// Somebody else's file is linked into the tree while it is decided, and again while it is pinned; and at each look the link is
    /// just gone, so that there is one name, as there was when it was decided.
    #[test]
    fn a_name_that_is_gone_does_not_count_as_the_only_one() {
        let place = tempfile::tempdir().unwrap();
        let other = place.path().join("not of the tree");
        std::fs::write(&other, "").unwrap();
        let tree = place.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        let dir = File::open(&tree).unwrap();
        for name in [c"name", c"name (deleted)"] {
            let path = tree.join(name.to_str().unwrap());
            let before = change_time();
            let decided = stat_fd(File::open(&other).unwrap(), Freshness::Fresh).unwrap();
            std::fs::hard_link(&other, &path).unwrap();
            let pinned = pin(dir.as_fd(), name).unwrap();
            std::fs::remove_file(&path).unwrap();
            let change = change_of(&decided);
            let pin = Pin { fd: pinned.as_fd(), before, mount: Some(0) };
            for seen in [None, Some(stat_fd(&pinned, Freshness::Fresh).unwrap().ctime)] {
                assert_eq!(check(pin, &change, seen, Linked::LeftAlone), Err(Failure::Replaced), "{name:?}");
            }
            assert_eq!(check(pin, &change, None, Linked::Changed), Ok(Found::AsItWas));
        }
    }

    /// A file of the tree may be called as the kernel calls what is gone.
    #[test]
    fn a_file_called_deleted_is_repaired() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("x (deleted)"), "").unwrap();
        let dir = File::open(place.path()).unwrap();
        let pinned = pin(dir.as_fd(), c"x (deleted)").unwrap();
        let now = stat_fd(&pinned, Freshness::Fresh).unwrap();
        let checked = |before| {
            let pin = Pin { fd: pinned.as_fd(), before, mount: Some(0) };
            check(pin, &change_of(&now), None, Linked::LeftAlone)
        };
        let second = Duration::from_secs(1);
        assert_eq!(checked(plus(now.ctime, second)), Ok(Found::AsItWas));
        assert_eq!(checked(now.ctime), Err(Failure::Replaced), "it may have been given its name this very moment");
    }

    fn change_of(meta: &Meta) -> Change {
        let access = Access::new(meta, None);
        let (dev, ino, birth, links) = (meta.dev, meta.ino, meta.btime, meta.nlink);
        let after = Access { mode: 0o600, ..access.clone() };
        Change { root: 0, path: Vec::new(), kind: meta.kind(), dev, ino, birth, links, before: access, after }
    }
}
