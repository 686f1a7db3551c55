//! Whoever asks for changes gets those of the runs that he means, and can tell of which run each is.

use std::fs::{create_dir, remove_file, write};
use std::path::Path;

use pwalk_testkit::TempTree;
use rustix::process::Signal;

use super::{Kept, New, on_both};
use crate::common::{Running, json_lines, wait_until};

fn root(place: &TempTree, name: &str) -> std::path::PathBuf {
    let root = place.path().join(name);
    create_dir(&root).unwrap();
    for file in 0..4 {
        write(root.join(format!("file {file}")), "content").unwrap();
    }
    root
}

/// Runs and paths of the changes that are told of.
#[track_caller]
fn told(kept: &Kept, arguments: &[&str]) -> Vec<(u64, String)> {
    let ran = kept.run("changes", [&["--json"], arguments].concat()).expect(0);
    let of =
        |object: &serde_json::Value| (object["run"].as_u64().unwrap(), object["path"].as_str().unwrap().to_owned());
    json_lines(ran.text()).iter().map(of).collect()
}

fn id(run: &serde_json::Value) -> String {
    run["run"].to_string()
}

#[test]
fn a_run_that_began_before_and_ended_after_another_comes_after_it() {
    on_both(|new: New<'_>| {
        let place = TempTree::new();
        let kept = new(&place);
        let (slow, quick) = (root(&place, "slow"), root(&place, "quick"));
        kept.scan(&slow);
        kept.scan(&quick);
        write(slow.join("new"), "").unwrap();
        write(quick.join("new"), "").unwrap();
        let mut running = Running::start(kept.command("scan").args(["--max-iops", "1"]).arg(&slow));
        // That needs all of them for a moment, and forgets nothing.
        let is_busy = || kept.run("prune", ["--keep", "1000"]).stderr.contains("is being scanned");
        wait_until("the slow scan has begun", is_busy);
        // However long the other takes.
        let slow_one = rustix::process::Pid::from_child(running.child());
        let send = |signal| rustix::process::kill_process(slow_one, signal).unwrap();
        send(Signal::STOP);
        let seen = kept.scan(&quick);
        assert!(running.child().try_wait().unwrap().is_none(), "the slow scan was not slow");
        send(Signal::CONT);
        wait_until("the slow scan has ended", || running.child().try_wait().unwrap().is_some());
        let new = told(&kept, &["--since", &id(&seen)]);
        let paths: Vec<_> = new.iter().map(|(_, path)| Path::new(path)).collect();
        assert_eq!(paths, [slow.join("new")]);
        let ls = kept.run("ls", ["--at".as_ref(), id(&seen).as_ref(), slow.as_os_str()]).expect(0);
        assert!(!ls.text().contains("new"), "{}", ls.text());
    });
}

#[test]
fn each_change_has_its_run() {
    on_both(|new: New<'_>| {
        let place = TempTree::new();
        let kept = new(&place);
        let root = root(&place, "tree");
        kept.scan(&root);
        write(root.join("second"), "").unwrap();
        let second = kept.scan(&root);
        remove_file(root.join("file 0")).unwrap();
        let third = kept.scan(&root);
        let number = |run: &serde_json::Value| run["run"].as_u64().unwrap();
        let path = |name: &str| root.join(name).to_str().unwrap().to_owned();
        assert_eq!(told(&kept, &["--run", &id(&second)]), [(number(&second), path("second"))]);
        let both = [(number(&second), path("second")), (number(&third), path("file 0"))];
        assert_eq!(told(&kept, &["--since", "1"]), both);
        let csv = kept.run("changes", ["--since", "1", "-o", "-"]).expect(0);
        let lines: Vec<_> =
            csv.text().lines().map(|line| line.split(',').take(3).collect::<Vec<_>>().join(",")).collect();
        let row = |(run, path): &(u64, String), change: &str| format!("{run},{change},{path}");
        assert_eq!(lines, ["run,change_type,path".to_owned(), row(&both[0], "added"), row(&both[1], "removed")]);
        let unknown = kept.run("changes", ["--run", "4711"]).expect(3);
        assert!(unknown.stderr.contains("there is no run 4711"), "{}", unknown.stderr);
    });
}

#[test]
fn what_was_pruned_is_said_with_the_question_that_has_an_answer() {
    on_both(|new: New<'_>| {
        let place = TempTree::new();
        let kept = new(&place);
        let root = root(&place, "tree");
        let first = kept.scan(&root);
        for name in ["a", "b", "c"] {
            write(root.join(name), "").unwrap();
            kept.scan(&root);
        }
        kept.run("prune", ["--keep", "2", "--quiet"]).expect(0);
        let ran = kept.run("changes", ["--since", "1h"]).expect(3);
        let last = first["run"].as_u64().unwrap() + 1;
        assert!(ran.stderr.contains(&format!("--since {last}")), "{}", ran.stderr);
        assert_eq!(told(&kept, &["--since", &last.to_string()]).len(), 2);
    });
}

#[test]
fn what_was_verified_since_does_not_hide_what_was_scanned() {
    on_both(|new: New<'_>| {
        let place = TempTree::new();
        let kept = new(&place);
        let root = root(&place, "tree");
        let scan =
            || kept.run("scan", ["-q".as_ref(), "--fingerprint".as_ref(), "new".as_ref(), root.as_os_str()]).expect(0);
        scan();
        write(root.join("second"), "").unwrap();
        scan();
        for _ in 0..3 {
            kept.run("verify", ["-q".as_ref(), root.as_os_str()]).expect(0);
        }
        assert_eq!(told(&kept, &[]).len(), 1);
        // The last scan is kept, and not only what was verified.
        kept.run("prune", ["--keep", "1", "--quiet"]).expect(0);
        assert_eq!(told(&kept, &[]).len(), 1);
        kept.run("errors", ["1"]).expect(3);
        // What was pruned of one root is nothing to another.
        let other = self::root(&place, "other");
        kept.scan(&other);
        assert_eq!(told(&kept, &["--since", "1h", "--path", other.to_str().unwrap()]).len(), 5);
    });
}

#[test]
fn growth_goes_where_the_bytes_went() {
    on_both(|new: New<'_>| {
        let place = TempTree::new();
        let kept = new(&place);
        let root = root(&place, "tree");
        for dir in ["a", "b"] {
            create_dir(root.join(dir)).unwrap();
        }
        write(root.join("a/f.bam"), [0; 1000]).unwrap();
        kept.scan(&root);
        std::fs::rename(root.join("a/f.bam"), root.join("b/f.dat")).unwrap();
        kept.scan(&root);
        remove_file(root.join("b/f.dat")).unwrap();
        create_dir(root.join("b/f.dat")).unwrap();
        kept.scan(&root);
        let growth = |by: &str| {
            let report = kept.run("report", ["--format", "json", "--by", by]).expect(0);
            let report: serde_json::Value = serde_json::from_str(report.text()).unwrap();
            let rows = report["rows"].as_array().unwrap().clone();
            let of = |row: &serde_json::Value| {
                (
                    row["group"].as_str().unwrap().rsplit('/').next().unwrap().to_owned(),
                    row["growth_bytes"].as_i64().unwrap(),
                )
            };
            rows.iter().map(of).collect::<std::collections::BTreeMap<_, _>>()
        };
        let by_dir = growth("dir");
        assert_eq!((by_dir["a"], by_dir["b"], by_dir["tree"]), (0, 0, 28));
        let by_extension = growth("extension");
        assert_eq!((by_extension["bam"], by_extension["dat"], by_extension[""]), (0, 0, 28));
    });
}
