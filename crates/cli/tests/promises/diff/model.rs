//! What changed, told naively: two maps of paths, compared.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Told;

/// What the kernel says of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    id: (u64, Option<std::time::SystemTime>),
    pub(crate) is_dir: bool,
    kind: u32,
    pub(crate) size: u64,
    mtime: (i64, i64),
    rights: (u32, u32, u32),
    ctime: (i64, i64),
}

pub(crate) type World = BTreeMap<Vec<u8>, Seen>;

/// A tree, by path.
pub(crate) fn look(root: &Path) -> World {
    let mut world = World::new();
    let mut dirs = vec![root.to_owned()];
    let seen = |path: &Path| {
        let meta = std::fs::symlink_metadata(path).unwrap();
        Seen {
            id: (meta.ino(), meta.created().ok()),
            is_dir: meta.is_dir(),
            kind: meta.mode() >> 12,
            size: meta.size(),
            mtime: (meta.mtime(), meta.mtime_nsec()),
            rights: (meta.mode() & 0o7777, meta.uid(), meta.gid()),
            ctime: (meta.ctime(), meta.ctime_nsec()),
        }
    };
    world.insert(root.as_os_str().as_bytes().to_vec(), seen(root));
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let seen = seen(&path);
            if seen.is_dir {
                dirs.push(path.clone());
            }
            world.insert(path.as_os_str().as_bytes().to_vec(), seen);
        }
    }
    world
}

fn parent(path: &[u8]) -> &[u8] {
    &path[..path.iter().rposition(|byte| *byte == b'/').unwrap_or(0)]
}

/// What is left of a path in a directory.
fn within<'p>(path: &'p [u8], dir: &[u8]) -> Option<&'p [u8]> {
    path.strip_prefix(dir).filter(|rest| rest.first() == Some(&b'/'))
}

/// What changed.
pub(crate) fn changes(old: &World, new: &World) -> Told {
    let mut told = Told::new();
    let mut say = |path: &[u8], what: &str, from: Option<&[u8]>| {
        told.insert((path.to_vec(), what.to_owned()), from.map(<[u8]>::to_vec));
    };
    let is_same =
        |path: &Vec<u8>| old.get(path).zip(new.get(path)).is_some_and(|(a, b)| a.id == b.id && a.kind == b.kind);
    let gone: Vec<_> = old.iter().filter(|(path, _)| !is_same(path)).collect();
    let came: Vec<_> = new.iter().filter(|(path, _)| !is_same(path)).collect();
    let stirred: BTreeSet<&[u8]> = gone.iter().chain(&came).map(|(path, _)| parent(path)).collect();
    for (path, was) in old.iter().filter(|(path, _)| is_same(path)) {
        let is = &new[path];
        let has_other_times = was.mtime != is.mtime || was.ctime != is.ctime;
        if !is.is_dir && (was.size != is.size || was.mtime != is.mtime) {
            say(path, "modified", None);
        } else if was.rights != is.rights || (has_other_times && !(is.is_dir && stirred.contains(path.as_slice()))) {
            say(path, "metadata", None);
        }
    }
    // Of each inode what went is what came: of the same name if there is one, else the first.
    let mut pairs: Vec<(&Vec<u8>, &Vec<u8>)> = Vec::new();
    let mut taken = BTreeSet::new();
    for (path, is) in &came {
        let fits = |(from, was): &&(&Vec<u8>, &Seen)| was.id == is.id && was.kind == is.kind && !taken.contains(from);
        let name = |path: &[u8]| path[parent(path).len()..].to_vec();
        let namesake = gone.iter().filter(fits).find(|(from, _)| name(from) == name(path));
        let was = namesake.or_else(|| gone.iter().find(fits));
        if let Some((from, _)) = was {
            taken.insert(*from);
            pairs.push((path, from));
        }
    }
    let key = |path: &[u8]| path.iter().map(|byte| if *byte == b'/' { 0 } else { *byte }).collect::<Vec<u8>>();
    pairs.sort_by_key(|(to, _)| key(to));
    let mut moved_dirs: Vec<(&Vec<u8>, &Vec<u8>)> = Vec::new();
    for (to, from) in &pairs {
        let (was, is) = (&old[*from], &new[*to]);
        let above = moved_dirs.iter().filter(|(dir, _)| within(to, dir).is_some()).max_by_key(|(dir, _)| dir.len());
        if above.is_some_and(|(dir, dir_from)| within(to, dir).is_some_and(|rest| **from == [dir_from, rest].concat()))
        {
            if !is.is_dir && (was.size != is.size || was.mtime != is.mtime) {
                say(to, "modified", Some(from));
            } else if was.rights != is.rights || (!is.is_dir && was.ctime != is.ctime) {
                say(to, "metadata", Some(from));
            }
            continue;
        }
        say(to, "moved", Some(from));
        if is.is_dir {
            moved_dirs.push((to, from));
        }
    }
    let went: BTreeSet<_> = gone.iter().map(|(path, _)| *path).filter(|path| !taken.contains(path)).collect();
    let found: BTreeSet<_> = pairs.iter().map(|(to, _)| *to).collect();
    let came: BTreeSet<_> = came.iter().map(|(path, _)| *path).filter(|path| !found.contains(path)).collect();
    for path in went.union(&came) {
        let what = match (went.contains(path), came.contains(path)) {
            (true, true) => "modified",
            (true, false) => "removed",
            _ => "added",
        };
        say(path, what, None);
    }
    told
}
