//! Threads for kernels: runs the numbered parts of a static partition.

use crate::{Error, Result};

/// A fixed number of threads. With one thread everything runs on the caller's.
pub struct Pool {
    threads: usize,
    rayon: Option<rayon::ThreadPool>,
}

impl Pool {
    /// A pool of `threads` threads (0 is taken as 1).
    ///
    /// # Errors
    /// `Device` when the operating system refuses to start them.
    pub fn new(threads: usize) -> Result<Self> {
        let threads = threads.max(1);
        let rayon = if threads == 1 {
            None
        } else {
            let builder = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let named = builder.thread_name(|i| format!("swath-{i}"));
            Some(named.build().map_err(|e| Error::device(format!("cannot start {threads} threads: {e}")))?)
        };
        Ok(Self { threads, rayon })
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Runs `work` on the pool. Calls of [`Pool::run`] inside it hand over without waking anyone
    /// from outside, so whoever runs many kernels wraps all of them in one call.
    pub fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.rayon {
            Some(rayon) => rayon.install(work),
            None => work(),
        }
    }

    /// Calls `part` once for each number below `parts` and returns when all are done. Which thread
    /// runs a part is left open, so a part's result must depend on its number only.
    pub fn run(&self, parts: usize, part: impl Fn(usize) + Sync) {
        match &self.rayon {
            Some(rayon) if parts > 1 => rayon.install(|| halves(0, parts, &part)),
            _ => (0..parts).for_each(part),
        }
    }
}

fn halves(from: usize, to: usize, part: &(impl Fn(usize) + Sync)) {
    if to - from == 1 {
        return part(from);
    }
    let middle = from + (to - from) / 2;
    rayon::join(|| halves(from, middle, part), || halves(middle, to, part));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn every_part_runs_once() {
        for threads in [1, 3] {
            let pool = Pool::new(threads).unwrap();
            let counts: Vec<AtomicUsize> = (0..17).map(|_| AtomicUsize::new(0)).collect();
            pool.run(17, |i| {
                counts[i].fetch_add(1, Ordering::Relaxed);
            });
            assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1));
            pool.run(0, |_| panic!("no part to run"));
        }
    }
}
