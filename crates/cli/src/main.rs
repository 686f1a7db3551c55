//! The `pwalk` command: arguments become options, a library runs, its result becomes words and an exit code.
//!
//! Exit codes: 0 complete, 1 finished but PARTIAL, 2 usage, 3 failed, 130 interrupted.

mod args;
mod docs;
mod human;
mod legacy;
mod progress;
mod report;
mod signals;
mod walk;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command};

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Complete = 0,
    Partial = 1,
    Usage = 2,
    Failed = 3,
    Interrupted = 130,
}

#[expect(clippy::print_stderr, reason = "this is the command line")]
fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let ran = match Cli::command().find_subcommand(arguments.get(1).map_or("".as_ref(), |a| a.as_os_str())) {
        None if legacy::is_meant(&arguments) => legacy::run(&arguments),
        _ => dispatch(Cli::parse_from(&arguments).command),
    };
    let exit = ran.unwrap_or_else(|error| {
        eprintln!("pwalk: {error:#}");
        if error.is::<args::Usage>() { Exit::Usage } else { Exit::Failed }
    });
    ExitCode::from(exit as u8)
}

fn dispatch(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Report(args) => report::run(&args),
        Command::Walk(args) => walk::run(&args),
        Command::Completions { shell } => docs::completions(shell),
        Command::Man { directory } => docs::man(directory.as_deref()),
    }
}
