//! What a setting may be. In an INI file everything is text, so text is taken everywhere, also in TOML.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use config::{Value, ValueKind};

/// The settings of one section that were not asked for yet. What is left at the end is unknown.
pub(super) struct Section<'a> {
    pub(super) name: &'static str,
    pub(super) file: &'a Path,
    pub(super) home: Option<PathBuf>,
    pub(super) left: HashMap<String, Value>,
}

/// What is wrong with a setting: the key, and what is allowed.
type Taken<T> = Result<Option<T>, String>;

impl Section<'_> {
    fn take(&mut self, key: &str) -> Option<ValueKind> {
        let name = self.left.keys().find(|name| name.eq_ignore_ascii_case(key))?.clone();
        self.left.remove(&name).map(|value| value.kind).filter(|kind| !matches!(kind, ValueKind::Nil))
    }

    /// The value itself is not told: it may be a password, or stand where one should.
    fn bad(&self, key: &str, allowed: &str) -> String {
        format!("{}: [{}] {key} must be {allowed}", self.file.display(), self.name)
    }

    /// Text; a number or a truth value is its own text.
    pub(super) fn text(&mut self, key: &str) -> Taken<String> {
        self.take(key).map(|kind| plain(kind).ok_or_else(|| self.bad(key, "text"))).transpose()
    }

    /// Text that is not empty, and what it stands for.
    pub(super) fn parsed<T>(&mut self, key: &str, allowed: &str, parse: impl Fn(&str) -> Option<T>) -> Taken<T> {
        let Some(kind) = self.take(key) else { return Ok(None) };
        plain(kind).and_then(|text| parse(text.trim())).map(Some).ok_or_else(|| self.bad(key, allowed))
    }

    /// One of some words.
    pub(super) fn word<T: FromStr>(&mut self, key: &str, allowed: &str) -> Taken<T> {
        self.parsed(key, allowed, |text| text.to_ascii_lowercase().parse().ok())
    }

    /// A number in a range.
    pub(super) fn number(&mut self, key: &str, least: usize, most: usize) -> Taken<usize> {
        let allowed = format!("a number from {least} to {most}");
        self.parsed(key, &allowed, |text| text.parse().ok().filter(|number| (least..=most).contains(number)))
    }

    /// Yes or no.
    pub(super) fn flag(&mut self, key: &str) -> Taken<bool> {
        self.parsed(key, "true or false", |text| match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => None,
        })
    }

    /// An absolute path, or one below the home directory, `~/…`.
    pub(super) fn path(&mut self, key: &str) -> Taken<PathBuf> {
        let home = self.home.clone();
        self.parsed(key, "an absolute path, or one that begins with ~/", |text| {
            let path = match text.strip_prefix("~/") {
                Some(rest) => home.as_ref()?.join(rest),
                None => PathBuf::from(text),
            };
            path.is_absolute().then_some(path)
        })
    }

    /// A list; in text, commas or ends of lines stand between its parts.
    pub(super) fn list(&mut self, key: &str) -> Taken<Vec<String>> {
        let Some(kind) = self.take(key) else { return Ok(None) };
        let parts = match kind {
            ValueKind::Array(values) => values.into_iter().map(|value| plain(value.kind)).collect::<Option<Vec<_>>>(),
            kind => plain(kind).map(|text| text.split([',', '\n']).map(str::trim).map(str::to_owned).collect()),
        };
        let parts = parts.ok_or_else(|| self.bad(key, "a list, or text with commas in it"))?;
        Ok(Some(parts.into_iter().filter(|part| !part.is_empty()).collect()))
    }
}

fn plain(kind: ValueKind) -> Option<String> {
    match kind {
        ValueKind::String(text) => Some(text),
        ValueKind::Boolean(flag) => Some(flag.to_string()),
        ValueKind::I64(number) => Some(number.to_string()),
        ValueKind::U64(number) => Some(number.to_string()),
        ValueKind::I128(number) => Some(number.to_string()),
        ValueKind::U128(number) => Some(number.to_string()),
        ValueKind::Float(number) => Some(number.to_string()),
        ValueKind::Nil | ValueKind::Table(_) | ValueKind::Array(_) => None,
    }
}

/// A number of bytes, at least one: `500000`, `800K`, `100M`, `1GiB`, `2T`. Units are powers of 1024, with or without `iB` or `B`, in either case.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let shift = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let good = [
            ("1", 1),
            ("500000", 500_000),
            ("800K", 800 << 10),
            ("100M", 100 << 20),
            ("1GiB", 1 << 30),
            (" 2 tb ", 2 << 40),
        ];
        for (text, bytes) in good {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
        for bad in ["", "0", "M", "-1", "1.5G", "1X", "99999999999999999999", "18446744073709551615K", "1 M M"] {
            assert_eq!(parse_bytes(bad), None, "{bad}");
        }
    }
}
