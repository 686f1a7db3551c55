//! A tree that changes while it is being walked.
//!
//! One thread does, in a tight loop, what an attacker or a busy user does: files vanish and appear, a directory is
//! renamed away and another one, or a symbolic link to outside, stands in its place, atomically
//! (`RENAME_EXCHANGE`) or not. The walker's promises under test: no entry twice under a wrong identity, nothing
//! outside the tree touched, every failure in the ledger.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use rustix::fs::{self, AtFlags, RenameFlags};
use rustix::io::Errno;

use super::at::At;
use crate::Random;

/// Directories that are swapped.
const DIRECTORIES: usize = 16;
/// Files in each that never change: a complete listing of a directory that stayed has at least these.
const STABLE: usize = 8;
/// Files in each that come and go.
const FLEETING: usize = 24;

/// A thread that keeps changing a tree, until [`stop`](Churn::stop) or drop.
#[derive(Debug)]
pub struct Churn {
    stop: Arc<AtomicBool>,
    operations: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Churn {
    /// Builds the playground below `root` and starts changing it.
    ///
    /// `root/c00` … `root/c15`, each with `stable0` … `stable7`, `sub/stable`, and up to 24 files that come and go.
    /// `bait` is a directory outside `root`: the symbolic links that replace directories point to it, and a walk of
    /// `root` that does not follow links must never list it. (Put a file with a telling name there, or mode 000.)
    /// Hidden names `.away` in `root` hold what was renamed away for a moment.
    pub fn start(root: &Path, bait: &Path) -> Self {
        let bait = std::path::absolute(bait).unwrap_or_else(|e| panic!("absolute path of {bait:?}: {e}"));
        assert!(!bait.starts_with(root), "the bait {bait:?} must be outside {root:?}");
        let at = At::open(root);
        for directory in 0..DIRECTORIES {
            let dir = at.subdir(directory_name(directory));
            (0..STABLE).for_each(|i| dir.content(format!("stable{i}"), b"x"));
            dir.subdir("sub").content("stable", b"x");
        }
        let (stop, operations) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let ground = Ground { at, bait: bait.into_os_string().into_encoded_bytes(), rng: Random::new(7) };
        let thread = std::thread::Builder::new()
            .name("churn".to_owned())
            .spawn({
                let (stop, operations) = (Arc::clone(&stop), Arc::clone(&operations));
                move || ground.run(&stop, &operations)
            })
            .unwrap_or_else(|e| panic!("start the churn thread: {e}"));
        Self { stop, operations, thread: Some(thread) }
    }

    /// Changes made so far. A test that needs overlap waits until this has risen during its walk.
    pub fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }

    /// Ends the changes, with every directory back in its place, and returns how many there were.
    /// Panics when the thread did.
    pub fn stop(mut self) -> u64 {
        self.join();
        self.operations()
    }

    fn join(&mut self) {
        self.stop.store(true, Ordering::Relaxed); // the join below is the synchronisation
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the churn thread failed");
        }
    }
}

impl Drop for Churn {
    fn drop(&mut self) {
        self.join();
    }
}

fn directory_name(index: usize) -> String {
    format!("c{index:02}")
}

/// The playground: only its thread changes it, so every call must succeed.
struct Ground {
    at: At,
    bait: Vec<u8>,
    rng: Random,
}

impl Ground {
    fn run(mut self, stop: &AtomicBool, operations: &AtomicU64) {
        while !stop.load(Ordering::Relaxed) {
            let a = self.rng.below(DIRECTORIES);
            let b = (a + 1 + self.rng.below(DIRECTORIES - 1)) % DIRECTORIES;
            let (a, b) = (directory_name(a), directory_name(b));
            let done = match self.rng.below(6) {
                0..3 => self.flicker(&a),
                3 => self.exchange(&a, &b),
                4 => self.replace_with_link(&a),
                _ => self.move_away(&a, &b),
            };
            operations.fetch_add(done, Ordering::Relaxed);
        }
    }

    /// Files of `a` vanish or appear.
    fn flicker(&mut self, a: &str) -> u64 {
        let dir = self.at.child(a);
        for _ in 0..FLEETING {
            let name = format!("fleeting{}", self.rng.below(FLEETING));
            match fs::unlinkat(&dir.0, name.as_str(), AtFlags::empty()) {
                Ok(()) => {}
                Err(Errno::NOENT) => dir.file(&name),
                Err(e) => panic!("unlinkat {name}: {e}"),
            }
        }
        FLEETING as u64
    }

    /// Two directories change places, atomically and for good (both names go on to exist).
    fn exchange(&self, a: &str, b: &str) -> u64 {
        rename(&self.at.0, a, b, RenameFlags::EXCHANGE);
        1
    }

    /// `a` becomes, atomically, a symbolic link to the bait, then a directory again.
    fn replace_with_link(&self, a: &str) -> u64 {
        self.at.symlink(&self.bait, ".away");
        rename(&self.at.0, a, ".away", RenameFlags::EXCHANGE);
        rename(&self.at.0, a, ".away", RenameFlags::EXCHANGE);
        fs::unlinkat(&self.at.0, ".away", AtFlags::empty()).unwrap_or_else(|e| panic!("unlinkat .away: {e}"));
        3
    }

    /// `a` is gone for a moment, then `b` stands in its place, then both are back.
    fn move_away(&self, a: &str, b: &str) -> u64 {
        rename(&self.at.0, a, ".away", RenameFlags::NOREPLACE);
        rename(&self.at.0, b, a, RenameFlags::NOREPLACE);
        rename(&self.at.0, a, b, RenameFlags::NOREPLACE);
        rename(&self.at.0, ".away", a, RenameFlags::NOREPLACE);
        4
    }
}

fn rename(at: &OwnedFd, from: &str, to: &str, flags: RenameFlags) {
    fs::renameat_with(at, from, at, to, flags).unwrap_or_else(|e| panic!("rename {from} to {to}: {e}"));
}
