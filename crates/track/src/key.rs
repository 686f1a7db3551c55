//! Keys: paths in a form that sorts a directory before what is in it, and all of that together.
//!
//! A key is the number of the root and then, for each component, a NUL byte and the name. No name has a NUL byte, so it sorts before any
//! other: below `a` comes before `a-b`, and a subtree is a range. Two scans of one tree under different paths have the same
//! keys.

use std::collections::BTreeSet;

use pwalk_engine::{join, trim_root};

/// Bytes of a key that name the root.
const ROOT: usize = 2;

/// The roots of a scan.
#[derive(Clone, Debug)]
pub(crate) struct Roots {
    /// As rows begin with them, with the slash that stands before what is in it.
    prefixes: Vec<Vec<u8>>,
    roots: Vec<Vec<u8>>,
}

impl Roots {
    /// In whatever order they were given: what two scans have in common goes by the paths.
    pub(crate) fn new(roots: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let roots: BTreeSet<Vec<u8>> = roots.into_iter().map(|root| trim_root(&root).to_vec()).collect();
        let roots: Vec<_> = roots.into_iter().collect();
        let prefix = |root: &Vec<u8>| {
            let mut prefix = root.clone();
            join(&mut prefix, b"");
            prefix
        };
        Self { prefixes: roots.iter().map(prefix).collect(), roots }
    }

    pub(crate) fn paths(&self) -> &[Vec<u8>] {
        &self.roots
    }

    /// The root that a path is below, and the rest of it, which is empty for the root itself. None if it is below no root.
    pub(crate) fn below<'p>(&self, path: &'p [u8]) -> Option<(usize, &'p [u8])> {
        if let Some(index) = self.roots.iter().position(|root| root == path) {
            return Some((index, &[]));
        }
        let below = |(index, prefix): (usize, &Vec<u8>)| Some((index, path.strip_prefix(prefix.as_slice())?));
        // Of roots within each other the inner one has it.
        self.prefixes.iter().enumerate().filter_map(below).min_by_key(|(_, below)| below.len())
    }

    /// The key of a path.
    pub(crate) fn key(&self, path: &[u8]) -> Option<Vec<u8>> {
        let (root, below) = self.below(path)?;
        let mut key = Vec::new();
        key_into(&mut key, root, below);
        Some(key)
    }

    /// The path of a key.
    pub(crate) fn path(&self, key: &[u8]) -> Vec<u8> {
        let index = usize::from(key.first().copied().unwrap_or(0)) << 8 | usize::from(key.get(1).copied().unwrap_or(0));
        let mut path = self.roots.get(index).cloned().unwrap_or_default();
        let below = key.get(ROOT + 1..).unwrap_or_default();
        if !below.is_empty() {
            join(&mut path, b"");
            path.extend(below.iter().map(|byte| if *byte == 0 { b'/' } else { *byte }));
        }
        path
    }
}

/// Makes `key` the key of what is at this path below a root.
pub(crate) fn key_into(key: &mut Vec<u8>, root: usize, below: &[u8]) {
    key.clear();
    // More roots than a command line can name are not told apart.
    key.extend_from_slice(&u16::try_from(root).unwrap_or(u16::MAX).to_be_bytes());
    if !below.is_empty() {
        key.push(0);
        key.extend(below.iter().map(|byte| if *byte == b'/' { 0 } else { *byte }));
    }
}

/// The key of a root.
pub(crate) fn root_key(root: usize) -> Vec<u8> {
    let mut key = Vec::new();
    key_into(&mut key, root, b"");
    key
}

/// The key of an entry, by that of its directory. A root, without a name, has its own.
pub(crate) fn own_key(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if name.is_empty() { dir.to_vec() } else { [dir, b"\0", name].concat() }
}

/// The key of the directory that something is in; a root is in none.
pub(crate) fn above(key: &[u8]) -> Option<&[u8]> {
    let end = key.get(ROOT..)?.iter().rposition(|byte| *byte == 0)?;
    key.get(..ROOT + end)
}

/// What is left of a key below that of a directory: nothing for that itself, none for what is elsewhere.
pub(crate) fn below<'k>(key: &'k [u8], dir: &[u8]) -> Option<&'k [u8]> {
    let rest = key.strip_prefix(dir)?;
    (rest.is_empty() || rest[0] == 0).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_subtree_is_a_range() {
        let roots = Roots::new([b"/data/".to_vec()]);
        let mut paths: Vec<&[u8]> =
            vec![b"/data/a-b", b"/data/a/b", b"/data/a", b"/data", b"/data/a/b/c", b"/data/a/\x01", b"/data/b"];
        paths.sort_by_key(|path| roots.key(path));
        assert_eq!(
            paths,
            [&b"/data"[..], b"/data/a", b"/data/a/\x01", b"/data/a/b", b"/data/a/b/c", b"/data/a-b", b"/data/b"]
        );
        assert_eq!(roots.key(b"/database"), None);
        assert_eq!(below(b"\0\0\0ab", b"\0\0\0a"), None);
        assert_eq!(below(b"\0\0\0a\0b", b"\0\0\0a"), Some(&b"\0b"[..]));
    }

    proptest! {
        #[test]
        fn paths_come_back(root in "/|[a-z./]{1,9}", names in proptest::collection::vec("[^/\0]{1,9}", 0..5)) {
            let roots = Roots::new([b"/other".to_vec(), root.clone().into_bytes()]);
            let mut path = trim_root(root.as_bytes()).to_vec();
            for name in &names {
                join(&mut path, name.as_bytes());
            }
            prop_assume!(!path.starts_with(b"/other"));
            let key = roots.key(&path).unwrap();
            prop_assert_eq!(roots.path(&key), path);
        }
    }
}
