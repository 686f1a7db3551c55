//! Bytes to digest, and which bytes a sample takes.
//!
//! A whole fingerprint is the hash of the content and of nothing else, so that `b3sum` and `xxhsum` say the same.
//!
//! A sample is the hash of the file's length (8 bytes, little-endian) and, after it, of its content up to 1 MiB = 16 × 64 KiB; of a longer file
//! of 16 pieces of 64 KiB, in order. With counting from 0, piece `i` begins at `i × (length − 65,536) / 15`, rounded down: the first is
//! the beginning of the file, the last its end, and none overlap. So small files are read whole and yet their kind says sample: the kind says how a
//! fingerprint was made and not how large the file was. What changes between the pieces and leaves the length alone is not seen.
//! This must never change: fingerprints are kept for years. A better sample would be a kind of its own.

use super::{Fingerprint, Hash};

/// Bytes of a piece of a sample.
pub const PIECE: u64 = 65_536;
/// Pieces of a sample.
pub const PIECES: u64 = 16;

/// Where the pieces of a sample begin and how long they are, for a file of `size` bytes.
pub(super) fn pieces(size: u64) -> impl Iterator<Item = (u64, u64)> {
    let is_small = size <= PIECE * PIECES;
    let room = u128::from(size.saturating_sub(PIECE));
    let begin = move |piece: u64| {
        // Never more than `room`, which was 64 bits.
        u64::try_from(u128::from(piece) * room / u128::from(PIECES - 1)).unwrap_or(u64::MAX)
    };
    (0..if is_small { 1 } else { PIECES }).map(move |piece| if is_small { (0, size) } else { (begin(piece), PIECE) })
}

/// A digest in the making.
pub(super) enum Digest {
    Blake3(Box<blake3::Hasher>),
    Xxh3(Box<twox_hash::xxhash3_128::Hasher>),
}

impl Digest {
    pub(super) fn new(hash: Hash) -> Self {
        match hash {
            Hash::Blake3 => Self::Blake3(Box::default()),
            Hash::Xxh3 => Self::Xxh3(Box::default()),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Blake3(state) => drop(state.update(bytes)),
            Self::Xxh3(state) => state.write(bytes),
        }
    }

    /// Ends it, as what it was made of says.
    pub(super) fn finish(&self, is_sample: bool) -> Fingerprint {
        match self {
            Self::Blake3(state) => {
                let digest = *state.finalize().as_bytes();
                if is_sample { Fingerprint::Blake3Sample(digest) } else { Fingerprint::Blake3(digest) }
            }
            Self::Xxh3(state) => {
                let digest = state.finish_128().to_be_bytes();
                if is_sample { Fingerprint::Xxh3Sample(digest) } else { Fingerprint::Xxh3(digest) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_spread_from_the_beginning_to_the_end() {
        let all = |size| pieces(size).collect::<Vec<_>>();
        assert_eq!(all(0), [(0, 0)]);
        assert_eq!(all(1 << 20), [(0, 1 << 20)]);
        // Written down once and for ever.
        let starts = |size| pieces(size).map(|(at, _)| at).collect::<Vec<_>>();
        assert_eq!(
            starts(10_000_000),
            [
                0, 662_297, 1_324_595, 1_986_892, 2_649_190, 3_311_488, 3_973_785, 4_636_083, 5_298_380, 5_960_678,
                6_622_976, 7_285_273, 7_947_571, 8_609_868, 9_272_166, 9_934_464
            ]
        );
        for size in [(1 << 20) + 1, (1 << 20) + 14, 10_000_000_000_000, u64::MAX] {
            let all = all(size);
            assert_eq!((all.len(), all[0]), (16, (0, PIECE)));
            assert_eq!(all[15].0, size - PIECE);
            assert!(all.windows(2).all(|pair| pair[0].0 + PIECE <= pair[1].0), "{size}: {all:?}");
        }
    }

    #[test]
    fn digests_are_those_of_the_published_vectors() {
        let whole = |hash, content: &[u8]| {
            let mut digest = Digest::new(hash);
            content.chunks(7).for_each(|chunk| digest.update(chunk));
            digest.finish(false).to_string()
        };
        // From BLAKE3's test_vectors.json: nothing, and 1,025 bytes that count from 0 to 250 over and over.
        let counted: Vec<u8> = (0..=250).cycle().take(1025).collect();
        assert_eq!(whole(Hash::Blake3, b""), "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
        assert_eq!(
            whole(Hash::Blake3, &counted),
            "blake3:d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"
        );
        // From xxHash's own sanity checks: nothing, with seed 0.
        assert_eq!(whole(Hash::Xxh3, b""), "xxh3:99aa06d3014798d86001c324468d497f");
    }
}
