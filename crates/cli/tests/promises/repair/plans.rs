//! Promise: a plan can be reviewed, shortened and applied, just as it stands, and only where it still fits.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use pwalk_testkit::is_root;

use super::{ALICE, Folder, USERS, access, own, told};
use crate::common::{Ran, pwalk, run};

fn apply(folder: &Folder, plan: &str, arguments: &[&str]) -> Ran {
    let mut command = pwalk(["repair", "--apply-plan"]);
    let journal = format!("{plan}.journal");
    run(command.arg(folder.beside(plan)).arg("--journal").arg(folder.beside(&journal)).args(arguments))
}

fn plan(folder: &Folder, name: &str) -> Vec<String> {
    let ran = run(pwalk(["repair", "--plan"]).arg(folder.beside(name)).arg(&folder.top)).expect(0);
    assert_eq!(ran.text(), "", "the plan is in the file");
    std::fs::read_to_string(folder.beside(name)).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_reviewed_plan_is_applied_as_it_stands() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    let odd = folder.top.join(OsStr::from_bytes(b"\xff\n"));
    std::fs::create_dir(&odd).unwrap();
    for i in 0..20 {
        folder.file(&i.to_string(), ALICE, ALICE, 0o600);
        std::fs::write(odd.join(i.to_string()), "").unwrap();
        own(&odd.join(i.to_string()), ALICE, ALICE, 0o4755);
    }
    let before = folder.state();
    let lines = plan(&folder, "plan");
    assert_eq!(lines.len(), 1 + 40 + 1);
    assert!(lines[0].contains("repair plan") && lines[41].contains("COMPLETE"), "{lines:?}");
    // Somebody leaves out half of it.
    let kept: Vec<&str> = lines[..21].iter().map(String::as_str).collect();
    std::fs::write(folder.beside("plan"), kept.join("\n")).unwrap();
    let dry = apply(&folder, "plan", &["--dry-run", "--json"]).expect(0);
    assert_eq!(told(&dry).iter().filter(|event| event["event"] == "planned").count(), 20);
    assert_eq!(folder.state(), before);
    let ran = apply(&folder, "plan", &[]).expect(0);
    assert!(ran.stderr.contains("20 changes made"), "{}", ran.stderr);
    assert_eq!(folder.plan(&[]).len(), 20, "the other half is as it was");
    // A second time there is nothing left to do.
    std::fs::remove_file(folder.beside("plan.journal")).unwrap();
    let half = folder.state();
    let ran = apply(&folder, "plan", &[]).expect(0);
    assert!(
        ran.stderr.contains("0 changes made") && ran.stderr.contains("20 as they should be already"),
        "{}",
        ran.stderr
    );
    assert_eq!(folder.state(), half);
}

#[test]
fn what_changed_since_is_left_and_told() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    let names = ["other mode", "other group", "other file", "gone", "linked", "other list", "as it was"];
    for name in names {
        folder.file(name, ALICE, ALICE, 0o600);
    }
    plan(&folder, "plan");
    let path = |name: &str| folder.top.join(name);
    own(&path("other mode"), ALICE, ALICE, 0o4700);
    own(&path("other group"), ALICE, USERS, 0o600);
    // Kept, so that its inode is not used again at once.
    std::fs::rename(path("other file"), folder.beside("kept")).unwrap();
    folder.file("other file", ALICE, ALICE, 0o600);
    std::fs::remove_file(path("gone")).unwrap();
    std::fs::hard_link(path("linked"), folder.beside("outside")).unwrap();
    crate::common::oracle("setfacl", ["-m".as_ref(), "u:7:-".as_ref(), path("other list").as_os_str()]);
    let before = folder.state();
    let ran = apply(&folder, "plan", &[]).expect(1);
    for name in &names[..6] {
        assert!(ran.stderr.contains(&format!("/{name}: ")), "{name}: {}", ran.stderr);
    }
    assert!(ran.stderr.contains("PARTIAL: 1 change made"), "{}", ran.stderr);
    assert_eq!(access(&path("as it was")), "54321:100 640");
    own(&path("as it was"), ALICE, ALICE, 0o600);
    assert_eq!(folder.state(), before);
}

#[test]
fn a_plan_that_is_none_changes_nothing() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    folder.file("file", ALICE, ALICE, 0o4600);
    let lines = plan(&folder, "plan");
    let before = folder.state();
    let (etc, own) = (std::fs::metadata("/etc").unwrap(), std::fs::metadata(&folder.top).unwrap());
    let in_etc = lines[0].replace(folder.top.to_str().unwrap(), "/etc");
    let in_etc = in_etc.replace(&format!("\"inode\":{}", own.ino()), &format!("\"inode\":{}", etc.ino()));
    let bad = [
        ("", "it is empty".to_owned()),
        ("does not begin", "hello\n".to_owned()),
        ("not a repair plan", lines[0].replace("repair plan", "repair journal")),
        ("version 9", lines[0].replace("\"version\":1", "\"version\":9")),
        ("line 2", format!("{}\n{{\"path\":1}}\n", lines[0])),
        ("line 2", format!("{}\n{}\n", lines[0], lines[1].replace("\"0640\"", "\"0999\""))),
        ("belongs to no root", format!("{}\n{}\n", lines[0], lines[1].replace("\"root\":0", "\"root\":1"))),
        ("keep setuid", format!("{}\n{}\n", lines[0], lines[1].replace("\"0640\"", "\"4640\""))),
        (
            "no repair gives",
            format!("{}\n{}\n", lines[0], lines[1].replace("\"4600\"", "\"0600\"").replace("\"0640\"", "\"2640\"")),
        ),
        ("other bits", format!("{}\n{}\n", lines[0], lines[1].replace("\"0640\"", "\"0646\""))),
        ("other bits", format!("{}\n{}\n", lines[0], lines[1].replace("\"0640\"", "\"0440\""))),
        ("no such user or group", format!("{}\n{}\n", lines[0], lines[1].replace("\"gid\":100", "\"gid\":77777"))),
        ("no such user or group", format!("{}\n{}\n", lines[0], lines[1].replace("\"gid\":100", "\"gid\":4294967295"))),
        (
            "access control list",
            format!("{}\n{}\n", lines[0], lines[1].replace("\"0640\"", "\"0640\",\"acl\":\"user::rwx\"")),
        ),
        // A path that leads out of the root.
        (
            "not below the path",
            format!("{}\n{}\n", lines[0], lines[1].replace("/shared/file", "/shared/../shared/file")),
        ),
        ("system directory", format!("{in_etc}\n{}\n", lines[1])),
    ];
    for (says, text) in bad {
        std::fs::write(folder.beside("bad"), &text).unwrap();
        let ran = apply(&folder, "bad", &[]);
        assert!(ran.code != 0 && ran.stderr.contains(says), "{says}: {text}: {}", ran.stderr);
        assert_eq!(folder.state(), before, "{says}");
    }
    assert!(!folder.beside("bad.journal").exists());
    // Nothing but a regular file is written over.
    let fifo = folder.beside("fifo");
    crate::common::oracle("mkfifo", [fifo.as_os_str()]);
    let link = folder.beside("link");
    std::os::unix::fs::symlink(folder.beside("plan"), &link).unwrap();
    for place in [fifo.to_str().unwrap(), link.to_str().unwrap(), "/dev/full", "-"] {
        let ran = run(pwalk(["repair", "--plan", place]).arg(&folder.top)).expect(3);
        assert!(ran.stderr.contains("cannot write the plan"), "{place}: {}", ran.stderr);
    }
    assert!(link.is_symlink());
}

#[test]
fn more_than_ten_thousand_changes_need_a_yes() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    for dir in 0..11 {
        let dir = folder.dir(&format!("d{dir}"), ALICE, USERS, 0o2750);
        for i in 0..910 {
            std::fs::write(dir.join(i.to_string()), "").unwrap();
            own(&dir.join(i.to_string()), ALICE, ALICE, 0o600);
        }
    }
    let before = folder.state();
    let (ran, journal) = folder.apply("journal", &[]);
    assert!(ran.expect(3).stderr.contains("more than 10000 changes") && !journal.exists());
    plan(&folder, "plan");
    assert!(apply(&folder, "plan", &[]).expect(3).stderr.contains("--yes"));
    assert_eq!(folder.state(), before);
    apply(&folder, "plan", &["--yes"]).expect(0);
    folder.undo(&folder.beside("plan.journal"), "undone").expect(0);
    assert_eq!(folder.state(), before);
    let (ran, journal) = folder.apply("journal", &["--yes"]);
    assert!(ran.expect(0).stderr.contains("10,010 changes made"));
    folder.undo(&journal, "undone again").expect(0);
    assert_eq!(folder.state(), before);
}
