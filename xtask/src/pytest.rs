//! Builds the Python package, installs it into the test environment, and runs pytest.
//!
//! The wheel is built as a user's `pip install .` builds it, with the cargo of this workspace, and installed without its
//! dependencies, because it has none.

use crate::workspace::{Workspace, complete};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the package and installs it beside `python`.
pub(crate) fn install(workspace: &Workspace, python: &Path) -> Result<()> {
    let wheels = workspace.own_directory().join("wheels");
    if wheels.exists() {
        fs::remove_dir_all(&wheels).with_context(|| format!("cannot remove {}", wheels.display()))?;
    }
    let mut build = Command::new(python);
    build.current_dir(&workspace.root).args(["-m", "maturin", "build", "--release", "--quiet", "--out"]);
    complete(build.arg(&wheels).arg("--interpreter").arg(python)).context("cannot build the Python package")?;
    let install = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps"];
    complete(Command::new(python).args(install).arg("--force-reinstall").arg(only_file(&wheels)?))
}

/// The wheel.
fn only_file(directory: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let files = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    match files.as_slice() {
        [file] => Ok(file.clone()),
        _ => bail!("{} files in {}, and not one wheel", files.len(), directory.display()),
    }
}

/// Runs the tests of the installed package: from elsewhere, so that the sources beside them are not what is tested.
pub(crate) fn run(workspace: &Workspace, python: &Path) -> Result<()> {
    let tests = workspace.root.join("python/tests");
    let mut pytest = Command::new(python);
    pytest.current_dir(workspace.own_directory()).args(["-m", "pytest", "--quiet", "-p", "no:cacheprovider"]);
    // A test that hangs fails, and says where.
    complete(pytest.args(["--timeout", "300"]).arg(tests))
}
