//! `pwalk bench`.

mod table;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use pwalk_bench::{Error, Operation, Options, Results, Step, Watcher, prepare_output, run as measure, write};
use pwalk_engine::Ended;
use serde_json::json;

use crate::Exit;
use crate::args::{ProgressMode, Usage};
use crate::out::{Lines, Out};
use crate::progress::Show;
use crate::report::roots;
use crate::signals::cancel_on_signals;

/// Measure walking and copying on this machine
///
/// Every method is run once to warm up and then --iterations times, method after method, so that a busy minute hits all of them.
#[derive(Args, Debug)]
#[command(
    arg_required_else_help = true,
    after_help = "Examples:
  pwalk bench traversal /data                          how many threads pay
  pwalk bench copy /data/run7 --target /scratch        which strategy is fastest from there to here
  pwalk bench workers /data/run7 --target /scratch     how many workers pay
  pwalk bench pipeline /work --components src,data
  pwalk bench all /data/run7 --iterations 5 --drop-caches --output-dir results

Copies are made in a directory pwalk-bench-… in --target, counted, and removed, also after Ctrl-C; on
ext4 in the end, because it is slow where many files were just removed. Only the run itself is measured, not what the kernel writes to the disk later.
A ratio above 1 is faster than the baseline: one thread. Peak memory is that of the whole process.
Exit codes: 0 all was measured, 1 a method failed, 2 usage, 3 failed, 130 interrupted."
)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// The engine with and without metadata, at 1, 2, 4 … threads, against one thread of readdir
    Traversal {
        /// The directory to walk
        path: PathBuf,
        #[command(flatten)]
        how: HowArgs,
    },
    /// Each strategy of pwalk copy
    Copy {
        /// What to copy
        #[arg(value_name = "SRC")]
        path: PathBuf,
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        how: HowArgs,
    },
    /// Strategy parallel with 1, 2, 4, 8 and 16 workers
    Workers {
        /// What to copy
        #[arg(value_name = "SRC")]
        path: PathBuf,
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        how: HowArgs,
    },
    /// Strategy pipeline against auto and baseline
    Pipeline {
        /// The directory whose sub-directories are copied
        #[arg(value_name = "WORKSPACE")]
        path: PathBuf,
        #[command(flatten)]
        components: ComponentArgs,
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        how: HowArgs,
    },
    /// All of these
    All {
        /// The directory to walk and to copy
        path: PathBuf,
        #[command(flatten)]
        components: ComponentArgs,
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        how: HowArgs,
    },
}

#[derive(Args, Debug)]
struct ComponentArgs {
    /// Only these sub-directories for the pipeline [default: all]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    components: Option<Vec<PathBuf>>,
}

#[derive(Args, Debug)]
struct TargetArgs {
    /// Make the copies in this directory [default: that for temporary files]
    #[arg(long, value_name = "DIR")]
    target: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct HowArgs {
    /// Measure each method so often, after one run to warm up
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u32).range(1..=1000))]
    iterations: u32,
    /// Empty the kernel's caches before each run (root only; slows down the whole machine)
    #[arg(long)]
    drop_caches: bool,
    /// Write the results there, as JSON and as a page with charts
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// The results as JSON on standard output, instead of the table
    #[arg(long)]
    json: bool,
    /// No progress and no table; trouble is still told
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<Exit> {
    let cancel = cancel_on_signals()?;
    let (mut options, how) = options(&args.what);
    options.cancel = cancel;
    let show = Show::new(ProgressMode::Auto, how.quiet);
    show.raise_file_descriptor_limit();
    if let Some(directory) = &how.output_dir {
        prepare_output(directory)?;
    }
    let done = measure(&options, &show);
    show.finish();
    let results = done.map_err(|error| match error {
        Error::Component(_) => anyhow::Error::new(Usage(error.to_string())),
        error => error.into(),
    })?;
    tell(&results, how, &show)
}

fn options(what: &What) -> (Options, &HowArgs) {
    let (operation, path, components, target, how) = match what {
        What::Traversal { path, how } => (Operation::Traversal, path, None, None, how),
        What::Copy { path, target, how } => (Operation::CopyStrategies, path, None, Some(target), how),
        What::Workers { path, target, how } => (Operation::ParallelWorkers, path, None, Some(target), how),
        What::Pipeline { path, components, target, how } => {
            (Operation::Pipeline, path, components.components.as_ref(), Some(target), how)
        }
        What::All { path, components, target, how } => {
            (Operation::All, path, components.components.as_ref(), Some(target), how)
        }
    };
    let top = roots(std::slice::from_ref(path)).pop().unwrap_or_default();
    let options = Options {
        components: components.map(|names| roots(names)),
        target: target.and_then(|target| target.target.clone()),
        iterations: how.iterations,
        drop_caches: how.drop_caches,
        ..Options::new(operation, top)
    };
    (options, how)
}

fn tell(results: &Results, how: &HowArgs, show: &Show) -> anyhow::Result<Exit> {
    let out = Out::new();
    let mut lines = Lines::new(&out);
    if how.json {
        lines.text(&serde_json::to_string_pretty(results)?);
        lines.end();
    } else if !how.quiet {
        lines.text(&table::tables(results));
    }
    lines.flush();
    for section in &results.sections {
        let told = section.methods.iter().flat_map(|row| {
            let failed = row.errors.iter().map(|error| format!("{} FAILED: {error}", row.method));
            failed.chain(row.warnings.iter().map(|warning| format!("{}: {warning}", row.method)))
        });
        for line in section.warnings.iter().cloned().chain(told) {
            show.say(&format!("pwalk: {line}"));
        }
    }
    if let Some(directory) = &how.output_dir {
        let written = write(results, directory)?;
        if !how.quiet {
            show.say(&format!("written: {} and {}", written.json.display(), written.html.display()));
        }
    }
    let ended = if results.interrupted { Ended::Cancelled } else { Ended::Whole };
    out.exit(ended, !results.is_complete())
}

impl Watcher for Show {
    fn tick(&self, step: &Step) {
        self.line(
            step.elapsed,
            || line(step),
            || {
                json!({
                    "event": "progress", "operation": step.operation, "method": step.method, "round": step.round,
                    "rounds": step.rounds, "seconds": step.elapsed.as_secs_f64(),
                })
            },
        );
    }
}

fn line(step: &Step) -> String {
    let round = if step.round == 0 { "warming up".to_owned() } else { format!("{} of {}", step.round, step.rounds) };
    format!("{}  {}  {round}  {:.1} s", step.operation, step.method, step.elapsed.as_secs_f64())
}
