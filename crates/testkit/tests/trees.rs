//! The hostile trees are what their docs say, as GNU find and stat see them, and they can be removed again.

#![allow(clippy::unwrap_used, reason = "the helpers of a test fail like the test itself")]

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use pwalk_testkit::trees::{self, Churn, Deep, remove_tree};
use pwalk_testkit::{TempTree, is_root, without_dac_override};

/// Entries below `root`, counted by GNU find.
fn count(root: &Path) -> u64 {
    let found = Command::new("find").arg(root).args(["-mindepth", "1", "-printf", "x"]).output().unwrap();
    assert!(found.status.success(), "find: {}", found.stderr.escape_ascii());
    found.stdout.len() as u64
}

#[test]
fn every_builder_makes_as_many_entries_as_it_says() {
    type Build = fn(&Path) -> u64;
    let builders: [(&str, Build); 10] = [
        ("names", trees::names),
        ("deep", |p| trees::deep(p, Deep { levels: 300, ..Deep::default() })),
        ("wide", |p| trees::wide(p, 5_000)),
        ("wide_dirs", |p| trees::wide_dirs(p, 1_000)),
        ("symlinks", trees::symlinks),
        ("fifo_and_socket", trees::fifo_and_socket),
        ("hard_links", |p| trees::hard_links(p).entries),
        ("empties", trees::empties),
        ("snapshots", trees::snapshots),
        ("random", |p| trees::random(p, 1, 3_000).entries()),
    ];
    for (name, build) in builders {
        let (tree, made) = TempTree::with(build);
        assert_eq!(count(tree.path()), made, "{name}");
    }
}

#[test]
fn everything_is_whole_and_below_path_max() {
    let (tree, made) = TempTree::with(trees::everything);
    if is_root() {
        assert_eq!(count(tree.path()), made.entries);
    }
    assert_eq!(made.devices, is_root());
    assert!(made.entries > 2_000);
    let path = tree.path().to_owned();
    drop(tree);
    assert!(!path.exists());
}

#[test]
fn names_are_the_names() {
    let (tree, _) = TempTree::with(trees::names);
    let found: BTreeSet<Vec<u8>> =
        std::fs::read_dir(tree.path()).unwrap().map(|e| e.unwrap().file_name().as_bytes().to_vec()).collect();
    let mut asked: BTreeSet<Vec<u8>> = trees::hostile_names().into_iter().collect();
    for byte in (1..=255u8).filter(|b| !b"./".contains(b)) {
        assert!(asked.contains([byte].as_slice()), "byte {byte}");
    }
    asked.insert(b"directories".to_vec());
    assert_eq!(found, asked);
}

#[test]
fn depth_beyond_path_max_is_built_and_removed() {
    let (tree, made) = TempTree::with(|p| trees::deep(p, Deep::default()));
    assert_eq!(made, 10_000);
    // GNU find walks by fd too, so it can confirm the depth.
    let found = Command::new("find").arg(tree.path()).args(["-type", "f", "-printf", "%d\n"]).output().unwrap();
    let depths = String::from_utf8(found.stdout).unwrap();
    assert_eq!(depths.lines().map(|d| d.parse::<usize>().unwrap()).max(), Some(5_000 + 1));
    remove_tree(&tree.subdir("keeps-drop-honest")).unwrap();
}

#[test]
fn random_trees_repeat_and_differ() {
    let listing = |seed| {
        let (tree, made) = TempTree::with(|p| trees::random(p, seed, 500));
        let found = Command::new("find")
            .arg(tree.path())
            .args(["-mindepth", "1", "(", "-type", "f", "-printf", "%y %n %s %T@ %P\\0"])
            .args(["-o", "-printf", "%y %l %P\\0", ")"])
            .output()
            .unwrap();
        let mut lines: Vec<Vec<u8>> = found.stdout.split(|b| *b == 0).map(<[u8]>::to_vec).collect();
        lines.sort();
        (lines, made)
    };
    assert_eq!(listing(5), listing(5));
    assert_ne!(listing(5), listing(6));
    let (_, made) = listing(7);
    assert!(made.directories > 50 && made.hard_links > 10 && made.symlinks > 10 && made.depth > 5, "{made:?}");
}

#[test]
fn hard_links_share_inodes_as_described() {
    let (tree, made) = TempTree::with(trees::hard_links);
    let found =
        Command::new("find").arg(tree.path()).args(["-mindepth", "1", "-printf", "%i %y %s\n"]).output().unwrap();
    let text = String::from_utf8(found.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let inodes: BTreeSet<&str> = lines.iter().copied().collect();
    assert_eq!((lines.len() as u64, inodes.len() as u64), (made.entries, made.inodes));
    let bytes = |lines: &mut dyn Iterator<Item = &str>| -> u64 {
        lines.filter(|l| l.contains(" f ")).map(|l| l.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    };
    assert_eq!(bytes(&mut lines.iter().copied()), made.bytes_by_name);
    assert_eq!(bytes(&mut inodes.iter().copied()), made.bytes_once);
}

#[test]
fn special_entries_have_their_kinds() {
    let tree = TempTree::new();
    trees::fifo_and_socket(tree.path());
    let kind = |name: &str| std::fs::symlink_metadata(tree.path().join(name)).unwrap();
    assert!(kind("fifo").file_type().is_fifo());
    assert!(kind("socket").file_type().is_socket());
    let bytes = trees::sparse(tree.path());
    assert_eq!((kind("sparse").len(), kind("sparse").blocks()), (bytes, 0));
    assert!(bytes > 1 << 40, "the temporary directory's file system takes only {bytes}");
    if trees::devices(tree.path()).is_some() {
        assert!(kind("null").file_type().is_char_device());
        assert!(kind("block").file_type().is_block_device());
        for (name, _, major, minor) in trees::DEVICES {
            assert_eq!(kind(name).rdev(), rustix::fs::makedev(major, minor), "{name}");
        }
    } else {
        assert!(!is_root());
    }
}

#[test]
fn times_are_reported_as_stored() {
    let (tree, times) = TempTree::with(trees::times);
    for time in &times {
        let meta = std::fs::metadata(tree.path().join(&time.name)).unwrap();
        assert_eq!((meta.mtime(), meta.mtime_nsec()), (time.stored, time.nanoseconds), "{time:?}");
    }
    assert!(times.iter().any(|t| t.stored < 0), "{times:?}");
    assert!(times.iter().any(|t| t.stored > i64::from(u32::MAX)), "{times:?}");
}

#[test]
fn permission_bits_count_without_the_capability() {
    let (tree, made) = TempTree::with(trees::unreadable);
    let found =
        without_dac_override("find").arg(tree.path()).args(["-mindepth", "1", "-printf", "x"]).output().unwrap();
    assert!(!found.status.success());
    assert!(found.stdout.len() as u64 == made - 2, "locked/inside and searchable/inside cannot be seen");
    assert!(
        !without_dac_override("cat").arg(tree.path().join("secret")).stderr(Stdio::null()).status().unwrap().success()
    );
    let mode = std::fs::metadata(tree.path().join("locked")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0);
}

#[test]
fn closed_directories_are_removed_without_the_capability_too() {
    // In a child process, since capabilities are dropped by exec: this test binary, asked for one test only.
    const MARK: &str = "PWALK_TESTKIT_REMOVE";
    if let Some(path) = std::env::var_os(MARK) {
        return remove_tree(Path::new(&path)).unwrap();
    }
    let tree = TempTree::new();
    let victim = tree.subdir("victim");
    trees::unreadable(&victim);
    let status = without_dac_override(std::env::current_exe().unwrap())
        .args(["--exact", "closed_directories_are_removed_without_the_capability_too"])
        .env(MARK, &victim)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    assert!(!victim.exists());
}

#[test]
fn a_mount_point_below_is_not_entered() {
    if is_root() {
        let tree = TempTree::new();
        let mount = tree.subdir("mount");
        assert!(Command::new("mount").args(["-t", "tmpfs", "none"]).arg(&mount).status().unwrap().success());
        std::fs::write(mount.join("precious"), b"x").unwrap();
        let refused = remove_tree(tree.path());
        let kept = mount.join("precious").exists();
        assert!(Command::new("umount").arg(&mount).status().unwrap().success());
        assert!(refused.unwrap_err().to_string().contains("mount"));
        assert!(kept);
    }
}

#[test]
fn churn_changes_the_tree_and_leaves_it_whole() {
    let (tree, bait) = (TempTree::new(), TempTree::new());
    let churn = Churn::start(tree.path(), bait.path());
    let mut listed = 0;
    while churn.operations() < 20_000 {
        listed += std::fs::read_dir(tree.path()).unwrap().count();
    }
    assert!(listed > 0);
    assert!(churn.stop() >= 20_000);
    let names: BTreeSet<_> = std::fs::read_dir(tree.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 16);
    for name in names {
        let dir = tree.path().join(name);
        assert!(std::fs::symlink_metadata(&dir).unwrap().is_dir());
        assert!((0..8).all(|i| dir.join(format!("stable{i}")).exists()) && dir.join("sub/stable").exists());
    }
    assert_eq!(std::fs::read_dir(bait.path()).unwrap().count(), 0);
}
