//! Borders while they are followed: chains of corners whose two ends wait on the line that has been reached.
//!
//! A chain runs with its region on the left. Each edge between two regions carries the ends of two chains, one a side:
//! the one that arrives at the line there, and the one that starts from it.

use std::collections::VecDeque;

use super::regions::NONE;
use super::Corner;

/// Number of a chain.
type Id = u32;

/// The chains whose ends wait at an edge.
#[derive(Debug, Clone, Copy, Default)]
struct Waiting {
    /// The chain that arrives: its last corner is the nearest.
    arriving: Option<Id>,
    /// The chain that starts: its first corner is the nearest.
    starting: Option<Id>,
}

#[derive(Debug, Default)]
struct Chain {
    corners: VecDeque<Corner>,
    /// The place where the chain waits as the one that arrives.
    arriving_at: usize,
    /// The place where the chain waits as the one that starts.
    starting_at: usize,
}

/// All chains that are not rings yet.
#[derive(Debug)]
pub(super) struct Chains {
    chains: Vec<Chain>,
    free: Vec<Id>,
    /// Ends by place: the vertical edges across the line, then the four edges around the corner that is being passed.
    waiting: Vec<Waiting>,
    /// Place of the first of those four.
    around: usize,
}

/// The edges around a corner, counter-clockwise.
const UP: usize = 0;
const LEFT: usize = 1;
const DOWN: usize = 2;
const RIGHT: usize = 3;

impl Chains {
    /// For masks of a width.
    pub fn new(width: usize) -> Self {
        let waiting = vec![Waiting::default(); width + 1 + 4];
        Self { chains: Vec::new(), free: Vec::new(), waiting, around: width + 1 }
    }

    /// How many there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.chains.len()
    }

    /// Begins a line at its left end.
    pub fn begin_row(&mut self) {
        self.waiting[self.around..].fill(Waiting::default());
    }

    /// Passes a corner where regions meet. `classes` are those of the pixels around it: upper right, upper left, lower
    /// left, lower right. `junction` keeps the corner in borders that run straight on. `close` is told the rings that
    /// are complete, each with the place of a pixel of its region among the four.
    pub fn corner(
        &mut self,
        at: Corner,
        classes: &[u16; 4],
        junction: bool,
        close: &mut dyn FnMut(usize, Vec<Corner>),
    ) {
        let column = at[0] as usize;
        // Edge k lies between pixels k and k + 1.
        let is_edge = |k: usize| classes[k % 4] != classes[(k + 1) % 4];
        if is_edge(UP) {
            self.shift(column, self.around + UP);
        }
        for from in (0..4).filter(|k| is_edge(*k)) {
            let Some(to) = (from + 1..from + 5).find(|k| is_edge(*k)) else { continue };
            let pixel = (from + 1) % 4;
            if classes[pixel] == NONE {
                continue;
            }
            // A region between two edges arrives along the one at its left and leaves along the other.
            let keep = junction || (to - from) != 2;
            if let Some(ring) = self.link(at, to % 4, from, keep) {
                close(pixel, ring);
            }
        }
        if is_edge(DOWN) {
            self.shift(self.around + DOWN, column);
        }
        self.waiting[self.around + LEFT] = Waiting::default();
        if is_edge(RIGHT) {
            self.shift(self.around + RIGHT, self.around + LEFT);
        }
    }

    /// Moves what waits from one place to another.
    fn shift(&mut self, from: usize, to: usize) {
        let moved = std::mem::take(&mut self.waiting[from]);
        self.waiting[to] = moved;
        if let Some(id) = moved.arriving {
            self.chains[id as usize].arriving_at = to;
        }
        if let Some(id) = moved.starting {
            self.chains[id as usize].starting_at = to;
        }
    }

    /// Leads a border through a corner, from one edge to another. Returns the ring that this completes.
    fn link(&mut self, at: Corner, comes: usize, leaves: usize, keep: bool) -> Option<Vec<Corner>> {
        let (comes_at, leaves_at) = (self.around + comes, self.around + leaves);
        // At the edges ahead nothing waits yet but what was led there past this very corner.
        let is_behind = |edge: usize| edge == UP || edge == LEFT;
        let before = is_behind(comes).then(|| self.waiting[comes_at].arriving.take()).flatten();
        let after = is_behind(leaves).then(|| self.waiting[leaves_at].starting.take()).flatten();
        match (before, after) {
            (Some(id), None) => {
                let chain = &mut self.chains[id as usize];
                chain.corners.extend(keep.then_some(at));
                chain.arriving_at = leaves_at;
                self.waiting[leaves_at].arriving = Some(id);
                None
            }
            (None, Some(id)) => {
                let chain = &mut self.chains[id as usize];
                if keep {
                    chain.corners.push_front(at);
                }
                chain.starting_at = comes_at;
                self.waiting[comes_at].starting = Some(id);
                None
            }
            (None, None) => {
                let id = self.add(at, leaves_at, comes_at);
                self.waiting[leaves_at].arriving = Some(id);
                self.waiting[comes_at].starting = Some(id);
                None
            }
            (Some(before), Some(after)) => {
                self.chains[before as usize].corners.extend(keep.then_some(at));
                if before == after {
                    self.free.push(before);
                    return Some(std::mem::take(&mut self.chains[before as usize].corners).into());
                }
                self.join(before, after);
                None
            }
        }
    }

    fn add(&mut self, at: Corner, arriving_at: usize, starting_at: usize) -> Id {
        let id = self.free.pop().unwrap_or_else(|| {
            self.chains.push(Chain::default());
            self.chains.len() as Id - 1
        });
        self.chains[id as usize] = Chain { corners: VecDeque::from([at]), arriving_at, starting_at };
        id
    }

    /// Puts one chain behind another; the shorter is moved.
    fn join(&mut self, before: Id, after: Id) {
        let mut first = std::mem::take(&mut self.chains[before as usize]);
        let mut second = std::mem::take(&mut self.chains[after as usize]);
        let (arriving_at, starting_at) = (second.arriving_at, first.starting_at);
        let (id, corners) = if first.corners.len() >= second.corners.len() {
            first.corners.append(&mut second.corners);
            self.waiting[arriving_at].arriving = Some(before);
            self.free.push(after);
            (before, first.corners)
        } else {
            first.corners.into_iter().rev().for_each(|corner| second.corners.push_front(corner));
            self.waiting[starting_at].starting = Some(after);
            self.free.push(before);
            (after, second.corners)
        };
        self.chains[id as usize] = Chain { corners, arriving_at, starting_at };
    }
}
