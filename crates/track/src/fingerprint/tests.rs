//! Promises about hashing files: the right digest, of the right file, or none.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use pwalk_engine::Cancel;
use pwalk_fs::{Errno, Freshness, Kind, create_node, open_child, open_file, open_root, stat_fd, stat_path};
use pwalk_scan::Stat;
use pwalk_testkit::TempTree;
use pwalk_testkit::trees::{self, Deep};

use super::*;

fn c(bytes: &[u8]) -> std::ffi::CString {
    std::ffi::CString::new(bytes).unwrap()
}

fn root(path: &Path) -> Arc<OwnedFd> {
    Arc::new(open_root(&c(path.as_os_str().as_bytes())).unwrap())
}

fn stat(path: &Path) -> Stat {
    Stat::of(&stat_path(&c(path.as_os_str().as_bytes()), pwalk_fs::Links::NoFollow).unwrap())
}

fn hasher(path: &Path, hash: Hash, is_sample: bool) -> Hasher {
    Hasher::new(root(path), &HashOptions { hash, is_sample, ..HashOptions::default() })
}

fn content(length: usize) -> Vec<u8> {
    let mut random = pwalk_testkit::Random::new(length as u64);
    (0..length).map(|_| random.bits().to_le_bytes()[0]).collect()
}

#[test]
fn a_fingerprint_is_of_the_whole_content() {
    let tree = TempTree::new();
    let path = tree.path().join("file");
    for length in [0, 1, 239, 1025, 65_536, 262_143, 262_144, 262_145, 3_000_000] {
        let content = content(length);
        fs::write(&path, &content).unwrap();
        let blake3 = Outcome::Hashed(Fingerprint::Blake3(*blake3::hash(&content).as_bytes()));
        let xxh3 = Outcome::Hashed(Fingerprint::Xxh3(twox_hash::XxHash3_128::oneshot(&content).to_be_bytes()));
        assert_eq!(hasher(tree.path(), Hash::Blake3, false).hash(b"file", &stat(&path)), blake3, "{length}");
        assert_eq!(hasher(tree.path(), Hash::Xxh3, false).hash(b"file", &stat(&path)), xxh3, "{length}");
    }
}

/// The format as it is written down, once more.
fn sampled(content: &[u8]) -> Vec<u8> {
    let mut all = (content.len() as u64).to_le_bytes().to_vec();
    if content.len() <= 1_048_576 {
        all.extend_from_slice(content);
    } else {
        for piece in 0..16 {
            let at = piece * (content.len() - 65_536) / 15;
            all.extend_from_slice(&content[at..at + 65_536]);
        }
    }
    all
}

#[test]
fn a_sample_is_what_is_written_down() {
    let tree = TempTree::new();
    let path = tree.path().join("file");
    for length in [0, 1, 1_048_575, 1_048_576, 1_048_577, 1_200_000, 5_000_001] {
        let content = content(length);
        fs::write(&path, &content).unwrap();
        let of = sampled(&content);
        let blake3 = Outcome::Hashed(Fingerprint::Blake3Sample(*blake3::hash(&of).as_bytes()));
        let xxh3 = Outcome::Hashed(Fingerprint::Xxh3Sample(twox_hash::XxHash3_128::oneshot(&of).to_be_bytes()));
        assert_eq!(hasher(tree.path(), Hash::Blake3, true).hash(b"file", &stat(&path)), blake3, "{length}");
        assert_eq!(hasher(tree.path(), Hash::Xxh3, true).hash(b"file", &stat(&path)), xxh3, "{length}");
    }
}

#[test]
fn a_sample_of_terabytes_is_quick_and_never_changes() {
    let (tree, size) = TempTree::with(trees::sparse);
    let path = tree.path().join("sparse");
    let expected = stat(&path);
    let empty = hasher(tree.path(), Hash::Xxh3, true).hash(b"sparse", &expected);
    let zeros = [&size.to_le_bytes()[..], &[0; 1 << 20]].concat();
    assert_eq!(empty, Outcome::Hashed(Fingerprint::Xxh3Sample(twox_hash::XxHash3_128::oneshot(&zeros).to_be_bytes())));
    // The last byte is in it.
    File::options().write(true).open(&path).unwrap().write_all_at(b"x", size - 1).unwrap();
    assert_eq!(hasher(tree.path(), Hash::Xxh3, true).hash(b"sparse", &expected), Outcome::Changed);
    assert_ne!(hasher(tree.path(), Hash::Xxh3, true).hash(b"sparse", &stat(&path)), empty);
    // A vector: the bytes 0 to 250 over and over, 2,000,000 of them.
    let counted: Vec<u8> = (0..=250).cycle().take(2_000_000).collect();
    fs::write(tree.path().join("counted"), counted).unwrap();
    let expected = stat(&tree.path().join("counted"));
    let print = |hash| match hasher(tree.path(), hash, true).hash(b"counted", &expected) {
        Outcome::Hashed(print) => print.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(print(Hash::Blake3), "blake3-sample:15666e02e16355f6024e139900fa8ed3732589b7ba68ec33c7f9bdd47de4a061");
    assert_eq!(print(Hash::Xxh3), "xxh3-sample:eeca9a1b003393becc30b970e4dff122");
}

#[test]
fn what_is_no_longer_what_was_seen_has_no_fingerprint() {
    let tree = TempTree::new();
    let (dir, away) = (tree.subdir("dir"), tree.path().join("away"));
    let path = dir.join("file");
    fs::write(&path, "content").unwrap();
    let expected = stat(&path);
    let held = root(&dir);
    let mut hasher = hasher(tree.path(), Hash::Blake3, false);
    let mut hash = || hasher.hash(b"dir/file", &expected);
    assert!(matches!(hash(), Outcome::Hashed(_)));

    fs::rename(&path, &away).unwrap();
    assert_eq!(hash(), Outcome::Vanished);
    // Whatever is in its place: a link to the very file, another file, a fifo that would wait for a writer, a directory.
    symlink(&away, &path).unwrap();
    assert_eq!(hash(), Outcome::Changed);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "content").unwrap();
    assert_eq!(hash(), Outcome::Changed);
    fs::remove_file(&path).unwrap();
    create_node(held.as_fd(), c"file", Kind::Fifo, 0o600, 0).unwrap();
    assert_eq!(hash(), Outcome::Changed);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(hash(), Outcome::Changed);
    fs::remove_dir(&path).unwrap();
    // The same file is back, but it was away: its time of change says so.
    fs::rename(&away, &path).unwrap();
    let back = stat(&path);
    assert!(matches!(hasher.hash(b"dir/file", &back), Outcome::Hashed(_)));

    // A directory on the way: moved away, replaced by a link to itself, by a file.
    let moved = tree.path().join("moved");
    fs::rename(&dir, &moved).unwrap();
    fs::create_dir(&dir).unwrap();
    assert!(matches!(hasher.hash(b"moved/file", &back), Outcome::Hashed(_)));
    assert_eq!(hasher.hash(b"dir/file", &back), Outcome::Vanished);
    fs::remove_dir(&dir).unwrap();
    symlink(&moved, &dir).unwrap();
    assert_eq!(hasher.hash(b"dir/file", &back), Outcome::Changed);
    fs::remove_file(&dir).unwrap();
    fs::write(&dir, "").unwrap();
    assert_eq!(hasher.hash(b"dir/file", &back), Outcome::Changed);
}

#[test]
fn a_fifo_that_looks_as_expected_is_not_opened() {
    let tree = TempTree::with(trees::fifo_and_socket).0;
    for name in ["fifo", "socket"] {
        let expected = stat(&tree.path().join(name));
        assert_eq!(hasher(tree.path(), Hash::Xxh3, false).hash(name.as_bytes(), &expected), Outcome::Changed);
    }
}

#[test]
fn what_may_not_be_read_is_told_with_its_cause() {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    let (tree, _) = TempTree::with(trees::unreadable);
    let (secret, locked) = (stat(&tree.path().join("secret")), stat(&tree.path().join("locked")));
    let mut hasher = hasher(tree.path(), Hash::Xxh3, false);
    let root = std::thread::spawn(move || {
        // Rights belong to a thread: this one gives up those by which root reads everything.
        let mut own = capabilities(None).unwrap();
        own.effective -= CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
        set_capabilities(None, own).unwrap();
        [hasher.hash(b"secret", &secret), hasher.hash(b"locked/inside", &locked)]
    });
    assert_eq!(root.join().unwrap(), [Outcome::Failed { operation: "open", errno: Errno::ACCESS }; 2]);
}

#[test]
fn paths_that_do_not_lead_downwards_are_refused() {
    let tree = TempTree::new();
    fs::write(tree.path().join("file"), "").unwrap();
    let expected = stat(&tree.path().join("file"));
    let inside = tree.subdir("dir");
    for path in [&b"../file"[..], b"/file", b"file/", b"", b".", b"./../file", b"fi\0le"] {
        let refused = Outcome::Failed { operation: "open", errno: Errno::INVAL };
        assert_eq!(hasher(&inside, Hash::Xxh3, false).hash(path, &expected), refused);
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_has_no_fingerprint() {
    let tree = TempTree::new();
    let path = tree.path().join("file");
    for change in [&truncate as &(dyn Fn(&Path) + Sync), &write, &append] {
        // Until the change came before the end: at once, but on a machine that has stopped for seconds.
        let outcome = loop {
            fs::write(&path, vec![7; 1 << 20]).unwrap();
            let expected = stat(&path);
            let is_done = AtomicBool::new(false);
            let rate = Some(Arc::new(Rate::new(1 << 20)));
            let mut hasher = Hasher::new(root(tree.path()), &HashOptions { rate, ..HashOptions::default() });
            let (outcome, was_done) = std::thread::scope(|scope| {
                let hashing = scope.spawn(|| {
                    let outcome = hasher.hash(b"file", &expected);
                    (outcome, is_done.load(Relaxed))
                });
                // Within a tick of the file system's clock nobody sees that a file is written to.
                while stat_of_new(&tree.path().join("now")).ctime <= expected.ctime {}
                change(&path);
                is_done.store(true, Relaxed);
                hashing.join().unwrap()
            });
            if was_done {
                break outcome;
            }
        };
        assert_eq!(outcome, Outcome::Changed);
    }
}

fn stat_of_new(path: &Path) -> Stat {
    fs::write(path, "").unwrap();
    stat(path)
}

fn truncate(path: &Path) {
    File::options().write(true).open(path).unwrap().set_len(300_000).unwrap();
}

fn write(path: &Path) {
    File::options().write(true).open(path).unwrap().write_all_at(b"other", 1000).unwrap();
}

fn append(path: &Path) {
    File::options().append(true).open(path).unwrap().write_all(b"more").unwrap();
}

#[test]
fn names_of_any_bytes_and_trees_of_any_depth() {
    let tree = TempTree::new();
    let names = tree.subdir("names");
    trees::names(&names);
    let mut hasher = hasher(tree.path(), Hash::Blake3, false);
    let empty = Outcome::Hashed(Fingerprint::Blake3(*blake3::hash(b"").as_bytes()));
    let mut hashed = 0;
    for name in trees::hostile_names() {
        let path = [b"names/", &name[..]].concat();
        let fd = open_file(root(&names).as_fd(), &c(&name)).unwrap();
        let meta = stat_fd(&fd, Freshness::Fresh).unwrap();
        if meta.kind() == Kind::File {
            assert_eq!(hasher.hash(&path, &Stat::of(&meta)), empty, "{}", name.escape_ascii());
            hashed += 1;
        }
    }
    assert!(hashed > 50);

    let deep = tree.subdir("deep");
    trees::deep(&deep, Deep { levels: 2_000, name_bytes: 60, file_per_level: true });
    let one = Outcome::Hashed(Fingerprint::Blake3(*blake3::hash(b"x").as_bytes()));
    let (mut dir, mut path) = (root(&deep), b"deep/".to_vec());
    let mut all = Vec::new();
    for level in 0..2_000 {
        let name = format!("{level:d>60}");
        dir = Arc::new(open_child(dir.as_fd(), &c(name.as_bytes()), pwalk_fs::Links::NoFollow).unwrap());
        path.extend_from_slice(name.as_bytes());
        path.push(b'/');
        let file = open_file(dir.as_fd(), c"f").unwrap();
        all.push(([&path[..], b"f"].concat(), Stat::of(&stat_fd(file, Freshness::Fresh).unwrap())));
    }
    // Downwards, upwards, and to and fro.
    let order = (0..2_000).chain((0..2_000).rev().step_by(97)).chain([5, 1_999, 5, 16, 15, 17, 0, 1_000]);
    for at in order {
        let (path, expected) = &all[at];
        assert_eq!(hasher.hash(path, expected), one, "level {at}");
        assert!(matches!(hasher.hash(&[path, &b"no"[..]].concat(), expected), Outcome::Vanished));
    }
}

#[test]
fn the_pool_tells_of_every_file_once() {
    let tree = TempTree::new();
    for dir in 0..20 {
        let dir = tree.subdir(&format!("d{dir}"));
        (0..50).for_each(|file| fs::write(dir.join(format!("f{file}")), format!("{}/{file}", dir.display())).unwrap());
    }
    let options = HashOptions { threads: 4, ..HashOptions::default() };
    let hashers = Hashers::new(tree.path().as_os_str().as_bytes(), &options, Vec::new).unwrap();
    let paths: Vec<String> = (0..1_200).map(|at| format!("d{}/f{}", at / 60, at % 60)).collect();
    for (key, path) in paths.iter().enumerate() {
        let full = tree.path().join(path);
        let stat = if full.exists() { stat(&full) } else { Stat::default() };
        hashers.send(Item { key, path: path.clone().into_bytes(), stat }).unwrap();
    }
    let mut all: Vec<(usize, Outcome)> = hashers.finish().concat();
    all.sort_by_key(|(key, _)| *key);
    assert_eq!(all.len(), paths.len());
    for ((at, (key, outcome)), path) in all.iter().enumerate().zip(&paths) {
        let expected = match fs::read(tree.path().join(path)) {
            Ok(content) => Outcome::Hashed(Fingerprint::Blake3(*blake3::hash(&content).as_bytes())),
            Err(_) => Outcome::Vanished,
        };
        assert_eq!((key, outcome), (&at, &expected));
    }
    let missing = Hashers::<(), Vec<((), Outcome)>>::new(b"/no such place", &options, Vec::new);
    assert!(missing.is_err_and(|why| why.to_string().contains("/no such place")));
}

#[test]
fn cancelling_ends_it_in_the_middle_of_a_file() {
    let (tree, _) = TempTree::with(trees::sparse);
    let expected = stat(&tree.path().join("sparse"));
    for rate in [None, Some(Arc::new(Rate::new(1_000)))] {
        let options = HashOptions { threads: 2, rate, cancel: Cancel::new(), ..HashOptions::default() };
        let hashers = Hashers::new(tree.path().as_os_str().as_bytes(), &options, Vec::new).unwrap();
        for key in 0..20 {
            hashers.send(Item { key, path: b"sparse".to_vec(), stat: expected }).unwrap();
        }
        // Hours of work.
        let start = Instant::now();
        options.cancel.cancel();
        let mut all: Vec<(i32, Outcome)> = hashers.finish().concat();
        assert!(start.elapsed() < Duration::from_secs(20), "a second, on a machine with nothing else to do");
        all.sort_by_key(|(key, _)| *key);
        assert_eq!(all, (0..20).map(|key| (key, Outcome::Cancelled)).collect::<Vec<_>>());
    }
}

#[test]
fn threads_that_nobody_waits_for_end() {
    struct Ended {
        _alive: std::sync::mpsc::Sender<()>,
    }
    impl HashSink<i32> for Ended {
        fn told(&mut self, _: i32, outcome: Outcome) {
            assert_eq!(outcome, Outcome::Cancelled);
        }
    }
    let (tree, _) = TempTree::with(trees::sparse);
    let expected = stat(&tree.path().join("sparse"));
    let options = HashOptions { threads: 2, rate: Some(Arc::new(Rate::new(1_000))), ..HashOptions::default() };
    let (send, ended) = std::sync::mpsc::channel();
    let hashers =
        Hashers::new(tree.path().as_os_str().as_bytes(), &options, || Ended { _alive: send.clone() }).unwrap();
    for key in 0..20 {
        hashers.send(Item { key, path: b"sparse".to_vec(), stat: expected }).unwrap();
    }
    drop((hashers, send));
    // The senders are gone with the threads.
    assert_eq!(ended.recv_timeout(Duration::from_secs(60)), Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
}

struct Panics;

impl HashSink<u8> for Panics {
    fn told(&mut self, _: u8, _: Outcome) {
        panic!("as the test wants it");
    }
}

#[test]
fn a_panic_comes_out_at_the_end() {
    let tree = TempTree::new();
    let options = HashOptions { threads: 2, ..HashOptions::default() };
    let hashers = Hashers::new(tree.path().as_os_str().as_bytes(), &options, || Panics).unwrap();
    let item = || Item { key: 0, path: b"no".to_vec(), stat: Stat::default() };
    // With all threads gone, nobody waits for ever to hand over.
    while hashers.send(item()).is_ok() {}
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| hashers.finish())).err().unwrap();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"as the test wants it"));
}
