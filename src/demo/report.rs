//! What the demo says of its result: PSNR against the truth beside bicubic's, and a picture of both.

use std::fmt;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use super::picture::Picture;
use super::product::truth;
use super::schedule::DemoSpec;
use crate::error::{Error, InFile, Result};
use crate::raster::FrameSource;
use crate::tile::Rect;

/// Finer than the input by this factor.
const SCALE: usize = 4;
/// A pixel with all channels above this (of 255) is taken for cloud.
const CLOUD: u8 = 200;
/// Largest side of the judged window, pixels of 10 m.
const WINDOW: usize = 384;
/// Side of the part shown in the picture, pixels of 10 m.
const SHOWN: usize = 96;

/// A result of the demo held against the truth at 2.5 m.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The window, pixels of 10 m.
    pub window: Rect,
    /// PSNR of the network's result, dB.
    pub ours: f64,
    /// PSNR of bicubic enlargement of the clearest date (of several, the one nearest to the middle of the
    /// series), chosen without knowing the truth, dB.
    pub clearest: f64,
    /// PSNR of bicubic enlargement of the date that comes nearest to the truth, dB.
    pub best: f64,
    /// PSNR of bicubic enlargement of the mean of all dates' valid pixels, dB.
    pub mean: f64,
    panels: [Picture; 4],
}

/// The window of a demo that is judged: the middle, at most 384 pixels of 10 m a side.
pub fn window(spec: &DemoSpec) -> Rect {
    let side = spec.size.min(WINDOW);
    let start = ((spec.size - side) / 2) as i64;
    Rect::at(start, start, side, side)
}

/// Compares a result with the truth and with bicubic enlargement. `source` delivers the demo's true-colour
/// dates on the main grid; `ours` is the result under `window`, `[y][x][rgb]` at four times the size.
///
/// # Errors
/// `Shape` when `ours` has another size, and what reading says.
pub fn compare(spec: &DemoSpec, source: &dyn FrameSource, window: Rect, ours: Vec<u8>) -> Result<Comparison> {
    let fine = window.scale_up(SCALE as i64);
    if ours.len() != fine.area() * 3 || source.bands().len() != 3 {
        return Err(Error::shape(format!(
            "{} bytes and {} bands to compare with {}x{} true-colour pixels",
            ours.len(),
            source.bands().len(),
            fine.width(),
            fine.height()
        )));
    }
    let ours = Picture { width: fine.width(), height: fine.height(), rgb: ours };
    let truth = Picture { width: fine.width(), height: fine.height(), rgb: truth(spec, fine) };
    let mut clearest: Option<((usize, usize), Picture, f64)> = None;
    let middle = source.frames().len() / 2;
    let (mut best, mut sum, mut counts) =
        (f64::MIN, vec![0.0_f32; window.area() * 3], vec![0.0_f32; window.area()]);
    for frame in 0..source.frames().len() {
        let (image, valid) = read(source, frame, window)?;
        add(&mut sum, &mut counts, &image, &valid);
        let score = psnr(&image.bicubic(SCALE), &truth);
        best = best.max(score);
        let bad = (unclear(&image, &valid), frame.abs_diff(middle));
        if clearest.as_ref().is_none_or(|(least, ..)| bad < *least) {
            clearest = Some((bad, image, score));
        }
    }
    let (_, low, score) = clearest.ok_or_else(|| Error::usage("no date to compare with"))?;
    let mean = average(&sum, &counts, window);
    let shown = liveliest(&truth);
    let part = |picture: &Picture, scale: usize| {
        picture.crop(shown.0 / scale, shown.1 / scale, SHOWN * SCALE / scale)
    };
    let blocks = part(&low, SCALE).repeat(SCALE);
    Ok(Comparison {
        window,
        ours: psnr(&ours, &truth),
        clearest: score,
        best,
        mean: psnr(&mean.bicubic(SCALE), &truth),
        panels: [blocks, part(&low.bicubic(SCALE), 1), part(&ours, 1), part(&truth, 1)],
    })
}

impl Comparison {
    /// Writes the picture: the clearest date as it is, enlarged by bicubic interpolation, the result, the
    /// truth, of the liveliest part of the window; all brightened alike.
    ///
    /// # Errors
    /// `Io`.
    pub fn write_png(&self, path: &Path) -> Result<()> {
        let labels = ["INPUT 10 M", "BICUBIC", "SWATH 2.5 M", "TRUTH 2.5 M"];
        let picture = Picture::row(&self.panels, &labels);
        let file = File::create(path).map_err(|e| Error::io("cannot create", e).in_file(path))?;
        let mut encoder =
            png::Encoder::new(BufWriter::new(file), picture.width as u32, picture.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let written = encoder.write_header().and_then(|mut w| w.write_image_data(&picture.rgb));
        written.map_err(|e| Error::io("cannot write", std::io::Error::other(e))).in_file(path)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (width, height) = (self.window.width(), self.window.height());
        writeln!(
            f,
            "PSNR against the truth at 2.5 m, {width}x{height} input pixels of a landscape not trained on:"
        )?;
        writeln!(f, "  swath                           {:6.2} dB", self.ours)?;
        let rows = [
            ("bicubic of the clearest date", self.clearest),
            ("bicubic of the best of all dates", self.best),
            ("bicubic of the mean of dates", self.mean),
        ];
        for (index, (name, score)) in rows.into_iter().enumerate() {
            let end = if index + 1 < rows.len() { "\n" } else { "" };
            write!(f, "  {name:<32}{score:6.2} dB  (swath {:+.2})", self.ours - score)?;
            f.write_str(end)?;
        }
        Ok(())
    }
}

/// Peak signal-to-noise ratio of two 8-bit pictures over all pixels and channels, dB.
fn psnr(a: &Picture, b: &Picture) -> f64 {
    let squares: f64 = a.rgb.iter().zip(&b.rgb).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
    let error = squares / a.rgb.len().max(1) as f64;
    10.0 * (255.0 * 255.0 / error.max(1e-9)).log10()
}

/// One date's window, interleaved, and where it has data.
fn read(source: &dyn FrameSource, frame: usize, window: Rect) -> Result<(Picture, Vec<u8>)> {
    let area = window.area();
    let (mut planes, mut valid) = (vec![0.0; area * 3], vec![0; area]);
    source.read(frame, window, &mut planes, &mut valid)?;
    let at =
        |i: usize, band: usize| planes.get(band * area + i).map_or(0, |v| v.round().clamp(0.0, 255.0) as u8);
    let rgb = (0..area).flat_map(|i| [at(i, 0), at(i, 1), at(i, 2)]).collect();
    Ok((Picture { width: window.width(), height: window.height(), rgb }, valid))
}

/// Number of pixels that are missing or look like cloud.
fn unclear(image: &Picture, valid: &[u8]) -> usize {
    let cloudy = |pixel: &[u8]| pixel.iter().all(|&v| v > CLOUD);
    image.rgb.chunks_exact(3).zip(valid).filter(|(pixel, &valid)| valid == 0 || cloudy(pixel)).count()
}

fn add(sum: &mut [f32], counts: &mut [f32], image: &Picture, valid: &[u8]) {
    for ((total, pixel), &valid) in sum.chunks_exact_mut(3).zip(image.rgb.chunks_exact(3)).zip(valid) {
        total.iter_mut().zip(pixel).for_each(|(t, &v)| *t += f32::from(v) * f32::from(valid));
    }
    counts.iter_mut().zip(valid).for_each(|(n, &v)| *n += f32::from(v));
}

fn average(sum: &[f32], counts: &[f32], window: Rect) -> Picture {
    let pixels = sum.chunks_exact(3).zip(counts);
    let rgb = pixels.flat_map(|(t, &n)| t.iter().map(move |v| (v / n.max(1.0)).round() as u8)).collect();
    Picture { width: window.width(), height: window.height(), rgb }
}

/// Upper left corner (on the input's grid, in fine pixels) of the shown part with the strongest edges.
fn liveliest(truth: &Picture) -> (usize, usize) {
    let side = SHOWN * SCALE;
    let places = |length: usize| (0..=length.saturating_sub(side)).step_by(side / 4);
    let life = |x: usize, y: usize| -> u64 {
        let part = truth.crop(x, y, side);
        part.rgb
            .windows(4)
            .step_by(3)
            .map(|w| w.first().zip(w.last()).map_or(0, |(a, b)| u64::from(a.abs_diff(*b))))
            .sum()
    };
    let all = places(truth.height).flat_map(|y| places(truth.width).map(move |x| (x, y)));
    all.max_by_key(|&(x, y)| life(x, y)).unwrap_or((0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn psnr_of_a_known_error() {
        let flat = |v: u8| Picture { width: 4, height: 4, rgb: vec![v; 48] };
        // An error of 5 everywhere: 20 log10(255 / 5).
        assert!((psnr(&flat(100), &flat(105)) - 34.151).abs() < 1e-3);
    }

    #[test]
    fn means_leave_out_what_has_no_data() {
        let image = |v: u8| Picture { width: 2, height: 1, rgb: vec![v; 6] };
        let (mut sum, mut counts) = (vec![0.0; 6], vec![0.0; 2]);
        add(&mut sum, &mut counts, &image(10), &[1, 1]);
        add(&mut sum, &mut counts, &image(40), &[0, 1]);
        let mean = average(&sum, &counts, Rect::of_size(2, 1));
        assert_eq!(mean.rgb, [10, 10, 10, 25, 25, 25]);
        assert_eq!(unclear(&image(230), &[1, 0]), 2);
        assert_eq!(unclear(&image(90), &[1, 0]), 1);
    }
}
