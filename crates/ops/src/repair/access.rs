//! Who may use a file: the part of its metadata that a repair reads and writes.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use pwalk_fs::{ACCESS_ACL, Acl, AclTag, Errno, Meta, attribute_at, attribute_of};

pub(crate) const SETUID: u32 = 0o4000;
pub(crate) const SETGID: u32 = 0o2000;
/// The bits that let a file run with its owner's or its group's rights.
pub(crate) const SET_IDS: u32 = SETUID | SETGID;

/// Owner, group, mode and access control list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The twelve permission bits. With an access control list the group's three are its mask.
    pub mode: u32,
    /// The access control list, where there is one that says more than the mode.
    pub acl: Option<Acl>,
    /// The capabilities of a program (`security.capability`), where they are of concern: the kernel takes them, as it takes
    /// setuid, when owner or group change.
    pub capability: Option<Vec<u8>>,
    /// The BLAKE3 digest of the content, in hexadecimal digits, where the file loses setuid, setgid or capabilities: they are given back only to
    /// the content that had them.
    pub content: Option<String>,
}

impl Access {
    /// What metadata says, with the list that was read beside it.
    pub(crate) fn new(meta: &Meta, acl: Option<Acl>) -> Self {
        Self { uid: meta.uid, gid: meta.gid, mode: meta.mode & 0o7777, acl, capability: None, content: None }
    }

    /// Whether all that metadata says is the same as in `meta`.
    pub(crate) fn is_that_of(&self, meta: &Meta) -> bool {
        (self.uid, self.gid, self.mode) == (meta.uid, meta.gid, meta.mode & 0o7777)
    }
}

/// The list of a name in a directory.
pub(crate) fn acl_at(dir: BorrowedFd<'_>, name: &CStr) -> Result<Option<Acl>, Errno> {
    attribute_at(dir, name, ACCESS_ACL).map(extended)
}

/// The list of what a descriptor refers to.
pub(crate) fn acl_of(fd: BorrowedFd<'_>) -> Result<Option<Acl>, Errno> {
    attribute_of(fd, ACCESS_ACL).map(extended)
}

/// The capabilities of a program.
pub(crate) const CAPABILITY: &CStr = c"security.capability";

/// A list without a mask says just what the mode says.
fn extended(value: Option<Vec<u8>>) -> Option<Acl> {
    Acl::from_xattr(&value?).filter(|acl| acl.perm(AclTag::Mask).is_some())
}
