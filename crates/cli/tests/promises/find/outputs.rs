//! What is printed: whole records, to the right place, in order where that is wanted, and every mistake told.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use pwalk_testkit::fuse::{Errno, Fault, Op, Synthetic};
use pwalk_testkit::{TempTree, trees, without_dac_override};
use serde_json::Value;

use super::trees::tree;
use super::{command, complaints, gnu, pfind, pwalk_find, sorted};
use crate::common::{Ran, run};

#[test]
fn sorted_by_name_each_directory_in_one_piece() {
    let tree = tree();
    let by_name = |bytes: &[u8]| {
        let mut paths: Vec<Vec<u8>> =
            bytes.split(|byte| *byte == 0).filter(|p| !p.is_empty()).map(<[u8]>::to_vec).collect();
        paths.sort_by(|a, b| a.split(|byte| *byte == b'/').cmp(b.split(|byte| *byte == b'/')));
        paths
    };
    for words in
        [&[".", "-print0"][..], &["own", "names", "-type", "f", "-size", "+0", "-print0"], &["-L", "own", "-print0"]]
    {
        let theirs = by_name(&gnu(tree.path(), words).stdout);
        let ours = pfind(tree.path(), [words, &["-s", "-snapshots"]].concat()).stdout;
        let mut ours: Vec<Vec<u8>> =
            ours.split(|byte| *byte == 0).filter(|p| !p.is_empty()).map(<[u8]>::to_vec).collect();
        if words[0] == "own" {
            // Starting points come in the order in which they were given.
            ours = by_name(&ours.join(&0));
        }
        assert_eq!(ours, theirs, "{words:?}");
    }
    // What is in a directory comes before it under -depth, in the same order otherwise.
    let tree = TempTree::new();
    for name in ["b/y", "b/x", "a/z", "c"] {
        let path = tree.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"").unwrap();
    }
    let text = |words: &[&str]| pfind(tree.path(), words).expect(0).text().to_owned();
    assert_eq!(text(&["-s", "-print"]), ".\n./a\n./a/z\n./b\n./b/x\n./b/y\n./c\n");
    assert_eq!(text(&["-s", "-depth"]), "./a/z\n./a\n./b/x\n./b/y\n./b\n./c\n.\n");
    assert_eq!(text(&["-s", "-name", "b", "-prune", "-o", "-print"]), ".\n./a\n./a/z\n./c\n");
}

#[test]
fn sorted_below_path_max_and_with_few_descriptors() {
    let tree = TempTree::new();
    trees::deep(tree.path(), trees::Deep { levels: 600, name_bytes: 20, file_per_level: true });
    let limited = |words: &str| {
        let script = format!("ulimit -n 40; exec {} . {words}", env!("CARGO_BIN_EXE_pfind"));
        run(&mut command("sh", tree.path(), ["-c", script.as_str()])).expect(0)
    };
    let all = gnu(tree.path(), [".", "-printf", "%i\\n"]).expect(0).stdout;
    for own in ["-s", "-threads 4", ""] {
        assert_eq!(sorted(&limited(&format!("{own} -printf '%i\\n'")).stdout, b'\n'), sorted(&all, b'\n'), "{own}");
        assert_eq!(
            limited(&format!("{own} -depth -type f -execdir test -f {{}} \\; -print0"))
                .stdout
                .iter()
                .filter(|b| **b == 0)
                .count(),
            600
        );
    }
    limited("-s -mindepth 1 -delete");
    assert_eq!(fs::read_dir(tree.path()).unwrap().count(), 0);
}

#[test]
fn files_are_made_shared_and_emptied() {
    let tree = tree();
    let out = TempTree::new();
    for program in ["gnu", "ours"] {
        let file = |name: &str| out.path().join(format!("{program}-{name}")).to_str().unwrap().to_owned();
        let (both, never, list) = (file("both"), file("never"), file("list"));
        fs::write(&never, b"old").unwrap();
        let words = [
            ".",
            "-type",
            "f",
            "-fprint0",
            &both,
            "-fprintf",
            &both,
            "%s\\0",
            "-o",
            "-name",
            "no-such",
            "-fprint",
            &never,
            "-o",
            "-type",
            "d",
            "-fls",
            &list,
            "-fprint0",
            "/dev/stdout",
        ];
        let ran = if program == "gnu" {
            gnu(tree.path(), words)
        } else {
            pfind(tree.path(), [&words[..], &["-snapshots"]].concat())
        };
        ran.expect(0);
        assert_eq!(fs::read(never).unwrap(), b"", "made before anything is walked");
    }
    let read = |name: &str| fs::read(out.path().join(name)).unwrap();
    assert_eq!(sorted(&read("ours-both"), 0), sorted(&read("gnu-both"), 0));
    assert_eq!(columns(&read("ours-list")), columns(&read("gnu-list")));
    let ran = pfind(tree.path(), [".", "-fprint", "/no/such/file"]).expect(1);
    assert_eq!((ran.stderr.as_str(), ran.stdout.len()), ("pfind: '/no/such/file': No such file or directory\n", 0));
    let full = pfind(tree.path(), [".", "-fprint", "/dev/full"]).expect(1);
    assert_eq!(full.stderr, "pfind: '/dev/full': No space left on device\n");
}

/// Lines whose columns are divided by one blank, in order.
fn columns(lines: &[u8]) -> Vec<String> {
    let line = |line: &String| line.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let mut lines: Vec<String> = sorted(lines, b'\n').iter().map(line).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn ls_has_gnu_finds_columns() {
    let tree = tree();
    for words in [&[".", "-ls"][..], &["-L", "own", "-ls"]] {
        let (theirs, ours) = (gnu(tree.path(), words), pfind(tree.path(), [words, &["-snapshots"]].concat()));
        let (ours, theirs) = (columns(&ours.stdout), columns(&theirs.stdout));
        let different: Vec<_> = ours.iter().zip(&theirs).filter(|(a, b)| a != b).take(5).collect();
        assert_eq!((ours.len(), different), (theirs.len(), Vec::new()));
    }
    // As wide as there, as long as nothing is wider.
    let one = |program: fn(&std::path::Path, [&'static str; 4]) -> Ran| {
        program(tree.path(), ["own/size3.bam", "-maxdepth", "0", "-ls"]).expect(0).stdout
    };
    assert_eq!(one(pfind), one(gnu));
}

#[test]
fn json_holds_every_name_and_number() {
    let tree = tree();
    let format = "%i %s %b %m %U %G %n %d %y\\0%p\\0%l\\0";
    let theirs = gnu(tree.path(), [".", "-printf", format]).expect(0).stdout;
    let mut expected: Vec<(String, Vec<u8>, Vec<u8>)> = Vec::new();
    let mut fields = theirs.split(|byte| *byte == 0);
    while let (Some(numbers), Some(path), Some(target)) = (fields.next(), fields.next(), fields.next()) {
        expected.push((String::from_utf8(numbers.to_vec()).unwrap(), path.to_vec(), target.to_vec()));
    }
    let bytes = |object: &Value, name: &str| match object.get(format!("{name}_bytes")) {
        Some(exact) => BASE64.decode(exact.as_str().unwrap()).unwrap(),
        None => object.get(name).map_or(Vec::new(), |text| text.as_str().unwrap().as_bytes().to_vec()),
    };
    let ours = pwalk_find(tree.path(), [".", "-snapshots", "-json"]).expect(0);
    let mut found: Vec<(String, Vec<u8>, Vec<u8>)> = Vec::new();
    for line in ours.text().lines() {
        let object: Value = serde_json::from_str(line).unwrap();
        let letter = match object["type"].as_str().unwrap() {
            "file" => "f",
            "dir" => "d",
            "symlink" => "l",
            "fifo" => "p",
            "socket" => "s",
            "char" => "c",
            _ => "b",
        };
        let mode = object["mode"].as_str().unwrap().trim_start_matches('0');
        let mode = if mode.is_empty() { "0" } else { mode };
        let numbers: Vec<String> =
            ["inode", "size", "blocks"].iter().map(|name| object[*name].to_string()).chain([mode.to_owned()]).collect();
        let more: Vec<String> = ["uid", "gid", "links", "depth"].iter().map(|name| object[*name].to_string()).collect();
        let numbers = format!("{} {} {letter}", numbers.join(" "), more.join(" "));
        found.push((numbers, bytes(&object, "path"), bytes(&object, "target")));
    }
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn a_terminal_gets_no_control_characters() {
    let tree = TempTree::new();
    trees::names(tree.path());
    // Beyond Unicode: the C library takes this for one character, as nobody else does.
    fs::remove_file(tree.path().join(OsStr::from_bytes(b"\xf4\x90\x80\x80"))).unwrap();
    let shown = |program: &str, words: &str| {
        let line = format!("{program} . {words}");
        let ran = run(&mut command("script", tree.path(), ["-qec", &line, "/dev/null"]));
        ran.stdout
    };
    for words in ["-print", "-printf '%f|%h|%P\\n'", "-type f -o -print"] {
        let (theirs, ours) = (shown("find", words), shown(env!("CARGO_BIN_EXE_pfind"), words));
        let (lines, their_lines) = (sorted(&ours, b'\n'), sorted(&theirs, b'\n'));
        let different: Vec<_> = lines.iter().zip(&their_lines).filter(|(a, b)| a != b).take(5).collect();
        assert_eq!((lines.len(), different), (their_lines.len(), Vec::new()), "{words}");
        assert!(!ours.contains(&0x1b) && !ours.contains(&0x07));
    }
}

#[test]
fn what_cannot_be_read_is_told_as_gnu_find_tells_it() {
    let tree = TempTree::new();
    trees::unreadable(tree.path());
    fs::create_dir_all(tree.path().join("closed/inside")).unwrap();
    fs::set_permissions(tree.path().join("closed"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let ran = |program: &str, words: &[&str]| {
        run(without_dac_override(program).args(words).current_dir(tree.path()).env("LC_ALL", "C.UTF-8"))
    };
    for words in [
        &[".", "-print0"][..],
        &[".", "-depth", "-print0"],
        &[".", "-type", "d", "-prune", "-o", "-print0"],
        &["no-such", ".", "-size", "+0", "-print0"],
        &["closed", "-maxdepth", "0", "-print0"],
        &["closed", "-prune", "-print0"],
        &[".", "-size", "-5", "-print0"],
        &[".", "-readable", "-print0"],
        &[".", "-type", "d", "-empty", "-print0"],
        &["-L", "closed", "no-such", "-print0"],
    ] {
        let theirs = ran("find", words);
        for own in [&[][..], &["-s"]] {
            let ours = ran(env!("CARGO_BIN_EXE_pfind"), &[words, own].concat());
            assert_eq!(sorted(&ours.stdout, 0), sorted(&theirs.stdout, 0), "{words:?} {own:?}");
            // What cannot be asked and cannot be entered is told once or twice.
            let once = |mut lines: Vec<String>| {
                lines.dedup();
                lines
            };
            let (said, theirs_said) = (once(complaints("pfind", &ours)), once(complaints("find", &theirs)));
            assert_eq!(said, theirs_said, "{words:?} {own:?}");
            assert_eq!(ours.code, theirs.code, "{words:?} {own:?}");
        }
    }
}

#[test]
fn a_disk_that_fails_is_told_as_gnu_find_tells_it() {
    let fs = Synthetic::tree(20, 4, 5)
        .fault(Fault::error(Op::Readdir, "d0/d1", Errno::IO))
        .fault(Fault::error(Op::Getattr, "d2/f1.dat", Errno::IO))
        .fault(Fault::error(Op::Opendir, "d3", Errno::ACCESS))
        .mount()
        .unwrap();
    for words in [&[".", "-size", "-1k", "-print0"][..], &[".", "-depth", "-size", "+0", "-print0"], &[".", "-print0"]]
    {
        let theirs = gnu(fs.path(), words);
        for own in [&[][..], &["-s"], &["-threads", "5"]] {
            let ours = pfind(fs.path(), [words, own].concat());
            assert_eq!(sorted(&ours.stdout, 0), sorted(&theirs.stdout, 0), "{words:?} {own:?}");
            assert_eq!(complaints("pfind", &ours), complaints("find", &theirs), "{words:?} {own:?}");
            assert_eq!((ours.code, theirs.code), (1, 1), "{words:?} {own:?}");
        }
    }
}

#[test]
fn starting_points_from_a_file() {
    let tree = TempTree::new();
    fs::write(tree.subdir("a b").join("x"), b"").unwrap();
    fs::write(tree.subdir("c").join("y"), b"").unwrap();
    fs::write(tree.path().join("list"), b"a b\0\0c\0gone").unwrap();
    fs::write(tree.path().join("empty"), b"").unwrap();
    for words in [
        &["-files0-from", "list", "-print0"][..],
        &["-files0-from", "empty"],
        &["-files0-from", "no-such"],
        &[".", "-files0-from", "list"],
        &["-files0-from", "c"],
        &["-files0-from", "-", "-ok", "true", ";"],
    ] {
        let (theirs, ours) = (gnu(tree.path(), words), pfind(tree.path(), words));
        assert_eq!(sorted(&ours.stdout, 0), sorted(&theirs.stdout, 0), "{words:?}");
        assert_eq!(complaints("pfind", &ours), complaints("find", &theirs), "{words:?}");
        assert_eq!(ours.code, theirs.code, "{words:?}");
    }
}

#[test]
fn as_gnu_find_has_it_where_it_surprises() {
    let tree = TempTree::new();
    fs::create_dir_all(tree.path().join("nl\ndir")).unwrap();
    fs::create_dir(tree.path().join("a")).unwrap();
    for link in ["up", "a/up"] {
        std::os::unix::fs::symlink("..", tree.path().join(link)).unwrap();
    }
    fs::remove_file(tree.path().join("up")).unwrap();
    std::os::unix::fs::symlink("loop", tree.path().join("loop")).unwrap();
    fs::write(tree.path().join(OsStr::from_bytes(b"a/aa\xe9")), b"").unwrap();
    fs::write(tree.path().join("nul"), b"\0").unwrap();
    for words in [
        // A dot and a line feed, by default and by name.
        &[".", "-regex", "./nl.dir", "-print0"][..],
        &[".", "-regextype", "findutils-default", "-regex", "./nl.dir", "-print0"],
        &[".", "-regex", ".*\\(.\\)\\1.*", "-print0"],
        // A directory that a link led away from.
        &["-L", "a", "-print0"],
        &["-L", ".", "-maxdepth", "3", "-print0"],
        &[".", "-newermt", "", "-print0"],
        &[".", "-perm", "+644"],
        &["-files0-from", "nul"],
        &["-H", ".", "-newer", "loop"],
        &["-L", ".", "-samefile", "loop"],
        &["a//up//", "a///", "-maxdepth", "0", "-execdir", "printf", "%s\\0", "{}", ";"],
        &["a", "-maxdepth", "0", "-exec", "sh", "-c", "kill -9 $$", ";"],
    ] {
        let theirs = gnu(tree.path(), words);
        for own in [&[][..], &["-s"]] {
            let ours = pfind(tree.path(), [words, own].concat());
            let meaning = |lines: Vec<String>| -> Vec<String> {
                lines.into_iter().map(|line| line.split(" is ").next().unwrap_or_default().to_owned()).collect()
            };
            assert_eq!(sorted(&ours.stdout, 0), sorted(&theirs.stdout, 0), "{words:?} {own:?}");
            assert_eq!(meaning(complaints("pfind", &ours)), meaning(complaints("find", &theirs)), "{words:?} {own:?}");
            assert_eq!(ours.code, theirs.code, "{words:?} {own:?}");
        }
    }
}

#[test]
fn snapshots_are_left_out_unless_they_are_wanted() {
    let tree = TempTree::new();
    trees::snapshots(tree.path());
    let all = gnu(tree.path(), [".", "-print0"]).expect(0).stdout;
    let some = gnu(tree.path(), [".", "-type", "d", "-name", ".snapshot", "-prune", "-o", "-print0"]).expect(0).stdout;
    for own in [&[][..], &["-s"]] {
        let ran = |words: &[&str]| pfind(tree.path(), [words, own].concat()).expect(0);
        assert_eq!(sorted(&ran(&["-snapshots", "-print0"]).stdout, 0), sorted(&all, 0));
        let left = ran(&["-warn", "-print0"]);
        assert_eq!(sorted(&left.stdout, 0), sorted(&some, 0));
        assert!(left.stderr.contains("-snapshots reads them"), "{}", left.stderr);
        assert_eq!(ran(&["-print0"]).stderr, "");
    }
}

#[test]
fn a_reader_that_has_gone_is_no_tragedy() {
    let tree = TempTree::new();
    trees::wide(tree.path(), 20_000);
    for own in ["-threads", "-s"] {
        let words = if own == "-s" { vec!["-s", "-print"] } else { vec!["-threads", "2", "-print"] };
        let mut child = command(env!("CARGO_BIN_EXE_pfind"), tree.path(), words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 10];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let ran = Ran::of(child.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.stderr.as_str()), (1, ""));
    }
}

#[test]
fn both_commands_speak_the_language_and_help() {
    let tree = TempTree::new();
    fs::write(tree.path().join("a"), b"").unwrap();
    assert_eq!(pfind(tree.path(), ["-name", "a"]).expect(0).text(), "./a\n");
    assert_eq!(pwalk_find(tree.path(), ["-name", "a"]).expect(0).text(), "./a\n");
    let none: [&str; 0] = [];
    assert_eq!(sorted(&pwalk_find(tree.path(), none).expect(0).stdout, b'\n'), ["./a\\n", ".\\n"]);
    assert!(pwalk_find(tree.path(), ["--help"]).expect(0).text().contains("-exec COMMAND"));
    assert!(pwalk_find(tree.path(), ["-version"]).expect(0).text().starts_with("pwalk find "));
    assert!(pfind(tree.path(), ["."; 1]).expect(0).text().ends_with("\t./a\n"));
    for (words, named) in [
        (&["-nmae", "x"][..], "-nmae"),
        (&["(", "-name", "x"], "')'"),
        (&["-size", "1X"], "X"),
        (&["-newer"], "-newer"),
    ] {
        let ran = pwalk_find(tree.path(), words).expect(1);
        assert!(
            ran.stderr.starts_with("pwalk find: ") && ran.stderr.contains(named) && ran.stdout.is_empty(),
            "{}",
            ran.stderr
        );
    }
}
