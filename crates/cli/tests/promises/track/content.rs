//! What files hold: digests, and what rots.

use std::fs::{create_dir, hard_link, read, remove_file, rename, write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use pwalk_testkit::{TempTree, is_root};
use serde_json::Value;

use super::{Kept, New, on_both};
use crate::common::{in_mounts_of_thread, json_lines, oracle, run, wait_until};

/// The fingerprint of each file, by its path below the root.
fn fingerprints(kept: &Kept, root: &Path) -> std::collections::BTreeMap<String, Value> {
    let ran = kept.run("ls", ["--json".as_ref(), "-R".as_ref(), root.as_os_str()]).expect(0);
    let top = root.to_str().unwrap().len() + 1;
    let of = |o: &Value| (o["path"].as_str().unwrap()[top..].to_owned(), o["fingerprint"].clone());
    json_lines(ran.text()).iter().filter(|o| o["type"] == "file").map(of).collect()
}

fn scan(kept: &Kept, root: &Path, arguments: &[&str]) -> Value {
    let ran = run(kept.command("scan").args(["--json"]).args(arguments).arg(root));
    assert!(ran.code < 2, "{}", ran.stderr);
    serde_json::from_str(ran.text()).unwrap()
}

/// Scans until nothing is looked at again: what changed just now might change again without its times telling.
fn settle(kept: &Kept, root: &Path) {
    wait_until("all files are known for good", || scan(kept, root, &["--fingerprint", "new"])["hashed_files"] == 0);
}

fn blake3(content: &[u8]) -> Value {
    format!("blake3:{}", blake3::hash(content)).into()
}

#[test]
fn what_is_new_or_may_have_changed_is_read() {
    on_both(what_is_new_or_may_have_changed_is_read_in);
}

fn what_is_new_or_may_have_changed_is_read_in(new: New<'_>) {
    let place = TempTree::new();
    let root = place.subdir("tree");
    let kept = new(&place);
    // Old enough not to be looked at twice.
    let old = |name: &str, content: &[u8]| {
        write(root.join(name), content).unwrap();
        oracle("touch", ["-d".as_ref(), "2020-01-01".as_ref(), root.join(name).as_os_str()]);
    };
    old("a", b"one");
    old("b", b"two");
    hard_link(root.join("b"), root.join("b too")).unwrap();
    let first = scan(&kept, &root, &["--fingerprint", "new"]);
    assert_eq!(first["hashed_files"], 3);
    let prints = fingerprints(&kept, &root);
    assert_eq!((&prints["a"], &prints["b"], &prints["b too"]), (&blake3(b"one"), &blake3(b"two"), &blake3(b"two")));
    settle(&kept, &root);
    rename(root.join("a"), root.join("moved")).unwrap();
    old("c", b"three");
    write(root.join("b"), b"four").unwrap();
    let run = scan(&kept, &root, &["--fingerprint", "new"]);
    // One file of two names is read by each; being renamed changes the inode's time, as writing does.
    assert_eq!(run["hashed_files"], 4, "{run}");
    let prints = fingerprints(&kept, &root);
    assert_eq!(
        (&prints["moved"], &prints["c"], &prints["b too"]),
        (&blake3(b"one"), &blake3(b"three"), &blake3(b"four"))
    );
    let changes = json_lines(kept.run("changes", ["--json", "--type", "modified"]).expect(0).text());
    assert_eq!(changes.len(), 2);
    assert_eq!((&changes[0]["old_fingerprint"], &changes[0]["new_fingerprint"]), (&blake3(b"two"), &blake3(b"four")));
    // A scan that reads nothing forgets nothing that is still so.
    write(root.join("c"), b"five!").unwrap();
    scan(&kept, &root, &[]);
    let prints = fingerprints(&kept, &root);
    assert_eq!((&prints["moved"], &prints["c"]), (&blake3(b"one"), &Value::Null));
    remove_file(root.join("c")).unwrap();
    // What has a digest is compared with that; another kind is for what has none.
    write(root.join("d"), b"six").unwrap();
    scan(&kept, &root, &["--fingerprint", "all", "--hash", "xxh3", "--hash-threads", "2"]);
    let prints = fingerprints(&kept, &root);
    assert!(prints["d"].as_str().unwrap().starts_with("xxh3:") && prints["moved"] == blake3(b"one"), "{prints:?}");
    // Who sets the times back cannot set the inode's back.
    settle(&kept, &root);
    oracle("cp", ["-p".as_ref(), root.join("moved").as_os_str(), place.path().join("times").as_os_str()]);
    write(root.join("moved"), b"two").unwrap();
    oracle("touch", ["-r".as_ref(), place.path().join("times").as_os_str(), root.join("moved").as_os_str()]);
    let run = scan(&kept, &root, &["--fingerprint", "new"]);
    assert_eq!((&run["changes"]["modified"]["count"], &run["hashed_files"]), (&1.into(), &1.into()), "{run}");
    kept.run("verify", [&root]).expect(0);
    // Nor is it rotten if the scan between did not read it.
    settle(&kept, &root);
    write(root.join("moved"), b"ten").unwrap();
    oracle("touch", ["-r".as_ref(), place.path().join("times").as_os_str(), root.join("moved").as_os_str()]);
    scan(&kept, &root, &[]);
    kept.run("verify", [&root]).expect(0);
    let sample = new(&place);
    scan(&sample, &root, &["--fingerprint", "sample"]);
    assert!(fingerprints(&sample, &root).values().all(|print| print.as_str().unwrap().starts_with("blake3-sample:")));
}

#[test]
fn a_file_that_changes_within_a_tick_is_found_out() {
    on_both(a_file_that_changes_within_a_tick_is_found_out_in);
}

fn a_file_that_changes_within_a_tick_is_found_out_in(new: New<'_>) {
    let place = TempTree::new();
    let root = place.subdir("tree");
    let kept = new(&place);
    write(root.join("file"), b"before").unwrap();
    scan(&kept, &root, &["--fingerprint", "new"]);
    // As if the clock had not ticked: the catalog says that it was read so.
    let again = scan(&kept, &root, &["--fingerprint", "new"]);
    assert_eq!(again["hashed_files"], 1, "what was read too soon is read again");
}

/// Changes bytes of a file behind the back of the file system.
fn rot(image: &Path, from: &[u8], to: &[u8]) {
    let bytes = read(image).unwrap();
    let at = bytes.windows(from.len()).position(|window| window == from).expect("the content is in the image");
    let file = std::fs::OpenOptions::new().write(true).open(image).unwrap();
    file.write_all_at(to, at as u64).unwrap();
}

#[test]
fn what_rots_is_found_and_what_it_was_stays_known() {
    on_both(what_rots_is_found_and_what_it_was_stays_known_in);
}

fn what_rots_is_found_and_what_it_was_stays_known_in(new: New<'_>) {
    if !is_root() {
        return;
    }
    let place = TempTree::new();
    let (image, root) = (place.path().join("image"), place.path().join("tree"));
    create_dir(&root).unwrap();
    std::fs::File::create(&image).unwrap().set_len(32 << 20).unwrap();
    oracle("mkfs.ext4", ["-q".as_ref(), "-F".as_ref(), image.as_os_str()]);
    let kept = new(&place);
    in_mounts_of_thread(|| {
        let mount = || oracle("mount", ["-o".as_ref(), "loop".as_ref(), image.as_os_str(), root.as_os_str()]);
        let content = |letter: u8| vec![letter; 40_000];
        mount();
        for (name, letter) in [("good", b'g'), ("bad", b'b'), ("changed", b'c')] {
            write(root.join(name), content(letter)).unwrap();
        }
        settle(&kept, &root);
        oracle("umount", [root.as_os_str()]);
        rot(&image, &content(b'b')[..30_000], b"rotten");
        mount();
        write(root.join("changed"), content(b'd')).unwrap();
        // A scan sees nothing of it; reading does.
        assert_eq!(scan(&kept, &root, &[])["changes"]["bitrot"]["count"], 0);
        let ran = kept.run("verify", ["--json".as_ref(), root.as_os_str()]).expect(1);
        let run: Value = serde_json::from_str(ran.text()).unwrap();
        assert_eq!((&run["kind"], &run["changes"]["bitrot"]["count"]), (&"verify".into(), &1.into()), "{run}");
        let changes = json_lines(kept.run("changes", ["--json", "--type", "bitrot"]).expect(0).text());
        assert_eq!(changes.len(), 1);
        let mut rotten = content(b'b');
        rotten[..6].copy_from_slice(b"rotten");
        assert!(changes[0]["path"].as_str().unwrap().ends_with("/bad"));
        assert_eq!(
            (&changes[0]["change_type"], &changes[0]["old_fingerprint"], &changes[0]["new_fingerprint"]),
            (&"bitrot".into(), &blake3(&content(b'b')), &blake3(&rotten))
        );
        assert_eq!(fingerprints(&kept, &root)["bad"], blake3(&content(b'b')));
        // It takes its turn like the others.
        scan(&kept, &root, &["--fingerprint", "new"]);
        let turns = || kept.run("verify", ["--max-files".as_ref(), "1".as_ref(), root.as_os_str()]).code;
        assert_eq!((0..3).map(|_| turns()).sum::<i32>(), 1);
        // On another device, too.
        oracle("umount", [root.as_os_str()]);
        let busy = place.path().join("busy");
        std::fs::File::create(&busy).unwrap().set_len(1 << 20).unwrap();
        let device = oracle("losetup", ["-f".as_ref(), "--show".as_ref(), busy.as_os_str()]);
        mount();
        let ran = kept.run("verify", ["--json".as_ref(), root.as_os_str()]).expect(1);
        assert_eq!(json_lines(ran.text())[0]["hashed_files"], 3);
        oracle("losetup", ["-d", std::str::from_utf8(&device).unwrap().trim()]);
        // Also by a scan that reads everything, and again, until somebody does something about it.
        for _ in 0..2 {
            assert_eq!(scan(&kept, &root, &["--fingerprint", "all"])["changes"]["bitrot"]["count"], 1);
        }
        write(root.join("bad"), content(b'b')).unwrap();
        assert_eq!(scan(&kept, &root, &["--fingerprint", "all"])["changes"]["bitrot"]["count"], 0);
        oracle("umount", [root.as_os_str()]);
    });
}

#[test]
fn verifying_goes_round() {
    on_both(verifying_goes_round_in);
}

fn verifying_goes_round_in(new: New<'_>) {
    let place = TempTree::new();
    let root = place.subdir("tree");
    for file in 0..10 {
        write(root.join(file.to_string()), vec![b'x'; 1000]).unwrap();
    }
    let kept = new(&place);
    scan(&kept, &root, &["--fingerprint", "new"]);
    let when = || {
        let ran = kept.run("ls", ["--json".as_ref(), root.as_os_str()]).expect(0);
        let of = |o: &Value| (o["hashed_at"].as_str().unwrap().to_owned(), o["path"].to_string());
        json_lines(ran.text()).iter().map(of).collect::<std::collections::BTreeMap<_, _>>()
    };
    let before = when();
    kept.run("verify", ["--max-files".as_ref(), "4".as_ref(), root.as_os_str()]).expect(0);
    // The four that were read first are the last now.
    let (first, after): (Vec<_>, Vec<_>) = (before.values().take(4).collect(), when().into_values().collect());
    assert!(after[6..].iter().all(|path| first.contains(&path)), "{first:?} {after:?}");
    let ran = kept.run("verify", ["--budget".as_ref(), "3500".as_ref(), "--json".as_ref(), root.as_os_str()]).expect(0);
    assert_eq!(json_lines(ran.text())[0]["hashed_files"], 4);
    let ran =
        kept.run("verify", ["--older-than".as_ref(), "1d".as_ref(), "--json".as_ref(), root.as_os_str()]).expect(0);
    assert_eq!(json_lines(ran.text())[0]["hashed_files"], 0);
}

#[test]
fn what_took_its_place_is_known_with_its_inodes() {
    on_both(what_took_its_place_is_known_with_its_inodes_in);
}

fn what_took_its_place_is_known_with_its_inodes_in(new: New<'_>) {
    let place = TempTree::new();
    let root = place.subdir("tree");
    for file in ["a", "b", "c"] {
        write(root.join(file), file).unwrap();
    }
    let kept = new(&place);
    scan(&kept, &root, &["--fingerprint", "new"]);
    let copy = place.path().join("copy");
    oracle("cp", ["-a".as_ref(), root.as_os_str(), copy.as_os_str()]);
    rename(&root, place.path().join("old")).unwrap();
    rename(&copy, &root).unwrap();
    let run = scan(&kept, &root, &["--fingerprint", "new", "--accept-new-root"]);
    assert_eq!(run["hashed_files"], 3, "{run}");
    let ran = kept.run("ls", ["--json".as_ref(), root.as_os_str()]).expect(0);
    for entry in json_lines(ran.text()) {
        let meta = std::fs::metadata(entry["path"].as_str().unwrap()).unwrap();
        assert_eq!(entry["inode"], std::os::unix::fs::MetadataExt::ino(&meta));
    }
    // And the next scan is one like any other.
    write(root.join("new"), "new").unwrap();
    let ran = kept.run("scan", [&root]).expect(0);
    assert!(ran.stderr.contains(": 1 added (3 B)\n") && !ran.stderr.contains("another directory"), "{}", ran.stderr);
    kept.run("verify", [&root]).expect(0);
    let ran = kept.run("verify", [place.path().join("tree/nope")]).expect(3);
    assert!(ran.stderr.contains("no fingerprints"), "{}", ran.stderr);
}

#[test]
fn what_cannot_be_read_keeps_nothing_else_from_being_verified() {
    on_both(|new: New<'_>| {
        let place = TempTree::new();
        let root = place.subdir("tree");
        let kept = new(&place);
        for file in 0..6 {
            write(root.join(format!("file {file}")), format!("content {file}")).unwrap();
        }
        run(kept.command("scan").args(["-q", "--fingerprint", "new"]).arg(&root)).expect(0);
        // Other than the last scan saw it; nobody knows any more what it should be.
        for file in 0..3 {
            write(root.join(format!("file {file}")), "something else").unwrap();
        }
        let verify = || {
            let ran = run(kept.command("verify").args(["--json", "--max-files", "1"]).arg(&root)).expect(0);
            let said: Value = serde_json::from_str(ran.text()).unwrap();
            said["hashed_files"].as_u64().unwrap()
        };
        assert_eq!([verify(), verify(), verify(), verify()], [1, 1, 1, 1]);
        let all = run(kept.command("verify").args(["--json", "--older-than", "1h"]).arg(&root)).expect(0);
        assert!(all.text().contains("\"hashed_files\":0"), "{}", all.text());
        for file in 3..6 {
            write(root.join(format!("file {file}")), "something else").unwrap();
        }
        // Who verifies nothing at all is not told that all is well.
        run(kept.command("verify").arg("-q").arg(&root)).expect(1);
    });
}

#[test]
fn what_has_no_fingerprint_yet_is_new() {
    on_both(|new: New<'_>| {
        let place = TempTree::new();
        let root = place.subdir("tree");
        let kept = new(&place);
        for file in 0..3 {
            write(root.join(format!("file {file}")), "content").unwrap();
        }
        create_dir(root.join("dir")).unwrap();
        wait_until("the files are old", || {
            scan(&kept, &root, &[]);
            let old = root.join("file 2").metadata().unwrap().modified().unwrap();
            old.elapsed().is_ok_and(|old| old.as_secs() > 2)
        });
        let read = |mode: &str| scan(&kept, &root, &["--fingerprint", mode])["hashed_files"].as_u64().unwrap();
        assert_eq!([read("none"), read("new"), read("new"), read("all"), read("none")], [0, 3, 0, 3, 0]);
        assert_eq!(fingerprints(&kept, &root).values().filter(|print| !print.is_null()).count(), 3);
    });
}
