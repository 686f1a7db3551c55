//! A test process that is killed while it waits for its own file system ends, and so does the mount.

#![allow(clippy::unwrap_used, reason = "the helpers of a test fail like the test itself")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pwalk_testkit::fuse::{Op, Synthetic};
use pwalk_testkit::trees::remove_tree;

/// Set in the child process, which is this test binary again.
const CHILD: &str = "PWALK_TESTKIT_TO_BE_KILLED";
const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_killed_process_leaves_no_mount_and_no_blocked_thread() {
    if std::env::var_os(CHILD).is_some() {
        return wait_to_be_killed();
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "a_killed_process_leaves_no_mount_and_no_blocked_thread"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let said = output.lines().map(Result::unwrap).find_map(|line| line.strip_prefix("mounted ").map(PathBuf::from));
    let mount = said.unwrap();
    assert!(is_mounted(&mount));
    let killed = Instant::now();
    child.kill().unwrap();
    // Without the guard this would never return: the walker's thread cannot be killed.
    child.wait().unwrap();
    while is_mounted(&mount) {
        assert!(killed.elapsed() < SOON, "{mount:?} is still mounted");
        std::thread::yield_now();
    }
    remove_tree(mount.parent().unwrap()).unwrap();
}

#[expect(clippy::print_stdout, reason = "it speaks to the test that started it")]
fn wait_to_be_killed() {
    let mounted = Synthetic::tree(10, 3, 3).hang(Op::Readdir, "d1").mount().unwrap();
    let path = mounted.path().join("d1");
    let walker = std::thread::spawn(move || std::fs::read_dir(path).unwrap().count());
    assert!(mounted.wait_hanging(1, SOON));
    // A line of its own: the test harness has written the test's name without an end of line.
    println!("\nmounted {}", mounted.path().display());
    assert_eq!(walker.join().unwrap(), 0, "nobody answers");
}

fn is_mounted(path: &Path) -> bool {
    std::fs::read_to_string("/proc/self/mountinfo").unwrap().contains(path.to_str().unwrap())
}
