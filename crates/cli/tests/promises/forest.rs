//! A tree that changes at random, as people change theirs.

use std::ffi::OsString;
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pwalk_testkit::Random;

/// A tree and what is in it.
pub(crate) struct Forest {
    root: PathBuf,
    pub(crate) random: Random,
    dirs: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl Forest {
    pub(crate) fn new(root: &Path, seed: u64) -> Self {
        Self { root: root.to_owned(), random: Random::new(seed), dirs: Vec::new(), files: Vec::new() }
    }

    /// Makes up to so many changes, at least one: how many were made.
    pub(crate) fn changes(&mut self, most: usize) -> usize {
        let count = self.random.below(most) + 1;
        (0..count).map(|_| usize::from(self.change().is_ok())).sum()
    }

    fn name(&mut self) -> OsString {
        let number = self.random.below(40);
        let name = match self.random.below(8) {
            0 => format!("it's \"{number}\"\n\\,%s").into_bytes(),
            1 => [&b"\xff\xfe"[..], number.to_string().as_bytes(), b"\xc3"].concat(),
            2 => format!("{number:0>255}").into_bytes(),
            3 => format!("grün 日本 {number}").into_bytes(),
            4 => format!("v1.{number}").into_bytes(),
            5 => format!("a-{number}").into_bytes(),
            _ => format!("a{number}").into_bytes(),
        };
        OsString::from_vec(name)
    }

    fn any_dir(&mut self) -> PathBuf {
        let at = self.random.below(self.dirs.len() + 1);
        self.dirs.get(at).unwrap_or(&self.root).clone()
    }

    fn any_file(&mut self) -> Option<PathBuf> {
        (!self.files.is_empty()).then(|| self.files[self.random.below(self.files.len())].clone())
    }

    /// What is there by now.
    fn refresh(&mut self) {
        (self.dirs, self.files) = (Vec::new(), Vec::new());
        let mut todo = vec![self.root.clone()];
        while let Some(dir) = todo.pop() {
            let mut entries: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap()).collect();
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                if entry.file_type().unwrap().is_dir() {
                    self.dirs.push(entry.path());
                    todo.push(entry.path());
                } else {
                    self.files.push(entry.path());
                }
            }
        }
    }

    /// One change; some of them cannot be made, and are not.
    fn change(&mut self) -> std::io::Result<()> {
        self.refresh();
        let (dir, name) = (self.any_dir(), self.name());
        let at = dir.join(name);
        let file = self.any_file();
        let size = self.random.below(5000);
        match (self.random.below(14), file) {
            (0..=2, _) | (_, None) => {
                OpenOptions::new().write(true).create_new(true).open(at)?.write_all(&vec![b'x'; size])
            }
            (3, _) => fs::create_dir(at),
            (4, Some(file)) => OpenOptions::new().append(true).open(file)?.write_all(b"more"),
            (5, Some(file)) => {
                fs::set_permissions(file, Permissions::from_mode(0o600 + u32::try_from(size % 64).unwrap()))
            }
            (6, Some(file)) => fs::rename(file, at),
            (7, _) => fs::rename(self.any_dir(), at),
            (8, Some(file)) => fs::hard_link(file, at),
            (9, Some(file)) => symlink(file, at),
            (10, Some(file)) => fs::remove_file(file),
            (11, _) => {
                // The whole of it, but not too much.
                let dir = self.any_dir();
                if dir == self.root || fs::read_dir(&dir)?.count() > 6 { Ok(()) } else { fs::remove_dir_all(dir) }
            }
            (12, Some(file)) => {
                // As editors save.
                let beside = self.root.join(".saving");
                fs::write(&beside, "new")?;
                fs::rename(beside, file)
            }
            (_, Some(file)) => {
                let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000 + size as u64);
                OpenOptions::new().write(true).open(if size.is_multiple_of(2) { dir } else { file })?.set_modified(time)
            }
        }
    }
}
