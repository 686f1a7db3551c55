//! Where things are, and how a command is run to its end.
//!
//! Cargo is asked instead of guessed: `CARGO_TARGET_DIR` and a `[build] target-dir` both move the target directory.

use anyhow::{Context, Result, bail};
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The two directories that the tasks work in.
pub(crate) struct Workspace {
    /// The directory of the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Cargo's target directory.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Asks `cargo metadata`.
    pub(crate) fn find() -> Result<Self> {
        let output = Command::new(cargo_program())
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .context("cannot run cargo metadata")?;
        if !output.status.success() {
            bail!("cargo metadata: {}", output.status);
        }
        let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
        let directory = |key: &str| {
            metadata[key].as_str().map(PathBuf::from).with_context(|| format!("cargo metadata names no {key}"))
        };
        Ok(Self { root: directory("workspace_root")?, target: directory("target_directory")? })
    }

    /// What xtask itself makes and keeps between runs: the Python environment, the measured trees.
    pub(crate) fn own_directory(&self) -> PathBuf {
        self.target.join("xtask")
    }

    /// A cargo command in the workspace's root.
    pub(crate) fn cargo<const N: usize>(&self, arguments: [&str; N]) -> Command {
        let mut command = Command::new(cargo_program());
        command.current_dir(&self.root).args(arguments);
        command
    }
}

/// The cargo that started us, so that a `cargo +toolchain xtask` stays with its toolchain.
fn cargo_program() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from)
}

/// Runs a command with our output and no input; fails unless it exits with 0.
pub(crate) fn complete(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot run {}", as_typed(command)))?;
    if !status.success() {
        bail!("`{}` failed: {status}", as_typed(command));
    }
    Ok(())
}

/// The command for a message: the program without its directory, as one would type it.
fn as_typed(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let words = std::iter::once(program.file_name().unwrap_or(program.as_os_str())).chain(command.get_args());
    words.map(|word| word.display().to_string()).collect::<Vec<_>>().join(" ")
}
