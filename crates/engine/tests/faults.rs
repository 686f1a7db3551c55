//! Disks that fail, servers that hang, and the switch that stops it all: on a real file system that does it.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::os::unix::ffi::OsStrExt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use common::{assert_same, find, record, record_from};
use pwalk_engine::{
    Cancel, Class, Ended, Frontier, Listing, Needs, Op, Options, Progress, Silent, Snapshot, Stall, Threads,
};
use pwalk_testkit::fuse::{Errno, Fault, Op as Call, Synthetic, Tree};

#[test]
fn each_failure_is_one_error_of_its_class_and_the_rest_is_there() {
    let cases = [
        (Call::Opendir, Errno::IO, Op::Open, Class::Io),
        (Call::Opendir, Errno::ACCESS, Op::Open, Class::Denied),
        (Call::Opendir, Errno::STALE, Op::Open, Class::Stale),
        (Call::Opendir, Errno::NFILE, Op::Open, Class::Io),
        (Call::Readdir, Errno::IO, Op::List, Class::Io),
        (Call::Readdir, Errno::STALE, Op::List, Class::Stale),
        (Call::Lookup, Errno::IO, Op::Stat, Class::Io),
        (Call::Lookup, Errno::NOENT, Op::Stat, Class::Vanished),
        (Call::Lookup, Errno::TIMEDOUT, Op::Stat, Class::Timeout),
    ];
    for (call, errno, op, class) in cases {
        let tree = Tree::new().dir("a").file("a/x", 1).dir("b").file("b/y", 2).file("c", 3);
        let path = if call == Call::Lookup { "c" } else { "a" };
        let fs = Synthetic::custom(tree).fault(Fault::error(call, path, errno)).mount().unwrap();
        let (outcome, notes) = record(fs.path(), Needs::Meta, &Options::default());
        assert_eq!(outcome.ended, Ended::Whole);
        assert!(!outcome.is_complete());
        assert_eq!(notes.errors.len(), 1, "{call:?} {errno:?}: {:?}", notes.errors);
        let error = &notes.errors[0];
        assert_eq!((error.op, error.class, error.errno), (op, class, Some(errno)));
        assert_eq!(error.path, fs.path().join(path).as_os_str().as_bytes());
        assert!(error.to_string().contains(path), "{error}");
        let y = fs.path().join("b/y").into_os_string().into_encoded_bytes();
        assert!(notes.entries.contains_key(&y));
        notes.check_order();
    }
}

#[test]
fn a_listing_that_fails_half_way_keeps_what_it_gave_and_says_so() {
    let fs = Synthetic::flat(20_000).fault(Fault::error(Call::Readdir, "", Errno::IO).after(3)).mount().unwrap();
    let (outcome, notes) = record(fs.path(), Needs::Meta, &Options::default());
    assert_eq!((outcome.errors, notes.errors[0].op), (1, Op::List));
    assert!(notes.paths().len() > 1 && notes.paths().len() < 20_000);
    assert_eq!(notes.left[0].2, Listing::Partial);
}

/// Keeps what it was told.
#[derive(Default)]
struct Told {
    stalls: Mutex<Vec<Stall>>,
    ticks: Mutex<Vec<Snapshot>>,
}

impl Progress for Told {
    fn tick(&self, snapshot: &Snapshot) {
        self.ticks.lock().unwrap().push(snapshot.clone());
    }
    fn stalled(&self, stall: &Stall) {
        self.stalls.lock().unwrap().push(stall.clone());
    }
}

fn hanging(call: Call, path: &str) -> (Synthetic, Tree) {
    let mut tree = Tree::new().dir("a").dir("b");
    for i in 0..40 {
        tree = tree.file(format!("a/{i:02}"), 1).file(format!("b/{i:02}"), 1);
    }
    (Synthetic::custom(tree.clone()).hang(call, path), tree)
}

#[test]
fn a_call_that_never_returns_costs_what_it_was_reading_and_nothing_else() {
    let cases = [(Call::Lookup, "a/07", Op::Stat), (Call::Opendir, "a", Op::Open), (Call::Readdir, "a", Op::List)];
    for threads in [Threads::Fixed(1), Threads::Fixed(3), Threads::Adaptive] {
        for (call, path, op) in cases {
            let (fs, _) = hanging(call, path);
            let fs = fs.mount().unwrap();
            let options = Options {
                threads,
                give_up_after: Some(Duration::from_millis(300)),
                name_stalls_after: Some(Duration::from_millis(100)),
                ..Options::default()
            };
            let told = Told::default();
            let start = Frontier::start([fs.path().as_os_str().as_bytes()]);
            let (outcome, notes) = record_from(start, Needs::Meta, &options, &told);
            assert_eq!(outcome.ended, Ended::Whole, "{call:?} {threads:?}");
            assert_eq!(notes.errors.len(), 1, "{call:?} {:?}", notes.errors);
            let error = &notes.errors[0];
            assert_eq!((error.op, error.class), (op, Class::Timeout));
            assert_eq!(error.path, fs.path().join(path).as_os_str().as_bytes());
            let lost = match call {
                Call::Lookup => 1,
                _ => 40,
            };
            assert_eq!(notes.paths().len(), 83 - lost, "{call:?} {threads:?}");
            notes.check_order();
            let stalls = told.stalls.lock().unwrap();
            let named: Vec<_> = stalls.iter().map(|s| (s.path.clone(), s.given_up)).collect();
            assert_eq!(named, [(error.path.clone(), false), (error.path.clone(), true)]);
            // The thread that hung comes back now, and must find that nothing is its own any more.
            fs.release();
        }
    }
}

#[test]
fn a_directory_where_everything_hangs_is_given_up_as_a_whole() {
    let mut tree = Tree::new().file("fine", 1).dir("dead");
    for i in 0..200 {
        tree = tree.file(format!("dead/{i:03}"), 1);
    }
    let mut fs = Synthetic::custom(tree);
    for i in 0..200 {
        fs = fs.hang(Call::Lookup, format!("dead/{i:03}"));
    }
    let fs = fs.mount().unwrap();
    let options =
        Options { threads: Threads::Fixed(2), give_up_after: Some(Duration::from_millis(100)), ..Options::default() };
    let (outcome, notes) = record(fs.path(), Needs::Meta, &options);
    assert_eq!(outcome.ended, Ended::Whole);
    assert_eq!(notes.errors.iter().filter(|e| e.class == Class::Timeout).count(), 200, "each is in the errors");
    assert_eq!(notes.paths().len(), 3);
    fs.release();
}

#[test]
fn the_switch_stops_within_a_second_even_when_the_server_hangs() {
    let (fs, _) = hanging(Call::Opendir, "a");
    let hung = fs.mount().unwrap();
    let endless = Synthetic::endless_names().mount().unwrap();
    let deep = Synthetic::endless_depth().delay(Duration::from_millis(1)).mount().unwrap();
    for fs in [&hung, &endless, &deep] {
        let cancel = Cancel::new();
        let options = Options { cancel: cancel.clone(), ..Options::default() };
        let pulled = std::thread::scope(|scope| {
            let pulled = scope.spawn(|| {
                // Long enough to be in the middle of it; the walk cannot end before.
                std::thread::park_timeout(Duration::from_millis(300));
                cancel.cancel();
                Instant::now()
            });
            let (outcome, notes) = record(fs.path(), Needs::Meta, &options);
            let ended = Instant::now();
            assert_eq!(outcome.ended, Ended::Cancelled);
            assert!(!outcome.is_complete() && !notes.entries.is_empty());
            ended - pulled.join().unwrap()
        });
        assert!(pulled < Duration::from_secs(1), "{pulled:?}");
    }
    hung.release();
}

#[test]
fn behind_a_slow_server_many_workers_are_used_and_they_are_told() {
    let fs = Synthetic::tree(300, 8, 30).delay(Duration::from_millis(2)).mount().unwrap();
    let told = Told::default();
    let start = Frontier::start([fs.path().as_os_str().as_bytes()]);
    let (outcome, notes) = record_from(start, Needs::Meta, &Options::default(), &told);
    assert_eq!(outcome.entries, 300 + 300 * 30);
    assert!(outcome.workers >= 32, "{} workers", outcome.workers);
    assert!(fs.max_in_flight() >= 32, "{} in flight", fs.max_in_flight());
    assert_same(&notes.paths(), &find(fs.path(), &[]), "");
    let ticks = told.ticks.lock().unwrap();
    let last = ticks.last().unwrap();
    assert_eq!((last.entries, last.errors), (outcome.entries, 0));
    assert!(ticks.windows(2).all(|w| w[0].entries <= w[1].entries));
}

#[test]
fn one_slow_directory_is_shared_by_all_workers() {
    let fs = Synthetic::flat(3_000).delay(Duration::from_millis(2)).mount().unwrap();
    let options = Options { threads: Threads::Fixed(64), ..Options::default() };
    let (outcome, _) = record(fs.path(), Needs::Meta, &options);
    assert_eq!(outcome.entries, 3_001);
    assert!(fs.max_in_flight() >= 48, "{} in flight", fs.max_in_flight());
}

#[test]
fn max_iops_is_a_maximum() {
    let fs = Synthetic::flat(1_000).mount().unwrap();
    let options = Options { max_iops: Some(2_000), ..Options::default() };
    let (outcome, _) = record(fs.path(), Needs::Meta, &options);
    // 1,000 stats at 2,000 a second take half a second, less the tenth that may come at once.
    assert!(outcome.elapsed >= Duration::from_millis(390), "{:?}", outcome.elapsed);
    assert_eq!(outcome.entries, 1_001);
}

#[test]
fn names_alone_cost_no_stat() {
    let fs = Synthetic::tree(50, 4, 100).mount().unwrap();
    let start = Frontier::start([fs.path().as_os_str().as_bytes()]);
    let before = fs.ops();
    let (outcome, _) = record_from(start, Needs::Names, &Options::default(), &Silent);
    assert_eq!(outcome.entries, 50 + 5_000);
    let lookups = fs.ops().since(&before).of(Call::Lookup);
    assert!(lookups <= 60, "{lookups} lookups for 50 directories and 5,000 files");
}
