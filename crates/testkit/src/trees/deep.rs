//! Trees of extreme shape: very deep, very wide.

use std::path::Path;

use super::at::At;

/// The shape of a [`deep`] tree.
#[derive(Debug, Clone, Copy)]
pub struct Deep {
    /// Directories below each other.
    pub levels: usize,
    /// Length of each name in bytes, 1 to 255. Levels times (this + 1) is the length of the longest path.
    pub name_bytes: usize,
    /// Whether each level also holds a file `f` (one byte long).
    pub file_per_level: bool,
}

impl Default for Deep {
    /// 5,000 levels of 20-byte names, a file in each: paths of 105 KB, 25 times `PATH_MAX`.
    fn default() -> Self {
        Self { levels: 5_000, name_bytes: 20, file_per_level: true }
    }
}

/// A chain of directories. Returns the number of entries.
///
/// The name of level `n` is `n` in decimal, filled with `d` on the left, so that a wrong path shows where it broke.
pub fn deep(root: &Path, shape: Deep) -> u64 {
    let mut at = At::open(root);
    let mut entries = 0;
    for level in 0..shape.levels {
        let name = format!("{level:d>width$}", width = shape.name_bytes);
        assert!(name.len() == shape.name_bytes, "{} levels do not fit names of this length", shape.levels);
        at = at.subdir(&name);
        entries += 1;
        if shape.file_per_level {
            at.content("f", b"x");
            entries += 1;
        }
    }
    entries
}

/// `files` empty files `f0000000`… in `root` itself. Returns `files`. About 4 µs each on ext4.
pub fn wide(root: &Path, files: u64) -> u64 {
    let at = At::open(root);
    (0..files).for_each(|i| at.file(format!("f{i:07}")));
    files
}

/// `directories` empty directories `d0000000`… in `root` itself. Returns `directories`. ext4 without `dir_nlink`
/// and some other file systems allow 65,000 at most.
pub fn wide_dirs(root: &Path, directories: u64) -> u64 {
    let at = At::open(root);
    (0..directories).for_each(|i| at.mkdir(format!("d{i:07}")));
    directories
}
