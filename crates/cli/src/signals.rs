//! Ctrl-C, `kill` and a closed terminal stop a run in order; a second Ctrl-C stops it at once.

use std::sync::Arc;

use pwalk_engine::Cancel;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// A switch that the signals pull.
pub(crate) fn cancel_on_signals() -> std::io::Result<Cancel> {
    let cancel = Cancel::new();
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // Registered first, so run first: it ends the process only if the flag was already set.
        flag::register_conditional_shutdown(signal, 130, cancel.flag())?;
        flag::register(signal, Arc::clone(&cancel.flag()))?;
    }
    Ok(cancel)
}
