//! Actions do what GNU find's do: remove, run commands in the right place and number, ask, stop.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;

use pwalk_testkit::{TempTree, trees};

use super::{command, complaints, gnu, pfind, sorted};
use crate::common::Ran;

/// Everything that is left of a tree.
fn left(at: &Path) -> Vec<u8> {
    gnu(at, [".", "-printf", "%P\\0"]).expect(0).stdout
}

/// The same tree twice, and what is left of each after this.
fn removed(arguments: &[&str], make: impl Fn(&Path)) {
    for own in [&[][..], &["-s"], &["-threads", "4"]] {
        let (theirs, ours) = (TempTree::new(), TempTree::new());
        make(theirs.path());
        make(ours.path());
        let expected = gnu(theirs.path(), arguments);
        let ran = pfind(ours.path(), [arguments, own, &["-snapshots"]].concat());
        assert_eq!(sorted(&left(ours.path()), 0), sorted(&left(theirs.path()), 0), "{arguments:?} {own:?}");
        assert_eq!(ran.code, expected.code, "{arguments:?} {own:?}: {}", ran.stderr);
        assert_eq!(complaints("pfind", &ran), complaints("find", &expected), "{arguments:?} {own:?}");
        assert_eq!(sorted(&ran.stdout, 0), sorted(&expected.stdout, 0), "{arguments:?} {own:?}");
    }
}

#[test]
fn delete_removes_what_gnu_find_removes() {
    let make = |root: &Path| {
        trees::random(root, 5, 300);
        fs::create_dir_all(root.join("full/empty/nested")).unwrap();
        fs::write(root.join("full/keep"), b"").unwrap();
        fs::create_dir(root.join("many")).unwrap();
        for number in 0..3_000 {
            fs::write(root.join(format!("many/{number}")), b"").unwrap();
        }
        std::os::unix::fs::symlink("full", root.join("link")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("dangling")).unwrap();
    };
    removed(&[".", "-delete"], make);
    removed(&[".", "-mindepth", "1", "-delete"], make);
    removed(&["full", "many", "-delete", "-print0"], make);
    removed(&[".", "-type", "f", "-name", "*1*", "-delete"], make);
    removed(&[".", "-type", "d", "-empty", "-delete"], make);
    removed(&["full", "-type", "d", "-delete"], make);
    removed(&["-L", "link", "-name", "keep", "-delete"], make);
    removed(&["many", "-size", "0", "-maxdepth", "1", "!", "-name", "5*", "-delete", "-print0"], make);
    removed(&["full", "-name", "keep", "-o", "-delete"], make);
}

#[test]
fn commands_run_for_each_entry() {
    let tree = TempTree::new();
    for name in ["a", "b c", "d\ne", "sub/f", "sub/deep/g"] {
        let path = tree.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
    let same = |arguments: &[&str]| {
        let expected = gnu(tree.path(), arguments);
        for own in [&[][..], &["-s"], &["-threads", "3"], &["-threads", "3", "-exec-parallel", "2"]] {
            let ran = pfind(tree.path(), [arguments, own].concat());
            assert_eq!(sorted(&ran.stdout, 0), sorted(&expected.stdout, 0), "{arguments:?} {own:?}");
            assert_eq!(ran.code, expected.code, "{arguments:?} {own:?}");
            assert_eq!(complaints("pfind", &ran), complaints("find", &expected), "{arguments:?}");
        }
    };
    same(&[".", "-exec", "printf", "%s\\0", "{}", ";"]);
    same(&["sub/", "./sub", "-exec", "printf", "<%s|%s>\\0", "x{}y{}", "{}", ";"]);
    same(&[".", "-exec", "test", "-d", "{}", ";", "-print0"]);
    same(&[".", "!", "-exec", "test", "-d", "{}", ";", "-print0"]);
    same(&[".", "-type", "f", "-exec", "sh", "-c", "printf '%s\\0' \"$PWD\" \"$1\"", "sh", "{}", ";"]);
    same(&[".", "-execdir", "sh", "-c", "printf '%s %s\\0' \"$PWD\" \"$1\"", "sh", "{}", ";"]);
    same(&[
        "sub",
        "sub/deep/",
        "/",
        "-maxdepth",
        "0",
        "-execdir",
        "sh",
        "-c",
        "printf '%s %s\\0' \"$PWD\" \"$1\"",
        "sh",
        "{}",
        ";",
    ]);
    same(&[".", "-exec", "no-such-program", "{}", ";"]);
    same(&[".", "-exec", "false", ";"]);
    same(&[".", "-exec", "false", "{}", "+"]);
    same(&[".", "-execdir", "false", "{}", "+"]);
    same(&[".", "-depth", "-execdir", "printf", "%s\\0", "{}", ";"]);
    same(&[".", "-name", "nothing", "-exec", "false", "{}", "+"]);
    same(&[".", "-print0", "-exec", "true", ";", "-print0"]);
}

#[test]
fn commands_with_plus_get_as_many_as_fit() {
    let tree = TempTree::new();
    let long = "n".repeat(200);
    for number in 0..24_000 {
        fs::write(tree.path().join(format!("{long}{number}")), b"").unwrap();
    }
    // Some five megabytes of arguments, and two are usual.
    for own in [&[][..], &["-s"]] {
        let arguments = ["-type", "f", "-exec", "sh", "-c", "printf '%s\\n' $#", "sh", "{}", "+"];
        let ran = pfind(tree.path(), [&arguments, own].concat()).expect(0);
        let counts: Vec<usize> = ran.text().lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(counts.iter().sum::<usize>(), 24_000);
        assert!((2..10).contains(&counts.len()), "{counts:?}");
        let inside = ["-type", "f", "-execdir", "sh", "-c", "printf '%s\\n' $#", "sh", "{}", "+"];
        let ran = pfind(tree.path(), [&inside, own].concat()).expect(0);
        let counts: Vec<usize> = ran.text().lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(counts.iter().sum::<usize>(), 24_000);
    }
    let ran = pfind(tree.path(), ["-exec", "no-such-program", "{}", "+"]).expect(1);
    assert!(ran.stderr.contains("'no-such-program': No such file or directory"), "{}", ran.stderr);
}

#[test]
fn execdir_runs_in_the_directory_that_was_read() {
    for own in [&[][..], &["-s"]] {
        let tree = TempTree::new();
        fs::create_dir(tree.path().join("dir")).unwrap();
        fs::write(tree.path().join("dir/file"), b"inside").unwrap();
        // The directory goes elsewhere, and another takes its place, while its entry is being evaluated.
        let swap = "mv dir gone && mkdir dir && echo outside > dir/file";
        let arguments = [".", "-name", "file", "-exec", "sh", "-c", swap, ";", "-execdir", "cat", "{}", ";"];
        let ran = pfind(tree.path(), [&arguments, own].concat()).expect(0);
        assert_eq!(ran.text(), "inside", "{own:?}");
        let arguments = ["gone", "-name", "file", "-exec", "sh", "-c", "mv gone dir/gone", ";", "-delete"];
        pfind(tree.path(), [&arguments, own].concat()).expect(0);
        assert!(!tree.path().join("dir/gone/file").exists() && tree.path().join("dir/file").exists(), "{own:?}");
    }
}

#[test]
fn an_insecure_path_is_refused_for_execdir() {
    let tree = TempTree::new();
    for (path, named) in [(".:/bin", "'.'"), ("/bin:", "''"), ("/bin:here:/usr/bin", "'here'")] {
        let mut find = command(env!("CARGO_BIN_EXE_pfind"), tree.path(), [".", "-execdir", "true", ";"]);
        let ran = Ran::of(find.env("PATH", path).output().unwrap()).expect(1);
        assert!(ran.stderr.contains(named) && ran.stderr.contains("PATH") && ran.stdout.is_empty(), "{}", ran.stderr);
    }
}

#[test]
fn one_command_at_a_time_unless_more_are_wanted() {
    let tree = TempTree::new();
    for number in 0..40 {
        fs::create_dir(tree.path().join(format!("d{number}"))).unwrap();
        fs::write(tree.path().join(format!("d{number}/file")), b"").unwrap();
    }
    let alone = "mkdir lock && ls -R . > /dev/null && rmdir lock";
    let arguments = ["-threads", "8", "-name", "file", "-exec", "sh", "-c", alone, ";", "-print0"];
    let ran = pfind(tree.path(), arguments).expect(0);
    assert_eq!((sorted(&ran.stdout, 0).len(), ran.stderr.as_str()), (40, ""));
    // Two that need each other: one writes into a pipe that the other reads.
    gnu(tree.path(), [".", "-maxdepth", "0", "-exec", "mkfifo", "pipe", ";"]).expect(0);
    let meet = "case $1 in *d1/file) echo met > pipe;; *d2/file) cat pipe;; esac";
    let both = ["(", "-path", "*/d1/file", "-o", "-path", "*/d2/file", ")", "-exec", "sh", "-c", meet, "sh", "{}", ";"];
    let ran = pfind(tree.path(), [&["-threads", "4", "-exec-parallel", "2"][..], &both].concat()).expect(0);
    assert_eq!(ran.text(), "met\n");
    let ran = pfind(tree.path(), ["-exec-parallel", "2", "-exec", "true", ";"]).expect(1);
    assert!(ran.stderr.contains("-exec-parallel needs -threads"), "{}", ran.stderr);
}

#[test]
fn commands_of_one_directory_run_beside_each_other() {
    let tree = TempTree::new();
    for name in ["one", "two"] {
        fs::write(tree.path().join(name), b"").unwrap();
    }
    gnu(tree.path(), [".", "-maxdepth", "0", "-exec", "mkfifo", "pipe", ";"]).expect(0);
    let meet = "case $1 in */one) echo met > pipe;; */two) cat pipe;; esac";
    let words = ["-threads", "4", "-exec-parallel", "2", "-type", "f", "-exec", "sh", "-c", meet, "sh", "{}", ";"];
    assert_eq!(pfind(tree.path(), words).expect(0).text(), "met\n");
}

#[test]
fn scripts_without_an_interpreter_are_the_shells() {
    let tree = TempTree::new();
    fs::write(tree.path().join("script"), b"printf '%s\\0' ran \"$@\"\n").unwrap();
    fs::set_permissions(tree.path().join("script"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for words in [
        &[".", "-type", "f", "-exec", "./script", "{}", "x", ";"][..],
        &[".", "-type", "f", "-execdir", "./script", "{}", ";"],
        &[".", "-type", "f", "-exec", "./script", "{}", "+"],
    ] {
        let (theirs, ours) = (gnu(tree.path(), words), pfind(tree.path(), words));
        assert_eq!((ours.stdout, ours.code, ours.stderr), (theirs.stdout, 0, String::new()), "{words:?}");
    }
}

#[test]
fn a_signal_stops_commands_and_is_what_it_ends_by() {
    let tree = TempTree::new();
    for number in 0..40 {
        fs::write(tree.path().join(number.to_string()), b"").unwrap();
    }
    let program = env!("CARGO_BIN_EXE_pfind");
    for (signal, number) in [("INT", 2), ("TERM", 15), ("HUP", 1)] {
        for end in [&[";"][..], &[";", "-s"], &["{}", "+"], &[";", "-threads", "4", "-exec-parallel", "4"]] {
            // Once: a second signal ends it at once.
            let stop = format!("echo ran; mkdir once 2>/dev/null && kill -{signal} $PPID");
            let words = [&[program, ".", "-type", "f", "-exec", "sh", "-c", &stop], end].concat();
            let mut find = command("env", tree.path(), ["--default-signal=HUP,INT,TERM"]);
            let output = find.args(words).output().unwrap();
            assert_eq!(output.status.signal(), Some(number), "{signal} {end:?}: {}", output.stderr.escape_ascii());
            fs::remove_dir(tree.path().join("once")).unwrap();
            let runs = sorted(&output.stdout, b'\n').len();
            assert!((1..=8).contains(&runs), "{signal} {end:?}: {runs} commands");
        }
    }
}

#[test]
fn ok_asks_and_takes_no_for_an_answer() {
    let tree = TempTree::new();
    for name in ["a", "b", "c"] {
        fs::write(tree.path().join(name), b"").unwrap();
    }
    let answered = |program: &str, words: &[&str]| {
        let mut child = command(program, tree.path(), words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"y\nno\nYes\n").unwrap();
        Ran::of(child.wait_with_output().unwrap())
    };
    for action in ["-ok", "-okdir"] {
        // What a command reads is not the answer to the next question.
        let words = [".", "-type", "f", action, "sh", "-c", "cat; echo ran \"$1\"", "sh", "{}", ";"];
        let (theirs, ours) = (answered("find", &words), answered(env!("CARGO_BIN_EXE_pfind"), &words));
        assert_eq!(ours.text().lines().count(), 2, "{}", ours.text());
        assert_eq!(theirs.text().lines().count(), 2, "{}", theirs.text());
        assert_eq!(sorted(ours.stderr.as_bytes(), b'?').len(), sorted(theirs.stderr.as_bytes(), b'?').len());
        assert!(ours.stderr.contains("< sh ... ./a > ? "), "{}", ours.stderr);
        assert_eq!(ours.code, 0);
    }
}

#[test]
fn quit_ends_it_after_one() {
    let tree = TempTree::new();
    trees::random(tree.path(), 9, 2_000);
    for own in [&["-threads", "8"][..], &["-s"], &[]] {
        for _ in 0..20 {
            let ran = pfind(tree.path(), [&["-type", "f", "-print0", "-quit"], own].concat()).expect(0);
            assert_eq!(sorted(&ran.stdout, 0).len(), 1, "{own:?}");
            let ran =
                pfind(tree.path(), [&[".", "-exec", "printf", "%s\\0", "{}", "+", "-quit"], own].concat()).expect(0);
            assert_eq!(sorted(&ran.stdout, 0).len(), 1, "{own:?}");
        }
    }
    let nothing: [&OsStr; 1] = ["-quit".as_ref()];
    assert_eq!(pfind(tree.path(), nothing).expect(0).stdout, gnu(tree.path(), nothing).expect(0).stdout);
}
