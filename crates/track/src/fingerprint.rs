//! What the content of a file is, as a digest: whole, or of samples.
//!
//! A fingerprint names its kind, so that two of different kinds are never taken for different contents. As text it is `blake3:…`, `xxh3:…`,
//! `blake3-sample:…` or `xxh3-sample:…` with the digest in lower-case hexadecimal; as bytes it is one byte for the kind and the digest.
//! XXH3 is the 128-bit one with seed 0, its digest in the canonical, big-endian order that `xxhsum -H2` prints. Both forms stand in
//! catalogs and must stay as they are.
//!
//! * `digest.rs`: bytes to digest, and which bytes a sample takes;
//! * `reach.rs`: opening a file below a root, so that it is the one that the scan saw;
//! * `hasher.rs`: one file; `pool.rs`: many, in threads;
//! * `rate.rs`: so many bytes a second.

mod digest;
#[cfg(test)]
#[path = "fingerprint/tests.rs"]
mod file_tests;
mod hasher;
mod pool;
mod rate;
mod reach;

use std::fmt;
use std::str::FromStr;

pub use digest::{PIECE, PIECES};
pub use hasher::{HashOptions, Hasher, Outcome};
pub use pool::{HashSink, Hashers, Item, Stopped};
pub use rate::{Bucket, Rate};

/// A hash function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Hash {
    /// BLAKE3, 256 bits: nobody can make two contents of one digest.
    #[default]
    Blake3,
    /// XXH3, 128 bits: half as long, and seldom faster, because it is memory that is waited for; tells damage, and not malice.
    Xxh3,
}

impl Hash {
    /// All of them, by their names.
    pub const NAMES: [&str; 2] = ["blake3", "xxh3"];

    /// `blake3` or `xxh3`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blake3 => "blake3",
            Self::Xxh3 => "xxh3",
        }
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Hash {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "blake3" => Ok(Self::Blake3),
            "xxh3" => Ok(Self::Xxh3),
            _ => Err("a hash is blake3 or xxh3"),
        }
    }
}

/// Which files are hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FingerprintMode {
    /// None.
    #[default]
    None,
    /// Those that have no fingerprint or may have changed.
    New,
    /// All.
    All,
    /// Those that have no fingerprint or may have changed, and of them samples only.
    Sample,
}

impl FingerprintMode {
    /// All of them, by their names.
    pub const NAMES: [&str; 4] = ["none", "new", "all", "sample"];

    /// Whether a file is looked at that is what it was; `is_unread` says whether it has no fingerprint.
    pub(crate) fn rereads(self, is_unread: impl Fn() -> bool) -> bool {
        match self {
            Self::None => false,
            Self::New | Self::Sample => is_unread(),
            Self::All => true,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

impl FromStr for FingerprintMode {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "none" => Ok(Self::None),
            "new" => Ok(Self::New),
            "all" => Ok(Self::All),
            "sample" => Ok(Self::Sample),
            _ => Err("fingerprint is none, new, all or sample"),
        }
    }
}

/// The digest of a file's content, and of what kind it is. Only those of one kind can be compared ([`Self::is_like`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Fingerprint {
    /// BLAKE3 of the whole content.
    Blake3([u8; 32]),
    /// XXH3-128 of the whole content.
    Xxh3([u8; 16]),
    /// BLAKE3 of the length and of samples.
    Blake3Sample([u8; 32]),
    /// XXH3-128 of the length and of samples.
    Xxh3Sample([u8; 16]),
}

impl Fingerprint {
    /// The hash function.
    pub const fn hash(&self) -> Hash {
        match self {
            Self::Blake3(_) | Self::Blake3Sample(_) => Hash::Blake3,
            Self::Xxh3(_) | Self::Xxh3Sample(_) => Hash::Xxh3,
        }
    }

    /// Whether it is of samples only.
    pub const fn is_sample(&self) -> bool {
        matches!(self, Self::Blake3Sample(_) | Self::Xxh3Sample(_))
    }

    /// The digest, 32 or 16 bytes.
    pub const fn digest(&self) -> &[u8] {
        match self {
            Self::Blake3(digest) | Self::Blake3Sample(digest) => digest,
            Self::Xxh3(digest) | Self::Xxh3Sample(digest) => digest,
        }
    }

    /// Whether both are of one kind, so that being different means different contents.
    pub const fn is_like(&self, other: &Self) -> bool {
        self.kind() == other.kind()
    }

    /// Appends it as bytes: kind (1 to 4), then the digest.
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.kind());
        bytes.extend_from_slice(self.digest());
    }

    /// From bytes that are nothing but a fingerprint.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, digest) = bytes.split_first()?;
        Self::of_kind(*kind, digest)
    }

    const fn kind(&self) -> u8 {
        match self {
            Self::Blake3(_) => 1,
            Self::Xxh3(_) => 2,
            Self::Blake3Sample(_) => 3,
            Self::Xxh3Sample(_) => 4,
        }
    }

    fn of_kind(kind: u8, digest: &[u8]) -> Option<Self> {
        match kind {
            1 => digest.try_into().ok().map(Self::Blake3),
            2 => digest.try_into().ok().map(Self::Xxh3),
            3 => digest.try_into().ok().map(Self::Blake3Sample),
            4 => digest.try_into().ok().map(Self::Xxh3Sample),
            _ => None,
        }
    }
}

/// The kinds' names, from kind 1 on.
const NAMES: [&str; 4] = ["blake3", "xxh3", "blake3-sample", "xxh3-sample"];

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", NAMES[usize::from(self.kind()) - 1])?;
        self.digest().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is blake3:, xxh3:, blake3-sample: or xxh3-sample: and 64 or 32 hexadecimal digits")]
pub struct BadFingerprint;

impl FromStr for Fingerprint {
    type Err = BadFingerprint;

    fn from_str(text: &str) -> Result<Self, BadFingerprint> {
        let (name, hex) = text.split_once(':').ok_or(BadFingerprint)?;
        let kind = (1..).zip(NAMES).find(|(_, known)| *known == name).ok_or(BadFingerprint)?.0;
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
        let bytes: Option<Vec<u8>> = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
        let bytes = bytes.filter(|_| rest.is_empty()).ok_or(BadFingerprint)?;
        Self::of_kind(kind, &bytes).ok_or(BadFingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms_stay_as_they_are() {
        let short = std::array::from_fn(|at| u8::try_from(at * 17).unwrap());
        let long = std::array::from_fn(|at| u8::try_from(255 - at).unwrap());
        let all = [
            (Fingerprint::Blake3(long), 1, "blake3:fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0efeeedecebeae9e8e7e6e5e4e3e2e1e0"),
            (Fingerprint::Xxh3(short), 2, "xxh3:00112233445566778899aabbccddeeff"),
            (
                Fingerprint::Blake3Sample(long),
                3,
                "blake3-sample:fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0efeeedecebeae9e8e7e6e5e4e3e2e1e0",
            ),
            (Fingerprint::Xxh3Sample(short), 4, "xxh3-sample:00112233445566778899aabbccddeeff"),
        ];
        for (at, (print, kind, text)) in all.iter().enumerate() {
            let mut bytes = Vec::new();
            print.encode(&mut bytes);
            assert_eq!((bytes[0], &bytes[1..]), (*kind, print.digest()));
            assert_eq!(Fingerprint::decode(&bytes), Some(*print));
            assert_eq!(print.to_string(), *text);
            assert_eq!(text.parse(), Ok(*print));
            assert_eq!(text.to_uppercase().parse::<Fingerprint>(), Err(BadFingerprint));
            for (other, (another, ..)) in all.iter().enumerate() {
                assert_eq!((print == another, print.is_like(another)), (at == other, at == other));
            }
        }
        for bad in [
            "",
            "xxh3",
            "xxh3:",
            "xxh3:0011",
            "md5:00112233445566778899aabbccddeeff",
            "xxh3:+0112233445566778899aabbccddeeff",
        ] {
            assert_eq!(bad.parse::<Fingerprint>(), Err(BadFingerprint), "{bad}");
        }
        assert_eq!("XXH3".parse::<Hash>(), Err("a hash is blake3 or xxh3"));
        assert_eq!([Hash::Blake3, Hash::Xxh3].map(|hash| hash.to_string().parse()), [Ok(Hash::Blake3), Ok(Hash::Xxh3)]);
    }

    proptest! {
        #[test]
        fn bytes_are_one_fingerprint_or_none(bytes: Vec<u8>, kind in 0..6_u8, length in 0..40_usize) {
            for bytes in [bytes, [vec![kind], vec![7; length]].concat()] {
                let whole = matches!((bytes.first(), bytes.len()), (Some(1 | 3), 33) | (Some(2 | 4), 17));
                let print = Fingerprint::decode(&bytes);
                prop_assert_eq!(print.is_some(), whole);
                if let Some(print) = print {
                    let mut again = Vec::new();
                    print.encode(&mut again);
                    prop_assert_eq!(again, bytes);
                    prop_assert_eq!(print.to_string().parse(), Ok(print));
                }
            }
        }
    }
}
