//! An entry that was met: what is known of it, and how to ask the rest.
//!
//! Questions go through the directory that holds the entry, by descriptor and name. Only a starting point is asked by its path,
//! which is the user's own. The directory is opened again, if it was closed meanwhile, by whoever asks first.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use pwalk_engine::{DirFd, ListedFd};
use pwalk_fs::{Accounts, Errno, Freshness, Kind, Links, Meta, Mounts, stat_at};
use rustix::fs::CWD;

use crate::check::{Ask, Subject};
use crate::expr::Access;
use crate::format::{Tell, Told};

/// An entry.
pub(crate) struct Found<'a> {
    /// Its path, as it is printed.
    pub(crate) path: &'a [u8],
    /// The last component of the path, without slashes behind it.
    pub(crate) name: &'a [u8],
    /// Where it can be asked.
    pub(crate) holder: &'a dyn Holder,
    pub(crate) kind: Kind,
    pub(crate) meta: Option<&'a Meta>,
    /// The starting point, as it was given.
    pub(crate) root: &'a [u8],
    pub(crate) depth: u32,
    /// Whether links are followed here.
    pub(crate) follows: bool,
    pub(crate) system: &'a System,
}

/// What is asked once for the whole run.
#[derive(Debug, Default)]
pub(crate) struct System {
    pub(crate) accounts: Accounts,
    pub(crate) mounts: Mounts,
}

/// Where an entry can be asked: the directory that holds it, and its name there.
pub(crate) trait Holder {
    /// The directory's descriptor.
    ///
    /// # Errors
    /// What keeps it from being opened again.
    fn fd(&self) -> Result<Pinned, Errno>;

    /// The name in it; of a starting point the path.
    fn name(&self) -> &CStr;
}

/// A descriptor to ask through.
pub(crate) enum Pinned {
    /// Where the program was started: for the paths of starting points.
    Here,
    Dir(DirFd),
    Listed(ListedFd),
    Own(Arc<OwnedFd>),
}

impl AsFd for Pinned {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Here => CWD,
            Self::Dir(fd) => fd.as_fd(),
            Self::Listed(fd) => fd.as_fd(),
            Self::Own(fd) => fd.as_fd(),
        }
    }
}

/// A starting point, by its path.
pub(crate) struct Here<'a>(pub(crate) &'a CStr);

impl Holder for Here<'_> {
    fn fd(&self) -> Result<Pinned, Errno> {
        Ok(Pinned::Here)
    }

    fn name(&self) -> &CStr {
        self.0
    }
}

impl Found<'_> {
    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject { path: self.path, name: self.name, kind: self.kind, meta: self.meta, ask: self }
    }

    /// As a format tells it.
    pub(crate) fn told<'s>(&'s self, meta: &'s Meta, terminal: bool) -> Told<'s> {
        Told { path: self.path, root: self.root, depth: self.depth, meta, terminal, tell: self }
    }

    fn links(&self) -> Links {
        if self.follows { Links::Follow } else { Links::NoFollow }
    }

    fn stat(&self, links: Links) -> Result<Meta, Errno> {
        stat_at(self.holder.fd()?.as_fd(), self.holder.name(), links, Freshness::Fresh)
    }
}

impl Ask for Found<'_> {
    fn link(&self) -> Result<Vec<u8>, Errno> {
        pwalk_fs::read_link(self.holder.fd()?.as_fd(), self.holder.name())
    }

    fn other_kind(&self) -> Result<Kind, Errno> {
        if self.follows {
            return self.stat(Links::NoFollow).map(|meta| meta.kind());
        }
        if self.kind != Kind::Symlink {
            return Ok(self.kind);
        }
        match self.stat(Links::Follow) {
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(Kind::Symlink),
            other => other.map(|meta| meta.kind()),
        }
    }

    fn is_empty_dir(&self) -> Result<bool, Errno> {
        pwalk_fs::is_empty_dir(self.holder.fd()?.as_fd(), self.holder.name(), self.links())
    }

    fn may(&self, access: Access) -> bool {
        self.holder.fd().is_ok_and(|fd| pwalk_fs::may(fd.as_fd(), self.holder.name(), access))
    }

    fn has_user(&self, uid: u32) -> bool {
        self.system.accounts.user(uid).is_some()
    }

    fn has_group(&self, gid: u32) -> bool {
        self.system.accounts.group(gid).is_some()
    }

    fn fs_type(&self, meta: &Meta) -> Vec<u8> {
        self.system.mounts.fs_type(meta.dev).map_or_else(|| b"unknown".to_vec(), Vec::from)
    }
}

impl Tell for Found<'_> {
    fn link(&self) -> Vec<u8> {
        // What cannot be read is told as nothing, as GNU find does; `-lname` is who reports it.
        if self.kind == Kind::Symlink { Ask::link(self).unwrap_or_default() } else { Vec::new() }
    }

    fn other_letter(&self) -> u8 {
        if self.kind != Kind::Symlink {
            return self.kind.letter();
        }
        match self.stat(Links::Follow) {
            Ok(meta) => meta.kind().letter(),
            Err(Errno::NOENT | Errno::NOTDIR) => b'N',
            Err(Errno::LOOP) => b'L',
            Err(_) => b'?',
        }
    }

    fn user(&self, uid: u32) -> Option<String> {
        self.system.accounts.user(uid)
    }

    fn group(&self, gid: u32) -> Option<String> {
        self.system.accounts.group(gid)
    }

    fn fs_type(&self, meta: &Meta) -> Vec<u8> {
        Ask::fs_type(self, meta)
    }
}
