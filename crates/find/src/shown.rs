//! Names in messages.

use std::{fmt, io};

use pwalk_fs::Errno;

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

/// A name for a terminal, as GNU find prints it there: a question mark for each character that is not to be seen, and for each
/// byte that is none.
pub(crate) fn masked(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            let mut room = [0; 4];
            out.extend_from_slice(if c.is_control() { b"?" } else { c.encode_utf8(&mut room).as_bytes() });
        }
        out.extend(chunk.invalid().iter().map(|_| b'?'));
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
