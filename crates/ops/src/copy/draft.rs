//! A file before it is whole: where it is written to, and how it gets its name.
//!
//! In a directory that nobody sees yet it has its name at once. Elsewhere it has none (`O_TMPFILE`) and gets it by a link; where file systems
//! cannot do that, or something is to be replaced, it has another for the time being.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering::Relaxed;

use pwalk_fs::{Errno, Kind, Meta, Replace, create_file, create_unnamed, link_open, remove, rename};

use super::error::{Failure, target};
use super::file::Standing;
use super::keep::Fresh;
use super::visitor::{Spot, Worker};

/// What a file is called before it is whole.
enum Drafted {
    /// Nothing.
    Unnamed,
    /// This, for the time being.
    Temporary(CString),
    /// What it will be called: in a directory that is not seen yet.
    AtOnce,
}

/// A file on its way to its name.
pub(crate) struct Draft {
    pub(crate) fd: OwnedFd,
    name: Drafted,
    pub(crate) fresh: Fresh,
}

impl Worker {
    /// A file for the copy that nobody sees yet.
    pub(crate) fn draft(&mut self, spot: &Spot, name: &CStr, meta: &Meta) -> Result<Draft, Failure> {
        let place = spot.place.as_ref().ok_or(Failure::Swapped)?;
        let dir = spot.dir(&self.shared.places)?;
        let keep = self.shared.options.keep;
        // Its owner must be able to write to it until it is done, attributes as well.
        let bits = meta.mode & 0o777 | if self.shared.is_root { 0 } else { 0o600 };
        let owner = place.fresh.filter(|_| keep.ownership);
        let may_have_attributes = place.has_default_acl;
        let umask = self.shared.umask;
        let as_made = |mode: u32| (!may_have_attributes).then_some(mode & !umask);
        let draft =
            |fd, name, mode| Draft { fd, name, fresh: Fresh { owner, mode: as_made(mode), may_have_attributes } };
        if place.is_made {
            // What nobody sees can have its mode at once.
            return match create_file(dir.as_fd(), spot.target(name), bits) {
                Ok(fd) => Ok(draft(fd, Drafted::AtOnce, bits)),
                Err(errno) => Err(taken(errno)),
            };
        }
        let (devices, pair) = self.pair(meta, spot);
        let unnamed = pair.may_be_unnamed().then(|| create_unnamed(dir.as_fd(), bits));
        if let Some(Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL)) = unnamed {
            pair.no_unnamed();
        }
        let is_no_way = !pair.may_be_unnamed();
        self.pair = Some((devices, pair));
        match unnamed {
            Some(Ok(fd)) => return Ok(draft(fd, Drafted::Unnamed, bits)),
            Some(Err(errno)) if !is_no_way => return Err(target("make")(errno)),
            _ => {}
        }
        // Others may open what has a name: not before it belongs to whom it should.
        let mode = if keep.mode { 0o600 } else { meta.mode & 0o777 };
        loop {
            let name = self.temporary();
            match create_file(dir.as_fd(), &name, mode) {
                Ok(fd) => return Ok(draft(fd, Drafted::Temporary(name), mode)),
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(target("make")(errno)),
            }
        }
    }

    /// A name that nobody else uses.
    pub(crate) fn temporary(&self) -> CString {
        let number = self.shared.temporary.fetch_add(1, Relaxed);
        super::sweep::temporary(std::process::id(), number)
    }

    /// Gives a draft its name.
    pub(crate) fn publish(&self, spot: &Spot, name: &CStr, draft: &Draft, standing: Standing) -> Result<(), Failure> {
        let held = spot.dir(&self.shared.places)?;
        let (dir, name) = (held.as_fd(), spot.target(name));
        match (&draft.name, standing) {
            (Drafted::AtOnce, _) => Ok(()),
            (Drafted::Unnamed, Standing::Nothing) => link_open(draft.fd.as_fd(), dir, name).map_err(taken),
            (Drafted::Temporary(temporary), Standing::Nothing) => {
                rename(dir, temporary, name, Replace::No).map_err(taken)
            }
            (Drafted::Temporary(temporary), _) => rename(dir, temporary, name, Replace::Yes).map_err(taken),
            (Drafted::Unnamed, _) => {
                let temporary = self.temporary();
                link_open(draft.fd.as_fd(), dir, &temporary).map_err(taken)?;
                rename(dir, &temporary, name, Replace::Yes).map_err(|errno| {
                    // What stays if this fails, too, the next --resume removes.
                    remove(dir, &temporary, Kind::File).unwrap_or_default();
                    taken(errno)
                })
            }
        }
    }

    /// Takes away what did not become a copy. A draft without a name goes by itself.
    pub(crate) fn drop_draft(&self, spot: &Spot, name: &CStr, draft: &Draft) {
        let name = match &draft.name {
            Drafted::Unnamed => return,
            Drafted::Temporary(name) => name,
            Drafted::AtOnce => spot.target(name),
        };
        // What cannot be removed the next --resume removes, or copies again.
        if let Ok(dir) = spot.dir(&self.shared.places) {
            remove(dir.as_fd(), name, Kind::File).unwrap_or_default();
        }
    }
}

/// Why something did not get its name.
fn taken(errno: Errno) -> Failure {
    match errno {
        Errno::EXIST => Failure::InTheWay(Kind::File),
        errno => target("name")(errno),
    }
}
