//! The results as one page that needs nothing else: style and charts are in it, and no script.
//!
//! It is well-formed XML as well, so that any XML parser can check it.

use crate::chart::chart;
use crate::results::{Results, Row, Section, seconds};

/// The page.
pub fn html(results: &Results) -> String {
    let title = format!("pwalk bench {}", heading(results.operation).to_lowercase());
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
        <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>{0}</title>\n\
        <style>\n{1}</style>\n</head>\n<body>\n<h1>{0}</h1>\n",
        escape(&title),
        include_str!("page.css")
    );
    if results.interrupted {
        page += "<p class=\"bad\">Interrupted: not everything was measured.</p>\n";
    }
    page += &about(results);
    for section in &results.sections {
        page += &part(section);
    }
    page += "</body>\n</html>\n";
    page
}

/// Text as it may stand between tags and in attributes. What no XML may hold is written as an escape.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            '\n' => out.push('\n'),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// What a section is called.
pub(crate) fn heading(operation: &str) -> &str {
    match operation {
        "traversal" => "Traversal",
        "copy_strategies" => "Copy strategies",
        "parallel_workers" => "Parallel workers",
        "pipeline" => "Pipeline",
        "all" => "All",
        other => other,
    }
}

/// Machine, date and options.
fn about(results: &Results) -> String {
    let machine = &results.machine;
    let cores =
        format!("{}{}", machine.cores, machine.cpu.as_ref().map_or_else(String::new, |cpu| format!(" × {cpu}")));
    let unknown = || "unknown".to_owned();
    let caches = if results.drop_caches { "caches emptied before each run" } else { "warm caches" };
    let runs = if results.iterations == 1 { "1 run".to_owned() } else { format!("{} runs", results.iterations) };
    let facts = [
        ("Date", results.date.clone()),
        ("pwalk", results.pwalk.to_owned()),
        ("Kernel", machine.kernel.clone().unwrap_or_else(unknown)),
        ("Cores", cores),
        ("Memory", machine.memory.map_or_else(unknown, size)),
        ("Runs", format!("{runs} of each method after one that warms up, method after method; {caches}")),
    ];
    let lines = facts.iter().map(|(name, value)| format!("<dt>{name}</dt><dd>{}</dd>\n", escape(value)));
    format!("<dl>\n{}</dl>\n", lines.collect::<String>())
}

fn part(section: &Section) -> String {
    let title = heading(section.operation);
    let place = |place: &crate::Place| {
        let file_system = place.file_system.as_ref().map_or_else(String::new, |name| format!(" ({name})"));
        format!("{}{file_system}", place.path)
    };
    let mut of = place(&section.source);
    if let Some(target) = &section.target {
        of += &format!(" to {}", place(target));
    }
    if let Some(components) = &section.components {
        of += &format!("; only {}", components.join(", "));
    }
    let there = format!(
        "{} files, {} directories, {}",
        grouped(section.files),
        grouped(section.directories),
        size(section.bytes)
    );
    format!(
        "<h2>{}</h2>\n<p>{}<br/>{there}</p>\n{}{}{}",
        escape(title),
        escape(&of),
        chart(title, &section.methods),
        table(section),
        notes(section)
    )
}

fn table(section: &Section) -> String {
    let is_copy = section.target.is_some();
    let (rate, things) = if is_copy { ("<th>MB/s</th>", "Files/s") } else { ("", "Entries/s") };
    let mut out = format!(
        "<div class=\"wide\"><table>\n<thead><tr><th>Method</th><th>Median</th><th>Min – max</th>{rate}<th>{things}</th>\
        <th>× baseline</th><th>Peak memory</th></tr></thead>\n<tbody>\n"
    );
    for row in &section.methods {
        out += &line(row, is_copy);
    }
    out + "</tbody>\n</table></div>\n"
}

fn line(row: &Row, is_copy: bool) -> String {
    let name = format!("<td title=\"{}\">{}</td>", escape(&row.description), escape(&row.method));
    let Some(times) = row.spread() else {
        let what = if row.failed { "<td class=\"bad\">FAILED</td>" } else { "<td>–</td>" };
        return format!("<tr>{name}{what}{}</tr>\n", "<td>–</td>".repeat(if is_copy { 5 } else { 4 }));
    };
    let whole = |number: Option<f64>| number.map_or_else(|| "–".to_owned(), rounded);
    let rate = if is_copy { format!("<td>{}</td>", whole(row.throughput_mbps)) } else { String::new() };
    format!(
        "<tr>{name}<td>{}</td><td>{} – {}</td>{rate}<td>{}</td><td>{}</td><td>{}</td></tr>\n",
        seconds(times.median),
        seconds(times.min),
        seconds(times.max),
        whole(row.files_per_second),
        row.ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}")),
        row.peak_memory.map_or_else(|| "–".to_owned(), size)
    )
}

/// Errors and warnings.
fn notes(section: &Section) -> String {
    let mut lines: Vec<String> = section.warnings.iter().map(|warning| escape(warning)).collect();
    for row in &section.methods {
        let name = escape(&row.method);
        lines.extend(row.warnings.iter().map(|warning| format!("{name}: {}", escape(warning))));
        let errors = row.errors.iter();
        lines.extend(errors.map(|error| format!("<span class=\"bad\">{name} failed</span>: {}", escape(error))));
    }
    if lines.is_empty() {
        return String::new();
    }
    let items: String = lines.iter().map(|line| format!("<li>{line}</li>\n")).collect();
    format!("<ul class=\"notes\">\n{items}</ul>\n")
}

/// With separators: `1,000,044`.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A rate, with separators and without what nobody reads.
fn rounded(number: f64) -> String {
    if number < 10.0 {
        return format!("{number:.1}");
    }
    let text = format!("{number:.0}");
    text.parse().map_or(text, grouped)
}

/// Binary units: `634.6 MiB`.
#[expect(clippy::cast_precision_loss, reason = "shown")]
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_be_markup() {
        assert_eq!(escape("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
        assert_eq!(escape("a\u{1b}[2J\0é"), "a\\u{1b}[2J\\u{0}é");
    }

    #[test]
    fn numbers_are_for_people() {
        assert_eq!([rounded(0.34), rounded(99.6), rounded(1_234_567.8)], ["0.3", "100", "1,234,568"]);
        assert_eq!([size(0), size(1536), size(3 << 30)], ["0 B", "1.5 KiB", "3.0 GiB"]);
    }
}
