//! The Python environments of the tests, whose DuckDB, pyarrow, polars and pandas read our files, and of the wheels.
//!
//! They are ours alone (under the target directory) and pinned, so that a test does not depend on what happens to be
//! installed. One is made again only when its requirements or the interpreter change.

use crate::workspace::{Workspace, complete};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// An environment: its directory, and what is in it.
pub(crate) struct Environment {
    pub(crate) name: &'static str,
    pub(crate) requirements: &'static str,
}

/// That of the tests.
pub(crate) const TESTS: Environment =
    Environment { name: "venv", requirements: include_str!("../python-requirements.txt") };

/// The oldest Python for which the pinned versions are built.
const OLDEST: &str = "3.11";

/// Makes the environment if needed; the path of its interpreter.
pub(crate) fn provide(workspace: &Workspace, wanted: &Environment) -> Result<PathBuf> {
    let Environment { name, requirements } = wanted;
    let environment = workspace.own_directory().join(name);
    let python = environment.join("bin/python");
    // Written last: an environment whose making was interrupted has no stamp and is made again.
    let stamp = environment.join("made-from");
    let wanted = format!("{}\n{requirements}", interpreter()?);
    if python.exists() && fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == wanted) {
        return Ok(python);
    }
    if environment.exists() {
        fs::remove_dir_all(&environment).with_context(|| format!("cannot remove {}", environment.display()))?;
    }
    complete(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    let list = environment.join("requirements.txt");
    fs::write(&list, requirements)?;
    let pip = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "-r"];
    complete(Command::new(&python).args(pip).arg(&list)).context("cannot install the Python packages")?;
    fs::write(&stamp, wanted)?;
    Ok(python)
}

/// What `python3` is, in one line that changes when another one takes its place.
fn interpreter() -> Result<String> {
    let program = format!(
        "import sys; print(sys.version.split()[0], sys.executable); \
         sys.exit('.'.join(map(str, sys.version_info[:2])) if sys.version_info < ({}) else 0)",
        OLDEST.replace('.', ",")
    );
    let output =
        Command::new("python3").args(["-c", &program]).stdin(Stdio::null()).output().context("cannot run python3")?;
    if !output.status.success() {
        bail!(
            "python3 must be {OLDEST} or later for the pinned packages, and is {}",
            output.stderr.trim_ascii().escape_ascii()
        );
    }
    Ok(String::from_utf8(output.stdout).context("python3 printed its version")?.trim_end().to_owned())
}
