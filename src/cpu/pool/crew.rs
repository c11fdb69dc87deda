//! The threads of a pool, and how they get hold of work.
//!
//! One job at a time. Its caller posts it under a new number, works too, withdraws it when no part is left to
//! begin, and waits until nobody is at it. A helper first says that it is at work, then looks whether the job is
//! still posted: of the two, at least one sees the other, so no helper reads a job that is gone.

use std::any::Any;
use std::cell::UnsafeCell;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread::JoinHandle;

use super::bell::Bell;
use crate::{Error, Result};

/// What all helpers do together.
#[derive(Clone, Copy)]
struct Job {
    /// Lives until the job is withdrawn and nobody is at it.
    part: *const (dyn Fn(usize) + Sync),
    parts: usize,
    helpers: usize,
}

struct Shared {
    /// Odd while a job is posted; every job has a number of its own.
    number: AtomicUsize,
    job: UnsafeCell<Option<Job>>,
    /// The next part to begin.
    next: AtomicUsize,
    at_work: AtomicUsize,
    closing: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// One for each helper.
    posted: Vec<Bell>,
    left: Bell,
}

// SAFETY: `job` is written by the holder of `Crew::turn` while no job is posted and nobody is at work, and read
// by helpers at work on a posted job only. What it points to is `Sync`.
unsafe impl Sync for Shared {}
// SAFETY: as above; the pointer is not followed outside of a posted job.
unsafe impl Send for Shared {}

/// Helpers beside the caller's thread.
pub(super) struct Crew {
    shared: Arc<Shared>,
    turn: Mutex<()>,
    helpers: Vec<JoinHandle<()>>,
}

impl Crew {
    /// Starts so many helpers and waits until all of them are up: what a thread allocates when it
    /// starts is not taken later.
    pub fn new(helpers: usize) -> Result<Self> {
        let shared = Arc::new(Shared {
            number: AtomicUsize::new(0),
            job: UnsafeCell::new(None),
            next: AtomicUsize::new(0),
            at_work: AtomicUsize::new(helpers),
            closing: AtomicBool::new(false),
            panic: Mutex::new(None),
            posted: std::iter::repeat_with(Bell::default).take(helpers).collect(),
            left: Bell::default(),
        });
        let mut crew = Self { shared, turn: Mutex::new(()), helpers: Vec::with_capacity(helpers) };
        for index in 0..helpers {
            let shared = crew.shared.clone();
            let helper = std::thread::Builder::new()
                .name(format!("swath-{index}"))
                .spawn(move || shared.help(index))
                .map_err(|e| Error::device(format!("cannot start {} threads: {e}", helpers + 1)))?;
            crew.helpers.push(helper);
        }
        crew.shared.left.wait(|| crew.shared.at_work.load(SeqCst) == 0);
        Ok(crew)
    }

    /// Helpers there are.
    pub fn helpers(&self) -> usize {
        self.helpers.len()
    }

    /// Runs all parts on the caller's thread and at most so many helpers.
    pub fn run(&self, helpers: usize, parts: usize, part: &(dyn Fn(usize) + Sync)) {
        let turn = match self.turn.try_lock() {
            Ok(turn) => turn,
            Err(TryLockError::Poisoned(turn)) => turn.into_inner(),
            Err(TryLockError::WouldBlock) => return (0..parts).for_each(part),
        };
        // SAFETY: only the lifetime changes; `Shared::work` follows the pointer before this function returns.
        let part = unsafe {
            std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), *const (dyn Fn(usize) + Sync)>(part)
        };
        let job = Job { part, parts, helpers };
        let shared = &*self.shared;
        shared.next.store(0, SeqCst);
        // SAFETY: this thread has the turn, and the last job ended with nobody at work.
        unsafe { *shared.job.get() = Some(job) };
        shared.number.fetch_add(1, SeqCst);
        shared.posted.iter().take(helpers).for_each(Bell::ring);

        shared.work(&job);
        shared.number.fetch_add(1, SeqCst);
        shared.left.wait(|| shared.at_work.load(SeqCst) == 0);
        let panic = shared.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(turn);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.shared.closing.store(true, SeqCst);
        self.shared.posted.iter().for_each(Bell::ring);
        for helper in self.helpers.drain(..) {
            // A helper catches every panic of a part.
            let _ = helper.join();
        }
    }
}

impl Shared {
    fn help(&self, index: usize) {
        let mut done = 0;
        let posted = |done: usize| {
            let number = self.number.load(SeqCst);
            (number % 2 == 1 && number != done).then_some(number)
        };
        self.leave();
        loop {
            self.posted[index].wait(|| posted(done).is_some() || self.closing.load(SeqCst));
            if self.closing.load(SeqCst) {
                return;
            }
            let Some(number) = posted(done) else { continue };
            done = number;
            self.at_work.fetch_add(1, SeqCst);
            if self.number.load(SeqCst) == number {
                // SAFETY: the job is still posted, and its caller waits for this thread before it takes it back.
                let job = unsafe { *self.job.get() };
                job.filter(|job| index < job.helpers).iter().for_each(|job| self.work(job));
            }
            self.leave();
        }
    }

    /// Says that this helper is not at work any more.
    fn leave(&self) {
        if self.at_work.fetch_sub(1, SeqCst) == 1 {
            self.left.ring();
        }
    }

    /// Runs parts until none is left to begin. A panic ends the job early and is kept for the caller.
    fn work(&self, job: &Job) {
        // SAFETY: the caller of `Crew::run` waits for all who are at work on its job.
        let part = unsafe { &*job.part };
        loop {
            let index = self.next.fetch_add(1, SeqCst);
            if index >= job.parts {
                return;
            }
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| part(index))) {
                self.next.store(job.parts, SeqCst);
                self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
            }
        }
    }
}
