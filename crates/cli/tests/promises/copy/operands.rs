//! Promise: SRC and DST mean what they mean to `cp -a`, and nothing is copied onto or into itself, whatever it is called.

use std::fs::{create_dir_all, hard_link, write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use pwalk_testkit::{TempTree, is_root};

use super::look::Losses;
use super::{copy, copy_to, look, losses};
use crate::common::{Ran, in_mounts_of_thread, names, oracle, pwalk, run};

/// A place with everything that can be a source or a destination.
fn world() -> TempTree {
    let tree = TempTree::new();
    let at = |name: &str| tree.path().join(name);
    for dir in ["src/sub/deeper", "src/empty", "dir/src/kept", "dir/full/of", "dir/taken", "src/taken"] {
        create_dir_all(at(dir)).unwrap();
    }
    for file in
        ["src/one", "src/sub/two", "src/sub/deeper/three", "dir/src/one", "dir/src/mine", "file", "other", "third"]
    {
        write(at(file), format!("{file}\n")).unwrap();
    }
    write(at("dir/file"), "an older file").unwrap();
    hard_link(at("src/one"), at("src/sub/again")).unwrap();
    for (target, link) in
        [("src", "to-src"), ("dir", "to-dir"), ("file", "to-file"), ("nowhere", "dangling"), ("../one", "src/sub/up")]
    {
        symlink(target, at(link)).unwrap();
    }
    write(at("taken"), "a file where a directory is").unwrap();
    oracle("mkfifo", [at("fifo")]);
    oracle(
        "find",
        [
            tree.path().as_os_str(),
            "-exec".as_ref(),
            "touch".as_ref(),
            "-hd".as_ref(),
            "2020-02-02 02:02:02.020202".as_ref(),
            "{}".as_ref(),
            "+".as_ref(),
        ],
    );
    tree
}

/// Differences between two worlds, but for what every making of an entry changes in the directory above.
fn differences(one: &Path, other: &Path) -> Losses {
    let (one, other) = (look(one), look(other));
    let is_dir = |path: &str| one.get(path.as_bytes()).is_some_and(super::look::Entry::is_dir);
    let all = losses(&one, &other).into_iter();
    all.filter(|(path, what, _)| what != "accessed" && !(what == "changed" && is_dir(path))).collect()
}

#[test]
fn source_and_destination_mean_what_they_mean_to_cp() {
    for arguments in [
        "src new",
        "src dir",
        "src/ new",
        "src/ dir",
        "src// dir//",
        "src/. new",
        "src/. dir",
        "src/sub/.. dir",
        "./src ./dir",
        "src/sub new",
        "src/sub dir/",
        "src/sub dir/full/of",
        "src new/",
        "src dir/new",
        "src dir/new/",
        "-T src dir",
        "-T src new",
        "-T src/ dir/src",
        "-T src/sub dir/src",
        "-T file new",
        "-T file other",
        "-T fifo new",
        "file new",
        "file dir",
        "file dir/",
        "file other",
        "file dir/other",
        "fifo dir",
        "fifo new",
        "dangling new",
        "dangling dir",
        "to-src new",
        "to-src dir",
        "to-src/ new",
        "to-src/ dir",
        "to-src/. new",
        "to-src/. dir",
        "to-file new",
        "to-file dir",
        "-T to-src new",
        "src to-dir",
        "src to-dir/",
        "file to-dir",
        "file other third dir",
        "src file fifo to-src dangling dir",
        "src/one src/sub/again dir",
        "src src/sub/deeper dir",
        "src/sub src/empty to-dir/",
        // These are refused.
        "src file",
        "-T src file",
        "-T file dir",
        "-T taken dir/taken",
        "file new/",
        "src file new",
        "src file other",
        "missing new",
        "missing dir",
        "file missing/new",
        "src missing/new",
        "src missing/new/er",
        "file other/new",
        "taken dir",
        "-T src file dir",
        "missing/ dir",
        "file/ new",
    ] {
        let (theirs, ours) = (world(), world());
        let words = || arguments.split(' ');
        let cp = Command::new("cp").arg("-a").args(words()).current_dir(theirs.path()).output().unwrap();
        let ran = run(pwalk(["copy"]).args(words()).current_dir(ours.path()));
        let said = format!("{arguments}\ncp: {}pwalk: {}", cp.stderr.escape_ascii(), ran.stderr);
        assert_eq!(ran.code == 0, cp.status.success(), "{said}");
        let all = differences(theirs.path(), ours.path());
        assert!(all.is_empty(), "{said}\n{all:#?}");
    }
}

#[test]
fn from_within_and_from_below() {
    for (at, arguments) in [
        ("src", ". ../new"),
        ("src", ". ../dir"),
        ("src/sub", ".. ../../dir"),
        ("src/sub", ".. ../../new"),
        ("dir", "../src ."),
        ("dir", "../src/sub ../file ."),
        ("dir/full", "../../src .."),
    ] {
        let (theirs, ours) = (world(), world());
        let words = || arguments.split(' ');
        let cp = Command::new("cp").arg("-a").args(words()).current_dir(theirs.path().join(at)).output().unwrap();
        let ran = run(pwalk(["copy"]).args(words()).current_dir(ours.path().join(at)));
        assert!(cp.status.success() && ran.code == 0, "{at}: {arguments}: {}", ran.stderr);
        let all = differences(theirs.path(), ours.path());
        assert!(all.is_empty(), "{at}: {arguments}\n{all:#?}");
    }
}

/// Refused with 1 or 2, for this reason, and nothing is other than before.
#[track_caller]
fn refused(world: &TempTree, arguments: &str, why: &str) -> Ran {
    let before = look(world.path());
    let ran = run(pwalk(["copy"]).args(arguments.split(' ')).current_dir(world.path()));
    assert!(ran.code == 1 || ran.code == 2, "{arguments}: {} {}", ran.code, ran.stderr);
    assert!(ran.stderr.contains(why), "{arguments}: {}", ran.stderr);
    let all = losses(&before, &look(world.path()));
    let changed: Vec<_> = all.iter().filter(|(_, what, _)| what != "accessed").collect();
    assert!(changed.is_empty(), "{arguments}: {changed:#?}");
    ran
}

#[test]
fn nothing_is_copied_onto_or_into_itself() {
    let world = world();
    for (arguments, why) in [
        ("src src/new", "into itself"),
        ("src src", "into itself"),
        ("src src/sub/deeper", "into itself"),
        ("-T src src/sub", "into itself"),
        ("src to-src", "into itself"),
        ("src to-src/sub", "into itself"),
        ("src/sub/../../src to-src/../src/empty", "into itself"),
        ("-T src to-src", "no directory"),
        ("-T src src", "into itself"),
        ("-T src/. to-src/", "into itself"),
        ("src .", "same"),
        ("src/sub src", "same"),
        ("file file", "same file"),
        ("file .", "same file"),
        ("file ./src/../file", "same file"),
        ("src/one src/sub/again", "same file"),
        ("to-file to-file", "same file"),
    ] {
        refused(&world, arguments, why);
    }
    refused(&world, "src/one dir/src/one dir", "both").expect(2);
    refused(&world, "file ./file dir", "both").expect(2);
    if !is_root() {
        return;
    }
    // By another mount.
    in_mounts_of_thread(|| {
        oracle(
            "mount",
            ["--bind".as_ref(), world.path().join("src").as_os_str(), world.path().join("dir/full").as_os_str()],
        );
        for (arguments, why) in [
            ("src dir/full", "into itself"),
            ("src dir/full/sub", "into itself"),
            ("-T src dir/full", "itself"),
            ("dir/full src/sub", "into itself"),
            ("dir src/sub", "itself"),
            ("src/one dir/full/one", "same file"),
        ] {
            let ran = run(pwalk(["copy"]).args(arguments.split(' ')).current_dir(world.path()));
            assert!(
                ran.code == 1 && (ran.stderr.contains(why) || ran.stderr.contains("same")),
                "{arguments}: {} {}",
                ran.code,
                ran.stderr
            );
        }
    });
    assert_eq!(std::fs::read(world.path().join("src/one")).unwrap(), b"src/one\n");
}

#[test]
fn a_part_of_the_source_is_known_where_it_is_mounted_elsewhere() {
    if !is_root() {
        return;
    }
    let world = world();
    let at = |name: &str| world.path().join(name);
    create_dir_all(at("part/inner")).unwrap();
    create_dir_all(at("whole")).unwrap();
    in_mounts_of_thread(|| {
        let bind =
            |what: &str, to: &str| oracle("mount", ["--bind", at(what).to_str().unwrap(), at(to).to_str().unwrap()]);
        bind("src/sub", "part");
        bind("src", "whole");
        // No `..` leads from the one to the other.
        for (arguments, why) in [
            ("src part", "into itself"),
            ("-T src part", "into itself"),
            ("-T src part/deeper", "into itself"),
            ("src part/deeper/new", "into itself"),
            ("-T part whole", "which it is in"),
            ("-T part/deeper src", "which it is in"),
            ("-T --mirror part src", "which it is in"),
        ] {
            refused(&world, arguments, why);
        }
        // What is beside it is none of its business.
        run(pwalk(["copy", "-T", "part", "dir/new"]).current_dir(world.path())).expect(0);
        run(pwalk(["copy", "dir/taken", "whole"]).current_dir(world.path())).expect(0);
    });
    assert_eq!(names(&at("dir/new")), names(&at("src/sub")));
}

#[test]
fn a_source_that_is_missing_keeps_the_others_from_nothing() {
    let world = world();
    let ran =
        run(pwalk(["copy", "file", "not-there", "other", "no/where", "dir/full"]).current_dir(world.path())).expect(1);
    assert_eq!(names(&world.path().join("dir/full")), ["file", "of", "other"]);
    for missing in ["not-there", "no/where"] {
        assert!(
            ran.stderr.contains(&format!("pwalk: {missing}: cannot find the source: No such file")),
            "{}",
            ran.stderr
        );
    }
    assert!(ran.stderr.contains("PARTIAL: 2 files"), "{}", ran.stderr);
    let ran = run(pwalk(["copy", "--json", "x", "y", "dir/full"]).current_dir(world.path())).expect(1);
    assert_eq!(super::done(&ran)["failed"], 2, "{}", ran.text());
}

#[test]
fn under_just_its_name_a_link_is_no_directory() {
    let world = world();
    refused(&world, "-T src to-dir", "no directory").expect(1);
    refused(&world, "-T src file", "no directory").expect(1);
    run(pwalk(["copy", "-T", "src/empty", "to-dir/"]).current_dir(world.path())).expect(0);
}

#[test]
fn one_file_system_leaves_an_empty_directory_for_a_mount() {
    if !is_root() {
        return;
    }
    let world = world();
    in_mounts_of_thread(|| {
        let at = world.path().join("src/empty");
        oracle("mount", ["-t", "tmpfs", "-o", "mode=0710,uid=77", "none", at.to_str().unwrap()]);
        write(at.join("inside"), "inside").unwrap();
        let [all, one, theirs] = ["all", "one", "theirs"].map(|name| world.path().join(name));
        copy_to(&[], &world.path().join("src"), &all).expect(0);
        assert_eq!(names(&all.join("empty")), ["inside"]);
        copy_to(&["-x"], &world.path().join("src"), &one).expect(0);
        oracle("cp", ["-ax".as_ref(), "-T".as_ref(), world.path().join("src").as_os_str(), theirs.as_os_str()]);
        assert_eq!(differences(&theirs, &one), Losses::new());
        assert!(names(&one.join("empty")).is_empty());
    });
}

#[test]
fn what_is_wrong_with_the_command_line_is_said() {
    for (arguments, says) in [
        (&["/tmp"][..], "SRC"),
        (&[], "SRC"),
        (&["/tmp", "/nowhere", "--strategy", "magic"], "auto"),
        (&["/tmp", "/nowhere", "--no-preserve", "soul"], "ownership"),
        (&["/tmp", "/nowhere", "--buffer-size-kb", "1"], "4"),
        (&["/tmp", "/nowhere", "--components", "a", "--strategy", "auto"], "pipeline"),
        (&["/tmp", "/nowhere", "--exclude-from", "/no/such/file"], "/no/such/file"),
        (&["/tmp", "/nowhere", "--config", "/no/such/file"], "/no/such/file"),
        (&["/tmp", "/nowhere", "--max-bytes-per-sec", "much"], "bytes"),
    ] {
        let ran = copy(arguments).expect(2);
        assert!(ran.stderr.contains(says), "{arguments:?}: {}", ran.stderr);
        assert!(!Path::new("/nowhere").exists());
    }
}
