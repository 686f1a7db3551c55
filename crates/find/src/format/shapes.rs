//! Single values as text: types, permissions, parts of paths, ratios.

use pwalk_fs::{Kind, Meta};

use super::Told;

pub(super) fn below_root<'p>(told: &Told<'p>) -> &'p [u8] {
    if told.depth == 0 {
        return b"";
    }
    let rest = told.path.strip_prefix(told.root).unwrap_or(told.path);
    &rest[rest.iter().take_while(|b| **b == b'/').count()..]
}

/// Where the last component begins, and where it ends.
fn last(path: &[u8]) -> (usize, usize) {
    let end = path.len() - path.iter().rev().take_while(|b| **b == b'/').count();
    (path[..end].iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1), end)
}

/// The last component, and one slash if it has any behind it.
pub fn base(path: &[u8]) -> &[u8] {
    match last(path) {
        (_, 0) => &path[..path.len().min(1)],
        (begin, end) => &path[begin..(end + 1).min(path.len())],
    }
}

/// What stands before the last component, without the slash.
pub(super) fn directory(path: &[u8]) -> &[u8] {
    match last(path) {
        (0, _) if !path.contains(&b'/') => b".",
        // So GNU find does it with slashes alone, and with those behind a single letter.
        (0, 0 | 1) => &path[..path.len() - 1],
        (0, _) => b".",
        (begin, _) => &path[..begin - 1],
    }
}

/// As `ls -l` shows it.
pub fn symbolic(mode: u32) -> [u8; 10] {
    let mut text = *b"?rwxrwxrwx";
    text[0] = match Kind::from_mode(mode).letter() {
        b'f' => b'-',
        b'U' => b'?',
        other => other,
    };
    for (at, byte) in text[1..].iter_mut().enumerate() {
        if mode >> (8 - at) & 1 == 0 {
            *byte = b'-';
        }
    }
    for (bit, at, with, without) in [(0o4000, 3, b's', b'S'), (0o2000, 6, b's', b'S'), (0o1000, 9, b't', b'T')] {
        if mode & bit != 0 {
            text[at] = if text[at] == b'x' { with } else { without };
        }
    }
    text
}

/// Allocated bytes for each byte of the size, as C's `%g` writes it.
pub(super) fn sparseness(meta: &Meta, precision: Option<usize>) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    let ratio = match (meta.blocks, meta.size) {
        (0, 0) => 1.0,
        (_, 0) => return "inf".to_owned(),
        (blocks, size) => blocks as f64 * 512.0 / size as f64,
    };
    general(ratio, precision.unwrap_or(6).clamp(1, 40))
}

/// C's `%g`, for numbers that are not negative.
fn general(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{value:.*e}", digits - 1);
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    let most = i32::try_from(digits).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= most {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(mantissa), exponent.abs());
    }
    let decimals = usize::try_from(most - 1 - exponent).unwrap_or(0);
    trim(&format!("{value:.decimals$}"))
}
