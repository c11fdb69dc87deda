//! Ctrl-C and termination: the first asks the work to stop where it can go on later, the second ends at once.

use std::sync::atomic::AtomicBool;
use std::sync::Arc;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::{Error, Result};

/// Exit status of a process that was told twice.
const INTERRUPTED: i32 = 130;

/// A flag that the first SIGINT or SIGTERM sets.
///
/// # Errors
/// `Io` when the system refuses the handlers.
pub fn stop_flag() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the second signal finds the flag set by the first.
        flag::register_conditional_shutdown(signal, INTERRUPTED, stop.clone())
            .and_then(|_| flag::register(signal, stop.clone()))
            .map_err(|e| Error::io("cannot watch for signals", e))?;
    }
    Ok(stop)
}
