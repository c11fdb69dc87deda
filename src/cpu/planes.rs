//! Images worked on row by row: the loop that pooling and resizing share.

use super::args::Args;
use super::pool::Pool;

/// Elements of the result a part works on, about.
const PART: usize = 1 << 12;

/// Extents of images in and out; an image's planes lie gap-free.
pub(super) struct Planes {
    /// Images.
    pub batch: u32,
    /// Planes of an image.
    pub channels: u32,
    /// Rows and columns of x.
    pub x: [u32; 2],
    /// Rows and columns of y.
    pub y: [u32; 2],
    /// Distance of x's and of y's images.
    pub batch_strides: [u64; 2],
}

impl Planes {
    /// Calls `row` with each plane of x and each row of its plane of y: (x, index, y).
    ///
    /// # Safety
    /// As [`Args`] says for spans of these extents, and no element of y is one of x.
    pub unsafe fn for_rows(&self, args: &Args, pool: &Pool, row: impl Fn(&[f32], usize, &mut [f32]) + Sync) {
        let [h, w] = self.y.map(|v| v as usize);
        let x_len = self.x[0] as usize * self.x[1] as usize;
        let channels = self.channels as usize;
        let rows = self.batch as usize * channels * h;
        let of_part = (PART / w.max(1)).max(1);
        pool.run(rows.div_ceil(of_part), |part| {
            for at in part * of_part..rows.min((part + 1) * of_part) {
                let (plane, index) = (at / h, at % h);
                let (n, c) = (plane / channels, plane % channels);
                let [x_image, y_image] = self.batch_strides.map(|stride| n * stride as usize);
                // SAFETY: plane c of image n lies within the spans of x and y; each row of y comes once.
                let (x, y) = unsafe {
                    let x = args.x[0].add(x_image + c * x_len);
                    let y = args.y.add(y_image + (c * h + index) * w);
                    (std::slice::from_raw_parts(x, x_len), std::slice::from_raw_parts_mut(y, w))
                };
                row(x, index, y);
            }
        });
    }
}
