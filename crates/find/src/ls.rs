//! `-ls`: an entry as `ls -dils` shows it, in columns as GNU find has them.
//!
//! The columns are as wide as GNU find begins with; it widens them as it goes, which means nothing where the order is not given.

use std::io::Write;

use pwalk_fs::{Kind, Meta, Time};
use rustix::fs::{major, minor};

use crate::format::{Told, short_time, symbolic};

/// Half a year: what is older is shown with its year instead of the time of day.
const RECENT: i64 = 6 * 30 * 86_400;
/// What is in the future by more, too.
const AHEAD: i64 = 3_600;

/// Appends the line. `now`: when the program was started.
pub(crate) fn line(told: &Told<'_>, now: Time, out: &mut Vec<u8>) {
    let meta = told.meta;
    let name = |name: Option<String>, id: u32| name.unwrap_or_else(|| id.to_string());
    let (user, group) = (name(told.tell.user(meta.uid), meta.uid), name(told.tell.group(meta.gid), meta.gid));
    let mode = symbolic(meta.mode);
    let recent = meta.mtime.sec > now.sec - RECENT && meta.mtime.sec <= now.sec + AHEAD;
    let written = write!(
        out,
        "{:>9} {:>6} {} {:>3} {user:<8} {group:<8} {} {} ",
        meta.ino,
        meta.blocks.div_ceil(2),
        mode.escape_ascii(),
        meta.nlink,
        size(meta),
        short_time(meta.mtime, recent),
    );
    debug_assert!(written.is_ok(), "writing to memory cannot fail");
    escape(told.path, out);
    if meta.kind() == Kind::Symlink {
        out.extend_from_slice(b" -> ");
        escape(&told.tell.link(), out);
    }
    out.push(b'\n');
}

fn size(meta: &Meta) -> String {
    match meta.kind() {
        Kind::Block | Kind::Char => format!("{:>3}, {:>3}", major(meta.rdev), minor(meta.rdev)),
        _ => format!("{:>8}", meta.size),
    }
}

/// A name in one word of ASCII: `find -ls` writes blanks, backslashes and quotes as C does, and other bytes as octal numbers.
fn escape(name: &[u8], out: &mut Vec<u8>) {
    for byte in name {
        match byte {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b' ' | b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            0x21..=0x7e => out.push(*byte),
            _ => out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
        }
    }
}
