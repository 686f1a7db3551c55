//! What was measured, as it is written to JSON. Keys are stable: new ones may come, none goes.

use serde::Serialize;

use crate::machine::{Machine, Place};
use crate::method::Method;
use crate::rounds::Measured;
use crate::stats::{Spread, per_second, spread};

/// The version of the form of the results.
pub const VERSION: u32 = 1;
/// Bytes of a megabyte, as rates are given.
const MEGA: f64 = 1e6;

/// What a benchmark came to.
#[derive(Clone, Debug, Serialize)]
pub struct Results {
    /// [`VERSION`].
    pub version: u32,
    /// What was asked for: `all`.
    pub operation: &'static str,
    /// When it began, as RFC 3339 has it.
    pub date: String,
    /// The version of pwalk.
    pub pwalk: &'static str,
    /// Where it was measured.
    pub machine: Machine,
    /// How often each method was measured.
    pub iterations: u32,
    /// Whether the caches were emptied before each run.
    pub drop_caches: bool,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// One for each thing that was measured.
    pub sections: Vec<Section>,
}

impl Results {
    /// Whether all was measured and nothing failed.
    pub fn is_complete(&self) -> bool {
        !self.interrupted && self.sections.iter().flat_map(|section| &section.methods).all(|row| row.errors.is_empty())
    }
}

/// Ways to do one thing.
#[derive(Clone, Debug, Serialize)]
pub struct Section {
    /// `traversal`, `copy_strategies`, `parallel_workers` or `pipeline`.
    pub operation: &'static str,
    /// The tree.
    pub source: Place,
    /// Where the copies were made.
    pub target: Option<Place>,
    /// Which sub-directories were copied; none if all was.
    pub components: Option<Vec<String>>,
    /// Names in the tree that are no directories.
    pub files: u64,
    /// Directories in it.
    pub directories: u64,
    /// Bytes of the regular files in it.
    pub bytes: u64,
    /// What should be known before the numbers are believed.
    pub warnings: Vec<String>,
    /// The methods, as they were run.
    pub methods: Vec<Row>,
}

/// One way.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub method: String,
    /// What it does.
    pub description: String,
    /// What it is compared with.
    pub baseline: Option<String>,
    /// Whether it did not do all of its work.
    pub failed: bool,
    /// Seconds of each run.
    pub durations: Vec<f64>,
    /// The median, in seconds.
    pub duration: Option<f64>,
    /// The least, in seconds.
    pub min: Option<f64>,
    /// The most, in seconds.
    pub max: Option<f64>,
    /// Files that were copied; in `traversal` entries that were seen, the top among them.
    pub file_count: u64,
    /// Bytes that were copied; in `traversal` those of the files that were seen, though nobody read them.
    pub total_size: u64,
    /// Megabytes (of 1,000,000 bytes) a second.
    pub throughput_mbps: Option<f64>,
    /// Files a second.
    pub files_per_second: Option<f64>,
    /// How many times as fast as the baseline.
    pub ratio: Option<f64>,
    /// The most memory of the whole process in any run, in bytes; none where `/proc` does not say.
    pub peak_memory: Option<u64>,
    /// What was not done.
    pub errors: Vec<String>,
    /// What was done otherwise than it was asked for.
    pub warnings: Vec<String>,
    /// All of it in a line.
    pub speed_summary: String,
}

impl Row {
    /// The spread of its times.
    pub fn spread(&self) -> Option<Spread> {
        spread(&self.durations)
    }

    fn new(method: &dyn Method, measured: &Measured, bytes: u64) -> Self {
        let (sample, times) = (&measured.sample, spread(&measured.durations));
        let failed = !sample.errors.is_empty();
        // What failed was not done in whatever time it took.
        let times = times.filter(|_| !failed);
        let size = sample.bytes.unwrap_or(bytes);
        Self {
            method: method.name().to_owned(),
            description: method.description().to_owned(),
            baseline: method.baseline().map(str::to_owned),
            failed,
            durations: if failed { Vec::new() } else { measured.durations.clone() },
            duration: times.map(|times| times.median),
            min: times.map(|times| times.min),
            max: times.map(|times| times.max),
            file_count: sample.count,
            total_size: size,
            throughput_mbps: times.and_then(|times| per_second(size, times.median)).map(|rate| rate / MEGA),
            files_per_second: times.and_then(|times| per_second(sample.count, times.median)),
            ratio: None,
            peak_memory: measured.peak.filter(|_| !failed),
            errors: sample.errors.clone(),
            warnings: sample.warnings.clone(),
            speed_summary: String::new(),
        }
    }

    fn summary(&self) -> String {
        let Some(times) = self.spread() else {
            let why = self.errors.first().map_or("not measured", String::as_str);
            return format!("{}: {}{why}", self.method, if self.failed { "FAILED: " } else { "" });
        };
        let ratio = match (&self.baseline, self.ratio) {
            (Some(baseline), Some(ratio)) if *baseline != self.method => format!(", {ratio:.2}x {baseline}"),
            _ => String::new(),
        };
        let rate = |rate: Option<f64>, what: &str| rate.map_or_else(String::new, |rate| format!(", {rate:.0} {what}"));
        format!(
            "{}: {} ({} to {}){}{}{ratio}",
            self.method,
            seconds(times.median),
            seconds(times.min),
            seconds(times.max),
            rate(self.throughput_mbps, "MB/s"),
            rate(self.files_per_second, "files/s"),
        )
    }
}

/// The rows of methods that were measured.
pub(crate) fn rows(methods: &[std::sync::Arc<dyn Method>], measured: &[Measured], bytes: u64) -> Vec<Row> {
    let each = methods.iter().zip(measured);
    let mut rows: Vec<Row> = each.map(|(method, measured)| Row::new(method.as_ref(), measured, bytes)).collect();
    let durations: Vec<_> = rows.iter().map(|row| (row.method.clone(), row.duration)).collect();
    for row in &mut rows {
        let of =
            |name: &String| durations.iter().find(|(method, _)| method == name).and_then(|(_, duration)| *duration);
        let (baseline, own) = (row.baseline.as_ref().and_then(of), row.duration.filter(|own| *own > 0.0));
        row.ratio = baseline.zip(own).map(|(baseline, own)| baseline / own);
        row.speed_summary = row.summary();
    }
    rows
}

/// Seconds as people read them: `1.234 s`, `12.3 ms`.
pub fn seconds(seconds: f64) -> String {
    match seconds {
        s if s >= 100.0 => format!("{s:.0} s"),
        s if s >= 10.0 => format!("{s:.1} s"),
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 0.1 => format!("{:.0} ms", s * 1e3),
        s if s >= 0.001 => format!("{:.1} ms", s * 1e3),
        s => format!("{:.0} µs", s * 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_unit_that_suits_them() {
        let shown = [321.4, 12.34, 1.234, 0.4321, 0.012_34, 0.000_123].map(seconds);
        assert_eq!(shown, ["321 s", "12.3 s", "1.23 s", "432 ms", "12.3 ms", "123 µs"]);
    }
}
