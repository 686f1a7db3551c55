//! A change as a value: what an entry is, how it is, how it should be.
//!
//! A plan and a journal hold the same thing, one JSON object for each, and so does `--json`. Numbers and not names are kept of users
//! and groups; modes are octal; a path that is not UTF-8 has its bytes beside it, in base64.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use pwalk_fs::{Acl, Kind, Meta, Time};
use serde::{Deserialize, Serialize, Serializer};

use super::access::{Access, SET_IDS};
use crate::shown::{path_bytes, path_text};

/// A file or directory whose access is to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The place of its root among the roots.
    pub root: usize,
    /// Its path: the root's, then the names below it.
    pub path: Vec<u8>,
    /// File or directory.
    pub kind: Kind,
    /// Device.
    pub dev: u64,
    /// Inode.
    pub ino: u64,
    /// Birth, where the file system keeps it. With device and inode it tells a file from a later one.
    pub birth: Option<Time>,
    /// Number of its names.
    pub links: u32,
    /// How it is.
    pub before: Access,
    /// How it should be.
    pub after: Access,
}

impl Change {
    /// Whether `meta` is of the same inode, and not of a later one with its number.
    pub(crate) fn is_of(&self, meta: &Meta) -> bool {
        let born_alike = match (self.birth, meta.btime) {
            (Some(then), Some(now)) => then == now,
            _ => true,
        };
        meta.id() == (self.dev, self.ino) && meta.kind() == self.kind && born_alike
    }

    /// Whether a file loses what let it run with other rights.
    pub(crate) fn drops_privilege(&self) -> bool {
        !self.kind.is_dir() && has_more_privilege(&self.before, &self.after)
    }

    /// Whether a file gets what lets it run with other rights: only an undo does that.
    pub(crate) fn gives_privilege(&self) -> bool {
        !self.kind.is_dir() && has_more_privilege(&self.after, &self.before)
    }

    /// Whether owner or group change.
    pub(crate) fn changes_hands(&self) -> bool {
        (self.before.uid, self.before.gid) != (self.after.uid, self.after.gid)
    }
}

/// Whether setuid, setgid or capabilities are on one side and not on the other.
fn has_more_privilege(one: &Access, other: &Access) -> bool {
    one.mode & SET_IDS & !other.mode != 0 || (one.capability.is_some() && one.capability != other.capability)
}

/// A change as it is written and read. What is written borrows, because a run may write millions.
#[derive(Serialize, Deserialize)]
pub(crate) struct Item<'a> {
    /// Its number in a journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<Cow<'a, str>>,
    root: usize,
    path: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    r#type: Type,
    dev: u64,
    inode: u64,
    birth: Option<(i64, u32)>,
    links: u32,
    from: Side,
    to: Side,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Type {
    File,
    Directory,
}

#[derive(Serialize, Deserialize)]
struct Side {
    uid: u32,
    gid: u32,
    mode: Octal,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    acl: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capability: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<String>,
}

/// A mode, in JSON as text of four octal digits.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Octal(u32);

impl Serialize for Octal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:04o}", self.0))
    }
}

impl TryFrom<String> for Octal {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o7777);
        mode.map(Self).ok_or("a mode is up to four octal digits")
    }
}

impl From<&Access> for Side {
    fn from(access: &Access) -> Self {
        let Access { uid, gid, mode, acl, capability, content } = access;
        let capability = capability.as_ref().map(|value| BASE64.encode(value));
        Self {
            uid: *uid,
            gid: *gid,
            mode: Octal(*mode),
            acl: acl.as_ref().map(Acl::to_string),
            capability,
            content: content.clone(),
        }
    }
}

impl TryFrom<Side> for Access {
    type Error = &'static str;

    fn try_from(side: Side) -> Result<Self, &'static str> {
        let acl = side.acl.map(|text| text.parse::<Acl>()).transpose();
        let capability = side.capability.map(|text| BASE64.decode(text)).transpose();
        Ok(Self {
            uid: side.uid,
            gid: side.gid,
            mode: side.mode.0,
            acl: acl.map_err(|_| "an access control list is not of the form user::rwx,user:1001:r--,…")?,
            capability: capability.map_err(|_| "capability is not base64")?,
            content: side.content,
        })
    }
}

impl<'a> Item<'a> {
    /// The change as it stands in a journal.
    pub(crate) fn numbered(change: &'a Change, number: u64, time: &'a str) -> Self {
        Self { number: Some(number), time: Some(Cow::Borrowed(time)), ..change.into() }
    }
}

impl<'a> From<&'a Change> for Item<'a> {
    fn from(change: &'a Change) -> Self {
        let (path, path_bytes) = path_text(&change.path);
        Self {
            number: None,
            time: None,
            root: change.root,
            path,
            path_bytes,
            r#type: if change.kind.is_dir() { Type::Directory } else { Type::File },
            dev: change.dev,
            inode: change.ino,
            birth: change.birth.map(|time| (time.sec, time.nsec)),
            links: change.links,
            from: (&change.before).into(),
            to: (&change.after).into(),
        }
    }
}

impl TryFrom<Item<'_>> for Change {
    type Error = &'static str;

    fn try_from(item: Item<'_>) -> Result<Self, &'static str> {
        Ok(Self {
            root: item.root,
            path: path_bytes(&item.path, item.path_bytes.as_deref())?,
            kind: match item.r#type {
                Type::File => Kind::File,
                Type::Directory => Kind::Dir,
            },
            dev: item.dev,
            ino: item.inode,
            birth: item.birth.map(|(sec, nsec)| Time { sec, nsec }),
            links: item.links,
            before: item.from.try_into()?,
            after: item.to.try_into()?,
        })
    }
}

/// The change as one JSON object, as it stands in a plan and in a journal.
pub fn to_json(change: &Change) -> String {
    // Numbers and text: what cannot be written does not exist.
    serde_json::to_string(&Item::from(change)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_everything() {
        let acl = "user::rw-,user:7:rwx,group::---,mask::r--,other::---".parse().ok();
        let before = Access { uid: 1, gid: 2, mode: 0o4640, acl, capability: Some(vec![1, 0, 255]), content: None };
        let change = Change {
            root: 3,
            path: b"/a/\xff\n".to_vec(),
            kind: Kind::File,
            dev: u64::MAX,
            ino: 1 << 60,
            birth: Some(Time { sec: -5, nsec: 7 }),
            links: 2,
            after: Access { acl: None, ..before.clone() },
            before,
        };
        let json = to_json(&change);
        assert!(json.contains(r#""mode":"4640""#) && json.contains(r#""path_bytes":"L2Ev/wo=""#), "{json}");
        assert_eq!(Change::try_from(serde_json::from_str::<Item<'_>>(&json).unwrap()), Ok(change));
        for (good, bad) in [(r#""4640""#, r#""9""#), (r#""4640""#, r#""17777""#), ("L2Ev", "?"), ("mask::r--", "mask")]
        {
            let read = serde_json::from_str::<Item<'_>>(&json.replace(good, bad)).map(Change::try_from);
            assert!(!matches!(read, Ok(Ok(_))), "{bad}");
        }
    }
}
