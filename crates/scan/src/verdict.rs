//! Whether a scan saw everything.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whether everything that was asked for is in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// Every entry was read.
    Complete,
    /// Something could not be read, or the scan was stopped: the ledger says what.
    Partial,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Complete => "COMPLETE",
            Self::Partial => "PARTIAL",
        })
    }
}
