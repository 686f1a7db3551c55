//! Benchmarks of walking and copying, on the machine and the trees at hand.
//!
//! ```text
//!  options ──► methods (walks, copies, the caller's own) ──► rounds ──► results ──► table (cli), JSON, HTML
//! ```
//!
//! * `walks.rs`, `copies.rs`: what is compared, and with which yardstick;
//! * `rounds.rs`: in which order runs are made; `memory.rs`: where peaks of memory come from;
//! * `scratch.rs`: where copies are made and how they are removed; `tally.rs`: whether a copy has everything;
//! * `results.rs`, `files.rs`, `html.rs`, `chart.rs`: what is told of it.
//!
//! A run is measured from its call to its return. What a copy left to the kernel to write is not waited for: with a cold cache on both sides
//! measure with `drop_caches`, which writes everything before each run. Before each copy the target is synced, and after it
//! the copy is counted; neither is measured, nor is removing copies.
//!
//! # JSON
//!
//! [`Results`] is written as one object. Sizes are in bytes, times in seconds, and what is not known is `null`:
//!
//! ```text
//! version 1, operation, date, pwalk, iterations, drop_caches, interrupted,
//! machine: {cores, cpu, kernel, memory},
//! sections: [{
//!   operation, files, directories, bytes, warnings: [text], components: [name] or null,
//!   source: {path, file_system}, target: {path, file_system} or null      (path_bytes: base64, where it is not UTF-8)
//!   methods: [{
//!     method, description, baseline, failed, errors: [text], warnings: [text],
//!     durations: [one for each run], duration (their median), min, max,
//!     file_count, total_size, throughput_mbps (10⁶ bytes), files_per_second,
//!     ratio (the baseline's duration by its own: more is faster), peak_memory, speed_summary
//!   }]
//! }]
//! ```

mod chart;
mod copies;
mod error;
mod files;
mod html;
mod machine;
mod memory;
mod method;
mod options;
mod results;
mod rounds;
mod scratch;
mod stats;
mod tally;
mod walks;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pwalk_ops::path_text;

pub use error::Error;
pub use files::{Written, prepare_output, write};
pub use html::html;
pub use machine::{Machine, Place};
pub use method::{Method, Running, Sample, Step, Watcher};
pub use options::{Operation, Options};
pub use results::{Results, Row, Section, VERSION, seconds};
pub use stats::{Spread, spread};

use copies::Task;
use scratch::Scratch;
use tally::{Tally, tally};

/// Measures what the options say.
///
/// # Errors
/// [`Error`]: what keeps it from being begun or finished. A method that fails is in the results.
pub fn run(options: &Options, watcher: &dyn Watcher) -> Result<Results, Error> {
    if options.drop_caches {
        memory::may_drop_caches()?;
    }
    let path = Path::new(OsStr::from_bytes(&options.path));
    let failed = |why| Error::Path { path: shown(path), why };
    let meta = path.metadata().map_err(failed)?;
    let parts = options.operation.parts();
    let needs_dir = parts.iter().any(|part| matches!(part, Operation::Traversal | Operation::Pipeline));
    if needs_dir && !meta.is_dir() {
        return Err(Error::NotDirectory(shown(path)));
    }
    check_components(path, options)?;
    let mut results = Results {
        version: VERSION,
        operation: options.operation.name(),
        date: jiff::Timestamp::now().to_string(),
        pwalk: env!("CARGO_PKG_VERSION"),
        machine: Machine::here(),
        iterations: options.iterations,
        drop_caches: options.drop_caches,
        interrupted: false,
        sections: Vec::new(),
    };
    let scratch = if parts.iter().any(|part| *part != Operation::Traversal) {
        Some(Arc::new(Scratch::new(&target(options), &path.canonicalize().map_err(failed)?)?))
    } else {
        None
    };
    let measured = measure(&parts, path, options, scratch.as_ref(), watcher);
    if let Some(scratch) = scratch {
        // Whatever came of it.
        scratch.close()?;
    }
    results.sections = measured?;
    results.interrupted = options.cancel.is_cancelled();
    Ok(results)
}

fn target(options: &Options) -> PathBuf {
    options.target.clone().unwrap_or_else(std::env::temp_dir)
}

fn measure(
    parts: &[Operation],
    path: &Path,
    options: &Options,
    scratch: Option<&Arc<Scratch>>,
    watcher: &dyn Watcher,
) -> Result<Vec<Section>, Error> {
    let mut sections = Vec::new();
    for &part in parts {
        if options.cancel.is_cancelled() {
            break;
        }
        sections.push(match scratch {
            Some(scratch) if part != Operation::Traversal => copying(part, path, options, scratch, watcher)?,
            _ => traversal(path, options, watcher)?,
        });
    }
    Ok(sections)
}

#[expect(clippy::disallowed_methods, reason = "shown to people")]
fn shown(path: &Path) -> String {
    format!("{:?}", path.as_os_str().to_string_lossy())
}

fn check_components(path: &Path, options: &Options) -> Result<(), Error> {
    for name in options.components.iter().flatten() {
        let is_name = !name.is_empty() && !name.contains(&b'/') && !matches!(name.as_slice(), b"." | b"..");
        if !is_name || !path.join(OsStr::from_bytes(name)).symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
            return Err(Error::Component(path_text(name).0.into_owned()));
        }
    }
    Ok(())
}

/// Who is told while the tree is counted.
fn counting<'a>(operation: Operation, options: &'a Options, watcher: &'a dyn Watcher) -> Running<'a> {
    let method = "counting the tree".to_owned();
    let step =
        Step { operation: operation.name(), method, round: 0, rounds: options.iterations, elapsed: Duration::ZERO };
    Running { step, begun: Instant::now(), watcher, cancel: &options.cancel }
}

fn traversal(path: &Path, options: &Options, watcher: &dyn Watcher) -> Result<Section, Error> {
    let walk = pwalk_engine::Options {
        snapshots: pwalk_engine::Snapshots::Include,
        cancel: options.cancel.clone(),
        ..pwalk_engine::Options::default()
    };
    // With a slash behind it a link is what it leads to.
    let top = path.canonicalize().map_err(|why| Error::Path { path: shown(path), why })?;
    let there = tally(&[top.as_os_str().as_bytes().to_vec()], &walk, &counting(Operation::Traversal, options, watcher));
    let mut methods = walks::walks(&options.path, pwalk_fs::cores().count);
    methods.extend(options.walks.iter().cloned());
    let measured = rounds::measure(&methods, Operation::Traversal.name(), options, watcher)?;
    let counts: Vec<u64> = measured
        .iter()
        .filter(|one| one.sample.errors.is_empty() && !one.durations.is_empty())
        .map(|one| one.sample.count)
        .collect();
    let mut warnings = Vec::new();
    if counts.windows(2).any(|pair| pair[0] != pair[1]) {
        warnings.push("not all methods saw as many entries: something changed the tree meanwhile".to_owned());
    }
    Ok(section(Operation::Traversal, path, there, warnings, results::rows(&methods, &measured, there.bytes)))
}

fn copying(
    part: Operation,
    path: &Path,
    options: &Options,
    scratch: &Arc<Scratch>,
    watcher: &dyn Watcher,
) -> Result<Section, Error> {
    let source = path.canonicalize().map_err(|why| Error::Path { path: shown(path), why })?;
    let components = options.components.clone().filter(|_| part == Operation::Pipeline);
    let source_bytes = source.as_os_str().as_bytes().to_vec();
    let roots = Task::roots(&source_bytes, components.as_deref());
    let walk = pwalk_engine::Options { cancel: options.cancel.clone(), ..pwalk_engine::Options::default() };
    let mut there = tally(&roots, &walk, &counting(part, options, watcher));
    if components.is_some() {
        // In the copy these are entries of a directory.
        there.dirs += u64::try_from(roots.len()).unwrap_or(u64::MAX);
    }
    scratch.make_room(&there)?;
    scratch.check_room(&there)?;
    let task = Arc::new(Task { source: source_bytes, components, there, scratch: Arc::clone(scratch) });
    let methods = match part {
        Operation::ParallelWorkers => copies::by_workers(&task),
        Operation::Pipeline => copies::by_components(&task),
        _ => copies::by_strategy(&task),
    };
    let measured = rounds::measure(&methods, part.name(), options, watcher)?;
    let rows = results::rows(&methods, &measured, there.bytes);
    let components = task.components.as_ref();
    let names = components.map(|names| names.iter().map(|name| path_text(name).0.into_owned()).collect());
    let target = target(options);
    let target = target.canonicalize().unwrap_or(target);
    Ok(Section { target: Some(Place::of(&target)), components: names, ..section(part, path, there, Vec::new(), rows) })
}

fn section(part: Operation, path: &Path, there: Tally, warnings: Vec<String>, methods: Vec<Row>) -> Section {
    Section {
        operation: part.name(),
        source: Place::of(path),
        target: None,
        components: None,
        files: there.files,
        directories: there.dirs,
        bytes: there.bytes,
        warnings,
        methods,
    }
}
