//! Measuring: round after round, in each round every method once, so that a busy minute of the machine hits all of them. The first
//! round warms up and does not count.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::method::{Method, Running, Sample, Step, Watcher};
use crate::options::Options;
use crate::{Error, memory};

/// What was measured of a method.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measured {
    /// Seconds of each run.
    pub(crate) durations: Vec<f64>,
    /// The most memory of any run.
    pub(crate) peak: Option<u64>,
    /// What the last run came to.
    pub(crate) sample: Sample,
}

/// Measures `methods`; what was measured of each, in the same order. Stopped, it hands back what it has.
pub(crate) fn measure(
    methods: &[Arc<dyn Method>],
    operation: &'static str,
    options: &Options,
    watcher: &dyn Watcher,
) -> Result<Vec<Measured>, Error> {
    let mut all = vec![Measured::default(); methods.len()];
    for round in 0..=options.iterations {
        for (method, measured) in methods.iter().zip(&mut all) {
            if options.cancel.is_cancelled() {
                return Ok(all);
            }
            if !measured.sample.errors.is_empty() {
                continue;
            }
            let step = Step {
                operation,
                method: method.name().to_owned(),
                round,
                rounds: options.iterations,
                elapsed: Duration::ZERO,
            };
            watcher.tick(&step);
            once(method.as_ref(), step, options, watcher, measured)?;
        }
    }
    Ok(all)
}

/// Runs a method once.
fn once(
    method: &dyn Method,
    step: Step,
    options: &Options,
    watcher: &dyn Watcher,
    measured: &mut Measured,
) -> Result<(), Error> {
    let is_warm_up = step.round == 0;
    method.prepare()?;
    if options.drop_caches {
        memory::drop_caches()?;
    }
    let has_peak = memory::reset_peak();
    let begun = Instant::now();
    let running = Running { step, begun, watcher, cancel: &options.cancel };
    let mut sample = method.run(&running);
    let seconds = begun.elapsed().as_secs_f64();
    let peak = if has_peak { memory::peak() } else { None };
    let is_cancelled = options.cancel.is_cancelled();
    if is_cancelled {
        sample.errors.push("interrupted".to_owned());
    }
    method.check(&mut sample)?;
    if is_cancelled {
        return Ok(());
    }
    if sample.errors.is_empty() && !is_warm_up {
        measured.durations.push(seconds);
        measured.peak = measured.peak.max(peak);
    }
    measured.sample = sample;
    Ok(())
}
