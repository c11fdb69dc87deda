//! Pairs between two lists, each member in at most one: the cheapest assignment, and the largest matching.

use std::collections::VecDeque;

/// The cheapest assignment of rows to columns of a cost matrix (row-major, finite costs): as many pairs as the
/// shorter side has members. Shortest augmenting paths (Jonker and Volgenant 1987), O(shorter² · longer).
pub fn assign(rows: usize, columns: usize, cost: &[f64]) -> Vec<(usize, usize)> {
    if rows > columns {
        let turned = |at: usize| cost[at % rows * columns + at / rows];
        let turned: Vec<f64> = (0..rows * columns).map(turned).collect();
        return assign(columns, rows, &turned).into_iter().map(|(column, row)| (row, column)).collect();
    }
    let mut row_price = vec![0.0; rows];
    let mut column_price = vec![0.0; columns];
    let mut row_of: Vec<Option<usize>> = vec![None; columns];
    for start in 0..rows {
        let mut distance = vec![f64::INFINITY; columns];
        let mut before = vec![start; columns];
        let mut done = vec![false; columns];
        let (mut row, mut length) = (start, 0.0);
        let end = loop {
            let mut nearest: Option<usize> = None;
            for column in (0..columns).filter(|&column| !done[column]) {
                let through = length + cost[row * columns + column] - row_price[row] - column_price[column];
                if through < distance[column] {
                    distance[column] = through;
                    before[column] = row;
                }
                let closer = nearest.is_none_or(|n| {
                    let ends_here = distance[column] == distance[n] && row_of[column].is_none();
                    distance[column] < distance[n] || ends_here && row_of[n].is_some()
                });
                if closer {
                    nearest = Some(column);
                }
            }
            let Some(column) = nearest else { return Vec::new() };
            length = distance[column];
            done[column] = true;
            match row_of[column] {
                Some(owner) => row = owner,
                None => break column,
            }
        };
        row_price[start] += length;
        for column in (0..columns).filter(|&column| done[column]) {
            if let Some(owner) = row_of[column] {
                row_price[owner] += length - distance[column];
            }
            column_price[column] -= length - distance[column];
        }
        // The path turned round: each column goes to the row before it.
        let mut column = end;
        loop {
            let row = before[column];
            let freed = row_of.iter().position(|owner| *owner == Some(row));
            row_of[column] = Some(row);
            match freed.filter(|_| row != start) {
                Some(next) => column = next,
                None => break,
            }
        }
    }
    let pairs = row_of.iter().enumerate().filter_map(|(column, row)| row.map(|row| (row, column)));
    let mut pairs: Vec<(usize, usize)> = pairs.collect();
    pairs.sort_unstable();
    pairs
}

/// How many pairs can be made at most, each left member with one of those it may go with (Hopcroft and Karp
/// 1973).
pub fn most_pairs(may: &[Vec<usize>], right: usize) -> usize {
    const FREE: usize = usize::MAX;
    let mut of_left = vec![FREE; may.len()];
    let mut of_right = vec![FREE; right];
    let mut pairs = 0;
    loop {
        let mut level = vec![FREE; may.len()];
        let mut queue: VecDeque<usize> = (0..may.len()).filter(|&l| of_left[l] == FREE).collect();
        queue.iter().for_each(|&l| level[l] = 0);
        let mut reaches = false;
        while let Some(l) = queue.pop_front() {
            for &r in &may[l] {
                match of_right[r] {
                    FREE => reaches = true,
                    next if level[next] == FREE => {
                        level[next] = level[l] + 1;
                        queue.push_back(next);
                    }
                    _ => {}
                }
            }
        }
        if !reaches {
            return pairs;
        }
        let mut tried = vec![0; may.len()];
        for root in 0..may.len() {
            if of_left[root] != FREE {
                continue;
            }
            let mut path = vec![root];
            while let Some(&l) = path.last() {
                let Some(&r) = may[l].get(tried[l]) else {
                    path.pop();
                    // The way through this member is spent; its predecessor goes on with its next.
                    path.last().into_iter().for_each(|&l| tried[l] += 1);
                    continue;
                };
                match of_right[r] {
                    FREE => {
                        let ends = path.iter().map(|&l| (l, may[l][tried[l]]));
                        for (l, r) in ends.collect::<Vec<_>>() {
                            of_left[l] = r;
                            of_right[r] = l;
                            tried[l] = may[l].len();
                        }
                        pairs += 1;
                        path.clear();
                    }
                    next if level[next] == level[l] + 1 && tried[next] < may[next].len() => path.push(next),
                    _ => tried[l] += 1,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The cheapest of all assignments, by trying them.
    fn cheapest(rows: usize, columns: usize, cost: &[f64]) -> f64 {
        fn from(row: usize, rows: usize, used: u32, columns: usize, cost: &[f64]) -> f64 {
            if row == rows {
                return 0.0;
            }
            let free = (0..columns).filter(|c| used & 1 << c == 0);
            let through =
                free.map(|c| cost[row * columns + c] + from(row + 1, rows, used | 1 << c, columns, cost));
            through.fold(f64::INFINITY, f64::min)
        }
        from(0, rows, 0, columns, cost)
    }

    proptest! {
        #[test]
        fn nothing_is_cheaper(rows in 1usize..6, more in 0usize..3, seed in proptest::collection::vec(0u8..12, 48)) {
            let columns = rows + more;
            let cost: Vec<f64> = seed[..rows * columns].iter().map(|&v| if v > 8 { 99999.0 } else { f64::from(v) }).collect();
            let pairs = assign(rows, columns, &cost);
            let sum: f64 = pairs.iter().map(|&(r, c)| cost[r * columns + c]).sum();
            prop_assert_eq!(pairs.len(), rows);
            prop_assert_eq!(sum, cheapest(rows, columns, &cost));
            let turned: Vec<f64> = (0..rows * columns).map(|at| cost[at % rows * columns + at / rows]).collect();
            let other = assign(columns, rows, &turned);
            let sum: f64 = other.iter().map(|&(c, r)| cost[r * columns + c]).sum();
            prop_assert_eq!((other.len(), sum), (rows, cheapest(rows, columns, &cost)));
        }

        /// A matching is as large as an assignment by costs of 0 and 1 has zeros.
        #[test]
        fn no_matching_is_larger(left in 1usize..8, right in 1usize..8, seed in proptest::collection::vec(0u8..3, 64)) {
            let may: Vec<Vec<usize>> =
                (0..left).map(|l| (0..right).filter(|r| seed[l * 8 + r] == 0).collect()).collect();
            let cost: Vec<f64> =
                (0..left * right).map(|at| f64::from(u8::from(seed[at / right * 8 + at % right] != 0))).collect();
            let zeros = assign(left, right, &cost).iter().filter(|(l, r)| cost[l * right + r] == 0.0).count();
            prop_assert_eq!(most_pairs(&may, right), zeros);
        }
    }

    #[test]
    fn sides_without_members_pair_nothing() {
        assert_eq!((assign(0, 3, &[]), assign(3, 0, &[])), (vec![], vec![]));
        assert_eq!((most_pairs(&[], 3), most_pairs(&[vec![], vec![]], 0)), (0, 0));
    }
}
