//! POSIX access control lists, as the kernel keeps them in an extended attribute.
//!
//! The form is that of `linux/posix_acl_xattr.h`: a version, then entries of tag, permissions and number, all little-endian.
//! The text is the short one of `acl(5)` with numbers for users and groups: `user::rw-,user:1001:r--,group::r--,mask::r--,other::---`.

use std::ffi::CStr;
use std::fmt;
use std::str::FromStr;

/// The attribute that holds the list which decides who may use a file.
pub const ACCESS_ACL: &CStr = c"system.posix_acl_access";

const VERSION: u32 = 2;

/// Whom an entry is about: the tags of `acl(5)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AclTag {
    /// The owner.
    UserObj,
    /// A user by number.
    User(u32),
    /// The file's group.
    GroupObj,
    /// A group by number.
    Group(u32),
    /// The most that users and groups by number, and the file's group, can have.
    Mask,
    /// Everybody else.
    Other,
}

/// One entry: permissions are the three bits `r` 4, `w` 2, `x` 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AclEntry {
    /// Whom it is about.
    pub tag: AclTag,
    /// What they may do.
    pub perm: u16,
}

/// An access control list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl(pub Vec<AclEntry>);

impl Acl {
    /// Reads the attribute's value. None if it is not of the known form.
    pub fn from_xattr(value: &[u8]) -> Option<Self> {
        let (version, entries) = value.split_at_checked(4)?;
        if version != VERSION.to_le_bytes() || entries.len() % 8 != 0 {
            return None;
        }
        let entry = |e: &[u8]| {
            let id = u32::from_le_bytes([e[4], e[5], e[6], e[7]]);
            let tag = match u16::from_le_bytes([e[0], e[1]]) {
                0x01 => AclTag::UserObj,
                0x02 => AclTag::User(id),
                0x04 => AclTag::GroupObj,
                0x08 => AclTag::Group(id),
                0x10 => AclTag::Mask,
                0x20 => AclTag::Other,
                _ => return None,
            };
            Some(AclEntry { tag, perm: u16::from_le_bytes([e[2], e[3]]) & 7 })
        };
        entries.chunks_exact(8).map(entry).collect::<Option<_>>().map(Self)
    }

    /// The attribute's value.
    pub fn to_xattr(&self) -> Vec<u8> {
        let mut out = VERSION.to_le_bytes().to_vec();
        for entry in &self.0 {
            let (tag, id) = match entry.tag {
                AclTag::UserObj => (0x01_u16, u32::MAX),
                AclTag::User(id) => (0x02, id),
                AclTag::GroupObj => (0x04, u32::MAX),
                AclTag::Group(id) => (0x08, id),
                AclTag::Mask => (0x10, u32::MAX),
                AclTag::Other => (0x20, u32::MAX),
            };
            out.extend_from_slice(&tag.to_le_bytes());
            out.extend_from_slice(&entry.perm.to_le_bytes());
            out.extend_from_slice(&id.to_le_bytes());
        }
        out
    }

    /// What one of the entries allows.
    pub fn perm(&self, tag: AclTag) -> Option<u16> {
        self.0.iter().find(|entry| entry.tag == tag).map(|entry| entry.perm)
    }

    /// Lets an entry that is there allow more.
    pub fn allow(&mut self, tag: AclTag, perm: u16) {
        for entry in self.0.iter_mut().filter(|entry| entry.tag == tag) {
            entry.perm |= perm;
        }
    }
}

impl fmt::Display for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, entry) in self.0.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            match entry.tag {
                AclTag::UserObj => write!(f, "{comma}user::"),
                AclTag::User(id) => write!(f, "{comma}user:{id}:"),
                AclTag::GroupObj => write!(f, "{comma}group::"),
                AclTag::Group(id) => write!(f, "{comma}group:{id}:"),
                AclTag::Mask => write!(f, "{comma}mask::"),
                AclTag::Other => write!(f, "{comma}other::"),
            }?;
            f.write_str(rwx(entry.perm))?;
        }
        Ok(())
    }
}

/// Three bits as people read them.
pub fn rwx(perm: u16) -> &'static str {
    ["---", "--x", "-w-", "-wx", "r--", "r-x", "rw-", "rwx"][usize::from(perm & 7)]
}

/// A text that is no access control list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadAcl;

impl FromStr for Acl {
    type Err = BadAcl;

    fn from_str(text: &str) -> Result<Self, BadAcl> {
        let entry = |text: &str| {
            let mut parts = text.split(':');
            let (tag, id, perm) = (parts.next()?, parts.next()?, parts.next()?);
            let tag = match (tag, id) {
                ("user", "") => AclTag::UserObj,
                ("user", id) => AclTag::User(id.parse().ok()?),
                ("group", "") => AclTag::GroupObj,
                ("group", id) => AclTag::Group(id.parse().ok()?),
                ("mask", "") => AclTag::Mask,
                ("other", "") => AclTag::Other,
                _ => return None,
            };
            let perm = (0..8).find(|&p| rwx(p) == perm)?;
            parts.next().is_none().then_some(AclEntry { tag, perm })
        };
        text.split(',').map(entry).collect::<Option<_>>().map(Self).ok_or(BadAcl)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_text_are_the_same_list() {
        let text = "user::rw-,user:1001:r--,group::---,group:5000:rwx,mask::r-x,other::-w-";
        let acl: Acl = text.parse().unwrap();
        assert_eq!(acl.to_string(), text);
        assert_eq!(Acl::from_xattr(&acl.to_xattr()), Some(acl));
        for bad in ["", "user::rw", "user:x:rwx", "mask:1:rwx", "user::rw-:", "nobody::rwx"] {
            assert_eq!(bad.parse::<Acl>(), Err(BadAcl), "{bad}");
        }
        assert_eq!(Acl::from_xattr(b"\x02\0\0\0\x01\0\x06\0"), None);
        assert_eq!(Acl::from_xattr(b"\x01\0\0\0"), None);
    }
}
