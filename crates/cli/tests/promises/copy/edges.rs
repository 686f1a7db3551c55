//! Promise: nothing of anybody's is lost by where source and destination lie, what is mounted there, or when a copy is stopped.

use std::fs::{create_dir, create_dir_all, hard_link, read, write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use pwalk_testkit::is_root;
use rustix::process::Signal;

use super::kinds::noise;
use super::{Place, assert_same, copy, copy_to, done, look, unfinished};
use crate::common::{PWALK, Running, in_mounts_of_thread, json_lines, oracle, pwalk, run};

#[test]
fn a_source_is_not_copied_over_the_directory_that_it_is_in() {
    let place = Place::with(|root| {
        create_dir_all(root.join("sub/sub")).unwrap();
        for i in 0..20 {
            write(root.join(format!("sub/{i}")), "outer").unwrap();
            write(root.join(format!("sub/sub/{i}")), "inner").unwrap();
        }
    });
    let before = look(&place.source);
    for options in [&[][..], &["--mirror"], &["--dry-run"], &["--existing", "skip"]] {
        let ran = copy_to(options, &place.source.join("sub"), &place.source).expect(1);
        assert!(ran.stderr.contains("which it is in"), "{}", ran.stderr);
        let ran = copy([place.source.join("sub/sub"), place.source.clone()]).expect(1);
        assert!(ran.stderr.contains("which it is in"), "{}", ran.stderr);
    }
    assert!(super::losses(&before, &look(&place.source)).iter().all(|(_, what, _)| what == "accessed"));
}

#[test]
fn a_mirror_stops_at_what_is_mounted_on_either_side() {
    if !is_root() {
        return;
    }
    let place = Place::with(|root| {
        write(root.join("file"), "file").unwrap();
        create_dir(root.join("home")).unwrap();
    });
    let (target, other) = (place.beside("target"), place.tree.subdir("other"));
    write(other.join("precious"), "precious").unwrap();
    create_dir_all(target.join("home")).unwrap();
    write(target.join("home/kept"), "kept").unwrap();
    write(target.join("old"), "old").unwrap();
    in_mounts_of_thread(|| {
        // What is mounted in the source is not looked at with -x: so nothing is known to be missing there.
        oracle("mount", ["-t", "tmpfs", "none", place.source.join("home").to_str().unwrap()]);
        let ran = copy_to(&["-x", "--mirror", "--json"], &place.source, &target).expect(0);
        assert_eq!(done(&ran)["removed"], 1, "{}", ran.text());
        assert_eq!(read(target.join("home/kept")).unwrap(), b"kept");
        // What is mounted in the destination is somebody else's, of the same file system as well.
        create_dir(target.join("mnt")).unwrap();
        oracle("mount", ["--bind".as_ref(), other.as_os_str(), target.join("mnt").as_os_str()]);
        let ran = copy_to(&["-x", "--mirror"], &place.source, &target).expect(1);
        assert!(ran.stderr.contains("mnt: cannot remove it"), "{}", ran.stderr);
        assert_eq!(read(other.join("precious")).unwrap(), b"precious");
        assert_eq!(read(target.join("home/kept")).unwrap(), b"kept");
    });
}

#[test]
fn without_its_access_control_list_a_file_gives_nobody_more() {
    let place = Place::with(|root| {
        write(root.join("file"), "secret").unwrap();
        std::fs::set_permissions(root.join("file"), PermissionsExt::from_mode(0o640)).unwrap();
        oracle("setfacl", ["-m".as_ref(), "u:7:rwx".as_ref(), root.join("file").as_os_str()]);
    });
    assert_eq!(std::fs::metadata(place.source.join("file")).unwrap().mode() & 0o777, 0o670);
    for (words, mode) in [("acl", 0o640), ("acl,xattr", 0o640), ("xattr", 0o670)] {
        let target = place.beside(words);
        copy_to(&["--no-preserve", words], &place.source, &target).expect(0);
        assert_eq!(std::fs::metadata(target.join("file")).unwrap().mode() & 0o777, mode, "{words}");
    }
}

#[test]
fn an_update_makes_names_of_one_file_names_of_one_file() {
    let place = Place::with(|root| {
        for i in 0..8 {
            write(root.join(format!("{i}-a")), "content").unwrap();
            hard_link(root.join(format!("{i}-a")), root.join(format!("{i}-b"))).unwrap();
        }
    });
    let target = place.beside("target");
    copy_to(&[], &place.source, &target).expect(0);
    for i in 0..8 {
        std::fs::remove_file(target.join(format!("{i}-{}", ["a", "b"][i % 2]))).unwrap();
    }
    copy_to(&["--existing", "update"], &place.source, &target).expect(0);
    assert_same(&place.source, &target);
}

fn sources(root: &Path) {
    for i in 0..60 {
        let dir = root.join(format!("d{}", i % 6));
        create_dir_all(&dir).unwrap();
        write(dir.join(i.to_string()), noise(i, 400_000)).unwrap();
    }
}

#[test]
fn a_copy_that_is_stopped_goes_on_with_the_same_command() {
    let place = Place::with(sources);
    let target = place.beside("target");
    let mut more = vec!["--max-bytes-per-sec", "4M"];
    for signal in [Signal::INT, Signal::TERM, Signal::INT] {
        let names = || oracle("find", [place.tree.path()]).iter().filter(|byte| **byte == b'\n').count();
        let before = names();
        let mut command = pwalk(["copy"]);
        let mut running = Running::start(command.args(&more).arg(&place.source).arg(&target));
        // Stopped when it has begun to fill something.
        let until = Instant::now() + Duration::from_secs(20);
        while names() <= before {
            assert!(Instant::now() < until, "nothing was begun");
        }
        running.signal(signal);
        let output = running.output();
        assert_eq!(output.status.code(), Some(130), "{}", output.stderr.escape_ascii());
        // What it says is to be done is done.
        let says = String::from_utf8(output.stderr).unwrap();
        let advice = says.lines().find(|line| line.contains("go on with")).unwrap();
        assert!(advice.contains("--resume"), "{says}");
        more = ["--max-bytes-per-sec", "4M", "--resume", "-T"].to_vec();
        more.truncate(if advice.contains("-T") || more.contains(&"-T") { 4 } else { 3 });
        let dirs: Vec<_> = std::fs::read_dir(&target).into_iter().flatten().map(|e| e.unwrap().path()).collect();
        assert!(!dirs.iter().any(|dir| dir.ends_with("source")), "{dirs:?}");
        let named = dirs.iter().filter(|dir| !dir.to_str().unwrap().contains(".pwalk-copy-dir."));
        for dir in named {
            assert_eq!(std::fs::read_dir(dir).unwrap().count(), 10, "what has its name is whole");
        }
    }
    copy(more[2..].iter().map(Path::new).chain([place.source.as_path(), &target])).expect(0);
    assert_same(&place.source, &target);
    assert_eq!(unfinished(place.tree.path()), b"");
}

#[test]
fn whatever_goes_wrong_the_last_object_says_so() {
    let place = Place::with(sources);
    let nowhere = place.beside("no/such/place");
    for (arguments, code) in [
        ([place.source.as_path(), nowhere.as_path()], 1),
        ([nowhere.as_path(), place.source.as_path()], 1),
        ([place.source.as_path(), place.source.as_path()], 1),
    ] {
        let ran = copy([Path::new("--json")].into_iter().chain(arguments)).expect(code);
        let last = json_lines(ran.text()).pop().unwrap();
        assert_eq!((&last["event"], &last["verdict"]), (&"done".into(), &"PARTIAL".into()), "{}", ran.text());
    }
    let settings = place.beside("settings.toml");
    write(&settings, "copy_stratgy = \"auto\"\n").unwrap();
    let ran = copy([Path::new("--config"), &settings, &place.source, &place.beside("x")]).expect(2);
    assert!(ran.stderr.contains("copy_stratgy") && ran.stderr.contains("copy_strategy"), "{}", ran.stderr);
}

#[test]
fn many_workers_with_few_descriptors_copy_everything() {
    let place = Place::with(|root| {
        for dir in 0..40 {
            create_dir(root.join(dir.to_string())).unwrap();
            for file in 0..60 {
                write(root.join(format!("{dir}/{file}")), noise(file, 2_000)).unwrap();
            }
        }
    });
    for (descriptors, workers) in [("420", "40"), ("450", "64"), ("1500", "120"), ("3000", "256")] {
        let target = place.beside(&format!("{descriptors}-{workers}"));
        let mut command = Command::new("sh");
        let limited = format!("ulimit -n {descriptors}; exec \"$@\"");
        command.args(["-c", &limited, "sh", PWALK, "copy", "-T", "--workers", workers]);
        run(command.arg(&place.source).arg(&target)).expect(0);
        assert_same(&place.source, &target);
        // Over what is there, where files have no names at first.
        let mut command = Command::new("sh");
        command.args(["-c", &limited, "sh", PWALK, "copy", "-T", "--workers", workers]);
        run(command.arg(&place.source).arg(&target)).expect(0);
        assert_same(&place.source, &target);
    }
}

#[test]
fn what_the_kernel_makes_up_is_copied_by_its_content() {
    let place = Place::new();
    for (file, more) in ["/proc/version", "/sys/devices/system/cpu/online"].iter().flat_map(|file| {
        ["--strategy=baseline", "--strategy=sendfile", "--strategy=auto", "--verify"].map(|more| (file, more))
    }) {
        let copied = place.beside("copy");
        copy([more, "-T", file, copied.to_str().unwrap()]).expect(0);
        assert_eq!(read(&copied).unwrap(), read(file).unwrap(), "{file} {more}");
    }
}
