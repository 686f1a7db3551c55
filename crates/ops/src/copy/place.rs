//! Directories at the destination: made or found, kept open within a budget, and what a new file gets in one.
//!
//! A directory is made with a mode that lets nobody else in, and gets its own when everything in it is done. So nobody can replace
//! anything in it meanwhile, and nobody can read what was private in the source.

use std::ffi::{CStr, CString};
use std::os::fd::AsFd;
use std::sync::Arc;

use pwalk_engine::{Fds, Held, Keeper, Lost, Node};
use pwalk_fs::{
    Errno, Freshness, Kind, Links, Meta, attribute_of, create_dir, open_child, open_root, remove_attribute, stat_at,
    stat_fd,
};

use super::error::{Failure, target};

const DEFAULT_ACL: &CStr = c"system.posix_acl_default";
const ACCESS_ACL: &CStr = c"system.posix_acl_access";
const SETGID: u32 = 0o2000;

/// A directory at the destination.
pub(crate) struct Place {
    above: Option<Arc<Place>>,
    name: CString,
    pub(crate) id: (u64, u64),
    keeper: Keeper,
    /// Whether this run made it: then nobody else can be in it.
    pub(crate) is_made: bool,
    /// Its owner and group when it was made or found.
    pub(crate) owner: (u32, u32),
    /// Owner and group of a new file in it, where they are known.
    pub(crate) fresh: Option<(u32, u32)>,
    /// Whether new files in it get an access control list.
    pub(crate) has_default_acl: bool,
}

impl Node for Place {
    fn above(&self) -> Option<&Arc<Self>> {
        self.above.as_ref()
    }

    fn name(&self) -> &CStr {
        &self.name
    }

    fn links(&self) -> Links {
        Links::NoFollow
    }

    fn id(&self) -> Option<(u64, u64)> {
        Some(self.id)
    }

    fn keeper(&self) -> &Keeper {
        &self.keeper
    }
}

/// As with the walk's directories, a chain of thousands is taken apart in a loop.
impl Drop for Place {
    fn drop(&mut self) {
        let mut next = self.above.take();
        while let Some(above) = next {
            next = Arc::into_inner(above).and_then(|mut place| place.above.take());
        }
    }
}

/// All of them.
pub(crate) struct Places {
    fds: Fds<Place>,
    /// Who we are: owner and group of what we make.
    ids: (u32, u32),
}

impl Places {
    pub(crate) fn new(max_open: usize) -> Self {
        let ids = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Self { fds: Fds::new(Some(max_open), false).0, ids }
    }

    /// A directory that is there, by the path that the user gave.
    pub(crate) fn root(&self, path: &CStr) -> Result<Arc<Place>, Errno> {
        let fd = self.fds.open(|| open_root(path))?;
        let meta = stat_fd(&*fd, Freshness::Fresh)?;
        Ok(self.keep(None, path, fd, &meta, false, None))
    }

    pub(crate) fn fd(&self, place: &Arc<Place>) -> Result<Arc<Held>, Failure> {
        self.fds.get(place).map_err(|lost| match lost {
            Lost::Errno(errno) => Failure::Target { what: "open the directory of", errno },
            Lost::Replaced | Lost::Loop | Lost::Timeout => Failure::Swapped,
        })
    }

    /// Makes the directory `name` in `above`, or finds it there.
    pub(crate) fn enter(&self, above: &Arc<Place>, name: &CStr) -> Result<Arc<Place>, Failure> {
        let dir = self.fd(above)?;
        let is_made = match create_dir(dir.as_fd(), name, 0o700) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(errno) => return Err(target("make")(errno)),
        };
        let fd = self.fds.open(|| open_child(dir.as_fd(), name, Links::NoFollow)).map_err(|errno| match errno {
            Errno::NOTDIR | Errno::LOOP if is_made => Failure::Swapped,
            Errno::NOTDIR | Errno::LOOP => in_the_way(&dir, name),
            errno => target("open")(errno),
        })?;
        let meta = stat_fd(&*fd, Freshness::Fresh).map_err(target("look at"))?;
        if is_made && meta.uid != self.ids.0 && above.fresh.is_some() {
            return Err(Failure::Swapped);
        }
        if is_made && above.has_default_acl {
            for acl in [DEFAULT_ACL, ACCESS_ACL] {
                remove_attribute(fd.as_fd(), acl).map_err(target("take the inherited access control list from"))?;
            }
        }
        let has_default_acl = if is_made { Some(false) } else { None };
        Ok(self.keep(Some(above), name, fd, &meta, is_made, has_default_acl))
    }

    /// A directory that is there, if it is: for who makes none.
    pub(crate) fn find(&self, above: &Arc<Place>, name: &CStr) -> Result<Option<Arc<Place>>, Failure> {
        let dir = self.fd(above)?;
        match self.fds.open(|| open_child(dir.as_fd(), name, Links::NoFollow)) {
            Ok(fd) => {
                let meta = stat_fd(&*fd, Freshness::Fresh).map_err(target("look at"))?;
                Ok(Some(self.keep(Some(above), name, fd, &meta, false, None)))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => Err(in_the_way(&dir, name)),
            Err(errno) => Err(target("open")(errno)),
        }
    }

    fn keep(
        &self,
        above: Option<&Arc<Place>>,
        name: &CStr,
        fd: Arc<Held>,
        meta: &Meta,
        is_made: bool,
        has_default_acl: Option<bool>,
    ) -> Arc<Place> {
        let (uid, gid) = self.ids;
        // Where the group is that of the directory either way, or ours either way.
        let group = if meta.mode & SETGID != 0 { Some(meta.gid) } else { (meta.gid == gid).then_some(gid) };
        let fresh = group.filter(|_| is_made && meta.uid == uid).map(|gid| (uid, gid));
        // One that cannot be read may be there.
        let asked = || !matches!(attribute_of(fd.as_fd(), DEFAULT_ACL), Ok(None));
        let has_default_acl = has_default_acl.unwrap_or_else(asked);
        let keeper = Keeper::default();
        keeper.set(fd);
        let place = Arc::new(Place {
            above: above.cloned(),
            name: name.to_owned(),
            id: meta.id(),
            keeper,
            is_made,
            owner: (meta.uid, meta.gid),
            fresh,
            has_default_acl,
        });
        self.fds.may_lose(&place);
        place
    }
}

/// What is in the way of a directory.
fn in_the_way(dir: &Held, name: &CStr) -> Failure {
    let kind = stat_at(dir.as_fd(), name, Links::NoFollow, Freshness::Fresh).map_or(Kind::Unknown, |meta| meta.kind());
    Failure::InTheWay(kind)
}
