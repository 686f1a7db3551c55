//! Going down: opening a sub-directory and making sure it is the one that was listed.
//!
//! Between the listing and the opening, the tree belongs to others. A child is opened relative to its
//! parent's descriptor, as a directory and not through a link, and is then compared with what its
//! entry said: device and inode where the entry was stat'ed. Something else is an error ("replaced"),
//! never a silent descent.
//!
//! Two honest differences are told apart from a swap. An automount point becomes a mount when it is
//! opened: what was opened is the root of a mount on another device. And where only names were asked
//! for, the entry said no more than `d_ino`: it differs on a mount point, and on file systems whose
//! `d_ino` is not to be trusted, which the directory's own `.` gives away.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use pwalk_fs::{Errno, Freshness, Kind, Links, Meta, Names, open_child, open_path, stat_at, stat_fd, stat_path};

use crate::dir::Dir;
use crate::fds::{Held, Lost};
use crate::hands::classify;
use crate::shared::{RootPath, Shared};
use crate::slot::{Flight, Quit};
use crate::task::{Child, Children, OpenListing, Task};
use crate::worker::Worker;
use crate::{Class, Descend, FollowLinks, Mounts, Op, Operand, RootLinks, Visitor};

/// What opening came to.
enum Opened {
    Dir(Arc<Held>, Meta),
    /// Another file system, and the walk stays on one.
    Foreign(Meta),
    /// It failed; with what is known of the entry, if it had not been described before.
    Lost(Lost, Option<Meta>),
}

impl<V: Visitor> Worker<V> {
    /// Enters one of the sub-directories; the others go back for whoever is free.
    pub(crate) fn children(&mut self, mut children: Children<V::State>) -> Result<(), Quit> {
        let Some(child) = children.list.pop() else { return Ok(()) };
        self.shared.waiting.fetch_sub(1, Relaxed);
        let (parent, names) = (Arc::clone(&children.dir), Arc::clone(&children.names));
        if children.list.is_empty() {
            drop(children);
        } else {
            self.hands().push(Task::Children(children));
        }
        let shared = Arc::clone(&self.shared);
        let slot = &shared.slots[self.index];
        *slot.flight.lock() = Flight::Open { parent: Arc::clone(&parent), names: Arc::clone(&names), child };
        self.permit()?;
        let opened = if parent.is_hopeless() {
            Opened::Lost(Lost::Timeout, None)
        } else {
            slot.call(|| open_checked(&shared, &parent, &names, &child))?
        };
        let still_needed = shared.fds.done(&parent, 1);
        if still_needed && parent.fd.get().is_none() {
            // It was closed under pressure and opened again: it may be closed again.
            shared.fds.may_lose(&parent);
        }
        match opened {
            Opened::Dir(fd, meta) => self.read(&parent, &names, &child, fd, meta),
            Opened::Foreign(meta) => {
                let dir = new_dir(&parent, &names, &child, Some(meta));
                self.hands().finish(Arc::new(dir), 1);
                Ok(())
            }
            Opened::Lost(lost, meta) => {
                self.hands().lost_child(&parent, &names, &child, meta, &lost);
                Ok(())
            }
        }
    }

    fn read(
        &mut self,
        parent: &Arc<Dir<V::State>>,
        names: &Names,
        child: &Child,
        fd: Arc<Held>,
        meta: Meta,
    ) -> Result<(), Quit> {
        let dir = Arc::new(new_dir(parent, names, child, Some(meta)));
        dir.fd.set(Arc::clone(&fd));
        self.enter(dir, fd)
    }

    /// Calls `enter` and begins to read, or leaves at once.
    fn enter(&mut self, dir: Arc<Dir<V::State>>, fd: Arc<Held>) -> Result<(), Quit> {
        let descend = self.hands().enter(&dir);
        if descend == Descend::Into {
            return self.list(OpenListing { dir, fd });
        }
        self.shared.fds.done(&dir, 1);
        self.hands().finish(dir, 1);
        Ok(())
    }

    /// Begins with a root. Links in its path, the last one too, are what the user wrote.
    pub(crate) fn root(&mut self, index: usize) -> Result<(), Quit> {
        let shared = Arc::clone(&self.shared);
        let slot = &shared.slots[self.index];
        let RootPath { path, name } = &shared.roots[index];
        *slot.flight.lock() = Flight::Root { index };
        self.permit()?;
        let links = match shared.options.root_links {
            RootLinks::Follow => Links::Follow,
            RootLinks::Keep => Links::NoFollow,
        };
        let meta = slot.call(|| match stat_path(path, links) {
            Err(Errno::NOENT | Errno::LOOP) => stat_path(path, Links::NoFollow),
            other => other,
        })?;
        let hands = self.hands();
        let meta = match meta {
            Ok(meta) => meta,
            Err(errno) => {
                hands.report(Op::Stat, Class::from(errno), Some(errno), path.to_bytes().to_vec());
                return Ok(());
            }
        };
        let counters = &slot.counters;
        counters.entries.fetch_add(1, Relaxed);
        counters.bytes.fetch_add(meta.size, Relaxed);
        let operand = Operand { path: path.to_bytes(), meta: &meta, root: index };
        if !meta.kind().is_dir() {
            hands.visit(None, |v, cx| v.operand(cx, &operand));
            return Ok(());
        }
        if hands.visit(None, |v, cx| v.root(cx, &operand)) != Some(Descend::Into) {
            return Ok(());
        }
        let opened = slot.call(|| {
            let fd = shared.fds.open(|| open_path(path, links)).map_err(Lost::Errno)?;
            let now = stat_fd(&*fd, Freshness::Fresh).map_err(Lost::Errno)?;
            // A link that is followed may lead elsewhere by now, as it may at any time.
            let same = links == Links::Follow || now.id() == meta.id() || now.mount_root == Some(true);
            if same { Ok((fd, now)) } else { Err(Lost::Replaced) }
        })?;
        match opened {
            Ok((fd, meta)) => {
                let dir = Arc::new(Dir::new(None, name, index, Some(meta)));
                dir.fd.set(Arc::clone(&fd));
                self.enter(dir, fd)
            }
            Err(lost) => {
                let dir = Arc::new(Dir::new(None, name, index, Some(meta)));
                hands.report_dir(Op::Open, &lost, &dir);
                hands.finish(dir, 1);
                Ok(())
            }
        }
    }
}

impl<V: Visitor> crate::hands::Hands<'_, V> {
    /// Calls `enter` for a directory.
    pub(crate) fn enter(&self, dir: &Arc<Dir<V::State>>) -> Descend {
        let entered = self.visit(Some(dir), |v, cx| v.enter(cx, dir, dir.parent.as_ref().and_then(|p| p.state())));
        let Some((state, descend)) = entered else { return Descend::Skip };
        if dir.state.set(state).is_err() {
            // Only this call sets it, once per directory.
            return Descend::Skip;
        }
        descend
    }

    /// A sub-directory could not be entered: it is reported, and left unread.
    pub(crate) fn lost_child(
        &self,
        parent: &Arc<Dir<V::State>>,
        names: &Names,
        child: &Child,
        meta: Option<Meta>,
        lost: &Lost,
    ) {
        let dir = Arc::new(new_dir(parent, names, child, meta.or(child.meta)));
        if classify(Op::Open, lost).0 == Class::Timeout {
            parent.timeouts.fetch_add(1, Relaxed);
        }
        self.report_dir(Op::Open, lost, &dir);
        self.finish(dir, 1);
    }
}

fn new_dir<S>(parent: &Arc<Dir<S>>, names: &Names, child: &Child, meta: Option<Meta>) -> Dir<S> {
    let mut dir = Dir::new(Some(parent), names.c_name(child.index as usize), parent.root, meta);
    dir.via_link = child.via_link;
    dir
}

/// Opens a sub-directory and checks that it is the one its entry meant.
fn open_checked<V: Visitor>(shared: &Shared<V>, parent: &Arc<Dir<V::State>>, names: &Names, child: &Child) -> Opened {
    let name = names.c_name(child.index as usize);
    let above = match shared.fds.get(parent) {
        Ok(above) => above,
        Err(lost) => return Opened::Lost(lost, None),
    };
    let links = if child.via_link { Links::Follow } else { Links::NoFollow };
    let fresh = shared.options.freshness;
    let opened = shared.fds.open(|| open_child(above.as_fd(), name, links));
    let (fd, meta) = match opened.and_then(|fd| stat_fd(&*fd, fresh).map(|meta| (fd, meta))) {
        Ok(both) => both,
        Err(errno) => {
            let known = child.meta.or_else(|| stat_at(above.as_fd(), name, links, fresh).ok());
            return Opened::Lost(Lost::Errno(errno), known);
        }
    };
    let foreign = parent.meta.as_ref().is_some_and(|p| p.dev != meta.dev);
    if !is_expected(parent, names, child, &meta, foreign, &above) {
        Opened::Lost(Lost::Replaced, Some(child.meta.unwrap_or(meta)))
    } else if shared.options.follow_links == FollowLinks::Always && parent.is_below(meta.id()) {
        Opened::Lost(Lost::Loop, Some(meta))
    } else if foreign && shared.options.mounts == Mounts::Stay {
        Opened::Foreign(meta)
    } else {
        Opened::Dir(fd, meta)
    }
}

fn is_expected<S>(parent: &Dir<S>, names: &Names, child: &Child, now: &Meta, foreign: bool, above: &Held) -> bool {
    if let Some(then) = &child.meta {
        return then.id() == now.id() || (now.mount_root == Some(true) && now.dev != then.dev);
    }
    let entry = names.entry(child.index as usize);
    if entry.ino == now.ino || foreign || now.mount_root == Some(true) || child.via_link {
        return true;
    }
    let honest = parent.meta.as_ref().is_some_and(|m| names.self_ino() == Some(m.ino));
    if honest && now.mount_root.is_some() {
        return false;
    }
    // `d_ino` means nothing here (or an old kernel hides a bind mount): what stands under the name
    // now must at least be what was opened.
    let again = stat_at(above.as_fd(), names.c_name(child.index as usize), Links::NoFollow, Freshness::Fresh);
    entry.kind == Kind::Unknown || again.is_ok_and(|m| m.id() == now.id())
}
