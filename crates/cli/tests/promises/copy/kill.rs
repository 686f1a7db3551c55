//! Promise: a copy can be killed at any moment. What has its name is whole, and `--resume` makes the rest.

use std::fs::{create_dir_all, hard_link, write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use pwalk_testkit::Random;
use pwalk_testkit::trees::remove_tree;
use rustix::process::Signal;

use super::kinds::noise;
use super::look::{Entry, Tree};
use super::{Place, assert_same, copy_to, look, losses, unfinished};
use crate::common::{Running, pwalk};

/// 300 files of up to 300 KiB, some with several names, and one of 200 MiB.
fn files(root: &Path) {
    let mut random = Random::new(1);
    for i in 0..300 {
        let dir = root.join(format!("{}/{}", i % 5, i % 11));
        create_dir_all(&dir).unwrap();
        let path = dir.join(format!("{i}"));
        write(&path, noise(i, random.below(300 << 10))).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o4555)).unwrap();
        if i % 10 == 0 {
            hard_link(&path, root.join(format!("again-{i}"))).unwrap();
        }
    }
    write(root.join("large"), noise(2, 200 << 20)).unwrap();
}

/// Whatever has a name that the source has is what it is there.
#[track_caller]
fn only_whole(source: &Tree, target: &Path) {
    // Files, and directories with what is in them, that do not have their names yet.
    let temporary = |path: &str| {
        path.split('/').any(|name| name.starts_with(".pwalk-copy-dir."))
            || path.rsplit('/').next().unwrap().starts_with(".pwalk-copy.")
    };
    let torn = losses(source, &look(target)).into_iter().filter(|(path, what, _)| {
        let is_dir = source.get(path.as_bytes()).is_some_and(Entry::is_dir);
        // Whose other name was not made yet is not yet one of two.
        !is_dir && !temporary(path) && what != "missing" && what != "same file as"
    });
    assert_eq!(torn.collect::<Vec<_>>(), []);
}

#[test]
fn a_hundred_kills_tear_nothing_and_resume_makes_it_whole() {
    let place = Place::with(files);
    let source = look(&place.source);
    let whole = place.beside("whole");
    let begun = Instant::now();
    copy_to(&["--quiet"], &place.source, &whole).expect(0);
    // Within which it is killed: going on is shorter than a whole run, and the machine may be busier or less so later on.
    let mut window = begun.elapsed() / 2;
    remove_tree(&whole).unwrap();
    let (mut random, mut killed) = (Random::new(6), 0);
    for round in 0..10 {
        let target = place.beside(&format!("target-{round}"));
        for nth in 0..10 {
            // Again from the beginning, over what is there, or going on; by one worker, by several, in pieces.
            let options =
                [&["--quiet"][..], &["--resume", "--quiet"], &["--strategy", "parallel"], &["--workers", "1"]];
            let mut command = pwalk(["copy", "-T"]);
            command.args(options[(nth + round) % 4]).arg(&place.source).arg(&target);
            let moment = window.mul_f64(random.below(1000) as f64 / 1000.0);
            let mut running = Running::start(&mut command);
            std::thread::sleep(moment);
            running.signal(Signal::KILL);
            let was_killed = running.output().status.code().is_none();
            killed += u32::from(was_killed);
            window = window.mul_f64(if was_killed { 1.05 } else { 0.8 });
            if target.exists() {
                only_whole(&source, &target);
            }
        }
        copy_to(&["--resume", "--quiet"], &place.source, &target).expect(0);
        assert_same(&place.source, &target);
        assert_eq!(unfinished(&target), b"");
        remove_tree(&target).unwrap();
    }
    assert!(killed >= 40, "only {killed} were killed before their end");
}
