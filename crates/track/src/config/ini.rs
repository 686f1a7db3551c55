//! The INI files of classic crawlers, for crate `config`.
//!
//! Its own reader of INI takes `\` for an escape and drops it where it means nothing, so a password can arrive as another one. The rules here are those of
//! Python's `configparser`, for which such files were written, but for `%`:
//!
//! * `[section]`, then `key = value` or `key: value`. A comment is a line that begins with `#` or `;`; there is none behind a value.
//! * A value is all that stands after the sign, without the blanks around it. `%`, `#`, `;`, `\` and quotes within it mean themselves.
//!   A pair of equal quotes around all of it is taken away: so blanks at its ends are kept, and `""x""` is `"x"`.
//! * Lines that are indented further than the key go on with its value.
//! * `%` is not replaced by anything: `%%` is two, `%(home)s` is what it looks like. Whoever reads it is warned ([`has_percent`]).
//! * A key that stands twice in a section is an error.

use std::error::Error;

use config::{FileStoredFormat, Format, Map, Value, ValueKind};

/// The format.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ini;

impl FileStoredFormat for Ini {
    fn file_extensions(&self) -> &'static [&'static str] {
        &["ini", "cfg", "conf"]
    }
}

impl Format for Ini {
    fn parse(&self, uri: Option<&String>, text: &str) -> Result<Map<String, Value>, Box<dyn Error + Send + Sync>> {
        let mut all: Map<String, Value> = Map::new();
        for Setting { section, key, value } in settings(text)? {
            let value = Value::new(uri, ValueKind::String(value));
            match section {
                None => drop(all.insert(key, value)),
                Some(section) => {
                    let table = all.entry(section).or_insert_with(|| Value::new(uri, ValueKind::Table(Map::new())));
                    if let ValueKind::Table(table) = &mut table.kind {
                        table.insert(key, value);
                    }
                }
            }
        }
        Ok(all)
    }
}

/// Whether a value holds what `configparser` would have replaced.
pub(super) fn has_percent(value: &str) -> bool {
    value.contains("%%") || value.contains("%(")
}

#[derive(Debug, PartialEq, Eq)]
struct Setting {
    section: Option<String>,
    key: String,
    value: String,
}

/// Messages name the line and not what is in it, which may be a password.
fn settings(text: &str) -> Result<Vec<Setting>, String> {
    let mut found: Vec<Setting> = Vec::new();
    let mut section: Option<String> = None;
    // How far the key is indented whose value may go on.
    let mut open: Option<usize> = None;
    for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let trimmed = line.trim();
        let indent = line.len() - line.trim_start().len();
        if trimmed.is_empty() {
            open = None;
        } else if trimmed.starts_with(['#', ';']) {
        } else if let Some(last) = found.last_mut().filter(|_| open.is_some_and(|key| indent > key)) {
            last.value.push('\n');
            last.value.push_str(trimmed);
        } else if let Some(name) = trimmed.strip_prefix('[') {
            let name = name.strip_suffix(']').ok_or_else(|| format!("line {number}: a section is [name]"))?;
            section = Some(name.trim().to_ascii_lowercase());
            open = None;
        } else {
            let sign = trimmed.find(['=', ':']).filter(|at| *at > 0);
            let sign = sign.ok_or_else(|| format!("line {number}: neither [section] nor key = value"))?;
            let (key, value) = (trimmed[..sign].trim_end(), &trimmed[sign + 1..]);
            if found.iter().any(|old| old.section == section && old.key.eq_ignore_ascii_case(key)) {
                return Err(format!("line {number}: {key} stands there twice"));
            }
            found.push(Setting { section: section.clone(), key: key.to_owned(), value: value.trim().to_owned() });
            open = Some(indent);
        }
    }
    for setting in &mut found {
        let value = &setting.value;
        let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\'') && value.len() > 1);
        if quote.is_some_and(|quote| value.ends_with(quote)) {
            setting.value = value[1..value.len() - 1].to_owned();
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_value_is_what_stands_there() {
        let text = "\u{feff}top = 1\r\n# note\r\n[ One ]\r\n; note\nkey=va#l;ue % \\n \"x\" \nOther Key : a = b\nempty =\nkept = \"  x \"\n\
                    quoted=\"\"x\"\"\none=\"\nlist =\n  a\n  # note\n    b\n\n  next = 2\n[one]\nmore=3\n";
        let expected = [
            (None, "top", "1"),
            (Some("one"), "key", "va#l;ue % \\n \"x\""),
            (Some("one"), "Other Key", "a = b"),
            (Some("one"), "empty", ""),
            (Some("one"), "kept", "  x "),
            (Some("one"), "quoted", "\"x\""),
            (Some("one"), "one", "\""),
            (Some("one"), "list", "\na\nb"),
            (Some("one"), "next", "2"),
            (Some("one"), "more", "3"),
        ];
        let expected = expected.map(|(section, key, value)| Setting {
            section: section.map(str::to_owned),
            key: key.to_owned(),
            value: value.to_owned(),
        });
        assert_eq!(settings(text).unwrap(), expected);
    }

    #[test]
    fn bad_lines_are_named_and_not_shown() {
        assert_eq!(settings("[a]\n\nsecret\n").unwrap_err(), "line 3: neither [section] nor key = value");
        assert_eq!(settings("= secret").unwrap_err(), "line 1: neither [section] nor key = value");
        assert_eq!(settings("[a").unwrap_err(), "line 1: a section is [name]");
        assert_eq!(settings("[a]\nb=1\n[c]\nb=1\n[a]\nB: 2").unwrap_err(), "line 6: B stands there twice");
    }

    proptest! {
        #[test]
        fn any_value_can_be_written_in_quotes(value in "[^\r\n]*") {
            prop_assert_eq!(&settings(&format!("[s]\nkey = \"{value}\"\n")).unwrap()[0].value, &value);
        }

        #[test]
        fn no_text_panics(text: String) {
            prop_assert!(settings(&text).is_ok_and(|found| found.len() <= text.len()) || !text.is_empty());
        }
    }
}
