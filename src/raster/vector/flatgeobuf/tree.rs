//! The packed Hilbert R-tree: features in the order of a Hilbert curve, and nodes over every sixteen of them, level by
//! level up to a root.

use super::NODE_SIZE;
use crate::raster::vector::EMPTY;

/// Where a spooled feature lies, in the world and in the spool.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Item {
    /// `[west, south, east, north]`.
    pub bounds: [f64; 4],
    /// Bytes in front of it.
    pub offset: u64,
    /// Its length in bytes.
    pub bytes: u32,
}

/// A box, and where what it holds is: a feature's offset in its section, or the number of the first child.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Node {
    pub bounds: [f64; 4],
    pub offset: u64,
}

/// The box around boxes.
pub(super) fn around(bounds: impl Iterator<Item = [f64; 4]>) -> [f64; 4] {
    bounds.fold(EMPTY, |a, b| [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])])
}

/// Sorts items along the curve through their boxes' centres.
pub(super) fn sort(items: &mut [Item], extent: [f64; 4]) {
    let place = |item: &Item| {
        let cell = |axis: usize| {
            let (low, high) = (extent[axis], extent[axis + 2]);
            let middle = (item.bounds[axis] + item.bounds[axis + 2]) / 2.0;
            // Without extent everything is in cell 0: a number that is none becomes 0.
            ((middle - low) / (high - low) * f64::from(u16::MAX)) as u16
        };
        (along_curve(cell(0), cell(1)), item.offset)
    };
    items.sort_by_cached_key(place);
}

/// Distance along the Hilbert curve of order 16 to a cell.
fn along_curve(x: u16, y: u16) -> u32 {
    let (mut x, mut y, mut distance) = (x, y, 0u32);
    for bit in (0..16).rev() {
        let (right, upper) = (x >> bit & 1, y >> bit & 1);
        distance = distance << 2 | u32::from((3 * right) ^ upper);
        if upper == 0 {
            if right == 1 {
                (x, y) = (!x, !y);
            }
            (x, y) = (y, x);
        }
    }
    distance
}

/// Nodes per level, leaves first, the root last, for at least two children a node.
pub(super) fn levels(items: u64, node_size: u16) -> Vec<u64> {
    let mut levels = vec![items];
    let mut n = items;
    while n > 1 || levels.len() == 1 {
        n = n.div_ceil(u64::from(node_size)).max(1);
        levels.push(n);
    }
    levels
}

/// All nodes, the root first, the leaves (in the order of the items) last. None for no items.
pub(super) fn nodes(items: &[Item]) -> Vec<Node> {
    if items.is_empty() {
        return Vec::new();
    }
    let mut offset = 0;
    let leaf = |item: &Item| {
        let node = Node { bounds: item.bounds, offset };
        offset += u64::from(item.bytes);
        node
    };
    let sizes = levels(items.len() as u64, NODE_SIZE);
    let mut all: Vec<Vec<Node>> = vec![items.iter().map(leaf).collect()];
    // Number of the first node of the level that is being built upon.
    let mut start: u64 = sizes.iter().sum();
    let mut below = sizes[0];
    for size in &sizes[1..] {
        start -= below;
        below = *size;
        let children = all.last().map(Vec::as_slice).unwrap_or_default();
        let level = children.chunks(usize::from(NODE_SIZE)).enumerate().map(|(k, group)| Node {
            bounds: around(group.iter().map(|node| node.bounds)),
            offset: start + k as u64 * u64::from(NODE_SIZE),
        });
        let level = level.collect();
        all.push(level);
    }
    all.into_iter().rev().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_visits_every_cell_once_by_single_steps() {
        // A corner of the order-16 curve of 16 by 16 cells is a whole curve of order 4.
        let mut cells: Vec<(u32, i32, i32)> = (0..16u16)
            .flat_map(|x| (0..16u16).map(move |y| (along_curve(x, y), i32::from(x), i32::from(y))))
            .collect();
        cells.sort();
        assert_eq!(cells.iter().map(|c| c.0).collect::<Vec<_>>(), (0..256).collect::<Vec<_>>());
        let single =
            |pair: &[(u32, i32, i32)]| (pair[0].1 - pair[1].1).abs() + (pair[0].2 - pair[1].2).abs() == 1;
        assert!(cells.windows(2).all(single));
        assert_eq!(along_curve(u16::MAX, 0), u32::MAX);
    }

    #[test]
    fn every_node_covers_its_children() {
        for n in [1u64, 2, 16, 17, 256, 257, 1000] {
            let items: Vec<Item> = (0..n)
                .map(|k| {
                    let x = (k * 37 % 101) as f64;
                    Item { bounds: [x, k as f64, x + 1.0, k as f64], offset: 0, bytes: 10 }
                })
                .collect();
            let nodes = nodes(&items);
            let levels = levels(n, NODE_SIZE);
            assert_eq!(nodes.len() as u64, levels.iter().sum::<u64>());
            assert_eq!(*levels.last().unwrap(), 1);
            let leaves = nodes.len() - n as usize;
            assert_eq!(nodes[leaves + n as usize - 1].offset, (n - 1) * 10);
            let mut seen = vec![0; nodes.len()];
            let (mut start, mut end) = (0, 1);
            for below in levels.iter().rev().skip(1) {
                let stop = end + *below as usize;
                for node in &nodes[start..end] {
                    let first = node.offset as usize;
                    for child in first..(first + 16).min(stop) {
                        seen[child] += 1;
                        let both = around([node.bounds, nodes[child].bounds].into_iter());
                        assert_eq!(both, node.bounds);
                    }
                }
                (start, end) = (end, stop);
            }
            assert!(seen[1..].iter().all(|n| *n == 1), "{n}: {seen:?}");
        }
        assert!(nodes(&[]).is_empty());
    }
}
