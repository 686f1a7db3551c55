//! An entry's metadata as bytes of fixed length, as what is sorted carries it.

use pwalk_fs::{Kind, Meta, Time};
use pwalk_scan::Stat;

/// Bytes of a [`Stat`].
pub(crate) const SIZE: usize = 60;
/// A time of birth that is not known: earlier than any.
const UNBORN: i64 = i64::MIN;

/// As bytes.
pub(crate) fn encode(stat: &Stat) -> [u8; SIZE] {
    let mut out = [0; SIZE];
    let long = [
        stat.ino,
        stat.dev,
        stat.size.cast_unsigned(),
        stat.mtime.cast_unsigned(),
        stat.ctime.cast_unsigned(),
        stat.btime.unwrap_or(UNBORN).cast_unsigned(),
    ];
    for (place, number) in out.chunks_exact_mut(8).zip(long) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    for (place, number) in out[48..].chunks_exact_mut(4).zip([stat.mode, stat.uid, stat.gid]) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    out
}

/// From bytes; what is missing is zero.
pub(crate) fn decode(bytes: &[u8]) -> Stat {
    let long = |at: usize| bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes);
    let short = |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_le_bytes);
    Stat {
        ino: long(0),
        dev: long(8),
        size: long(16).cast_signed(),
        mtime: long(24).cast_signed(),
        ctime: long(32).cast_signed(),
        btime: Some(long(40).cast_signed()).filter(|time| *time != UNBORN),
        mode: short(48),
        uid: short(52),
        gid: short(56),
    }
}

/// What the kernel said of an entry. Times that 64 bits of nanoseconds do not hold (before 1677, after 2262) become the nearest that they do.
pub(crate) fn of(meta: &Meta) -> Stat {
    Stat {
        ino: meta.ino,
        dev: meta.dev,
        size: i64::try_from(meta.size).unwrap_or(i64::MAX),
        mtime: nanoseconds(meta.mtime),
        ctime: nanoseconds(meta.ctime),
        btime: meta.btime.map(nanoseconds),
        mode: meta.mode,
        uid: meta.uid,
        gid: meta.gid,
    }
}

pub(crate) fn nanoseconds(time: Time) -> i64 {
    let exact = i128::from(time.sec) * 1_000_000_000 + i128::from(time.nsec);
    i64::try_from(exact).unwrap_or(if exact < 0 { i64::MIN } else { i64::MAX })
}

/// Its type.
pub(crate) fn kind(stat: &Stat) -> Kind {
    Kind::from_mode(stat.mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_back() {
        for btime in [None, Some(-1), Some(i64::MAX)] {
            let stat = Stat {
                ino: u64::MAX,
                dev: 2,
                size: i64::MAX,
                mtime: -4,
                ctime: i64::MIN,
                btime,
                mode: 0o104_755,
                uid: u32::MAX,
                gid: 9,
            };
            assert_eq!(decode(&encode(&stat)), stat);
        }
        assert_eq!(nanoseconds(Time { sec: -2, nsec: 999_999_999 }), -1_000_000_001);
        assert_eq!(nanoseconds(Time { sec: i64::MAX, nsec: 0 }), i64::MAX);
    }
}
