//! Hostile trees: each function makes one hazard below a directory and returns what it made.
//!
//! A promise of pwalk ("no entry is lost", "names round-trip") is held by a test over the tree that attacks it, so
//! the hazards are separate functions and a test names the one it means; [`everything`] puts all of them side by
//! side for differential tests against GNU find, `du` and `stat`.
//!
//! All counts are **directory entries made below `root`**, `root` itself not included: exactly what a complete walk
//! must see besides the root.
//!
//! Building and removing go through directory fds, one component at a time, since a path longer than `PATH_MAX`
//! (4,096 bytes) cannot be given to any system call. `std::fs::remove_dir_all` recurses and keeps an fd per level;
//! [`remove_tree`] does neither, so a tree of 5,000 levels goes away under `ulimit -n 64`.

mod at;
mod churn;
mod deep;
mod links;
mod names;
mod random;
mod remove;
mod special;
mod temp;

use std::path::{Path, PathBuf};

pub use churn::Churn;
pub use deep::{Deep, deep, wide, wide_dirs};
pub use links::{HardLinks, hard_links, symlinks};
pub use names::{hostile_names, names};
pub use random::{RandomTree, random};
pub use remove::remove_tree;
pub use special::{
    DEVICES, SPARSE_BYTES, StoredTime, devices, empties, fifo_and_socket, snapshots, sparse, times, unreadable,
};
pub use temp::TempTree;

/// What [`everything`] made.
#[derive(Debug, Clone)]
pub struct Everything {
    /// Directory entries below the root.
    pub entries: u64,
    /// Whether block and character devices are among them (only root can make them).
    pub devices: bool,
    /// Logical size in bytes of `sparse/sparse`.
    pub sparse_bytes: u64,
}

/// All hazards side by side, each in a directory of its own, in sizes that other tools can be run over: about 3,000
/// entries, and every path is shorter than `PATH_MAX` so that path-based oracles (`os.walk`, `du`) can follow.
/// For the real sizes call [`deep`] and [`wide`] themselves.
///
/// The directories that permission bits close (`unreadable/`) are part of it: a walk as root sees all entries, any
/// other user fewer.
pub fn everything(root: &Path) -> Everything {
    let mut entries = 0;
    let mut section = |name: &str| -> PathBuf {
        entries += 1;
        at::section(root, name)
    };
    let mut made = 0;
    made += names(&section("names"));
    made += deep(&section("deep"), Deep { levels: 120, name_bytes: 20, file_per_level: true });
    made += wide(&section("wide"), 1_500);
    made += wide_dirs(&section("wide-dirs"), 300);
    made += symlinks(&section("symlinks"));
    made += fifo_and_socket(&section("special"));
    let device_entries = devices(&section("devices"));
    made += hard_links(&section("hard-links")).entries;
    let sparse_bytes = sparse(&section("sparse"));
    made += 1;
    made += unreadable(&section("unreadable"));
    made += u64::try_from(times(&section("times")).len()).expect("usize fits u64");
    made += empties(&section("empties"));
    made += snapshots(&section("snapshots"));
    made += random(&section("random"), 42, 400).entries();
    made += device_entries.unwrap_or(0);
    Everything { entries: entries + made, devices: device_entries.is_some(), sparse_bytes }
}
