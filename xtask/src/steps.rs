//! `cargo xtask test`: the README's test command, as steps that stop at the first failure.
//!
//! One command and not a list in a document, so that a laptop, the project's runner and GitHub cannot differ in
//! what they check. Nothing is skipped in silence: what is missing is installed or named ([`crate::system`]).

use crate::workspace::{Workspace, complete};
use crate::{pytest, python, system};
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::time::Instant;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Leave out the release build and the documentation
    #[arg(long)]
    quick: bool,
    /// Arguments for `cargo test`, as in: cargo xtask test -- -p pwalk-engine totals
    #[arg(last = true)]
    cargo_test: Vec<OsString>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let workspace = Workspace::find()?;
    let mut steps = Steps::new();
    steps.step("system packages", || {
        system::provide(system::FOR_TESTS)?;
        system::provide_fuse_device()?;
        toolchain_components(&workspace)
    })?;
    let python = steps.step("python environment", || python::provide(&workspace, &python::TESTS))?;
    steps.step("format", || complete(&mut workspace.cargo(["fmt", "--all", "--check"])))?;
    steps.step("lints", || {
        complete(&mut workspace.cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    })?;
    if !arguments.quick {
        steps.step("release build", || complete(&mut workspace.cargo(["build", "--release"])))?;
    }
    steps.step("tests", || {
        let mut test = cargo_test(&workspace, &arguments.cargo_test);
        complete(test.env("PWALK_TEST_PYTHON", &python))
    })?;
    if !arguments.quick {
        steps.step("fuzz target", || fuzz(&workspace))?;
        steps.step("python package", || pytest::install(&workspace, &python))?;
        steps.step("python tests", || pytest::run(&workspace, &python))?;
        steps.step("documentation", || {
            complete(workspace.cargo(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-Dwarnings"))
        })?;
    }
    licences(&workspace, &mut steps)?;
    println!("xtask: all {} steps passed in {:.1} s", steps.passed, steps.started.elapsed().as_secs_f64());
    Ok(())
}

/// `cargo test` for the whole workspace, or for the packages that the caller named.
fn cargo_test(workspace: &Workspace, arguments: &[OsString]) -> Command {
    let mut test = workspace.cargo(["test"]);
    if !arguments.iter().any(|argument| argument == "-p" || argument == "--package") {
        test.arg("--workspace");
    }
    test.args(arguments);
    test
}

/// Builds the fuzz target, and lets it try some arguments. Without a sanitizer it is not guided, but it must build and hold.
fn fuzz(workspace: &Workspace) -> Result<()> {
    let target = workspace.own_directory().join("fuzz");
    let mut build = workspace.cargo(["build", "--manifest-path", "fuzz/Cargo.toml"]);
    complete(build.env("CARGO_TARGET_DIR", &target))?;
    complete(Command::new(target.join("debug/find_arguments")).args(["-runs=200000", "-seed=1", "-verbosity=0"]))
}

/// `cargo deny` where it is installed. It takes minutes to build, so it is not fetched for a test run;
/// the GitHub workflow runs it for every push.
fn licences(workspace: &Workspace, steps: &mut Steps) -> Result<()> {
    if !answers(workspace.cargo(["deny", "--version"])) {
        println!("xtask: licences: cargo-deny is not installed; the GitHub workflow runs this check (deny.toml)");
        return Ok(());
    }
    steps.step("licences", || complete(&mut workspace.cargo(["deny", "check", "licenses", "bans", "sources"])))
}

/// rustup's minimal profile has neither; cargo's own message for that is easy to miss among the output.
fn toolchain_components(workspace: &Workspace) -> Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !answers(workspace.cargo([subcommand, "--version"])) {
            bail!("the toolchain has no {component}: run `rustup component add {component}`");
        }
    }
    Ok(())
}

fn answers(mut command: Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Announces each step and says how long it took.
struct Steps {
    started: Instant,
    passed: u32,
}

impl Steps {
    fn new() -> Self {
        Self { started: Instant::now(), passed: 0 }
    }

    fn step<T>(&mut self, name: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("xtask: {name} …");
        let started = Instant::now();
        let result = work();
        let seconds = started.elapsed().as_secs_f64();
        let verdict = if result.is_ok() { "passed" } else { "FAILED" };
        println!("xtask: {name} {verdict} in {seconds:.1} s");
        self.passed += 1;
        result.context(name)
    }
}
