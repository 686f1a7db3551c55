//! Promise: regular expressions of every dialect match the paths that they match in GNU find, or are refused as there.

#![allow(clippy::unwrap_used, reason = "what goes wrong in a test should end it")]

mod random;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use pwalk_find::expr::{Expr, IgnoreCase, RegexType, Switch};
use pwalk_find::parse::parse;
use pwalk_find::regex::{PathRegex, RegexError};
use random::Random;

const DIALECTS: &[&str] = &[
    "findutils-default",
    "emacs",
    "ed",
    "sed",
    "grep",
    "posix-basic",
    "posix-minimal-basic",
    "posix-extended",
    "egrep",
    "posix-egrep",
    "gnu-awk",
    "posix-awk",
    "awk",
];

const PIECES: &[&str] = &[
    "a",
    "b",
    "B",
    "1",
    "_",
    ".",
    ".*",
    ".*",
    "*",
    "+",
    "?",
    "\\+",
    "\\?",
    "(",
    ")",
    "\\(",
    "\\)",
    "\\(a",
    "b\\)",
    "(a",
    "b)",
    "|",
    "\\|",
    "{2}",
    "{1,}",
    "{,2}",
    "\\{2\\}",
    "\\{1,2\\}",
    "{",
    "}",
    "\\{",
    "[ab]",
    "[^a]",
    "[a-c]",
    "[]a]",
    "[[:alpha:]]",
    "[[:digit:]b]",
    "[[:upper:]]",
    "[\\]a]",
    "[a\\-c]",
    "^",
    "$",
    "\\w",
    "\\W",
    "\\b",
    "\\<",
    "\\>",
    "\\`",
    "\\'",
    "\\.",
    "\\*",
    "\\^",
    "\\$",
    "\\\\",
    "\n",
    "é",
    "[é]",
    "-",
    "\\a",
    "\\s",
    "\\S",
    "[.]",
    "[*]",
    "[^]a]",
    "[[.a.]]",
    "[[=b=]]",
    "\\1",
    "\\2",
    "\\(.\\)",
    "(.)",
    "\\(a*\\)",
    "(b|a)",
];

const NAMES: &[&str] = &[
    "a", "b", "B", "ab", "aab", "1", "_", "a1", "(", ")", "{", "}", "{2}", "+", "?", "*", "^", "$", "|", "\\", "\n",
    "é", "-", "]",
];

#[test]
fn every_dialect_as_in_gnu_find() {
    let mut random = Random(11);
    let directory = tempfile::tempdir().unwrap();
    let mut names: BTreeSet<Vec<u8>> = BTreeSet::new();
    for _ in 0..250 {
        let name: String = (0..1 + random.below(3)).map(|_| NAMES[random.below(NAMES.len())]).collect();
        std::fs::write(directory.path().join(&name), b"").unwrap();
        names.insert([b"./", name.as_bytes()].concat());
    }
    let mut different = Vec::new();
    for round in 0..1_500 {
        let dialect = DIALECTS[round % DIALECTS.len()];
        let pattern: String = (0..1 + random.below(4)).map(|_| PIECES[random.below(PIECES.len())]).collect();
        let pattern = format!("./{pattern}");
        // The C library loses the case of what stands behind a backslash.
        let name = if random.below(4) == 0 && !["\\a", "\\b"].iter().any(|escape| pattern.contains(escape)) {
            "-iregex"
        } else {
            "-regex"
        };
        let mut find = Command::new("find");
        find.env("LC_ALL", "C.UTF-8").current_dir(directory.path());
        let output =
            find.args([".", "-regextype", dialect, "-mindepth", "1", name, &pattern, "-print0"]).output().unwrap();
        let theirs: BTreeSet<Vec<u8>> =
            output.stdout.split(|b| *b == 0).filter(|path| !path.is_empty()).map(<[u8]>::to_vec).collect();
        let ignore = if name == "-iregex" { IgnoreCase::Yes } else { IgnoreCase::No };
        match PathRegex::new(pattern.as_bytes(), of(dialect), ignore) {
            Err(error) if output.status.success() => {
                different.push(format!("{dialect} {name} {pattern:?}: ours: {error}"))
            }
            Err(_) => {}
            Ok(_) if !output.status.success() => {
                different.push(format!(
                    "{dialect} {name} {pattern:?}: theirs: {}",
                    output.stderr.trim_ascii().escape_ascii()
                ));
            }
            Ok(regex) => {
                let ours: BTreeSet<Vec<u8>> =
                    names.iter().filter(|name| regex.matches(name).unwrap()).cloned().collect();
                for path in ours.symmetric_difference(&theirs).take(3) {
                    let who = if ours.contains(path) { "only ours" } else { "only theirs" };
                    different.push(format!("{dialect} {name} {pattern:?}: {who}: {}", path.escape_ascii()));
                }
            }
        }
    }
    assert!(different.is_empty(), "{}\n{}", different.len(), different.join("\n"));
}

fn of(dialect: &str) -> RegexType {
    match parse(&["-regextype", dialect]).unwrap().0.expr {
        Some(Expr::Switch(Switch::RegexType(kind))) => kind,
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_that_are_no_text() {
    let regex = |pattern: &[u8]| PathRegex::new(pattern, RegexType::default(), IgnoreCase::No).unwrap();
    assert!(regex(b"a\xff").matches(b"a\xff").unwrap() && !regex(b"a\xff").matches(b"a").unwrap());
    let doubled = regex(b"\\(.*\\)\\1");
    assert!(doubled.matches("éxéx".as_bytes()).unwrap() && !doubled.matches("éxex".as_bytes()).unwrap());
    assert!(regex(b"\\(.\\).*\\1").matches(b"a\xc3\xa9a").unwrap());
    let both = PathRegex::new(b"\\(\xff\\)\\1", RegexType::default(), IgnoreCase::No);
    assert_eq!(both.unwrap_err(), RegexError::NotText);
    // More ways to try than anybody waits for.
    let many = regex(b"\\(a*\\)*\\1b");
    assert!(many.matches(&[b'a'; 200]).is_err());
    let output = Command::new("find")
        .args([OsStr::new("/"), "-maxdepth".as_ref(), "0".as_ref(), "-regex".as_ref(), OsStr::from_bytes(b"\xff")])
        .output();
    assert!(output.unwrap().stdout.is_empty());
}
