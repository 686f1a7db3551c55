//! Promise: what is changed is in the journal before it is, is told to the system's log, and can be taken back, whatever happens.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pwalk_testkit::{Random, is_root};

use super::{ALICE, Folder, GAMES, USERS, access, in_own_mounts, own};
use crate::common::{PWALK, oracle, pwalk, run};

/// A folder with something of everything that is changed.
fn varied(files: u32) -> Folder {
    let folder = Folder::new();
    for dir in 0..files / 50 {
        folder.dir(&format!("d{dir}"), ALICE, [ALICE, GAMES, USERS][dir as usize % 3], 0o700);
    }
    for i in 0..files {
        let mode = [0o600, 0o4755, 0o640, 0o2711][i as usize % 4];
        let file = folder.file(&format!("d{}/{i}", i % (files / 50)), ALICE, [ALICE, 0, USERS][i as usize % 3], mode);
        if i % 10 == 0 {
            oracle("setfacl", ["-m".as_ref(), "u:7:rw,m:-".as_ref(), file.as_os_str()]);
        }
    }
    folder
}

#[test]
fn an_undo_restores_the_exact_former_state() {
    if !is_root() {
        return;
    }
    let folder = varied(400);
    let before = folder.state();
    let (ran, journal) =
        folder.apply("journal", &["--force-group-writable", "--chown-from", "54321", "--chown-to", "games:100"]);
    ran.expect(0);
    let after = folder.state();
    assert_ne!(after, before);
    let dry = run(pwalk(["repair", "--dry-run", "--undo"]).arg(&journal)).expect(0);
    assert!(dry.text().lines().count() > 300 && folder.state() == after, "{}", dry.stderr);
    let ran = folder.undo(&journal, "undone").expect(0);
    assert_eq!(folder.state(), before, "{}", ran.stderr);
    // Again there is nothing to do, and taking the undo back repeats the repair.
    assert!(folder.undo(&journal, "again").expect(0).stderr.contains("0 changes made"));
    folder.undo(&folder.beside("undone"), "redone").expect(0);
    assert_eq!(folder.state(), after);
    // A journal is a new file, always.
    let (ran, _) = folder.apply("journal", &["--force-group-writable"]);
    assert!(ran.expect(3).stderr.contains("never written over"));
}

#[test]
fn an_undo_leaves_what_somebody_changed_since() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    for name in ["mode", "group", "replaced", "gone", "fine"] {
        folder.file(name, ALICE, ALICE, 0o600);
    }
    let (ran, journal) = folder.apply("journal", &[]);
    ran.expect(0);
    let path = |name: &str| folder.top.join(name);
    own(&path("mode"), ALICE, USERS, 0o666);
    own(&path("group"), ALICE, GAMES, 0o640);
    std::fs::rename(path("replaced"), folder.beside("kept")).unwrap();
    folder.file("replaced", ALICE, USERS, 0o640);
    std::fs::remove_file(path("gone")).unwrap();
    let ran = folder.undo(&journal, "undone").expect(1);
    for name in ["mode", "group", "replaced", "gone"] {
        assert!(ran.stderr.contains(&format!("/{name}: ")), "{name}: {}", ran.stderr);
    }
    assert_eq!(
        ["mode", "group", "replaced"].map(|name| access(&path(name))),
        ["54321:100 666", "54321:60 640", "54321:100 640"]
    );
    assert_eq!(access(&path("fine")), "54321:54321 600");
}

#[test]
fn killed_at_any_moment_it_can_be_taken_back() {
    if !is_root() {
        return;
    }
    let folder = varied(600);
    let before = folder.state();
    let arguments = ["--force-group-writable", "--yes", "--chown-from", "54321", "--chown-to", "games:100"];
    let begun = Instant::now();
    let (ran, journal) = folder.apply("whole", &arguments);
    ran.expect(0);
    // Within which it is killed: the machine may be busier or less so later on.
    let mut window = begun.elapsed();
    folder.undo(&journal, "whole, undone").expect(0);
    let (mut random, mut half_way) = (Random::new(7), 0);
    for round in 0..200 {
        let journal = folder.beside(&format!("journal {round}"));
        let mut command = Command::new(PWALK);
        command.args(["repair", "--quiet", "--apply", "--journal"]).arg(&journal).args(arguments).arg(&folder.top);
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let moment = window.mul_f64(random.below(1000) as f64 / 1000.0);
        let until = Instant::now() + moment;
        while Instant::now() < until && child.try_wait().unwrap().is_none() {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        let was_killed = !child.wait().unwrap().success();
        let is_changed = folder.state() != before;
        half_way += usize::from(is_changed);
        window = window.mul_f64(match (was_killed, is_changed) {
            (true, false) => 1.1,
            (true, true) => 1.0,
            (false, _) => 0.8,
        });
        if journal.exists() {
            let ran = folder.undo(&journal, &format!("undone {round}")).expect(0);
            assert_eq!(folder.state(), before, "round {round}, killed after {moment:?}: {}", ran.stderr);
        } else {
            assert_eq!(folder.state(), before, "round {round}");
        }
    }
    assert!(half_way > 20, "killed when something was changed: {half_way}");
}

#[test]
fn a_journal_that_was_cut_off_is_read_as_far_as_it_goes() {
    if !is_root() {
        return;
    }
    let folder = varied(200);
    let before = folder.state();
    let (ran, journal) = folder.apply("journal", &[]);
    ran.expect(0);
    let after = folder.state();
    let whole = std::fs::read(&journal).unwrap();
    let cut = folder.beside("cut");
    // In the header, in the changes: nothing that is whole is in it, so nothing was begun.
    for length in [0, 3, 60, 200, 1000] {
        std::fs::write(&cut, &whole[..length]).unwrap();
        let ran = folder.undo(&cut, &format!("undone {length}")).expect(0);
        assert!(ran.stderr.contains("0 changes made"), "{length}: {}", ran.stderr);
        assert_eq!(folder.state(), after, "{length}");
    }
    // Damage is no end.
    let mut damaged = whole.clone();
    damaged[1000] ^= 0xff;
    std::fs::write(&cut, &damaged).unwrap();
    assert!(folder.undo(&cut, "damaged").expect(3).stderr.contains("damaged"));
    assert_eq!(folder.state(), after);
    // Cut off in the results: all changes are there.
    std::fs::write(&cut, &whole[..whole.len() - 5]).unwrap();
    folder.undo(&cut, "undone").expect(0);
    assert_eq!(folder.state(), before);
    // The text is there for everybody.
    let text = String::from_utf8(oracle("zstd", ["-dcq".as_ref(), journal.as_os_str()])).unwrap();
    assert!(text.lines().next().unwrap().contains("repair journal"), "{text}");
    assert!(text.lines().last().unwrap().contains("\"failed\":[]"), "{text}");
}

#[test]
fn a_full_disk_under_the_journal_stops_the_run_before_the_next_change() {
    if !is_root() {
        return;
    }
    let folder = varied(3000);
    let before = folder.state();
    let disk = folder.beside("disk");
    std::fs::create_dir(&disk).unwrap();
    let script = "mount -t tmpfs -o size=$SIZE none $DISK; \
        $PWALK repair --apply --yes --threads 1 --journal $DISK/journal $TOP 2>$LOG && exit 9; cp $DISK/journal $COPY || exit 0";
    let (log, copy) = (folder.beside("log"), folder.beside("copy"));
    for size in ["4k", "20k", "32k"] {
        let paths: &[(&str, &Path)] =
            &[("SIZE", Path::new(size)), ("DISK", &disk), ("TOP", &folder.top), ("LOG", &log), ("COPY", &copy)];
        in_own_mounts(script, paths).expect(0);
        let said = std::fs::read_to_string(&log).unwrap();
        assert!(said.contains("cannot write the journal") && said.contains("No space left"), "{size}: {said}");
        // What was changed is in it.
        folder.undo(&copy, &format!("undone {size}")).expect(0);
        assert_eq!(folder.state(), before, "{size}");
    }
    let nowhere = run(pwalk(["repair", "--apply", "--journal", "/proc/journal"]).arg(&folder.top)).expect(3);
    assert!(nowhere.stderr.contains("/proc/journal"), "{}", nowhere.stderr);
    assert_eq!(folder.state(), before);
}

#[test]
fn the_system_log_hears_of_each_change() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    for i in 0..700 {
        folder.file(&i.to_string(), ALICE, ALICE, 0o600);
    }
    folder.file("line\nfeed", ALICE, USERS, 0o640);
    own(&folder.top.join("line\nfeed"), ALICE, 0, 0o4700);
    let socket = UnixDatagram::bind(folder.beside("log")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let script = "mkdir $DEV; mount -t tmpfs none $DEV; ln -s $SOCKET $DEV/log; mknod $DEV/null c 1 3; mount --bind $DEV /dev; \
        exec $PWALK repair --apply --journal $JOURNAL $TOP";
    let (dev, log, journal) = (folder.beside("dev"), folder.beside("log"), folder.beside("journal"));
    let heard = std::thread::scope(|scope| {
        let listener = scope.spawn(|| {
            let (mut heard, mut room) = (Vec::new(), [0; 8192]);
            while heard.len() < 701 {
                let length = socket.recv(&mut room).unwrap();
                heard.push(String::from_utf8(room[..length].to_vec()).unwrap());
            }
            heard
        });
        let paths: &[(&str, &Path)] = &[("DEV", &dev), ("SOCKET", &log), ("JOURNAL", &journal), ("TOP", &folder.top)];
        let ran = in_own_mounts(script, paths).expect(0);
        assert!(!ran.stderr.contains("/dev/log"), "{}", ran.stderr);
        listener.join().unwrap()
    });
    for line in &heard {
        assert!(line.starts_with("<14>") && line.contains(" pwalk-repair["), "{line}");
        assert!(line.contains("group 54321 -> 100, mode 0600 -> 0640") || line.contains("line"), "{line}");
    }
    let odd = heard.iter().find(|line| line.contains("line")).unwrap();
    assert!(odd.ends_with("/line\\nfeed: group 0 -> 100, mode 4700 -> 0750"), "{odd}");
}

#[test]
fn root_keeps_its_journals_where_state_belongs() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    folder.file("file", ALICE, ALICE, 0o600);
    let script = "mount -t tmpfs none /var/lib; $PWALK repair --apply $TOP; stat -c '%a %u' /var/lib/pwalk /var/lib/pwalk/*; \
        $PWALK repair --undo /var/lib/pwalk/*; ls /var/lib/pwalk | wc -l";
    let ran = in_own_mounts(script, &[("TOP", &folder.top)]).expect(0);
    assert_eq!(ran.text(), "700 0\n600 0\n2\n", "{}", ran.stderr);
    assert!(ran.stderr.contains("--undo /var/lib/pwalk/repair-"), "{}", ran.stderr);
    // Not in the folder, where the next run would repair it.
    let inside = folder.dir("inside", ALICE, USERS, 0o2750).join("journal");
    let ran = run(pwalk(["repair", "--apply", "--journal"]).arg(&inside).arg(&folder.top)).expect(3);
    assert!(ran.stderr.contains("in the tree that is repaired") && !inside.exists(), "{}", ran.stderr);
}

#[test]
fn an_undo_gives_no_rights_to_what_somebody_wrote_meanwhile() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    for name in ["as it was", "other content", "being written", "open all the time", "capable"] {
        folder.file(name, 0, 0, if name == "capable" { 0o755 } else { 0o6755 });
    }
    let path = |name: &str| folder.top.join(name);
    // Version 2, effective: CAP_NET_RAW.
    let value = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    rustix::fs::setxattr(path("capable"), c"security.capability", &value, rustix::fs::XattrFlags::empty()).unwrap();
    let all_the_time = std::fs::OpenOptions::new().append(true).open(path("open all the time")).unwrap();
    let (ran, journal) = folder.apply("journal", &["--chown-from", "root", "--chown-to", "games:users"]);
    ran.expect(0);
    // The new owner writes, of the same length, and sets the times back.
    for name in ["other content", "capable"] {
        let times = std::fs::metadata(path(name)).unwrap().modified().unwrap();
        std::fs::write(path(name), name.to_uppercase()).unwrap();
        std::fs::File::open(path(name)).unwrap().set_modified(times).unwrap();
    }
    let writer = std::fs::OpenOptions::new().append(true).open(path("being written")).unwrap();
    let ran = folder.undo(&journal, "undone").expect(1);
    for name in ["other content", "being written", "open all the time", "capable"] {
        assert!(ran.stderr.contains(&format!("/{name}: it got no setuid")), "{}", ran.stderr);
        assert_eq!(access(&path(name)), "0:0 755", "{name}");
    }
    assert!(rustix::fs::getxattr(path("capable"), c"security.capability", &mut [0; 64]).is_err());
    assert_eq!(access(&path("as it was")), "0:0 6755");
    drop((writer, all_the_time));
}

#[test]
fn a_journal_that_others_could_have_written_is_refused() {
    if !is_root() {
        return;
    }
    let folder = Folder::new();
    folder.file("file", ALICE, ALICE, 0o600);
    let (ran, journal) = folder.apply("journal", &[]);
    ran.expect(0);
    let fifo = folder.beside("fifo");
    oracle("mkfifo", [fifo.as_os_str()]);
    for (uid, mode, path) in [(ALICE, 0o600, &journal), (0, 0o620, &journal), (0, 0o602, &journal), (0, 0o600, &fifo)] {
        own(path, uid, 0, mode);
        for option in ["--undo", "--apply-plan"] {
            let ran = run(pwalk(["repair", option]).arg(path)).expect(3);
            let says = if path == &fifo { "no regular file" } else { "belongs to somebody else" };
            assert!(ran.stderr.contains(says), "{}", ran.stderr);
        }
    }
    assert_eq!(access(&folder.top.join("file")), "54321:100 640");
}
