//! An entry's metadata as bytes, few of them, as what is sorted carries it.

use std::ops::Deref;

use pwalk_fs::Kind;
use pwalk_scan::Stat;

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

/// From bytes, and how many they were; what is missing is zero.
pub(crate) fn decode(bytes: &[u8]) -> (Stat, usize) {
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
    let short = |number| u32::try_from(number).unwrap_or(u32::MAX);
    let mtime = unzigzag(mtime);
    let ctime = unzigzag(ctime).wrapping_add(mtime);
    let stat = Stat {
        ino,
        dev,
        size: unzigzag(size),
        mtime,
        ctime,
        btime: (nibble(FIELDS) == 1).then(|| unzigzag(btime).wrapping_add(ctime)),
        mode: short(mode),
        uid: short(uid),
        gid: short(gid),
    };
    (stat, at)
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
        assert_eq!(decode(&[]), (Stat::default(), HEAD));
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
                prop_assert_eq!(decode(&[&bytes, &b"more"[..]].concat()), (stat, length));
                prop_assert!(length <= MOST);
            }
        }
    }
}
