//! The row as the formats see it, and the rules for paths.
//!
//! A row is a directory entry: its name, its metadata, and for a directory its totals. What all entries of
//! a directory share (its path, its inode, the depth) comes once for a whole run of them, in [`Parent`],
//! so that a format can prepare it once: most of a CSV line's bytes are the path of its directory.
//!
//! Paths are bytes and exist only for output. They start with the root as the user gave it ([`trim_root`]); where a
//! slash goes is the engine's rule ([`pwalk_engine::join`]), so that rows and errors name a file alike.

/// What the entries of one directory have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent<'a> {
    /// Path of the directory, from [`trim_root`] and [`join`](pwalk_engine::join). `None` for a root itself, whose `name` is
    /// its whole path.
    pub path: Option<&'a [u8]>,
    /// Inode of the directory; 0 for a root.
    pub ino: u64,
    /// Depth of the entries: -1 for a root itself, 0 for what is in it.
    pub depth: i32,
}

/// The columns that only directories have. Sizes are bytes, blocks 512 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirColumns {
    /// Entries in it.
    pub fcount: u64,
    /// Sum of the `st_size` of its entries, directories among them included.
    pub dirsum: u64,
    /// Itself and all entries below it, at any depth.
    pub tree_count: u64,
    /// Bytes of the same, hard-linked inodes once per scan.
    pub tree_size: u64,
    /// Allocated blocks of the same, hard-linked inodes once per scan.
    pub tree_blocks: u64,
}

/// Makes `out` the path of what is in `dir`, up to where the name goes.
pub(crate) fn prefix_into(out: &mut Vec<u8>, dir: &[u8]) {
    out.clear();
    out.extend_from_slice(dir);
    pwalk_engine::join(out, b"");
}

/// The path of `name` in `parent`.
pub fn join(parent: Option<&[u8]>, name: &[u8]) -> Vec<u8> {
    match parent {
        None => name.to_vec(),
        Some(dir) => {
            let mut path = dir.to_vec();
            pwalk_engine::join(&mut path, name);
            path
        }
    }
}

/// A root's path as what stands before its last component, and that component. Slashes at the end belong to the
/// component, so that the two together are always the path; a path of slashes only is its own name.
pub fn split_root(path: &[u8]) -> (&[u8], &[u8]) {
    let end = path.iter().rposition(|&b| b != b'/').map_or(0, |i| i + 1);
    let start = path[..end].iter().rposition(|&b| b == b'/').map_or(0, |i| i + 1);
    path.split_at(start)
}

/// The extension of a name that is no directory's: what follows the last `.`, unless that is its first byte.
pub fn extension(name: &[u8]) -> &[u8] {
    match name.iter().rposition(|&b| b == b'.') {
        None | Some(0) => b"",
        Some(dot) => &name[dot + 1..],
    }
}

pub use pwalk_engine::trim_root;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_trailing_slash_of_the_root_is_dropped() {
        assert_eq!(trim_root(b"/usr/"), b"/usr");
        assert_eq!(trim_root(b"/usr"), b"/usr");
        assert_eq!(trim_root(b"a//"), b"a/");
        assert_eq!(trim_root(b"/"), b"/");
        assert_eq!(trim_root(b"//"), b"/");
        assert_eq!(trim_root(b""), b"");
    }

    #[test]
    fn a_path_has_one_slash_before_the_name() {
        assert_eq!(join(Some(b"/"), b"x"), b"/x");
        assert_eq!(join(Some(b"/usr"), b"x"), b"/usr/x");
        assert_eq!(join(Some(b"a/"), b"x"), b"a//x");
        assert_eq!(join(Some(b"."), b"x"), b"./x");
        assert_eq!(join(None, b"/usr"), b"/usr");
    }

    #[test]
    fn the_name_of_a_root_is_its_last_component() {
        let cases: [(&[u8], &[u8], &[u8]); 6] = [
            (b"/usr/lib", b"/usr/", b"lib"),
            (b"lib", b"", b"lib"),
            (b"a/b/", b"a/", b"b/"),
            (b"/", b"", b"/"),
            (b".", b"", b"."),
            (b"", b"", b""),
        ];
        for (path, before, name) in cases {
            assert_eq!(split_root(path), (before, name));
        }
    }

    #[test]
    fn an_extension_needs_something_before_its_dot() {
        assert_eq!(extension(b"a.tar.gz"), b"gz");
        assert_eq!(extension(b".bashrc"), b"");
        assert_eq!(extension(b".bashrc.old"), b"old");
        assert_eq!(extension(b"..x"), b"x");
        assert_eq!(extension(b"a."), b"");
        assert_eq!(extension(b"a"), b"");
    }
}
