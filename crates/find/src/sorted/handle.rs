//! Directories of a sorted walk, opened when something is asked in them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::CStr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use pwalk_engine::ListedFd;
use pwalk_fs::{Errno, Freshness, Links, at_path, file_descriptor_limit, open_child, stat_fd};

use crate::entry::{Holder, Pinned};

/// Descriptors that stay open, and never more than an eighth of what the process may have.
const OPEN: u64 = 32;

/// A directory that can be opened.
pub(super) struct Handle {
    pub(super) path: Vec<u8>,
    pub(super) id: (u64, u64),
    pub(super) links: Links,
    /// Where calls are slow it is open already.
    pub(super) listed: Option<ListedFd>,
    pub(super) fd: RefCell<Option<Arc<OwnedFd>>>,
}

impl Handle {
    /// The directory itself: the one that was listed, or an error.
    pub(super) fn fd(&self) -> Result<Pinned, Errno> {
        if let Some(fd) = &self.listed {
            return Ok(Pinned::Listed(fd.clone()));
        }
        if let Some(fd) = &*self.fd.borrow() {
            return Ok(Pinned::Own(Arc::clone(fd)));
        }
        let fd = at_path(&self.path, |dir, rest| open_child(dir, rest, self.links))?;
        if stat_fd(&fd, Freshness::Cached)?.id() != self.id {
            // Something else stands there now: as if it were gone.
            return Err(Errno::NOENT);
        }
        let fd = Arc::new(fd);
        *self.fd.borrow_mut() = Some(Arc::clone(&fd));
        Ok(Pinned::Own(fd))
    }
}

/// An entry in a directory.
pub(super) struct InDir<'a> {
    pub(super) handle: &'a Handle,
    pub(super) name: &'a CStr,
}

impl Holder for InDir<'_> {
    fn fd(&self) -> Result<Pinned, Errno> {
        self.handle.fd()
    }

    fn name(&self) -> &CStr {
        self.name
    }
}

/// Directories that are open, the one used last at the end.
#[derive(Default)]
pub(super) struct Open(VecDeque<Rc<Handle>>);

impl Open {
    /// Keeps a directory among those that stay open, and closes the one that was used the longest ago.
    pub(super) fn used(&mut self, handle: &Rc<Handle>) {
        if self.0.back().is_some_and(|last| Rc::ptr_eq(last, handle)) {
            return;
        }
        self.0.retain(|other| !Rc::ptr_eq(other, handle));
        self.0.push_back(Rc::clone(handle));
        if self.0.len() as u64 > OPEN.min(file_descriptor_limit() / 8).max(2)
            && let Some(oldest) = self.0.pop_front()
        {
            oldest.fd.borrow_mut().take();
        }
    }
}
