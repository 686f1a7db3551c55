//! What the tests of pwalk are run against: hostile trees, a file system that misbehaves on demand, a database server.
//!
//! Three rooms. [`trees`] builds real trees on a real file system, one hazard per function, and can remove them
//! again however deep they are. [`fuse`] mounts a synthetic file system in this process: computed (so 100 million
//! entries cost nothing), slow, broken or silent by rule, and it counts what it was asked. [`postgres`] starts a real PostgreSQL
//! server that can be killed and restarted.
//!
//! Real mounts and real trees were chosen over a mocked system-call layer: the promises of pwalk are about what
//! the kernel does with these things, and a mock would only repeat what its author believed.
//!
//! Everything here serves tests. So a function that cannot do its work panics and says which call failed on which
//! name; nothing is skipped in silence. The crate is never published and nothing that users run depends on it.

pub mod fuse;
pub mod postgres;
pub mod trees;
mod unprivileged;

pub use postgres::Postgres;
pub use trees::TempTree;
pub use unprivileged::{is_root, unprivileged, without_dac_override};

/// The pseudo-random numbers of the trees: SplitMix64 (Steele, Lea, Flood 2014). Seeded, portable, and without a
/// dependency whose next version would silently change every "deterministic" tree.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A generator; equal seeds give equal sequences, on every machine and for ever.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`. The bias of the remainder is below `bound / 2^64` and does not matter here.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "Random::below(0)");
        let bound = u64::try_from(bound).expect("usize fits u64");
        usize::try_from(self.bits() % bound).expect("below a usize")
    }
}
