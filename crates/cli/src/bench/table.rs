//! What was measured, as tables on the terminal.

use pwalk_bench::{Results, Row, Section, seconds};

use crate::human::{bytes, count, plural};

/// All tables, a blank line between them.
pub(super) fn tables(results: &Results) -> String {
    results.sections.iter().map(table).collect::<Vec<_>>().join("\n")
}

fn table(section: &Section) -> String {
    let place = |place: &pwalk_bench::Place| {
        let path = crate::human::shown(place.path.as_bytes());
        place.file_system.as_ref().map_or_else(|| path.clone(), |name| format!("{path} ({name})"))
    };
    let mut title = format!("{}: {}", section.operation, place(&section.source));
    if let Some(target) = &section.target {
        title += &format!(" to {}", place(target));
    }
    let there = format!(
        "{}, {}, {}",
        plural(section.files, "file", "files"),
        plural(section.directories, "directory", "directories"),
        bytes(section.bytes)
    );
    let is_copy = section.target.is_some();
    let head =
        ["Method", "Median", "Min-max", "MB/s", if is_copy { "Files/s" } else { "Entries/s" }, "Ratio", "Memory"];
    let mut cells = vec![head.map(str::to_owned)];
    cells.extend(section.methods.iter().map(line));
    // Nobody reads the files of a tree that is walked.
    let columns: Vec<usize> = (0..head.len()).filter(|column| is_copy || *column != 3).collect();
    let widths = head
        .iter()
        .enumerate()
        .map(|(column, _)| cells.iter().map(|line| line[column].chars().count()).max().unwrap_or(0));
    let widths: Vec<usize> = widths.collect();
    let mut out = format!("{title}\n{there}\n");
    for line in &cells {
        let mut text = String::new();
        for &column in &columns {
            let (cell, width) = (&line[column], widths[column]);
            text += &if column == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") };
        }
        out += text.trim_end();
        out.push('\n');
    }
    out
}

fn line(row: &Row) -> [String; 7] {
    let name = row.method.clone();
    let nothing = || "-".to_owned();
    let Some(times) = row.spread() else {
        let what = if row.failed { "FAILED".to_owned() } else { nothing() };
        return [name, what, nothing(), nothing(), nothing(), nothing(), nothing()];
    };
    [
        name,
        seconds(times.median),
        format!("{} - {}", seconds(times.min), seconds(times.max)),
        row.throughput_mbps.map_or_else(nothing, rounded),
        row.files_per_second.map_or_else(nothing, rounded),
        row.ratio.map_or_else(nothing, |ratio| format!("{ratio:.2}x")),
        row.peak_memory.map_or_else(nothing, bytes),
    ]
}

fn rounded(rate: f64) -> String {
    if rate < 10.0 {
        return format!("{rate:.1}");
    }
    let text = format!("{rate:.0}");
    text.parse().map_or(text, count)
}
