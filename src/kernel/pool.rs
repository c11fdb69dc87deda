//! Contract of two-dimensional pooling.

use bytemuck::{Pod, Zeroable};

/// Parameters of one pooling; pairs as (vertical, horizontal), planes of an image lie gap-free.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
pub struct PoolParams {
    /// Images.
    pub batch: u32,
    /// Planes per image.
    pub channels: u32,
    /// Rows of x.
    pub h_in: u32,
    /// Columns of x.
    pub w_in: u32,
    /// Rows of y.
    pub h_out: u32,
    /// Columns of y.
    pub w_out: u32,
    /// Window extents.
    pub kernel: [u32; 2],
    /// Strides.
    pub stride: [u32; 2],
    /// Padding above and left; never more than half the window.
    pub pad: [u32; 2],
    /// 1 takes the mean, 0 the maximum.
    pub mean: u32,
    /// 1 divides a mean by the whole window, 0 by the pixels inside the image.
    pub count_pad: u32,
    /// Distance of x's images in elements.
    pub x_batch_stride: u64,
    /// Distance of y's images in elements.
    pub y_batch_stride: u64,
}

impl PoolParams {
    /// The input rows (axis 0) or columns (axis 1) that an output index covers, cut at the image.
    pub fn window(&self, axis: usize, out: usize) -> std::ops::Range<usize> {
        let extent = [self.h_in, self.w_in][axis] as usize;
        let (stride, pad) = (self.stride[axis] as usize, self.pad[axis] as usize);
        let start = (out * stride).saturating_sub(pad);
        let end = (out * stride + self.kernel[axis] as usize).saturating_sub(pad).min(extent);
        start.min(end)..end
    }
}
