//! Promise: copying once more makes of what is there a copy again, and touches nothing else.

use std::fs::{File, Permissions, create_dir, create_dir_all, read, remove_dir, remove_file, set_permissions, write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::kinds::{kinds, noise};
use super::options::as_nobody;
use super::{Place, STRATEGIES, assert_same, copy_to, done};
use crate::common::names;
use pwalk_testkit::is_root;

#[test]
fn resuming_leaves_what_is_whole_and_removes_what_is_not() {
    let place = Place::with(kinds);
    let target = place.beside("target");
    copy_to(&[], &place.source, &target).expect(0);
    remove_file(target.join("contents/size-4096")).unwrap();
    remove_dir(target.join("names/empty/one/in/another")).unwrap();
    write(target.join("contents/.pwalk-copy.1f.a0.tmp"), "half").unwrap();
    write(target.join("contents/mine"), "mine").unwrap();
    let kept = std::fs::metadata(target.join("contents/size-4095")).unwrap().ino();
    for strategy in STRATEGIES {
        let ran = copy_to(&["--json", "--resume", "--strategy", strategy], &place.source, &target).expect(0);
        assert!(done(&ran)["already"].as_u64().unwrap() > 100, "{}", ran.text());
        assert_eq!(std::fs::metadata(target.join("contents/size-4095")).unwrap().ino(), kept);
        assert!(!target.join("contents/.pwalk-copy.1f.a0.tmp").exists());
    }
    // Resuming removes nothing of anybody's.
    remove_file(target.join("contents/mine")).unwrap();
    copy_to(&["--resume"], &place.source, &target).expect(0);
    assert_same(&place.source, &target);
}

#[test]
fn what_rotted_since_is_copied_again_by_a_verifying_resume() {
    let place = Place::with(|root| {
        for i in 0..40 {
            write(root.join(i.to_string()), noise(i, 9_000)).unwrap();
        }
    });
    let target = place.beside("target");
    copy_to(&[], &place.source, &target).expect(0);
    let rotten = target.join("17");
    let time = std::fs::metadata(&rotten).unwrap().modified().unwrap();
    let mut content = read(&rotten).unwrap();
    content[4711] ^= 1;
    write(&rotten, &content).unwrap();
    File::options().write(true).open(&rotten).unwrap().set_modified(time).unwrap();
    let already = |options: &[&str]| {
        let counts = done(&copy_to(options, &place.source, &target).expect(0));
        (counts["already"].as_u64().unwrap(), counts["replaced"].as_u64().unwrap())
    };
    assert_eq!(already(&["--json", "--resume"]), (40, 0));
    assert_eq!(already(&["--json", "--resume", "--verify", "--dry-run"]), (39, 1));
    assert_eq!(read(&rotten).unwrap(), content);
    assert_eq!(already(&["--json", "--resume", "--verify"]), (39, 1));
    assert_same(&place.source, &target);
}

#[test]
fn a_user_mirrors_directories_of_his_own_that_are_closed() {
    let place = Place::new();
    create_dir(place.source.join("closed")).unwrap();
    write(place.source.join("closed/stays"), "stays").unwrap();
    set_permissions(place.source.join("closed"), Permissions::from_mode(0o555)).unwrap();
    if is_root() {
        crate::common::oracle("chown", ["-R".as_ref(), "65534:65534".as_ref(), place.source.as_os_str()]);
    }
    as_nobody(&place.tree, &["-T", "source", "target"]).expect(0);
    let closed = place.beside("target/closed");
    set_permissions(&closed, Permissions::from_mode(0o755)).unwrap();
    create_dir_all(closed.join("goes/too")).unwrap();
    write(closed.join("goes/file"), "goes").unwrap();
    write(closed.join("file"), "goes").unwrap();
    set_permissions(closed.join("goes"), Permissions::from_mode(0o500)).unwrap();
    set_permissions(&closed, Permissions::from_mode(0o555)).unwrap();
    if is_root() {
        crate::common::oracle("chown", ["-R".as_ref(), "65534:65534".as_ref(), closed.as_os_str()]);
    }
    as_nobody(&place.tree, &["-T", "source", "target", "--mirror"]).expect(0);
    assert_same(&place.source, &place.beside("target"));
    assert_eq!(names(&closed), ["stays"]);
    assert_eq!(std::fs::metadata(&closed).unwrap().mode() & 0o7777, 0o555);
}

#[test]
fn names_of_our_own_in_the_source_are_names_like_any() {
    let place = Place::with(|root| {
        for dir in ["y", ".pwalk-copy-dir.y", "z", "a/y", "a/.pwalk-copy-dir.y/b"] {
            create_dir_all(root.join(dir)).unwrap();
            write(root.join(dir).join("file"), dir).unwrap();
            write(root.join(dir).join(".pwalk-copy.1.2.tmp"), dir).unwrap();
        }
        write(root.join(".pwalk-copy-dir.z"), "a file").unwrap();
    });
    for (turn, strategy) in STRATEGIES.into_iter().cycle().take(24).enumerate() {
        let target = place.beside(&format!("target-{turn}"));
        let ran = copy_to(&["--strategy", strategy], &place.source, &target);
        // Where it came first it may be in the way: that is told, and another run copies it.
        assert!(ran.code == 0 || ran.stderr.contains("pwalk-copy-dir"), "{}", ran.stderr);
        if ran.code != 0 {
            copy_to(&["--strategy", strategy, "--resume"], &place.source, &target).expect(0);
        }
        assert_same(&place.source, &target);
    }
}
