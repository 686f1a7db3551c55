//! Promise: what is wrong is put right, by the rules, and nothing else is touched.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use pwalk_testkit::is_root;

use super::{ALICE, Folder, GAMES, USERS, access, in_own_mounts, own, told};
use crate::common::{oracle, pwalk, run};

/// What becomes of entries: name, before, after.
const CASES: &[(&str, (u32, u32, u32), &str)] = &[
    ("right", (ALICE, USERS, 0o640), "54321:100 640"),
    ("unreadable", (ALICE, USERS, 0o600), "54321:100 640"),
    ("program", (ALICE, USERS, 0o700), "54321:100 750"),
    ("own group", (ALICE, ALICE, 0o600), "54321:100 640"),
    ("root's group", (ALICE, 0, 0o644), "54321:100 644"),
    ("another group", (ALICE, GAMES, 0o666), "54321:60 666"),
    ("setuid, own group", (ALICE, ALICE, 0o6755), "54321:100 755"),
    ("setuid, shared group", (ALICE, USERS, 0o4755), "54321:100 4755"),
    ("nothing for its owner", (ALICE, USERS, 0o000), "54321:100 40"),
];

#[test]
fn what_is_wrong_is_planned_and_made_and_then_nothing_is_wrong() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    folder.dir("open", ALICE, GAMES, 0o700);
    folder.dir("open/closed", ALICE, ALICE, 0o1700);
    for (name, (uid, gid, mode), _) in CASES {
        folder.file(name, *uid, *gid, *mode);
        folder.file(&format!("open/{name}"), *uid, *gid, *mode);
    }
    let odd = folder.top.join(OsStr::from_bytes(b"not \xff text\n"));
    std::fs::write(&odd, "").unwrap();
    own(&odd, 0, 0, 0o600);
    let before = folder.state();
    let planned = folder.plan(&[]);
    assert_eq!(folder.state(), before, "a plan changes nothing");
    let (ran, _) = folder.apply("journal", &["--json"]);
    let ran = ran.expect(0);
    let made: Vec<_> = told(&ran).into_iter().filter(|event| event["event"] == "made").collect();
    assert_eq!((made.len(), made.len()), (planned.len(), 2 + 6 + 6 + 1), "{}", ran.text());
    for (name, _, after) in CASES {
        assert_eq!(access(&folder.top.join(name)), *after, "{name}");
        // Below a folder of another group that group is inherited.
        let after = if after.contains(":60") || CASES.iter().any(|(n, (_, gid, _), _)| n == name && *gid == USERS) {
            (*after).to_owned()
        } else {
            after.replace(":100", ":60")
        };
        assert_eq!(access(&folder.top.join("open").join(name)), after, "open/{name}");
    }
    assert_eq!(access(&folder.top.join("open")), "54321:60 2750");
    assert_eq!(access(&folder.top.join("open/closed")), "54321:60 3750");
    assert_eq!(access(&odd), "0:100 640");
    assert!(folder.plan(&[]).is_empty(), "nothing is left to do");
    let (again, journal) = folder.apply("second", &[]);
    assert!(again.expect(0).stderr.contains("0 changes made") && !journal.exists(), "no journal for nothing");
}

#[test]
fn links_and_devices_are_left_as_they_are() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    let outside = folder.beside("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), "").unwrap();
    own(&outside.join("secret"), ALICE, ALICE, 0o600);
    symlink(&outside, folder.top.join("to a directory")).unwrap();
    symlink(outside.join("secret"), folder.top.join("to a file")).unwrap();
    for (name, kind) in [("fifo", vec!["p"]), ("device", vec!["c", "1", "3"])] {
        oracle("mknod", [folder.top.join(name).into_os_string()].into_iter().chain(kind.into_iter().map(Into::into)));
    }
    let socket = std::os::unix::net::UnixListener::bind(folder.top.join("socket")).unwrap();
    let before = (folder.state(), super::state(&outside));
    let (ran, _) = folder.apply("journal", &["--force-group-writable"]);
    assert!(ran.expect(0).stderr.contains("1 change made"), "the folder itself");
    own(&folder.top, 0, USERS, 0o2755);
    assert_eq!((folder.state(), super::state(&outside)), before);
    drop(socket);
}

#[test]
fn files_with_several_names_are_left_alone_unless_allowed() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    let file = folder.file("one", ALICE, ALICE, 0o600);
    std::fs::hard_link(&file, folder.beside("outside the folder")).unwrap();
    let (ran, _) = folder.apply("journal", &[]);
    let ran = ran.expect(0);
    assert!(ran.stderr.contains("one has 2 names (hard links)") && ran.stderr.contains("left alone"), "{}", ran.stderr);
    assert_eq!(access(&file), "54321:54321 600");
    folder.apply("another", &["--allow-hardlinked"]).0.expect(0);
    assert_eq!(access(&file), "54321:100 640");
}

#[test]
fn access_control_lists_get_their_mask_and_their_group() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    // The group bits look right: they are the mask. The group itself is shut out.
    let hidden = folder.file("hidden", ALICE, USERS, 0o600);
    let masked = folder.file("masked", ALICE, ALICE, 0o600);
    let dir = folder.dir("dir", ALICE, USERS, 0o700);
    let setfacl = |list: &str, path: &Path| oracle("setfacl", ["-m".as_ref(), list.as_ref(), path.as_os_str()]);
    setfacl("u:7:r", &hidden);
    setfacl("u:7:rw,m:-", &masked);
    setfacl("g:60:rwx,d:g:60:rwx", &dir);
    let before = folder.state();
    let planned = folder.plan(&[]);
    let of = |name: &str| planned.iter().find(|change| change["path"].as_str().unwrap().ends_with(name)).unwrap();
    let acl = |change: &serde_json::Value, side: &str| change[side]["acl"].as_str().unwrap().to_owned();
    assert_eq!(acl(of("hidden"), "from"), "user::rw-,user:7:r--,group::---,mask::r--,other::---");
    assert_eq!(acl(of("hidden"), "to"), "user::rw-,user:7:r--,group::r--,mask::r--,other::---");
    assert_eq!(acl(of("masked"), "to"), "user::rw-,user:7:rw-,group::r--,mask::r--,other::---");
    let lines = run(pwalk(["repair"]).arg(&folder.top)).expect(0);
    assert!(lines.text().contains("acl group::--- -> group::r--"), "{}", lines.text());
    assert!(lines.text().contains("acl mask::--- -> mask::r--"), "{}", lines.text());
    let (ran, journal) = folder.apply("journal", &[]);
    ran.expect(0);
    let getfacl = |path: &Path| {
        String::from_utf8(oracle(
            "getfacl",
            ["-c", "-E", "-n", "-p"].map(OsStr::new).into_iter().chain([path.as_os_str()]),
        ))
        .unwrap()
    };
    assert_eq!(getfacl(&hidden), "user::rw-\nuser:7:r--\ngroup::r--\nmask::r--\nother::---\n\n");
    assert_eq!(getfacl(&masked), "user::rw-\nuser:7:rw-\ngroup::r--\nmask::r--\nother::---\n\n");
    assert!(
        getfacl(&dir).starts_with("user::rwx\ngroup::r-x\ngroup:60:rwx\nmask::rwx\nother::---\n"),
        "{}",
        getfacl(&dir)
    );
    assert!(folder.plan(&[]).is_empty());
    folder.undo(&journal, "undone").expect(0);
    assert_eq!(folder.state(), before);
}

#[test]
fn without_a_group_to_inherit_nothing_is_changed_and_one_error_tells() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    own(&folder.top, 0, 0, 0o700);
    folder.dir("private", ALICE, ALICE, 0o700);
    for i in 0..50 {
        folder.file(&format!("private/{i}"), ALICE, ALICE, 0o600);
    }
    let before = folder.state();
    let (ran, _) = folder.apply("journal", &[]);
    let ran = ran.expect(1);
    assert_eq!(ran.stderr.matches("private group").count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("52 entries") && ran.stderr.contains("chgrp"), "{}", ran.stderr);
    assert_eq!(folder.state(), before);
    // A folder further down that has a group is repaired all the same, by its own.
    folder.dir("lab", ALICE, GAMES, 0o2750);
    let file = folder.file("lab/file", ALICE, ALICE, 0o600);
    folder.apply("another", &[]).0.expect(1);
    assert_eq!(access(&file), "54321:60 640");
    assert_eq!(access(&folder.top), "0:0 700");
}

#[test]
fn excluded_paths_are_left_out_by_components() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    for dir in ["a", "ab", "a/inner", "b", "b/deep", "b/deep/er"] {
        folder.dir(dir, ALICE, ALICE, 0o700);
        folder.file(&format!("{dir}/file"), ALICE, ALICE, 0o600);
    }
    let odd = folder.top.join(OsStr::from_bytes(b"\xff"));
    std::fs::create_dir(&odd).unwrap();
    own(&odd, 0, 0, 0o755);
    let list = folder.beside("list");
    std::fs::write(
        &list,
        [odd.as_os_str().as_bytes(), b"\n\n", folder.top.as_os_str().as_bytes(), b"/b/deep/er/file\n"].concat(),
    )
    .unwrap();
    let mut command = pwalk(["repair", "--apply", "--journal", "../journal", "--exclude", "a", "--exclude-from"]);
    // Relative paths, and a link in one of them.
    symlink(folder.top.join("b"), folder.beside("link")).unwrap();
    let ran = run(command.arg(&list).args(["--exclude", "../link/deep/file", "."]).current_dir(&folder.top)).expect(0);
    let left = ["a", "a/file", "a/inner", "a/inner/file", "b/deep/file", "b/deep/er/file"];
    for name in left {
        assert!(access(&folder.top.join(name)).starts_with("54321:54321"), "{name}: {}", ran.stderr);
    }
    assert_eq!(access(&odd), "0:0 755");
    for name in ["ab", "ab/file", "b", "b/file", "b/deep", "b/deep/er"] {
        assert!(access(&folder.top.join(name)).starts_with("54321:100"), "{name}: {}", ran.stderr);
    }
    // A given path below an excluded one is excluded with it.
    let below = run(pwalk(["repair", "--exclude"]).arg(&folder.top).arg(folder.top.join("a"))).expect(0);
    assert_eq!((below.text(), below.stderr.contains("0 changes")), ("", true), "{}", below.stderr);
}

#[test]
fn groups_can_be_named_private_and_owners_replaced() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    let games = folder.file("games", ALICE, GAMES, 0o4640);
    let other = folder.file("other", 0, USERS, 0o640);
    folder.apply("1", &["--change-gids", "games,nogroup"]).0.expect(0);
    assert_eq!(access(&games), "54321:100 640");
    own(&games, ALICE, USERS, 0o4750);
    folder.apply("2", &["--chown-from", "54321", "--chown-to", "games:60"]).0.expect(0);
    assert_eq!((access(&games).as_str(), access(&other).as_str()), ("5:60 750", "0:100 640"));
    assert!(folder.plan(&["--chown-from", "54321", "--chown-to", "games:60"]).is_empty());
    for (wrong, names) in [
        (vec!["--change-gids", "no-such-group"], "no-such-group"),
        (vec!["--change-gids", "54321"], "54321"),
        (vec!["--chown-from", "no-such-user", "--chown-to", "games:games"], "no-such-user"),
        (vec!["--chown-from", "1", "--chown-to", "54321:games"], "54321"),
        (vec!["--chown-from", "1", "--chown-to", "games"], "both a user and a group"),
        (vec!["--chown-from", "1"], "--chown-to"),
        (vec!["--exclude-from", "/no/such/list"], "/no/such/list"),
    ] {
        let ran = run(pwalk(["repair"]).args(&wrong).arg(&folder.top)).expect(2);
        assert!(ran.stderr.contains(names), "{wrong:?}: {}", ran.stderr);
    }
}

#[test]
fn mounts_that_lead_out_of_the_tree_are_not_entered() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    let outside = folder.beside("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("file"), "").unwrap();
    for name in ["bound", "own", ".snapshot"] {
        folder.dir(name, ALICE, ALICE, 0o700);
    }
    folder.file("file", ALICE, USERS, 0o640);
    let before = super::state(&outside);
    let script = "mount --bind $OUTSIDE $TOP/bound; mount --bind $OUTSIDE/file $TOP/file; mount -t tmpfs none $TOP/own; \
        touch $TOP/own/file; chgrp 0 $TOP/own $TOP/own/file; \
        $PWALK repair $TOP -x --json; echo; $PWALK repair --apply --journal $JOURNAL $TOP; stat -c '%g %n' $TOP/own/file";
    let variables: &[(&str, &Path)] =
        &[("OUTSIDE", &outside), ("TOP", &folder.top), ("JOURNAL", &folder.beside("journal"))];
    let ran = in_own_mounts(script, variables).expect(0);
    let (staying, crossing) = ran.text().split_once("\n\n").unwrap();
    assert!(!staying.contains("/own"), "{staying}");
    assert!(crossing.starts_with("100 "), "a file system of its own is part of the tree: {}", ran.text());
    assert!(ran.stderr.contains("bound shows a directory that is elsewhere (a bind mount)"), "{}", ran.stderr);
    assert!(ran.stderr.contains("file is a file that is mounted there"), "{}", ran.stderr);
    assert_eq!(super::state(&outside), before);
    assert_eq!(access(&folder.top.join(".snapshot")), "54321:54321 700", "snapshots are left out");
    folder.apply("later", &["--include-snapshots"]).0.expect(0);
    assert_eq!(access(&folder.top.join(".snapshot")), "54321:100 2750");
}

#[test]
fn capabilities_go_with_a_change_of_group_and_come_back() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    let program = folder.file("ping", 0, 0, 0o755);
    let capability = || rustix::fs::getxattr(&program, c"security.capability", &mut [0; 64]);
    // Version 2, effective: CAP_NET_RAW, as `setcap cap_net_raw+ep` writes it.
    let value = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    rustix::fs::setxattr(&program, c"security.capability", &value, rustix::fs::XattrFlags::empty()).unwrap();
    let (ran, journal) = folder.apply("journal", &[]);
    ran.expect(0);
    assert!(capability().is_err());
    folder.undo(&journal, "undone").expect(0);
    assert_eq!(capability().map(|_| access(&program)), Ok("0:0 755".to_owned()));
}

#[test]
fn paths_within_each_other_are_one() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    let below = folder.dir("below", ALICE, ALICE, 0o700);
    folder.file("below/file", ALICE, ALICE, 0o600);
    let mut command = pwalk(["repair", "--apply", "--json", "--journal"]);
    let ran = run(command
        .arg(folder.beside("journal"))
        .arg(&below)
        .arg(&folder.top)
        .arg(&folder.top)
        .arg(below.join("file")));
    let made = told(&ran.expect(0)).iter().filter(|event| event["event"] == "made").count();
    assert_eq!(made, 2);
    // By itself it has no group to inherit.
    own(&below.join("file"), ALICE, ALICE, 0o600);
    let alone = run(pwalk(["repair"]).arg(below.join("file"))).expect(1);
    assert!(alone.stderr.contains("1 entry with a private group"), "{}", alone.stderr);
    own(&below.join("file"), ALICE, USERS, 0o600);
    assert!(run(pwalk(["repair"]).arg(below.join("file"))).expect(0).text().ends_with("file: mode 0600 -> 0640\n"));
}
