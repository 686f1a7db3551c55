//! Promise: patterns match the names that they match in GNU find.

#![allow(clippy::unwrap_used, reason = "what goes wrong in a test should end it")]

mod random;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use pwalk_find::glob::Glob;
use random::Random;

fn pieces(random: &mut Random, pieces: &[&[u8]], most: usize) -> Vec<u8> {
    let count = 1 + random.below(most);
    (0..count).flat_map(|_| pieces[random.below(pieces.len())].to_vec()).collect()
}

const NAMES: &[&[u8]] = &[
    b"a",
    b"b",
    b"B",
    b"c",
    b"1",
    b".",
    b"-",
    b"]",
    b"[",
    b"!",
    b"^",
    b"\\",
    b"*",
    b"?",
    b" ",
    b"\n",
    "é".as_bytes(),
    "É".as_bytes(),
    "日".as_bytes(),
];

const PATTERNS: &[&[u8]] = &[
    b"a",
    b"b",
    b"*",
    b"*",
    b"?",
    b"?",
    b"[ab]",
    b"[!a]",
    b"[^b]",
    b"[a-c]",
    b"[]a]",
    b"[!]]",
    b"[a-]",
    b"[-a]",
    b"[[]",
    b"[",
    b"]",
    b"\\",
    b"\\*",
    b"\\a",
    b"[\\]]",
    b"[\\\\a]",
    b"[[:alpha:]]",
    b"[[:digit:]x]",
    b"[![:upper:]]",
    b"[[:punct:]]",
    b"-",
    b".",
    "é".as_bytes(),
    "[é日]".as_bytes(),
    "[a-é]".as_bytes(),
    b"1",
    b"[[:space:]]",
    b"[[:lower:]]",
    b"!",
    b"^",
];

fn gnu(directory: &Path, test: &str, pattern: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut find = Command::new("find");
    find.env("LC_ALL", "C.UTF-8").current_dir(directory).args(["."]);
    let output = find
        .args(["-mindepth", "1", test])
        .arg(OsStr::from_bytes(pattern))
        .args(["-printf", "%P\\0"])
        .output()
        .unwrap();
    assert!(output.status.success());
    output.stdout.split(|b| *b == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect()
}

#[test]
fn names_and_patterns_as_in_gnu_find() {
    let mut random = Random(7);
    let directory = tempfile::tempdir().unwrap();
    let mut names = BTreeSet::new();
    for _ in 0..400 {
        let name = pieces(&mut random, NAMES, 4);
        if name != b"." && name != b".." {
            std::fs::write(directory.path().join(OsStr::from_bytes(&name)), b"").unwrap();
            names.insert(name);
        }
    }
    for round in 0..700 {
        let pattern = pieces(&mut random, PATTERNS, 5);
        let (test, ignore_case) = if round % 3 == 0 { ("-iname", true) } else { ("-name", false) };
        let glob = Glob::new(&pattern, ignore_case);
        let ours: BTreeSet<Vec<u8>> = names.iter().filter(|name| glob.matches(name)).cloned().collect();
        let theirs = gnu(directory.path(), test, &pattern);
        let different: Vec<_> =
            ours.symmetric_difference(&theirs).map(|name| name.escape_ascii().to_string()).collect();
        assert!(different.is_empty(), "{test} {}: {different:?}", pattern.escape_ascii());
    }
}

#[test]
fn many_stars_take_no_time() {
    let glob = Glob::new(&b"*a".repeat(50), false);
    assert!(!glob.matches(&[b"a".repeat(20_000), b"b".to_vec()].concat()));
}
