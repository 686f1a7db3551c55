//! `COPY` in binary, both ways: the format of PostgreSQL's documentation of that command.
//!
//! Written by hand since the rows are of fixed shape and there are millions: a driver that asks the type of each value takes several times as long.
//! Text would need every odd byte of a name to be escaped.

use std::io::{self, Read};

/// What a stream begins with: signature, no flags, no extension.
pub(super) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with.
pub(super) const TRAILER: &[u8] = &(-1_i16).to_be_bytes();

/// Rows, encoded one after another.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) bytes: Vec<u8>,
}

impl Rows {
    /// Begins a row of so many fields.
    pub(super) fn row(&mut self, fields: u8) -> &mut Self {
        self.bytes.extend_from_slice(&i16::from(fields).to_be_bytes());
        self
    }

    pub(super) fn bytes(&mut self, value: &[u8]) -> &mut Self {
        // Nothing here is of 2 GiB: names, paths and words.
        let length = i32::try_from(value.len()).unwrap_or(i32::MAX);
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(value);
        self
    }

    pub(super) fn text(&mut self, value: &str) -> &mut Self {
        self.bytes(value.as_bytes())
    }

    pub(super) fn null(&mut self) -> &mut Self {
        self.bytes.extend_from_slice(&(-1_i32).to_be_bytes());
        self
    }

    pub(super) fn long(&mut self, value: i64) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    /// A number without a sign keeps its bits.
    pub(super) fn word(&mut self, value: u64) -> &mut Self {
        self.long(value.cast_signed())
    }

    pub(super) fn int(&mut self, value: i32) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(super) fn byte(&mut self, value: u8) -> &mut Self {
        self.bytes(&[value])
    }

    pub(super) fn maybe<T>(&mut self, value: Option<T>, put: impl FnOnce(&mut Self, T) -> &mut Self) -> &mut Self {
        match value {
            Some(value) => put(self, value),
            None => self.null(),
        }
    }
}

/// Reads a stream row by row.
pub(super) struct Fields<R> {
    input: R,
    row: Vec<u8>,
    /// Where each field is in the row; none if it is null.
    fields: Vec<Option<(usize, usize)>>,
}

impl<R: Read> Fields<R> {
    /// Reads what a stream begins with.
    pub(super) fn new(mut input: R) -> io::Result<Self> {
        let mut header = [0; 19];
        input.read_exact(&mut header)?;
        if header[..11] != HEADER[..11] {
            return Err(io::Error::other("what the server sent is not in COPY's format"));
        }
        let extension = i32::from_be_bytes([header[15], header[16], header[17], header[18]]);
        io::copy(&mut (&mut input).take(u64::try_from(extension).unwrap_or(0)), &mut io::sink())?;
        Ok(Self { input, row: Vec::new(), fields: Vec::new() })
    }

    /// Goes on to the next row; false at the end.
    pub(super) fn next(&mut self) -> io::Result<bool> {
        let mut count = [0; 2];
        self.input.read_exact(&mut count)?;
        let Ok(count) = u16::try_from(i16::from_be_bytes(count)) else {
            // There is more to come: that all of it was right.
            io::copy(&mut self.input, &mut io::sink())?;
            return Ok(false);
        };
        self.row.clear();
        self.fields.clear();
        for _ in 0..count {
            let mut length = [0; 4];
            self.input.read_exact(&mut length)?;
            let Ok(length) = usize::try_from(i32::from_be_bytes(length)) else {
                self.fields.push(None);
                continue;
            };
            let start = self.row.len();
            self.row.resize(start + length, 0);
            self.input.read_exact(&mut self.row[start..])?;
            self.fields.push(Some((start, start + length)));
        }
        Ok(true)
    }

    /// A field; nothing if it is null.
    pub(super) fn get(&self, field: usize) -> Option<&[u8]> {
        let (from, to) = (*self.fields.get(field)?)?;
        self.row.get(from..to)
    }

    pub(super) fn long(&self, field: usize) -> Option<i64> {
        self.get(field)?.try_into().ok().map(i64::from_be_bytes)
    }

    pub(super) fn int(&self, field: usize) -> Option<i32> {
        self.get(field)?.try_into().ok().map(i32::from_be_bytes)
    }

    pub(super) fn bytes(&self, field: usize) -> &[u8] {
        self.get(field).unwrap_or_default()
    }

    pub(super) fn text(&self, field: usize) -> Option<&str> {
        std::str::from_utf8(self.get(field)?).ok()
    }

    pub(super) fn is_true(&self, field: usize) -> bool {
        self.get(field) == Some(&[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut rows = Rows::default();
        rows.row(5).long(-7).bytes(b"a\0\xff").null().int(3).byte(1);
        rows.row(1).maybe(Some(u64::MAX), Rows::word);
        let all = [HEADER, &rows.bytes, TRAILER].concat();
        let mut fields = Fields::new(all.as_slice()).unwrap();
        assert!(fields.next().unwrap());
        assert_eq!((fields.long(0), fields.bytes(1), fields.get(2)), (Some(-7), &b"a\0\xff"[..], None));
        assert_eq!((fields.int(3), fields.is_true(4), fields.long(3)), (Some(3), true, None));
        assert!(fields.next().unwrap());
        assert_eq!(fields.long(0), Some(-1));
        assert!(!fields.next().unwrap());
        assert!(Fields::new(&all[1..]).is_err() && Fields::new(&all[..30]).unwrap().next().is_err());
    }
}
