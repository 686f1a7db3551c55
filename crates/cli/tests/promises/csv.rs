//! Promise: the CSV is the classic one, byte for byte, and every entry is in it.
//!
//! The expected lines are computed here from `lstat`, by the rules in words; the set of entries is also
//! compared with GNU find.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use pwalk_testkit::{TempTree, trees};

use crate::common::{find, ledger_path, lines, path, pwalk, run, settle, to_file, to_stdout};

const HEADER: &str = "inode,parent-inode,directory-depth,\"filename\",\"fileExtension\",UID,GID,st_size,st_dev,st_blocks,\
                      st_nlink,\"st_mode\",st_atime,st_mtime,st_ctime,pw_fcount,pw_dirsum\n";

/// Whether an entry is left out as a snapshot directory.
type Skip = fn(&Path, &Metadata) -> bool;

/// Bytes below 0x20 go, quotes double.
fn quoted(bytes: &[u8]) -> Vec<u8> {
    let doubled = bytes.iter().filter(|b| **b >= 0x20).flat_map(|&b| if b == b'"' { vec![b, b] } else { vec![b] });
    [b"\"".to_vec(), doubled.collect(), b"\"".to_vec()].concat()
}

fn extension(name: &[u8]) -> &[u8] {
    match name.iter().rposition(|b| *b == b'.') {
        Some(dot) if dot > 0 => &name[dot + 1..],
        _ => b"",
    }
}

/// One line: `shown` is the path as it stands, `inside` what a directory holds.
fn line(shown: &[u8], name: &[u8], parent: u64, depth: i32, m: &Metadata, inside: Option<&[Metadata]>) -> Vec<u8> {
    let ext = if m.is_dir() { b"" } else { extension(name) };
    let (count, sum) = inside
        .map_or(("-1".to_owned(), 0), |inside| (inside.len().to_string(), inside.iter().map(Metadata::len).sum()));
    let (mtime, ctime) = (m.mtime(), m.ctime());
    [
        format!("{},{parent},{depth},", m.ino()).into_bytes(),
        quoted(shown),
        b",".to_vec(),
        quoted(ext),
        format!(",{},{},{},{},{},{},", m.uid(), m.gid(), m.len(), m.dev(), m.blocks(), m.nlink()).into_bytes(),
        format!("\"{:07o}\",{},{mtime},{ctime},{count},{sum}\n", m.mode(), m.atime()).into_bytes(),
    ]
    .concat()
}

/// The expected lines below a directory, appended; what is in it is returned.
fn below(real: &Path, shown: &[u8], ino: u64, depth: i32, skip: Skip, out: &mut Vec<Vec<u8>>) -> Vec<Metadata> {
    let mut inside = Vec::new();
    for entry in std::fs::read_dir(real).unwrap() {
        let real = entry.unwrap().path();
        let meta = real.symlink_metadata().unwrap();
        if skip(&real, &meta) {
            continue;
        }
        let name = real.file_name().unwrap().as_bytes();
        let shown = if shown == b"/" { [b"/", name].concat() } else { [shown, b"/", name].concat() };
        let listed = meta.is_dir().then(|| below(&real, &shown, meta.ino(), depth + 1, skip, out));
        out.push(line(&shown, name, ino, depth, &meta, listed.as_deref()));
        inside.push(meta);
    }
    inside
}

/// All expected lines of a root, as it was given, sorted.
fn expected(given: &Path, skip: Skip) -> Vec<Vec<u8>> {
    let bytes = given.as_os_str().as_bytes();
    let shown = if bytes.len() > 1 { bytes.strip_suffix(b"/").unwrap_or(bytes) } else { bytes };
    let meta = given.metadata().unwrap();
    let mut out = Vec::new();
    let inside = meta.is_dir().then(|| below(given, shown, meta.ino(), 0, skip, &mut out));
    let name = shown.rsplit(|b| *b == b'/').next().unwrap();
    out.push(line(shown, name, 0, -1, &meta, inside.as_deref()));
    out.sort();
    out
}

fn snapshots(real: &Path, meta: &Metadata) -> bool {
    meta.is_dir() && real.file_name().unwrap() == ".snapshot"
}

/// The same lines, in any order; the first that differs is shown.
#[track_caller]
fn assert_same(csv: &[u8], expected: &[Vec<u8>]) {
    let mut got = lines(csv);
    got.sort_unstable();
    for (got, want) in got.iter().zip(expected) {
        assert_eq!(got.escape_ascii().to_string(), want.escape_ascii().to_string());
    }
    assert_eq!(got.len(), expected.len());
}

#[test]
fn every_line_of_a_hostile_tree_is_exact() {
    let (tree, made) = TempTree::with(trees::everything);
    settle(tree.path());
    let want = expected(tree.path(), |_, _| false);
    assert_eq!(want.len() as u64, made.entries + 1, "the oracle sees what was made");
    let all = to_stdout(tree.path(), &["--include-snapshots"]).expect(0);
    let csv = all.stdout.strip_prefix(HEADER.as_bytes()).expect("the header");
    assert_same(csv, &want);
    assert!(want.iter().any(|l| l.escape_ascii().to_string().contains(",-86400,")), "a negative time is among them");
}

#[test]
fn every_way_to_write_gives_the_same_lines() {
    let (tree, _) = TempTree::with(trees::everything);
    settle(tree.path());
    let place = TempTree::new();
    let want = expected(tree.path(), snapshots);
    for (name, tool) in [("x.csv", "cat"), ("x.csv.zst", "zstdcat"), ("x.csv.gz", "zcat")] {
        let output = place.path().join(name);
        to_file(tree.path(), &output, &["--no-header", "--quiet"]).expect(0);
        assert_same(&crate::common::oracle(tool, [&output]), &want);
        assert!(ledger_path(&output).exists(), "unprintable names are noted");
    }
    for threads in ["1", "16"] {
        assert_same(&to_stdout(tree.path(), &["--no-header", "--threads", threads]).expect(0).stdout, &want);
    }
}

#[test]
fn entries_are_those_of_find() {
    let (tree, _) = TempTree::with(|root| trees::random(root, 7, 500));
    let printable = |p: &Vec<u8>| p.iter().copied().filter(|b| *b >= 0x20).collect::<Vec<u8>>();
    let mut found: Vec<_> = find(tree.path(), &[]).iter().map(printable).collect();
    let csv = to_stdout(tree.path(), &["--no-header"]).expect(0).stdout;
    let mut got: Vec<_> = lines(&csv).iter().map(|l| crate::common::fields(l).swap_remove(3)).collect();
    found.sort();
    got.sort();
    assert_eq!(got.len(), 501);
    assert_eq!(got, found);
}

#[test]
fn the_root_stands_as_it_was_given() {
    let (tree, _) = TempTree::with(trees::hard_links);
    settle(tree.path());
    let root = tree.path().as_os_str().as_bytes();
    for given in [root.to_vec(), [root, b"/"].concat(), [root, b"//"].concat(), [root, b"/./b/../"].concat()] {
        let given = path(&given);
        let run = to_stdout(&given, &["--no-header"]).expect(0);
        assert_same(&run.stdout, &expected(&given, snapshots));
    }
}

#[test]
fn a_relative_root_stays_relative() {
    let (tree, _) = TempTree::with(trees::hard_links);
    settle(tree.path());
    for (given, shown) in [(".", "."), ("./", "."), ("c", "c"), ("c/deep/", "c/deep"), ("../", "..")] {
        let here = tree.path().join(if given == "../" { "a" } else { "" });
        let ran = run(pwalk(["report", "-o", "-", "--quiet", "--no-header", given]).current_dir(&here));
        let absolute = here.join(given);
        // The oracle walks by an absolute path; only the beginning of each path differs.
        let mut want = Vec::new();
        let meta = absolute.metadata().unwrap();
        let inside = below(&absolute, shown.as_bytes(), meta.ino(), 0, snapshots, &mut want);
        want.push(line(shown.as_bytes(), shown.as_bytes(), 0, -1, &meta, Some(&inside)));
        want.sort();
        assert_same(&ran.expect(0).stdout, &want);
    }
}

#[test]
fn a_root_may_be_a_file_or_a_link() {
    let (tree, _) = TempTree::with(|root| {
        trees::symlinks(root);
        std::fs::write(root.join("a.tar.gz"), "x").unwrap();
    });
    settle(tree.path());
    for name in ["a.tar.gz", "to-dir", "to-dir/", "to-file", "dir/file"] {
        let given = path(&[tree.path().as_os_str().as_bytes(), b"/", name.as_bytes()].concat());
        let run = to_stdout(&given, &["--no-header"]).expect(0);
        assert_same(&run.stdout, &expected(&given, snapshots));
    }
}

#[test]
fn several_roots_go_into_one_scan() {
    let (tree, _) = TempTree::with(trees::hard_links);
    settle(tree.path());
    let roots: Vec<PathBuf> = ["a", "b", "c/deep", "elsewhere"].iter().map(|n| tree.path().join(n)).collect();
    let ran = run(pwalk(["report", "-o", "-", "--quiet", "--no-header"]).args(&roots)).expect(0);
    let mut want: Vec<_> = roots.iter().flat_map(|root| expected(root, snapshots)).collect();
    want.sort();
    assert_same(&ran.stdout, &want);
}

#[test]
fn a_root_that_is_missing_is_an_error_and_the_others_are_done() {
    let (tree, _) = TempTree::with(trees::hard_links);
    settle(tree.path());
    let (a, missing) = (tree.path().join("a"), tree.path().join("no-such"));
    let ran = run(pwalk(["report", "-o", "-", "--quiet", "--no-header"]).args([&missing, &a])).expect(1);
    assert_same(&ran.stdout, &expected(&a, snapshots));
    assert!(ran.stderr.contains(missing.to_str().unwrap()), "{}", ran.stderr);
    assert!(ran.stderr.contains("PARTIAL"), "{}", ran.stderr);
}

#[test]
fn a_dangling_link_as_root_is_itself() {
    let (tree, _) = TempTree::with(trees::symlinks);
    let dangling = tree.path().join("dangling");
    let ran = to_stdout(&dangling, &["--no-header"]).expect(0);
    let meta = dangling.symlink_metadata().unwrap();
    assert_same(&ran.stdout, &[line(dangling.as_os_str().as_bytes(), b"dangling", 0, -1, &meta, None)]);
}

#[test]
fn line_is_the_only_place_for_control_bytes() {
    // A map from path to line would hide what two names with dropped bytes share; so count lines per shown path.
    let (tree, _) = TempTree::with(trees::names);
    let csv = to_stdout(tree.path(), &["--no-header"]).expect(0).stdout;
    assert!(csv.iter().all(|&b| b >= 0x20 || b == b'\n'));
    let mut shown: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    lines(&csv).iter().for_each(|l| *shown.entry(crate::common::fields(l).swap_remove(3)).or_default() += 1);
    let mut want: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for found in find(tree.path(), &[]) {
        *want.entry(found.into_iter().filter(|b| *b >= 0x20).collect()).or_default() += 1;
    }
    assert_eq!(shown, want);
}
