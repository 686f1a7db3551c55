//! What is kept of an entry apart from its content, in the order in which the kernel lets it stay: the owner, because changing it takes setuid and
//! capabilities away; then extended attributes, access control lists among them; then the mode; then the times.

use std::ffi::{CStr, CString};
use std::os::fd::BorrowedFd;

use pwalk_fs::{
    ACCESS_ACL, Acl, AclTag, Errno, Kind, Meta, attribute_of, list_attributes, remove_attribute, set_attribute,
    set_mode, set_owner, set_times,
};

use super::error::{Failure, source};
use super::options::Keep;

const SPECIAL_BITS: u32 = 0o6000;

/// Extended attributes: names and values.
pub(crate) type Attributes = Vec<(CString, Vec<u8>)>;

/// What is known of a new entry before anything is set.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fresh {
    /// Owner and group that it was made with.
    pub(crate) owner: Option<(u32, u32)>,
    /// The permission bits that it was made with.
    pub(crate) mode: Option<u32>,
    /// Whether it may have attributes that the source does not have.
    pub(crate) may_have_attributes: bool,
}

impl Keep {
    fn keeps(self, attribute: &CStr) -> bool {
        match attribute.to_bytes() {
            b"system.posix_acl_access" | b"system.posix_acl_default" | b"system.nfs4_acl" => self.acl,
            // XFS shows each list a second time, as it stores it; elsewhere that would be an attribute without a meaning.
            b"trusted.SGI_ACL_FILE" | b"trusted.SGI_ACL_DEFAULT" => false,
            _ => self.xattr,
        }
    }

    /// Reads the attributes of a source that are to be kept. `names` is room.
    pub(crate) fn read(self, fd: BorrowedFd<'_>, names: &mut Vec<u8>) -> Result<Attributes, Failure> {
        if !self.xattr && !self.acl && !self.mode {
            return Ok(Attributes::new());
        }
        list_attributes(fd, names).map_err(source("list the attributes of"))?;
        let mut found = Attributes::new();
        for name in names.split_inclusive(|byte| *byte == 0) {
            let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
            // Of a list that is not kept the mode must be known.
            if !(self.keeps(name) || self.mode && name == ACCESS_ACL) {
                continue;
            }
            // One that is gone by now is none.
            if let Some(value) = attribute_of(fd, name).map_err(source("read an attribute of"))? {
                found.push((name.to_owned(), value));
            }
        }
        Ok(found)
    }

    /// Sets everything that is to be kept; tells of each thing that cannot be.
    pub(crate) fn set(
        self,
        fd: BorrowedFd<'_>,
        meta: &Meta,
        attributes: &Attributes,
        fresh: Fresh,
        mut lost: impl FnMut(Failure),
    ) {
        let is_link = meta.kind() == Kind::Symlink;
        let mut mode = meta.mode & 0o7777;
        if self.ownership && fresh.owner != Some((meta.uid, meta.gid)) {
            if let Err(errno) = own(fd, meta) {
                // Whose it is not must not run as him.
                mode &= !SPECIAL_BITS;
                lost(Failure::NotKept { what: "owner", word: "ownership", errno });
            }
        } else if !self.ownership {
            mode &= !SPECIAL_BITS;
        }
        if fresh.may_have_attributes
            && let Err(errno) = self.remove_others(fd, attributes)
        {
            lost(Failure::NotKept { what: "set of attributes", word: "xattr", errno });
        }
        for (name, value) in attributes {
            let is_list = name.as_c_str() == ACCESS_ACL;
            if !self.keeps(name) {
                mode = if is_list { without_list(mode, value) } else { mode };
                continue;
            }
            if let Err(errno) = set_attribute(fd, name, value)
                // The label is the target's own policy's to give.
                && name.to_bytes() != b"security.selinux"
            {
                let (what, word) = match name.to_bytes() {
                    b"system.posix_acl_access" | b"system.posix_acl_default" | b"system.nfs4_acl" => {
                        ("access control list", "acl")
                    }
                    b"security.capability" => ("capabilities", "xattr"),
                    _ => ("extended attribute", "xattr"),
                };
                mode = if is_list { without_list(mode, value) } else { mode };
                lost(Failure::NotKept { what, word, errno });
            }
        }
        if self.mode
            && !is_link
            && fresh.mode != Some(mode)
            && let Err(errno) = set_mode(fd, mode)
        {
            lost(Failure::NotKept { what: "mode", word: "mode", errno });
        }
        if self.timestamps
            && let Err(errno) = set_times(fd, meta.atime, meta.mtime)
        {
            lost(Failure::NotKept { what: "times", word: "timestamps", errno });
        }
    }

    /// Removes the attributes that the source does not have.
    fn remove_others(self, fd: BorrowedFd<'_>, attributes: &Attributes) -> Result<(), Errno> {
        let mut names = Vec::new();
        list_attributes(fd, &mut names)?;
        for name in names.split_inclusive(|byte| *byte == 0) {
            let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
            let is_ours = self.keeps(name) && !name.to_bytes().starts_with(b"security.");
            if is_ours && attributes.iter().all(|(kept, _)| kept.as_c_str() != name) {
                remove_attribute(fd, name)?;
            }
        }
        Ok(())
    }
}

/// The mode of what loses its access control list. The group's bits are the most that anybody in the list may: without it the group
/// would have them all.
fn without_list(mode: u32, list: &[u8]) -> u32 {
    let group = Acl::from_xattr(list).and_then(|acl| acl.0.iter().find(|entry| entry.tag == AclTag::GroupObj).copied());
    group.map_or(mode, |group| mode & !0o070 | mode & (u32::from(group.perm) << 3) & 0o070)
}

/// Sets owner and group; who may not give files away sets at least the group.
fn own(fd: BorrowedFd<'_>, meta: &Meta) -> Result<(), Errno> {
    match set_owner(fd, Some(meta.uid), Some(meta.gid)) {
        Err(errno @ Errno::PERM) => match set_owner(fd, None, Some(meta.gid)) {
            Ok(()) | Err(_) => Err(errno),
        },
        other => other,
    }
}
