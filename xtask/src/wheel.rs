//! `cargo xtask wheel`: the wheels for the package index, and the source archive.
//!
//! Two wheels serve all of CPython on Linux x86_64: one for the stable interface, from 3.10 on, and one for free-threaded
//! 3.14, which has no stable interface yet. zig stands in for the C compiler and the C library of 2014, so that the wheels run
//! on every distribution since then; it comes with pip as maturin does, and nothing has to be installed before. What was
//! built is then installed into a new environment and used.

use crate::python::{self, Environment};
use crate::workspace::{Workspace, complete};
use anyhow::{Context, Result, ensure};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The options of `cargo xtask wheel`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Directory for the wheels; what it holds is removed [default: wheels in the target directory]
    #[arg(short, long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
}

const TARGET: &str = "x86_64-unknown-linux-gnu";
const COMPATIBILITY: &str = "manylinux2014";

/// The interpreters to build for, which need not be here, and the tag of each wheel.
const WHEELS: [(&str, &str); 2] = [("python3.10", "cp310-abi3"), ("python3.14t", "cp314-cp314t")];

const REQUIREMENTS: &str = include_str!("../wheel-requirements.txt");

/// Builds them, and tries what can be tried here.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let workspace = Workspace::find()?;
    let python = python::provide(&workspace, &Environment { name: "wheel-venv", requirements: REQUIREMENTS })?;
    let out = arguments.out.clone().unwrap_or_else(|| workspace.target.join("wheels"));
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| format!("cannot remove {}", out.display()))?;
    }
    for (interpreter, tag) in WHEELS {
        let mut maturin = maturin(&workspace, &python, "build", &out);
        maturin.args(["--release", "--strip", "--zig", "--target", TARGET, "--compatibility", COMPATIBILITY]);
        complete(maturin.args(["--interpreter", interpreter])).with_context(|| format!("cannot build {tag}"))?;
    }
    complete(&mut maturin(&workspace, &python, "sdist", &out)).context("cannot pack the sources")?;
    let files = files(&out)?;
    for (_, tag) in WHEELS {
        let wheel = files.iter().find(|name| name.contains(tag) && name.contains(COMPATIBILITY));
        ensure!(wheel.is_some(), "no wheel {tag} for {COMPATIBILITY} among {files:?}");
    }
    try_out(&workspace, &out)?;
    for file in files {
        println!("{}", out.join(file).display());
    }
    Ok(())
}

/// maturin in its environment, whose zig it finds through the first `python3` of the path.
fn maturin(workspace: &Workspace, python: &Path, command: &str, out: &Path) -> Command {
    let mut maturin = Command::new(python);
    let before = python.parent().into_iter().map(Path::to_owned);
    let path = env::var_os("PATH").unwrap_or_default();
    if let Ok(path) = env::join_paths(before.chain(env::split_paths(&path))) {
        maturin.env("PATH", path);
    }
    maturin.current_dir(&workspace.root).args(["-m", "maturin", command, "--out"]).arg(out);
    maturin
}

fn files(directory: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let names = entries.map(|entry| Ok(entry?.file_name().display().to_string()));
    let mut names = names.collect::<std::io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// Installs the wheel that suits `python3` into an environment of its own, from nowhere else, and uses it.
fn try_out(workspace: &Workspace, wheels: &Path) -> Result<()> {
    let environment = workspace.own_directory().join("wheel-tried");
    complete(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    let program = |name: &str| Command::new(environment.join("bin").join(name));
    let pip = ["install", "--quiet", "--disable-pip-version-check", "--no-index", "--find-links"];
    complete(program("pip").args(pip).arg(wheels).arg("pwalk"))?;
    let walk = "import os, pwalk; assert list(pwalk.walk('.')) == list(os.walk('.'))";
    complete(program("python").current_dir(workspace.root.join("crates")).args(["-c", walk]))?;
    complete(program("pwalk").arg("--version"))
}
