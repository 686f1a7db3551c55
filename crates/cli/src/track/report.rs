//! `pwalk track report`: changes, counted.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use pwalk_engine::Ended;
use pwalk_scan::{Output, Target, path_text};
use pwalk_track::{ChangeFilter, Group, Period, Report, ReportOptions, ReportRow, Since, known_path};
use serde_json::{Map, Value, json};

use super::{CatalogArgs, since};
use crate::Exit;
use crate::human::{bytes, count, shown};
use crate::out::{Lines, Out};

/// Count changes by day or week, and by directory, user, group or extension
///
/// Growth is what was added and what changed files grew by, less what was removed. Directories' own sizes do not count. What moved or has
/// another owner is less there and more here; but what is in a directory that moved is not told of, and stays where it was. Days are those of this machine.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  pwalk track report --daily
  pwalk track report --since 30d --by dir --depth 2
  pwalk track report --weekly --by user --format html -o growth.html")]
pub(super) struct ReportArgs {
    /// A row for each day
    #[arg(long, conflicts_with = "weekly")]
    daily: bool,
    /// A row for each week, from Monday
    #[arg(long)]
    weekly: bool,
    /// Only what changed after this run, or after this time: 12, 30d, 2026-01-31
    #[arg(long, value_name = "RUN|TIME", value_parser = since)]
    since: Option<Since>,
    /// A row for each of these
    #[arg(long, value_enum)]
    by: Option<By>,
    /// With --by dir: how many levels below the scanned directory
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    depth: u32,
    /// Only what is at this path and below it
    #[arg(long, value_name = "SUBTREE")]
    path: Option<PathBuf>,
    /// How it is written
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Write it to a file instead of standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: OsString,
    #[command(flatten)]
    catalog: CatalogArgs,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum By {
    Dir,
    User,
    Group,
    Extension,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum Format {
    Table,
    Csv,
    Json,
    /// A page that needs nothing else
    Html,
}

pub(super) fn run(args: &ReportArgs) -> anyhow::Result<Exit> {
    let options = ReportOptions {
        filter: ChangeFilter {
            after: args.since,
            subtree: args.path.as_deref().map(known_path),
            ..ChangeFilter::default()
        },
        period: match (args.daily, args.weekly) {
            (true, _) => Some(Period::Day),
            (_, true) => Some(Period::Week),
            _ => None,
        },
        by: args.by.map(|by| match by {
            By::Dir => Group::Dir,
            By::User => Group::User,
            By::Group => Group::Group,
            By::Extension => Group::Extension,
        }),
        depth: Some(args.depth),
    };
    let report = args.catalog.open()?.report(&options)?;
    let text = match args.format {
        Format::Table => table(&report, args),
        Format::Csv => csv(&report)?,
        Format::Json => rows_json(&report),
        Format::Html => html(&report, args),
    };
    if let Target::File(path) = Target::from_arg(&args.output) {
        let mut output = Output::create(&Target::File(path))?;
        output.append(text.as_bytes())?;
        output.commit()?;
        return Ok(Exit::Complete);
    }
    let out = Out::new();
    let mut lines = Lines::new(&out);
    lines.text(&text);
    lines.flush();
    out.exit(Ended::Whole, false)
}

/// What groups are.
fn heading(args: &ReportArgs) -> &'static str {
    match args.by {
        None => "",
        Some(By::Dir) => "directory",
        Some(By::User) => "user",
        Some(By::Group) => "group",
        Some(By::Extension) => "extension",
    }
}

/// `+1.2 GiB`.
fn signed(growth: i64) -> String {
    let sign = if growth < 0 { "-" } else { "+" };
    if growth == 0 { "0 B".to_owned() } else { format!("{sign}{}", bytes(growth.unsigned_abs())) }
}

/// The cells of a row, but for period and group.
fn cells(row: &ReportRow) -> [String; 11] {
    [
        count(row.added.0),
        bytes(row.added.1),
        count(row.modified.0),
        bytes(row.modified.1),
        count(row.removed.0),
        bytes(row.removed.1),
        signed(row.growth),
        count(row.moved),
        count(row.metadata),
        count(row.unseen),
        count(row.bitrot),
    ]
}

const HEADINGS: [&str; 11] =
    ["added", "size", "modified", "size", "removed", "size", "growth", "moved", "metadata", "unseen", "bitrot"];

fn group_text(row: &ReportRow) -> String {
    row.group
        .as_deref()
        .map_or_else(String::new, |group| if group.is_empty() { "(none)".to_owned() } else { shown(group) })
}

fn table(report: &Report, args: &ReportArgs) -> String {
    let mut rows = Vec::new();
    for row in &report.rows {
        let mut line = vec![row.period.clone().unwrap_or_default()];
        line.extend(cells(row));
        line.push(group_text(row));
        rows.push(line);
    }
    let mut total = vec!["total".to_owned()];
    total.extend(cells(&report.total));
    total.push(String::new());
    if rows.len() != 1 || args.by.is_some() || args.daily || args.weekly {
        rows.push(total);
    } else {
        rows = vec![total];
    }
    let mut heading_row = vec![
        if args.daily {
            "day"
        } else if args.weekly {
            "week"
        } else {
            ""
        }
        .to_owned(),
    ];
    heading_row.extend(HEADINGS.map(str::to_owned));
    heading_row.push(heading(args).to_owned());
    rows.insert(0, heading_row);
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..13).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = format!("{:<1$}", row[0], widths[0]);
        for (cell, width) in row[1..12].iter().zip(&widths[1..12]) {
            write!(line, "  {cell:>width$}").unwrap_or_default();
        }
        write!(line, "  {}", row[12]).unwrap_or_default();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn row_json(row: &ReportRow) -> Value {
    let mut object = Map::new();
    object.insert("period".to_owned(), row.period.clone().into());
    let group = row.group.as_deref().map(path_text);
    object.insert("group".to_owned(), group.as_ref().map(|(text, _)| text.to_string()).into());
    if let Some((_, Some(bytes))) = group {
        object.insert("group_bytes".to_owned(), bytes.into());
    }
    object.extend(ReportRow::FIELDS.map(str::to_owned).into_iter().zip(row.values().map(Value::from)));
    Value::Object(object)
}

fn rows_json(report: &Report) -> String {
    let rows: Vec<Value> = report.rows.iter().map(row_json).collect();
    format!("{:#}\n", json!({"runs": report.runs, "rows": rows, "total": row_json(&report.total)}))
}

fn csv(report: &Report) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["period", "group"].iter().chain(&ReportRow::FIELDS))?;
    for row in &report.rows {
        let group = row.group.as_deref().map_or_else(String::new, |group| path_text(group).0.into_owned());
        let mut record = vec![row.period.clone().unwrap_or_default(), group];
        record.extend(row.values().map(|value| value.to_string()));
        writer.write_record(record)?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// What a page is made of.
const STYLE: &str = "body{font:15px system-ui,sans-serif;margin:2rem;color:#222}table{border-collapse:collapse}\
th,td{padding:.3rem .7rem;text-align:right;border-bottom:1px solid #ddd}th:first-child,td:first-child,.name{text-align:left}\
tfoot td{font-weight:600}.bar{height:.6rem;display:inline-block;vertical-align:middle}.up{background:#3a7bd5}.down{background:#d5663a}\
caption{text-align:left;padding-bottom:.7rem;color:#555}@media(prefers-color-scheme:dark){body{background:#1b1b1b;color:#ddd}th,td{border-color:#444}}";

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn html(report: &Report, args: &ReportArgs) -> String {
    let most = report.rows.iter().map(|row| row.growth.unsigned_abs()).max().unwrap_or(0).max(1);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>pwalk: changes</title><style>{STYLE}</style></head><body>\n\
         <h1>What changed</h1>\n<table><caption>{} runs; growth is what was added and what files grew by, less what was removed</caption>\n<thead><tr>",
        report.runs
    );
    let period = if args.daily { "day" } else { "week" };
    let has_period = args.daily || args.weekly;
    for heading in has_period.then_some(period).into_iter().chain(args.by.map(|_| heading(args))).chain(HEADINGS) {
        write!(page, "<th>{heading}</th>").unwrap_or_default();
    }
    page.push_str("<th></th></tr></thead>\n<tbody>\n");
    for row in &report.rows {
        page.push_str("<tr>");
        if has_period {
            write!(page, "<td class=\"name\">{}</td>", row.period.as_deref().unwrap_or_default()).unwrap_or_default();
        }
        if args.by.is_some() {
            write!(page, "<td class=\"name\">{}</td>", escape(&group_text(row))).unwrap_or_default();
        }
        cells(row).iter().for_each(|cell| write!(page, "<td>{cell}</td>").unwrap_or_default());
        let width = u128::from(row.growth.unsigned_abs()) * 160 / u128::from(most);
        let way = if row.growth < 0 { "down" } else { "up" };
        writeln!(page, "<td class=\"name\"><span class=\"bar {way}\" style=\"width:{width}px\"></span></td></tr>")
            .unwrap_or_default();
    }
    let span = usize::from(has_period) + usize::from(args.by.is_some());
    page.push_str("</tbody>\n<tfoot><tr>");
    if span > 0 {
        write!(page, "<td colspan=\"{span}\">total</td>").unwrap_or_default();
    }
    cells(&report.total).iter().for_each(|cell| write!(page, "<td>{cell}</td>").unwrap_or_default());
    page.push_str("<td></td></tr></tfoot></table>\n</body></html>\n");
    page
}
