//! Promise: `pwalk find` and `pfind` find what GNU find finds, whatever the expression, and do what it does.

mod actions;
mod differential;
mod expressions;
mod outputs;
mod trees;

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::{PWALK, Ran, run};

/// A program with these arguments in this directory. The locale is one in which GNU find knows UTF-8.
fn command<A: AsRef<OsStr>>(program: &str, at: &Path, arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(at).env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    command
}

fn pfind<A: AsRef<OsStr>>(at: &Path, arguments: impl IntoIterator<Item = A>) -> Ran {
    run(&mut command(env!("CARGO_BIN_EXE_pfind"), at, arguments))
}

fn pwalk_find<A: AsRef<OsStr>>(at: &Path, arguments: impl IntoIterator<Item = A>) -> Ran {
    run(command(PWALK, at, ["find"]).args(arguments))
}

fn gnu<A: AsRef<OsStr>>(at: &Path, arguments: impl IntoIterator<Item = A>) -> Ran {
    run(&mut command("find", at, arguments))
}

/// Records in order, so that two outputs in different orders compare; as text that can be read when they do not.
fn sorted(bytes: &[u8], end: u8) -> Vec<String> {
    let mut records: Vec<String> =
        bytes.split_inclusive(|byte| *byte == end).map(|record| record.escape_ascii().to_string()).collect();
    records.sort_unstable();
    records
}

/// What was complained of: messages without the program's name, with plain quotes, in order.
fn complaints(program: &str, ran: &Ran) -> Vec<String> {
    let plain = ran.stderr.replace(['\u{2018}', '\u{2019}'], "'");
    let mut lines: Vec<String> = plain
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| line.strip_prefix(program).unwrap_or(line).trim_start_matches(": ").to_owned())
        .collect();
    lines.sort_unstable();
    lines
}
