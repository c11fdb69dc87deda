//! Resizing, one weighted sum per output pixel.

use super::Element;
use crate::kernel::resize::ResizeParams;
use crate::Result;

/// Computes y from x.
pub(super) fn run<T: Element>(p: &ResizeParams, x: &[T], y: &mut [T]) -> Result<()> {
    let mode = p.resize_mode()?;
    let (h_in, w_in, h, w) = (p.h_in as usize, p.w_in as usize, p.h_out as usize, p.w_out as usize);
    for n in 0..p.batch as usize {
        for c in 0..p.channels as usize {
            let plane = &x[n * p.x_batch_stride as usize + c * h_in * w_in..][..h_in * w_in];
            for row in 0..h {
                let rows = mode.tap(row, h_in, h);
                for column in 0..w {
                    let columns = mode.tap(column, w_in, w);
                    let mut sum = T::from_f32(0.0);
                    for i in 0..mode.taps() {
                        let mut line = T::from_f32(0.0);
                        for j in 0..mode.taps() {
                            let at = rows.index[i] as usize * w_in + columns.index[j] as usize;
                            line += T::from_f64(columns.weight[j]) * plane[at];
                        }
                        sum += T::from_f64(rows.weight[i]) * line;
                    }
                    y[n * p.y_batch_stride as usize + (c * h + row) * w + column] = sum;
                }
            }
        }
    }
    Ok(())
}
