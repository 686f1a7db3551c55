//! Running a program with fewer rights than the test has.
//!
//! Root reads mode-000 directories, so a test of "permission denied" that runs as root tests nothing. Dropping
//! rights inside the test process would hit every other test thread, so it happens in a child, through
//! `setpriv` (util-linux, always present on Debian and Ubuntu). Two kinds, because they see different worlds:
//! [`unprivileged`] is another user altogether and cannot reach binaries or trees below a private directory;
//! [`without_dac_override`] stays the same user and loses only the right to ignore permission bits.

use std::ffi::OsStr;
use std::process::Command;

/// Whether this process runs as user 0.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A command that runs `program` as user and group 65534 (`nobody`), without supplementary groups.
/// For a test that is not root anyway, it is the plain command.
///
/// The program and the tree must be reachable for others (`o+x` on every directory above);
/// [`TempTree`](crate::TempTree) takes care of its own directory only.
pub fn unprivileged(program: impl AsRef<OsStr>) -> Command {
    setpriv(&["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"], program.as_ref())
}

/// A command that runs `program` as the same user but without `CAP_DAC_OVERRIDE` and `CAP_DAC_READ_SEARCH`, so
/// that permission bits count: user 0 cannot list its own mode-000 directory then.
/// For a test that is not root anyway, it is the plain command.
pub fn without_dac_override(program: impl AsRef<OsStr>) -> Command {
    setpriv(
        &["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"],
        program.as_ref(),
    )
}

fn setpriv(options: &[&str], program: &OsStr) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(options).arg("--").arg(program);
    command
}
