//! Halving: one tile of a level into its quarter of a tile of the next, minding nodata and mask.

use super::spec::OverviewResampling;
use super::tile::Tile;
use crate::raster::Samples;

/// How to halve.
#[derive(Debug, Clone, Copy)]
pub(super) struct Halving {
    /// Edge of a tile.
    pub(super) tile: usize,
    pub(super) bands: usize,
    pub(super) nodata: Option<f64>,
    pub(super) resampling: OverviewResampling,
}

impl Halving {
    /// Halves the `width` x `height` image pixels of `source` into the quarter of `target` that begins
    /// at pixel `at` (x, y).
    pub(super) fn reduce(
        &self,
        source: &Tile,
        (width, height): (usize, usize),
        target: &mut Tile,
        at: (usize, usize),
    ) {
        let mask = source.mask.as_deref();
        let source_size = (width, height);
        match (&source.samples, &mut target.samples) {
            (Samples::U8(s), Samples::U8(t)) => self.reduce_samples(s, mask, source_size, t, at),
            (Samples::U16(s), Samples::U16(t)) => self.reduce_samples(s, mask, source_size, t, at),
            (Samples::F32(s), Samples::F32(t)) => self.reduce_samples(s, mask, source_size, t, at),
            _ => {}
        }
        if let (Some(s), Some(t)) = (mask, &mut target.mask) {
            self.reduce_mask(s, source_size, t, at);
        }
    }

    fn reduce_samples<T: Sample>(
        &self,
        source: &[T],
        mask: Option<&[u8]>,
        (width, height): (usize, usize),
        target: &mut [T],
        (x0, y0): (usize, usize),
    ) {
        let nodata = self.nodata.map(T::from_f64);
        for y in 0..height.div_ceil(2) {
            for x in 0..width.div_ceil(2) {
                let four = self.four(x, y, width, height);
                let out = ((y0 + y) * self.tile + x0 + x) * self.bands;
                for band in 0..self.bands {
                    let valid = |p: &usize| mask.is_none_or(|m| m[*p] != 0);
                    let mut values =
                        four.iter().flatten().filter(|p| valid(p)).map(|p| source[p * self.bands + band]);
                    target[out + band] = match self.resampling {
                        OverviewResampling::Nearest => source[four[0].unwrap_or(0) * self.bands + band],
                        OverviewResampling::Average => match nodata {
                            Some(n) => mean_beside(values.filter(|v| !v.same(n)), n),
                            None => T::mean(&mut values).unwrap_or_default(),
                        },
                    };
                }
            }
        }
    }

    fn reduce_mask(
        &self,
        source: &[u8],
        (width, height): (usize, usize),
        target: &mut [u8],
        (x0, y0): (usize, usize),
    ) {
        for y in 0..height.div_ceil(2) {
            for x in 0..width.div_ceil(2) {
                let four = self.four(x, y, width, height);
                let seen = match self.resampling {
                    OverviewResampling::Nearest => four[0].is_some_and(|p| source[p] != 0),
                    OverviewResampling::Average => four.iter().flatten().any(|p| source[*p] != 0),
                };
                target[(y0 + y) * self.tile + x0 + x] = u8::from(seen);
            }
        }
    }

    /// Pixel numbers, in the source tile, of the up to four pixels under an overview's pixel.
    fn four(&self, x: usize, y: usize, width: usize, height: usize) -> [Option<usize>; 4] {
        [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(dx, dy)| {
            let (x, y) = (2 * x + dx, 2 * y + dy);
            (x < width && y < height).then(|| y * self.tile + x)
        })
    }
}

/// The mean of valid values, kept off the nodata value; nodata when there is none.
fn mean_beside<T: Sample>(mut values: impl Iterator<Item = T>, nodata: T) -> T {
    match T::mean(&mut values) {
        Some(mean) if mean.same(nodata) => mean.neighbour(),
        Some(mean) => mean,
        None => nodata,
    }
}

/// What averaging needs of a sample type.
trait Sample: Copy + Default {
    fn from_f64(v: f64) -> Self;
    /// Whether both are the same value; NaN is the same as NaN.
    fn same(self, other: Self) -> bool;
    /// The next value up, or down from the largest.
    fn neighbour(self) -> Self;
    /// The mean, integers rounded half up; `None` of nothing.
    fn mean(values: &mut impl Iterator<Item = Self>) -> Option<Self>;
}

macro_rules! integer_sample {
    ($type:ty) => {
        impl Sample for $type {
            fn from_f64(v: f64) -> Self {
                v as $type
            }

            fn same(self, other: Self) -> bool {
                self == other
            }

            fn neighbour(self) -> Self {
                self.checked_add(1).unwrap_or(self - 1)
            }

            fn mean(values: &mut impl Iterator<Item = Self>) -> Option<Self> {
                let (sum, n) = values.fold((0u32, 0u32), |(sum, n), v| (sum + u32::from(v), n + 1));
                (n > 0).then(|| ((sum + n / 2) / n.max(1)) as $type)
            }
        }
    };
}

integer_sample!(u8);
integer_sample!(u16);

impl Sample for f32 {
    fn from_f64(v: f64) -> Self {
        v as f32
    }

    fn same(self, other: Self) -> bool {
        self == other || self.is_nan() && other.is_nan()
    }

    fn neighbour(self) -> Self {
        if self.is_nan() {
            self
        } else {
            self.next_up()
        }
    }

    fn mean(values: &mut impl Iterator<Item = Self>) -> Option<Self> {
        let (sum, n) = values.fold((0f64, 0u32), |(sum, n), v| (sum + f64::from(v), n + 1));
        (n > 0).then(|| (sum / f64::from(n)) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn halving(nodata: Option<f64>, resampling: OverviewResampling) -> Halving {
        Halving { tile: 4, bands: 1, nodata, resampling }
    }

    fn reduce(h: Halving, rows: [[u8; 4]; 4], mask: Option<Vec<u8>>, size: (usize, usize)) -> Tile {
        let source = Tile { samples: Samples::U8(rows.concat()), mask: mask.clone() };
        let mut target = Tile { samples: Samples::U8(vec![99; 16]), mask: mask.map(|_| vec![0; 16]) };
        h.reduce(&source, size, &mut target, (2, 0));
        target
    }

    const ROWS: [[u8; 4]; 4] = [[1, 2, 0, 0], [3, 4, 0, 8], [10, 0, 255, 0], [0, 0, 0, 0]];

    #[test]
    fn averages_round_half_up_and_stay_in_their_quarter() {
        let t = reduce(halving(None, OverviewResampling::Average), ROWS, None, (4, 4));
        assert_eq!(t.samples, Samples::U8(vec![99, 99, 3, 2, 99, 99, 3, 64, 99, 99, 99, 99, 99, 99, 99, 99]));
    }

    #[test]
    fn nodata_takes_no_part_and_is_never_hit_by_chance() {
        let t = reduce(halving(Some(0.0), OverviewResampling::Average), ROWS, None, (4, 4));
        let Samples::U8(v) = t.samples else { panic!() };
        assert_eq!([v[2], v[3], v[6], v[7]], [3, 8, 10, 255]);
        let t = reduce(halving(Some(3.0), OverviewResampling::Average), [[2, 4, 3, 3]; 4], None, (4, 4));
        let Samples::U8(v) = t.samples else { panic!() };
        assert_eq!([v[2], v[3]], [4, 3]);
    }

    #[test]
    fn masked_pixels_take_no_part_and_odd_edges_use_what_is_there() {
        let mask = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let t = reduce(halving(None, OverviewResampling::Average), ROWS, Some(mask), (3, 3));
        let Samples::U8(v) = t.samples else { panic!() };
        assert_eq!([v[2], v[3], v[6], v[7]], [3, 0, 0, 0]);
        let mask = t.mask.unwrap();
        assert_eq!([mask[2], mask[3], mask[6], mask[7]], [1, 0, 0, 0]);
    }

    #[test]
    fn nearest_takes_the_upper_left() {
        let t = reduce(halving(Some(0.0), OverviewResampling::Nearest), ROWS, None, (4, 4));
        let Samples::U8(v) = t.samples else { panic!() };
        assert_eq!([v[2], v[3], v[6], v[7]], [1, 0, 10, 255]);
    }
}
