//! What is no regular file and no directory: links, fifos, sockets, devices; and further names of files that were copied.
//!
//! Each is pinned without being opened, so that a fifo does not wait and a tape does not rewind. What is made is pinned as well, looked at, and
//! changed through that pin: nobody who takes its name meanwhile gets anything.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use pwalk_engine::{Context, Held};
use pwalk_fs::{
    Errno, Freshness, Kind, Links, Meta, Replace, create_link, create_node, link_open, pin, read_link, remove, rename,
    stat_at, stat_fd,
};

use super::error::{Failure, source, target};
use super::file::{Became, Standing};
use super::keep::{Attributes, Fresh};
use super::links::Copied;
use super::options::Existing;
use super::visitor::{Spot, Worker};

impl Worker {
    /// Copies a link, a fifo, a socket or a device.
    pub(crate) fn other(&mut self, cx: &mut Context<'_, Self>, spot: &Arc<Spot>, name: &CStr, kind: Kind) {
        if let Err(why) = self.try_other(cx, spot, name, kind) {
            self.fail(cx, &spot.path(name), why);
        }
    }

    fn try_other(
        &mut self,
        cx: &mut Context<'_, Self>,
        spot: &Arc<Spot>,
        name: &CStr,
        kind: Kind,
    ) -> Result<(), Failure> {
        let pinned = pin(spot.fd(), name).map_err(source("open"))?;
        let meta = stat_fd(&pinned, Freshness::Fresh).map_err(source("look at"))?;
        if meta.kind() != kind && kind != Kind::Unknown || matches!(meta.kind(), Kind::File | Kind::Dir | Kind::Unknown)
        {
            return Err(Failure::Replaced);
        }
        let standing = self.standing(spot, name, &meta)?;
        if meta.nlink > 1 && self.shared.options.keep.links {
            return self.linked(cx, spot, name, &meta, standing, |worker, _| {
                worker.remake(spot, name, &pinned, &meta, standing).map(|id| Became::Copy(Some(id)))
            });
        }
        match standing {
            Standing::Stays(_) => Ok(()),
            _ => self.remake(spot, name, &pinned, &meta, standing).map(drop),
        }
    }

    /// Makes its like. Returns the identity of what was made.
    fn remake(
        &mut self,
        spot: &Spot,
        name: &CStr,
        pinned: &OwnedFd,
        meta: &Meta,
        standing: Standing,
    ) -> Result<(u64, u64), Failure> {
        let Some(place) = &spot.place else { return Ok(meta.id()) };
        // Only root can have attributes of these, or read them.
        let attributes = if self.shared.is_root {
            self.shared.options.keep.read(pinned.as_fd(), &mut self.names)?
        } else {
            Attributes::new()
        };
        let dir = self.shared.places.fd(place)?;
        let held = dir.as_fd();
        let content = (meta.kind() == Kind::Symlink).then(|| read_link(pinned.as_fd(), c"")).transpose();
        let content = content.map_err(source("read"))?.map(|text| CString::new(text).unwrap_or_default());
        let make = |name: &CStr| match &content {
            Some(text) => create_link(text, held, name),
            None => {
                let mode = if self.shared.options.keep.mode { 0o600 } else { meta.mode & 0o777 };
                create_node(held, name, meta.kind(), mode, meta.rdev)
            }
        };
        let (made, is_temporary) = self.under_some_name(spot.target(name), standing, make)?;
        let done = self.dress(&dir, &made, meta, &attributes, place.has_default_acl).and_then(|(id, lost)| {
            if is_temporary {
                rename(held, &made, spot.target(name), Replace::Yes).map_err(target("name"))?;
            }
            Ok((id, lost))
        });
        match done {
            Ok((id, lost)) => {
                spot.settle(name);
                let counts = &self.shared.counts;
                counts.files.fetch_add(1, Relaxed);
                counts.replaced.fetch_add(u64::from(is_temporary), Relaxed);
                lost.iter().for_each(|why| self.shared.fail(&spot.path(name), why));
                Ok(id)
            }
            Err(why) => {
                if is_temporary {
                    // What stays the next --resume removes.
                    remove(held, &made, Kind::File).unwrap_or_default();
                }
                Err(why)
            }
        }
    }

    /// Makes something under its name, or, where something else stands, under one for the time being.
    fn under_some_name(
        &self,
        name: &CStr,
        standing: Standing,
        make: impl Fn(&CStr) -> Result<(), Errno>,
    ) -> Result<(CString, bool), Failure> {
        if standing == Standing::Nothing {
            return match make(name) {
                Ok(()) => Ok((name.to_owned(), false)),
                Err(Errno::EXIST) => Err(Failure::InTheWay(Kind::File)),
                Err(errno) => Err(target("make")(errno)),
            };
        }
        loop {
            let temporary = self.temporary();
            match make(&temporary) {
                Ok(()) => return Ok((temporary, true)),
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(target("make")(errno)),
            }
        }
    }

    /// Sets what is kept, through a pin of what was made.
    fn dress(
        &self,
        dir: &Held,
        name: &CStr,
        meta: &Meta,
        attributes: &Attributes,
        may_have_attributes: bool,
    ) -> Result<((u64, u64), Vec<Failure>), Failure> {
        let made = pin(dir.as_fd(), name).map_err(target("open"))?;
        let now = stat_fd(&made, Freshness::Fresh).map_err(target("look at"))?;
        if now.kind() != meta.kind() || now.nlink != 1 || now.rdev != meta.rdev {
            return Err(Failure::Swapped);
        }
        let mut lost = Vec::new();
        let fresh = Fresh {
            owner: Some((now.uid, now.gid)),
            mode: Some(now.mode & 0o7777),
            may_have_attributes: may_have_attributes && now.kind() != Kind::Symlink,
        };
        self.shared.options.keep.set(made.as_fd(), meta, attributes, fresh, |why| lost.push(why));
        Ok((now.id(), lost))
    }

    /// Makes a name one more of a copy.
    pub(crate) fn link(&self, spot: &Spot, name: &CStr, copied: &Copied, standing: Standing) -> Result<(), Failure> {
        let Some(place) = &spot.place else { return Ok(()) };
        let existing = self.shared.options.existing;
        let stays = matches!(standing, Standing::Stays(_)) && existing != Existing::Overwrite;
        if standing == Standing::Stays(copied.id) || stays && existing != Existing::Update {
            return Ok(());
        }
        let (from, to) = (self.shared.places.fd(&copied.place)?, self.shared.places.fd(place)?);
        let first = pin(from.as_fd(), &copied.name).map_err(target("find the first name of"))?;
        let copy = stat_fd(&first, Freshness::Fresh).map_err(target("look at"))?;
        if copy.id() != copied.id {
            return Err(Failure::Swapped);
        }
        if stays {
            // What is newer stays a file of its own; what is the same becomes one with the copy.
            let there = stat_at(to.as_fd(), spot.target(name), Links::NoFollow, Freshness::Fresh);
            if there.is_ok_and(|there| (there.size, there.mtime) != (copy.size, copy.mtime)) {
                return Ok(());
            }
        }
        let source_name = name;
        let name = spot.target(name);
        let made = match standing {
            Standing::Nothing => link_open(first.as_fd(), to.as_fd(), name),
            Standing::Old | Standing::Stays(_) => {
                let there = stat_at(to.as_fd(), name, Links::NoFollow, Freshness::Fresh);
                if there.is_ok_and(|there| there.id() == copied.id) {
                    // Renaming one name of a file to another does nothing, and leaves the first.
                    spot.settle(source_name);
                    return Ok(());
                }
                let temporary = self.temporary();
                link_open(first.as_fd(), to.as_fd(), &temporary)
                    .and_then(|()| rename(to.as_fd(), &temporary, name, Replace::Yes))
            }
        };
        made.map_err(|errno| match errno {
            Errno::EXIST => Failure::InTheWay(Kind::File),
            errno => target("link")(errno),
        })?;
        spot.settle(source_name);
        self.shared.counts.files.fetch_add(1, Relaxed);
        self.shared.counts.links.fetch_add(1, Relaxed);
        Ok(())
    }
}
