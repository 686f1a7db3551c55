//! What was learned of copying from one file system to another: which ways work, and how long each takes.
//!
//! No table of file systems says it: kernels, mount options and what is cached decide. So the first few files of each size are copied in
//! every way there is, and from then on in the one that was fastest; now and then another is tried again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pwalk_fs::Errno;

use super::content::{Broken, Piece};

/// A way to copy bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Range,
    Send,
    Buffer,
}

const WAYS: [Way; 3] = [Way::Range, Way::Send, Way::Buffer];
/// A class of sizes for each power of two.
const CLASSES: usize = 26;
/// How often each way is tried before one is preferred.
const TRIES: u32 = 4;
/// How seldom another is tried again.
const AGAIN: u32 = 512;
/// How seldom the one that is preferred is measured again.
const MEASURED: u32 = 16;
/// Below this nothing is in favour of letting the kernel share or send.
const SMALL: u64 = 64 << 10;
/// Large ranges are copied, and measured, by so many bytes.
const BLOCK: u64 = 16 << 20;

/// Nanoseconds that one way takes for one class of sizes. Races between workers lose a measurement, not more.
#[derive(Default)]
struct Score {
    nanos: AtomicU64,
    tries: AtomicU32,
}

impl Score {
    fn add(&self, took: Duration) {
        let new = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let tries = self.tries.fetch_add(1, Relaxed);
        let old = self.nanos.load(Relaxed);
        // What was faster once can be so again; what was slow once may have met a busy disk.
        let next = if tries == 0 || new < old { new } else { old + (new.min(4 * old) - old) / 16 };
        self.nanos.store(next, Relaxed);
    }
}

/// Two file systems, from one to the other.
#[derive(Default)]
pub(crate) struct Pair {
    scores: [[Score; WAYS.len()]; CLASSES],
    unsupported: [AtomicBool; WAYS.len()],
    /// The way that is preferred, counted from 1; 0 where it is to be found out.
    chosen: [AtomicU8; CLASSES],
    no_clone: AtomicBool,
    /// Clones refused for reasons that may be a single file's.
    odd_clones: AtomicU8,
    no_unnamed: AtomicBool,
    /// Whether several workers copy one file faster than one: 0 unknown, 1 they do, 2 they do not.
    several: AtomicU8,
    told: AtomicBool,
}

impl Pair {
    pub(crate) fn may_clone(&self) -> bool {
        !self.no_clone.load(Relaxed)
    }

    /// A clone was refused.
    pub(crate) fn no_clone(&self, errno: Errno) {
        if errno != Errno::INVAL || self.odd_clones.fetch_add(1, Relaxed) >= 3 {
            self.no_clone.store(true, Relaxed);
        }
    }

    pub(crate) fn may_be_unnamed(&self) -> bool {
        !self.no_unnamed.load(Relaxed)
    }

    pub(crate) fn no_unnamed(&self) {
        self.no_unnamed.store(true, Relaxed);
    }

    pub(crate) fn several_pay(&self) -> Option<bool> {
        match self.several.load(Relaxed) {
            0 => None,
            known => Some(known == 1),
        }
    }

    pub(crate) fn set_several_pay(&self, pays: bool) {
        self.several.store(if pays { 1 } else { 2 }, Relaxed);
    }

    /// Whether this is the first time that something is to be told of this pair.
    pub(crate) fn is_news(&self) -> bool {
        !self.told.swap(true, Relaxed)
    }

    /// Copies a range in the way that is fastest, as far as is known.
    pub(crate) fn copy(&self, piece: &mut Piece<'_>, may_share: bool) -> Result<(), Broken> {
        let end = piece.end();
        while piece.left() > 0 {
            let size = piece.left().min(BLOCK);
            piece.set_end(piece.at() + size);
            let done = self.block(piece, size, may_share);
            let is_short = piece.left() > 0;
            piece.set_end(end);
            done?;
            if is_short {
                break;
            }
        }
        Ok(())
    }

    fn block(&self, piece: &mut Piece<'_>, size: u64, may_share: bool) -> Result<(), Broken> {
        loop {
            let (way, measures) = self.choose(size, piece, may_share);
            let began = measures.then(Instant::now);
            let done = match way {
                Way::Range => piece.by_range(),
                Way::Send => piece.by_send(),
                Way::Buffer => piece.by_buffer(),
            };
            match done {
                Ok(()) if piece.left() == 0 => {
                    if let Some(began) = began {
                        self.scores[class(size)][way as usize].add(began.elapsed());
                    }
                    return Ok(());
                }
                // Of what is in its way reading and writing tells better.
                Err(Broken::Way(Errno::NODATA | Errno::IO)) => return piece.by_buffer(),
                Err(Broken::Way(_)) => self.unsupported[way as usize].store(true, Relaxed),
                other => return other,
            }
        }
    }

    /// A way, and whether to measure it.
    fn choose(&self, size: u64, piece: &Piece<'_>, may_share: bool) -> (Way, bool) {
        if piece.makes_holes() {
            return (Way::Buffer, false);
        }
        let scores = &self.scores[class(size)];
        let turn = piece.turn();
        let is_turn = turn.is_multiple_of(AGAIN);
        // Relaxed: a choice a moment old is as good. What was chosen may not do for this piece.
        let chosen = self.chosen[class(size)].load(Relaxed);
        let way = WAYS.iter().copied().find(|way| *way as u8 + 1 == chosen);
        if let Some(way) = way.filter(|way| !is_turn && self.can(*way, piece, may_share)) {
            let measures = turn.is_multiple_of(MEASURED);
            if measures {
                self.chosen[class(size)].store(0, Relaxed);
            }
            return (way, measures);
        }
        let tries = |way: &Way| scores[*way as usize].tries.load(Relaxed);
        let ways = WAYS.iter().copied().filter(|way| self.can(*way, piece, may_share));
        let least = ways.clone().min_by_key(tries).unwrap_or(Way::Buffer);
        if tries(&least) < TRIES || is_turn {
            return (least, true);
        }
        // Times vary with what else the machine does: what is only a little faster was lucky.
        let favoured = if size >= SMALL { Way::Range } else { Way::Send };
        let favour = |way: Way| if way == favoured { 90 } else { 100 };
        let rank = |way: &Way| scores[*way as usize].nanos.load(Relaxed) * favour(*way);
        let best = ways.min_by_key(rank).unwrap_or(Way::Buffer);
        self.chosen[class(size)].store(best as u8 + 1, Relaxed);
        (best, true)
    }

    fn can(&self, way: Way, piece: &Piece<'_>, may_share: bool) -> bool {
        let asked = match way {
            Way::Range => may_share,
            Way::Send => !piece.is_shared(),
            Way::Buffer => return true,
        };
        asked && !self.unsupported[way as usize].load(Relaxed)
    }
}

fn class(size: u64) -> usize {
    (size.max(1).ilog2() as usize).min(CLASSES - 1)
}

/// All pairs that were met, by their devices.
#[derive(Default)]
pub(crate) struct Pairs(Mutex<HashMap<(u64, u64), Arc<Pair>>>);

impl Pairs {
    pub(crate) fn get(&self, devices: (u64, u64)) -> Arc<Pair> {
        let mut pairs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(pairs.entry(devices).or_default())
    }
}
