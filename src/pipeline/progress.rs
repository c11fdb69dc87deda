//! Progress for people (a bar) and for programs (JSON lines), both on stderr, and the process's peak of
//! anonymous memory.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::util::memory_use::anonymous_bytes;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressMode {
    /// A bar on a terminal, nothing elsewhere.
    Auto,
    /// Always a bar.
    Bar,
    /// One JSON object a line, at most two a second.
    Json,
    /// Nothing.
    None,
}

/// Counts units of work of one phase.
pub struct Progress {
    bar: Option<ProgressBar>,
    json: bool,
    phase: &'static str,
    total: AtomicU64,
    done: AtomicU64,
    started: Instant,
    last_ms: AtomicU64,
    peak: AtomicU64,
}

const JSON_EVERY_MS: u64 = 500;

impl Progress {
    /// A phase of `total` units.
    pub fn new(mode: ProgressMode, phase: &'static str, total: u64) -> Self {
        let show = match mode {
            ProgressMode::Auto => std::io::stderr().is_terminal(),
            ProgressMode::Bar => true,
            ProgressMode::Json | ProgressMode::None => false,
        };
        let bar = show.then(|| {
            let style =
                ProgressStyle::with_template("{prefix} {bar:32} {pos}/{len} {elapsed} eta {eta} {msg}");
            let bar = ProgressBar::new(total).with_prefix(phase);
            style.map(|s| bar.clone().with_style(s)).unwrap_or(bar)
        });
        Self {
            bar,
            json: mode == ProgressMode::Json,
            phase,
            total: AtomicU64::new(total),
            done: AtomicU64::new(0),
            started: Instant::now(),
            last_ms: AtomicU64::new(0),
            peak: AtomicU64::new(0),
        }
    }

    /// Marks `n` more units as done.
    pub fn add(&self, n: u64) {
        self.show(self.done.fetch_add(n, Ordering::Relaxed) + n);
    }

    /// Says that `done` of `total` units are done.
    pub fn set(&self, done: u64, total: u64) {
        if self.total.swap(total, Ordering::Relaxed) != total {
            self.bar.iter().for_each(|bar| bar.set_length(total));
        }
        self.done.fetch_max(done, Ordering::Relaxed);
        self.show(done);
    }

    fn show(&self, done: u64) {
        self.sample_memory();
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
        let now = self.started.elapsed().as_millis() as u64;
        let last = self.last_ms.load(Ordering::Relaxed);
        let due = done == self.total.load(Ordering::Relaxed) || now >= last + JSON_EVERY_MS;
        if self.json
            && due
            && self.last_ms.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            self.write_json(done, now);
        }
    }

    /// Looks at the process's anonymous memory and keeps the largest value seen.
    pub fn sample_memory(&self) {
        if let Some(bytes) = anonymous_bytes() {
            self.peak.fetch_max(bytes, Ordering::Relaxed);
        }
    }

    /// Largest anonymous memory seen, in bytes; 0 where the system does not tell.
    pub fn peak_memory(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// Time since the phase began.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Ends the phase.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn write_json(&self, done: u64, elapsed_ms: u64) {
        let rate = done as f64 / (elapsed_ms.max(1) as f64 / 1e3);
        let total = self.total.load(Ordering::Relaxed);
        let line = serde_json::json!({
            "event": "progress",
            "phase": self.phase,
            "done": done,
            "total": total,
            "elapsed_s": elapsed_ms as f64 / 1e3,
            "eta_s": total.saturating_sub(done) as f64 / rate.max(1e-9),
            "anonymous_bytes": anonymous_bytes(),
        });
        // A closed stderr must not end the work.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}
