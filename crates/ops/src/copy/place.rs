//! Directories at the destination: made or found, kept open within a budget, and what a new file gets in one.
//!
//! A directory is made with a mode that lets nobody else in, and gets its own when everything in it is done. So nobody can replace
//! anything in it meanwhile, and nobody can read what was private in the source.
//!
//! And it is made under another name, and gets its own when every file that belongs into it is whole. So files are written in it under their
//! names at once, and still none of them is ever seen half: to give each file a name of its own only when it is whole costs a
//! sixth of copying a tree of small files. What a killed run left under such a name the next one finds, and goes on in it.

use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, CString};
use std::os::fd::AsFd;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pwalk_engine::{Fds, Held, Keeper, Lost, Node};
use pwalk_fs::{
    DirBuf, Errno, Freshness, Kind, Links, Meta, More, Names, Replace, attribute_of, create_dir, open_child, open_root,
    remove, remove_attribute, rename, set_mode, stat_at, stat_fd,
};

use super::error::{Failure, target};

const DEFAULT_ACL: &CStr = c"system.posix_acl_default";
const ACCESS_ACL: &CStr = c"system.posix_acl_access";
const SETGID: u32 = 0o2000;
/// How often a worker looks whether its turn has come before it sleeps: some tens of microseconds.
const PATIENCE: u32 = 200;
/// What the owner needs to fill a directory.
pub(crate) const OURS: u32 = 0o700;

/// It has its name for the time being.
const STAGED: u8 = 0;
/// It is getting its own: it may have either.
const RENAMING: u8 = 1;
/// It has its own.
const NAMED: u8 = 2;

/// What the names of directories begin with that are not filled yet.
const UNFILLED: &[u8] = b".pwalk-copy-dir.";
/// Bytes of a name that every file system takes.
const LONGEST: usize = 255;

/// The name of a directory until it is filled: known from its own, so that another run finds it. `turn` is 0 unless an entry of the source has
/// that name itself.
fn staged_name(name: &CStr, turn: u8) -> CString {
    let mut staged = [UNFILLED, name.to_bytes()].concat();
    if staged.len() > LONGEST || turn > 0 {
        staged.truncate(UNFILLED.len());
        let digest = blake3::Hasher::new().update(name.to_bytes()).update(&vec![0; turn.into()]).finalize();
        staged.extend_from_slice(digest.to_hex().as_bytes());
    }
    CString::new(staged).unwrap_or_default()
}

/// Whether a directory was not filled when its run was killed.
pub(crate) fn is_unfilled(name: &[u8]) -> bool {
    name.starts_with(UNFILLED)
}

/// The path that a directory has when it is filled, by its path until then.
pub(crate) fn named(path: &[u8]) -> Option<CString> {
    let last = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let name = path[last..].strip_prefix(UNFILLED)?;
    CString::new([&path[..last], name].concat()).ok()
}

/// A directory at the destination.
pub(crate) struct Place {
    above: Option<Arc<Place>>,
    name: CString,
    /// The name that it has until it is filled, and how far it is with that.
    staged: Option<CString>,
    naming: AtomicU8,
    pub(crate) id: (u64, u64),
    keeper: Keeper,
    /// Whether this run made it: then nobody else can be in it, and nobody sees what is in it before it is named.
    pub(crate) is_made: bool,
    /// Its owner and group when it was made or found.
    pub(crate) owner: (u32, u32),
    /// Its permission bits then.
    mode: u32,
    /// Owner and group of a new file in it, where they are known.
    pub(crate) fresh: Option<(u32, u32)>,
    /// Whether new files in it get an access control list.
    pub(crate) has_default_acl: bool,
    /// Held by who makes files in it.
    making: Mutex<()>,
    /// Where a killed run left it half filled: the names that this run knows to be whole. All others must go before it is named.
    settled: Option<Mutex<HashSet<CString>>>,
}

impl Place {
    /// Whether a killed run left it half filled.
    pub(crate) fn is_leftover(&self) -> bool {
        self.settled.is_some()
    }

    /// The turn to make files in it, where they get their names at once.
    pub(crate) fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        if !self.is_made {
            return None;
        }
        // Mostly it comes sooner than a sleeper would wake.
        for _ in 0..PATIENCE {
            if let Ok(turn) = self.making.try_lock() {
                return Some(turn);
            }
            std::thread::yield_now();
        }
        Some(self.making.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes that what stands under a name is whole.
    pub(crate) fn settle(&self, name: &CStr) {
        if let Some(settled) = &self.settled {
            settled.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        }
    }
}

impl Node for Place {
    fn above(&self) -> Option<&Arc<Self>> {
        self.above.as_ref()
    }

    fn name(&self) -> &CStr {
        // Acquire: pairs with `Places::name`, whose renaming then is seen.
        let is_named = self.naming.load(Acquire) == NAMED;
        self.staged.as_deref().filter(|_| !is_named).unwrap_or(&self.name)
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
    /// Directories that were found closed to us and are open while they are filled.
    widened: Mutex<HashMap<(u64, u64), Arc<Place>>>,
}

impl Places {
    pub(crate) fn new(max_open: usize) -> Self {
        let ids = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Self { fds: Fds::new(Some(max_open), false).0, ids, widened: Mutex::default() }
    }

    /// A directory that is there, by the path that the user gave.
    pub(crate) fn root(&self, path: &CStr) -> Result<Arc<Place>, Errno> {
        let fd = self.fds.open(|| open_root(path))?;
        let meta = stat_fd(&*fd, Freshness::Fresh)?;
        Ok(self.keep(None, path, fd, &meta, false, None, None))
    }

    pub(crate) fn fd(&self, place: &Arc<Place>) -> Result<Arc<Held>, Failure> {
        if let Some(fd) = place.keeper.get() {
            return Ok(fd);
        }
        loop {
            let before = namings(place);
            let lost = match self.fds.get(place) {
                Ok(fd) => return Ok(fd),
                Err(lost) => lost,
            };
            // One above it was just getting its name.
            if before.contains(&RENAMING) || before != namings(place) {
                std::thread::yield_now();
                continue;
            }
            return Err(match lost {
                Lost::Errno(errno) => Failure::Target { what: "open the directory of", errno },
                Lost::Replaced | Lost::Loop | Lost::Timeout => Failure::Swapped,
            });
        }
    }

    /// Makes the directory `name` in `above`, or finds it there. `is_copied` says whether a name is one of the source's beside it.
    pub(crate) fn enter(
        &self,
        above: &Arc<Place>,
        name: &CStr,
        is_copied: impl Fn(&CStr) -> bool,
    ) -> Result<Arc<Place>, Failure> {
        if !above.is_made
            && let Some(there) = self.find(above, name)?
        {
            return Ok(there);
        }
        let dir = self.fd(above)?;
        let mut turn = 0;
        let (staged, is_new) = loop {
            let staged = staged_name(name, turn);
            match create_dir(dir.as_fd(), &staged, 0o700) {
                Ok(()) => break (staged, true),
                Err(Errno::EXIST) if turn < u8::MAX && is_copied(&staged) => turn += 1,
                // By a run that was killed; two names as long as this that differ and are hashed alike there are not.
                Err(Errno::EXIST) => break (staged, false),
                Err(errno) => return Err(target("make")(errno)),
            }
        };
        let fd = self.fds.open(|| open_child(dir.as_fd(), &staged, Links::NoFollow)).map_err(|errno| match errno {
            Errno::NOTDIR | Errno::LOOP => Failure::Swapped,
            errno => target("open")(errno),
        })?;
        let meta = stat_fd(&*fd, Freshness::Fresh).map_err(target("look at"))?;
        // Somebody else's took its place, or the server gives what root makes to nobody: then others may be in it.
        let is_made = is_new && meta.uid == self.ids.0;
        if above.has_default_acl {
            for acl in [DEFAULT_ACL, ACCESS_ACL] {
                remove_attribute(fd.as_fd(), acl).map_err(target("take the inherited access control list from"))?;
            }
        }
        let place = self.keep(Some(above), name, fd, &meta, is_made, Some(false), Some((staged, is_new)));
        Ok(place)
    }

    /// Removes from a directory that a killed run had left what this run does not know to be whole.
    pub(crate) fn clear(&self, place: &Arc<Place>) -> Result<(), Failure> {
        let Some(settled) = &place.settled else { return Ok(()) };
        let settled = settled.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = self.fd(place)?;
        // A descriptor of its own, whose position nobody else has.
        let listed = open_child(dir.as_fd(), c".", Links::NoFollow).map_err(target("read"))?;
        let (mut names, mut room) = (Names::default(), DirBuf::new());
        while names.read(listed.as_fd(), &mut room).map_err(target("read"))? == More::Maybe {}
        for index in (0..names.len()).filter(|index| names.entry(*index).kind != Kind::Dir) {
            let name = names.c_name(index);
            if !settled.contains(name) {
                match remove(dir.as_fd(), name, Kind::File) {
                    // A directory whose kind was not told.
                    Ok(()) | Err(Errno::NOENT | Errno::ISDIR) => {}
                    Err(errno) => return Err(Failure::Remove(errno)),
                }
            }
        }
        Ok(())
    }

    /// Gives a directory its own name, now that it is filled.
    pub(crate) fn name(&self, place: &Arc<Place>) -> Result<(), Failure> {
        let (Some(staged), Some(above)) = (&place.staged, &place.above) else { return Ok(()) };
        let dir = self.fd(above)?;
        // One that has its name already is filled once more; nobody else names it meanwhile.
        if place.naming.compare_exchange(STAGED, RENAMING, Relaxed, Relaxed).is_err() {
            return Ok(());
        }
        match rename(dir.as_fd(), staged, &place.name, Replace::No) {
            Ok(()) => {
                // Release: pairs with `Node::name`.
                place.naming.store(NAMED, Release);
                Ok(())
            }
            Err(errno) => {
                place.naming.store(STAGED, Release);
                Err(match errno {
                    Errno::EXIST => in_the_way(&dir, &place.name),
                    errno => target("name")(errno),
                })
            }
        }
    }

    /// Opens a directory of our own to us that was found closed: an earlier copy of one that nobody may write to.
    pub(crate) fn widen(&self, place: &Arc<Place>) -> Result<(), Failure> {
        let is_closed = self.ids.0 != 0 && place.owner.0 == self.ids.0 && place.mode & OURS != OURS;
        if is_closed && !place.is_made {
            let fd = self.fd(place)?;
            set_mode(fd.as_fd(), place.mode | OURS).map_err(target("open to its owner"))?;
            self.widened().insert(place.id, Arc::clone(place));
        }
        Ok(())
    }

    fn widened(&self) -> MutexGuard<'_, HashMap<(u64, u64), Arc<Place>>> {
        self.widened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bits that a directory had, if it was opened to us: whoever asks sets what it is to have.
    pub(crate) fn former_mode(&self, place: &Place) -> Option<u32> {
        self.widened().remove(&place.id).map(|place| place.mode)
    }

    /// Closes those directories again that nobody asked for, at the end of a run.
    pub(crate) fn narrow_rest(&self) {
        let rest = std::mem::take(&mut *self.widened());
        for place in rest.values() {
            let fd = self.fd(place).ok();
            if let Some(Err(errno)) = fd.map(|fd| set_mode(fd.as_fd(), place.mode)) {
                tracing::warn!(%errno, "a directory stays open to its owner");
            }
        }
    }

    /// A directory that is there, if it is: for who makes none.
    pub(crate) fn find(&self, above: &Arc<Place>, name: &CStr) -> Result<Option<Arc<Place>>, Failure> {
        let dir = self.fd(above)?;
        match self.fds.open(|| open_child(dir.as_fd(), name, Links::NoFollow)) {
            Ok(fd) => {
                let meta = stat_fd(&*fd, Freshness::Fresh).map_err(target("look at"))?;
                Ok(Some(self.keep(Some(above), name, fd, &meta, false, None, None)))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => Err(in_the_way(&dir, name)),
            Err(errno) => Err(target("open")(errno)),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "all that is known of a directory when it is met")]
    fn keep(
        &self,
        above: Option<&Arc<Place>>,
        name: &CStr,
        fd: Arc<Held>,
        meta: &Meta,
        is_made: bool,
        has_default_acl: Option<bool>,
        staged: Option<(CString, bool)>,
    ) -> Arc<Place> {
        let (staged, is_new) = staged.unzip();
        let is_new = is_new.unwrap_or(true);
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
            naming: AtomicU8::new(if staged.is_some() { STAGED } else { NAMED }),
            id: meta.id(),
            keeper,
            is_made,
            owner: (meta.uid, meta.gid),
            mode: meta.mode & 0o7777,
            fresh,
            has_default_acl,
            making: Mutex::default(),
            settled: (staged.is_some() && !is_new).then(Mutex::default),
            staged,
        });
        self.fds.may_lose(&place);
        place
    }
}

/// How far a directory and those above it are with getting their names.
fn namings(place: &Arc<Place>) -> Vec<u8> {
    let mut at = Some(place);
    let mut all = Vec::new();
    while let Some(place) = at {
        all.push(place.naming.load(Acquire));
        at = place.above.as_ref();
    }
    all
}

/// What is in the way of a directory.
fn in_the_way(dir: &Held, name: &CStr) -> Failure {
    let kind = stat_at(dir.as_fd(), name, Links::NoFollow, Freshness::Fresh).map_or(Kind::Unknown, |meta| meta.kind());
    Failure::InTheWay(kind)
}
