//! An entry's metadata as bytes, few of them, as what is sorted carries it; and what a catalog keeps of it beside them.

use std::ops::Deref;

use pwalk_fs::Kind;
use pwalk_scan::Stat;

use crate::fingerprint::Fingerprint;

/// All that is known of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Detail {
    pub(crate) stat: Stat,
    /// Of an entry of a catalog.
    pub(crate) kept: Option<Kept>,
}

/// What a catalog keeps of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Where its row is.
    pub(crate) place: u64,
    /// Whether its content is to be looked at again: it was read so soon after the file's last change that a later one may bear the same time, or
    /// could not be read.
    pub(crate) is_racy: bool,
    pub(crate) hashed: Option<Hashed>,
}

/// That the content of a file was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hashed {
    pub(crate) fingerprint: Fingerprint,
    /// When, in nanoseconds since 1970.
    pub(crate) at: i64,
}

impl Detail {
    /// The digest of its content, if that was read.
    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        Some(self.kept?.hashed?.fingerprint)
    }
}

/// Numbers of a [`Stat`].
const FIELDS: usize = 9;
/// Bytes before the numbers: how long each of them is, and whether there is a time of birth.
const HEAD: usize = (FIELDS + 1).div_ceil(2);
/// Bytes that an entry takes at the most, with room for a word that is written whole.
const MOST: usize = HEAD + 8 * (FIELDS + 1);

/// A stat as few bytes, which are the same for the same stat.
pub(crate) struct Encoded {
    bytes: [u8; MOST],
    length: usize,
}

impl Deref for Encoded {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// As bytes: of each number those that are not zero. Times are told by how far they are from each other.
pub(crate) fn encode(stat: &Stat) -> Encoded {
    let mut out = Encoded { bytes: [0; MOST], length: HEAD };
    let numbers = [
        stat.ino,
        stat.dev,
        zigzag(stat.size),
        zigzag(stat.mtime),
        zigzag(stat.ctime.wrapping_sub(stat.mtime)),
        stat.btime.map_or(0, |btime| zigzag(btime.wrapping_sub(stat.ctime))),
        stat.mode.into(),
        stat.uid.into(),
        stat.gid.into(),
    ];
    for (field, number) in numbers.into_iter().enumerate() {
        let bytes = (u64::BITS - number.leading_zeros()).div_ceil(8);
        out.bytes[field / 2] |= u8::try_from(bytes << (field % 2 * 4)).unwrap_or(0);
        // Whole words: what is too much the next one covers.
        out.bytes[out.length..out.length + 8].copy_from_slice(&number.to_le_bytes());
        out.length += bytes as usize;
    }
    out.bytes[out.length..].fill(0);
    out.bytes[FIELDS / 2] |= u8::from(stat.btime.is_some()) << (FIELDS % 2 * 4);
    out
}

/// The bit of the last nibble that says that what a catalog keeps follows.
const KEPT: u8 = 2;

/// The same with what a catalog keeps: its place, whether it is to be looked at again, and if its content was read the digest, with its length, and
/// when.
pub(crate) fn encode_kept(detail: &Detail) -> Vec<u8> {
    let mut out = encode(&detail.stat).to_vec();
    if let Some(kept) = &detail.kept {
        out[FIELDS / 2] |= KEPT << (FIELDS % 2 * 4);
        out.extend_from_slice(&kept.place.to_le_bytes());
        out.push(u8::from(kept.is_racy));
        let at = out.len();
        out.push(0);
        if let Some(hashed) = &kept.hashed {
            hashed.fingerprint.encode(&mut out);
            out[at] = u8::try_from(out.len() - at - 1).unwrap_or(0);
            out.extend_from_slice(&hashed.at.to_le_bytes());
        }
    }
    out
}

/// What follows the numbers, and how many bytes it takes.
fn decode_kept(bytes: &[u8]) -> (Kept, usize) {
    const HEAD: usize = 10;
    let word = |at: usize| bytes.get(at..at + 8).and_then(|word| word.try_into().ok()).unwrap_or_default();
    let place = u64::from_le_bytes(word(0));
    let is_racy = bytes.get(8) == Some(&1);
    let end = HEAD + usize::from(bytes.get(9).copied().unwrap_or(0));
    let hashed = bytes.get(HEAD..end).and_then(Fingerprint::decode);
    let hashed = hashed.map(|fingerprint| Hashed { fingerprint, at: i64::from_le_bytes(word(end)) });
    (Kept { place, is_racy, hashed }, if end == HEAD { end } else { end + 8 })
}

/// From bytes, and how many they were; what is missing is zero.
pub(crate) fn decode(bytes: &[u8]) -> (Detail, usize) {
    let nibble = |field: usize| bytes.get(field / 2).map_or(0, |byte| usize::from(byte >> (field % 2 * 4) & 0xf));
    let mut numbers = [0_u64; FIELDS];
    let mut at = HEAD;
    for (field, number) in numbers.iter_mut().enumerate() {
        let length = nibble(field).min(8);
        let mut word = [0; 8];
        if let Some(there) = bytes.get(at..at + length) {
            word[..length].copy_from_slice(there);
        }
        *number = u64::from_le_bytes(word);
        at += length;
    }
    let [ino, dev, size, mtime, ctime, btime, mode, uid, gid] = numbers;
    let flags = nibble(FIELDS);
    let short = |number| u32::try_from(number).unwrap_or(u32::MAX);
    let mtime = unzigzag(mtime);
    let ctime = unzigzag(ctime).wrapping_add(mtime);
    let stat = Stat {
        ino,
        dev,
        size: unzigzag(size),
        mtime,
        ctime,
        btime: (flags & 1 != 0).then(|| unzigzag(btime).wrapping_add(ctime)),
        mode: short(mode),
        uid: short(uid),
        gid: short(gid),
    };
    if flags & usize::from(KEPT) == 0 {
        return (Detail { stat, kept: None }, at);
    }
    let (kept, length) = decode_kept(bytes.get(at..).unwrap_or_default());
    (Detail { stat, kept: Some(kept) }, at + length)
}

/// A number with a sign as one without, small if it is near zero.
fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// Its type.
pub(crate) fn kind(stat: &Stat) -> Kind {
    Kind::from_mode(stat.mode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_is_zero() {
        assert_eq!(decode(&[]), (Detail::default(), HEAD));
    }

    proptest! {
        #[test]
        fn bytes_and_back(
            ino: u64, dev: u64, size: i64, mtime: i64, ctime: i64, btime: Option<i64>, mode: u32, uid: u32, gid: u32, bits in 0..64_u32,
        ) {
            let stat = Stat { ino: ino >> bits, dev, size: size >> bits, mtime, ctime: ctime >> bits, btime, mode, uid, gid };
            for stat in [stat, Stat { ctime: mtime, btime: Some(mtime), ..stat }] {
                let bytes = encode(&stat);
                let length = bytes.len();
                let detail = Detail { stat, kept: None };
                prop_assert_eq!(decode(&[&bytes, &b"more"[..]].concat()), (detail, length));
                prop_assert!(length <= MOST);
                let hashed = Hashed { fingerprint: Fingerprint::Blake3([7; 32]), at: mtime };
                for hashed in [None, Some(hashed)] {
                    let detail = Detail { stat, kept: Some(Kept { place: dev, is_racy: bits == 0, hashed }) };
                    let bytes = encode_kept(&detail);
                    prop_assert_eq!(decode(&[&bytes, &b"more"[..]].concat()), (detail, bytes.len()));
                }
            }
        }
    }
}
