//! Offsets in one arena: greedy, the largest or the longest-lived first, each at the lowest free place.
//!
//! A block is memory with fixed inner offsets; its pieces live at different times, so the members
//! of a slab free their part of it one by one.

use std::cmp::Reverse;

/// Elements a block's start is aligned to: 64 floats, 256 bytes.
pub const ALIGNMENT: usize = 64;

/// A part of a block, in use from one step to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// First element within the block.
    pub start: usize,
    /// One past the last element.
    pub end: usize,
    /// First step that uses it.
    pub from: usize,
    /// Last step that uses it.
    pub to: usize,
}

/// Memory to be placed as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Block {
    /// Its parts; elements in no piece are never used.
    pub pieces: Vec<Piece>,
}

impl Block {
    /// Elements from the block's start to the end of its last piece.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(|p| p.end).max().unwrap_or(0)
    }

    /// Whether the block has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Gives each block a start such that no two pieces in use at the same step overlap. Returns the
/// starts and the elements needed in all: the less of two orders.
pub fn place(blocks: &[Block]) -> (Vec<usize>, usize) {
    let life = |k: usize| blocks[k].pieces.iter().map(|p| p.to.saturating_sub(p.from)).max();
    let mut order: Vec<usize> = (0..blocks.len()).filter(|&k| !blocks[k].is_empty()).collect();
    order.sort_by_key(|&k| Reverse(blocks[k].len()));
    let by_size = place_in(&order, blocks);
    order.sort_by_key(|&k| Reverse(life(k)));
    let by_life = place_in(&order, blocks);
    if by_life.1 < by_size.1 {
        by_life
    } else {
        by_size
    }
}

fn place_in(order: &[usize], blocks: &[Block]) -> (Vec<usize>, usize) {
    let mut starts = vec![0; blocks.len()];
    let mut placed: Vec<Piece> = Vec::new();
    let mut total = 0;
    for &k in order {
        let start = lowest_start(&blocks[k], &placed);
        starts[k] = start;
        total = total.max(start + blocks[k].len());
        placed.extend(blocks[k].pieces.iter().map(|p| Piece {
            start: p.start + start,
            end: p.end + start,
            ..*p
        }));
    }
    (starts, total)
}

/// The lowest aligned start at which none of the block's pieces meets a placed one.
fn lowest_start(block: &Block, placed: &[Piece]) -> usize {
    // Starts that would make a pair meet: more than `low`, less than `high`.
    let mut taken: Vec<(isize, isize)> = Vec::new();
    for own in &block.pieces {
        for other in placed.iter().filter(|p| p.from <= own.to && own.from <= p.to) {
            let low = other.start as isize - own.end as isize;
            let high = other.end as isize - own.start as isize;
            if high > 0 {
                taken.push((low, high));
            }
        }
    }
    taken.sort_unstable();
    let mut start = 0isize;
    for (low, high) in taken {
        if low >= start {
            break;
        }
        if high > start {
            start = (high as usize).next_multiple_of(ALIGNMENT) as isize;
        }
    }
    start as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(pieces: &[(usize, usize, usize, usize)]) -> Block {
        let pieces = pieces.iter().map(|&(start, end, from, to)| Piece { start, end, from, to });
        Block { pieces: pieces.collect() }
    }

    #[test]
    fn memory_is_reused_once_it_is_free() {
        let blocks = [block(&[(0, 128, 0, 1)]), block(&[(0, 64, 1, 2)]), block(&[(0, 128, 2, 3)])];
        assert_eq!(place(&blocks), (vec![0, 128, 0], 192));
    }

    #[test]
    fn a_slab_frees_its_members_one_by_one() {
        let slab = block(&[(0, 64, 0, 9), (64, 256, 0, 2)]);
        let later = block(&[(0, 192, 3, 5)]);
        assert_eq!(place(&[slab, later]).1, 256);
    }

    proptest! {
        #[test]
        fn no_two_live_pieces_overlap(
            raw in prop::collection::vec(
                prop::collection::vec((1usize..300, 0usize..20, 0usize..8), 1..4), 1..24)
        ) {
            let blocks: Vec<Block> = raw.iter().map(|pieces| {
                let mut at = 0;
                let pieces = pieces.iter().map(|&(len, from, lasts)| {
                    at += len;
                    Piece { start: at - len, end: at, from, to: from + lasts }
                });
                Block { pieces: pieces.collect() }
            }).collect();
            let (starts, total) = place(&blocks);
            let all: Vec<(usize, Piece)> = blocks.iter().zip(&starts).enumerate()
                .flat_map(|(k, (b, s))| b.pieces.iter().map(move |p|
                    (k, Piece { start: p.start + s, end: p.end + s, ..*p })))
                .collect();
            for (i, (k, a)) in all.iter().enumerate() {
                prop_assert!(a.end <= total);
                for (l, b) in &all[i + 1..] {
                    let meet = a.from <= b.to && b.from <= a.to && a.start < b.end && b.start < a.end;
                    prop_assert!(k == l || !meet, "{a:?} {b:?}");
                }
            }
        }
    }
}
