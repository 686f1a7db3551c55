//! What is mounted: the type of the file system that a device number belongs to.
//!
//! `statfs` says a number for it and a call for each file; the kernel's own list says the name, once for all. A file system that
//! was mounted after the list was read makes it be read again.

use std::collections::HashMap;
use std::fs::read;
use std::sync::{Mutex, PoisonError};

use rustix::fs::makedev;

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
            types.extend(parse(&read("/proc/self/mountinfo").unwrap_or_default()));
        }
        types.get(&dev).cloned()
    }
}

/// Lines of `proc_pid_mountinfo(5)`: the third field is `major:minor`, and the type follows a lone `-`.
fn parse(list: &[u8]) -> impl Iterator<Item = (u64, Box<[u8]>)> {
    list.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ');
        let (major, minor) = std::str::from_utf8(fields.nth(2)?).ok()?.split_once(':')?;
        let dev = makedev(major.parse().ok()?, minor.parse().ok()?);
        let name = fields.skip_while(|field| *field != b"-").nth(1)?;
        Some((dev, name.into()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_list() {
        let list = b"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\nnonsense\n24 1 0:22 / /proc rw - proc proc rw\n";
        let types: Vec<_> = parse(list).collect();
        assert_eq!(types, [(makedev(98, 0), (*b"ext3").into()), (makedev(0, 22), (*b"proc").into())]);
        let proc = crate::stat_path(c"/proc", crate::Links::Follow).unwrap();
        assert_eq!(Mounts::default().fs_type(proc.dev).as_deref(), Some(&b"proc"[..]));
    }
}
