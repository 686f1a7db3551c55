//! Promise: `pwalk walk` prints every directory once, with the number of directories and of other entries in it.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use pwalk_testkit::fuse::{Errno, Fault, Op, Synthetic, Tree};
use pwalk_testkit::{TempTree, trees};

use crate::common::{Ran, pwalk, run};

/// What `os.walk` would give, snapshot directories left out, as lines. A name may hold a line feed, so the lines are
/// one sorted whole here and there.
fn expected(directory: &Path, shown: &[u8], out: &mut Vec<Vec<u8>>) {
    let (mut dirs, mut files) = (0, 0);
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        if !entry.file_type().unwrap().is_dir() {
            files += 1;
        } else if entry.file_name() != ".snapshot" {
            dirs += 1;
            expected(&entry.path(), &[shown, b"/", entry.file_name().as_bytes()].concat(), out);
        }
    }
    out.push([shown, format!(": {dirs} dirs, {files} files\n").as_bytes()].concat());
}

/// The same whatever the order of the lines, also where a name holds a line feed.
#[track_caller]
fn assert_walked(ran: &Ran, want: &[Vec<u8>]) {
    let mut rest = ran.stdout.clone();
    assert_eq!(rest.len(), want.iter().map(Vec::len).sum::<usize>());
    let (sorted, expected): (BTreeSet<&[u8]>, Vec<u8>) = (rest.split(|b| *b == b'\n').collect(), want.concat());
    assert_eq!(sorted, expected.split(|b| *b == b'\n').collect::<BTreeSet<_>>());
    for line in want {
        let found = rest.windows(line.len()).any(|w| w == line);
        assert!(found, "{} is missing", line.escape_ascii());
    }
    rest.clear();
}

fn walk(root: &Path, arguments: &[&str]) -> Ran {
    run(pwalk(["walk"]).args(arguments).arg(root))
}

#[test]
fn every_directory_with_its_counts() {
    let (tree, _) = TempTree::with(trees::everything);
    let mut want = Vec::new();
    expected(tree.path(), tree.path().as_os_str().as_bytes(), &mut want);
    assert!(want.iter().any(|l| l.contains(&0xff)), "a name that is not text is among them");
    for threads in ["1", "8", "auto"] {
        let ran = walk(tree.path(), &["--threads", threads]).expect(0);
        assert_walked(&ran, &want);
        assert_eq!(ran.stderr, "");
    }
}

#[test]
fn several_roots_and_options() {
    let (tree, _) = TempTree::with(trees::hard_links);
    let roots: Vec<PathBuf> = ["a", "c"].iter().map(|n| tree.path().join(n)).collect();
    let ran = run(pwalk(["walk"]).args(&roots)).expect(0);
    let mut want = Vec::new();
    roots.iter().for_each(|root| expected(root, root.as_os_str().as_bytes(), &mut want));
    assert_walked(&ran, &want);
    let at = tree.path().display();
    let ran = walk(tree.path(), &["--depth", "0"]).expect(0);
    assert_eq!(ran.text(), format!("{at}: 3 dirs, 1 files\n"));
    let ran = walk(tree.path(), &["--exclude", "/a", "--exclude", "pair*", "--depth", "0"]).expect(0);
    assert_eq!(ran.text(), format!("{at}: 2 dirs, 1 files\n"));
    let mut here = pwalk(["walk", "."]);
    assert!(run(here.current_dir(tree.path())).expect(0).text().contains("./c: 1 dirs, 0 files\n"));
}

#[test]
fn types_are_found_out_where_the_listing_has_none() {
    let mounted = Synthetic::custom(Tree::new().file("a/f", 1).dir("a/b").symlink("a/l", "b")).dt_unknown(true);
    let mounted = mounted.mount().unwrap();
    let ran = walk(mounted.path(), &[]).expect(0);
    assert!(ran.text().contains("/a: 1 dirs, 2 files\n"), "{}", ran.text());
}

#[test]
fn no_entry_is_looked_at_that_need_not_be() {
    let mounted = Synthetic::flat(500).mount().unwrap();
    let before = mounted.ops();
    let ran = walk(mounted.path(), &[]).expect(0);
    assert!(ran.text().ends_with(": 0 dirs, 500 files\n"));
    let asked = mounted.ops().since(&before);
    assert!(asked.of(Op::Lookup) + asked.of(Op::Getattr) < 50, "{asked:?}");
}

#[test]
fn what_cannot_be_read_is_told() {
    let tree = Tree::new().file("good/a", 1).file("bad/b", 1);
    let mounted = Synthetic::custom(tree).fault(Fault::error(Op::Opendir, "bad", Errno::IO)).mount().unwrap();
    let ran = walk(mounted.path(), &[]).expect(1);
    assert!(ran.text().contains("/good: 0 dirs, 1 files\n") && !ran.text().contains("/bad:"), "{}", ran.text());
    assert!(ran.stderr.contains("/bad") && ran.stderr.contains("io"), "{}", ran.stderr);
    let ran = walk(Path::new("/no/such"), &[]).expect(3);
    assert!(ran.stderr.contains("/no/such"), "{}", ran.stderr);
}

#[test]
fn a_full_disk_is_a_failure() {
    let tree = TempTree::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ran = run(pwalk(["walk"]).arg(tree.path()).stdout(full)).expect(3);
    assert!(ran.stderr.contains("standard output") && ran.stderr.contains("No space left"), "{}", ran.stderr);
}
