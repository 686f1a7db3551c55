//! What is never repaired: the directories of the system, and what is seen of them elsewhere.
//!
//! A path is text, and there are many for one directory: relative, through links, through `..`, through bind mounts. So what is asked
//! is what was *opened*: which device and inode it is, and those of the directories above it, up to the top. `/` is refused
//! itself, and what is in it is not; the others are refused with all that is in them. The way up may leave a mount. If that
//! is an ordinary file system with a place of its own (`/var/data`), it is nobody's system, and the way ends.
//!
//! A bind mount shows a directory without what is above it. The kernel's list of mounts says which directory of which file system
//! each shows, and that must not be one inside a system directory either.
//!
//! The same list says which mounts below a repaired tree belong to it. One that shows a part of a file system, or one
//! that is mounted elsewhere too, would lead out of the tree: it is not entered.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use pwalk_fs::{Errno, Freshness, Meta, Mount, below, mount_list, mount_of, pin_above, pin_path, place_of, stat_fd};

/// The directories that are the system's.
const SYSTEM: [&str; 14] =
    ["/", "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys", "/usr", "/var"];

/// Where even a mount of its own is the system's: `/boot/efi`, `/sys/fs/cgroup`.
const DEEPLY: [&str; 3] = ["/boot", "/proc", "/sys"];

/// File systems that are the kernel's own, wherever they are mounted.
const KERNEL: &[&[u8]] = &[
    b"autofs",
    b"binfmt_misc",
    b"bpf",
    b"cgroup",
    b"cgroup2",
    b"configfs",
    b"debugfs",
    b"devpts",
    b"devtmpfs",
    b"efivarfs",
    b"fusectl",
    b"hugetlbfs",
    b"mqueue",
    b"nsfs",
    b"proc",
    b"pstore",
    b"rpc_pipefs",
    b"securityfs",
    b"selinuxfs",
    b"sysfs",
    b"tracefs",
];

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) how: &'static str,
    pub(crate) system: &'static str,
}

/// The system directories of this machine, found once.
pub(crate) struct Protected {
    ids: HashMap<(u64, u64), &'static str>,
    /// Where they are in their file systems: device, path from its top, name.
    places: Vec<(u64, Vec<u8>, &'static str)>,
    mounts: Mutex<Vec<Mount>>,
}

impl Protected {
    pub(crate) fn find() -> Self {
        let mounts = mount_list();
        let (mut ids, mut places) = (HashMap::new(), Vec::new());
        for name in SYSTEM {
            // What is not there needs no protection.
            let Ok(path) = std::ffi::CString::new(name) else { continue };
            let Ok(fd) = pin_path(&path) else { continue };
            let Ok(meta) = stat_fd(&fd, Freshness::Fresh) else { continue };
            // `/bin` may be `/usr/bin`; the first name stays, and `/` is first.
            ids.entry(meta.id()).or_insert(name);
            if let Some((dev, place)) = place_of(fd.as_fd(), &mounts).filter(|_| name != "/") {
                places.push((dev, place, name));
            }
        }
        Self { ids, places, mounts: Mutex::new(mounts) }
    }

    /// The system directory that this is.
    pub(crate) fn is(&self, id: (u64, u64)) -> Option<&'static str> {
        self.ids.get(&id).copied()
    }

    /// Whether an open directory may be repaired, with what is in it.
    pub(crate) fn check(&self, dir: BorrowedFd<'_>) -> Result<Option<Refusal>, Errno> {
        let refused = |how, system| Ok(Some(Refusal { how, system }));
        let mut meta = stat_fd(dir, Freshness::Fresh)?;
        if let Some(system) = self.is(meta.id()) {
            return refused("is", system);
        }
        let mut mount = mount_of(dir)?;
        let mut held: Option<OwnedFd> = None;
        let mut own_place = false;
        loop {
            let at = held.as_ref().map_or(dir, AsFd::as_fd);
            let above = pin_above(at)?;
            let (above_meta, above_mount) = (stat_fd(&above, Freshness::Fresh)?, mount_of(above.as_fd())?);
            let is_top = above_meta.id() == meta.id() && above_mount == mount;
            if is_top || above_mount != mount {
                // Gone from the list, or no list at all: what it shows cannot be told from the system.
                let Some(shown) = self.mount(mount) else {
                    return refused("is in a mount that the kernel's list does not have, and may be part of", "/");
                };
                if !own_place && KERNEL.contains(&&*shown.fs_type) {
                    return refused("is in a file system of the kernel's own, like", "/proc");
                }
                if let Some(system) = self.shows(&shown) {
                    return refused("is a part, mounted elsewhere, of", system);
                }
                own_place |= !is_top && self.is_ordinary(mount, meta.id());
            }
            if is_top {
                return Ok(None);
            }
            match self.is(above_meta.id()) {
                Some(system) if system != "/" && (!own_place || DEEPLY.contains(&system)) => {
                    return refused("is inside", system);
                }
                _ => {}
            }
            (held, meta, mount) = (Some(above), above_meta, above_mount);
        }
    }

    /// Whether a file may be repaired. It must not be mounted where it is from elsewhere, and its directory must not be the system's.
    pub(crate) fn check_file(&self, file: BorrowedFd<'_>, dir: BorrowedFd<'_>) -> Result<Option<Refusal>, Errno> {
        if mount_of(file)? != mount_of(dir)? {
            return Ok(Some(Refusal { how: "is a file that is mounted there, and may be part of", system: "/" }));
        }
        let refusal = self.check(dir)?;
        Ok(refusal.map(|refusal| if refusal.how == "is" { Refusal { how: "is inside", ..refusal } } else { refusal }))
    }

    /// Whether a mount is a file system with a place of its own: neither a system directory nor the kernel's.
    fn is_ordinary(&self, id: u64, root: (u64, u64)) -> bool {
        self.is(root).is_none() && self.mount(id).is_some_and(|mount| !KERNEL.contains(&&*mount.fs_type))
    }

    /// The system directory that a mount shows a part of.
    fn shows(&self, mount: &Mount) -> Option<&'static str> {
        let inside = |(dev, place, _): &&(u64, Vec<u8>, _)| *dev == mount.dev && below(&mount.root, place).is_some();
        self.places.iter().find(inside).map(|(_, _, name)| *name)
    }

    /// A mount that was met on the way down, at an open directory. What is wrong with entering it.
    pub(crate) fn may_enter(&self, dir: BorrowedFd<'_>, meta: &Meta, roots: &[Vec<u8>]) -> Result<(), &'static str> {
        const UNKNOWN: &str = "is a mount that has just come or gone";
        let mount = mount_of(dir).ok().and_then(|id| self.mount(id)).ok_or(UNKNOWN)?;
        if KERNEL.contains(&&*mount.fs_type) {
            return Err("is a file system of the kernel's own");
        }
        // A subvolume of Btrfs, whose top directory is always inode 256, is a file system by itself.
        if mount.root != b"/" && meta.ino != 256 {
            return Err("shows a directory that is elsewhere (a bind mount)");
        }
        let mounts = self.mounts.lock().unwrap_or_else(PoisonError::into_inner);
        let elsewhere = |other: &&Mount| {
            let shown_twice = below(&other.root, &mount.root).is_some() || below(&mount.root, &other.root).is_some();
            other.dev == mount.dev && shown_twice && !roots.iter().any(|root| below(&other.point, root).is_some())
        };
        match mounts.iter().find(elsewhere) {
            Some(_) => Err("shows a file system that is mounted elsewhere, too"),
            None => Ok(()),
        }
    }

    fn mount(&self, id: u64) -> Option<Mount> {
        let mut mounts = self.mounts.lock().unwrap_or_else(PoisonError::into_inner);
        if !mounts.iter().any(|mount| mount.id == id) {
            *mounts = mount_list();
        }
        mounts.iter().find(|mount| mount.id == id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_directories_are_refused_however_they_are_named() {
        let protected = Protected::find();
        let check =
            |path: &str| protected.check(pin_path(&std::ffi::CString::new(path).unwrap()).unwrap().as_fd()).unwrap();
        for (path, how) in
            [("/", "is"), ("/etc", "is"), ("/usr/../etc", "is"), ("/usr/share", "is inside"), ("/proc/1", "is inside")]
        {
            assert_eq!(check(path).map(|refusal| refusal.how), Some(how), "{path}");
        }
        // Through the kernel's links, which no text would give away.
        assert_eq!(check("/proc/self/root/etc").map(|refusal| refusal.how), Some("is"));
        assert_eq!(check("/proc/self/root/tmp"), None);
        assert_eq!(check("/tmp"), None);
    }
}
