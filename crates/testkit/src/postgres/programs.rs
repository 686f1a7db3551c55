//! The distribution's PostgreSQL programs, and how they are run here.
//!
//! Debian and Ubuntu keep `initdb` and `postgres` out of `PATH`, one directory for each major version; others have
//! them in `PATH`. The newest version wins.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{Gid, Uid, chown};

use crate::is_root;

/// `nobody` and `nogroup`, whatever they are called.
const NOBODY: u32 = 65534;

/// Where the programs are.
#[derive(Debug)]
pub(super) struct Programs {
    directory: PathBuf,
}

impl Programs {
    /// Finds them, or panics and says what to install.
    pub(super) fn find() -> Self {
        let mut found = debian();
        found.sort();
        let newest = found.pop().map(|(_, directory)| directory).or_else(in_path);
        let directory = newest.expect(
            "no initdb in /usr/lib/postgresql/*/bin or PATH: install PostgreSQL's server, on Debian or Ubuntu the \
             package postgresql (cargo xtask test does it)",
        );
        Self { directory }
    }

    pub(super) fn get(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Makes an empty cluster in `home/data`. `home` is given to the server's user.
    pub(super) fn init(&self, home: &Path) {
        if is_root() {
            let (user, group) = (Some(Uid::from_raw(NOBODY)), Some(Gid::from_raw(NOBODY)));
            chown(home, user, group).expect("give the directory to the server's user");
        }
        let mut command = self.as_server("initdb", &[]);
        // A sync here would guard the empty cluster against a crash of the machine.
        command.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"]);
        let output = command.arg(home.join("data")).current_dir(home).output().expect("run setpriv and initdb");
        let words = String::from_utf8(output.stderr).expect("initdb prints text");
        assert!(output.status.success(), "initdb failed: {words}");
    }

    /// The command that is the server, in the foreground, with its log on standard error.
    pub(super) fn server(&self, home: &Path) -> Command {
        let mut command = self.as_server("postgres", &["--pdeathsig", "KILL"]);
        command.arg("-D").arg(home.join("data")).arg("-k").arg(home);
        command.args(["-c", "listen_addresses=127.0.0.1"]);
        command
    }

    /// A command as the user that the server runs as; in plain English wherever messages are read.
    fn as_server(&self, program: &str, options: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        command.args(options);
        if is_root() {
            command.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")]);
            command.args(["--clear-groups", "--no-new-privs"]);
        }
        command.arg("--").arg(self.get(program)).env("LC_ALL", "C");
        command
    }
}

/// Debian's directories, by major version.
fn debian() -> Vec<(u32, PathBuf)> {
    let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") else { return Vec::new() };
    versions
        .map(|entry| entry.expect("list /usr/lib/postgresql"))
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, directory)| has_server(directory))
        .collect()
}

fn in_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find(|directory| has_server(directory))
}

fn has_server(directory: &Path) -> bool {
    ["initdb", "postgres", "psql"].iter().all(|name| directory.join(name).is_file())
}
