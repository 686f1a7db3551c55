//! `-json`: an entry as one JSON object, in a line of its own.
//!
//! Nothing is lost: a path that is not UTF-8 is shown with U+FFFD, and beside it stands `path_bytes`, its bytes in base64, as in
//! the error ledger of a report; likewise what a link says. Times are UTC with all their digits. `user` and `group` are null for
//! a number without a name, `birth` where the file system keeps none.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use pwalk_fs::{Kind, Time};
use serde::Serialize;

use crate::format::{Told, stamp};

#[derive(Serialize)]
struct Object<'a> {
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    depth: u32,
    r#type: &'static str,
    size: u64,
    blocks: u64,
    mode: String,
    uid: u32,
    gid: u32,
    user: Option<String>,
    group: Option<String>,
    links: u32,
    dev: u64,
    inode: u64,
    accessed: Stamp,
    modified: Stamp,
    changed: Stamp,
    birth: Option<Stamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_bytes: Option<String>,
}

/// A time as RFC 3339 has it; in seconds where it is beyond what that can say (years -9999 to 9999).
#[derive(Serialize)]
#[serde(untagged)]
enum Stamp {
    Text(String),
    Seconds(i64),
}

impl From<Time> for Stamp {
    fn from(time: Time) -> Self {
        stamp(time).map_or(Self::Seconds(time.sec), |stamp| Self::Text(stamp.to_string()))
    }
}

/// Appends the object and a line feed.
pub(crate) fn line(told: &Told<'_>, out: &mut Vec<u8>) {
    let meta = told.meta;
    let (path, path_bytes) = text(told.path);
    let (target, target_bytes) = match meta.kind() {
        Kind::Symlink => {
            let target = told.tell.link();
            let (text, bytes) = text(&target);
            (Some(text.into_owned()), bytes)
        }
        _ => (None, None),
    };
    let object = Object {
        path: &path,
        path_bytes,
        depth: told.depth,
        r#type: meta.kind().name(),
        size: meta.size,
        blocks: meta.blocks,
        mode: format!("{:04o}", meta.mode & 0o7777),
        uid: meta.uid,
        gid: meta.gid,
        user: told.tell.user(meta.uid),
        group: told.tell.group(meta.gid),
        links: meta.nlink,
        dev: meta.dev,
        inode: meta.ino,
        accessed: meta.atime.into(),
        modified: meta.mtime.into(),
        changed: meta.ctime.into(),
        birth: meta.btime.map(Into::into),
        target,
        target_bytes,
    };
    let text = serde_json::to_string(&object).unwrap_or_default();
    for c in text.chars() {
        match c {
            // JSON lets them stand, but a terminal would obey them.
            '\u{7f}'..='\u{9f}' => out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'\n');
}

/// As text, and as bytes if that is not the same.
#[expect(clippy::disallowed_methods, reason = "shown as text; the bytes stand beside it")]
fn text(bytes: &[u8]) -> (std::borrow::Cow<'_, str>, Option<String>) {
    let text = String::from_utf8_lossy(bytes);
    let exact = matches!(text, std::borrow::Cow::Borrowed(_));
    (text, (!exact).then(|| BASE64.encode(bytes)))
}
