//! Random trees for property tests: any shape, and the same one for the same seed.

use std::path::Path;

use rustix::fs::{self, AtFlags, FileType, Timespec, Timestamps};

use super::at::At;
use crate::Random;

/// What [`random`] made, by kind. A hard link is counted as such and not again as a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RandomTree {
    /// Directories, the root not included.
    pub directories: u64,
    /// Regular files, by inode.
    pub files: u64,
    /// Second and further names of files.
    pub hard_links: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Fifos.
    pub fifos: u64,
    /// Levels of the deepest directory below the root.
    pub depth: usize,
}

impl RandomTree {
    /// All entries below the root.
    pub fn entries(&self) -> u64 {
        self.directories + self.files + self.hard_links + self.symlinks + self.fifos
    }
}

/// The longest path that is made, in bytes below the root: leaves oracles that use paths some room.
const LONGEST: usize = 3_000;

/// A directory that can take more entries, by its path below the root.
struct Parent {
    path: Vec<u8>,
    depth: usize,
}

/// A tree of `entries` entries. Shape, names, sizes, kinds and modification times of files depend on `seed` and
/// `entries` alone; inode numbers and the order of a listing are the file system's.
///
/// Directories are chosen with a preference for the newest, so that both bushes and long arms grow. Names hold any
/// byte. Files are holes or hold up to 5,000 bytes.
pub fn random(root: &Path, seed: u64, entries: u64) -> RandomTree {
    let mut rng = Random::new(seed);
    let at = At::open(root);
    let mut parents = vec![Parent { path: Vec::new(), depth: 0 }];
    let mut files: Vec<Vec<u8>> = Vec::new();
    let mut made = RandomTree::default();
    for serial in 0..entries {
        let newest = rng.below(3) == 0;
        let chosen = if newest { parents.len() - 1 } else { rng.below(parents.len()) };
        let depth = parents[chosen].depth;
        let path = join(&parents[chosen].path, &name(&mut rng, serial));
        match rng.below(100) {
            0..25 if path.len() < LONGEST => {
                at.mkdir(&path);
                made.directories += 1;
                made.depth = made.depth.max(depth + 1);
                parents.push(Parent { path, depth: depth + 1 });
            }
            25..35 if !files.is_empty() => {
                at.link(&files[rng.below(files.len())], &at, &path);
                made.hard_links += 1;
            }
            35..45 => {
                at.symlink(target(&mut rng, &files, &parents), &path);
                made.symlinks += 1;
            }
            45..48 => {
                at.node(&path, FileType::Fifo, 0);
                made.fifos += 1;
            }
            _ => {
                file(&at, &path, &mut rng);
                made.files += 1;
                files.push(path);
            }
        }
    }
    made
}

/// A name that no other entry has: random bytes, then the serial number.
fn name(rng: &mut Random, serial: u64) -> Vec<u8> {
    const ALPHABETS: [&[u8]; 3] = [b"abcdefgh", b"._-, \"'\n\t", b"\x01\x7f\x80\xc3\xa9\xff"];
    let mut name = Vec::new();
    for _ in 0..rng.below(12) {
        let alphabet = ALPHABETS[[0, 0, 0, 1, 2][rng.below(5)]];
        name.push(alphabet[rng.below(alphabet.len())]);
    }
    name.extend_from_slice(format!("{serial:x}").as_bytes());
    name.extend_from_slice([b"".as_slice(), b".txt", b".tar.gz", b"."][rng.below(4)]);
    name
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
}

/// The target of a symbolic link: up, dangling, or the name (not the way) of something that exists.
fn target(rng: &mut Random, files: &[Vec<u8>], parents: &[Parent]) -> Vec<u8> {
    match rng.below(5) {
        0 => b"..".to_vec(),
        1 => b"dangling".to_vec(),
        2 if !files.is_empty() => files[rng.below(files.len())].clone(),
        3 if parents.len() > 1 => parents[1 + rng.below(parents.len() - 1)].path.clone(),
        _ => b"../../x".to_vec(),
    }
}

fn file(at: &At, path: &[u8], rng: &mut Random) {
    match rng.below(3) {
        0 => at.file(path),
        1 => at.content(path, &vec![b'x'; rng.below(5_000)]),
        _ => at.hole(path, rng.bits() % 1_000_000_007),
    }
    let seconds = i64::try_from(rng.bits() % 2_000_000_000).expect("below 2^31");
    let nanoseconds = i64::try_from(rng.bits() % 1_000_000_000).expect("below 2^30");
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    fs::utimensat(&at.0, path, &Timestamps { last_access: time, last_modification: time }, AtFlags::empty())
        .unwrap_or_else(|e| panic!("utimensat {}: {e}", path.escape_ascii()));
}
