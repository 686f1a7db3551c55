//! So many bytes a second, for all threads together.
//!
//! A virtual clock, as for calls in the engine: whoever takes bytes moves the time up to which the rate is used up, and waits for what others
//! took before. What was not used is forgotten but for a tenth of a second, so that there is no burst after a pause; a taker does not wait for its
//! own bytes, so that one larger than a second's worth is no deadlock. Over any time T at most `rate × (T + 0.1 s)` bytes and one read
//! of each thread pass.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const NANOSECONDS: u128 = 1_000_000_000;
/// What is not forgotten of a rate that was not used.
const BURST: u128 = NANOSECONDS / 10;
/// How long a cancelled wait goes on at the most.
const STEP: Duration = Duration::from_millis(50);

/// The arithmetic alone: no clock and no waiting.
#[derive(Clone, Debug)]
pub struct Bucket {
    per_second: u128,
    /// When all that was taken has been paid for, in nanoseconds.
    paid: u128,
    /// What a nanosecond does not divide, in billionths of a byte times the rate.
    carry: u128,
}

impl Bucket {
    /// So many bytes a second, at least one.
    pub fn new(per_second: u64) -> Self {
        Self { per_second: u128::from(per_second.max(1)), paid: 0, carry: 0 }
    }

    /// Takes `bytes` at the time `now`, counted from any moment. Returns how long to wait before they are used.
    pub fn take(&mut self, now: Duration, bytes: u64) -> Duration {
        let now = now.as_nanos();
        let from = self.paid.max(now.saturating_sub(BURST));
        let due = u128::from(bytes) * NANOSECONDS + self.carry;
        self.paid = from + due / self.per_second;
        self.carry = due % self.per_second;
        Duration::from_nanos(u64::try_from(from.saturating_sub(now)).unwrap_or(u64::MAX))
    }
}

/// A rate that threads share.
#[derive(Debug)]
pub struct Rate {
    start: Instant,
    bucket: Mutex<Bucket>,
}

impl Rate {
    /// So many bytes a second, at least one.
    pub fn new(per_second: u64) -> Self {
        Self { start: Instant::now(), bucket: Mutex::new(Bucket::new(per_second)) }
    }

    /// Waits until `bytes` may be used, or until it is cancelled.
    pub fn wait(&self, bytes: u64, is_cancelled: impl Fn() -> bool) {
        let now = self.start.elapsed();
        let until = now + self.bucket.lock().unwrap_or_else(PoisonError::into_inner).take(now, bytes);
        // A switch that a signal handler pulls wakes nobody, so it is looked at now and then.
        while !is_cancelled() {
            let left = until.saturating_sub(self.start.elapsed());
            if left.is_zero() {
                return;
            }
            thread::sleep(left.min(STEP));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use pwalk_engine::Cancel;

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn takers_wait_for_what_others_took() {
        let mut bucket = Bucket::new(1000);
        assert_eq!(bucket.take(at(1000), 100), at(0));
        // A tenth of a second's worth was left over from before, and is taken now.
        assert_eq!(bucket.take(at(1000), 500), at(0));
        assert_eq!(bucket.take(at(1000), 1), at(500));
        assert_eq!(bucket.take(at(1200), 1), at(301));
        // After an hour of nothing no more than before.
        assert_eq!(bucket.take(at(3_600_000), 100), at(0));
        assert_eq!(bucket.take(at(3_600_000), 100), at(0));
        assert_eq!(bucket.take(at(3_600_000), 100), at(100));
    }

    #[test]
    fn nothing_overflows_and_nothing_stands_still() {
        let mut slow = Bucket::new(0);
        assert_eq!(slow.take(at(0), u64::MAX), at(0));
        assert_eq!(slow.take(at(0), u64::MAX), Duration::from_nanos(u64::MAX));
        let mut fast = Bucket::new(u64::MAX);
        assert!((0..1000).all(|_| fast.take(at(0), 1 << 20).is_zero()));
    }

    proptest! {
        /// Several threads, each with reads of its own size, each reading when it has waited: simulated.
        #[test]
        fn never_faster_and_never_slower(
            rate in 1_000..5_000_000_000_u64, reads in prop::collection::vec(1_000..2_000_000_u64, 1..9),
        ) {
            let mut bucket = Bucket::new(rate);
            let mut ready = vec![at(1000); reads.len()];
            let (mut total, mut last) = (0, at(1000));
            for _ in 0..2_000 {
                let (thread, now) = ready.iter().copied().enumerate().min_by_key(|(_, when)| *when).unwrap();
                last = now;
                ready[thread] = now + bucket.take(now, reads[thread]);
                total += reads[thread];
            }
            let seconds = last.as_secs_f64() - 1.0;
            let allowed = seconds * rate as f64;
            let slack = 0.1 * rate as f64 + reads.iter().sum::<u64>() as f64 * 3.0;
            prop_assert!((total as f64) < allowed + slack, "{total} in {seconds}");
            prop_assert!((total as f64) > allowed - 1.0, "{total} in {seconds}");
        }
    }

    #[test]
    fn a_cancelled_wait_ends() {
        let (rate, cancel) = (Rate::new(1), Cancel::new());
        rate.wait(1_000_000, || cancel.is_cancelled());
        thread::scope(|scope| {
            let waiting = scope.spawn(|| rate.wait(1, || cancel.is_cancelled()));
            cancel.cancel();
            waiting.join().unwrap();
        });
        // Eleven days are over; or else this test is not.
        assert!(cancel.is_cancelled() && rate.start.elapsed() < Duration::from_secs(60));
    }
}
