//! Layouts that are arithmetic: any number of entries in no memory.

use std::io::Write as _;

use rustix::fs::FileType;

use super::layout::{Attr, Layout, ROOT};

/// Inode numbers from here are files; below are directories.
const FIRST_FILE: u64 = 1 << 40;

/// A tree of `directories` (the root is one) numbered in breadth-first order, each with up to `fanout`
/// sub-directories `d0`, `d1`, … and with files `f0.dat`, `f1.dat`, …
///
/// Directory number `d` has inode `d + 1` and the sub-directories `d * fanout + 1` … `d * fanout + fanout`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Balanced {
    pub(super) directories: u64,
    pub(super) fanout: u64,
    pub(super) files: Files,
}

/// Where the files are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Files {
    /// That many in each directory.
    PerDirectory(u64),
    /// That many in the root and none elsewhere.
    InRoot(u64),
}

impl Balanced {
    fn subdirectories(&self, d: u64) -> u64 {
        (self.directories - 1).saturating_sub(d.saturating_mul(self.fanout)).min(self.fanout)
    }

    /// Files of directory `d`, and the inode of the first.
    fn files(&self, d: u64) -> (u64, u64) {
        match self.files {
            Files::PerDirectory(n) => (n, FIRST_FILE + d * n),
            Files::InRoot(n) => (if d == 0 { n } else { 0 }, FIRST_FILE),
        }
    }

    fn is_file(&self, ino: u64) -> bool {
        let all = match self.files {
            Files::PerDirectory(n) => n * self.directories,
            Files::InRoot(n) => n,
        };
        (FIRST_FILE..FIRST_FILE + all).contains(&ino)
    }
}

impl Layout for Balanced {
    fn attr(&self, ino: u64) -> Option<Attr> {
        if self.is_file(ino) {
            return Some(Attr::synthetic(ino, FileType::RegularFile));
        }
        let d = ino.checked_sub(1).filter(|d| *d < self.directories)?;
        let nlink = 2 + u32::try_from(self.subdirectories(d)).unwrap_or(u32::MAX - 2);
        Some(Attr { nlink, ..Attr::synthetic(ino, FileType::Directory) })
    }

    fn lookup(&self, directory: u64, name: &[u8]) -> Option<u64> {
        let d = directory.checked_sub(1).filter(|d| *d < self.directories)?;
        if let Some(j) = number(name, b"d", b"") {
            return (j < self.subdirectories(d)).then(|| d * self.fanout + j + 2);
        }
        let j = number(name, b"f", b".dat")?;
        let (files, first) = self.files(d);
        (j < files).then(|| first + j)
    }

    fn entry(&self, directory: u64, index: u64, name: &mut Vec<u8>) -> Option<(u64, FileType)> {
        let d = directory.checked_sub(1).filter(|d| *d < self.directories)?;
        let subdirectories = self.subdirectories(d);
        if index < subdirectories {
            spell(name, b"d", index, b"");
            return Some((d * self.fanout + index + 2, FileType::Directory));
        }
        let j = index - subdirectories;
        let (files, first) = self.files(d);
        spell(name, b"f", j, b".dat");
        (j < files).then(|| (first + j, FileType::RegularFile))
    }

    fn parent(&self, ino: u64) -> u64 {
        if ino <= ROOT { ROOT } else { (ino - 2) / self.fanout + 1 }
    }

    fn entries(&self) -> Option<u64> {
        let files = match self.files {
            Files::PerDirectory(n) => n * self.directories,
            Files::InRoot(n) => n,
        };
        Some(self.directories - 1 + files)
    }
}

/// A root with the file `plain` and the directory `endless`, whose listing `n0`, `n1`, … never ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct EndlessNames;

impl Layout for EndlessNames {
    fn attr(&self, ino: u64) -> Option<Attr> {
        match ino {
            1 | 2 => Some(Attr::synthetic(ino, FileType::Directory)),
            3 | FIRST_FILE.. => Some(Attr::synthetic(ino, FileType::RegularFile)),
            _ => None,
        }
    }

    fn lookup(&self, directory: u64, name: &[u8]) -> Option<u64> {
        match (directory, name) {
            (ROOT, b"endless") => Some(2),
            (ROOT, b"plain") => Some(3),
            (2, name) => number(name, b"n", b"").map(|i| FIRST_FILE + i),
            _ => None,
        }
    }

    fn entry(&self, directory: u64, index: u64, name: &mut Vec<u8>) -> Option<(u64, FileType)> {
        match (directory, index) {
            (ROOT, 0) => name.extend_from_slice(b"endless"),
            (ROOT, 1) => name.extend_from_slice(b"plain"),
            (2, index) => spell(name, b"n", index, b""),
            _ => return None,
        }
        let ino = self.lookup(directory, name)?;
        self.attr(ino).map(|attr| (ino, attr.kind))
    }

    fn parent(&self, _ino: u64) -> u64 {
        ROOT
    }

    fn entries(&self) -> Option<u64> {
        None
    }
}

/// Every directory holds a directory `d` and a file `f`: there is no bottom.
#[derive(Debug, Clone, Copy)]
pub(super) struct EndlessDepth;

impl Layout for EndlessDepth {
    fn attr(&self, ino: u64) -> Option<Attr> {
        let kind = if ino >= FIRST_FILE { FileType::RegularFile } else { FileType::Directory };
        Some(Attr::synthetic(ino, kind))
    }

    fn lookup(&self, directory: u64, name: &[u8]) -> Option<u64> {
        match name {
            b"d" => Some(directory + 1),
            b"f" => Some(FIRST_FILE + directory),
            _ => None,
        }
    }

    fn entry(&self, directory: u64, index: u64, name: &mut Vec<u8>) -> Option<(u64, FileType)> {
        let (letter, kind) =
            [(b'd', FileType::Directory), (b'f', FileType::RegularFile)].get(usize::try_from(index).ok()?).copied()?;
        name.push(letter);
        Some((self.lookup(directory, name)?, kind))
    }

    fn parent(&self, ino: u64) -> u64 {
        ino.saturating_sub(1).max(ROOT)
    }

    fn entries(&self) -> Option<u64> {
        None
    }
}

fn spell(name: &mut Vec<u8>, prefix: &[u8], number: u64, suffix: &[u8]) {
    name.extend_from_slice(prefix);
    write!(name, "{number}").expect("writing into a Vec cannot fail");
    name.extend_from_slice(suffix);
}

/// The number in a name that [`spell`] made, `None` for any other name (`d01` is not `d1`).
fn number(name: &[u8], prefix: &[u8], suffix: &[u8]) -> Option<u64> {
    let digits = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
    let canonical = digits == b"0" || digits.first().is_some_and(|b| (b'1'..=b'9').contains(b));
    canonical.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listing_lookup_and_parent_agree() {
        let tree = Balanced { directories: 50, fanout: 3, files: Files::PerDirectory(4) };
        let mut seen = 0;
        for directory in 1..=50 {
            for index in 0.. {
                let mut name = Vec::new();
                let Some((ino, kind)) = tree.entry(directory, index, &mut name) else { break };
                assert_eq!(tree.lookup(directory, &name), Some(ino));
                assert_eq!(tree.attr(ino).map(|a| (a.ino, a.kind)), Some((ino, kind)));
                assert!(kind != FileType::Directory || tree.parent(ino) == directory);
                seen += 1;
            }
        }
        assert_eq!(Some(seen), tree.entries());
    }

    #[test]
    fn only_canonical_names_exist() {
        let flat = Balanced { directories: 1, fanout: 0, files: Files::InRoot(10) };
        assert!(flat.lookup(ROOT, b"f9.dat").is_some());
        for name in
            [b"f10.dat".as_slice(), b"f09.dat", b"f.dat", b"f+1.dat", b"f1", b"d0", b"", b"f18446744073709551616.dat"]
        {
            assert_eq!(flat.lookup(ROOT, name), None, "{}", name.escape_ascii());
        }
    }
}
