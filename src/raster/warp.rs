//! From the pixels of one grid to the pixels of another: inverse mapping, bilinear or nearest resampling.
//!
//! Every destination pixel's centre is carried to a source position (`Mapping`), and the source is
//! sampled there with GDAL's bilinear kernel: 2×2 samples weighted by distance where the source is as
//! coarse as the destination or coarser, a triangle as wide as a destination pixel where it is finer.
//! As in GDAL, a destination pixel has data when the source pixel under its centre has; samples without
//! data take no part and the other weights are rescaled to sum to one.

use super::crs::PointTransform;
use super::{GeoTransform, Georef};
use crate::error::{Error, Result};
use crate::tile::Rect;

/// Grids whose pixels agree to this many pixels are taken as the same.
const SAME_PIXEL: f64 = 1e-3;
/// Largest error, in source pixels, accepted of the mesh that stands for a projection.
const MESH_TOLERANCE: f64 = 2e-4;
/// Destination pixels between two nodes of that mesh, where the tolerance allows.
const MESH_CELL: i64 = 32;
/// Ratios of pixel sizes up to this are sampled with the 2×2 kernel.
const NO_SHRINKING: f64 = 1.05;
/// Samples that weigh less than this together say nothing.
const LEAST_WEIGHT: f64 = 1e-5;

/// Where in a source image the pixels of a destination grid lie. Positions are in pixels from the upper
/// left corner of the upper left pixel, so pixel `i` has its centre at `i + 0.5`.
#[derive(Debug, Clone)]
pub enum Mapping {
    /// Whole pixels: source = destination + (`dx`, `dy`). Read exactly.
    Shift {
        /// Columns.
        dx: i64,
        /// Rows.
        dy: i64,
    },
    /// Another origin, pixel size or rotation in the same coordinate system.
    Affine(Affine),
    /// Another coordinate system.
    Projected(Box<Projected>),
}

/// `col' = m[0] + m[1]·col + m[2]·row`, `row' = m[3] + m[4]·col + m[5]·row`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine([f64; 6]);

impl Affine {
    /// From pixels of `dst` to pixels of `src`; `None` when `src` is singular.
    fn between(dst: &GeoTransform, src: &GeoTransform) -> Option<Self> {
        let (d, s) = (&dst.0, &src.0);
        let det = s[1] * s[5] - s[2] * s[4];
        let (col0, row0) = src.invert(d[0], d[3])?;
        Some(Self([
            col0,
            (d[1] * s[5] - d[4] * s[2]) / det,
            (d[2] * s[5] - d[5] * s[2]) / det,
            row0,
            (d[4] * s[1] - d[1] * s[4]) / det,
            (d[5] * s[1] - d[2] * s[4]) / det,
        ]))
    }

    fn apply(&self, col: f64, row: f64) -> (f64, f64) {
        GeoTransform(self.0).apply(col, row)
    }

    /// The whole-pixel shift this is over a `size` grid, if it is one.
    fn as_shift(&self, size: (usize, usize)) -> Option<(i64, i64)> {
        let m = &self.0;
        let (dx, dy) = (m[0].round(), m[3].round());
        let whole = [(0.0, 0.0), (size.0 as f64, 0.0), (0.0, size.1 as f64)].iter().all(|&(col, row)| {
            let (u, v) = self.apply(col, row);
            (u - col - dx).abs() < SAME_PIXEL && (v - row - dy).abs() < SAME_PIXEL
        });
        (whole && dx.abs() < 1e15 && dy.abs() < 1e15).then_some((dx as i64, dy as i64))
    }
}

/// A projection between two grids, evaluated exactly on a mesh that is fixed to the destination grid (so
/// that a pixel's position never depends on the window it is read in) and bilinearly between its nodes,
/// within 0.0002 source pixels of the exact position.
#[derive(Debug, Clone)]
pub struct Projected {
    points: PointTransform,
    dst: GeoTransform,
    src: GeoTransform,
    cell: i64,
}

impl Projected {
    fn new(dst: &Georef, src: &Georef, size: (usize, usize)) -> Result<Self> {
        let points = PointTransform::new(dst.epsg, src.epsg)?;
        let mut new = Self { points, dst: dst.transform, src: src.transform, cell: MESH_CELL };
        while new.cell > 1 && new.mesh_error(size) > MESH_TOLERANCE {
            new.cell /= 2;
        }
        Ok(new)
    }

    /// Exact source positions of destination positions; NaN outside the projections' domain.
    fn exact(&self, positions: &mut [(f64, f64)]) {
        positions.iter_mut().for_each(|p| *p = self.dst.apply(p.0, p.1));
        self.points.apply(positions);
        for p in positions.iter_mut() {
            *p = self.src.invert(p.0, p.1).unwrap_or((f64::NAN, f64::NAN));
        }
    }

    /// Largest distance of the mesh from the exact positions, in the middle of nine cells of the grid.
    fn mesh_error(&self, size: (usize, usize)) -> f64 {
        let cell = self.cell as f64;
        let cells = |pixels: usize| [0, pixels as i64 / self.cell / 2, pixels as i64 / self.cell];
        let mut worst: f64 = 0.0;
        for row in cells(size.1) {
            for col in cells(size.0) {
                let (x, y) = (col as f64 * cell, row as f64 * cell);
                let centre = (x + cell / 2.0, y + cell / 2.0);
                let mut p = [(x, y), (x + cell, y), (x, y + cell), (x + cell, y + cell), centre];
                self.exact(&mut p);
                let [a, b, c, d, exact] = p;
                let mean = ((a.0 + b.0 + c.0 + d.0) / 4.0, (a.1 + b.1 + c.1 + d.1) / 4.0);
                // NaN (outside the domain) says nothing of the mesh.
                worst = worst.max((mean.0 - exact.0).abs()).max((mean.1 - exact.1).abs());
            }
        }
        worst
    }

    fn mesh(&self, rect: &Rect) -> Mesh {
        let cells = rect.scale_down_cover(self.cell);
        let (columns, rows) = (cells.width() + 1, cells.height() + 1);
        let mut nodes = Vec::with_capacity(columns * rows);
        for row in 0..rows {
            for column in 0..columns {
                let (x, y) = (cells.x0 + column as i64, cells.y0 + row as i64);
                nodes.push(((x * self.cell) as f64, (y * self.cell) as f64));
            }
        }
        self.exact(&mut nodes);
        Mesh { x0: cells.x0, y0: cells.y0, columns, cell: self.cell, nodes }
    }
}

/// Nodes of a projection's mesh that cover one window.
struct Mesh {
    x0: i64,
    y0: i64,
    columns: usize,
    cell: i64,
    nodes: Vec<(f64, f64)>,
}

impl Mesh {
    /// Source position of the centre of destination pixel (`x`, `y`).
    fn centre(&self, x: i64, y: i64) -> (f64, f64) {
        let (column, row) = (x.div_euclid(self.cell), y.div_euclid(self.cell));
        let fraction = |v: i64| (v.rem_euclid(self.cell) as f64 + 0.5) / self.cell as f64;
        let (fx, fy) = (fraction(x), fraction(y));
        let at = (row - self.y0) as usize * self.columns + (column - self.x0) as usize;
        let node = |i: usize| self.nodes.get(i).copied().unwrap_or((f64::NAN, f64::NAN));
        let (a, b, c, d) = (node(at), node(at + 1), node(at + self.columns), node(at + self.columns + 1));
        let mix = |a: f64, b: f64, c: f64, d: f64| {
            (1.0 - fy) * ((1.0 - fx) * a + fx * b) + fy * ((1.0 - fx) * c + fx * d)
        };
        (mix(a.0, b.0, c.0, d.0), mix(a.1, b.1, c.1, d.1))
    }
}

impl Sampling {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bilinear => "bilinear",
            Self::Nearest => "nearest",
        }
    }
}

impl Mapping {
    /// From the pixels of a `size` destination grid to those of a source image. Images without
    /// georeferencing share their pixel grid.
    ///
    /// # Errors
    /// `Shape` when only one of the two is georeferenced, `Format` for a singular transform,
    /// `Unsupported` for a coordinate system that is not known.
    pub fn between(dst: Option<&Georef>, size: (usize, usize), src: Option<&Georef>) -> Result<Self> {
        let (dst, src) = match (dst, src) {
            (None, None) => return Ok(Self::Shift { dx: 0, dy: 0 }),
            (Some(dst), Some(src)) => (dst, src),
            _ => {
                return Err(Error::shape(
                    "some files are georeferenced and this one is not (or the other way round); \
                     --crs and --transform supply what is missing",
                ))
            }
        };
        let affine = Affine::between(&dst.transform, &src.transform)
            .ok_or_else(|| Error::format(format!("the transform {:?} is singular", src.transform.0)))?;
        if dst.epsg != src.epsg {
            return Ok(Self::Projected(Box::new(Projected::new(dst, src, size)?)));
        }
        Ok(match affine.as_shift(size) {
            Some((dx, dy)) => Self::Shift { dx, dy },
            None => Self::Affine(affine),
        })
    }

    /// Whether pixels are copied, not interpolated.
    pub fn is_exact(&self) -> bool {
        matches!(self, Self::Shift { .. })
    }

    /// Source pixels per destination pixel, in columns and rows, around a destination position
    /// (turning a grid does not change them).
    pub fn scale(&self, col: f64, row: f64) -> (f64, f64) {
        match self {
            Self::Shift { .. } => (1.0, 1.0),
            Self::Affine(Affine(m)) => (m[1].hypot(m[2]), m[4].hypot(m[5])),
            Self::Projected(p) => {
                let mut at = [(col, row), (col + 1.0, row), (col, row + 1.0)];
                p.exact(&mut at);
                let [o, x, y] = at;
                ((x.0 - o.0).hypot(y.0 - o.0), (x.1 - o.1).hypot(y.1 - o.1))
            }
        }
    }

    /// A reader of source positions for one window.
    fn positions(&self, rect: &Rect) -> Positions<'_> {
        match self {
            Self::Shift { dx, dy } => Positions::Shift(*dx, *dy),
            Self::Affine(affine) => Positions::Affine(affine),
            Self::Projected(projected) => Positions::Mesh(projected.mesh(rect)),
        }
    }
}

enum Positions<'a> {
    Shift(i64, i64),
    Affine(&'a Affine),
    Mesh(Mesh),
}

impl Positions<'_> {
    fn centre(&self, x: i64, y: i64) -> (f64, f64) {
        match self {
            Self::Shift(dx, dy) => ((x + dx) as f64 + 0.5, (y + dy) as f64 + 0.5),
            Self::Affine(affine) => affine.apply(x as f64 + 0.5, y as f64 + 0.5),
            Self::Mesh(mesh) => mesh.centre(x, y),
        }
    }

    /// Destination pixels between which positions are linear in each axis.
    fn cell(&self) -> i64 {
        match self {
            Self::Mesh(mesh) => mesh.cell,
            _ => i64::MAX,
        }
    }
}

/// What a destination pixel is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sampling {
    /// The weighted samples around its centre.
    #[default]
    Bilinear,
    /// The sample under its centre: coarser pixels are repeated.
    Nearest,
}

/// A mapping together with the kernel that suits it.
#[derive(Debug, Clone)]
pub struct Resampler {
    mapping: Mapping,
    sampling: Sampling,
    /// Radius of the triangle kernel in source pixels, at least 1.
    radius: (f64, f64),
    /// Columns and rows of the source image.
    image: (usize, usize),
}

/// A window of a source image.
#[derive(Debug, Clone, Copy)]
pub struct SourceWindow<'a> {
    /// The source pixels it covers.
    pub rect: Rect,
    /// Samples, `[band][y][x]`.
    pub planes: &'a [f32],
    /// `[y][x]`, 0 where there is no data.
    pub valid: &'a [u8],
}

impl Resampler {
    /// For a `size` destination grid and an `image` (columns, rows) source.
    pub fn new(mapping: Mapping, sampling: Sampling, size: (usize, usize), image: (usize, usize)) -> Self {
        let scale = mapping.scale(size.0 as f64 / 2.0, size.1 as f64 / 2.0);
        let radius = |s: f64| if sampling == Sampling::Bilinear && s > NO_SHRINKING { s } else { 1.0 };
        Self { mapping, sampling, radius: (radius(scale.0), radius(scale.1)), image }
    }

    /// Whether results are numbers of the source, none made of several.
    pub fn keeps_numbers(&self) -> bool {
        self.mapping.is_exact() || self.sampling == Sampling::Nearest
    }

    /// The mapping.
    pub fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// The source pixels that a destination window needs, inside the image; empty when there are none.
    pub fn source_rect(&self, dst: &Rect) -> Rect {
        let whole = Rect::of_size(self.image.0, self.image.1);
        if dst.is_empty() {
            return Rect::at(0, 0, 0, 0);
        }
        if let Mapping::Shift { dx, dy } = self.mapping {
            return dst.shift(dx, dy).intersect(&whole);
        }
        let positions = self.mapping.positions(dst);
        let (mut u0, mut v0, mut u1, mut v1) =
            (f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY);
        // Positions are linear along each axis inside a cell, so their extremes lie on these pixels.
        for y in knots(dst.y0, dst.y1, positions.cell()) {
            for x in knots(dst.x0, dst.x1, positions.cell()) {
                let (u, v) = positions.centre(x, y);
                (u0, u1) = (u0.min(u), u1.max(u));
                (v0, v1) = (v0.min(v), v1.max(v));
            }
        }
        if !(u0 <= u1 && v0 <= v1) {
            return Rect::at(0, 0, 0, 0);
        }
        let low = |v: f64, radius: f64| (v - 0.5 - radius).floor().max(-1.0) as i64;
        let high = |v: f64, radius: f64, end: usize| (v - 0.5 + radius).ceil().min(end as f64) as i64 + 1;
        let needed = Rect {
            x0: low(u0, self.radius.0),
            y0: low(v0, self.radius.1),
            x1: high(u1, self.radius.0, self.image.0),
            y1: high(v1, self.radius.1, self.image.1),
        };
        needed.intersect(&whole)
    }

    /// Resamples `bands` planes of a source window into a destination window: `out` is `[band][y][x]`
    /// and `valid` `[y][x]` of `dst`; both are wholly written. Pixels without data are 0 in both.
    pub fn resample(&self, dst: &Rect, source: &SourceWindow, out: &mut [f32], valid: &mut [u8]) {
        out.fill(0.0);
        valid.fill(0);
        let (area, source_area) = (dst.area(), source.rect.area());
        if area == 0 || source_area == 0 {
            return;
        }
        let bands = out.len() / area;
        if let Mapping::Shift { dx, dy } = self.mapping {
            return copy(&dst.shift(dx, dy), source, out, valid);
        }
        let positions = self.mapping.positions(dst);
        let sampler = Sampler { source, radius: self.radius, image: self.image };
        let small = self.radius == (1.0, 1.0);
        let mut wide = Vec::new();
        for (at, flag) in valid.iter_mut().enumerate().take(area) {
            let (x, y) = ((at % dst.width()) as i64 + dst.x0, (at / dst.width()) as i64 + dst.y0);
            let position = positions.centre(x, y);
            let narrow = match (self.sampling, small) {
                (Sampling::Nearest, _) => sampler.nearest(position),
                (Sampling::Bilinear, true) => sampler.four(position),
                (Sampling::Bilinear, false) => None,
            };
            let taps = match &narrow {
                Some(taps) => taps.as_slice(),
                None if !small && sampler.wide(position, &mut wide) => wide.as_slice(),
                None => continue,
            };
            *flag = 1;
            for band in 0..bands {
                let plane = source.planes.get(band * source_area..).unwrap_or_default();
                let value: f64 =
                    taps.iter().map(|&(i, w)| w * f64::from(plane.get(i).copied().unwrap_or(0.0))).sum();
                if let Some(out) = out.get_mut(band * area + at) {
                    *out = value as f32;
                }
            }
        }
    }
}

/// Copies the common part of `rect` (in source pixels) and a source window, where there is data.
fn copy(rect: &Rect, source: &SourceWindow, out: &mut [f32], valid: &mut [u8]) {
    let common = rect.intersect(&source.rect);
    let offset = |r: &Rect, y: i64| (y - r.y0) as usize * r.width() + (common.x0 - r.x0) as usize;
    let width = common.width();
    for y in common.y0..common.y1 {
        let (to, from) = (offset(rect, y), offset(&source.rect, y));
        let flags = source.valid.get(from..from + width).unwrap_or_default();
        if let Some(valid) = valid.get_mut(to..to + width) {
            valid.iter_mut().zip(flags).for_each(|(v, f)| *v = u8::from(*f != 0));
        }
        let planes = out.chunks_exact_mut(rect.area()).zip(source.planes.chunks_exact(source.rect.area()));
        for (out, plane) in planes {
            let pixels = out.get_mut(to..to + width).unwrap_or_default().iter_mut();
            let samples = plane.get(from..from + width).unwrap_or_default();
            pixels.zip(samples).zip(flags).filter(|(_, f)| **f != 0).for_each(|((o, s), _)| *o = *s);
        }
    }
}

/// First and last pixel of `start..end`, and the pixels on both sides of each cell border between.
fn knots(start: i64, end: i64, cell: i64) -> impl Iterator<Item = i64> {
    let first = start.div_euclid(cell) + 1;
    let last = (end - 1).div_euclid(cell);
    let borders = (first..=last).flat_map(move |i| [i * cell - 1, i * cell]);
    std::iter::once(start).chain(borders).chain(std::iter::once(end - 1))
}

/// Kernel weights at a source position.
struct Sampler<'a> {
    source: &'a SourceWindow<'a>,
    radius: (f64, f64),
    image: (usize, usize),
}

impl Sampler<'_> {
    /// The source pixel under a position, if it has data.
    fn under(&self, (u, v): (f64, f64)) -> Option<usize> {
        let inside = u >= 0.0 && v >= 0.0 && u <= self.image.0 as f64 && v <= self.image.1 as f64;
        let nearest = |p: f64, end: usize| (p as i64).min(end as i64 - 1);
        self.at(nearest(u, self.image.0), nearest(v, self.image.1)).filter(|_| inside)
    }

    /// Whether the source pixel under a position has data.
    fn has_data(&self, position: (f64, f64)) -> bool {
        self.under(position).is_some()
    }

    /// The kernel of one sample, as [`Self::four`] gives it.
    fn nearest(&self, position: (f64, f64)) -> Option<[(usize, f64); 4]> {
        self.under(position).map(|index| [(index, 1.0), (index, 0.0), (index, 0.0), (index, 0.0)])
    }

    /// The 2×2 kernel: (index into the window, weight), weights summing to one; `None` where the source has
    /// no data.
    fn four(&self, (u, v): (f64, f64)) -> Option<[(usize, f64); 4]> {
        if !self.has_data((u, v)) {
            return None;
        }
        let (x, y) = ((u - 0.5).floor(), (v - 0.5).floor());
        let (fx, fy) = (u - 0.5 - x, v - 0.5 - y);
        let (x, y) = (x as i64, y as i64);
        let corners = [
            (x, y, (1.0 - fx) * (1.0 - fy)),
            (x + 1, y, fx * (1.0 - fy)),
            (x, y + 1, (1.0 - fx) * fy),
            (x + 1, y + 1, fx * fy),
        ];
        let taps = corners.map(|(x, y, weight)| self.at(x, y).map_or((0, 0.0), |index| (index, weight)));
        let sum: f64 = taps.iter().map(|tap| tap.1).sum();
        (sum >= LEAST_WEIGHT).then(|| taps.map(|(index, weight)| (index, weight / sum)))
    }

    /// A wider kernel, as [`Self::four`].
    fn wide(&self, (u, v): (f64, f64), taps: &mut Vec<(usize, f64)>) -> bool {
        taps.clear();
        if !self.has_data((u, v)) {
            return false;
        }
        let (cx, cy) = (u - 0.5, v - 0.5);
        let span = |c: f64, radius: f64| (c - radius).ceil() as i64..=(c + radius).floor() as i64;
        let mut sum = 0.0;
        for y in span(cy, self.radius.1) {
            let wy = 1.0 - (y as f64 - cy).abs() / self.radius.1;
            for x in span(cx, self.radius.0) {
                let weight = wy * (1.0 - (x as f64 - cx).abs() / self.radius.0);
                if weight > 0.0 {
                    if let Some(index) = self.at(x, y) {
                        taps.push((index, weight));
                        sum += weight;
                    }
                }
            }
        }
        if sum < LEAST_WEIGHT {
            return false;
        }
        taps.iter_mut().for_each(|tap| tap.1 /= sum);
        true
    }

    /// Index of a source pixel in the window; `None` outside it and where it has no data.
    fn at(&self, x: i64, y: i64) -> Option<usize> {
        let r = &self.source.rect;
        if x < r.x0 || y < r.y0 || x >= r.x1 || y >= r.y1 {
            return None;
        }
        let index = (y - r.y0) as usize * r.width() + (x - r.x0) as usize;
        (*self.source.valid.get(index)? != 0).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn georef(x: f64, y: f64, pixel: f64) -> Georef {
        Georef { epsg: 32631, transform: GeoTransform::north_up(x, y, pixel, -pixel) }
    }

    fn resampler(dst: &Georef, size: (usize, usize), src: &Georef, image: (usize, usize)) -> Resampler {
        let mapping = Mapping::between(Some(dst), size, Some(src)).unwrap();
        Resampler::new(mapping, Sampling::Bilinear, size, image)
    }

    fn run(
        r: &Resampler,
        dst: Rect,
        image: (usize, usize),
        planes: &[f32],
        valid: &[u8],
    ) -> (Vec<f32>, Vec<u8>) {
        let (mut out, mut ok) = (vec![7.0; dst.area()], vec![7; dst.area()]);
        let source = SourceWindow { rect: Rect::of_size(image.0, image.1), planes, valid };
        r.resample(&dst, &source, &mut out, &mut ok);
        (out, ok)
    }

    #[test]
    fn whole_pixel_shifts_are_recognised_and_others_not() {
        let here = georef(600_000.0, 5_400_000.0, 10.0);
        let map = |src: &Georef| Mapping::between(Some(&here), (10980, 10980), Some(src)).unwrap();
        let shifted = map(&georef(599_960.0, 5_400_020.0, 10.0));
        assert!(matches!(shifted, Mapping::Shift { dx: 4, dy: 2 }), "{shifted:?}");
        assert!(matches!(map(&georef(599_960.005, 5_400_020.0, 10.0)), Mapping::Shift { dx: 4, dy: 2 }));
        assert!(matches!(map(&georef(599_960.1, 5_400_020.0, 10.0)), Mapping::Affine(_)));
        assert!(matches!(map(&georef(600_000.0, 5_400_000.0, 10.001)), Mapping::Affine(_)));
        let r = resampler(&here, (100, 100), &georef(599_960.0, 5_400_020.0, 10.0), (50, 60));
        assert_eq!(r.source_rect(&Rect::at(40, 0, 100, 100)), Rect { x0: 44, y0: 2, x1: 50, y1: 60 });
    }

    #[test]
    fn twice_as_fine_weighs_three_to_one() {
        // Half-pixel centres: 20 m to 10 m has weights 1/4 and 3/4, the rim repeats its pixel.
        let (fine, coarse) = (georef(0.0, 0.0, 10.0), georef(0.0, 0.0, 20.0));
        let r = resampler(&fine, (6, 2), &coarse, (3, 1));
        let (out, ok) = run(&r, Rect::of_size(6, 2), (3, 1), &[0.0, 4.0, 8.0], &[1; 3]);
        let row = [0.0, 1.0, 3.0, 5.0, 7.0, 8.0];
        assert_eq!(out, [row, row].concat());
        assert_eq!(ok, [1; 12]);
    }

    #[test]
    fn samples_without_data_take_no_part() {
        let r = resampler(&georef(5.0, 0.0, 10.0), (3, 1), &georef(0.0, 0.0, 10.0), (3, 1));
        // Centres fall on the edges between source pixels; the source pixel under a centre decides.
        let (out, ok) = run(&r, Rect::of_size(3, 1), (3, 1), &[10.0, 0.0, 30.0], &[1, 0, 1]);
        assert_eq!((out, ok), (vec![0.0, 30.0, 30.0], vec![0, 1, 1]));
        let (out, ok) = run(&r, Rect::of_size(3, 1), (3, 1), &[10.0, 20.0, 30.0], &[1, 1, 1]);
        assert_eq!((out, ok), (vec![15.0, 25.0, 30.0], vec![1, 1, 1]));
    }

    #[test]
    fn a_finer_source_is_averaged_not_picked() {
        // A chessboard of 1-pixel squares at twice the resolution is flat grey.
        let r = resampler(&georef(0.0, 0.0, 20.0), (8, 8), &georef(0.0, 0.0, 10.0), (16, 16));
        let planes: Vec<f32> = (0..256).map(|i| ((i % 16 + i / 16) % 2) as f32).collect();
        let (out, _) = run(&r, Rect { x0: 1, y0: 1, x1: 7, y1: 7 }, (16, 16), &planes, &[1; 256]);
        assert!(out.iter().all(|v| (v - 0.5).abs() < 1e-6), "{out:?}");
    }

    #[test]
    fn the_mesh_follows_the_projection() {
        let dst =
            Georef { epsg: 3857, transform: GeoTransform::north_up(172_000.0, 8_400_000.0, 9.5546, -9.5546) };
        let src = georef(399_960.0, 6_700_020.0, 10.0);
        let mapping = Mapping::between(Some(&dst), (20_000, 20_000), Some(&src)).unwrap();
        let Mapping::Projected(projected) = &mapping else { panic!("{mapping:?}") };
        let mut worst: f64 = 0.0;
        for (x, y) in [(0, 0), (15, 15), (9_999, 10_017), (19_983, 47), (19_999, 19_999)] {
            let rect = Rect::at(x, y, 1, 1);
            let got = mapping.positions(&rect).centre(x, y);
            let mut want = [(x as f64 + 0.5, y as f64 + 0.5)];
            projected.exact(&mut want);
            worst = worst.max((got.0 - want[0].0).abs()).max((got.1 - want[0].1).abs());
        }
        assert!(worst <= MESH_TOLERANCE, "{worst}");
    }

    #[test]
    fn one_georeferenced_and_one_not_is_an_error() {
        let here = georef(0.0, 0.0, 10.0);
        let error = Mapping::between(Some(&here), (4, 4), None).unwrap_err().to_string();
        assert!(error.contains("--transform"), "{error}");
        assert!(Mapping::between(None, (4, 4), None).unwrap().is_exact());
    }
}
