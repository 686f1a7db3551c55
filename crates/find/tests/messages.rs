//! Promise: what is wrong with the arguments is told in GNU find's words, and only then.

#![allow(clippy::unwrap_used, reason = "what goes wrong in a test should end it")]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use pwalk_find::parse::parse;

/// Arguments, divided by blanks. None asks for anything that is outside of them.
const WRONG: &[&str] = &[
    "-foo",
    "-name",
    "-name a foo",
    "( -name a",
    "-name a )",
    "( )",
    "-a -name b",
    "-name a -o",
    "-name a -a",
    "! ",
    "-name a !",
    "-name a ,",
    "-not",
    "-empty -not -o -empty",
    "( -o -empty )",
    "! -a -true",
    "-true -o )",
    "( ! )",
    "( -true -a )",
    "-type z",
    "-type f,f",
    "-type f,",
    "-type ,f",
    "-type fd",
    "-type",
    "-xtype z",
    "-size x",
    "-size 10q",
    "-size +",
    "-size",
    "-size 1T",
    "-mtime x",
    "-mtime",
    "-mtime 1d",
    "-mmin x",
    "-perm zz",
    "-perm 0888",
    "-perm 10000",
    "-perm /",
    "-perm -",
    "-perm",
    "-perm u=z",
    "-perm u+x,,g+x",
    "-perm u",
    "-uid x",
    "-uid +1k",
    "-links x",
    "-links 0x10",
    "-inum 1x",
    "-inum 1.5",
    "-regextype foo",
    "-newerXY a",
    "-newerta x",
    "-newerm x",
    "-maxdepth x",
    "-maxdepth -1",
    "-maxdepth",
    "-noleaf -mindepth x",
    "-exec",
    "-exec foo",
    "-exec ;",
    "-exec foo +",
    "-exec foo {} {} +",
    "-exec foo a{} +",
    "-exec foo {}",
    "-ok foo {} +",
    "-execdir foo {} {} +",
    "-okdir",
    "-printf",
    "-printf %",
    "-printf a%",
    "-fprint",
    "-quit x",
    "-daystart x",
    "-true ( -false ) x",
    "-true ! ! !",
    "-atime",
    "-cmin x",
    "-used",
    "-lname",
    "-samefile",
    "-fstype",
    "-user",
    "-group",
    "-anewer",
    "-files0-from",
];

const RIGHT: &[&str] = &[
    "",
    ". .. -name a",
    "-H -L -P x",
    "-name *.c -o -name *.h",
    "! ( -type f,d -a -size +10k ) , -print0",
    "-mtime +-1",
    "-mtime --1",
    "-mmin 1.5",
    "-size -1c",
    "-perm +rwx",
    "-perm /u+s,g+s",
    "-perm -0",
    "-newermt 2020-01-01",
    "-depth -ls",
    "-printf %p\\n",
    "-exec foo {} ;",
    "-exec foo + ;",
    "-exec foo {} +",
    "-exec foo {} x +y {} ;",
    "-true -true -or -false",
    "( ( ( -true ) ) )",
    "-not ! -not -true",
    "-maxdepth 0 -mindepth 1 -xdev",
    "-iname a/b",
    "- -true",
    "-uid -5 -gid +5",
    "-used 2",
    "-regextype sed -regex a.*",
    "-quit",
    "-prune , -false",
    "-warn -nowarn -noleaf",
    "-atime 1 -cmin -3",
];

/// What GNU find says of wrong arguments, without its name; none if it begins to walk.
fn gnu(arguments: &[&[u8]]) -> Option<String> {
    let directory = tempfile::tempdir().unwrap();
    let mut find = Command::new("find");
    find.env("LC_ALL", "C").current_dir(directory.path()).stdin(std::process::Stdio::null());
    let output = find.args(arguments.iter().map(|argument| OsStr::from_bytes(argument))).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    let first = told.lines().find(|line| !line.contains("warning:")).map(str::to_owned)?;
    (!output.status.success() && output.stdout.is_empty()).then(|| first.strip_prefix("find: ").unwrap().to_owned())
}

fn split(line: &str) -> Vec<&[u8]> {
    line.split_whitespace().map(str::as_bytes).collect()
}

#[test]
fn wrong_arguments() {
    let mut different = Vec::new();
    for line in WRONG {
        let arguments = split(line);
        let theirs = gnu(&arguments);
        let ours = parse(&arguments).err().map(|error| error.to_string());
        if ours.is_none() || ours != theirs {
            different.push(format!("{line}\n  ours   {ours:?}\n  theirs {theirs:?}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn right_arguments() {
    for line in RIGHT {
        let parsed = parse(&split(line));
        assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
    }
}

#[test]
fn what_is_no_text_is_shown_escaped() {
    let error = parse(&[b"-name".as_slice(), b"a", b"-\xff\x1b[2J"]).unwrap_err();
    assert_eq!(error.to_string(), "unknown predicate `-\\377\\033[2J'");
    let deep: Vec<&[u8]> = std::iter::repeat_n(b"(".as_slice(), 100_000).collect();
    assert!(parse(&deep).unwrap_err().to_string().contains("deeper"));
}
