//! What the tests need from the operating system: find it, install it, or say what is missing.
//!
//! A missing program never skips a test. As root on Debian or Ubuntu the packages are installed; anywhere else the
//! run stops and names them, because installing software for somebody without being root is not ours to try.

use crate::workspace::complete;
use anyhow::{Context, Result, bail};
use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One thing that must be there, and the Debian package that brings it.
pub(crate) struct Need {
    probe: Probe,
    package: &'static str,
}

enum Probe {
    Program(&'static str),
    /// A module of the default `python3`.
    PythonModule(&'static str),
    /// `initdb` and what belongs to it; Debian keeps them out of `PATH`, in a directory for each version.
    PostgresServer,
}

const fn program(name: &'static str, package: &'static str) -> Need {
    Need { probe: Probe::Program(name), package }
}

pub(crate) const FOR_TESTS: &[Need] = &[
    program("fusermount3", "fuse3"),
    program("zstd", "zstd"),
    program("gzip", "gzip"),
    program("c++", "g++"),
    program("script", "bsdutils"),
    program("find", "findutils"),
    program("bfs", "bfs"),
    program("stat", "coreutils"),
    program("setpriv", "util-linux"),
    program("unshare", "util-linux"),
    program("mount", "mount"),
    program("setfacl", "acl"),
    program("rsync", "rsync"),
    program("mkfs.ext4", "e2fsprogs"),
    program("filefrag", "e2fsprogs"),
    program("mkfs.xfs", "xfsprogs"),
    program("mkfs.btrfs", "btrfs-progs"),
    program("openssl", "openssl"),
    program("python3", "python3"),
    // Debian's python3 has `venv` but not the `ensurepip` that it calls.
    Need { probe: Probe::PythonModule("ensurepip"), package: "python3-venv" },
    // `testkit` starts servers of its own; see `without_postgres_cluster`.
    Need { probe: Probe::PostgresServer, package: "postgresql" },
];

pub(crate) const FOR_BENCHMARKS: &[Need] = &[
    program("fusermount3", "fuse3"),
    program("cc", "gcc"),
    program("time", "time"),
    program("timeout", "coreutils"),
    program("findmnt", "util-linux"),
    Need { probe: Probe::PostgresServer, package: "postgresql" },
    program("psql", "postgresql"),
];

/// Makes sure that every need is met.
pub(crate) fn provide(needs: &[Need]) -> Result<()> {
    let missing = missing(needs);
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    packages.sort_unstable();
    packages.dedup();
    let packages = packages.join(" ");
    let names: Vec<String> = missing.iter().map(|need| need.probe.to_string()).collect();
    let names = names.join(", ");
    if !is_root()? || find_program("apt-get").is_none() {
        bail!("missing: {names}; install them first, on Debian or Ubuntu with: apt-get install {packages}");
    }
    println!("xtask: missing: {names}; installing {packages}");
    apt_get(&["update"])?;
    if missing.iter().any(|need| matches!(need.probe, Probe::PostgresServer)) {
        without_postgres_cluster()?;
    }
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(packages.split(' '));
    apt_get(&install)?;
    let still: Vec<String> = self::missing(needs).iter().map(|need| need.probe.to_string()).collect();
    if !still.is_empty() {
        // A python3 that is not the distribution's comes here: its modules are not in the distribution's packages.
        bail!("still missing after installing {packages}: {}", still.join(", "));
    }
    Ok(())
}

/// Makes sure that FUSE file systems can be mounted by this user.
pub(crate) fn provide_fuse_device() -> Result<()> {
    let device = Path::new("/dev/fuse");
    if !device.exists() && is_root()? {
        println!("xtask: no {}; trying to make it", device.display());
        // Either may fail: the driver is built into many kernels, and udev may make the node.
        for command in [["modprobe", "fuse"].as_slice(), &["mknod", "-m", "666", "/dev/fuse", "c", "10", "229"]] {
            if !device.exists()
                && let Err(error) = complete(Command::new(command[0]).args(&command[1..]))
            {
                println!("xtask: {error:#}");
            }
        }
    }
    OpenOptions::new().read(true).write(true).open(device).with_context(|| {
        format!(
            "cannot open {}: the tests mount a FUSE file system and need the fuse driver and read-write access \
             (in a container: --device /dev/fuse --cap-add SYS_ADMIN)",
            device.display()
        )
    })?;
    Ok(())
}

/// The first executable file of that name in `PATH`.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|directory| directory.join(name)).find(|path| is_executable(path))
}

pub(crate) fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn missing(needs: &[Need]) -> Vec<&Need> {
    needs.iter().filter(|need| !need.probe.is_met()).collect()
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    complete(Command::new("apt-get").arg("-q").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Keeps Debian's package from making a cluster and starting a server at every boot, which nobody asked for.
///
/// The server's package asks this file, which `postgresql-common` brings, so that package comes first. Written only
/// where no cluster is: what somebody has set up is left alone.
fn without_postgres_cluster() -> Result<()> {
    if fs::read_dir("/etc/postgresql").is_ok_and(|mut versions| versions.next().is_some()) {
        return Ok(());
    }
    apt_get(&["install", "-y", "--no-install-recommends", "postgresql-common"])?;
    let file = Path::new("/etc/postgresql-common/createcluster.conf");
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).open(file)?;
        file.write_all(b"\n# The tests of pwalk start servers of their own.\ncreate_main_cluster = false\n")
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

/// Whether a directory has the programs that `testkit` starts.
fn has_postgres(directory: &Path) -> bool {
    ["initdb", "postgres", "psql"].iter().all(|name| is_executable(&directory.join(name)))
}

/// `/proc/self` belongs to the effective user.
pub(crate) fn is_root() -> Result<bool> {
    Ok(fs::metadata("/proc/self").context("cannot read /proc/self")?.uid() == 0)
}

impl Probe {
    fn is_met(&self) -> bool {
        match self {
            Self::Program(name) => find_program(name).is_some(),
            Self::PythonModule(module) => Command::new("python3")
                .args(["-c", &format!("import {module}")])
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success()),
            Self::PostgresServer => {
                let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
                let path = env::var_os("PATH").unwrap_or_default();
                versions.map(|version| version.path().join("bin")).any(|bin| has_postgres(&bin))
                    || env::split_paths(&path).any(|directory| has_postgres(&directory))
            }
        }
    }
}

impl std::fmt::Display for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Program(name) => write!(f, "{name}"),
            Self::PythonModule(module) => write!(f, "python3's module {module}"),
            Self::PostgresServer => write!(f, "PostgreSQL's server (initdb, postgres, psql)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_in_path_and_nothing_else() {
        assert!(find_program("sh").is_some_and(|path| is_executable(&path)));
        assert!(find_program("no-program-has-this-name").is_none());
        assert!(!is_executable(Path::new("/")), "a directory has x bits but is no program");
    }

    #[test]
    fn missing_names_exactly_the_unmet_needs() {
        let needs = [program("sh", "dash"), program("no-program-has-this-name", "none")];
        let packages: Vec<&str> = missing(&needs).iter().map(|need| need.package).collect();
        assert_eq!(packages, ["none"]);
    }
}
