//! Small 8-bit colour pictures: crop, enlarge, set side by side with labels.

/// `[y][x][rgb]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Samples.
    pub rgb: Vec<u8>,
}

/// Rows above each panel that hold its label.
const CAPTION: usize = 26;
/// Pixels between panels.
const GAP: usize = 6;
/// Pixels of a letter's dot.
const DOT: usize = 2;

impl Picture {
    /// One colour.
    pub fn filled(width: usize, height: usize, colour: [u8; 3]) -> Self {
        Self { width, height, rgb: colour.repeat(width * height) }
    }

    fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let start =
            (y.min(self.height.saturating_sub(1)) * self.width + x.min(self.width.saturating_sub(1))) * 3;
        self.rgb.get(start..start + 3).map_or([0; 3], |p| [p[0], p[1], p[2]])
    }

    fn set(&mut self, x: usize, y: usize, colour: [u8; 3]) {
        let start = (y * self.width + x) * 3;
        if x < self.width {
            if let Some(pixel) = self.rgb.get_mut(start..start + 3) {
                pixel.copy_from_slice(&colour);
            }
        }
    }

    fn made(width: usize, height: usize, at: impl Fn(usize, usize) -> [u8; 3]) -> Self {
        let rgb =
            (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| at(x, y)).collect();
        Self { width, height, rgb }
    }

    /// A square part, as much of it as there is.
    pub fn crop(&self, x: usize, y: usize, side: usize) -> Self {
        let (width, height) =
            (side.min(self.width.saturating_sub(x)), side.min(self.height.saturating_sub(y)));
        Self::made(width, height, |i, j| self.pixel(x + i, y + j))
    }

    /// Every pixel as a square.
    pub fn repeat(&self, n: usize) -> Self {
        Self::made(self.width * n, self.height * n, |x, y| self.pixel(x / n, y / n))
    }

    /// Bicubic enlargement as PyTorch's (`align_corners=False`, a = -0.75, edges repeated).
    pub fn bicubic(&self, n: usize) -> Self {
        let taps: Vec<[f32; 4]> = (0..n).map(|phase| cubic(fraction(phase, n))).collect();
        let wide = self.stretch(n, &taps);
        let tall = transposed(&wide, self.height, self.width * n);
        let tall = Plane { width: self.height, height: self.width * n, values: tall }.stretch(n, &taps);
        let values = transposed(&tall, self.width * n, self.height * n);
        let rgb = values.iter().flatten().map(|v| v.round().clamp(0.0, 255.0) as u8).collect();
        Self { width: self.width * n, height: self.height * n, rgb }
    }

    fn stretch(&self, n: usize, taps: &[[f32; 4]]) -> Vec<[f32; 3]> {
        let values = self.rgb.chunks_exact(3).map(|p| [p[0], p[1], p[2]].map(f32::from)).collect();
        Plane { width: self.width, height: self.height, values }.stretch(n, taps)
    }

    /// Panels of one size in a row, each under its label, brightened alike.
    pub fn row(panels: &[Self], labels: &[&str]) -> Self {
        let (width, height) = panels.first().map_or((0, 0), |p| (p.width, p.height));
        let total = panels.len() * width + panels.len().saturating_sub(1) * GAP;
        let mut out = Self::filled(total, height + CAPTION, [24, 26, 28]);
        let gain = panels.last().map_or(1.0, Self::gain);
        for (index, (panel, label)) in panels.iter().zip(labels).enumerate() {
            let left = index * (width + GAP);
            out.write(left + 4, (CAPTION - 7 * DOT) / 2, label);
            for y in 0..panel.height {
                for x in 0..panel.width {
                    let bright = panel.pixel(x, y).map(|v| (f32::from(v) * gain).min(255.0) as u8);
                    out.set(left + x, CAPTION + y, bright);
                }
            }
        }
        out
    }

    /// Factor that brings all but the brightest fiftieth of the samples below 240.
    fn gain(&self) -> f32 {
        let mut sorted = self.rgb.clone();
        sorted.sort_unstable();
        let high = sorted.get(sorted.len() * 49 / 50).copied().unwrap_or(240);
        (240.0 / f32::from(high.max(1))).clamp(1.0, 3.0)
    }

    fn write(&mut self, left: usize, top: usize, text: &str) {
        for (index, letter) in text.chars().enumerate() {
            for (row, bits) in glyph(letter).into_iter().enumerate() {
                for column in (0..5).filter(|c| bits >> (4 - c) & 1 == 1) {
                    let (x, y) = (left + (index * 6 + column) * DOT, top + row * DOT);
                    for dot in 0..DOT * DOT {
                        self.set(x + dot % DOT, y + dot / DOT, [235, 235, 230]);
                    }
                }
            }
        }
    }
}

struct Plane {
    width: usize,
    height: usize,
    values: Vec<[f32; 3]>,
}

impl Plane {
    /// Each row `n` times as long.
    fn stretch(&self, n: usize, taps: &[[f32; 4]]) -> Vec<[f32; 3]> {
        let mut out = Vec::with_capacity(self.values.len() * n);
        let last = self.width as i64 - 1;
        for line in self.values.chunks_exact(self.width.max(1)).take(self.height) {
            for x in 0..self.width * n {
                let weights = taps.get(x % n).copied().unwrap_or_default();
                // The output's centre lies left of the input's in the first half of the phases.
                let first = (x / n) as i64 - if 2 * (x % n) + 1 < n { 2 } else { 1 };
                let mut sum = [0.0; 3];
                for (k, weight) in weights.into_iter().enumerate() {
                    let at = (first + k as i64).clamp(0, last.max(0)) as usize;
                    let value = line.get(at).copied().unwrap_or_default();
                    sum.iter_mut().zip(value).for_each(|(s, v)| *s += weight * v);
                }
                out.push(sum);
            }
        }
        out
    }
}

/// Position of a phase between its two nearest inputs.
fn fraction(phase: usize, n: usize) -> f32 {
    ((phase as f32 + 0.5) / n as f32 - 0.5).rem_euclid(1.0)
}

/// Cubic convolution weights (Keys, a = -0.75) of the four inputs around a position.
fn cubic(t: f32) -> [f32; 4] {
    const A: f32 = -0.75;
    let near = |d: f32| ((A + 2.0) * d - (A + 3.0)) * d * d + 1.0;
    let far = |d: f32| ((A * d - 5.0 * A) * d + 8.0 * A) * d - 4.0 * A;
    [far(1.0 + t), near(t), near(1.0 - t), far(2.0 - t)]
}

/// Rows become columns; the input has `height` rows of `width`.
fn transposed(values: &[[f32; 3]], height: usize, width: usize) -> Vec<[f32; 3]> {
    (0..width)
        .flat_map(|x| (0..height).map(move |y| values.get(y * width + x).copied().unwrap_or_default()))
        .collect()
}

/// A letter of five columns by seven rows; the highest of five bits is the left column.
fn glyph(letter: char) -> [u8; 7] {
    match letter {
        'A' => [14, 17, 17, 31, 17, 17, 17],
        'B' => [30, 17, 17, 30, 17, 17, 30],
        'C' => [14, 17, 16, 16, 16, 17, 14],
        'H' => [17, 17, 17, 31, 17, 17, 17],
        'I' => [14, 4, 4, 4, 4, 4, 14],
        'M' => [17, 27, 21, 21, 17, 17, 17],
        'N' => [17, 25, 21, 19, 17, 17, 17],
        'P' => [30, 17, 17, 30, 16, 16, 16],
        'R' => [30, 17, 17, 30, 20, 18, 17],
        'S' => [15, 16, 16, 14, 1, 1, 30],
        'T' => [31, 4, 4, 4, 4, 4, 4],
        'U' => [17, 17, 17, 17, 17, 17, 14],
        'W' => [17, 17, 17, 21, 21, 27, 17],
        '0' => [14, 17, 19, 21, 25, 17, 14],
        '1' => [4, 12, 4, 4, 4, 4, 14],
        '2' => [14, 17, 1, 6, 8, 16, 31],
        '5' => [31, 16, 30, 1, 1, 17, 14],
        '.' => [0, 0, 0, 0, 0, 12, 12],
        _ => [0; 7],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bicubic_is_pytorchs() {
        // torch.nn.functional.interpolate(torch.tensor([[[[10., 50., 30., 200.]]]]), scale_factor=(1, 4),
        // mode="bicubic", align_corners=False), rounded and clamped.
        let row = [10_u8, 50, 30, 200];
        let picture = Picture { width: 4, height: 1, rgb: row.iter().flat_map(|&v| [v; 3]).collect() };
        let wide = picture.bicubic(4);
        let first: Vec<u8> = wide.rgb.chunks_exact(3).take(16).map(|p| p[0]).collect();
        assert_eq!(first, EXPECTED);
    }

    const EXPECTED: [u8; 16] = [6, 7, 14, 26, 38, 47, 49, 36, 21, 20, 46, 89, 137, 182, 212, 219];

    #[test]
    fn a_flat_picture_stays_flat() {
        let flat = Picture::filled(5, 7, [9, 120, 250]);
        assert_eq!(flat.bicubic(4), Picture::filled(20, 28, [9, 120, 250]));
    }

    #[test]
    fn panels_stand_side_by_side_under_their_labels() {
        let panel = Picture::filled(100, 40, [240, 240, 240]);
        let row = Picture::row(&[panel.clone(), panel], &["INPUT", "SWATH"]);
        assert_eq!((row.width, row.height), (206, 66));
        assert!(row.rgb.iter().take(206 * 26 * 3).any(|&v| v == 235), "no label");
    }
}
