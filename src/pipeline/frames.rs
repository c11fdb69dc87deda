//! Which dates a tile uses, and how their bands become network channels.

pub use crate::models::ChannelScale;
use crate::tile::Rect;

/// How good a date is within one tile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrameScore {
    /// Share of pixels with data, 0 to 1.
    pub valid: f32,
    /// Share of valid pixels that look like cloud, 0 to 1.
    pub cloud: f32,
}

impl FrameScore {
    /// Scores one date: a pixel looks like cloud when each of its first three bands is above `bright` (in the
    /// file's numbers). `pixels` is `[band][y][x]`, `valid` `[y][x]`, 1 where there is data and 0 elsewhere.
    pub fn of(pixels: &[f32], valid: &[u8], bright: f32) -> Self {
        let n = valid.len().max(1);
        let with_data = valid.iter().map(|v| usize::from(*v != 0)).sum::<usize>();
        let (mut cloud, mut looks) = (0, [0u8; RUN]);
        for (i, valid) in valid.chunks(RUN).enumerate() {
            let looks = &mut looks[..valid.len()];
            looks.copy_from_slice(valid);
            for band in pixels.chunks_exact(n).take(3) {
                let above = band[i * RUN..].iter().map(|v| u8::from(*v > bright));
                looks.iter_mut().zip(above).for_each(|(l, above)| *l &= above);
            }
            cloud += looks.iter().map(|l| usize::from(*l)).sum::<usize>();
        }
        Self { valid: with_data as f32 / n as f32, cloud: cloud as f32 / with_data.max(1) as f32 }
    }
}

/// Pixels scored at a time.
const RUN: usize = 256;

/// Ranks the dates of a tile, best first: more data (in 64ths), then less cloud (in 32nds), then by a hash of
/// `seed` and the tile, so that equals are drawn evenly but always alike.
pub fn rank_frames(scores: &[FrameScore], seed: u64, tile: (usize, usize)) -> Vec<usize> {
    let key = |i: &usize| {
        let s = scores[*i];
        let draw = mix(seed ^ mix(tile.0 as u64 ^ mix(tile.1 as u64 ^ mix(*i as u64))));
        (-((s.valid * 64.0).floor() as i64), (s.cloud * 32.0).ceil() as i64, draw)
    };
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by_key(key);
    order
}

/// The `n` dates of a tile, in time order: the best ones, repeated from the best where fewer have data. Empty
/// when no date has.
pub fn choose_frames(scores: &[FrameScore], ranked: &[usize], n: usize) -> Vec<usize> {
    let usable: Vec<usize> = ranked.iter().copied().filter(|i| scores[*i].valid > 0.0).collect();
    let mut chosen: Vec<usize> = usable.iter().copied().cycle().take(n).collect();
    chosen.sort_unstable();
    chosen
}

/// SplitMix64's finaliser (Steele, Lea and Flood 2014).
fn mix(z: u64) -> u64 {
    let z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// How a network is given a channel's numbers: as its own, or as samples that it makes its own numbers of.
pub trait Given: bytemuck::Pod {
    /// A file's number.
    fn of(scale: ChannelScale, v: f32) -> Self;

    /// What stands for a pixel that no frame has: the network's 0.
    fn none(scale: ChannelScale) -> Self;
}

impl Given for f32 {
    fn of(scale: ChannelScale, v: f32) -> Self {
        scale.apply(v)
    }

    fn none(_: ChannelScale) -> Self {
        0.0
    }
}

macro_rules! given_samples {
    ($($t:ty),*) => {
        $(impl Given for $t {
            fn of(_: ChannelScale, v: f32) -> Self {
                v as $t
            }

            fn none(scale: ChannelScale) -> Self {
                scale.zero as $t
            }
        })*
    };
}

given_samples!(u8, u16);

/// How the files' numbers become network input.
#[derive(Debug, Clone, PartialEq)]
pub struct InputLayout {
    /// Dates the network takes.
    pub frames: usize,
    /// Channels of a date.
    pub channels: Vec<ChannelScale>,
    /// Value of a band, in the file's numbers, above which it may be cloud.
    pub bright: f32,
}

/// The dates of one tile as read: `[frame][band][y][x]` and `[frame][y][x]` over the part of the tile that lies
/// inside the image, for all frames of the series.
pub struct TileFrames<'a> {
    /// The part of the tile inside the image.
    pub read: Rect,
    /// Values in the file's numbers.
    pub pixels: &'a [f32],
    /// 1 where there is data.
    pub valid: &'a [u8],
    /// Frames, best first.
    pub ranked: &'a [usize],
    /// Frames the network gets, in order.
    pub chosen: &'a [usize],
}

impl InputLayout {
    /// Numbers of the network input of `area` pixels.
    pub fn numbers(&self, area: usize) -> usize {
        self.frames * self.channels.len() * area
    }

    /// Writes what the network is given, `[frame][band][y][x]`, of `tile`. Outside the image it is reflected;
    /// pixels that a chosen frame lacks are taken from the best frame that has them, and are the network's 0 where
    /// none has. `mask` (`[y][x]` over `tile`) becomes 1 where any frame has data.
    pub fn assemble<T: Given>(&self, tile: &Rect, from: &TileFrames, input: &mut [T], mask: &mut [u8]) {
        let (n, area, width) = (from.read.area(), tile.area(), tile.width());
        let columns = Columns::new(tile, &from.read);
        let rows: Vec<usize> =
            (tile.y0..tile.y1).map(|y| reflect(y, from.read.y0, from.read.y1) * from.read.width()).collect();
        let valid = |frame: usize| &from.valid[frame * n..(frame + 1) * n];
        mask.fill(0);
        for frame in from.ranked {
            // Most tiles are complete in their best date.
            if mask.iter().all(|m| *m != 0) {
                break;
            }
            for (mask, row) in mask.chunks_exact_mut(width).zip(&rows) {
                columns.each(mask, &valid(*frame)[*row..], |m, v| *m |= v);
            }
        }
        let planes = from.chosen.iter().flat_map(|f| self.channels.iter().enumerate().map(move |c| (*f, c)));
        for (plane, (frame, (channel, scale))) in input.chunks_exact_mut(area).zip(planes) {
            let pixels = &from.pixels[(frame * self.channels.len() + channel) * n..][..n];
            for (to, row) in plane.chunks_exact_mut(width).zip(&rows) {
                columns.each(to, &pixels[*row..], |to, v| *to = T::of(*scale, v));
            }
        }
        for (slot, frame) in from.chosen.iter().enumerate().filter(|(_, f)| valid(**f).contains(&0)) {
            self.fill_gaps(slot, *frame, from, &rows, &columns.of, input);
        }
    }

    /// Gives the pixels that a chosen frame lacks those of the best frame that has them, or 0.
    fn fill_gaps<T: Given>(
        &self,
        slot: usize,
        frame: usize,
        from: &TileFrames,
        rows: &[usize],
        xs: &[usize],
        input: &mut [T],
    ) {
        let (n, area, bands) = (from.read.area(), rows.len() * xs.len(), self.channels.len());
        let has = |frame: usize, pixel: usize| from.valid[frame * n + pixel] != 0;
        let pixels = rows.iter().flat_map(|row| xs.iter().map(move |x| row + x));
        for (to, pixel) in pixels.enumerate().filter(|(_, pixel)| !has(frame, *pixel)) {
            let source = from.ranked.iter().copied().find(|f| has(*f, pixel));
            for (band, scale) in self.channels.iter().enumerate() {
                let value = |f: usize| T::of(*scale, from.pixels[(f * bands + band) * n + pixel]);
                input[(slot * bands + band) * area + to] = source.map_or_else(|| T::none(*scale), value);
            }
        }
    }
}

/// Columns of an image that the columns of a tile are read from.
struct Columns {
    of: Vec<usize>,
    /// How many are 0, 1, 2, …; those after them are reflected.
    in_order: usize,
}

impl Columns {
    fn new(tile: &Rect, read: &Rect) -> Self {
        let of: Vec<usize> = (tile.x0..tile.x1).map(|x| reflect(x, read.x0, read.x1)).collect();
        let in_order = of.iter().enumerate().take_while(|(i, column)| i == *column).count();
        Self { of, in_order }
    }

    /// Sets each pixel of a tile's row from its pixel of an image's row.
    fn each<T, S: Copy>(&self, to: &mut [T], from: &[S], set: impl Fn(&mut T, S)) {
        let (inside, beyond) = to.split_at_mut(self.in_order);
        inside.iter_mut().zip(from).for_each(|(to, from)| set(to, *from));
        beyond.iter_mut().zip(&self.of[self.in_order..]).for_each(|(to, column)| set(to, from[*column]));
    }
}

/// Offset from `from` of a position that may lie outside `from..to`, mirrored without repeating the edge.
fn reflect(p: i64, from: i64, to: i64) -> usize {
    let n = to - from;
    if n <= 1 {
        return 0;
    }
    let period = 2 * (n - 1);
    let q = (p - from).rem_euclid(period);
    q.min(period - q) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::Scaling;

    #[test]
    fn clear_and_complete_dates_come_first_in_time_order() {
        let score = |valid, cloud| FrameScore { valid, cloud };
        let scores = [score(1.0, 0.9), score(0.5, 0.0), score(1.0, 0.0), score(1.0, 0.1), score(0.0, 0.0)];
        let ranked = rank_frames(&scores, 1, (0, 0));
        assert_eq!(ranked, [2, 3, 0, 1, 4]);
        assert_eq!(choose_frames(&scores, &ranked, 2), [2, 3]);
        assert_eq!(choose_frames(&scores, &ranked, 6), [0, 1, 2, 2, 3, 3]);
        assert!(choose_frames(&scores[4..], &[0], 3).is_empty());
    }

    #[test]
    fn equal_dates_depend_on_seed_and_tile_only() {
        let scores = [FrameScore { valid: 1.0, cloud: 0.0 }; 12];
        let a = rank_frames(&scores, 7, (3, 4));
        assert_eq!(a, rank_frames(&scores, 7, (3, 4)));
        assert_ne!(a, rank_frames(&scores, 8, (3, 4)));
    }

    #[test]
    fn missing_pixels_come_from_the_best_date_and_edges_are_reflected() {
        let scale = Scaling { zero: 0.0, divisor: 2.0, clip: true }.scale();
        let layout = InputLayout { frames: 2, channels: vec![scale], bright: 1e9 };
        let pixels = [1.0, 2.0, 3.0, 0.4, 0.6, 0.8];
        let valid = [1, 0, 0, 1, 1, 0];
        let read = Rect::of_size(3, 1);
        let from = TileFrames { read, pixels: &pixels, valid: &valid, ranked: &[1, 0], chosen: &[0, 1] };
        let mut input = [9.0; 8];
        let mut mask = [9; 4];
        layout.assemble(&Rect::of_size(4, 1), &from, &mut input, &mut mask);
        assert_eq!(mask, [1, 1, 0, 1]);
        assert_eq!(input, [0.5, 0.3, 0.0, 0.3, 0.2, 0.3, 0.0, 0.3]);
    }

    #[test]
    fn samples_become_the_same_numbers_on_the_other_side() {
        let scales =
            [Scaling { zero: 4000.0, divisor: 16320.0, clip: true }, Scaling::BYTES].map(Scaling::scale);
        let layout = InputLayout { frames: 2, channels: scales.to_vec(), bright: 1e9 };
        // Two dates of two bands of four pixels, one of which no date has.
        let pixels: Vec<f32> = (0..16).map(|k| (k * 4229 % 65_536) as f32).collect();
        let valid = [1, 0, 1, 0, 1, 1, 1, 0];
        let read = Rect::of_size(2, 2);
        let from = TileFrames { read, pixels: &pixels, valid: &valid, ranked: &[1, 0], chosen: &[0, 1] };
        let tile = Rect::of_size(3, 3);
        let (mut numbers, mut samples) = ([9.0f32; 36], [9u16; 36]);
        let mut masks = [[9; 9]; 2];
        layout.assemble(&tile, &from, &mut numbers, &mut masks[0]);
        layout.assemble(&tile, &from, &mut samples, &mut masks[1]);
        assert_eq!(masks[0], masks[1]);
        for (k, (number, sample)) in numbers.iter().zip(samples).enumerate() {
            assert_eq!(number.to_bits(), scales[k / 9 % 2].apply(f32::from(sample)).to_bits(), "{k}");
        }
    }

    #[test]
    fn numbers_are_held_where_they_are_clipped() {
        let clipped = Scaling { zero: 4000.0, divisor: 16320.0, clip: true }.scale();
        assert_eq!([0.0, 4000.0, 8080.0, 65535.0].map(|v| clipped.apply(v)), [0.0, 0.0, 0.25, 1.0]);
        assert_eq!(clipped.invert(0.25), 8080.0);
        assert_eq!(Scaling::BYTES.scale().apply(510.0), 2.0);
    }

    #[test]
    fn clouds_are_bright_in_all_bands() {
        let pixels = [250.0, 250.0, 10.0, 250.0, 20.0, 10.0, 250.0, 250.0, 10.0];
        assert_eq!(FrameScore::of(&pixels, &[1, 1, 0], 200.0), FrameScore { valid: 2.0 / 3.0, cloud: 0.5 });
    }
}
