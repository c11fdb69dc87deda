//! One launch of one entry: grid, block and argument bytes, the same for every machine.

use bytemuck::{Pod, Zeroable};

use crate::{Error, Result};

/// Most operands of any entry.
pub const MAX_OPERANDS: usize = 6;

/// Bytes of an element of what is not laid out.
pub(super) const BYTES_OF_ELEMENT: u64 = size_of::<f32>() as u64;

/// Threads of a warp.
pub(super) const WARP: u32 = 32;

/// Most blocks along the second and third axis of a grid.
const MAX_ROWS: u64 = 65_535;

/// Addresses of one call, the first argument of every entry (mirrored in `kernels/params.cuh`).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Pod, Zeroable)]
pub struct Operands {
    /// Where operands begin; unused ones are 0.
    pub x: [u64; MAX_OPERANDS],
    /// Where the result begins; 0 where nobody reads it but as it is laid out.
    pub y: u64,
    /// Where the result is laid out, rounded, for products; 0 where it is not.
    pub laid: u64,
    /// What was made ready for the call at load.
    pub prepared: u64,
    /// Scratch.
    pub workspace: u64,
}

/// One launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The PTX entry.
    pub entry: &'static str,
    /// Blocks per axis.
    pub grid: [u32; 3],
    /// Threads per axis of a block.
    pub block: [u32; 3],
    /// Bytes of shared memory beyond what the entry declares.
    pub shared: u32,
    /// Both arguments as an entry's parameter space holds them: [`Operands`], then the contract's
    /// parameters, whose alignment divides the former's size.
    pub arguments: Vec<u8>,
}

impl Launch {
    /// A launch of an entry.
    ///
    /// # Errors
    /// `Limit` when a grid does not fit the hardware.
    pub(super) fn new<P: Pod>(
        entry: &'static str,
        grid: [u64; 3],
        block: [u32; 3],
        operands: &Operands,
        params: &P,
    ) -> Result<Self> {
        let [x, y, z] = grid;
        if x > i32::MAX as u64 || y > MAX_ROWS || z > MAX_ROWS {
            return Err(Error::limit(format!("{entry}: a grid of {grid:?} blocks; try a smaller --tile")));
        }
        let arguments = [bytemuck::bytes_of(operands), bytemuck::bytes_of(params)].concat();
        Ok(Self { entry, grid: [x as u32, y as u32, z as u32], block, shared: 0, arguments })
    }

    /// Where the second argument begins.
    pub const PARAMS: usize = std::mem::size_of::<Operands>();

    /// The first argument.
    pub fn operands(&self) -> Operands {
        bytemuck::pod_read_unaligned(&self.arguments[..Self::PARAMS])
    }

    /// Changes the first argument.
    pub(super) fn change_operands(&mut self, change: impl FnOnce(&mut Operands)) {
        let mut operands = self.operands();
        change(&mut operands);
        self.arguments[..Self::PARAMS].copy_from_slice(bytemuck::bytes_of(&operands));
    }
}

/// Grid and block of an entry that walks rows (striding) of columns (not striding).
pub(super) fn rows_and_columns(rows: u64, columns: u64) -> ([u64; 3], [u32; 3]) {
    let width = columns.next_power_of_two().clamp(1, 128) as u32;
    let height = 128 / width;
    let grid = [columns.div_ceil(width.into()), rows.div_ceil(height.into()).min(MAX_ROWS), 1];
    (grid, [width, height, 1])
}

/// Grid and block of an entry whose threads stride over `n` things.
pub(super) fn line(n: u64) -> ([u64; 3], [u32; 3]) {
    const THREADS: u32 = 128;
    ([n.div_ceil(THREADS.into()).clamp(1, 1 << 20), 1, 1], [THREADS, 1, 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_cover_rows_and_columns() {
        for (rows, columns) in [(1, 1), (3, 5), (1000, 33), (100_000, 1), (2, 10_000)] {
            let (grid, block) = rows_and_columns(rows, columns);
            assert!(grid[0] * u64::from(block[0]) >= columns);
            assert!(grid[1] == MAX_ROWS || grid[1] * u64::from(block[1]) >= rows);
            assert_eq!(block[0] * block[1], 128);
        }
    }

    #[test]
    fn too_large_a_grid_is_an_error() {
        let launch = |z| Launch::new("e", [1, 1, z], [32, 1, 1], &Operands::default(), &[0u32; 2]);
        assert_eq!(launch(65_535).unwrap().arguments.len(), 88);
        assert!(launch(65_536).is_err());
    }
}
