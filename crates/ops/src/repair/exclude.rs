//! Paths that are left out, with all that is below them.
//!
//! They are compared by components: `/a/b` leaves out `/a/b` and `/a/b/c`, and not `/a/bc`. A path may be relative, or lead through
//! links, while the walk knows only the names below the path it was given. So both are made absolute twice, as they are written
//! and as the system resolves them, and what remains of an excluded path below a root is followed down with the walk: a directory
//! knows which names in it are the beginning, or the end, of an excluded path.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use pwalk_fs::below;

/// What of the excluded paths is below a directory: the names that are left of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Excluded(Vec<Vec<Vec<u8>>>);

/// Whether something is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    Out,
    /// It is not, with what may be below it.
    In(Excluded),
}

impl Excluded {
    /// What of `excluded` is below a root.
    pub(crate) fn of_root(root: &[u8], excluded: &[Vec<u8>]) -> Left {
        let roots = both_ways(root);
        let mut rest = Vec::new();
        for excluded in excluded.iter().flat_map(|path| both_ways(path)) {
            for root in &roots {
                if below(root, &excluded).is_some() {
                    return Left::Out;
                }
                if let Some(left) = below(&excluded, root) {
                    let names = left.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect();
                    if !rest.contains(&names) {
                        rest.push(names);
                    }
                }
            }
        }
        Left::In(Self(rest))
    }

    /// Whether nothing below is left out, so that nothing need be asked.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What becomes of a name in the directory.
    pub(crate) fn descend(&self, name: &[u8]) -> Left {
        let mut rest = Vec::new();
        for names in &self.0 {
            match names.split_first() {
                Some((first, [])) if first == name => return Left::Out,
                Some((first, more)) if first == name => rest.push(more.to_vec()),
                _ => {}
            }
        }
        Left::In(Self(rest))
    }
}

/// A path made absolute: as it is written, and as the system resolves it. Of one that is not there, what is there is resolved.
fn both_ways(path: &[u8]) -> Vec<Vec<u8>> {
    let written = absolute(path);
    let resolved = resolved(Path::new(OsStr::from_bytes(&written)));
    if resolved == written { vec![written] } else { vec![written, resolved] }
}

/// A path made absolute and freed of doubled slashes and of `.`, and of nothing else: `..` behind a link is not what it seems.
pub(crate) fn absolute(path: &[u8]) -> Vec<u8> {
    let path = Path::new(OsStr::from_bytes(path));
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let kept: PathBuf = absolute.components().filter(|c| *c != Component::CurDir).collect();
    kept.into_os_string().into_vec()
}

fn resolved(path: &Path) -> Vec<u8> {
    let mut missing = PathBuf::new();
    for above in path.ancestors() {
        if let Ok(found) = std::fs::canonicalize(above) {
            let whole = if missing.as_os_str().is_empty() { found } else { found.join(missing) };
            return whole.into_os_string().into_vec();
        }
        if let Some(name) = above.file_name() {
            missing = if missing.as_os_str().is_empty() { name.into() } else { Path::new(name).join(missing) };
        }
    }
    path.as_os_str().as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(root: &str, excluded: &[&str]) -> Left {
        let excluded: Vec<_> = excluded.iter().map(|path| path.as_bytes().to_vec()).collect();
        Excluded::of_root(root.as_bytes(), &excluded)
    }

    #[test]
    fn components_decide() {
        let Left::In(top) = of("/none/a", &["/none/a/b", "/none/a/c/d/", "/none/x"]) else { panic!("left out") };
        assert_eq!(top.descend(b"b"), Left::Out);
        assert_eq!(top.descend(b"bc"), Left::In(Excluded::default()));
        let Left::In(c) = top.descend(b"c") else { panic!("left out") };
        assert!(!c.is_empty());
        assert_eq!(c.descend(b"d"), Left::Out);
        assert_eq!(c.descend(b"dd"), Left::In(Excluded::default()));
        assert_eq!(of("/none/a/b/c", &["/none/a/b"]), Left::Out);
        assert_eq!(of("/none/a", &["/none/a"]), Left::Out);
        assert_eq!(of("/none/a", &[]), Left::In(Excluded::default()));
    }

    #[test]
    fn links_and_relative_paths_are_seen_through() {
        let place = tempfile::tempdir().unwrap();
        let real = place.path().join("real");
        std::fs::create_dir_all(real.join("in")).unwrap();
        let link = place.path().join("link");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let bytes = |path: PathBuf| path.into_os_string().into_vec();
        for (root, excluded) in [(&link, &real), (&real, &link), (&link, &link)] {
            let left = Excluded::of_root(&bytes(root.clone()), &[bytes(excluded.join("in/later"))]);
            let Left::In(below) = left else { panic!("left out") };
            let Left::In(below) = below.descend(b"in") else { panic!("left out") };
            assert_eq!(below.descend(b"later"), Left::Out);
        }
        let here = std::env::current_dir().unwrap();
        assert_eq!(Excluded::of_root(b".", &[bytes(here)]), Left::Out);
    }
}
