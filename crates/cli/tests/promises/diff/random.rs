//! Thousands of random changes to a tree, between looks at it.

use std::ffi::OsString;
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pwalk_testkit::{Random, TempTree};

use super::model::{changes, look};
use super::{diff, scan, told};

/// A tree and what is in it.
struct Forest {
    root: PathBuf,
    random: Random,
    dirs: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl Forest {
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

fn rounds(seed: u64, rounds: usize, most: usize) {
    let place = TempTree::new();
    let root = place.subdir("tree");
    let mut forest = Forest { root: root.clone(), random: Random::new(seed), dirs: Vec::new(), files: Vec::new() };
    let scans = ["one.parquet", "two.parquet"].map(|name| place.path().join(name));
    scan(&root, &scans[0]);
    let mut before = look(&root);
    let mut made = 0;
    for round in 0..rounds {
        for _ in 0..=forest.random.below(most) {
            forest.refresh();
            made += usize::from(forest.change().is_ok());
        }
        let (old, new) = (&scans[round % 2], &scans[(round + 1) % 2]);
        let after = look(&root);
        let expected = changes(&before, &after);
        let code = i32::from(!expected.is_empty());
        // The one walks, the other does not.
        let walked = diff([old.as_path(), &root]).expect(code);
        scan(&root, new);
        let read = diff([old, new]).expect(code);
        for ran in [walked, read] {
            assert_same(&told(&ran), &expected, seed, round);
        }
        before = after;
    }
    assert!(made > rounds * most / 8, "{made}");
    assert!(fs::metadata(&root).unwrap().is_dir());
}

#[track_caller]
fn assert_same(told: &super::Told, expected: &super::Told, seed: u64, round: usize) {
    let wrong: Vec<_> = told.iter().filter(|pair| expected.get(pair.0) != Some(pair.1)).collect();
    let missing: Vec<_> = expected.iter().filter(|pair| told.get(pair.0) != Some(pair.1)).collect();
    assert!(
        wrong.is_empty() && missing.is_empty(),
        "seed {seed}, round {round}\nwrong {wrong:#?}\nmissing {missing:#?}"
    );
}

#[test]
fn thousands_of_changes_are_told_as_the_model_tells_them() {
    for seed in 0..4 {
        rounds(seed, 40, 30);
    }
}

#[test]
fn many_changes_at_once_are_told_as_the_model_tells_them() {
    rounds(99, 3, 1500);
}

#[test]
fn nothing_changed_is_no_change() {
    let place = TempTree::new();
    let root = place.subdir("tree");
    pwalk_testkit::trees::everything(&root);
    let scans = ["one.parquet", "two.parquet"].map(|name| place.path().join(name));
    scans.iter().for_each(|place| scan(&root, place));
    assert!(told(&diff(&scans).expect(0)).is_empty());
    assert!(told(&diff([Path::new("--include-snapshots"), &scans[0], &root]).expect(0)).is_empty());
    // Deep, and with names of 255 bytes: all of it moves as one.
    let deep = root.join("deep");
    fs::rename(&deep, root.join("deeper")).unwrap();
    let ran = diff([Path::new("--include-snapshots"), &scans[0], &root]).expect(1);
    let moved = told(&ran);
    assert_eq!(moved.len(), 1, "{}", ran.text());
    assert_eq!(moved.values().next().unwrap().as_deref(), Some(deep.as_os_str().as_encoded_bytes()));
}
