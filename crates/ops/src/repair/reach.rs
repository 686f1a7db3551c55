//! Finding an entry again by the path that a plan or a journal kept.
//!
//! From the root, name by name, each relative to the one before and never through a link; at the end the caller compares identities.
//! Entries come in the order of a walk, so the directory of the last one is kept open.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use pwalk_fs::{Errno, Freshness, below, pin, pin_path, stat_fd};

use super::journal::Root;

/// A root that was found again, and the directory where something was last found.
pub(crate) struct Reach {
    root: Root,
    fd: Arc<OwnedFd>,
    /// The device that the root was on, and the one it is on now: numbers of devices change with a restart.
    moved: (u64, u64),
    last: Option<(Vec<u8>, Arc<OwnedFd>)>,
}

impl Reach {
    /// Opens a root. It must be the directory or file it was.
    pub(crate) fn open(root: &Root) -> Result<Self, Errno> {
        let path = CString::new(root.path.clone()).map_err(|_| Errno::NOENT)?;
        let fd = pin_path(&path)?;
        let now = stat_fd(&fd, Freshness::Fresh)?;
        let (dev, ino) = root.id.ok_or(Errno::NOENT)?;
        if ino != now.ino {
            return Err(Errno::STALE);
        }
        Ok(Self { root: root.clone(), fd: Arc::new(fd), moved: (dev, now.dev), last: None })
    }

    /// The root.
    pub(crate) fn root(&self) -> &OwnedFd {
        &self.fd
    }

    /// The present number of a device.
    pub(crate) fn device(&self, dev: u64) -> u64 {
        if dev == self.moved.0 { self.moved.1 } else { dev }
    }

    /// Pins what is at `path` now.
    pub(crate) fn pin(&mut self, path: &[u8]) -> Result<Arc<OwnedFd>, Errno> {
        let rest = below(path, &self.root.path).ok_or(Errno::INVAL)?;
        if rest.is_empty() {
            return Ok(Arc::clone(&self.fd));
        }
        let (above, name) = match rest.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&rest[..slash], &rest[slash + 1..]),
            None => (&rest[..0], rest),
        };
        let dir = match &self.last {
            Some((path, dir)) if path == above => Arc::clone(dir),
            _ => self.descend(above)?,
        };
        self.last = Some((above.to_vec(), Arc::clone(&dir)));
        step(&dir, name).map(Arc::new)
    }

    fn descend(&self, rest: &[u8]) -> Result<Arc<OwnedFd>, Errno> {
        let mut at = Arc::clone(&self.fd);
        for name in rest.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            at = Arc::new(step(&at, name)?);
        }
        Ok(at)
    }
}

fn step(dir: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    if matches!(name, b"" | b"." | b"..") {
        return Err(Errno::INVAL);
    }
    pin(dir.as_fd(), &CString::new(name).map_err(|_| Errno::INVAL)?)
}
