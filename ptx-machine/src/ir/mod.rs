//! The form in which instructions are executed: registers are dense row numbers, types and variants
//! are resolved, immediates and special registers are rows that are filled before the first instruction.

pub mod units;

use std::sync::Arc;

use crate::ops::convert::Conversion;
use units::{CopyOp, MatrixOp};

/// Threads in a warp.
pub const LANES: usize = 32;

/// One register of all lanes of a warp; narrower values are kept zero-extended.
pub type Row = [u64; LANES];

/// Number of a register's row.
pub type Reg = u32;

/// Number of a predicate; predicates are masks with one bit per lane.
pub type Pred = u32;

/// The predicate that is false in every lane.
pub const NEVER: Pred = 0;
/// The predicate that is true in every lane.
pub const ALWAYS: Pred = 1;

/// Computes a destination row from source rows.
pub type Row1 = fn(&Row) -> Row;
/// See [`Row1`].
pub type Row2 = fn(&Row, &Row) -> Row;
/// See [`Row1`].
pub type Row3 = fn(&Row, &Row, &Row) -> Row;
/// See [`Row1`].
pub type Row4 = fn(&Row, &Row, &Row, &Row) -> Row;
/// Compares two rows; one bit per lane.
pub type Compare = fn(&Row, &Row) -> u32;

/// A PTX fundamental type, as written in an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
#[rustfmt::skip]
pub enum Type {
    Pred, B8, B16, B32, B64, B128, U8, U16, U32, U64, S8, S16, S32, S64,
    F16, F16x2, Bf16, Bf16x2, Tf32, F32, F64,
}

impl Type {
    /// The type of a modifier such as `u32`.
    #[rustfmt::skip]
    pub fn parse(word: &str) -> Option<Type> {
        use Type::*;
        Some(match word {
            "pred" => Pred, "b8" => B8, "b16" => B16, "b32" => B32, "b64" => B64, "b128" => B128,
            "u8" => U8, "u16" => U16, "u32" => U32, "u64" => U64,
            "s8" => S8, "s16" => S16, "s32" => S32, "s64" => S64,
            "f16" => F16, "f16x2" => F16x2, "bf16" => Bf16, "bf16x2" => Bf16x2, "tf32" => Tf32,
            "f32" => F32, "f64" => F64,
            _ => return None,
        })
    }

    /// Size in memory; a predicate has none.
    pub fn bytes(self) -> usize {
        use Type::*;
        match self {
            Pred => 0,
            B8 | U8 | S8 => 1,
            B16 | U16 | S16 | F16 | Bf16 => 2,
            B32 | U32 | S32 | F16x2 | Bf16x2 | Tf32 | F32 => 4,
            B64 | U64 | S64 | F64 => 8,
            B128 => 16,
        }
    }

    /// Whether loads and conversions extend the sign.
    pub fn signed(self) -> bool {
        matches!(self, Type::S8 | Type::S16 | Type::S32 | Type::S64)
    }
}

/// The state space of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Space {
    Generic,
    Global,
    Shared,
    Local,
    Const,
    Param,
}

/// A register plus a constant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address {
    /// State space the instruction names.
    pub space: Space,
    /// Row with the base; a row of immediates where the base is a symbol.
    pub base: Reg,
    /// Bytes added to the base.
    pub offset: i64,
}

/// Logic on predicates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Logic {
    And,
    Or,
    Xor,
}

impl Logic {
    /// Applies the operation to all lanes.
    pub fn apply(self, a: u32, b: u32) -> u32 {
        match self {
            Logic::And => a & b,
            Logic::Or => a | b,
            Logic::Xor => a ^ b,
        }
    }
}

/// A predicate, possibly negated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Condition {
    /// The predicate.
    pub pred: Pred,
    /// Whether it is negated.
    pub negate: bool,
}

/// How an access meets those of other threads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Order {
    /// It may be made while others make theirs.
    pub strong: bool,
    /// Threads of other blocks are in its scope.
    pub wide: bool,
    /// What was done before the releases that it reads is known behind it.
    pub acquire: bool,
    /// What was done before it is known to those who acquire what it writes.
    pub release: bool,
}

/// What an atomic operation does with the old value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Update {
    Add,
    Min,
    Max,
    And,
    Or,
    Xor,
    Exch,
    Cas,
    Inc,
    Dec,
}

/// Which lane a `shfl` reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Shuffle {
    Up,
    Down,
    Bfly,
    Idx,
}

/// What `vote` answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Vote {
    All,
    Any,
    Uni,
    Ballot,
}

/// What a block barrier also computes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reduction {
    /// Number of threads whose condition holds.
    Popc(Reg),
    /// Whether it holds for all.
    And(Pred),
    /// Whether it holds for any.
    Or(Pred),
}

/// What a block barrier does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Barrier {
    /// Arrive and wait.
    Sync,
    /// Arrive only.
    Arrive,
    /// Arrive, wait and combine a condition over the threads.
    Red(Reduction, Condition),
}

/// What a fence orders.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fence {
    /// Accesses of this thread for the block.
    Block,
    /// Accesses of this thread for the whole device.
    Device,
    /// Ordinary accesses with those of the copy and matrix units.
    ProxyAsync,
    /// The initialisation of mbarriers.
    MbarrierInit,
}

/// One operation; see the PTX manual for what each does.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub enum Op {
    Map1 {
        f: Row1,
        d: Reg,
        a: Reg,
    },
    Map2 {
        f: Row2,
        d: Reg,
        a: Reg,
        b: Reg,
    },
    Map3 {
        f: Row3,
        d: Reg,
        a: Reg,
        b: Reg,
        c: Reg,
    },
    Map4 {
        f: Row4,
        d: Reg,
        s: [Reg; 4],
    },
    Convert {
        f: Conversion,
        d: Reg,
        a: Reg,
        extend: Option<(u32, u32)>,
    },
    /// A copy hands on whether its source was ever written.
    Copy {
        d: Reg,
        a: Reg,
    },
    Compare {
        f: Compare,
        d: Option<Pred>,
        not_d: Option<Pred>,
        a: Reg,
        b: Reg,
        with: Option<(Logic, Condition)>,
    },
    /// Both halves of packed operands, one predicate each.
    CompareHalves {
        f: Compare,
        d: [Option<Pred>; 2],
        a: Reg,
        b: Reg,
        with: Option<(Logic, Condition)>,
    },
    /// `set`: all ones (or 1.0) where the comparison holds.
    Set {
        f: Compare,
        d: Reg,
        a: Reg,
        b: Reg,
        with: Option<(Logic, Condition)>,
        truth: u64,
    },
    Select {
        d: Reg,
        a: Reg,
        b: Reg,
        p: Pred,
    },
    PredCopy {
        d: Pred,
        a: Condition,
    },
    PredLogic {
        f: Logic,
        d: Pred,
        a: Condition,
        b: Condition,
    },
    Pack {
        d: Reg,
        parts: Box<[Reg]>,
        bits: u32,
    },
    Unpack {
        parts: Box<[Option<Reg>]>,
        a: Reg,
        bits: u32,
    },
    Load {
        ty: Type,
        d: Box<[Option<Reg>]>,
        from: Address,
        order: Order,
    },
    Store {
        ty: Type,
        s: Box<[Reg]>,
        to: Address,
        order: Order,
    },
    Atomic {
        update: Update,
        ty: Type,
        d: Option<Reg>,
        at: Address,
        b: Reg,
        c: Reg,
        order: Order,
    },
    ToGeneric {
        d: Reg,
        a: Reg,
        space: Space,
    },
    FromGeneric {
        d: Reg,
        a: Reg,
        space: Space,
    },
    IsSpace {
        d: Pred,
        a: Reg,
        space: Space,
    },
    Branch {
        target: u32,
    },
    Exit,
    Trap,
    Barrier {
        kind: Barrier,
        id: Reg,
        count: Option<Reg>,
        aligned: bool,
    },
    WarpSync {
        mask: Reg,
    },
    Shuffle {
        mode: Shuffle,
        d: Reg,
        p: Option<Pred>,
        a: Reg,
        b: Reg,
        c: Reg,
        mask: Reg,
    },
    Vote {
        mode: Vote,
        d: Reg,
        p: Pred,
        a: Condition,
        mask: Reg,
    },
    Match {
        all: bool,
        d: Reg,
        p: Option<Pred>,
        a: Reg,
        mask: Reg,
    },
    Redux {
        update: Update,
        signed: bool,
        d: Reg,
        a: Reg,
        mask: Reg,
    },
    Elect {
        d: Option<Reg>,
        p: Pred,
        mask: Reg,
    },
    ActiveMask {
        d: Reg,
    },
    Clock {
        d: Reg,
    },
    Fence(Fence),
    /// Hints to the memory system: no effect here.
    Nop,
    Matrix(Box<MatrixOp>),
    Copies(Box<CopyOp>),
}

/// One instruction.
#[derive(Clone, Debug)]
pub struct Inst {
    /// What it does.
    pub op: Op,
    /// Lanes it is done in.
    pub guard: Option<Condition>,
    /// As written.
    pub text: Arc<str>,
    /// Where the `.cu` source has it: file and line, from the nearest `.loc` before it.
    pub source: Option<(Arc<str>, u32)>,
}

/// What the threads' own numbers are read from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[allow(missing_docs)]
pub enum Special {
    Tid(u8),
    Ntid(u8),
    Ctaid(u8),
    Nctaid(u8),
    LaneId,
    WarpId,
    NumWarps,
    LaneMask(std::cmp::Ordering, bool),
    DynamicShared,
    TotalShared,
    /// Where dynamic shared memory begins.
    DynamicStart,
}

/// What a row holds before the first instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Preset {
    /// The same value in all lanes.
    Value(u64),
    /// A special register.
    Special(Special),
}

/// What a row is.
#[derive(Clone, Debug)]
pub struct RowInfo {
    /// Name, for reports.
    pub name: String,
    /// Width in bits.
    pub width: u32,
    /// What it always holds, if it is no register.
    pub preset: Option<Preset>,
}

/// Smallest access to each space, in bytes.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Grain {
    pub shared: usize,
    pub global: usize,
}

/// A kernel's code and what it needs: [`crate::Entry`] is the handle to it.
#[derive(Clone, Debug)]
pub struct Code {
    /// Name of the entry.
    pub name: String,
    /// The instructions, ending in an exit.
    pub insts: Vec<Inst>,
    /// All rows.
    pub rows: Vec<RowInfo>,
    /// Number of predicates, the two constants included.
    pub preds: usize,
    /// Names of predicates.
    pub pred_names: Vec<String>,
    /// Bytes of parameters.
    pub param_bytes: usize,
    /// Bytes of statically declared shared memory; `extern` shared memory follows.
    pub shared_bytes: usize,
    /// Alignment of the extern shared array.
    pub dynamic_align: usize,
    /// Bytes of local memory per thread.
    pub local_bytes: usize,
    /// Module variables in the constant and global spaces.
    pub constants: Arc<Vec<u8>>,
    /// `.maxntid` and `.reqntid`.
    pub max_threads: Option<u32>,
    /// `.reqntid`.
    pub block: Option<[u32; 3]>,
    /// Smallest access to shared and to global memory: the grains of the race detector's shadows.
    pub grain: Grain,
    /// Whether it has `wgmma` instructions.
    pub warpgroups: bool,
    /// Whether blocks may meet through atomics on global memory.
    pub meets: bool,
}
