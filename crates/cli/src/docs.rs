//! Completions and manual pages, from the same definitions as the help.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;

use crate::Exit;
use crate::args::Cli;
use crate::pfind::FindArgs;

pub(crate) fn completions(shell: clap_complete::Shell) -> anyhow::Result<Exit> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "pwalk", &mut text);
    std::io::stdout().write_all(&text).context("cannot write to standard output")?;
    Ok(Exit::Complete)
}

pub(crate) fn man(directory: Option<&Path>) -> anyhow::Result<Exit> {
    if let Some(directory) = directory {
        let place = || format!("cannot write manual pages to {}", directory.display());
        std::fs::create_dir_all(directory).with_context(place)?;
        clap_mangen::generate_to(Cli::command(), directory).with_context(place)?;
        clap_mangen::generate_to(FindArgs::command(), directory).with_context(place)?;
        return Ok(Exit::Complete);
    }
    let mut text = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut text).context("cannot make the manual page")?;
    std::io::stdout().write_all(&text).context("cannot write to standard output")?;
    Ok(Exit::Complete)
}
