//! The tree that expressions are run over: all hazards, small enough for thousands of runs.

use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use pwalk_testkit::{TempTree, is_root, trees};

use crate::common::settle;

pub(super) fn tree() -> TempTree {
    let tree = TempTree::new();
    trees::names(&tree.subdir("names"));
    trees::deep(&tree.subdir("deep"), trees::Deep { levels: 12, name_bytes: 9, file_per_level: true });
    trees::wide(&tree.subdir("wide"), 40);
    trees::symlinks(&tree.subdir("links"));
    // Asked where they lead to, links in a circle are an error; whether they are asked depends on the order of the questions.
    for name in ["self", "mutual-a", "mutual-b"] {
        fs::remove_file(tree.path().join("links").join(name)).unwrap();
    }
    for name in ["ab", "c"] {
        fs::write(tree.subdir(name).join("inside"), b"").unwrap();
    }
    trees::fifo_and_socket(&tree.subdir("special"));
    trees::devices(&tree.subdir("devices"));
    trees::hard_links(&tree.subdir("hard"));
    trees::sparse(&tree.subdir("sparse"));
    trees::times(&tree.subdir("times"));
    trees::empties(&tree.subdir("empties"));
    trees::snapshots(&tree.subdir("snapshots"));
    trees::random(&tree.subdir("random"), 7, 120);
    own(&tree.subdir("own"));
    settle(tree.path());
    tree
}

/// What expressions ask for: sizes, modes, ages, owners, names that patterns meet.
fn own(root: &Path) {
    for (number, size) in [0, 1, 511, 512, 513, 1024, 1025, 4096, 1 << 20, (1 << 20) + 1].into_iter().enumerate() {
        File::create(root.join(format!("size{number}.bam"))).unwrap().set_len(size).unwrap();
    }
    for (number, mode) in [0, 0o111, 0o400, 0o644, 0o664, 0o755, 0o1777, 0o2755, 0o4711].into_iter().enumerate() {
        let (file, dir) = (root.join(format!("mode{mode:o}")), root.join(format!("dir{number}")));
        fs::write(&file, b"").unwrap();
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("a.TXT"), b"text").unwrap();
        fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
        fs::set_permissions(dir, Permissions::from_mode(mode | 0o700)).unwrap();
    }
    let now = SystemTime::now();
    for hours in [0, 1, 23, 25, 49, 73, 24 * 9, 24 * 400] {
        let file = File::create(root.join(format!("age{hours}"))).unwrap();
        let then = now - Duration::from_secs(hours * 3600 + 90);
        file.set_times(FileTimes::new().set_modified(then).set_accessed(then + Duration::from_secs(1800))).unwrap();
    }
    symlink("dir3", root.join("to-dir")).unwrap();
    symlink("size3.bam", root.join("to-file")).unwrap();
    symlink("../own", root.join("to-above")).unwrap();
    if is_root() {
        for (number, (user, group)) in [(1, 1), (65534, 65534), (12345, 54321), (0, 12)].into_iter().enumerate() {
            let file = root.join(format!("owned{number}"));
            fs::write(&file, b"x").unwrap();
            chown(&file, Some(user), Some(group)).unwrap();
        }
    }
}
