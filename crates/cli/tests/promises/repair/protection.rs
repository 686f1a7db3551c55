//! Promise: the directories of the system are refused, however they are named, and who may not, is told so before the first change.

use std::os::unix::fs::symlink;
use std::path::Path;

use pwalk_testkit::{is_root, unprivileged};

use super::{ALICE, Folder, access, in_own_mounts, own};
use crate::common::{PWALK, pwalk, run};

const SYSTEM: [&str; 14] =
    ["/", "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys", "/usr", "/var"];

#[test]
fn system_directories_are_refused_however_they_are_named() {
    let folder = pwalk_testkit::TempTree::new();
    let link = folder.path().join("link");
    symlink("/usr/share", &link).unwrap();
    let outside = SYSTEM.iter().filter(|path| Path::new(path).exists()).map(|path| (*path).to_owned());
    let inside = ["/usr/share", "/etc/passwd", "/usr/../etc", "//etc//", "/tmp/../var", "/proc/self/root/etc"]
        .map(str::to_owned);
    let roundabout = [link.to_str().unwrap().to_owned(), format!("{}/../../../../../../usr", folder.path().display())];
    for path in outside.chain(inside).chain(roundabout) {
        for apply in [None, Some("--apply")] {
            // Beside it stands a path that would be repaired: nothing is.
            let mut command = pwalk(["repair", "--journal", "/nonexistent/journal"]);
            let ran = run(command.args(apply).arg(folder.path()).arg(&path)).expect(3);
            assert!(
                ran.stderr.contains("refused") && ran.stderr.contains("system directory"),
                "{path}: {}",
                ran.stderr
            );
        }
    }
    let relative = run(pwalk(["repair", "../usr/share"]).current_dir("/tmp")).expect(3);
    assert!(relative.stderr.contains("is inside the system directory /usr"), "{}", relative.stderr);
    // That `/` is refused refuses nothing in it.
    assert!(!run(pwalk(["repair"]).arg(folder.path())).stderr.contains("refused"));
}

#[test]
fn mounts_neither_hide_the_system_nor_make_others_part_of_it() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    let refused = "mount --bind $FROM $TOP; cd $TOP; ! $PWALK repair . 2>&1; ! $PWALK repair $TOP 2>&1";
    for from in ["/etc", "/usr/share", "/usr/share/doc", "/"] {
        let ran = in_own_mounts(refused, &[("FROM", Path::new(from)), ("TOP", &folder.top)]).expect(0);
        assert_eq!(ran.text().matches("refused").count(), 2, "{from}: {}", ran.text());
    }
    // Below a bind mount of `/` there are ordinary directories, too.
    let script = "mount --rbind / $TOP; $PWALK repair $TOP/tmp --depth 0 2>&1 || true; ! $PWALK repair $TOP/etc/init.d";
    let ran = in_own_mounts(&script.replace(" --depth 0", " --exclude $TOP/tmp"), &[("TOP", &folder.top)]).expect(0);
    assert!(!ran.text().contains("refused") && ran.stderr.contains("refused"), "{} {}", ran.text(), ran.stderr);
    // A file of the system's that is mounted over another, a mount that the kernel's list has no more, a list that is not there.
    let file = folder.file("file", ALICE, 100, 0o640);
    let script = "mount --bind /etc/passwd $FILE; ! $PWALK repair $FILE; mkdir $TOP/m; mount --bind /usr/share $TOP/m; cd $TOP/m/doc; \
        umount -l $TOP/m; ! $PWALK repair .; mount --bind /usr/share $TOP/m; mount -t proc none $TOP/m/doc; ! $PWALK repair $TOP/m/doc; \
        mount -t tmpfs none /proc; ! $PWALK repair $TOP/m";
    let ran = in_own_mounts(script, &[("TOP", &folder.top), ("FILE", &file)]).expect(0);
    assert_eq!(ran.stderr.matches("refused").count(), 4, "{}", ran.stderr);
    // A file system with a place of its own is nobody's system, wherever it is mounted; what is the kernel's stays the kernel's.
    let script = "mount -t tmpfs none /var/cache; mkdir -p /var/cache/data/x; chgrp 100 /var/cache/data; \
        $PWALK repair /var/cache/data; mount -t tmpfs none /sys/fs; mkdir /sys/fs/x; ! $PWALK repair /sys/fs/x; \
        mount --bind /var/lib /var/cache/data/x; ! $PWALK repair /var/cache/data/x/dpkg";
    let ran = in_own_mounts(script, &[]).expect(0);
    assert!(ran.text().contains("/var/cache/data/x: group root -> users"), "{}", ran.text());
    assert_eq!(ran.stderr.matches("refused").count(), 2, "{}", ran.stderr);
}

#[test]
fn who_may_not_is_told_before_the_first_change() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    own(&folder.top, 65534, 100, 0o2755);
    folder.file("own", 65534, 100, 0o600);
    let foreign = folder.file("foreign", ALICE, 100, 0o600);
    let before = folder.state();
    for many in [None, Some("--yes")] {
        let mut command = unprivileged(PWALK);
        let ran = run(command.args(["repair", "--apply"]).args(many).arg(&folder.top)).expect(3);
        assert!(ran.stderr.contains("need root") && ran.stderr.contains("foreign"), "{}", ran.stderr);
        assert!(ran.stderr.contains("nothing was changed"), "{}", ran.stderr);
        assert_eq!(folder.state(), before);
    }
    // What is one's own can be repaired without root. The journal is where the user's state is.
    std::fs::remove_file(foreign).unwrap();
    let state = folder.beside("state");
    std::fs::create_dir(&state).unwrap();
    own(&state, 65534, 65534, 0o700);
    let mut command = unprivileged(PWALK);
    let ran = run(command.args(["repair", "--apply"]).arg(&folder.top).env("XDG_STATE_HOME", &state)).expect(0);
    assert_eq!(access(&folder.top.join("own")), "65534:100 640");
    assert_eq!(std::fs::read_dir(state.join("pwalk")).unwrap().count(), 1, "{}", ran.stderr);
    assert_eq!(access(&state.join("pwalk")), "65534:65534 700");
    // Without a place for a journal nothing begins.
    own(&folder.top.join("own"), 65534, 100, 0o600);
    let mut command = unprivileged(PWALK);
    let none =
        run(command.args(["repair", "--apply"]).arg(&folder.top).env_remove("XDG_STATE_HOME").env_remove("HOME"));
    assert!(none.expect(3).stderr.contains("--journal"));
    assert_eq!(access(&folder.top.join("own")), "65534:100 600");
}

#[test]
fn bad_arguments_say_what_is_wrong() {
    let nothing: &[&str] = &[];
    for (arguments, says) in [
        (nothing, "PATH"),
        (&["/tmp", "--undo", "x"], "--undo"),
        (&["/tmp", "--apply", "--plan", "x"], "--plan"),
        (&["--apply-plan", "x", "--undo", "y"], "--undo"),
        (&["/tmp", "--threads", "0"], "4096"),
    ] {
        let ran = run(pwalk(["repair"]).args(arguments)).expect(2);
        assert!(ran.stderr.contains(says), "{arguments:?}: {}", ran.stderr);
    }
    let ran = run(&mut pwalk(["repair", "/no/such/folder"])).expect(3);
    assert!(ran.stderr.contains("cannot open /no/such/folder: No such file"), "{}", ran.stderr);
    for option in ["--undo", "--apply-plan"] {
        let ran = run(&mut pwalk(["repair", option, "/no/such/file"])).expect(3);
        assert!(ran.stderr.contains("cannot use /no/such/file"), "{}", ran.stderr);
        let ran = run(&mut pwalk(["repair", option, "/etc/passwd"])).expect(3);
        assert!(ran.stderr.contains("cannot use /etc/passwd"), "{}", ran.stderr);
    }
}
