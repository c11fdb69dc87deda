//! Ranges of places: whether two have one in common, and what is left of some without another.

use std::ops::Range;

/// Whether two ranges have a place in common.
pub fn meet<T: PartialOrd>(a: &Range<T>, b: &Range<T>) -> bool {
    a.start < b.end && b.start < a.end
}

/// The ranges less one.
pub fn without<T: Ord + Copy>(ranges: Vec<Range<T>>, taken: &Range<T>) -> Vec<Range<T>> {
    let rest = |r: Range<T>| [r.start..r.end.min(taken.start), r.start.max(taken.end)..r.end];
    ranges.into_iter().flat_map(rest).filter(|r| r.start < r.end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_where_it_is_met() {
        assert!(meet(&(0..3), &(2..5)) && !meet(&(0..3), &(3..5)));
        assert_eq!(without(vec![0..10, 12..14], &(3..13)), [0..3, 13..14]);
        assert_eq!(without(vec![4..6, 8..9], &(6..8)), [4..6, 8..9]);
        assert_eq!(without(vec![4..6, 7..8], &(0..9)), []);
    }
}
