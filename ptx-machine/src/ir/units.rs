//! Operations of the matrix units and of the copies that run by themselves.

use super::{Address, Condition, Pred, Reg, Type};

/// Shape and types of a matrix product.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Product {
    /// Rows of the result.
    pub m: usize,
    /// Columns of the result.
    pub n: usize,
    /// Length of the sums.
    pub k: usize,
    /// Type of the left factor.
    pub a: Type,
    /// Type of the right factor.
    pub b: Type,
    /// Type of the sums.
    pub d: Type,
    /// Whether integer sums saturate.
    pub saturate: bool,
}

/// A factor of a warpgroup's product.
#[derive(Clone, Debug)]
pub enum Factor {
    /// Fragments in registers.
    Registers(Box<[Reg]>),
    /// A matrix descriptor; whether the matrix is transposed, the sign of its values.
    Shared {
        /// Register of the descriptor.
        descriptor: Reg,
        /// The major dimension is M or N rather than K.
        transposed: bool,
        /// Values are negated.
        negate: bool,
    },
}

/// How a wait on an mbarrier names the phase it waits for.
#[derive(Clone, Copy, Debug)]
pub enum Phase {
    /// By its parity.
    Parity(Reg),
    /// By the state an arrival returned.
    State(Reg),
}

/// One operation of the matrix units.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum MatrixOp {
    Mma { product: Product, d: Box<[Reg]>, a: Box<[Reg]>, b: Box<[Reg]>, c: Box<[Reg]> },
    Load { d: Box<[Option<Reg>]>, from: Address, transposed: bool },
    Store { s: Box<[Reg]>, to: Address, transposed: bool },
    Move { d: Reg, a: Reg },
    Wgmma { product: Product, d: Box<[Reg]>, a: Factor, b: Factor, accumulate: Condition },
    WgmmaFence,
    WgmmaCommit,
    WgmmaWait { keep: u32 },
}

/// One operation on copies or mbarriers.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum CopyOp {
    Copy { to: Address, from: Address, bytes: u32, size: Option<Reg>, ignore: Option<Condition> },
    Commit,
    Wait { keep: u32 },
    WaitAll,
    ArriveAfterCopies { at: Address, noinc: bool },
    Init { at: Address, count: Reg },
    Inval { at: Address },
    Arrive { at: Address, state: Option<Reg>, count: Option<Reg>, expect: Option<Reg>, drop: bool },
    Expect { at: Address, bytes: Reg },
    Test { p: Pred, at: Address, phase: Phase },
    BulkLoad { to: Address, from: Address, bytes: Reg, mbarrier: Address },
    BulkStore { to: Address, from: Address, bytes: Reg },
    TensorLoad { to: Address, map: Address, at: Box<[Reg]>, mbarrier: Address },
    TensorStore { map: Address, at: Box<[Reg]>, from: Address },
    BulkCommit,
    BulkWait { keep: u32 },
}
