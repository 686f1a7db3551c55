//! Looking at one entry: is it right, may it be touched, what would the change be?

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use pwalk_engine::DirFd;
use pwalk_fs::{Acl, Errno, Meta, attribute_at, attribute_of, mount_of};

use super::{Folder, Purpose, Shared};
use crate::repair::Event;
use crate::repair::access::{Access, CAPABILITY, acl_at, acl_of};
use crate::repair::act::{Failure, Linked};
use crate::repair::change::Change;
use crate::repair::rules::Verdict;
use crate::shown::shown;

/// An entry that is looked at: what is known of it, and how more is found out.
pub(super) struct Look<'a> {
    pub(super) meta: &'a Meta,
    /// The group of the nearest directory above whose group is not private.
    pub(super) inherited: Option<u32>,
    pub(super) root: usize,
    pub(super) place: Place<'a>,
    /// Its path, which most entries never need.
    pub(super) path: &'a dyn Fn() -> Vec<u8>,
}

/// Where more is found out.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// From what a descriptor refers to.
    Fd(BorrowedFd<'a>),
    /// From a name in a directory.
    Name(BorrowedFd<'a>, &'a CStr),
}

impl Place<'_> {
    fn acl(self) -> Result<Option<Acl>, Errno> {
        match self {
            Self::Fd(fd) => acl_of(fd),
            Self::Name(dir, name) => acl_at(dir, name),
        }
    }

    fn capability(self) -> Result<Option<Vec<u8>>, Errno> {
        match self {
            Self::Fd(fd) => attribute_of(fd, CAPABILITY),
            Self::Name(dir, name) => attribute_at(dir, name, CAPABILITY),
        }
    }
}

impl Shared {
    /// Judges an entry. What is wrong with it becomes a change.
    pub(super) fn look(&self, look: &Look<'_>) -> Option<Change> {
        if self.rules.owner_and_group(look.meta.uid, look.meta.gid, look.inherited).is_none() {
            let (count, first) = &self.ungrouped[look.root];
            if count.fetch_add(1, Relaxed) == 0 {
                *first.lock().unwrap_or_else(PoisonError::into_inner) = (look.path)();
            }
            return None;
        }
        self.judge(look).unwrap_or_else(|errno| {
            // What is gone needs no repair.
            if errno != Errno::NOENT {
                self.fail(&(look.path)(), "read its access control list", errno);
            }
            None
        })
    }

    fn judge(&self, look: &Look<'_>) -> Result<Option<Change>, Errno> {
        let Look { meta, root, .. } = *look;
        let kind = meta.kind();
        let mut before = Access::new(meta, look.place.acl()?);
        let Verdict::Wrong(after) = self.rules.judge(kind, &before, look.inherited) else { return Ok(None) };
        let path = (look.path)();
        if !kind.is_dir() && meta.nlink > 1 && self.linked == Linked::LeftAlone {
            let why = format!("has {} names (hard links)", meta.nlink);
            self.leave_alone(&self.hard_linked, &path, &why);
            return Ok(None);
        }
        if (before.uid, before.gid) != (after.uid, after.gid) && !kind.is_dir() && meta.mode & 0o111 != 0 {
            before.capability = look.place.capability()?;
        }
        let (dev, ino, birth, links) = (meta.dev, meta.ino, meta.btime, meta.nlink);
        Ok(Some(Change { root, path, kind, dev, ino, birth, links, before, after }))
    }

    /// Why a directory is not repaired, with what is in it; or the mount it is in.
    pub(super) fn refuse(
        &self,
        fd: &DirFd,
        meta: &Meta,
        root: usize,
        parent: Option<&Folder>,
        path: &dyn Fn() -> Vec<u8>,
    ) -> Result<u64, String> {
        let untold = |errno| format!("cannot be told from a mount ({errno})");
        let Some(parent) = parent else {
            // What was checked, and planned, before was what the path led to then; this is what was opened.
            if self.roots[root].id != Some(meta.id()) {
                return Err("is another directory than it was a moment ago".to_owned());
            }
            return match self.protected.check(fd.as_fd()) {
                Ok(None) if meta.mount_root.is_some() => Ok(0),
                Ok(None) => mount_of(fd.as_fd()).map_err(untold),
                Ok(Some(refusal)) => Err(format!("{} the system directory {}", refusal.how, refusal.system)),
                Err(errno) => Err(format!("cannot be told from a system directory ({errno})")),
            };
        };
        if let Some(system) = self.protected.is(meta.id()) {
            return Err(format!("is the system directory {system}"));
        }
        let (mount, is_mount) = match meta.mount_root {
            Some(is_mount) => (0, is_mount),
            // Linux before 5.8.
            None => {
                let mount = mount_of(fd.as_fd()).map_err(untold)?;
                (mount, mount != parent.mount)
            }
        };
        if is_mount {
            let enter = self.protected.may_enter(fd.as_fd(), meta, &self.places);
            enter.map_err(|why| format!("{why}; name {} as a path of its own to repair it", shown(&path())))?;
        }
        Ok(mount)
    }

    /// Tells of something that is left alone.
    pub(super) fn leave_alone(&self, count: &AtomicU64, path: &[u8], why: &str) {
        count.fetch_add(1, Relaxed);
        self.tell(&Event::Left { path, why });
    }

    /// Tells of something that could not be looked at.
    pub(super) fn fail(&self, path: &[u8], what: &'static str, errno: Errno) {
        self.failed.fetch_add(1, Relaxed);
        self.tell(&Event::Failed { path, why: &Failure::Refused { what, errno } });
    }

    /// Tells the listener, but for a walk that only asks: the one after it tells.
    pub(super) fn tell(&self, event: &Event<'_>) {
        if !matches!(self.purpose, Purpose::Ask(_)) {
            self.listener.hear(event);
        }
    }
}
