//! What is mounted where, as the kernel's own list has it (`proc_pid_mountinfo(5)`).
//!
//! [`Mounts`] knows the type of the file system that a device number belongs to. `statfs` says a number for it and costs a call for
//! each file; the list says the name, once for all. A file system that was mounted after the list was read makes it be read again.

use std::collections::HashMap;
use std::fs::read;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, PoisonError};

use rustix::fs::makedev;

use crate::{mount_of, path_of};

/// The list of mounts, read when it is asked for the first time.
#[derive(Debug, Default)]
pub struct Mounts {
    types: Mutex<HashMap<u64, Box<[u8]>>>,
}

impl Mounts {
    /// The type of the file system with this device number, as `mount` calls it; none where the kernel's list has none.
    pub fn fs_type(&self, dev: u64) -> Option<Box<[u8]>> {
        let mut types = self.types.lock().unwrap_or_else(PoisonError::into_inner);
        if !types.contains_key(&dev) {
            types.extend(mount_list().into_iter().map(|mount| (mount.dev, mount.fs_type)));
        }
        types.get(&dev).cloned()
    }
}

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Its number, as [`mount_of`](crate::mount_of) says it.
    pub id: u64,
    /// The device of the file system.
    pub dev: u64,
    /// Which directory of the file system is shown, as a path in the file system: `/` unless it is a bind mount or a subvolume.
    pub root: Vec<u8>,
    /// Where it is shown.
    pub point: Vec<u8>,
    /// The type of the file system.
    pub fs_type: Box<[u8]>,
    /// What is mounted: `/dev/sda1`, `server:/export`.
    pub source: Vec<u8>,
}

/// All mounts that this process sees; none where the kernel does not say.
pub fn mount_list() -> Vec<Mount> {
    parse(&read("/proc/self/mountinfo").unwrap_or_default()).collect()
}

/// Where an open directory is in its file system: the device, and the path there, which is the same through whichever of several mounts it
/// was reached. None if the kernel does not say.
pub fn place_of(fd: BorrowedFd<'_>, mounts: &[Mount]) -> Option<(u64, Vec<u8>)> {
    let (id, path) = (mount_of(fd).ok()?, path_of(fd).ok()?);
    let mount = mounts.iter().find(|mount| mount.id == id)?;
    let rest = below(&path, &mount.point)?;
    let mut place = mount.root.clone();
    if !rest.is_empty() {
        if place.last() != Some(&b'/') {
            place.push(b'/');
        }
        place.extend_from_slice(rest);
    }
    Some((mount.dev, place))
}

/// What is left of `path` below `top`, by components: nothing for `top` itself, none for what is not below it.
pub fn below<'a>(path: &'a [u8], top: &[u8]) -> Option<&'a [u8]> {
    let top = top.strip_suffix(b"/").unwrap_or(top);
    match path.strip_prefix(top)? {
        [] => Some(&[]),
        [b'/', rest @ ..] => Some(rest),
        _ => None,
    }
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`: the type follows a lone `-`.
fn parse(list: &[u8]) -> impl Iterator<Item = Mount> {
    list.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ');
        let id = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
        let (major, minor) = std::str::from_utf8(fields.nth(1)?).ok()?.split_once(':')?;
        let dev = makedev(major.parse().ok()?, minor.parse().ok()?);
        let (root, point) = (unescaped(fields.next()?), unescaped(fields.next()?));
        let mut fields = fields.skip_while(|field| *field != b"-").skip(1);
        let (fs_type, source) = (fields.next()?.into(), unescaped(fields.next()?));
        Some(Mount { id, dev, root, point, fs_type, source })
    })
}

/// Blanks and backslashes stand in the list as `\` and three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| byte == b'\\').and_then(|three| std::str::from_utf8(three).ok());
        match digits.and_then(|three| u8::from_str_radix(three, 8).ok()) {
            Some(escaped) => {
                out.push(escaped);
                rest = &after[3..];
            }
            None => {
                out.push(byte);
                rest = after;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_goes_by_components() {
        assert_eq!(below(b"/a/b", b"/a"), Some(&b"b"[..]));
        assert_eq!(below(b"/a", b"/a"), Some(&b""[..]));
        assert_eq!(below(b"/a/b", b"/"), Some(&b"a/b"[..]));
        assert_eq!(below(b"/", b"/"), Some(&b""[..]));
        assert_eq!(below(b"/a/bc", b"/a/b"), None);
        assert_eq!(below(b"/a", b"/a/b"), None);
    }

    #[test]
    fn reads_the_kernels_list() {
        let list = b"36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\nnonsense\n24 1 0:22 / /proc rw - proc proc rw\n";
        let mounts: Vec<_> = parse(list).collect();
        let mount = |id, dev, root: &[u8], point: &[u8], fs_type: &[u8], source: &[u8]| Mount {
            id,
            dev,
            root: root.into(),
            point: point.into(),
            fs_type: fs_type.into(),
            source: source.into(),
        };
        assert_eq!(mounts[0], mount(36, makedev(98, 0), b"/mnt1", b"/mnt 2", b"ext3", b"/dev/root"));
        assert_eq!(mounts[1..], [mount(24, makedev(0, 22), b"/", b"/proc", b"proc", b"proc")]);
        let proc = crate::stat_path(c"/proc", crate::Links::Follow).unwrap();
        assert_eq!(Mounts::default().fs_type(proc.dev).as_deref(), Some(&b"proc"[..]));
    }
}
