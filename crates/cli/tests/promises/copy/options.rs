//! Promise: each option does what its help says and nothing else.

use std::fs::{create_dir, create_dir_all, read, write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use pwalk_testkit::trees::{self, Deep, remove_tree};
use pwalk_testkit::{TempTree, is_root, unprivileged};

use super::faithful::same_chain;
use super::kinds::{kinds, noise};
use super::{Place, STRATEGIES, assert_same, copy_to, done, look, losses, unfinished};
use crate::common::{PWALK, Ran, json_lines, names, oracle, run};

/// Sets the time of change.
fn touch(path: &Path, date: &str) {
    oracle("touch", ["-h".as_ref(), "-d".as_ref(), date.as_ref(), path.as_os_str()]);
}

/// A source of four files and a target that has three of them: one older, one of the same time, one newer.
fn three() -> (Place, std::path::PathBuf) {
    let place = Place::new();
    let target = place.beside("target");
    create_dir(&target).unwrap();
    for (name, date) in [("older", "2001-01-01"), ("same", "2010-01-01"), ("newer", "2020-01-01")] {
        write(place.source.join(name), "source").unwrap();
        touch(&place.source.join(name), "2010-01-01");
        write(target.join(name), "target").unwrap();
        touch(&target.join(name), date);
    }
    write(place.source.join("new"), "source").unwrap();
    write(target.join("mine"), "mine").unwrap();
    (place, target)
}

#[test]
fn what_becomes_of_existing_files_is_the_users_choice() {
    for (what, replaced, code) in [
        ("overwrite", &["older", "same", "newer"][..], 0),
        ("skip", &[], 0),
        ("update", &["older"], 0),
        ("fail", &[], 1),
    ] {
        for strategy in STRATEGIES {
            let (place, target) = three();
            let ran =
                copy_to(&["--json", "--existing", what, "--strategy", strategy], &place.source, &target).expect(code);
            for name in ["older", "same", "newer"] {
                let want = if replaced.contains(&name) { "source" } else { "target" };
                assert_eq!(read(target.join(name)).unwrap(), want.as_bytes(), "{what} {name}");
            }
            assert_eq!(read(target.join("new")).unwrap(), b"source", "{what}");
            assert_eq!(read(target.join("mine")).unwrap(), b"mine", "{what}");
            let done = done(&ran);
            assert_eq!(done["replaced"], replaced.len(), "{done}");
            assert_eq!(done["skipped"], if code == 0 { 3 - replaced.len() } else { 0 }, "{done}");
            assert_eq!(done["failed"], if code == 1 { 3 } else { 0 }, "{done}");
        }
    }
}

#[test]
fn a_file_is_not_put_where_a_directory_is_nor_the_other_way_round() {
    let (place, target) = three();
    for path in [place.source.join("becomes-dir"), target.join("becomes-file")] {
        create_dir(&path).unwrap();
        write(path.join("inside"), "inside").unwrap();
    }
    write(place.source.join("becomes-file"), "file").unwrap();
    write(target.join("becomes-dir"), "file").unwrap();
    let ran = copy_to(&["--json"], &place.source, &target).expect(1);
    assert_eq!(done(&ran)["failed"], 2, "{}", ran.text());
    assert_eq!(
        (read(target.join("becomes-dir")).unwrap(), names(&target.join("becomes-file"))),
        (b"file".to_vec(), vec!["inside".into()])
    );
    // Mirroring puts the source's in the place of the other.
    copy_to(&["--mirror"], &place.source, &target).expect(0);
    super::settle(&place.source);
    copy_to(&["--mirror"], &place.source, &target).expect(0);
    assert_same(&place.source, &target);
}

#[test]
fn a_mirror_removes_what_the_source_lacks_and_spares_what_is_excluded() {
    for strategy in STRATEGIES {
        let place = Place::with(kinds);
        let target = place.beside("target");
        copy_to(&[], &place.source, &target).expect(0);
        for dir in ["gone/a/b", "keep.d/x", "links/gone", "contents/.git/objects"] {
            create_dir_all(target.join(dir)).unwrap();
            write(target.join(dir).join("file"), "x").unwrap();
        }
        write(target.join("contents/one.keep"), "kept").unwrap();
        symlink("/", target.join("gone/root")).unwrap();
        symlink("../../source", target.join("links/to-source")).unwrap();
        let options = [
            "--json",
            "--mirror",
            "--exclude",
            "*.keep",
            "--exclude",
            "/keep.d",
            "--exclude-git",
            "--strategy",
            strategy,
        ];
        let ran = copy_to(&options, &place.source, &target).expect(0);
        let removed = json_lines(ran.text()).into_iter().filter(|event| event["event"] == "removed").count();
        assert_eq!((done(&ran)["removed"].as_u64(), removed), (Some(8), 8), "{}", ran.text());
        for kept in ["contents/one.keep", "keep.d/x/file", "contents/.git/objects/file"] {
            assert!(target.join(kept).exists(), "{kept}");
            assert!(place.source.exists());
        }
        copy_to(&["--mirror"], &place.source, &target).expect(0);
        assert_same(&place.source, &target);
    }
}

#[test]
fn a_mirror_is_refused_where_something_could_not_be_read() {
    let (place, target) = three();
    create_dir(place.source.join("closed")).unwrap();
    write(place.source.join("closed/inside"), "x").unwrap();
    oracle("chmod", ["000".as_ref(), place.source.join("closed").as_os_str()]);
    if is_root() {
        oracle("chown", ["-R".as_ref(), "65534:65534".as_ref(), place.tree.path().as_os_str()]);
    }
    let mut command = unprivileged(PWALK);
    let ran = run(command.args(["copy", "-T", "--mirror"]).arg(&place.source).arg(&target)).expect(1);
    assert!(ran.stderr.contains("nothing was removed") && ran.stderr.contains("closed"), "{}", ran.stderr);
    assert_eq!(read(target.join("mine")).unwrap(), b"mine");
    assert_eq!(read(target.join("new")).unwrap(), b"source");
}

#[test]
fn what_is_excluded_is_not_there() {
    let place = Place::with(|root| {
        for path in [
            "a.o",
            "a.c",
            "build/x",
            "sub/build/y",
            "sub/a.o",
            ".git/config",
            "sub/.git/HEAD",
            "sub/.github/z",
            "keep/a.o",
        ] {
            create_dir_all(root.join(path).parent().unwrap()).unwrap();
            write(root.join(path), path).unwrap();
        }
    });
    let patterns = place.beside("patterns");
    write(&patterns, "# objects\n*.o\n\n!/keep/a.o\n/build/\n").unwrap();
    let from = patterns.to_str().unwrap();
    for (options, want) in [
        (
            &["--exclude", "*.o"][..],
            ". .git .git/config a.c build build/x keep sub sub/.git sub/.git/HEAD sub/.github sub/.github/z sub/build sub/build/y",
        ),
        (&["--exclude-git", "--exclude", "build/"], ". a.c a.o keep keep/a.o sub sub/.github sub/.github/z sub/a.o"),
        (
            &["--exclude-git", "--exclude-from", from],
            ". a.c keep keep/a.o sub sub/.github sub/.github/z sub/build sub/build/y",
        ),
    ] {
        for strategy in STRATEGIES {
            let target = place.beside("target");
            copy_to(&[options, &["--strategy", strategy]].concat(), &place.source, &target).expect(0);
            let mut found: Vec<_> = look(&target).into_keys().map(|path| String::from_utf8(path).unwrap()).collect();
            found[0] = ".".to_owned();
            assert_eq!(found.join(" "), want, "{options:?} {strategy}");
            remove_tree(&target).unwrap();
        }
    }
}

#[test]
fn each_word_of_no_preserve_leaves_out_that_and_nothing_else() {
    if !is_root() {
        return;
    }
    let place = Place::with(kinds);
    let source = look(&place.source);
    let disowned = place.beside("disowned");
    copy_to(&["--no-preserve", "ownership"], &place.source, &disowned).expect(0);
    for (name, mode) in [("file-6755", 0o755), ("dir-2755", 0o755), ("dir-1777", 0o1777), ("file-4000", 0)] {
        assert_eq!(std::fs::metadata(disowned.join("modes").join(name)).unwrap().mode() & 0o7777, mode, "{name}");
    }
    let lost = |list: &str| {
        let target = place.beside("target");
        copy_to(&["--no-preserve", list], &place.source, &target).expect(0);
        let lost = losses(&source, &look(&target));
        remove_tree(&target).unwrap();
        lost
    };
    for (word, fields) in [
        ("mode", &["mode"][..]),
        // Who loses his file must not run as somebody else.
        ("ownership", &["owner", "mode"]),
        ("timestamps", &["changed", "accessed"]),
        ("links", &["same file as"]),
        ("xattr", &["attribute user", "attribute trusted", "attribute security"]),
        ("acl", &["attribute system", "mode"]),
    ] {
        let lost = lost(word);
        assert!(!lost.is_empty(), "{word}");
        let other: Vec<_> =
            lost.iter().filter(|(_, what, _)| !fields.iter().any(|field| what.starts_with(field))).collect();
        assert!(other.is_empty(), "{word}: {other:#?}");
    }
    let all: std::collections::BTreeSet<_> = lost("all").into_iter().map(|(_, what, _)| what).collect();
    for what in
        ["mode", "owner", "changed", "same file as", "attribute user.empty", "attribute system.posix_acl_access"]
    {
        assert!(all.contains(what), "{what}: {all:?}");
    }
    assert!(!all.contains("content") && !all.contains("missing") && !all.contains("holes"), "{all:?}");
}

#[test]
fn a_dry_run_tells_and_does_nothing() {
    let (place, target) = three();
    create_dir(target.join("gone")).unwrap();
    let before = look(place.tree.path());
    for strategy in STRATEGIES {
        let ran = copy_to(&["--dry-run", "--mirror", "--strategy", strategy], &place.source, &target).expect(0);
        let mut lines: Vec<_> = ran.text().lines().collect();
        lines.sort_unstable();
        let (source, target) = (place.source.display(), target.display());
        let want = format!(
            "copy {source}/new\nremove {target}/gone\nremove {target}/mine\nreplace {source}/newer\nreplace {source}/older\nreplace {source}/same"
        );
        assert_eq!(lines.join("\n"), want, "{strategy}");
        assert!(ran.stderr.contains("nothing was done"), "{}", ran.stderr);
    }
    let ran = copy_to(&["-n", "--json"], &place.source, &place.beside("new")).expect(0);
    assert_eq!(json_lines(ran.text()).iter().filter(|event| event["event"] == "would_copy").count(), 5);
    assert_eq!(done(&ran)["directories"], 1);
    assert_eq!(done(&ran)["dry_run"], true);
    let lost = losses(&before, &look(place.tree.path()));
    assert!(lost.iter().all(|(_, what, _)| what == "accessed"), "{lost:#?}");
}

#[test]
fn verified_synced_slowed_and_told_it_is_the_same_copy() {
    let place = Place::with(kinds);
    for options in [
        &["--verify", "--fsync", "each"][..],
        &["--verify", "--strategy", "parallel", "--progress=always"],
        &["--fsync", "end", "--strategy", "baseline", "--quiet"],
        &["--max-bytes-per-sec", "300M", "--max-iops", "200000"],
        &["--threads", "3", "--strategy", "pipeline"],
        &["--sparse", "always"],
        &["--strategy", "pipeline", "--progress=always", "--verify"],
    ] {
        let target = place.beside("target");
        let ran = copy_to(options, &place.source, &target).expect(0);
        assert_same(&place.source, &target);
        assert!(!options.contains(&"--quiet") || (ran.stdout.is_empty() && ran.stderr.is_empty()), "{}", ran.stderr);
        remove_tree(&target).unwrap();
    }
    // Holes are filled where that is asked for, and zeros become holes.
    let (target, zeros) = (place.beside("target"), place.beside("zeros"));
    create_dir(&zeros).unwrap();
    write(zeros.join("zeros"), [noise(1, 100_000), vec![0; 5 << 20], noise(2, 7)].concat()).unwrap();
    for strategy in STRATEGIES {
        let blocks = |sparse: &str, source: &Path, name: &str| {
            copy_to(&["--sparse", sparse, "--strategy", strategy], source, &target).expect(0);
            assert_eq!(read(target.join(name)).unwrap(), read(source.join(name)).unwrap());
            let meta = std::fs::metadata(target.join(name)).unwrap();
            remove_tree(&target).unwrap();
            (meta.blocks() * 512, meta.len())
        };
        let (allocated, size) = blocks("never", &place.source.join("contents"), "hole-between");
        assert!(allocated >= size, "{strategy}: {allocated} of {size}");
        let (allocated, size) = blocks("always", &zeros, "zeros");
        assert!(allocated < size / 4, "{strategy}: {allocated} of {size}");
    }
}

#[test]
fn only_the_components_that_are_named_are_copied() {
    let place = Place::with(trees::hard_links);
    let target = place.beside("target");
    copy_to(&["--components", "a,c"], &place.source, &target).expect(0);
    assert!(target.join("a").is_dir() && target.join("c/deep").is_dir() && !target.join("b").exists());
    let ran = copy_to(&["--components", "a,missing"], &place.source, &place.beside("none"));
    assert!(ran.code == 2 && ran.stderr.contains("missing"), "{} {}", ran.code, ran.stderr);
}

#[test]
fn with_64_open_files_a_deep_and_a_wide_tree_are_whole() {
    let shape = Deep { levels: 3_000, name_bytes: 10, file_per_level: true };
    let place = Place::new();
    trees::deep(&place.source, shape);
    let wide = Place::with(|root| {
        kinds(root);
        trees::hard_links(root);
        let (files, dirs) = (root.join("wide-files"), root.join("wide-dirs"));
        create_dir(&files).unwrap();
        create_dir(&dirs).unwrap();
        trees::wide(&files, 3_000);
        trees::wide_dirs(&dirs, 1_000);
    });
    for options in
        [&["--strategy", "auto"][..], &["--workers", "30"], &["--strategy", "parallel"], &["--strategy", "pipeline"]]
    {
        let few = |source: &Path, target: &Path| {
            let mut command = Command::new("sh");
            command.args(["-c", "ulimit -n 64; exec \"$@\"", "sh", PWALK, "copy", "-T"]).args(options);
            run(command.arg(source).arg(target)).expect(0)
        };
        let target = place.beside("target");
        // To look at a deep tree and to remove it takes longer than to copy it.
        if options[0] == "--workers" {
            few(&place.source, &target);
            same_chain(&place.source, &target, shape);
            remove_tree(&target).unwrap();
        }
        few(&wide.source, &target);
        assert_same(&wide.source, &target);
        remove_tree(&target).unwrap();
    }
}

/// As somebody who is not root, in a place that is theirs.
pub(super) fn as_nobody(place: &TempTree, arguments: &[&str]) -> Ran {
    if is_root() {
        oracle("chown", ["-h".as_ref(), "65534:65534".as_ref(), place.path().as_os_str()]);
    }
    run(unprivileged(PWALK).arg("copy").args(arguments).current_dir(place.path()))
}

#[test]
fn who_is_not_root_gets_a_copy_of_what_he_may_read() {
    let place = Place::new();
    for dir in ["mine", "others"] {
        create_dir(place.source.join(dir)).unwrap();
        for (name, mode) in [("plain", 0o644), ("read-only", 0o444), ("runs", 0o4755), ("secret", 0o600)] {
            let path = place.source.join(dir).join(name);
            write(&path, format!("{dir}/{name}")).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        }
        let closed = place.source.join(dir).join("closed");
        create_dir(&closed).unwrap();
        write(closed.join("inside"), "inside").unwrap();
        std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o500)).unwrap();
    }
    if is_root() {
        oracle("chown", ["-R".as_ref(), "65534:65534".as_ref(), place.source.join("mine").as_os_str()]);
        // `chown` took the bits.
        std::fs::set_permissions(place.source.join("mine/runs"), PermissionsExt::from_mode(0o4755)).unwrap();
    }
    super::settle(&place.source);
    // Again, too, over what is closed to writing by now.
    for more in ["--quiet", "--resume", "--strategy=baseline", "--no-preserve=mode", "--strategy=pipeline"] {
        as_nobody(&place.tree, &["-T", "source/mine", "mine", more]).expect(0);
        assert_eq!(std::fs::metadata(place.beside("mine/closed")).unwrap().mode() & 0o7777, 0o500, "{more}");
    }
    assert_same(&place.source.join("mine"), &place.beside("mine"));
    if !is_root() {
        return;
    }
    let ran = as_nobody(&place.tree, &["-T", "source/others", "others"]).expect(1);
    assert!(ran.stderr.contains("secret") && ran.stderr.contains("Permission denied"), "{}", ran.stderr);
    let others = place.beside("others");
    assert!(ran.stderr.contains("closed"), "{}", ran.stderr);
    assert_eq!(names(&others), ["plain", "read-only", "runs"]);
    // What runs as another must not run as who copied it.
    assert_eq!(std::fs::metadata(others.join("runs")).unwrap().mode() & 0o7777, 0o755);
    assert_eq!(read(others.join("plain")).unwrap(), b"others/plain");
    assert_eq!(unfinished(&others), b"");
}
