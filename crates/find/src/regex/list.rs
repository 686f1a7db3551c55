//! `[…]`: characters, ranges and classes.

use super::RegexError;
use super::dialect::Dialect;

/// The first character, in the library's words, and how many bytes it takes. A byte that is none stands for itself.
pub(super) fn character(bytes: &[u8]) -> Option<(String, usize)> {
    let (c, len) = first(bytes)?;
    Some((c.map_or_else(|| format!("(?-u:\\x{:02X})", bytes[0]), |c| regex::escape(c.encode_utf8(&mut [0; 4]))), len))
}

/// The first character, none if it is a byte that is none, and its length.
fn first(bytes: &[u8]) -> Option<(Option<char>, usize)> {
    let len = bytes.len().min(4);
    let chunk = bytes[..len].utf8_chunks().next()?;
    match chunk.valid().chars().next() {
        Some(c) => Some((Some(c), c.len_utf8())),
        None => Some((None, 1)),
    }
}

/// What stands behind a `[`, up to its `]`, which is taken off.
pub(super) fn translate(rest: &mut &[u8], dialect: Dialect, ignore_case: bool) -> Result<String, RegexError> {
    let mut text = "[".to_owned();
    if let [b'^', tail @ ..] = *rest {
        text.push('^');
        *rest = tail;
    }
    let mut is_first = true;
    loop {
        match *rest {
            [] => return Err(RegexError::OpenList),
            [b']', tail @ ..] if !is_first => {
                *rest = tail;
                break;
            }
            [b'[', b':', tail @ ..] if dialect.classes => {
                let end = tail.windows(2).position(|pair| pair == b":]").ok_or(RegexError::OpenList)?;
                text.push_str(class(&tail[..end]).ok_or(RegexError::BadClass)?);
                *rest = &tail[end + 2..];
            }
            _ => {
                let from = member(rest, dialect)?;
                match *rest {
                    [b'-', next, ..] if *next != b']' => {
                        *rest = &rest[1..];
                        let (from, to) = (cased(from, ignore_case), cased(member(rest, dialect)?, ignore_case));
                        // A range the wrong way round holds nothing: so the C library takes it, unless it is told not to.
                        if from <= to {
                            text.push_str(&format!("\\x{{{:X}}}-\\x{{{:X}}}", u32::from(from), u32::from(to)));
                        } else if dialect.classes {
                            return Err(RegexError::BadRange);
                        }
                    }
                    _ => text.push_str(&format!("\\x{{{:X}}}", u32::from(from))),
                }
            }
        }
        is_first = false;
    }
    // A list of nothing matches nothing, and its contrary everything.
    Ok(match text.as_str() {
        "[" => "[^\\x{0}-\\x{10FFFF}]".to_owned(),
        "[^" => "[\\x{0}-\\x{10FFFF}]".to_owned(),
        _ => text + "]",
    })
}

/// Where capitals do not matter the C library compares capitals, and counts ranges from them.
fn cased(c: char, ignore_case: bool) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) if ignore_case => one,
        _ => c,
    }
}

/// One end of a range.
fn member(rest: &mut &[u8], dialect: Dialect) -> Result<char, RegexError> {
    if let [b'\\', _, ..] = *rest
        && dialect.escapes_in_lists
    {
        *rest = &rest[1..];
    }
    // `[.x.]` and `[=x=]`: only single characters have names.
    if let [b'[', mark @ (b'.' | b'='), tail @ ..] = *rest {
        let (c, len) = first(tail).ok_or(RegexError::OpenList)?;
        let Some(after) = tail[len..].strip_prefix(&[*mark, b']']) else { return Err(RegexError::OpenList) };
        *rest = after;
        return c.ok_or(RegexError::BadRange);
    }
    let (c, len) = first(rest).ok_or(RegexError::OpenList)?;
    *rest = &rest[len..];
    // A byte that is no character is in no list.
    Ok(c.unwrap_or(char::REPLACEMENT_CHARACTER))
}

/// White space as the C library has it: without U+0085 and what must not be broken at.
pub(super) const SPACE: &str =
    "\\t-\\r \\x{1680}\\x{2000}-\\x{2006}\\x{2008}-\\x{200A}\\x{2028}\\x{2029}\\x{205F}\\x{3000}";

fn class(name: &[u8]) -> Option<&'static str> {
    Some(match name {
        b"alpha" => "\\p{Alphabetic}",
        b"digit" => "0-9",
        b"alnum" => "\\p{Alphabetic}\\p{Nd}",
        b"upper" => "\\p{Uppercase}",
        b"lower" => "\\p{Lowercase}",
        b"space" => SPACE,
        b"blank" => " \\t",
        b"cntrl" => "\\p{Cc}",
        b"xdigit" => "0-9A-Fa-f",
        b"punct" => "!-/:-@\\[-`{-~\\p{P}\\p{S}",
        b"print" => "[^\\p{Cc}]",
        b"graph" => "[^\\p{Cc}\\s]",
        _ => return None,
    })
}
