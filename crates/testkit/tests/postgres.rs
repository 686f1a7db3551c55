//! The private PostgreSQL keeps what was committed over a crash, and nothing of it outlives its test.

#![allow(clippy::unwrap_used, reason = "the helpers of a test fail like the test itself")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pwalk_testkit::Postgres;
use pwalk_testkit::postgres::QUICK;

/// Set in the child process, which is this test binary again.
const CHILD: &str = "PWALK_TESTKIT_POSTGRES_TO_BE_KILLED";
const SOON: Duration = Duration::from_secs(60);

#[test]
fn what_was_committed_survives_a_kill_and_what_was_not_does_not() {
    let mut server = Postgres::start();
    let url = server.database("kept");
    assert_eq!(url, server.url_of("kept"));
    server.psql("kept", "create table t (n int); insert into t select generate_series(1, 1000)");
    server.psql("kept", "create unlogged table u (n int); insert into u values (1)");
    // A session in the middle of a transaction when the server dies: the kill must reach it, not only its parent.
    let mut open = Command::new("psql")
        .args(["-X", "-q", "-A", "-t", "-d", &url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = open.stdin.take().unwrap();
    let script = b"begin; insert into t values (1001);\n\\echo inserted\nselect pg_sleep(600); commit;\n";
    std::io::Write::write_all(&mut input, script).unwrap();
    let mut said = String::new();
    BufReader::new(open.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "inserted\n");
    for _ in 0..3 {
        server.kill();
        server.restart();
        assert_eq!(server.psql("kept", "select count(*), sum(n) from t"), "1000|500500");
        assert_eq!(server.psql("kept", "select count(*) from u"), "0", "a crash empties unlogged tables");
    }
    assert!(!open.wait().unwrap().success(), "the session died with the server");
}

#[test]
fn servers_stand_side_by_side_and_answer_by_tcp_too() {
    let (one, two) = (Postgres::start_with(QUICK), Postgres::start_with(&[("work_mem", "7MB")]));
    assert_eq!(one.psql("postgres", "show fsync"), "off");
    assert_eq!(two.psql("postgres", "show fsync; show work_mem"), "on\n7MB");
    let shown = Command::new("psql")
        .args(["-X", "-q", "-A", "-t", "-c", "show port", "-d", &two.tcp_url_of("postgres")])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(shown.stdout).unwrap().trim(), two.port().to_string());
    assert_ne!(one.port(), two.port());
}

#[test]
fn a_killed_process_leaves_no_server_and_no_files() {
    if std::env::var_os(CHILD).is_some() {
        return wait_to_be_killed();
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "a_killed_process_leaves_no_server_and_no_files"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let said = output.lines().map(Result::unwrap).find_map(|line| line.strip_prefix("data in ").map(PathBuf::from));
    let data = said.unwrap();
    assert!(is_served(&data));
    let killed = Instant::now();
    child.kill().unwrap();
    child.wait().unwrap();
    let home = data.parent().unwrap();
    while is_served(&data) || home.exists() {
        assert!(killed.elapsed() < SOON, "{home:?} is still there");
        std::thread::yield_now();
    }
}

#[expect(clippy::print_stdout, reason = "it speaks to the test that started it")]
fn wait_to_be_killed() {
    let server = Postgres::start_with(QUICK);
    // A line of its own: the test harness has written the test's name without an end of line.
    println!("\ndata in {}", server.psql("postgres", "show data_directory"));
    loop {
        std::thread::park();
    }
}

/// Whether a process works in that directory, as each process of a server does.
fn is_served(data: &Path) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path().join("cwd"));
    processes.filter_map(|link| std::fs::read_link(link).ok()).any(|cwd| cwd == data)
}
