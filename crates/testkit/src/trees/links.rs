//! Symbolic links that lead nowhere, back or outside, and files with several names.

use std::path::Path;

use super::at::At;

/// Symbolic links of every kind. Returns the number of entries.
///
/// Below `root`: `dir/` with `file` and `deeper/up` (a link to `root` from two levels down: an endless tree for
/// whoever follows without looking), and links `self`, `mutual-a` ↔ `mutual-b`, `parent`, `here`, `to-root` (`/`),
/// `dangling`, `dangling-absolute`, `to-dir`, `to-file`, `to-link`, `through-file`, `long` (a target of 4,000 bytes)
/// and `bytes` (a target that is not UTF-8).
pub fn symlinks(root: &Path) -> u64 {
    let at = At::open(root);
    let dir = at.subdir("dir");
    dir.content("file", b"content\n");
    let deeper = dir.subdir("deeper");
    deeper.symlink("../..", "up");
    let long = "x/".repeat(2_000);
    let links: &[(&[u8], &str)] = &[
        (b"self", "self"),
        (b"mutual-b", "mutual-a"),
        (b"mutual-a", "mutual-b"),
        (b"..", "parent"),
        (b".", "here"),
        (b"/", "to-root"),
        (b"no/such/file", "dangling"),
        (b"/no/such/file", "dangling-absolute"),
        (b"dir", "to-dir"),
        (b"dir/file", "to-file"),
        (b"to-dir", "to-link"),
        (b"dir/file/below", "through-file"),
        (long.as_bytes(), "long"),
        (b"\xff\n\"", "bytes"),
    ];
    for (target, name) in links {
        at.symlink(target, name);
    }
    4 + u64::try_from(links.len()).expect("usize fits u64")
}

/// What [`hard_links`] made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HardLinks {
    /// Directory entries, each name of a file counted.
    pub entries: u64,
    /// Inodes among them, directories included.
    pub inodes: u64,
    /// Sum of the sizes of all regular files in bytes, each inode once.
    pub bytes_once: u64,
    /// Sum of the sizes over all names of regular files in bytes.
    pub bytes_by_name: u64,
}

/// Files with several names in several directories, so that each is met in different directories and, by a parallel
/// walk, in any order.
///
/// `a/`, `b/`, `c/deep/`; a file of 10,000 bytes with three names in three directories; 8 files of `1000 * i` bytes
/// with two names; one with two names in one directory; one with nlink 3 of which only two names are below `root/a`;
/// a symbolic link and a fifo with two names each.
pub fn hard_links(root: &Path) -> HardLinks {
    let at = At::open(root);
    let (a, b) = (at.subdir("a"), at.subdir("b"));
    let c = at.subdir("c").subdir("deep");
    let mut made = HardLinks { entries: 4, inodes: 4, bytes_once: 0, bytes_by_name: 0 };
    let mut file = |dir: &At, name: &str, bytes: usize, others: &[(&At, &str)]| {
        dir.content(name, &vec![b'x'; bytes]);
        for (other, new) in others {
            dir.link(name, other, new);
        }
        let (names, bytes) = (1 + others.len() as u64, bytes as u64);
        made.entries += names;
        made.inodes += 1;
        made.bytes_once += bytes;
        made.bytes_by_name += names * bytes;
    };
    file(&a, "three", 10_000, &[(&b, "three"), (&c, "three-names")]);
    for i in 1..=8 {
        file(&b, &format!("pair{i}"), 1_000 * i, &[(&c, &format!("pair{i}"))]);
    }
    file(&a, "twin", 77, &[(&a, "twin-again")]);
    file(&a, "mostly-here", 5_000, &[(&a, "mostly-here-2"), (&at, "elsewhere")]);
    file(&c, "alone", 123, &[]);
    a.symlink("three", "link");
    a.link("link", &b, "link");
    a.node("fifo", rustix::fs::FileType::Fifo, 0);
    a.link("fifo", &c, "fifo");
    made.entries += 4;
    made.inodes += 2;
    made
}
