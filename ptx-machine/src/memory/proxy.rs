//! Proxies: the copy and matrix units see ordinary writes only behind a `fence.proxy.async`, passed by
//! the writer after the write or by the reader after it came to know of the write.

use std::rc::Rc;

use super::clocks::{Knowledge, Stamp};

/// What each thread had done and known at its last proxy fence.
pub struct Proxies {
    fenced: Vec<Rc<Knowledge>>,
}

impl Proxies {
    /// Nobody has passed a fence.
    pub fn new(threads: usize) -> Proxies {
        let nothing = Rc::new(Knowledge::default());
        Proxies { fenced: vec![nothing; threads] }
    }

    /// A thread passes a fence.
    pub fn fence(&mut self, thread: usize, known: &Rc<Knowledge>) {
        self.fenced[thread] = known.clone();
    }

    /// Whether a write is visible to what `thread` starts in the other proxy.
    pub fn covers(&self, thread: usize, write: Stamp) -> bool {
        let who = write.who as usize;
        let behind = |k: &Rc<Knowledge>| k.of(who) >= write.time;
        write.time == 0 || self.fenced.get(who).is_some_and(behind) || behind(&self.fenced[thread])
    }
}
