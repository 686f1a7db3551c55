//! `cargo xtask bench`: pwalk beside the floor of this machine and beside other tools, in one run.
//!
//! Absolute times differ from machine to machine and from hour to hour, so everything that is compared runs
//! interleaved (A B C A B C), and what counts is the ratio of the medians. The floor is our own
//! `bench/floor.c`: system calls and nothing else. Benchmarks are never tests: nothing here passes or fails.

mod copy;
mod diff;
mod find;
mod flat;
mod lab;
mod latency;
mod machine;
mod memory;
mod mount;
mod peers;
mod postgres;
mod python;
mod race;
mod repair;
mod size;
mod table;
mod track;
mod walk;

use anyhow::Result;
use clap::ValueEnum;
use lab::Lab;
use std::path::PathBuf;
use table::Table;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What to measure
    #[arg(value_enum, default_value_t = Suite::All)]
    suite: Suite,
    /// Walk this tree instead of a synthetic one (walk, find, copy, size and python)
    #[arg(long, value_name = "DIR")]
    tree: Option<PathBuf>,
    /// Entries of the synthetic trees (walk, find, flat, size and python); they are kept for the next run
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    entries: u64,
    /// Rounds; the medians over them are compared
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Append the results, with date and machine, to bench/RESULTS.md
    #[arg(long)]
    record: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Suite {
    /// A warm local tree: the floor, pwalk, other tools, and the adaptive default against fixed threads
    Walk,
    /// Searching: names, sizes, behind 1 ms, and stopping early
    Find,
    /// Repairing permissions, as root: a dry run, and 200,000 changes
    Repair,
    /// Copying: small files in memory and on disk, one directory of 100,000 files, one large file
    Copy,
    /// Comparing two scans, and the memory that takes
    Diff,
    /// Catalogs: an unchanged tree scanned again; PostgreSQL: first load, log, merge; digests
    Track,
    /// 10,199 entries behind 1 ms an operation
    Latency,
    /// One directory of many entries: does a second thread help?
    Flat,
    /// Peak memory at 1 and 10 million entries
    Memory,
    /// Bytes an entry of each format
    Size,
    /// The Python package: walks, reports, scans
    Python,
    /// All of them
    All,
}

type Measure = fn(&Lab) -> Result<Vec<Table>>;

const SUITES: &[(Suite, Measure)] = &[
    (Suite::Walk, walk::measure),
    (Suite::Find, find::measure),
    (Suite::Repair, repair::measure),
    (Suite::Copy, copy::measure),
    (Suite::Diff, diff::measure),
    (Suite::Track, track::measure),
    (Suite::Latency, latency::measure),
    (Suite::Flat, flat::measure),
    (Suite::Memory, memory::measure),
    (Suite::Size, size::measure),
    (Suite::Python, python::measure),
];

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let lab = Lab::prepare(arguments)?;
    let mut tables = Vec::new();
    for (suite, measure) in SUITES {
        if arguments.suite == *suite || arguments.suite == Suite::All {
            for table in measure(&lab)? {
                println!("\n{table}");
                tables.push(table);
            }
        }
    }
    if arguments.record {
        let file = machine::record(&lab, &command(arguments), &tables)?;
        println!("appended to {}", file.display());
    }
    Ok(())
}

/// The command as somebody else would type it: without this machine's paths.
fn command(arguments: &Arguments) -> String {
    let suite = arguments.suite.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    let tree = if arguments.tree.is_some() { " --tree T" } else { "" };
    format!("cargo xtask bench {suite}{tree} --entries {} --runs {}", arguments.entries, arguments.runs)
}
