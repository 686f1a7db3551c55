//! Promise: what cannot be read, or does not hold still, is told, and nothing of it stands under its name; everything else is copied.
//!
//! The source is a file system that fails by rule, so that the moment is the test's and not chance's.

use std::collections::BTreeSet;
use std::fs::{File, create_dir, write};
use std::io::{Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use pwalk_testkit::TempTree;
use pwalk_testkit::fuse::{Errno, Fault, Mounted, Op, Synthetic, Tree};
use pwalk_testkit::trees::remove_tree;

use super::{Place, STRATEGIES, assert_same, copy_to, done, look, losses, unfinished};
use crate::common::{Ran, json_lines};

/// Some files in directories. The trouble is with `b/victim`, of 2 MB.
fn source() -> Synthetic {
    let mut tree = Tree::new().file("b/victim", 2_000_000).symlink("b/link", "victim").file("b/other", 300_000);
    for i in 0..40 {
        tree = tree.file(format!("a/{i}"), i * 1_000).file(format!("b/{i}"), 10);
    }
    Synthetic::custom(tree.file("c/d/e", 5).dir("empty"))
}

/// The target lacks this path and nothing else, and what it has is as in the source.
#[track_caller]
fn lacks_only(mounted: &Mounted, target: &std::path::Path, path: &str) {
    mounted.clear_faults();
    let lost: BTreeSet<_> =
        losses(&look(mounted.path()), &look(target)).into_iter().map(|(p, what, _)| (p, what)).collect();
    assert_eq!(lost, BTreeSet::from([(path.to_owned(), "missing".to_owned())]));
    assert_eq!(unfinished(target), b"");
}

/// Why entries failed: path and words.
fn failures(ran: &Ran) -> Vec<(String, String)> {
    let events =
        json_lines(ran.text()).into_iter().filter(|event| event["event"] == "failed" || event["event"] == "unread");
    events.map(|e| (e["path"].as_str().unwrap().to_owned(), e["why"].as_str().unwrap().to_owned())).collect()
}

/// Copies, with one fault at work; the victim alone fails, for this reason.
#[track_caller]
fn fails(synthetic: Synthetic, strategy: &str, why: &str) {
    let (mounted, place) = (synthetic.mount().unwrap(), TempTree::new());
    let target = place.path().join("target");
    let ran = copy_to(&["--json", "--strategy", strategy], mounted.path(), &target).expect(1);
    let victim = mounted.path().join("b/victim").to_str().unwrap().to_owned();
    let failures = failures(&ran);
    assert_eq!(failures.len(), 1, "{strategy}: {failures:?}");
    assert!(failures[0].0 == victim && failures[0].1.contains(why), "{strategy}: {failures:?}");
    let done = done(&ran);
    assert_eq!((&done["failed"], &done["verdict"]), (&1.into(), &"PARTIAL".into()), "{done}");
    lacks_only(&mounted, &target, "b/victim");
}

#[test]
fn an_error_in_the_middle_of_a_file_costs_that_file() {
    for strategy in STRATEGIES {
        fails(
            source().fault(Fault::error(Op::Read, "b/victim", Errno::IO).after(3)),
            strategy,
            "cannot read the source",
        );
        fails(source().fault(Fault::error(Op::Open, "b/victim", Errno::IO)), strategy, "cannot open the source");
    }
}

#[test]
fn what_stood_under_the_name_stays_when_the_new_cannot_be_read() {
    let mounted = source().fault(Fault::error(Op::Read, "b/victim", Errno::IO).after(3)).mount().unwrap();
    let place = TempTree::new();
    for strategy in STRATEGIES {
        let target = place.path().join(strategy);
        create_dir(&target).unwrap();
        create_dir(target.join("b")).unwrap();
        write(target.join("b/victim"), "precious").unwrap();
        copy_to(&["--strategy", strategy], mounted.path(), &target).expect(1);
        assert_eq!(std::fs::read(target.join("b/victim")).unwrap(), b"precious");
        assert_eq!(unfinished(&target), b"");
    }
}

#[test]
fn a_file_that_does_not_hold_still_is_told_of_and_never_torn() {
    for strategy in STRATEGIES {
        // Each reading finds it written to, grown, or shorter than it was.
        fails(source().fault(Fault::touch(Op::Read, "b/victim")), strategy, "was changed while it was copied");
        let grows = (2..9).map(|n| Fault::resize(Op::Read, "b/victim", n * 3_000_000).after((n - 2) * 30).times(30));
        fails(grows.fold(source(), Synthetic::fault), strategy, "was changed while it was copied");
        let shrinks = [1_500_000, 900_000, 400_000, 100_000].into_iter().zip(0..);
        let shrinks = shrinks.map(|(size, n)| Fault::resize(Op::Read, "b/victim", size).after(n * 3).times(3));
        let always = Fault::touch(Op::Read, "b/victim");
        fails(shrinks.fold(source(), Synthetic::fault).fault(always), strategy, "was changed while it was copied");
    }
}

#[test]
fn a_file_that_changes_once_is_copied_as_it_is_then() {
    for strategy in STRATEGIES {
        for fault in [
            Fault::touch(Op::Read, "b/victim"),
            Fault::resize(Op::Read, "b/victim", 700_000),
            Fault::resize(Op::Read, "b/victim", 5_000_001),
            Fault::resize(Op::Read, "b/victim", 0),
        ] {
            let (mounted, place) = (source().fault(fault.clone().after(2).times(1)).mount().unwrap(), Place::new());
            let target = place.beside("target");
            let ran = copy_to(&["--json", "--strategy", strategy], mounted.path(), &target);
            assert_eq!(ran.code, 0, "{strategy} {fault:?}: {} {}", ran.text(), ran.stderr);
            assert_same(mounted.path(), &target);
        }
    }
}

#[test]
fn what_differs_when_it_is_read_again_gets_no_name() {
    for strategy in STRATEGIES {
        let mounted = source().fault(Fault::rot(Op::Read, "b/victim").after(1)).mount().unwrap();
        let place = TempTree::new();
        let target = place.path().join("target");
        let ran = copy_to(&["--json", "--verify", "--strategy", strategy], mounted.path(), &target).expect(1);
        let failures = failures(&ran);
        assert_eq!(failures.len(), 1, "{strategy}: {failures:?}");
        assert!(failures[0].1.contains("differs from the source when it is read again"), "{failures:?}");
        lacks_only(&mounted, &target, "b/victim");
    }
}

#[test]
fn what_vanishes_or_is_swapped_for_a_link_is_told() {
    for strategy in STRATEGIES {
        fails(source().fault(Fault::error(Op::Lookup, "b/victim", Errno::NOENT)), strategy, "No such file");
        // While it is copied, and gone when it is looked at again.
        let gone = Fault::error(Op::Lookup, "b/victim", Errno::NOENT).after(1);
        fails(source().fault(Fault::touch(Op::Read, "b/victim")).fault(gone), strategy, "No such file");
    }
    for (instead, strategy) in [("b/link", "auto"), ("c", "auto"), ("b/link", "baseline"), ("c", "parallel")] {
        for after in [0, 1] {
            let synthetic = source().swap("b/victim", instead, after);
            let touched = synthetic.fault(Fault::touch(Op::Read, "b/victim"));
            let (mounted, place) = (touched.mount().unwrap(), TempTree::new());
            let target = place.path().join("target");
            let ran = copy_to(&["--json", "--strategy", strategy], mounted.path(), &target).expect(1);
            let failures = failures(&ran);
            assert!(failures.len() == 1 && failures[0].1.contains("took the place"), "{instead} {failures:?}");
            assert!(target.join("b/victim").symlink_metadata().is_err() && target.join("b/other").exists());
        }
    }
}

#[test]
fn a_directory_that_cannot_be_listed_is_told_and_nothing_is_removed_for_it() {
    for (path, op) in [("b", Op::Readdir), ("b", Op::Opendir), ("c/d", Op::Readdir)] {
        let mounted = source().fault(Fault::error(op, path, Errno::IO)).mount().unwrap();
        let place = TempTree::new();
        let target = place.path().join("target");
        create_dir(&target).unwrap();
        create_dir(target.join("b")).unwrap();
        for precious in ["precious", "b/precious"] {
            write(target.join(precious), precious).unwrap();
        }
        let ran = copy_to(&["--json", "--mirror"], mounted.path(), &target).expect(1);
        let done = done(&ran);
        assert_eq!(
            (&done["verdict"], &done["mirror_refused"], &done["removed"]),
            (&"PARTIAL".into(), &true.into(), &0.into())
        );
        assert_eq!(done["unread"], 1, "{}", ran.text());
        assert!(failures(&ran)[0].0.ends_with(path), "{:?}", failures(&ran));
        assert!(target.join("precious").exists() && target.join("b/precious").exists() && target.join("a/7").exists());
        // What can be read again is copied, and then the rest may go.
        mounted.clear_faults();
        copy_to(&["--mirror"], mounted.path(), &target).expect(0);
        // To look for what is to go is to read the directories of the copy.
        let lost = losses(&look(mounted.path()), &look(&target));
        assert_eq!(lost.iter().filter(|(_, what, _)| what != "accessed").collect::<Vec<_>>(), [] as [&_; 0]);
    }
}

#[test]
fn a_file_that_somebody_writes_to_is_never_a_mixture() {
    const BLOCKS: u8 = 24;
    const BLOCK: usize = 64 << 10;
    let place = Place::new();
    let path = place.source.join("busy");
    write(&path, vec![0; usize::from(BLOCKS) * BLOCK]).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = File::options().write(true).open(&path).unwrap();
            // From its beginning to its end, in one number after the other.
            for number in (1..=255u8).cycle() {
                file.seek(SeekFrom::Start(0)).unwrap();
                for _ in 0..BLOCKS {
                    file.write_all(&[number; BLOCK]).unwrap();
                    if is_over.load(Relaxed) {
                        return;
                    }
                }
            }
        });
        for strategy in STRATEGIES {
            for _ in 0..4 {
                let target = place.beside("target");
                let ran = copy_to(&["--strategy", strategy, "--reflink", "never"], &place.source, &target);
                match std::fs::read(target.join("busy")) {
                    Ok(copy) => {
                        let mut numbers: Vec<u8> = copy.chunks(BLOCK / 16).map(|block| block[0]).collect();
                        numbers.dedup();
                        assert!(ran.code == 0 && numbers.len() <= 2, "{strategy}: {numbers:?}");
                    }
                    Err(_) => {
                        assert!(
                            ran.code == 1 && ran.stderr.contains("was changed while it was copied"),
                            "{}",
                            ran.stderr
                        );
                    }
                }
                remove_tree(&target).unwrap();
            }
        }
        is_over.store(true, Relaxed);
    });
    copy_to(&[], &place.source, &place.beside("target")).expect(0);
    super::settle(&place.source);
    copy_to(&[], &place.source, &place.beside("target")).expect(0);
    assert_same(&place.source, &place.beside("target"));
}
