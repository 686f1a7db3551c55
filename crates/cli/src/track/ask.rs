//! Words, sizes and labels on the command line.

use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};

/// One of these names, as the library reads them.
pub(super) fn one_of<T>(names: &[&'static str]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = &'static str> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(names.iter().copied()).try_map(|name| name.parse())
}

/// A number of bytes: `4096`, `500M`, `2TiB`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let bad = || format!("'{text}' is no size: use a number of bytes, or one with K, M, G or T");
    pwalk_track::parse_bytes(text).ok_or_else(bad)
}

/// `key=value`.
pub(super) fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("'{text}' is not key=value")),
    }
}
