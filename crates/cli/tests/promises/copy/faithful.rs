//! Promise: nothing is missing from a copy, whatever the strategy, and nothing that `cp -a` or `rsync -aHAXS` would have kept.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::Path;

use pwalk_testkit::TempTree;
use pwalk_testkit::trees::{self, Deep, remove_tree};
use rustix::fs::{AtFlags, Mode, OFlags, openat, statat};

use super::kinds::kinds;
use super::{Place, STRATEGIES, assert_same, copy_to, done, look, losses};
use crate::common::{oracle, pwalk, run};

#[test]
fn every_strategy_keeps_everything() {
    let place = Place::with(kinds);
    for strategy in STRATEGIES {
        for more in [&["--workers", "1"][..], &["--workers", "7"], &["--reflink", "never", "--buffer-size-kb", "4"]] {
            let target = place.beside("target");
            let options = [&["--json", "--strategy", strategy][..], more].concat();
            let ran = copy_to(&options, &place.source, &target).expect(0);
            let done = done(&ran);
            assert_eq!((&done["verdict"], &done["strategy"]), (&"COMPLETE".into(), &strategy.into()), "{done}");
            assert_same(&place.source, &target);
            remove_tree(&target).unwrap();
        }
    }
}

#[test]
fn hostile_trees_are_copied_by_every_strategy() {
    let place = Place::with(trees::everything);
    for strategy in STRATEGIES {
        let target = place.beside("target");
        copy_to(&["--strategy", strategy], &place.source, &target).expect(0);
        assert_same(&place.source, &target);
        remove_tree(&target).unwrap();
    }
}

#[test]
fn nothing_is_lost_that_cp_and_rsync_keep() {
    let place = Place::with(kinds);
    let source = look(&place.source);
    let ours = place.beside("ours");
    copy_to(&[], &place.source, &ours).expect(0);
    let lost: BTreeSet<_> = losses(&source, &look(&ours));
    let theirs = place.beside("theirs");
    for (program, options) in [("cp", &["-a", "-T"][..]), ("rsync", &["-aHAXS", "--numeric-ids"])] {
        let mut from = place.source.clone().into_os_string();
        if program == "rsync" {
            from.push("/");
        }
        oracle(program, options.iter().map(OsStr::new).chain([from.as_os_str(), theirs.as_os_str()]));
        let they_lost = losses(&source, &look(&theirs));
        let more: Vec<_> = lost.difference(&they_lost).take(8).collect();
        assert!(more.is_empty(), "{program} keeps what we lose: {more:#?}");
        remove_tree(&theirs).unwrap();
    }
    assert!(lost.is_empty(), "{lost:#?}");
}

#[test]
fn a_second_copy_over_the_first_makes_it_the_same_again() {
    let place = Place::with(kinds);
    let target = place.beside("target");
    copy_to(&[], &place.source, &target).expect(0);
    // Everything that can be otherwise in what is there already.
    oracle("sh", ["-c".as_ref(), SPOIL.as_ref(), "sh".as_ref(), target.as_os_str()]);
    for strategy in STRATEGIES {
        copy_to(&["--strategy", strategy], &place.source, &target).expect(0);
        assert_same(&place.source, &target);
    }
    assert_eq!(done(&copy_to(&["--json", "--resume"], &place.source, &target).expect(0))["failed"], 0);
    assert_same(&place.source, &target);
}

/// Other contents, times, modes, owners, lists, links; and what stands there as another kind of file.
const SPOIL: &str = "
cd $1
for file in contents/size-*; do echo other > $file; done
find . -exec touch -h -d 2001-01-01 {} +
chmod -R 700 modes
setfacl -R -m u:1:rwx lists
setfacl -d -m u:1:rwx attributes contents
rm links/b/1 && echo alone > links/b/1
ln -f contents/zeros links/b/2
rm nodes/fifo && echo file > nodes/fifo
ln -sf elsewhere nodes/dangling
rm contents/size-1 && ln -s /nowhere contents/size-1
rm contents/size-4095 && mkfifo contents/size-4095
";

#[test]
fn deeper_than_any_path_reaches() {
    let shape = Deep { levels: 1_500, name_bytes: 20, file_per_level: true };
    let (tree, entries) = TempTree::with(|root| {
        let source = root.join("source");
        std::fs::create_dir(&source).unwrap();
        trees::deep(&source, shape)
    });
    let source = tree.path().join("source");
    for strategy in STRATEGIES {
        let target = tree.path().join("target");
        let ran = run(pwalk(["copy", "-T", "--json", "--strategy", strategy]).arg(&source).arg(&target)).expect(0);
        let done = done(&ran);
        assert_eq!(done["files"].as_u64().unwrap() + done["directories"].as_u64().unwrap(), entries + 1, "{done}");
        same_chain(&source, &target, shape);
        remove_tree(&target).unwrap();
    }
}

/// Goes down both side by side.
pub(super) fn same_chain(source: &Path, target: &Path, shape: Deep) {
    let open = |at: &OwnedFd, name: &str| {
        openat(at, name, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap_or_else(|e| panic!("{name}: {e}"))
    };
    let mut both = [source, target].map(|path| OwnedFd::from(std::fs::File::open(path).unwrap()));
    for level in 0..shape.levels {
        let name = format!("{level:d>width$}", width = shape.name_bytes);
        let compare = |both: &[OwnedFd; 2], name: &str| {
            let stat =
                |fd: &OwnedFd| statat(fd, name, AtFlags::SYMLINK_NOFOLLOW).unwrap_or_else(|e| panic!("{name}: {e}"));
            let [source, target] = both.each_ref().map(|fd| {
                let stat = stat(fd);
                (stat.st_mtime, stat.st_mtime_nsec, stat.st_mode, stat.st_uid)
            });
            assert_eq!(source, target, "{name} at level {level}");
        };
        compare(&both, &name);
        both = both.each_ref().map(|fd| open(fd, &name));
        if shape.file_per_level {
            compare(&both, "f");
        }
    }
}
