//! A reproducible synthetic tree: the same seed makes the same names, sizes, modes and file times.
//!
//! Its shape is a research group's: project directories with a log-normal fan-out, one flat directory that holds a
//! tenth of all entries (where a walker that gives each directory to one thread loses), sparse sizes over ten orders
//! of magnitude, some symbolic and hard links, and six years of modification times. A real tree would be better and
//! could not be shared.

use anyhow::{Context, Result, bail};
use std::collections::VecDeque;
use std::fs::{self, FileTimes, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The directory to make; it must not exist
    root: PathBuf,
    /// Entries below it, all kinds counted
    entries: u64,
    /// Another seed makes another tree of the same kind
    #[arg(default_value_t = SEED)]
    seed: u64,
}

/// The seed of the trees that the benchmarks make.
pub(crate) const SEED: u64 = 7;

/// The newest modification time, 2026-09-21; fixed, so that a tree made tomorrow is the same.
const NEWEST: u64 = 1_790_000_000;
const SIX_YEARS: u64 = 6 * 365 * 86_400;
const DEEPEST: u32 = 14;
const WIDEST: u64 = 4_000;

const STEMS: &[&str] = &["run", "sample", "out", "frame", "part"];
const EXTENSIONS: &[&str] = &[".txt", ".fastq.gz", ".bam", ".csv", ".py", ".log", ".h5", "", ".tif", ".json"];
const DIRECTORIES: &[&str] = &["proj", "data", "results", "tmp", "src"];
const MODES: &[u32] = &[0o644, 0o600, 0o664];

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    make(&arguments.root, arguments.entries, arguments.seed)?;
    println!("{} entries in {}", arguments.entries, arguments.root.display());
    Ok(())
}

/// Makes exactly `entries` entries below the new directory `root`.
pub(crate) fn make(root: &Path, entries: u64, seed: u64) -> Result<()> {
    if root.exists() {
        bail!("{} exists; mktree makes a new directory", root.display());
    }
    fs::create_dir_all(root).with_context(|| format!("cannot make {}", root.display()))?;
    let mut maker = Maker { random: Random(seed), left: entries };
    maker.tree(root).with_context(|| format!("cannot make the tree {}", root.display()))
}

/// Makes one directory of `entries` empty files and nothing else.
pub(crate) fn make_flat(root: &Path, entries: u64) -> Result<()> {
    fs::create_dir_all(root).with_context(|| format!("cannot make {}", root.display()))?;
    for index in 0..entries {
        let path = root.join(format!("frame_{index:07}.tif"));
        fs::File::create_new(&path).with_context(|| format!("cannot make {}", path.display()))?;
    }
    Ok(())
}

struct Maker {
    random: Random,
    /// Entries still to make.
    left: u64,
}

impl Maker {
    fn tree(&mut self, root: &Path) -> Result<()> {
        let in_flat = self.left / 10;
        if self.take() {
            let flat = root.join("flat");
            fs::create_dir(&flat)?;
            for index in 0..in_flat {
                self.file(&flat, index)?;
            }
        }
        let mut to_fill = VecDeque::from([(root.to_path_buf(), 0)]);
        while self.left > 0 {
            let at = self.random.index(to_fill.len());
            // Swapping keeps the choice uniform without moving the whole queue.
            let (directory, depth) = to_fill.swap_remove_back(at).context("no directory is left to fill")?;
            self.project(&directory, depth, &mut to_fill)?;
        }
        Ok(())
    }

    /// Fills one directory; its sub-directories join those that are still to fill.
    fn project(&mut self, directory: &Path, depth: u32, to_fill: &mut VecDeque<(PathBuf, u32)>) -> Result<()> {
        let mut last = None;
        for index in 0..self.random.fan_out() {
            last = self.file(directory, index)?.or(last);
        }
        if let Some(last) = last {
            if self.random.one_in(10) && self.take() {
                symlink(last.file_name().context("a file has a name")?, directory.join("latest"))?;
            }
            if self.random.one_in(20) && self.take() {
                fs::hard_link(&last, directory.join("hard"))?;
            }
        }
        // The last directory always gets children, so that a tree of any size can be finished.
        if depth < DEEPEST || to_fill.is_empty() {
            for index in 0..1 + self.random.below(4) {
                let child = directory.join(format!("{}{index}", self.random.choose(DIRECTORIES)));
                if self.take() {
                    fs::create_dir(&child)?;
                    to_fill.push_back((child, depth + 1));
                }
            }
        }
        Ok(())
    }

    /// One file, unless the tree is complete.
    fn file(&mut self, directory: &Path, index: u64) -> Result<Option<PathBuf>> {
        if !self.take() {
            return Ok(None);
        }
        let extension = self.random.choose(EXTENSIONS);
        let path = directory.join(format!("{}_{index:06}{extension}", self.random.choose(STEMS)));
        let mode = *self.random.choose(MODES);
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?;
        file.set_len(self.random.file_size())?;
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(NEWEST - self.random.below(SIX_YEARS));
        file.set_times(FileTimes::new().set_accessed(time).set_modified(time))?;
        Ok(Some(path))
    }

    fn take(&mut self) -> bool {
        let any_left = self.left > 0;
        self.left = self.left.saturating_sub(1);
        any_left
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014): eight lines, and the same numbers in every version of everything.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to but not including `end`; the bias of the remainder is of no concern here.
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length.max(1) as u64)).expect("less than a usize")
    }

    fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.index(from.len())]
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    fn fan_out(&mut self) -> u64 {
        (self.log_normal(2.6, 1.1) + 1).min(WIDEST)
    }

    /// Below 16 GiB: the largest sparse file that ext4 with small blocks takes.
    fn file_size(&mut self) -> u64 {
        self.log_normal(9.0, 3.0) % (1 << 34)
    }

    /// The whole part of a log-normally distributed number (Box and Muller 1958).
    fn log_normal(&mut self, mu: f64, sigma: f64) -> u64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.unit()).cos();
        #[expect(clippy::cast_possible_truncation, reason = "the whole part is what is wanted")]
        #[expect(clippy::cast_sign_loss, reason = "exp is positive")]
        let whole = (mu + sigma * normal).exp() as u64;
        whole
    }

    /// From 0 up to but not including 1, of 53 bits.
    fn unit(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
        let bits = (self.next() >> 11) as f64;
        bits / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    /// Every entry below, with what the seed decides about it.
    fn listing(root: &Path) -> Vec<(PathBuf, u32, u64, i64, u64)> {
        let mut rows = Vec::new();
        let mut directories = vec![root.to_path_buf()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let entry = entry.unwrap();
                let meta = entry.metadata().unwrap();
                let below = entry.path().strip_prefix(root).unwrap().to_path_buf();
                // A directory's size and time are the file system's, not the seed's.
                let own = if meta.is_dir() { (0, 0) } else { (meta.size(), meta.mtime()) };
                let time = if meta.is_symlink() { 0 } else { own.1 };
                rows.push((below, meta.mode(), own.0, time, if meta.is_dir() { 0 } else { meta.nlink() }));
                if meta.is_dir() {
                    directories.push(entry.path());
                }
            }
        }
        rows.sort();
        rows
    }

    #[test]
    fn one_seed_makes_one_tree_of_exactly_the_asked_size() {
        let scratch = tempfile::tempdir().unwrap();
        let make = |name: &str, seed| {
            let root = scratch.path().join(name);
            super::make(&root, 3_000, seed).unwrap();
            listing(&root)
        };
        let (first, again, other) = (make("first", 7), make("again", 7), make("other", 8));
        assert_eq!(first.len(), 3_000);
        assert_eq!(first, again);
        assert_ne!(first, other);
        assert_eq!(first.iter().filter(|row| row.0.starts_with("flat")).count(), 1 + 300);
        assert!(first.iter().any(|row| row.4 == 2), "some files have two links");
        assert!(first.iter().any(|row| row.0.ends_with("latest")), "some symbolic links");
    }

    #[test]
    fn small_trees_are_exact_too() {
        let scratch = tempfile::tempdir().unwrap();
        for entries in [0, 1, 2, 11] {
            let root = scratch.path().join(entries.to_string());
            make(&root, entries, SEED).unwrap();
            assert_eq!(listing(&root).len() as u64, entries);
        }
    }

    #[test]
    fn an_existing_root_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        assert!(make(scratch.path(), 10, SEED).is_err());
    }
}
