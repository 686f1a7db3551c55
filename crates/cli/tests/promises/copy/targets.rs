//! Promise: a copy is whole on every file system that it is made on; what a file system cannot take is told, and costs nothing that was there.
//!
//! The file systems are real, in images of their own behind loop devices, and mounted where only the thread of the test sees them.

use std::fs::{create_dir, write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use pwalk_testkit::is_root;

use super::kinds::{kinds, noise};
use super::{Place, STRATEGIES, assert_same, copy_to, done, look, losses, settle, unfinished};
use crate::common::{in_mounts_of_thread, json_lines, oracle};

/// Makes a file system of this kind in an image, and mounts it.
fn mounted(place: &Place, kind: &str) -> PathBuf {
    let (at, image) = (place.beside(&format!("on-{kind}")), place.beside(&format!("{kind}.img")));
    create_dir(&at).unwrap();
    let (tool, options): (_, &[&str]) = match kind {
        "tmpfs" => {
            oracle("mount", ["-t", "tmpfs", "none", at.to_str().unwrap()]);
            return at;
        }
        "overlay" => {
            let dirs = ["lower", "upper", "work"].map(|name| place.beside(name));
            dirs.iter().for_each(|dir| create_dir(dir).unwrap());
            let [lower, upper, work] = dirs.each_ref().map(|dir| dir.to_str().unwrap());
            let options = format!("lowerdir={lower},upperdir={upper},workdir={work}");
            oracle("mount", ["-t", "overlay", "none", "-o", &options, at.to_str().unwrap()]);
            return at;
        }
        "ext4" => ("mkfs.ext4", &["-q", "-F"]),
        "xfs" => ("mkfs.xfs", &["-q", "-f"]),
        "btrfs" => ("mkfs.btrfs", &["-q", "-f"]),
        _ => unreachable!("{kind}"),
    };
    std::fs::File::create(&image).unwrap().set_len(1 << 30).unwrap();
    oracle(tool, options.iter().map(|o| (*o).into()).chain([image.clone().into_os_string()]));
    oracle("mount", ["-o".as_ref(), "loop".as_ref(), image.as_os_str(), at.as_os_str()]);
    at
}

/// What this file system cannot keep of the tree, as `cp -a` shows: it, too, has lost that.
fn lost_by_cp(place: &Place, at: &Path) -> super::look::Losses {
    let theirs = at.join("theirs");
    let cp = std::process::Command::new("cp").args(["-a", "-T"]).arg(&place.source).arg(&theirs).output().unwrap();
    let lost = losses(&look(&place.source), &look(&theirs));
    assert!(cp.status.success() || !lost.is_empty(), "{}", cp.stderr.escape_ascii());
    lost
}

fn whole_on(kind: &str) {
    if !is_root() {
        return;
    }
    let place = Place::with(kinds);
    in_mounts_of_thread(|| {
        let at = mounted(&place, kind);
        let unkept = lost_by_cp(&place, &at);
        for strategy in STRATEGIES {
            let target = at.join(strategy);
            let ran = copy_to(&["--json", "--strategy", strategy], &place.source, &target);
            let lost = losses(&look(&place.source), &look(&target));
            let more: Vec<_> = lost.difference(&unkept).take(8).collect();
            assert!(more.is_empty(), "{kind}, {strategy}: {more:#?}\n{}", ran.stderr);
            // What is lost is told: an entry that could not be kept whole is named.
            let is_told = lost.iter().all(|(path, what, _)| {
                what == "changed"
                    || what == "accessed"
                    || ran.text().contains(&path[..])
                    || ran.stderr.contains(&path[..])
            });
            assert!(is_told, "{kind}, {strategy}: {lost:#?}\n{}", ran.text());
            let times_only = lost.iter().all(|(_, what, _)| what == "changed" || what == "accessed");
            assert_eq!(ran.code, i32::from(!times_only), "{kind}, {strategy}: {lost:#?} {}", ran.text());
            // And back again, from that file system.
            let back = place.beside("back");
            copy_to(&["--strategy", strategy], &target, &back);
            let lost = losses(&look(&target), &look(&back));
            assert!(lost.is_empty(), "{kind}, {strategy}, back: {lost:#?}");
            pwalk_testkit::trees::remove_tree(&back).unwrap();
            pwalk_testkit::trees::remove_tree(&target).unwrap();
        }
    });
}

#[test]
fn on_xfs_it_is_whole() {
    whole_on("xfs");
}

#[test]
fn on_btrfs_it_is_whole() {
    whole_on("btrfs");
}

#[test]
fn on_ext4_it_is_whole() {
    whole_on("ext4");
}

#[test]
fn on_tmpfs_it_is_whole() {
    whole_on("tmpfs");
}

#[test]
fn on_overlay_it_is_whole() {
    whole_on("overlay");
}

/// Extents of a file that are shared with another, as the file system tells.
fn is_shared(path: &Path) -> bool {
    String::from_utf8(oracle("filefrag", ["-v".as_ref(), path.as_os_str()])).unwrap().contains("shared")
}

#[test]
fn blocks_are_shared_where_they_can_be_and_only_if_wanted() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    in_mounts_of_thread(|| {
        for kind in ["xfs", "btrfs"] {
            let at = mounted(&place, kind);
            let source = at.join("source");
            create_dir(&source).unwrap();
            kinds(&source);
            write(source.join("large"), noise(9, 40 << 20)).unwrap();
            settle(&source);
            oracle("sync", ["-f".as_ref(), at.as_os_str()]);
            for (strategy, reflink, shares) in [
                ("auto", "auto", true),
                ("auto", "always", true),
                ("baseline", "always", true),
                ("parallel", "always", true),
                ("auto", "never", false),
                ("sendfile", "never", false),
                ("pipeline", "never", false),
            ] {
                let target = at.join("target");
                let options = ["--json", "--strategy", strategy, "--reflink", reflink, "--fsync", "end"];
                let done = done(&copy_to(&options, &source, &target).expect(0));
                let label = format!("{kind} {strategy} {reflink}: {done}");
                assert_eq!(done["shared_bytes"].as_u64().unwrap() >= 40 << 20, shares, "{label}");
                assert_eq!(is_shared(&target.join("large")), shares, "{label}");
                assert_same(&source, &target);
                pwalk_testkit::trees::remove_tree(&target).unwrap();
            }
            // Another file system shares nothing: that is told of each file, and no file is half.
            let elsewhere = place.beside("elsewhere");
            let ran = copy_to(&["--json", "--reflink", "always"], &source, &elsewhere).expect(1);
            let failed = json_lines(ran.text()).into_iter().filter(|event| event["event"] == "failed");
            assert!(failed.clone().all(|event| event["why"].as_str().unwrap().contains("cannot share blocks")));
            assert!(failed.clone().count() > 50, "{} failed: {}", failed.count(), ran.text());
            assert!(!elsewhere.join("large").exists());
            pwalk_testkit::trees::remove_tree(&elsewhere).unwrap();
        }
    });
}

/// A tmpfs of so many bytes.
fn small(place: &Place, size: &str) -> PathBuf {
    let at = place.beside("small");
    create_dir(&at).unwrap();
    oracle("mount", ["-t", "tmpfs", "-o", &format!("size={size}"), "none", at.to_str().unwrap()]);
    at
}

/// 300 files, 6 MB.
fn many(root: &Path) {
    for i in 0..300 {
        let dir = root.join(format!("dir{}", i % 7));
        std::fs::create_dir_all(&dir).unwrap();
        write(dir.join(format!("{i}")), noise(i, 20_000)).unwrap();
    }
}

#[test]
fn too_little_room_is_seen_before_anything_is_made() {
    if !is_root() {
        return;
    }
    let place = Place::with(many);
    in_mounts_of_thread(|| {
        let at = small(&place, "3M");
        for strategy in STRATEGIES {
            let ran = copy_to(&["--strategy", strategy], &place.source, &at.join("target")).expect(1);
            assert!(
                ran.stderr.contains("not enough room") && ran.stderr.contains("nothing was copied"),
                "{}",
                ran.stderr
            );
            assert_eq!(std::fs::read_dir(&at).unwrap().count(), 0);
        }
        let ran = copy_to(&["--json"], &place.source, &at.join("target")).expect(1);
        assert!(json_lines(ran.text())[0]["why"].as_str().unwrap().contains("not enough room"));
        let ran = copy_to(&["--dry-run"], &place.source, &at.join("target")).expect(0);
        assert!(ran.stderr.contains("could not be done") && ran.stderr.contains("not enough room"), "{}", ran.stderr);
        assert!(ran.text().lines().count() > 100);
        // Files, too, are counted.
        oracle("mount", ["-o", "remount,size=100M,nr_inodes=50", at.to_str().unwrap()]);
        let ran = copy_to(&[], &place.source, &at.join("target")).expect(1);
        assert!(ran.stderr.contains("files are needed"), "{}", ran.stderr);
        assert_eq!(std::fs::read_dir(&at).unwrap().count(), 0);
    });
}

#[test]
fn a_target_that_becomes_full_has_whole_files_only_and_is_gone_on_with() {
    if !is_root() {
        return;
    }
    let place = Place::with(many);
    write(place.source.join("dir3/large"), noise(77, 8 << 20)).unwrap();
    in_mounts_of_thread(|| {
        let at = small(&place, "3M");
        for strategy in STRATEGIES {
            oracle("mount", ["-o", "remount,size=3M", at.to_str().unwrap()]);
            // What is there already keeps it from being counted.
            let target = at.join("target");
            create_dir(&target).unwrap();
            let ran = copy_to(&["--strategy", strategy], &place.source, &target).expect(1);
            assert!(ran.stderr.contains("No space left on device"), "{strategy}: {}", ran.stderr);
            assert!(ran.stderr.contains("--resume"), "{strategy}: {}", ran.stderr);
            let says = ran.stderr.lines().find(|line| line.starts_with("PARTIAL: ")).expect("a summary");
            assert!(!says.contains(" 0 files"), "{says}");
            assert_eq!(unfinished(&at), b"", "{strategy}");
            only_whole(&place.source, &target);
            oracle("mount", ["-o", "remount,size=100M", at.to_str().unwrap()]);
            copy_to(&["--strategy", strategy, "--resume"], &place.source, &target).expect(0);
            assert_same(&place.source, &target);
            pwalk_testkit::trees::remove_tree(&target).unwrap();
        }
    });
}

/// Every file of the copy has all that the source's has, but where the directory has not got its name yet.
pub(super) fn only_whole(source: &Path, target: &Path) {
    let (source, target) = (look(source), look(target));
    let torn = losses(&source, &target).into_iter().filter(|(path, what, _)| {
        let is_dir = source.get(path.as_bytes()).is_some_and(super::look::Entry::is_dir);
        let is_named = !path.split('/').any(|name| name.starts_with(".pwalk-copy-dir."));
        is_named && what != "missing" && !is_dir && what != "same file as"
    });
    assert_eq!(torn.collect::<Vec<_>>(), []);
}

#[test]
fn a_read_only_target_is_named_and_nothing_is_tried() {
    if !is_root() {
        return;
    }
    let place = Place::with(many);
    in_mounts_of_thread(|| {
        let at = small(&place, "50M");
        create_dir(at.join("target")).unwrap();
        write(at.join("target/precious"), "precious").unwrap();
        oracle("mount", ["-o", "remount,ro", at.to_str().unwrap()]);
        for target in [at.join("new"), at.join("target"), at.clone()] {
            for strategy in STRATEGIES {
                let ran = copy_to(&["--strategy", strategy], &place.source, &target).expect(1);
                assert!(ran.stderr.contains("read-only"), "{}", ran.stderr);
                assert_eq!(ran.stderr.lines().filter(|line| line.starts_with("pwalk: ")).count(), 1, "{}", ran.stderr);
            }
        }
        let ran = copy_to(&["--dry-run"], &place.source, &at.join("new")).expect(0);
        assert!(ran.stderr.contains("could not be done") && ran.stderr.contains("read-only"), "{}", ran.stderr);
        assert_eq!(std::fs::read_dir(&at).unwrap().count(), 1);
        // A mount below the target that cannot be written to.
        oracle("mount", ["-o", "remount,rw", at.to_str().unwrap()]);
        let below = at.join("target/dir3");
        create_dir(&below).unwrap();
        oracle("mount", ["-t", "tmpfs", "-o", "ro", "none", below.to_str().unwrap()]);
        let ran = copy_to(&["--mirror"], &place.source, &at.join("target")).expect(1);
        assert!(ran.stderr.contains("Read-only file system"), "{}", ran.stderr);
        assert_eq!(std::fs::read(at.join("target/precious")).unwrap(), b"precious");
        assert_eq!(std::fs::metadata(&below).unwrap().size(), 40);
    });
}
