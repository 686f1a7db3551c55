//! Names in messages.

use std::sync::LazyLock;
use std::{fmt, io};

use pwalk_fs::Errno;
use regex::Regex;

/// Bytes in a message: what could move a cursor is escaped, as C does it.
pub(crate) struct Shown<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\n' => f.write_str("\\n")?,
                    '\t' => f.write_str("\\t")?,
                    '\r' => f.write_str("\\r")?,
                    '\x07' => f.write_str("\\a")?,
                    '\x08' => f.write_str("\\b")?,
                    '\x0b' => f.write_str("\\v")?,
                    '\x0c' => f.write_str("\\f")?,
                    c if c.is_control() => {
                        let mut room = [0; 4];
                        c.encode_utf8(&mut room).bytes().try_for_each(|byte| write!(f, "\\{byte:03o}"))?;
                    }
                    c => write!(f, "{c}")?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\{byte:03o}")?;
            }
        }
        Ok(())
    }
}

/// What a terminal should not get: what is no character at all, control characters, and the separators of lines and paragraphs.
static UNSEEN: LazyLock<Regex> = LazyLock::new(|| {
    // A fixed expression is either right or wrong, and the tests use it.
    Regex::new(r"[\p{Cc}\p{Cn}\p{Zl}\p{Zp}]").unwrap_or_else(|error| unreachable!("{error}"))
});

/// A name for a terminal, as GNU find prints it there: a question mark for each character that is not to be seen, and for each
/// byte that is none. A character that breaks off at the end of the name is one.
pub(crate) fn masked(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut left = name.len();
    for chunk in name.utf8_chunks() {
        out.extend_from_slice(UNSEEN.replace_all(chunk.valid(), "?").as_bytes());
        left -= chunk.valid().len() + chunk.invalid().len();
        let marks = if left == 0 { chunk.invalid().len().min(1) } else { chunk.invalid().len() };
        out.resize(out.len() + marks, b'?');
    }
    out
}

/// What the system says of an error, without its number.
pub(crate) fn said(errno: Errno) -> String {
    plain(errno.into()).to_string()
}

/// An error without the number that the standard library adds to its text.
pub(crate) fn plain(error: io::Error) -> io::Error {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((text, _)) => io::Error::new(error.kind(), text.to_owned()),
        None => error,
    }
}
