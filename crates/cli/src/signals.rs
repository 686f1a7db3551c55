//! Ctrl-C, `kill` and a closed terminal stop a run in order; a second Ctrl-C stops it at once.
//!
//! A signal that was ignored when the program was started stays ignored: that is how `nohup` works.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use pwalk_engine::Cancel;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// A switch that the signals pull.
pub(crate) fn cancel_on_signals() -> std::io::Result<Cancel> {
    Ok(noted_signals()?.0)
}

/// A switch that the signals pull, and which of them did; 0 for none.
pub(crate) fn noted_signals() -> std::io::Result<(Cancel, Arc<AtomicUsize>)> {
    let (cancel, which) = (Cancel::new(), Arc::new(AtomicUsize::new(0)));
    let ignored = ignored_signals();
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        if ignored >> (signal - 1) & 1 == 1 {
            continue;
        }
        // Registered first, so run first: it ends the process only if the flag was already set.
        flag::register_conditional_shutdown(signal, 130, cancel.flag())?;
        flag::register_usize(signal, Arc::clone(&which), usize::try_from(signal).unwrap_or(0))?;
        flag::register(signal, Arc::clone(&cancel.flag()))?;
    }
    Ok((cancel, which))
}

/// The signals that are ignored, a bit each from the lowest, as `/proc/self/status` says. None where it does not.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0)
}
