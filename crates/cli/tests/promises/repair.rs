//! Promise: a repair makes shared folders usable for their groups, touches nothing else, and can be taken back.
//!
//! Owners and groups are root's to change, so most of this needs root; the same tests run as root wherever the whole suite does.

mod attack;
mod journal;
mod plans;
mod protection;
mod rules;

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use pwalk_testkit::TempTree;
use serde_json::Value;

use crate::common::{PWALK, Ran, oracle, pwalk, run};

/// Groups that every Debian has, `users` and `games`: nobody's own.
const USERS: u32 = 100;
const GAMES: u32 = 60;
/// Somebody without an account.
const ALICE: u32 = 54_321;

/// A shared folder, and a place beside it for journals and plans.
struct Folder {
    tree: TempTree,
    top: PathBuf,
}

impl Folder {
    /// An empty folder that belongs to the group `users`, with its permissions in order.
    fn new() -> Self {
        let tree = TempTree::new();
        let top = tree.path().join("shared");
        std::fs::create_dir(&top).unwrap();
        own(&top, 0, USERS, 0o2755);
        Self { tree, top }
    }

    /// A place beside the folder.
    fn beside(&self, name: &str) -> PathBuf {
        self.tree.path().join(name)
    }

    fn dir(&self, name: &str, uid: u32, gid: u32, mode: u32) -> PathBuf {
        let path = self.top.join(name);
        std::fs::create_dir(&path).unwrap();
        own(&path, uid, gid, mode);
        path
    }

    fn file(&self, name: &str, uid: u32, gid: u32, mode: u32) -> PathBuf {
        let path = self.top.join(name);
        std::fs::write(&path, name).unwrap();
        own(&path, uid, gid, mode);
        path
    }

    /// Plans, and returns the changes by path below the folder.
    fn plan(&self, arguments: &[&str]) -> Vec<Value> {
        let ran = run(pwalk(["repair", "--json"]).args(arguments).arg(&self.top));
        let told = told(&ran);
        told.into_iter().filter(|event| event["event"] == "planned").collect()
    }

    /// Applies, with a journal beside the folder, whose path is returned as well.
    fn apply(&self, journal: &str, arguments: &[&str]) -> (Ran, PathBuf) {
        let journal = self.beside(journal);
        let mut command = pwalk(["repair", "--apply", "--journal"]);
        (run(command.arg(&journal).args(arguments).arg(&self.top)), journal)
    }

    fn undo(&self, journal: &Path, own: &str) -> Ran {
        run(pwalk(["repair", "--undo"]).arg(journal).arg("--journal").arg(self.beside(own)))
    }

    fn state(&self) -> Vec<u8> {
        state(&self.top)
    }
}

/// Sets owner, group and mode.
fn own(path: &Path, uid: u32, gid: u32, mode: u32) {
    chown(path, Some(uid), Some(gid)).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Everything that a repair could change, and all that it must not: of every entry below `top`, as find and getfacl see it.
fn state(top: &Path) -> Vec<u8> {
    let format = "%p %y %i %U:%G %m %s %T@ %l\\n";
    let mut lines = oracle("find", [top.as_os_str(), "-printf".as_ref(), format.as_ref()]);
    lines.extend(oracle(
        "getfacl",
        ["-R", "-n", "-p", "-P", "--"].map(Into::into).into_iter().chain([top.as_os_str().to_owned()]),
    ));
    let mut lines: Vec<&[u8]> = lines.split(|byte| *byte == b'\n').collect();
    lines.sort_unstable();
    lines.join(&b'\n')
}

/// What `stat` says of owner, group and mode: `0:100 640`.
fn access(path: &Path) -> String {
    let text = oracle("stat", ["-c".as_ref(), "%u:%g %a".as_ref(), path.as_os_str()]);
    String::from_utf8(text).unwrap().trim().to_owned()
}

/// The JSON lines on standard output.
fn told(ran: &Ran) -> Vec<Value> {
    ran.text().lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

/// A shell script in a mount namespace of its own, with `$PWALK` and the given variables.
fn in_own_mounts(script: &str, variables: &[(&str, &Path)]) -> Ran {
    let mut command = Command::new("unshare");
    command.args(["-m", "--propagation", "private", "sh", "-ec", script]).env("PWALK", PWALK);
    run(command.envs(variables.iter().copied()))
}
