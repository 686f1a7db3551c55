//! `cargo xtask`: what a contributor runs, and what the machines run for him.
//!
//! * `cargo xtask test` – everything that must hold before a commit is shared ([`steps`]);
//! * `cargo xtask bench` – side-by-side measurements, never a test ([`mod@bench`]);
//! * `cargo xtask wheel` – the Python wheels for the package index ([`wheel`]);
//! * `cargo xtask mktree` – the reproducible tree that the measurements walk ([`mktree`]).
//!
//! It is Rust and not shell so that a clean clone needs nothing but the toolchain that builds pwalk; what else
//! the tests need, [`system`] and [`python`] provide or name.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal: printing is its output")]

mod bench;
mod mktree;
mod pytest;
mod python;
mod steps;
mod system;
mod wheel;
mod workspace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Test and measure pwalk")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Provide what the tests need, then format check, lints, release build, tests, docs and licences
    Test(steps::Arguments),
    /// Measure pwalk side by side with the floor of this machine and with other tools
    Bench(bench::Arguments),
    /// Build the Python wheels for the package index, and the source archive
    Wheel(wheel::Arguments),
    /// Make a reproducible synthetic tree
    Mktree(mktree::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Test(arguments) => steps::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Wheel(arguments) => wheel::run(&arguments),
        Task::Mktree(arguments) => mktree::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
