//! Threads for kernels: runs the numbered parts of a static partition.
//!
//! A network is hundreds of short kernels, one after the other, so the threads wait for the next one awake for a
//! moment before they sleep, and a call that is too small for several threads ([`Pool::at_most`]) wakes nobody.

mod bell;
mod crew;

use std::sync::Arc;

use crate::Result;
use crew::Crew;

/// A fixed number of threads, the caller's being one of them. Clones share the threads.
#[derive(Clone)]
pub struct Pool {
    threads: usize,
    crew: Arc<Crew>,
}

impl Pool {
    /// A pool of `threads` threads (0 is taken as 1).
    ///
    /// # Errors
    /// `Device` when the operating system refuses to start them.
    pub fn new(threads: usize) -> Result<Self> {
        let threads = threads.max(1);
        Ok(Self { threads, crew: Arc::new(Crew::new(threads - 1)?) })
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Number of threads, those included that [`Pool::at_most`] leaves idle.
    pub fn size(&self) -> usize {
        self.crew.helpers() + 1
    }

    /// The same threads, of which only so many work (0 is taken as 1).
    #[must_use]
    pub fn at_most(&self, threads: usize) -> Self {
        Self { threads: self.threads.min(threads.max(1)), crew: self.crew.clone() }
    }

    /// Calls `part` once for each number below `parts` and returns when all are done. Which thread
    /// runs a part is left open, so a part's result must depend on its number only. While the threads
    /// work for somebody else, the caller's runs all parts.
    pub fn run(&self, parts: usize, part: impl Fn(usize) + Sync) {
        match self.threads.min(parts) {
            0 | 1 => (0..parts).for_each(part),
            threads => self.crew.run(threads - 1, parts, &part),
        }
    }

    /// As [`Pool::run`], and each part has `len` elements of `scratch` to itself.
    pub fn run_with(
        &self,
        parts: usize,
        scratch: &mut [f32],
        len: usize,
        part: impl Fn(usize, &mut [f32]) + Sync,
    ) {
        let scratch = Divided(scratch[..parts * len].as_mut_ptr());
        self.run(parts, |index| {
            // SAFETY: the ranges of all parts lie in `scratch` one after the other, and each part runs once.
            part(index, unsafe { std::slice::from_raw_parts_mut(scratch.at(index * len), len) });
        });
    }
}

/// The start of memory that parts divide among themselves.
struct Divided(*mut f32);

// SAFETY: each part uses its own range only.
unsafe impl Sync for Divided {}

impl Divided {
    fn at(&self, offset: usize) -> *mut f32 {
        self.0.wrapping_add(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn count(pool: &Pool, parts: usize) -> Vec<usize> {
        let counts: Vec<AtomicUsize> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
        pool.run(parts, |i| {
            counts[i].fetch_add(1, Ordering::Relaxed);
        });
        counts.into_iter().map(AtomicUsize::into_inner).collect()
    }

    #[test]
    fn every_part_runs_once() {
        for threads in [1, 2, 3, 7] {
            let pool = Pool::new(threads).unwrap();
            for parts in (0..40).chain([1000]) {
                assert_eq!(count(&pool, parts), vec![1; parts], "{threads} threads");
            }
        }
    }

    #[test]
    fn each_part_has_its_own_scratch() {
        let mut scratch = vec![0.0; 35];
        Pool::new(3).unwrap().run_with(11, &mut scratch, 3, |index, own| own.fill(index as f32 + 1.0));
        let wanted = (0..35).map(|i| if i < 33 { (i / 3 + 1) as f32 } else { 0.0 });
        assert!(scratch.iter().copied().eq(wanted));
    }

    #[test]
    fn threads_that_slept_wake_again() {
        let pool = Pool::new(3).unwrap();
        for _ in 0..5 {
            std::thread::sleep(std::time::Duration::from_millis(3));
            assert_eq!(count(&pool, 3), [1, 1, 1]);
        }
    }

    #[test]
    fn all_threads_take_part_and_no_more_than_asked_for() {
        let pool = Pool::new(4).unwrap();
        for most in [1, 2, 4] {
            let meet = std::sync::Barrier::new(most);
            let names = std::sync::Mutex::new(std::collections::HashSet::new());
            pool.at_most(most).run(most, |_| {
                meet.wait();
                names.lock().unwrap().insert(std::thread::current().id());
            });
            assert_eq!(names.into_inner().unwrap().len(), most);
        }
    }

    #[test]
    fn several_callers_share_the_threads() {
        let pool = Pool::new(2).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..300).for_each(|_| assert_eq!(count(&pool, 5), vec![1; 5])));
            }
        });
        let outer = AtomicUsize::new(0);
        pool.run(3, |_| {
            outer.fetch_add(count(&pool, 4).iter().sum(), Ordering::Relaxed);
        });
        assert_eq!(outer.into_inner(), 12);
    }

    #[test]
    fn a_part_that_panics_panics_the_caller_and_spares_the_pool() {
        let pool = Pool::new(2).unwrap();
        for bad in 0..2 {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                pool.run(2, |i| {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                    assert!(i != bad, "part {bad}");
                });
            }));
            assert!(outcome.is_err());
            assert_eq!(count(&pool, 9), vec![1; 9]);
        }
    }
}
