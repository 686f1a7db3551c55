//! One table of results: for the terminal as it stands, for `bench/RESULTS.md` as Markdown, which is the same text.

use super::race::Timing;
use std::fmt;

pub(super) struct Table {
    pub(super) title: String,
    /// What was promised, and what is to be known to read the numbers.
    pub(super) notes: Vec<String>,
    /// The first column is text, the others are numbers.
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

/// How the ratio column reads.
#[derive(Clone, Copy)]
pub(super) enum Ratio {
    /// How many times the time of the reference: 1.2 is slower than it.
    Slower,
    /// How many times as fast as the reference: 1.2 is faster than it.
    Faster,
}

impl Table {
    /// A row for each timing, compared with the one called `reference`.
    pub(super) fn of_timings(title: impl Into<String>, timings: &[Timing], reference: &str, ratio: Ratio) -> Self {
        let base = timings.iter().find(|timing| timing.label == reference).map_or(f64::NAN, Timing::median);
        let word = match ratio {
            Ratio::Slower => "× the time of",
            Ratio::Faster => "× as fast as",
        };
        let rows = timings.iter().map(|timing| {
            let quotient = match ratio {
                Ratio::Slower => timing.median() / base,
                Ratio::Faster => base / timing.median(),
            };
            vec![
                [timing.label.as_str(), timing.remark.as_str()].join(" ").trim_end().to_owned(),
                format!("{:.3}", timing.median()),
                format!("{:.3}", timing.fastest()),
                timing.seconds.len().to_string(),
                format!("{quotient:.2}"),
            ]
        });
        Self {
            title: title.into(),
            notes: Vec::new(),
            rows: rows.collect(),
            header: ["command", "median s", "fastest s", "runs"]
                .map(str::to_owned)
                .into_iter()
                .chain([format!("{word} {reference}")])
                .collect(),
        }
    }

    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "### {}\n", self.title)?;
        for note in &self.notes {
            writeln!(f, "{note}\n")?;
        }
        let lines = || std::iter::once(&self.header).chain(&self.rows);
        let widths: Vec<usize> = (0..self.header.len())
            .map(|column| lines().map(|cells| cells[column].chars().count()).max().unwrap_or(0))
            .collect();
        for (number, cells) in lines().enumerate() {
            for (column, (cell, &width)) in cells.iter().zip(&widths).enumerate() {
                match column {
                    0 => write!(f, "| {cell:<width$} |")?,
                    _ => write!(f, " {cell:>width$} |")?,
                }
            }
            writeln!(f)?;
            if number == 0 {
                for (column, width) in widths.iter().enumerate() {
                    match column {
                        0 => write!(f, "|{}|", "-".repeat(width + 2))?,
                        _ => write!(f, "{}:|", "-".repeat(width + 1))?,
                    }
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(label: &str, seconds: f64) -> Timing {
        Timing { label: label.to_owned(), seconds: vec![seconds], remark: String::new() }
    }

    #[test]
    fn ratios_read_in_the_stated_direction() {
        let timings = [timing("floor", 2.0), timing("slow", 3.0)];
        let ratio = |ratio| Table::of_timings("t", &timings, "floor", ratio).rows[1][4].clone();
        assert_eq!(ratio(Ratio::Slower), "1.50");
        assert_eq!(ratio(Ratio::Faster), "0.67");
    }

    #[test]
    fn the_text_is_a_markdown_table() {
        let text = Table::of_timings("t", &[timing("floor", 2.0)], "floor", Ratio::Slower).note("n").to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..4], ["### t", "", "n", ""]);
        let columns = |line: &str| line.matches('|').count();
        assert!(lines[4..].iter().all(|line| columns(line) == 6), "{text}");
        assert!(lines[5].starts_with("|---"), "{text}");
    }
}
