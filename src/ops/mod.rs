//! Operators: what a node computes, which shapes it accepts, what it reaches, how it becomes kernels.
//!
//! The table at the foot is closed: an operator is one word there and one `impl OpDef` in its file;
//! the compiler lists what is missing. Operators know nothing of graphs, devices or memory.

mod activation;
mod attention;
mod boxes;
mod concat;
mod conv;
mod conv_transpose;
mod elementwise;
mod layer_norm;
mod linear;
mod norm;
mod pool;
mod reach;
mod reduce;
mod resize;
mod roi_align;
mod samples;
mod select;
mod softmax;
mod view;

pub use activation::{Activate, Activation, Prelu};
pub use attention::WindowAttention;
pub use boxes::{Anchors, BoxDecode, Nms};
pub use concat::{Concat, PadAxis};
pub use conv::{BandRows, Conv2d, Convolution, Epilogue};
pub use conv_transpose::{ConvTranspose2d, TransposedConvolution};
pub use elementwise::{Add, Bias, Maximum, Mul, Scale};
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use norm::{Affine, BatchNorm, NormScale, NormShift};
pub use pool::{Pool, Pool2d};
pub use reach::{AxisReach, Reach};
pub use reduce::Reduce;
pub use resize::{Blur, Resize};
pub use roi_align::RoiAlign;
pub use samples::{Normalise, ToSamples};
pub use select::{Gather, TopK};
pub use softmax::Softmax;
pub use view::{Permute, PixelShuffle, PixelUnshuffle, Reshape, Slice};

use crate::kernel::Kernel;
use crate::tensor::{Layout, Shape, TensorSpec};
use crate::{Error, Result};

/// How the tensors of an operator must lie for its kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Any strides.
    Any,
    /// Gap-free within each item of the first axis (parameters wholly gap-free).
    Batched,
    /// Wholly gap-free.
    Dense,
}

/// Work of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Floating-point operations; a multiplication with an addition counts two.
    pub flops: u64,
    /// Bytes read and written when nothing stays in a cache.
    pub bytes: u64,
}

/// An operand of a call: an input of the node, moved by `offset` elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operand {
    /// Which input of the node.
    pub input: usize,
    /// Elements to add to the place of that input.
    pub offset: usize,
}

/// One kernel call a node lowers to.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Contract and parameters.
    pub kernel: Kernel,
    /// Operands in the contract's order.
    pub operands: Vec<Operand>,
    /// Elements to add to the place of the output.
    pub y_offset: usize,
}

impl Call {
    /// A call that reads the given inputs of the node from their first element and writes from the first.
    pub fn of(kernel: Kernel, inputs: impl IntoIterator<Item = usize>) -> Self {
        let operands = inputs.into_iter().map(|input| Operand { input, offset: 0 }).collect();
        Self { kernel, operands, y_offset: 0 }
    }
}

/// What every operator defines.
pub trait OpDef {
    /// Name in dumps and errors.
    const NAME: &'static str;
    /// How inputs and output must lie for [`OpDef::lower`].
    const LIE: Lie;

    /// The output for these inputs, and every check of legality.
    ///
    /// # Errors
    /// `Shape` when the inputs do not fit.
    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec>;

    /// Which pixels of the inputs' last two axes an output rectangle needs.
    fn reach(&self, ins: &[TensorSpec], out: &TensorSpec) -> Reach;

    /// Kernel calls for inputs and output that lie so. Operands' places include the layouts' offsets.
    ///
    /// # Errors
    /// `Limit` when an extent is more than a kernel takes.
    fn lower(&self, ins: &[Layout], y: &Layout) -> Result<Vec<Call>>;

    /// Work of the node.
    fn cost(&self, ins: &[TensorSpec], out: &TensorSpec) -> Cost {
        pointwise_cost(1, ins, out)
    }

    /// The layout of the output as a part of the first input's memory, where no kernel is needed.
    fn view(&self, _x: &Layout) -> Option<Layout> {
        None
    }

    /// Whether the output may take the memory of that input when both lie alike.
    fn may_overwrite(&self, _input: usize) -> bool {
        false
    }
}

macro_rules! ops {
    ($($name:ident),* $(,)?) => {
        /// An operator with its attributes.
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub enum Op {
            $(#[doc = concat!("See [`", stringify!($name), "`].")] $name($name)),*
        }

        $(impl From<$name> for Op {
            fn from(op: $name) -> Self {
                Op::$name(op)
            }
        })*

        impl Op {
            /// Names of all operators.
            pub const NAMES: &'static [&'static str] = &[$(<$name as OpDef>::NAME),*];

            /// See [`OpDef::NAME`].
            pub fn name(&self) -> &'static str {
                match self { $(Op::$name(_) => <$name as OpDef>::NAME),* }
            }
            /// See [`OpDef::LIE`].
            pub fn lie(&self) -> Lie {
                match self { $(Op::$name(_) => <$name as OpDef>::LIE),* }
            }
            /// See [`OpDef::infer`].
            ///
            /// # Errors
            /// `Shape` when the inputs do not fit.
            pub fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
                match self { $(Op::$name(op) => op.infer(ins)),* }
            }
            /// See [`OpDef::reach`].
            pub fn reach(&self, ins: &[TensorSpec], out: &TensorSpec) -> Reach {
                match self { $(Op::$name(op) => op.reach(ins, out)),* }
            }
            /// See [`OpDef::lower`].
            ///
            /// # Errors
            /// `Limit` when an extent is more than a kernel takes.
            pub fn lower(&self, ins: &[Layout], y: &Layout) -> Result<Vec<Call>> {
                match self { $(Op::$name(op) => op.lower(ins, y)),* }
            }
            /// See [`OpDef::cost`].
            pub fn cost(&self, ins: &[TensorSpec], out: &TensorSpec) -> Cost {
                match self { $(Op::$name(op) => op.cost(ins, out)),* }
            }
            /// See [`OpDef::view`].
            pub fn view(&self, x: &Layout) -> Option<Layout> {
                match self { $(Op::$name(op) => op.view(x)),* }
            }
            /// See [`OpDef::may_overwrite`].
            pub fn may_overwrite(&self, input: usize) -> bool {
                match self { $(Op::$name(op) => op.may_overwrite(input)),* }
            }
        }
    };
}

ops! {
    Convolution, Bias, Activate, Prelu, Add, Mul, Maximum, Scale, Concat, PadAxis, Slice, Reshape, Permute,
    PixelShuffle, PixelUnshuffle, Resize, Blur, BatchNorm, NormScale, NormShift, Affine, Pool, Reduce,
    Softmax, Linear, LayerNorm, WindowAttention, TransposedConvolution, Anchors, TopK,
    Gather, BoxDecode, Nms, RoiAlign, Normalise, ToSamples,
}

/// The inputs as an array of exactly `N`.
fn inputs<const N: usize>(ins: &[TensorSpec]) -> Result<[Shape; N]> {
    let shapes: Vec<Shape> = ins.iter().map(|s| s.shape).collect();
    shapes.try_into().map_err(|_| Error::shape(format!("{} inputs given, {N} wanted", ins.len())))
}

fn f32_of(dims: &[usize]) -> Result<TensorSpec> {
    Ok(TensorSpec::f32(Shape::new(dims)?))
}

/// (batch, channels, rows, columns) of an image tensor.
fn image(shape: &Shape) -> Result<[usize; 4]> {
    <[usize; 4]>::try_from(&**shape)
        .map_err(|_| Error::shape(format!("{shape} is not (batch, channels, rows, columns)")))
}

fn u32_of(extent: usize) -> Result<u32> {
    u32::try_from(extent).map_err(|_| Error::limit(format!("an extent of {extent} (at most {})", u32::MAX)))
}

fn i32_of(extent: i64) -> Result<i32> {
    i32::try_from(extent).map_err(|_| Error::limit(format!("padding by {extent} (at most {})", i32::MAX)))
}

fn pointwise_cost(flops_per_element: u64, ins: &[TensorSpec], out: &TensorSpec) -> Cost {
    let bytes = ins.iter().chain([out]).map(|s| s.bytes().unwrap_or(usize::MAX) as u64).sum();
    Cost { flops: flops_per_element * out.shape.numel() as u64, bytes }
}

/// Product of the extents before, of, and after an axis.
fn split_at(shape: &Shape, axis: usize) -> [u64; 3] {
    let product = |dims: &[usize]| dims.iter().product::<usize>() as u64;
    [product(&shape[..axis]), shape[axis] as u64, product(&shape[axis + 1..])]
}

fn check_axis(shape: &Shape, axis: usize) -> Result<()> {
    if axis >= shape.len() {
        return Err(Error::shape(format!("axis {axis} of {shape}, which has {}", shape.len())));
    }
    Ok(())
}
