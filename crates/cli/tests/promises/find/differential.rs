//! Thousands of generated expressions against GNU find: the same records, the same exit code, the same complaints.
//!
//! bfs is the second opinion where GNU find departs from POSIX.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use pwalk_testkit::Random;

use super::expressions::generate;
use super::{command, complaints, gnu, pfind, sorted, trees};

const EXPRESSIONS: usize = 4_000;

const OWN: &[&[&str]] = &[&["-snapshots"], &["-snapshots", "-s"], &["-snapshots", "-threads", "3"]];

/// What differs between the two for one command line.
fn difference(at: &Path, words: &[String], own: &[&str]) -> Option<String> {
    let mut theirs = gnu(at, words);
    let ours = pfind(at, words.iter().map(String::as_str).chain(own.iter().copied()));
    if sorted(&theirs.stdout, 0) != sorted(&ours.stdout, 0) && !words.iter().any(|word| word == "-used") {
        // GNU find changes the order of what a comma divides, and puts names before negated actions. (bfs rounds `-used` in its own way.)
        theirs.stdout = command("bfs", at, words).output().expect("bfs runs").stdout;
    }
    let said = |what: &str, a: String, b: String| {
        Some(format!("{} {}\n{what}\n  GNU: {a}\n  ours: {b}", words.join(" "), own.join(" ")))
    };
    let (a, b) = (sorted(&theirs.stdout, 0), sorted(&ours.stdout, 0));
    if a != b {
        let only = |here: &[String], there: &[String]| {
            let mut there = there.to_vec();
            let mut rest = Vec::new();
            for record in here {
                match there.iter().position(|other| other == record) {
                    Some(at) => drop(there.swap_remove(at)),
                    None => rest.push(record.clone()),
                }
            }
            rest.truncate(5);
            rest.join(" ")
        };
        return said("only in one", only(&a, &b), only(&b, &a));
    }
    if theirs.code != ours.code {
        return said(
            "exit code",
            format!("{} {}", theirs.code, theirs.stderr),
            format!("{} {}", ours.code, ours.stderr),
        );
    }
    let (a, b) = (complaints("find", &theirs), complaints("pfind", &ours));
    // What a loop is called differs: GNU find names both of its ends.
    let meaning = |lines: Vec<String>| -> Vec<String> {
        lines.into_iter().map(|line| line.split(" is ").next().unwrap_or_default().to_owned()).collect()
    };
    let (a, b) = (meaning(a), meaning(b));
    (a != b).then(|| said("complaints", format!("{a:#?}"), format!("{b:#?}"))).flatten()
}

#[test]
fn thousands_of_expressions_find_what_gnu_find_finds() {
    let tree = trees::tree();
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let different: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut different = Vec::new();
                    loop {
                        let seed = next.fetch_add(1, Relaxed);
                        if seed >= EXPRESSIONS || different.len() > 10 {
                            return different;
                        }
                        let words = generate(&mut Random::new(seed as u64));
                        // Words of our own, which change nothing of what is found.
                        let own = OWN[seed % OWN.len()];
                        different.extend(difference(tree.path(), &words, own));
                    }
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n\n"));
}
