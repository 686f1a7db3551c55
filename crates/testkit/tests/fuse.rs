//! The synthetic file system shows, delays and breaks exactly what it was told to: every test mounts it for real.

#![allow(clippy::unwrap_used, reason = "the helpers of a test fail like the test itself")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use pwalk_testkit::fuse::{Errno, Fault, FileType, Mounted, Op, Synthetic, Tree};

const SOON: Duration = Duration::from_secs(20);

/// Path below the root, kind letter, inode of listing and of stat, size and nlink, by std's own walk.
fn walk(root: &Path) -> BTreeMap<PathBuf, (char, u64, u64, u64, u64)> {
    let (mut all, mut todo) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            use std::os::unix::fs::DirEntryExt;
            let entry = entry.unwrap();
            let meta = entry.metadata().unwrap();
            let kind = if meta.is_dir() {
                'd'
            } else if meta.is_symlink() {
                'l'
            } else {
                'f'
            };
            let row = (kind, entry.ino(), meta.ino(), meta.len(), meta.nlink());
            assert!(all.insert(entry.path().strip_prefix(root).unwrap().to_owned(), row).is_none());
            if meta.is_dir() {
                todo.push(entry.path());
            }
        }
    }
    all
}

fn errno(result: io::Result<impl Sized>) -> Option<i32> {
    result.err().and_then(|e| e.raw_os_error())
}

fn is_mounted(path: &Path) -> bool {
    fs::read_to_string("/proc/self/mountinfo").unwrap().contains(path.to_str().unwrap())
}

fn in_parallel(threads: usize, work: impl Fn(usize) + Sync) -> Duration {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for i in 0..threads {
            let work = &work;
            scope.spawn(move || work(i));
        }
    });
    start.elapsed()
}

fn small() -> Tree {
    Tree::new().file("a/b", 10).file("a/c", 5_000).dir("a/d").file("e", 0).dir("f/g/h")
}

#[test]
fn a_computed_tree_lists_as_computed() {
    let mounted = Synthetic::tree(40, 3, 5).mount().unwrap();
    let seen = walk(mounted.path());
    assert_eq!(seen.len() as u64, mounted.entries().unwrap());
    assert_eq!(seen.len(), 39 + 40 * 5);
    assert!(seen.values().all(|(_, listed, ino, ..)| listed == ino));
    assert_eq!(seen.values().filter(|row| row.0 == 'd').count(), 39);
    assert!(seen.contains_key(Path::new("d2/d2/f4.dat")));
    assert_eq!(errno(fs::metadata(mounted.path().join("d3"))), Some(Errno::NOENT.raw_os_error()));
}

#[test]
fn gnu_find_and_du_agree() {
    let mounted = Synthetic::tree(400, 7, 20).mount().unwrap();
    let find = Command::new("find").arg(mounted.path()).args(["-mindepth", "1", "-printf", "x"]).output().unwrap();
    assert_eq!(find.stdout.len() as u64, mounted.entries().unwrap());
    let ops = mounted.ops();
    assert!(ops.of(Op::Readdir) >= 400 && ops.of(Op::Opendir) >= 400 && ops.total() > 1_000, "{ops:?}");
}

#[test]
fn a_custom_tree_has_its_names_links_and_attributes() {
    let tree = small()
        .symlink("link", "a/b")
        .hard_link("a/b", "f/g/b2")
        .node("fifo", FileType::Fifo)
        .file(b"bytes\xff\n", 1)
        .attributes("e", |attr| (attr.mode, attr.uid) = (0o4751, 77));
    let mounted = Synthetic::custom(tree).mount().unwrap();
    let seen = walk(mounted.path());
    assert_eq!(seen.len() as u64, mounted.entries().unwrap());
    assert_eq!(seen[Path::new("a/b")].2, seen[Path::new("f/g/b2")].2);
    assert_eq!((seen[Path::new("a/b")].3, seen[Path::new("a/b")].4), (10, 2));
    assert!(seen.contains_key(Path::new(std::ffi::OsStr::from_bytes(b"bytes\xff\n"))));
    assert_eq!(fs::read_link(mounted.path().join("link")).unwrap(), Path::new("a/b"));
    assert_eq!(fs::read(mounted.path().join("link")).unwrap(), [0; 10]);
    let e = fs::metadata(mounted.path().join("e")).unwrap();
    assert_eq!((e.mode() & 0o7777, e.uid(), e.len()), (0o4751, 77, 0));
    let mut content = Vec::new();
    File::open(mounted.path().join("a/c")).unwrap().read_to_end(&mut content).unwrap();
    assert_eq!(content, vec![0; 5_000]);
}

#[test]
fn a_delay_is_concurrent() {
    let mounted = Synthetic::flat(64).delay_on(Op::Getattr, Duration::from_millis(100)).mount().unwrap();
    let stat = |i: usize| assert!(fs::metadata(mounted.path().join(format!("f{i}.dat"))).is_ok());
    let one = in_parallel(1, stat);
    assert!(one >= Duration::from_millis(100), "{one:?}");
    let all = in_parallel(64, stat);
    assert!(all < Duration::from_millis(100 * 64 / 8), "64 at once took {all:?}");
    assert!(mounted.max_in_flight() > 32, "{}", mounted.max_in_flight());
}

#[test]
fn lookups_in_one_directory_are_concurrent() {
    let mounted = Synthetic::flat(512).delay(Duration::from_millis(100)).mount().unwrap();
    let all = in_parallel(512, |i| assert!(fs::metadata(mounted.path().join(format!("f{i}.dat"))).is_ok()));
    assert!(all < Duration::from_millis(2 * 100 * 512 / 16), "512 at once took {all:?}");
    assert!(mounted.max_in_flight() > 256, "{}", mounted.max_in_flight());
}

#[test]
fn a_delay_changes_while_mounted() {
    let mounted = Synthetic::flat(8).delay(Duration::from_millis(200)).mount().unwrap();
    let stat = || fs::metadata(mounted.path().join("f1.dat")).unwrap();
    let start = Instant::now();
    stat();
    assert!(start.elapsed() >= Duration::from_millis(400), "a lookup and a getattr");
    mounted.set_delay(Duration::ZERO);
    let start = Instant::now();
    for _ in 0..10 {
        stat();
    }
    assert!(start.elapsed() < Duration::from_millis(400));
}

#[test]
fn beyond_its_capacity_the_server_queues() {
    let delay = Duration::from_millis(50);
    let mounted = Synthetic::flat(64).delay_on(Op::Getattr, delay).capacity(8).mount().unwrap();
    let all = in_parallel(64, |i| assert!(fs::metadata(mounted.path().join(format!("f{i}.dat"))).is_ok()));
    assert!(all >= delay * 64 / 8, "64 requests by 8 at once took {all:?}");
    assert!(all < delay * 32, "{all:?}");
}

#[test]
fn faults_arrive_where_and_when_they_should() {
    let mounted = Synthetic::custom(small())
        .fault(Fault::error(Op::Getattr, "a/b", Errno::IO))
        .fault(Fault::error(Op::Opendir, "f", Errno::NFILE))
        .fault(Fault::error(Op::Readdir, "a", Errno::STALE).after(1).times(1))
        .fault(Fault::error(Op::Lookup, "a/missing", Errno::ACCESS))
        .fault(Fault::error(Op::Open, "e", Errno::ACCESS).times(2))
        .mount()
        .unwrap();
    let at = |path: &str| mounted.path().join(path);
    let raw = |errno: Errno| Some(errno.raw_os_error());
    assert_eq!(errno(fs::symlink_metadata(at("a/b"))), raw(Errno::IO));
    assert_eq!(errno(fs::symlink_metadata(at("a/c"))), None);
    assert_eq!(errno(fs::read_dir(at("f"))), raw(Errno::NFILE));
    assert_eq!(errno(fs::symlink_metadata(at("f/g"))), None);
    assert_eq!(errno(fs::symlink_metadata(at("a/missing"))), raw(Errno::ACCESS));
    let listed: Vec<io::Result<fs::DirEntry>> = fs::read_dir(at("a")).unwrap().collect();
    assert_eq!(listed.iter().filter(|e| e.is_ok()).count(), 3);
    assert_eq!(listed.into_iter().find_map(errno), raw(Errno::STALE), "the second portion fails");
    assert_eq!(fs::read_dir(at("a")).unwrap().filter(Result::is_ok).count(), 3);
    assert!((0..2).all(|_| errno(File::open(at("e"))) == raw(Errno::ACCESS)) && File::open(at("e")).is_ok());
    mounted.add_fault(&Fault::error_anywhere(Op::Readdir, Errno::IO));
    assert_eq!(fs::read_dir(at("f/g")).unwrap().find_map(errno), raw(Errno::IO));
    mounted.clear_faults();
    assert_eq!(walk(mounted.path()).len() as u64, mounted.entries().unwrap());
}

#[test]
fn a_fault_may_come_late_in_a_long_listing() {
    let fault = Fault::error(Op::Readdir, "", Errno::IO).after(5);
    let mounted = Synthetic::flat(100_000).fault(fault).mount().unwrap();
    let listed: Vec<_> = fs::read_dir(mounted.path()).unwrap().collect();
    assert!(listed.len() > 100 && listed.len() < 100_000, "{}", listed.len());
    assert_eq!(listed.into_iter().find_map(errno), Some(Errno::IO.raw_os_error()));
}

#[test]
#[should_panic(expected = "no such path")]
fn a_fault_that_nothing_can_meet_is_refused() {
    drop(Synthetic::custom(small()).fault(Fault::error(Op::Readdir, "a/typo", Errno::IO)).mount());
}

/// `d_type` and `d_ino` by name, as `getdents64` gives them.
fn dirents(path: &Path) -> BTreeMap<Vec<u8>, (FileType, u64)> {
    let dir = rustix::fs::Dir::new(File::open(path).unwrap()).unwrap();
    dir.map(|e| e.unwrap()).map(|e| (e.file_name().to_bytes().to_vec(), (e.file_type(), e.ino()))).collect()
}

#[test]
fn listings_can_lack_types_and_lie_about_inodes() {
    let honest = Synthetic::custom(small().symlink("l", "e")).mount().unwrap();
    let of = |mounted: &Mounted| dirents(mounted.path());
    assert_eq!(of(&honest)[b"a".as_slice()].0, FileType::Directory);
    assert_eq!(of(&honest)[b"l".as_slice()].0, FileType::Symlink);
    assert_eq!(of(&honest)[b"e".as_slice()].1, fs::metadata(honest.path().join("e")).unwrap().ino());
    assert_eq!(of(&honest).len(), 4 + 2, "with . and ..");

    let unknown = Synthetic::custom(small().symlink("l", "e")).dt_unknown(true).mount().unwrap();
    assert!(of(&unknown).values().all(|(kind, _)| *kind == FileType::Unknown), "{:?}", of(&unknown));
    let inodes = |all: BTreeMap<Vec<u8>, (FileType, u64)>| -> Vec<u64> { all.values().map(|(_, ino)| *ino).collect() };
    assert_eq!(inodes(of(&unknown)), inodes(of(&honest)));
    assert_eq!(walk(unknown.path()).len() as u64, unknown.entries().unwrap());

    let lying = Synthetic::custom(small()).d_ino_lies(true).mount().unwrap();
    assert_ne!(of(&lying)[b"e".as_slice()].1, fs::metadata(lying.path().join("e")).unwrap().ino());
    assert!(walk(lying.path()).values().all(|(_, listed, ino, ..)| listed != ino));
}

#[test]
fn a_long_listing_without_types_is_complete() {
    let mounted = Synthetic::flat_with_dirs(30_000, 30_000).dt_unknown(true).mount().unwrap();
    let listed = dirents(mounted.path());
    assert_eq!(listed.len(), 60_002);
    assert!(listed.values().all(|(kind, _)| *kind == FileType::Unknown));
}

#[test]
fn a_directory_of_ten_million_entries_lists() {
    let mounted = Synthetic::flat_with_dirs(9_999_000, 1_000).mount().unwrap();
    let (mut files, mut directories, mut inodes) = (0u64, 0u64, 0u64);
    let mut buffer = vec![std::mem::MaybeUninit::uninit(); 64 << 10];
    let mut listing = rustix::fs::RawDir::new(File::open(mounted.path()).unwrap(), &mut buffer);
    while let Some(entry) = listing.next() {
        let entry = entry.unwrap();
        match entry.file_type() {
            FileType::Directory => directories += 1,
            _ => files += 1,
        }
        inodes += entry.ino() & !(1 << 40);
    }
    assert_eq!((files, directories), (9_999_000, 1_000 + 2));
    // Each inode once: the root for itself and its parent, directories from 2, files from 2^40.
    assert_eq!(inodes, 2 + (2..=1_001).sum::<u64>() + (0..9_999_000).sum::<u64>());
    assert!(fs::metadata(mounted.path().join("f9998999.dat")).is_ok());
    assert!(fs::metadata(mounted.path().join("f9999000.dat")).is_err());
}

#[test]
fn a_hundred_million_entries_can_be_presented() {
    let mounted = Synthetic::tree(1_000_000, 100, 99).mount().unwrap();
    assert_eq!(mounted.entries(), Some(999_999 + 99_000_000));
    assert_eq!(fs::read_dir(mounted.path().join("d50/d50")).unwrap().count(), 100 + 99);
    assert!(fs::metadata(mounted.path().join("d98/d98/d98/f98.dat")).is_ok());
}

#[test]
fn the_endless_ones_go_on() {
    let names = Synthetic::endless_names().mount().unwrap();
    let mut listing = fs::read_dir(names.path().join("endless")).unwrap();
    assert!(listing.by_ref().take(200_000).all(|e| e.unwrap().metadata().is_ok_and(|m| m.is_file())));
    assert!(listing.next().is_some());
    assert!(fs::metadata(names.path().join("plain")).unwrap().is_file());

    let depth = Synthetic::endless_depth().mount().unwrap();
    let mut here: std::os::fd::OwnedFd = File::open(depth.path()).unwrap().into();
    for _ in 0..1_000 {
        let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC;
        here = rustix::fs::openat(&here, "d", flags, rustix::fs::Mode::empty()).unwrap();
    }
    let names: Vec<_> = rustix::fs::Dir::new(here).unwrap().map(|e| e.unwrap().file_name().to_owned()).collect();
    assert_eq!(names, [c".".to_owned(), c"..".to_owned(), c"d".to_owned(), c"f".to_owned()]);
}

#[test]
fn a_name_can_be_replaced_while_walking() {
    let mounted = Synthetic::custom(small()).swap("a", "f", 2).mount().unwrap();
    let ino = || fs::metadata(mounted.path().join("a")).unwrap().ino();
    let (first, second, third) = (ino(), ino(), ino());
    assert_eq!(first, second);
    assert_ne!(second, third);
    assert_eq!(third, fs::metadata(mounted.path().join("f")).unwrap().ino());
}

#[test]
fn what_hangs_is_released() {
    let mounted = Synthetic::custom(small()).hang(Op::Readdir, "a").mount().unwrap();
    let path = mounted.path().join("a");
    let listing = std::thread::spawn(move || fs::read_dir(path).unwrap().filter(|e| e.is_ok()).count());
    assert!(mounted.wait_hanging(1, SOON));
    assert!(!listing.is_finished());
    assert_eq!(fs::read_dir(mounted.path()).unwrap().count(), 3, "the rest of the file system answers");
    mounted.release();
    assert_eq!(listing.join().unwrap(), 3);
    assert_eq!(fs::read_dir(mounted.path().join("a")).unwrap().count(), 3, "and it hangs no more");
}

#[test]
fn what_hangs_or_waits_fails_when_the_mount_ends() {
    let hour = Duration::from_secs(3_600);
    let mounted = Synthetic::custom(small())
        .hang(Op::Getattr, "a/b")
        .fault(Fault::slow(Op::Getattr, "a/c", hour))
        .mount()
        .unwrap();
    let at = |path| mounted.path().join(path);
    let (hanging, slow) = (at("a/b"), at("a/c"));
    let held = File::open(at("a")).unwrap();
    let threads = [hanging, slow].map(|path| std::thread::spawn(move || errno(fs::metadata(path))));
    assert!(mounted.wait_hanging(1, SOON));
    let start = Instant::now();
    while mounted.in_flight() < 2 {
        assert!(start.elapsed() < SOON);
        std::thread::yield_now();
    }
    let path = mounted.path().to_owned();
    drop(mounted);
    for thread in threads {
        assert_eq!(thread.join().unwrap(), Some(Errno::IO.raw_os_error()));
    }
    assert!(!is_mounted(&path) && !path.exists());
    assert!(held.metadata().is_err(), "what is still open gets errors and does not block");
}

#[test]
fn the_mount_goes_away_with_a_panicking_test() {
    let (tell, told) = std::sync::mpsc::channel();
    let ended = std::thread::spawn(move || {
        let mounted = Synthetic::flat(3).mount().unwrap();
        assert!(is_mounted(mounted.path()));
        tell.send(mounted.path().to_owned()).unwrap();
        std::panic::resume_unwind(Box::new("as if an assertion had failed"));
    })
    .join();
    assert!(ended.is_err());
    let path = told.recv().unwrap();
    assert!(!is_mounted(&path) && !path.exists());
}

#[test]
fn unmounting_says_that_it_worked() {
    let mounted = Synthetic::flat(3).mount().unwrap();
    let path = mounted.path().to_owned();
    mounted.unmount().unwrap();
    assert!(!is_mounted(&path));
}

#[test]
fn the_kernel_caches_only_when_told() {
    let stats = |mounted: &Mounted| {
        fs::metadata(mounted.path().join("f1.dat")).unwrap();
        let before = mounted.ops();
        for _ in 0..10 {
            fs::metadata(mounted.path().join("f1.dat")).unwrap();
        }
        let ops = mounted.ops().since(&before);
        (ops.of(Op::Lookup), ops.of(Op::Getattr))
    };
    assert_eq!(stats(&Synthetic::flat(3).mount().unwrap()), (10, 10));
    let hour = Duration::from_secs(3_600);
    assert_eq!(stats(&Synthetic::flat(3).cache(hour, hour).mount().unwrap()), (0, 0));
}
