//! Promise: `pfind` lists every regular file once, with its inode number, as GNU find lists it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::process::{Command, Stdio};

use pwalk_testkit::{TempTree, trees};

use crate::common::{Ran, oracle, run};

fn pfind<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ran {
    run(Command::new(env!("CARGO_BIN_EXE_pfind")).args(arguments).stdin(Stdio::null()))
}

/// Records that are divided by line feeds, names with line feeds in them included: the pieces are the same.
fn pieces(bytes: &[u8]) -> BTreeSet<&[u8]> {
    bytes.split(|b| *b == b'\n').collect()
}

#[test]
fn inode_and_path_of_every_regular_file() {
    let (tree, _) = TempTree::with(trees::everything);
    let snapshots =
        [OsStr::new("-type"), "d".as_ref(), "-name".as_ref(), ".snapshot".as_ref(), "-prune".as_ref(), "-o".as_ref()];
    let files = ["-type", "f", "-printf", "%i\t%p\n"].map(OsStr::new);
    let want = oracle("find", [[tree.path().as_os_str()].as_slice(), &snapshots, &files].concat());
    for threads in ["1", "8", "auto"] {
        let ran = pfind([tree.path().as_os_str(), "--threads".as_ref(), threads.as_ref()]).expect(0);
        assert_eq!(ran.stdout.len(), want.len());
        assert_eq!(pieces(&ran.stdout), pieces(&want));
        assert_eq!(ran.stderr, "");
    }
}

#[test]
fn roots_that_are_files_or_not_there() {
    let tree = TempTree::new();
    std::fs::write(tree.path().join("a"), b"").unwrap();
    std::fs::write(tree.subdir("d").join("b"), b"").unwrap();
    let (a, d, no) = (tree.path().join("a"), tree.path().join("d/"), tree.path().join("no"));
    let want = oracle(
        "find",
        [
            a.as_os_str(),
            tree.path().join("d").as_os_str(),
            "-type".as_ref(),
            "f".as_ref(),
            "-printf".as_ref(),
            "%i\t%p\n".as_ref(),
        ],
    );
    assert_eq!(pieces(&pfind([&a, &d]).expect(0).stdout), pieces(&want));
    let ran = pfind([&a, &no, &d]).expect(1);
    assert_eq!(pieces(&ran.stdout), pieces(&want));
    assert!(ran.stderr.starts_with("pfind: ") && ran.stderr.contains("/no: No such file"), "{}", ran.stderr);
    assert_eq!(pfind([&no]).expect(3).stdout, b"");
    assert!(pfind(["--no-such-option"]).expect(2).stderr.contains("--no-such-option"));
    assert!(pfind(["--help"]).expect(0).text().contains("inode number"));
}
