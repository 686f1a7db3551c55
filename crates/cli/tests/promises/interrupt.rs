//! Promise: stopped, it ends soon and keeps what it has, marked; killed, it leaves a whole file or none.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use pwalk_scan::{Verdict, read_metadata};
use pwalk_testkit::fuse::{Fault, Op, Synthetic, Tree};
use pwalk_testkit::{Random, TempTree, trees};
use rustix::process::Signal;

use crate::common::{Ran, Running, find, names, number, oracle, pwalk, run, wait_until};

/// A tree that a scan never comes to the end of.
fn endless() -> Synthetic {
    Synthetic::endless_depth().delay(Duration::from_millis(1))
}

#[test]
fn an_interrupted_scan_is_readable_and_marked() {
    for (name, signal) in [("x.parquet", Signal::INT), ("x.csv.zst", Signal::TERM), ("x.csv", Signal::HUP)] {
        let mounted = endless().mount().unwrap();
        let place = TempTree::new();
        let output = place.path().join(name);
        let mut running = Running::start(pwalk(["report", "-o"]).arg(&output).arg(mounted.path()));
        wait_until("the scan is on its way", || mounted.ops().of(Op::Opendir) > 50);
        running.signal(signal);
        let begun = Instant::now();
        let ran = Ran::of(running.output()).expect(130);
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        assert!(ran.stderr.contains("PARTIAL") && ran.stderr.contains("interrupted"), "{}", ran.stderr);
        let ledger_name = format!("{name}.errors.jsonl");
        assert_eq!(names(place.path()), [name, &ledger_name], "no temporary file");
        let left = crate::common::ledger(&place.path().join(ledger_name));
        assert!(!left.is_empty() && left.iter().all(|e| e["class"] == "interrupted"), "what was not finished is noted");
        let rows = number("select count(*) from ?", &output);
        // The directories it was in are there too, each once, and their sums are those of the rows below them.
        let (path, depth) = if name == "x.parquet" { ("path", "depth") } else { ("filename", "\"directory-depth\"") };
        assert_eq!(number(&format!("select count(*) from ? where {depth} = -1"), &output), 1, "{name}");
        assert_eq!(number(&format!("select count(distinct {path}) from ?"), &output), rows, "{name}");
        let orphans = format!(
            "select count(*) from ? as r where {depth} >= 0 and not exists \
            (select 1 from ? as d where d.{path} = regexp_replace(r.{path}, '/[^/]*$', ''))"
        );
        assert_eq!(number(&orphans, &output), 0, "{name}");
        if name == "x.parquet" {
            assert_eq!(number("select tree_count from ? where depth = -1", &output), rows);
        }
        if let Some(metadata) = read_metadata(&output).unwrap() {
            assert_eq!((metadata.verdict, metadata.counts["entries"]), (Verdict::Partial, rows));
        } else {
            assert_eq!(name, "x.csv");
        }
    }
}

#[test]
fn a_scan_that_hangs_can_be_interrupted() {
    let mounted = Synthetic::custom(Tree::new().file("good/a", 1).file("bad/b", 1)).hang(Op::Opendir, "bad");
    let mounted = mounted.mount().unwrap();
    let place = TempTree::new();
    let output = place.path().join("x.parquet");
    let mut running = Running::start(pwalk(["report", "-q", "-o"]).arg(&output).arg(mounted.path()));
    assert!(mounted.wait_hanging(1, Duration::from_secs(60)));
    running.signal(Signal::INT);
    // The kernel lets nobody go who waits for an answer, killed or not: so what is asked is the file.
    wait_until("the file is there", || output.exists());
    assert_eq!(read_metadata(&output).unwrap().unwrap().verdict, Verdict::Partial);
    mounted.release();
    assert_eq!(running.output().status.code(), Some(130));
}

#[test]
fn a_second_interrupt_ends_it_at_once() {
    let mounted = endless().mount().unwrap();
    let place = TempTree::new();
    let fifo = place.path().join("fifo");
    oracle("mkfifo", [&fifo]);
    // Nobody reads on, so what the first interrupt asks for (write the rest) cannot come to an end.
    let mut running = Running::start(pwalk(["report", "-q", "-o"]).arg(&fifo).arg(mounted.path()));
    let mut reader = BufReader::with_capacity(16, std::fs::File::open(&fifo).unwrap());
    reader.read_line(&mut String::new()).unwrap();
    wait_until("it fills the FIFO", || rustix::io::ioctl_fionread(reader.get_ref()).unwrap() > 60_000);
    running.signal(Signal::INT);
    running.signal(Signal::INT);
    // Two signals of one kind that come at once are one: so send on until it has ended.
    wait_until("it ends", || {
        if running.child().try_wait().unwrap().is_some() {
            return true;
        }
        running.signal(Signal::INT);
        false
    });
    assert_eq!(running.output().status.code(), Some(130));
    drop(reader);
}

#[test]
fn killed_at_any_moment_there_is_a_whole_file_or_the_old_one() {
    let (tree, _) = TempTree::with(|root| trees::random(root, 11, 3_000));
    let rows = find(tree.path(), &[]).len() as u64;
    let place = TempTree::new();
    let started = Instant::now();
    let command = |output: &Path| {
        let mut command = pwalk(["report", "-q", "--include-snapshots", "-o"]);
        command.arg(output).arg(tree.path());
        command
    };
    run(&mut command(&place.path().join("first.parquet"))).expect(0);
    let whole = started.elapsed();
    let (mut random, mut old, mut new) = (Random::new(u64::from(whole.subsec_nanos())), 0, 0);
    for round in 0..24 {
        let output = place.path().join(format!("{round}.parquet"));
        let there = round % 2 == 0;
        if there {
            std::fs::write(&output, "old").unwrap();
        }
        let moment = whole.mul_f64(random.below(1_300) as f64 / 1_000.0);
        let begun = Instant::now();
        let mut running = Running::start(&mut command(&output));
        while begun.elapsed() < moment {
            std::thread::yield_now();
        }
        running.child().kill().unwrap();
        let status = running.output().status;
        assert!(status.signal() == Some(9) || status.success(), "{status}");
        match std::fs::read(&output) {
            Ok(bytes) if bytes == b"old" => old += 1,
            Ok(_) => {
                new += 1;
                assert_eq!(number("select count(*) from ?", &output), rows);
                assert_eq!(read_metadata(&output).unwrap().unwrap().verdict, Verdict::Complete);
            }
            Err(e) => {
                assert_eq!(e.kind(), std::io::ErrorKind::NotFound);
                assert!(!there && !status.success(), "a file is lost, or was never there");
                old += 1;
            }
        }
    }
    assert_eq!(old + new, 24);
}

#[test]
fn a_reader_that_goes_away_ends_it_without_a_word() {
    // Each prints more than a pipe holds.
    let (tree, _) = TempTree::with(|root| trees::wide_dirs(root, 8_000));
    for arguments in [&["report", "-o", "-"][..], &["report", "-o", "-", "--format", "parquet"], &["walk"], &[]] {
        let mut command = pwalk(arguments);
        command.arg(tree.path());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = [0];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let ran = child.wait_with_output().unwrap();
        let said = std::str::from_utf8(&ran.stderr).unwrap();
        assert!(said.lines().count() <= 1 && !said.contains("panicked"), "{arguments:?}: {said}");
        assert!(ran.status.code() == Some(3) || ran.status.signal() == Some(13), "{arguments:?}: {}", ran.status);
    }
}

#[test]
fn an_old_ledger_goes_with_the_old_output() {
    let mounted = Synthetic::custom(Tree::new().file("bad/b", 1)).fault(Fault::hang(Op::Opendir, "bad"));
    let mounted = mounted.mount().unwrap();
    let place = TempTree::new();
    let output = place.path().join("x.csv");
    std::fs::write(&output, "old").unwrap();
    std::fs::write(crate::common::ledger_path(&output), "old").unwrap();
    let mut running = Running::start(pwalk(["report", "-q", "-o"]).arg(&output).arg(mounted.path()));
    assert!(mounted.wait_hanging(1, Duration::from_secs(60)));
    assert_eq!(std::fs::read(&output).unwrap(), b"old", "until the end");
    assert_eq!(std::fs::read(crate::common::ledger_path(&output)).unwrap(), b"old");
    mounted.release();
    assert!(running.child().wait().unwrap().success());
    assert_eq!(names(place.path()), ["x.csv"]);
    assert_eq!(std::fs::read(&output).unwrap().iter().filter(|b| **b == b'\n').count(), 4);
}
