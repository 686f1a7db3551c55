//! One large file, copied by several workers, chunk by chunk.
//!
//! Whoever begins it takes chunks until there are none; others who are free help. Whoever is the last to stop looks at the whole and names it. Whether
//! helpers make it faster is measured with the first such file between two file systems: on a local disk they often do not, behind a
//! network they do.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::AcqRel, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pwalk_engine::{Context, Threads};
use pwalk_fs::{Meta, set_length};

use super::data::Ranges;
use super::draft::Draft;
use super::error::{Failure, target};
use super::file::{Became, Opened};
use super::pair::Pair;
use super::strategy::Chunks;
use super::visitor::{Spot, Worker};

/// Files from this size on are worth several workers.
pub(crate) const LEAST: u64 = 128 << 20;
/// What one worker takes at a time.
const CHUNK: u64 = 32 << 20;
/// Helpers, unless the user says how many workers there are.
const HELPERS: usize = 16;
/// Chunks that are copied alone, and then by two, to compare.
const SAMPLE: u64 = 4;
/// Two workers must be as much faster as this, in parts of a hundred, to be worth it.
const GAIN: u128 = 115;

/// A file that several workers copy.
struct Large {
    spot: Arc<Spot>,
    name: CString,
    opened: Opened,
    draft: Draft,
    pair: Arc<Pair>,
    /// Chunks, as ranges of data.
    chunks: Vec<(u64, u64)>,
    next: AtomicUsize,
    /// Workers that are at it, or will be.
    hands: AtomicUsize,
    failed: Mutex<Option<Failure>>,
    /// The time that the first chunks took alone, and since when there are two.
    alone: Mutex<Option<Duration>>,
    begun: Instant,
    done: AtomicU64,
    helped: AtomicU64,
}

impl Worker {
    /// Copies a large file, with others. It is concluded by whoever is done last.
    pub(crate) fn many_hands(
        &mut self,
        cx: &mut Context<'_, Self>,
        spot: &Arc<Spot>,
        name: &CStr,
        opened: Opened,
        draft: Draft,
        pair: Arc<Pair>,
    ) -> Result<Became, Failure> {
        let chunks = match chunks(&opened.file, &opened.meta, self.shared.options.sparse) {
            Ok(chunks) => chunks,
            Err(why) => {
                self.drop_draft(spot, name, &draft);
                return Err(why);
            }
        };
        let is_known = self.shared.options.strategy.chunks() == Chunks::Always || pair.several_pay() == Some(true);
        let large = Arc::new(Large {
            spot: Arc::clone(spot),
            name: name.to_owned(),
            opened,
            draft,
            pair,
            chunks,
            next: AtomicUsize::new(0),
            hands: AtomicUsize::new(1),
            failed: Mutex::new(None),
            alone: Mutex::new(None),
            begun: Instant::now(),
            done: AtomicU64::new(0),
            helped: AtomicU64::new(0),
        });
        if is_known {
            self.call_for_help(cx, &large, HELPERS);
        }
        self.help(cx, &large, !is_known);
        Ok(Became::Later)
    }

    /// Lets others help.
    fn call_for_help(&self, cx: &mut Context<'_, Self>, large: &Arc<Large>, most: usize) {
        let workers = match self.shared.options.walk.threads {
            Threads::Fixed(workers) => workers,
            Threads::Adaptive => most,
        };
        let most = most.min(workers.saturating_sub(1)).min(large.chunks.len().saturating_sub(1));
        for _ in 0..most {
            large.hands.fetch_add(1, Relaxed);
            let large = Arc::clone(large);
            cx.spawn(move |worker, cx| {
                large.helped.fetch_add(1, Relaxed);
                worker.help(cx, &large, false);
            });
        }
    }

    /// Copies chunks while there are some.
    fn help(&mut self, cx: &mut Context<'_, Self>, large: &Arc<Large>, measures: bool) {
        let mut two_since = None;
        while !large.has_failed() {
            let Some(range) = large.chunks.get(large.next.fetch_add(1, Relaxed)).copied() else { break };
            let files = (large.opened.file.as_fd(), large.draft.fd.as_fd());
            match self.range(cx, files, range, &large.pair, true) {
                Ok(()) => {
                    large.done.fetch_add(range.1 - range.0, Relaxed);
                }
                Err(why) => large.fail(why),
            }
            if measures {
                self.measure(cx, large, &mut two_since);
            }
        }
        // AcqRel: the last one sees what the others wrote down.
        if large.hands.fetch_sub(1, AcqRel) == 1 {
            self.conclude_large(cx, large);
        }
    }

    /// Compares what two workers do in a while with what one did.
    fn measure(&self, cx: &mut Context<'_, Self>, large: &Arc<Large>, two_since: &mut Option<(Instant, u64)>) {
        let done = large.done.load(Relaxed);
        let mut alone = large.alone.lock().unwrap_or_else(PoisonError::into_inner);
        match (*alone, *two_since) {
            (None, _) if done >= SAMPLE * CHUNK => {
                *alone = Some(large.begun.elapsed());
                self.call_for_help(cx, large, 1);
            }
            (Some(_), None) if large.helped.load(Relaxed) > 0 => *two_since = Some((Instant::now(), done)),
            (Some(one), Some((since, from))) if done - from >= SAMPLE * CHUNK && large.pair.several_pay().is_none() => {
                // Bytes a nanosecond, by one and by two.
                let by_one = u128::from(SAMPLE * CHUNK) * since.elapsed().as_nanos();
                let by_two = u128::from(done - from) * one.as_nanos();
                let pays = by_two * 100 >= by_one * GAIN;
                tracing::debug!(pays, "several workers on one file");
                large.pair.set_several_pay(pays);
                if pays {
                    self.call_for_help(cx, large, HELPERS);
                }
            }
            _ => {}
        }
    }

    fn conclude_large(&mut self, cx: &mut Context<'_, Self>, large: &Arc<Large>) {
        let Large { spot, name, opened, draft, .. } = &**large;
        let failed = large.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Not before: to write into a hole costs more than to make a file longer. What ends in a hole is too short yet.
        let whole = || set_length(draft.fd.as_fd(), opened.meta.size).map_err(target("set the size of"));
        let done = failed.map_or_else(whole, Err).and_then(|()| self.conclude_file(spot, name, opened, draft));
        let done = match self.concluded(cx, spot, name, opened, draft, done) {
            Ok(Became::Later) => return,
            Ok(Became::Copy(id)) => Ok(id),
            Err(why) => Err(why),
        };
        let copy = done.as_ref().ok().copied().flatten();
        if opened.meta.nlink > 1 && self.shared.options.keep.links {
            self.settle(cx, spot, name, &opened.meta, copy);
        }
        if let Err(why) = done {
            self.fail(cx, &spot.path(name), why);
        }
        self.tally.tell(&self.shared.counts);
    }
}

impl Large {
    fn has_failed(&self) -> bool {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn fail(&self, why: Failure) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
    }
}

/// The data of a file in pieces for one worker.
fn chunks(file: &OwnedFd, meta: &Meta, sparse: super::Sparse) -> Result<Vec<(u64, u64)>, Failure> {
    let mut chunks = Vec::new();
    for range in Ranges::of(file.as_fd(), meta, sparse) {
        let (mut from, to) = range?;
        while from < to {
            let end = to.min(from + CHUNK);
            chunks.push((from, end));
            from = end;
        }
    }
    Ok(chunks)
}
