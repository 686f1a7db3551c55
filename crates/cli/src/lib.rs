//! The `pwalk` command: arguments become options, a library runs, its result becomes words and an exit code.
//!
//! It is a library, so that the Python package can run it in its own process.
//!
//! Exit codes: 0 complete, 1 finished but PARTIAL, 2 usage, 3 failed, 130 interrupted.

mod args;
mod bench;
mod copy;
mod diff;
mod docs;
mod find;
mod human;
mod legacy;
mod listing;
mod out;
mod pfind;
mod progress;
mod repair;
mod report;
mod signals;
mod track;
mod walk;

use std::ffi::OsString;

use clap::{CommandFactory, Parser};

use args::{Cli, Command};
use human::say;

pub use pfind::main as pfind;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Complete = 0,
    Partial = 1,
    Usage = 2,
    Failed = 3,
    Interrupted = 130,
}

/// Runs the command with these arguments, the program's name first, and returns its exit code.
pub fn main(arguments: &[OsString]) -> u8 {
    // Before clap, which cannot read find's language.
    if let [_, name, rest @ ..] = arguments
        && name == "find"
    {
        let command = Cli::command().find_subcommand("find").cloned().unwrap_or_default();
        return find::main("pwalk find", rest, command);
    }
    let ran = match Cli::command().find_subcommand(arguments.get(1).map_or("".as_ref(), |a| a.as_os_str())) {
        None if legacy::is_meant(arguments) => legacy::run(arguments),
        _ => match Cli::try_parse_from(arguments) {
            Ok(cli) => dispatch(cli.command),
            Err(told) => {
                let exit = refused(&told);
                if told.kind() == clap::error::ErrorKind::InvalidSubcommand {
                    say(format_args!("\nNor is there a file or directory of that name here."));
                }
                return exit;
            }
        },
    };
    ended("pwalk", ran)
}

/// Says what clap has to say, and returns the exit code. Help goes to standard output and is no failure; where neither can be
/// written nobody can be told.
fn refused(told: &clap::Error) -> u8 {
    let shown = told.print().is_ok();
    if told.exit_code() == 0 && shown { Exit::Complete as u8 } else { Exit::Usage as u8 }
}

/// The exit code of a run, whose error is told.
fn ended(program: &str, ran: anyhow::Result<Exit>) -> u8 {
    let exit = ran.unwrap_or_else(|error| {
        say(format_args!("{program}: {error:#}"));
        if error.is::<args::Usage>() { Exit::Usage } else { Exit::Failed }
    });
    exit as u8
}

fn dispatch(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Report(args) => report::run(&args),
        Command::Walk(args) => walk::run(&args),
        Command::Repair(args) => repair::run(&args),
        Command::Copy(args) => copy::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Track(args) => track::run(&args),
        Command::Bench(args) => bench::run(&args),
        // Never parsed: see `main`.
        Command::Find(_) => Ok(Exit::Usage),
        Command::Completions { shell } => docs::completions(shell),
        Command::Man { directory } => docs::man(directory.as_deref()),
    }
}
