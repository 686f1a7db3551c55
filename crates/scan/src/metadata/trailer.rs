//! The metadata at the end of compressed CSV, where every reader passes over it.
//!
//! * zstd: a skippable frame (RFC 8878, 3.1.2). It stands at the end because polars takes a file for zstd
//!   by its first four bytes.
//! * gzip: an empty member whose header has the JSON in its "extra field" (RFC 1952, 2.3.1.1). That holds 64 KiB, of
//!   which `DuckDB` takes 32; longer JSON takes several members. The comment field would have no limit, but
//!   `DuckDB` refuses files that use it.
//!
//! Either way the JSON is followed by a fixed footer, so that it is found from the end of the file.

use std::io::{self, Read, Seek, SeekFrom};

/// The first of the sixteen skippable magic numbers.
const SKIPPABLE: u32 = 0x184D_2A50;
const ZSTD_MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();
const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
/// An empty final block, the checksum and the length of nothing.
const GZIP_EMPTY: [u8; 10] = [3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// Header of a member with an extra field, up to the length of that; no time; system unknown.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff];
/// Identifies our subfield of the extra field.
const SUBFIELD: [u8; 2] = *b"PW";
/// Most JSON in one member: 32 KiB less our footer and the subfield's head, rounded down.
const PART: usize = 32_000;
/// Length of the part, whether it continues an earlier one, and who made it.
const FOOTER: usize = 4 + 1 + MARK.len();
const MARK: &[u8; 7] = b"pwalk-m";

/// The skippable frame that holds `json`.
pub(crate) fn zstd_trailer(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() + 32);
    out.extend_from_slice(&SKIPPABLE.to_le_bytes());
    out.extend_from_slice(&length(json.len() + FOOTER).to_le_bytes());
    push_part(&mut out, json, false);
    out
}

/// The empty member or members that hold `json`.
pub(crate) fn gzip_trailer(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() + 64);
    for (i, part) in json.chunks(PART).enumerate() {
        let short = |n: usize| u16::try_from(n).unwrap_or(u16::MAX).to_le_bytes();
        out.extend_from_slice(&GZIP_HEADER);
        out.extend_from_slice(&short(part.len() + FOOTER + 4));
        out.extend_from_slice(&SUBFIELD);
        out.extend_from_slice(&short(part.len() + FOOTER));
        push_part(&mut out, part, i > 0);
        out.extend_from_slice(&GZIP_EMPTY);
    }
    out
}

fn push_part(out: &mut Vec<u8>, part: &[u8], continues: bool) {
    out.extend_from_slice(part);
    out.extend_from_slice(&length(part.len()).to_le_bytes());
    out.push(u8::from(continues));
    out.extend_from_slice(MARK);
}

/// Options and counts are kilobytes; what is longer than 4 GiB is cut and so not found again.
fn length(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Finds the JSON at the end of a file of `length` bytes that begins with `magic`.
pub(super) fn read(file: &mut (impl Read + Seek), length: u64, magic: &[u8]) -> io::Result<Option<Vec<u8>>> {
    // What stands around a part: before it, and after its footer.
    let (before, after) = if magic == ZSTD_MAGIC {
        (8, 0)
    } else if magic.starts_with(&GZIP_MAGIC) {
        (GZIP_HEADER.len() as u64 + 6, GZIP_EMPTY.len() as u64)
    } else {
        return Ok(None);
    };
    let (mut end, mut json) = (length, Vec::new());
    loop {
        let Some(footer_at) = end.checked_sub(after + FOOTER as u64) else { return Ok(None) };
        let footer = read_at(file, footer_at, FOOTER)?;
        if &footer[5..] != MARK {
            return Ok(None);
        }
        let part_length = u32::from_le_bytes([footer[0], footer[1], footer[2], footer[3]]);
        let Some(part_at) = footer_at.checked_sub(u64::from(part_length)) else { return Ok(None) };
        let mut part = read_at(file, part_at, part_length as usize)?;
        part.extend_from_slice(&json);
        json = part;
        if footer[4] == 0 {
            return Ok(Some(json));
        }
        let Some(start) = part_at.checked_sub(before) else { return Ok(None) };
        end = start;
    }
}

fn read_at(file: &mut (impl Read + Seek), at: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn back(file: Vec<u8>) -> Option<Vec<u8>> {
        let (length, magic) = (file.len() as u64, file[..4].to_vec());
        read(&mut Cursor::new(file), length, &magic).unwrap()
    }

    #[test]
    fn found_again_at_any_length() {
        for length in [2, 100, PART, PART + 1, 3 * PART + 7] {
            let json: Vec<u8> = (0..length).map(|i| b'a' + u8::try_from(i % 26).unwrap()).collect();
            let gzip = [&GZIP_HEADER[..], b"\0\0", &GZIP_EMPTY, &gzip_trailer(&json)].concat();
            assert_eq!(back(gzip), Some(json.clone()));
            assert_eq!(back([&ZSTD_MAGIC[..], b"text", &zstd_trailer(&json)].concat()), Some(json));
        }
    }

    #[test]
    fn files_without_it_have_none() {
        assert_eq!(back(b"inode,parent-inode,directory-depth".to_vec()), None);
        assert_eq!(back([&ZSTD_MAGIC[..], &[0; 40]].concat()), None);
        assert_eq!(back(GZIP_EMPTY.to_vec()), None);
        assert_eq!(back([&GZIP_MAGIC[..], &[0; 3]].concat()), None);
    }
}
