//! Waiting for something that comes soon: awake for a moment, then asleep.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, PoisonError};

/// Looks before sleeping: some tens of microseconds, several times the gap between two kernels of a run.
const LOOKS: usize = 2000;

/// What waiting threads sleep on.
#[derive(Default)]
pub(super) struct Bell {
    asleep: AtomicUsize,
    lock: Mutex<()>,
    rung: Condvar,
}

impl Bell {
    /// Returns once `ready`, which reads what others write (sequentially consistent) before they ring.
    pub fn wait(&self, ready: impl Fn() -> bool) {
        for _ in 0..LOOKS {
            if ready() {
                return;
            }
            std::hint::spin_loop();
        }
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever rings either finds this number or wrote before it, and then `ready` sees it.
        self.asleep.fetch_add(1, SeqCst);
        while !ready() {
            guard = self.rung.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.asleep.fetch_sub(1, SeqCst);
    }

    /// Wakes whoever sleeps.
    pub fn ring(&self) {
        if self.asleep.load(SeqCst) > 0 {
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.rung.notify_all();
        }
    }
}
