//! `pwalk find`, and `pfind` with an expression: find's language, run in parallel.
//!
//! The arguments are find's own and are read by its own parser, not by clap, which would take `-name` for `-n -a -m -e`. What
//! clap knows of the command is for help, completions and the manual page.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

use clap::{Args, Command};
use pwalk_engine::Ended;
use pwalk_find::parse::{Error, parse};
use pwalk_find::program::{Deed, compile};
use pwalk_find::roots::Roots;
use pwalk_find::run::{Io, Summary, run};
use signal_hook::low_level::emulate_default_handler;

use crate::Exit;
use crate::human::say;
use crate::signals::noted_signals;

/// How `pwalk find` is shown in help and manual pages.
#[derive(Args, Debug)]
#[command(after_help = HELP, override_usage = "pwalk find [-H|-L|-P] [PATH]... [EXPRESSION]")]
pub(crate) struct FindArgs {
    /// Starting points (the current directory if there are none), then an expression (-print if there is none)
    #[arg(value_name = "PATH|EXPRESSION", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

const HELP: &str = "\
The language is GNU find's; what it means stands in find(1).

Operators, from tight to loose:
  ( EXPR )  ! EXPR  -not EXPR  EXPR [-a|-and] EXPR  EXPR -o|-or EXPR  EXPR , EXPR
Options:
  -daystart -depth -d -follow -files0-from FILE -ignore_readdir_race -maxdepth N -mindepth N
  -mount -xdev -noleaf -nowarn -warn -regextype TYPE
Tests (N: exactly; +N: more; -N: less):
  -amin N -anewer FILE -atime N -cmin N -cnewer FILE -ctime N -empty -executable -false
  -fstype TYPE -gid N -group NAME -ilname GLOB -iname GLOB -inum N -ipath GLOB -iregex EXPR
  -links N -lname GLOB -mmin N -mtime N -name GLOB -newer FILE -newerXY REFERENCE -nogroup
  -nouser -path GLOB -perm [-|/]MODE -readable -regex EXPR -samefile FILE -size N[bcwkMG]
  -true -type [bcdpfls],... -uid N -used N -user NAME -wholename GLOB -writable -xtype TYPES
Actions:
  -delete -exec COMMAND ; -exec COMMAND {} + -execdir COMMAND ; -execdir COMMAND {} +
  -fls FILE -fprint FILE -fprint0 FILE -fprintf FILE FORMAT -ls -ok COMMAND ; -okdir COMMAND ;
  -print -print0 -printf FORMAT -prune -quit
Besides GNU find's:
  -threads N        so many workers instead of as many as pay
  -exec-parallel N  so many commands of -exec at once (needs -threads)
  -s                sorted: each directory's entries by name, what is in one right after it
  -json, -fjson FILE  one JSON object a line, with all metadata; no name is lost
  -snapshots        snapshot directories too (.snapshot; .zfs and .snapshots where they are)

Examples:
  pwalk find /data -name '*.bam' -size +1G
  pwalk find /data -type f -mtime +730 -printf '%s\\t%u\\t%p\\n'
  pwalk find /scratch -user ann -newermt '2 weeks ago' -json
  pwalk find . -name .git -prune -o -type f -print0 | xargs -0 wc -l
  pwalk find /tmp/build -name '*.o' -delete
  pwalk find /data -threads 16 -exec-parallel 8 -name '*.csv' -exec gzip {} \\;

Without -s the order is unspecified. Control characters in names are shown as ? on a terminal; a
pipe gets the bytes. Exit codes: 0 all was well, 1 after any error or mistake; a signal ends it as
it ends find, which a shell shows as 130 after Ctrl-C.";

/// Runs find with these arguments (the program's name not among them) and returns the exit code. `program`: as it names
/// itself in messages.
pub(crate) fn main(program: &'static str, arguments: &[OsString], mut command: Command) -> u8 {
    let arguments: Vec<&[u8]> = arguments.iter().map(|argument| argument.as_bytes()).collect();
    let told = match find(program, &arguments) {
        Ok(exit) => return exit as u8,
        Err(Ending::Failed(message)) => {
            message.lines().for_each(|line| say(format_args!("{program}: {line}")));
            return Exit::Partial as u8;
        }
        Err(Ending::Asked(Error::Version)) => {
            writeln!(std::io::stdout(), "{program} {}", env!("CARGO_PKG_VERSION"))
        }
        Err(Ending::Asked(_)) => command.print_help(),
    };
    if told.is_ok() { Exit::Complete as u8 } else { Exit::Partial as u8 }
}

/// Why there is nothing to be found.
enum Ending {
    /// Help or the version was asked for.
    Asked(Error),
    /// What is wrong.
    Failed(String),
}

impl<E: std::error::Error> From<E> for Ending {
    fn from(error: E) -> Self {
        Self::Failed(error.to_string())
    }
}
fn find(program: &'static str, arguments: &[&[u8]]) -> Result<Exit, Ending> {
    let (query, doubts) = parse(arguments).map_err(|error| match error {
        Error::Help | Error::Version => Ending::Asked(error),
        wrong => wrong.into(),
    })?;
    let ready = compile(&query, SystemTime::now())?;
    // What is odd is told to people, not to scripts.
    let warns = ready.settings.warn.unwrap_or_else(|| std::io::stdin().is_terminal());
    doubts.iter().filter(|_| warns).for_each(|doubt| say(format_args!("{program}: warning: {doubt}")));
    ready.warnings.iter().for_each(|warning| say(format_args!("{program}: warning: {warning}")));
    let roots = Roots::new(&query, &ready)?;
    roots.errors.iter().for_each(|error| say(format_args!("{program}: {error}")));
    if !ready.actions.iter().any(|deed| matches!(deed, Deed::Exec(_))) {
        // Commands would inherit it. What holds now is enough, only slower.
        pwalk_fs::raise_file_descriptor_limit().unwrap_or(0);
    }
    let (cancel, signal) = noted_signals()?;
    let io = Io {
        standard: Box::new(std::io::stdout()),
        terminal: std::io::stdout().is_terminal(),
        tell: Box::new(move |message| say(format_args!("{program}: {message}"))),
        cancel,
    };
    let summary = run(ready, roots.paths, io)?;
    if warns && summary.snapshots > 0 {
        say(format_args!(
            "{program}: warning: left out {} snapshot directories; -snapshots reads them",
            summary.snapshots
        ));
    }
    if summary.ended == Ended::Cancelled
        && let Ok(signal @ 1..) = i32::try_from(signal.load(Relaxed))
    {
        // A shell script stops only if the program that it runs dies by the signal, as find does. Where that fails, 130 says it.
        emulate_default_handler(signal).unwrap_or_default();
    }
    Ok(exit(&summary, !roots.errors.is_empty()))
}

fn exit(summary: &Summary, bad_roots: bool) -> Exit {
    match summary.ended {
        Ended::Cancelled => Exit::Interrupted,
        Ended::Hung => Exit::Partial,
        _ if bad_roots || summary.errors > 0 || summary.command_failed || summary.reader_gone => Exit::Partial,
        _ => Exit::Complete,
    }
}
