//! How many workers should run: a pure state machine.
//!
//! On a local disk more workers than cores are waste; behind a server at a millisecond a call,
//! hundreds are too few. Nobody knows in advance, so it is measured. Samples go in, a limit comes
//! out; there is no clock and no call in here, so a simulator can drive it in the tests.
//!
//! While the process leaves its cores idle although work is queued, the limit is doubled. (Cores that other
//! processes use are not idle: then the workers wait for a core and not for the disk, and more of them would only
//! take the others' share.) A doubling
//! stays if the rate of calls rose: clearly (by a third) after a short look, or by a few per cent
//! after a long one. If it did not rise, the limit goes back and the next try waits, each time twice
//! as long: a server that only queues what it is sent is not pushed. When the rate falls although
//! nothing was changed, the server has changed, and it is tried again at once. When the cores are
//! busy with more workers than cores, halving is tried the same way.
//!
//! Rejected: setting the number from the latency of a call. It says how slow a server is, not how
//! much it can do at once.

use std::time::Duration;

/// What happened since the last sample.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// How long it was.
    pub elapsed: Duration,
    /// System calls that came back. Never entries served from a buffer.
    pub calls: u64,
    /// Processor time of the process.
    pub cpu: Duration,
    /// Workers that found no work, at the time of the sample.
    pub hungry: usize,
    /// How long a worker was ready to run but had no core, on average.
    pub starved: Duration,
}

/// The state machine.
#[derive(Debug)]
pub struct Controller {
    cores: usize,
    max: usize,
    limit: usize,
    phase: Phase,
    seen: Seen,
    /// How long the next rest is.
    rest: Duration,
    /// Whether there was nothing to try when it was last looked: then it is looked less often, for each look takes a core from a worker.
    calm: bool,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Measuring what the present limit gives.
    Measure,
    /// A new limit is being tried; `settling` until the workers have reached it.
    Try { from: usize, rate: f64, settling: bool },
    /// A try failed: no other before `left` has passed, unless `rate` falls.
    Rest { left: Duration, rate: f64 },
}

#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    time: f64,
    calls: f64,
    cpu: f64,
    hungry: f64,
    starved: f64,
}

const SHORT: f64 = 0.004;
const LONG: f64 = 0.050;
const FIRST_REST: Duration = Duration::from_millis(500);
const LONGEST_REST: Duration = Duration::from_secs(16);

impl Controller {
    /// Starts with as many workers as cores; never more than `max`, never fewer than one.
    pub fn new(cores: usize, max: usize) -> Self {
        let max = max.max(1);
        let cores = cores.max(1);
        let limit = cores.min(max);
        Self { cores, max, limit, phase: Phase::Measure, seen: Seen::default(), rest: FIRST_REST, calm: false }
    }

    /// How many workers should run now.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// When to take the next sample: often while something is being tried.
    pub fn interval(&self) -> Duration {
        match self.phase {
            Phase::Measure if self.calm => Duration::from_millis(20),
            Phase::Measure | Phase::Try { .. } => Duration::from_millis(2),
            Phase::Rest { .. } => Duration::from_millis(20),
        }
    }

    /// Takes a sample and returns the limit from now on.
    pub fn sample(&mut self, s: &Sample) -> usize {
        self.seen.time += s.elapsed.as_secs_f64();
        self.seen.calls += as_f64(s.calls);
        self.seen.cpu += s.cpu.as_secs_f64();
        self.seen.hungry += as_f64(s.hungry as u64) * s.elapsed.as_secs_f64();
        self.seen.starved += s.starved.as_secs_f64();
        match self.phase {
            Phase::Measure => self.measure(),
            Phase::Try { from, rate, settling } => self.judge(from, rate, settling),
            Phase::Rest { left, rate } => self.rest(left.saturating_sub(s.elapsed), rate),
        }
        self.limit
    }

    fn measure(&mut self) {
        if !self.enough(4.0, SHORT) {
            return;
        }
        let rate = self.rate();
        let wants_more = self.busy() < 0.7 && !self.starving() && self.queued() && self.limit < self.max;
        let wants_less = self.busy() > 0.9 && self.limit > self.cores;
        self.calm = !wants_more && !wants_less;
        if wants_more {
            self.try_limit((self.limit * 2).min(self.max), rate);
        } else if wants_less && self.seen.time >= LONG {
            self.try_limit((self.limit / 2).max(self.cores), rate);
        } else if self.seen.time >= LONG {
            self.seen = Seen::default();
        }
    }

    fn try_limit(&mut self, limit: usize, rate: f64) {
        self.phase = Phase::Try { from: self.limit, rate, settling: true };
        self.limit = limit;
        self.seen = Seen::default();
    }

    fn judge(&mut self, from: usize, rate: f64, settling: bool) {
        if settling {
            // The first calls of the new workers: how they start says nothing of how they run.
            if self.enough(1.0, SHORT / 4.0) {
                self.phase = Phase::Try { from, rate, settling: false };
                self.seen = Seen::default();
            }
            return;
        }
        if !self.enough(4.0, SHORT) {
            return;
        }
        let gain = self.rate() / rate.max(1e-9);
        let grew = self.limit > from;
        let clearly = if grew { gain >= 1.33 } else { gain >= 1.05 };
        let after_all = if grew { gain >= 1.05 } else { gain >= 0.98 };
        let long = self.seen.time >= LONG && self.enough(16.0, LONG);
        if clearly || (long && after_all) {
            self.rest = FIRST_REST;
            self.phase = Phase::Measure;
            // What was just measured is the base of the next try.
            self.measure();
        } else if long || !self.queued() && self.seen.time >= LONG {
            self.limit = from;
            self.phase = Phase::Rest { left: self.rest, rate };
            self.rest = (self.rest * 2).min(LONGEST_REST);
            self.seen = Seen::default();
        }
    }

    fn rest(&mut self, left: Duration, rate: f64) {
        let fell = self.seen.time >= LONG && self.enough(8.0, LONG) && self.rate() < 0.6 * rate && self.queued();
        if fell {
            self.rest = FIRST_REST;
        }
        if left.is_zero() || fell {
            self.phase = Phase::Measure;
            self.seen = Seen::default();
            return;
        }
        if self.seen.time >= LONG && self.enough(8.0, LONG) {
            self.seen = Seen::default();
        }
        self.phase = Phase::Rest { left, rate };
    }

    /// Whether each worker came back `calls` times on average, or so long passed that it shows.
    fn enough(&self, calls: f64, time: f64) -> bool {
        self.seen.time >= time
            && (self.seen.calls >= calls * as_f64(self.limit as u64) || self.seen.time >= 40.0 * LONG)
    }

    fn rate(&self) -> f64 {
        self.seen.calls / self.seen.time.max(1e-9)
    }

    /// The share of the cores that the process used.
    fn busy(&self) -> f64 {
        self.seen.cpu / (self.seen.time * as_f64(self.cores as u64)).max(1e-9)
    }

    /// Whether the workers wait for cores that others use.
    fn starving(&self) -> bool {
        self.seen.starved > 0.2 * self.seen.time
    }

    /// Whether more workers would have found work.
    fn queued(&self) -> bool {
        self.seen.hungry / self.seen.time.max(1e-9) < 0.25 * as_f64(self.limit as u64)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls within a second, far below 2^52")]
fn as_f64(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
#[path = "control_tests.rs"]
mod tests;
