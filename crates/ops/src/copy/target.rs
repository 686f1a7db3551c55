//! What `cp` means by its operands: which source becomes which name in which directory.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};
use std::sync::Arc;

use pwalk_engine::trim_root;
use pwalk_fs::{
    Errno, Freshness, Kind, Links, Meta, Mount, below, mount_list, open_child, open_root, place_of, space, stat_at,
    stat_fd, stat_path,
};

use super::CopyOptions;
use super::error::CopyError;
use super::place::{Place, Places};
use super::shared::Target;

/// A source and where it goes.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) source: Vec<u8>,
    pub(crate) meta: Meta,
    pub(crate) target: Target,
    /// The path of the copy.
    pub(crate) path: Vec<u8>,
}

/// A path as the directory that it is in, open, and the name there.
pub(crate) fn split(path: &[u8]) -> Result<(OwnedFd, CString), Errno> {
    let path = Path::new(OsStr::from_bytes(path));
    let name = path.file_name().ok_or(Errno::INVAL)?;
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let c = |part: &OsStr| CString::new(part.as_bytes()).map_err(|_| Errno::INVAL);
    Ok((open_root(&c(above.as_os_str())?)?, c(name)?))
}

/// What is to be copied, and what was found out about it. Nothing is made yet.
pub(crate) struct Plan {
    /// The sources and their targets.
    pub(crate) parts: Vec<Part>,
    /// Sources that cannot be looked at: the others are copied, as with `cp`.
    pub(crate) missing: Vec<(Vec<u8>, Errno)>,
    /// Of a run that only looks: what would keep it from being done.
    pub(crate) obstacles: Vec<String>,
}

/// Plans the copy of all sources.
pub(crate) fn plan(options: &CopyOptions, places: &Places) -> Result<Plan, CopyError> {
    let destination = &options.destination;
    let failed = |why: String| CopyError::Destination { path: destination.clone(), why };
    let c_path = CString::new(destination.as_slice()).map_err(|_| failed("a path cannot contain NUL".to_owned()))?;
    // What stands under just this name may be a link, and is not what it leads to.
    let links = if options.exact { Links::NoFollow } else { Links::Follow };
    let there = match stat_path(&c_path, links) {
        Ok(meta) => Some(meta),
        Err(Errno::NOENT) => None,
        Err(errno) => return Err(failed(errno.to_string())),
    };
    let is_dir = there.is_some_and(|meta| meta.kind().is_dir());
    let into = is_dir && !options.exact;
    if options.sources.len() > 1 && !into {
        let why = if options.exact {
            "-T takes one source"
        } else if there.is_some() {
            "it is no directory, and there are several sources"
        } else {
            "there is no such directory, and there are several sources; make it first"
        };
        return Err(failed(why.to_owned()));
    }
    // What is there already, and is the copy itself or holds it.
    let holder = if is_dir { Some(places.root(&c_path).map_err(|errno| failed(errno.to_string()))?) } else { None };
    let (mut parts, mut missing): (Vec<Part>, Vec<_>) = Default::default();
    for source in &options.sources {
        let meta = match look(source) {
            Ok(meta) => meta,
            Err(errno) if options.sources.len() > 1 => {
                missing.push((source.clone(), errno));
                continue;
            }
            Err(errno) => return Err(CopyError::Source { path: source.clone(), errno }),
        };
        let name = Path::new(OsStr::from_bytes(source)).components().next_back().and_then(|last| match last {
            Component::Normal(name) if !ends_with_dot(source) => Some(name.as_bytes()),
            _ => None,
        });
        let target = match (&holder, name) {
            (Some(place), Some(name)) if into => Target { place: Some(Arc::clone(place)), name: c_name(name) },
            (Some(place), _) if meta.kind().is_dir() => Target { place: Some(Arc::clone(place)), name: None },
            (Some(_), _) => return Err(failed("it is a directory, and the source is none".to_owned())),
            (None, _) if destination.ends_with(b"/") && !meta.kind().is_dir() => {
                return Err(failed("there is no such directory".to_owned()));
            }
            (None, _) if there.is_some() && meta.kind().is_dir() => {
                return Err(failed("it is no directory, and the source is one".to_owned()));
            }
            (None, _) => beside(destination, places)?,
        };
        if let (Some(place), None) = (&target.place, &target.name)
            && place.id == meta.id()
        {
            return Err(CopyError::InItself { source_path: source.clone(), target: destination.clone() });
        }
        let mut path = trim_root(destination).to_vec();
        if let (true, Some(name)) = (into, &target.name) {
            pwalk_engine::join(&mut path, name.to_bytes());
        }
        if let Some(twin) = parts.iter().find(|part| target.name.is_some() && part.target.name == target.name) {
            return Err(CopyError::SameName { first: twin.source.clone(), second: source.clone(), target: path });
        }
        parts.push(Part { source: source.clone(), meta, target, path });
    }
    let mut obstacles = Vec::new();
    let mounts = mount_list();
    for part in &parts {
        match check(part, options, places, &mounts) {
            Err(error @ CopyError::ReadOnly { .. }) if options.dry_run => obstacles.push(error.to_string()),
            checked => checked?,
        }
    }
    obstacles.dedup();
    Ok(Plan { parts, missing, obstacles })
}

fn ends_with_dot(path: &[u8]) -> bool {
    matches!(trim_root(path), b"." | b"..") || trim_root(path).ends_with(b"/.") || trim_root(path).ends_with(b"/..")
}

fn c_name(name: &[u8]) -> Option<CString> {
    CString::new(name).ok()
}

/// A link itself, unless a slash behind its name says that what it leads to is meant.
fn look(source: &[u8]) -> Result<Meta, Errno> {
    let path = CString::new(source).map_err(|_| Errno::INVAL)?;
    stat_path(&path, Links::NoFollow)
}

/// A destination that is not there, or is a file: a name in the directory above.
fn beside(destination: &[u8], places: &Places) -> Result<Target, CopyError> {
    let failed = |why: String| CopyError::Destination { path: destination.to_vec(), why };
    let path = Path::new(OsStr::from_bytes(destination));
    let Some(name) = path.file_name().filter(|_| !ends_with_dot(destination)) else {
        return Err(failed("there is no such directory".to_owned()));
    };
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let c_above =
        CString::new(above.as_os_str().as_bytes()).map_err(|_| failed("a path cannot contain NUL".to_owned()))?;
    let place = places.root(&c_above).map_err(|errno| match errno {
        Errno::NOENT => failed(format!("there is no directory {}; make it first", above.display())),
        errno => failed(format!("{}: {errno}", above.display())),
    })?;
    Ok(Target { place: Some(place), name: c_name(name.as_bytes()) })
}

/// What can be known to be wrong before anything is made. That the target is read-only is told last: all else is wrong there, too.
fn check(part: &Part, options: &CopyOptions, places: &Places, mounts: &[Mount]) -> Result<(), CopyError> {
    let failed = |why: String| CopyError::Destination { path: options.destination.clone(), why };
    let Some(place) = &part.target.place else { return Ok(()) };
    let dir = places.fd(place).map_err(|why| failed(why.to_string()))?;
    let look = |name: &CString, links| stat_at(dir.as_fd(), name, links, Freshness::Fresh);
    let there = part.target.name.as_ref().map(|name| look(name, Links::NoFollow));
    if part.is_dir() {
        check_nesting(part, options, dir.as_fd(), there.as_ref().and_then(|there| there.as_ref().ok()), mounts)?;
    }
    if let (Some(name), Some(Ok(link))) = (&part.target.name, &there)
        && link.kind() == Kind::Symlink
        && link.id() != part.meta.id()
        && look(name, Links::Follow).is_ok_and(|there| there.id() == part.meta.id())
    {
        return Err(failed(format!("it is a link to the same file: {}", crate::shown::shown(&part.source))));
    }
    if let Some(Ok(there)) = there
        && there.id() == part.meta.id()
        && part.is_dir()
    {
        return Err(failed(format!("it is the same directory as {}", crate::shown::shown(&part.source))));
    }
    if space(&*dir).is_ok_and(|space| space.read_only) {
        return Err(CopyError::ReadOnly { path: options.destination.clone() });
    }
    Ok(())
}

/// That neither a directory is in its own copy nor the copy in it. `above` is where the copy is made, `there` what stands there.
fn check_nesting(
    part: &Part,
    options: &CopyOptions,
    above: BorrowedFd<'_>,
    there: Option<&Meta>,
    mounts: &[Mount],
) -> Result<(), CopyError> {
    let in_itself = || CopyError::InItself { source_path: part.source.clone(), target: options.destination.clone() };
    let over_itself = || CopyError::OverItself { source_path: part.source.clone(), target: part.path.clone() };
    if is_within(above, part.meta.id())? {
        return Err(in_itself());
    }
    // One that cannot be opened cannot be copied either, which is told then.
    let Some(source) = CString::new(part.source.as_slice()).ok().and_then(|path| open_root(&path).ok()) else {
        return Ok(());
    };
    let becomes = match (&part.target.name, there) {
        (None, _) => above.try_clone_to_owned().ok(),
        (Some(name), Some(there)) if there.kind().is_dir() && there.id() != part.meta.id() => {
            open_child(above, name, Links::NoFollow).ok()
        }
        (Some(_), _) => None,
    };
    if let Some(becomes) = &becomes
        && is_within(source.as_fd(), stat_fd(becomes, Freshness::Fresh).map_err(|_| over_itself())?.id())?
    {
        return Err(over_itself());
    }
    // The same, where a part of the one is mounted elsewhere: from there `..` leads past the other.
    let Some((dev, source)) = place_of(source.as_fd(), mounts) else { return Ok(()) };
    let place = |fd: BorrowedFd<'_>| place_of(fd, mounts).filter(|place| place.0 == dev).map(|place| place.1);
    if place(becomes.as_ref().map_or(above, AsFd::as_fd)).is_some_and(|place| below(&place, &source).is_some()) {
        return Err(in_itself());
    }
    match becomes.and_then(|becomes| place(becomes.as_fd())) {
        Some(place) if below(&source, &place).is_some() => Err(over_itself()),
        _ => Ok(()),
    }
}

/// Whether an open directory is the directory `id` or below it, whatever it is called.
fn is_within(dir: BorrowedFd<'_>, id: (u64, u64)) -> Result<bool, CopyError> {
    let failed = |errno| CopyError::Source { path: b"..".to_vec(), errno };
    let mut at = dir.try_clone_to_owned().map_err(|e| failed(Errno::from_io_error(&e).unwrap_or(Errno::IO)))?;
    let mut last = None;
    loop {
        let now = stat_fd(&at, Freshness::Fresh).map_err(failed)?.id();
        if now == id {
            return Ok(true);
        }
        if last == Some(now) {
            return Ok(false);
        }
        last = Some(now);
        at = match pwalk_fs::pin_above(at.as_fd()) {
            Ok(above) => above,
            // Above it nobody lets us look; nor can the source be there, which we can read.
            Err(Errno::ACCESS) => return Ok(false),
            Err(errno) => return Err(failed(errno)),
        };
    }
}

impl Part {
    pub(crate) fn is_dir(&self) -> bool {
        self.meta.kind().is_dir()
    }

    /// Whether nothing stands under its name.
    pub(crate) fn is_absent(&self, places: &Places) -> bool {
        let (Some(place), Some(name)) = (&self.target.place, &self.target.name) else { return false };
        let there = places.fd(place).map(|dir| stat_at(dir.as_fd(), name, Links::NoFollow, Freshness::Fresh));
        matches!(there, Ok(Err(Errno::NOENT)))
    }

    pub(crate) fn place(&self) -> Option<&Arc<Place>> {
        self.target.place.as_ref()
    }
}
