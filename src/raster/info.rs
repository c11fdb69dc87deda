//! What is known of a raster before any pixel is decoded.

/// Sample type of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SampleType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F16,
    F32,
    F64,
}

impl SampleType {
    /// Bytes of one sample.
    pub fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// Whether infinities and NaN can be stored.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::F32 | Self::F64)
    }
}

/// Pixel corner to world coordinates, in GDAL's order:
/// `x = t[0] + col*t[1] + row*t[2]`, `y = t[3] + col*t[4] + row*t[5]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GeoTransform(pub [f64; 6]);

impl GeoTransform {
    /// North-up grid with square or rectangular pixels (`dy` is negative for north-up).
    pub fn north_up(x: f64, y: f64, dx: f64, dy: f64) -> Self {
        Self([x, dx, 0.0, y, 0.0, dy])
    }

    /// World coordinates of a pixel position (fractional; integers are corners).
    pub fn apply(&self, col: f64, row: f64) -> (f64, f64) {
        let t = &self.0;
        (t[0] + col * t[1] + row * t[2], t[3] + col * t[4] + row * t[5])
    }

    /// Pixel position of world coordinates; `None` when the transform is singular.
    pub fn invert(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        let t = &self.0;
        let det = t[1] * t[5] - t[2] * t[4];
        if det == 0.0 || !det.is_finite() {
            return None;
        }
        let (u, v) = (x - t[0], y - t[3]);
        Some(((u * t[5] - v * t[2]) / det, (v * t[1] - u * t[4]) / det))
    }

    /// The grid `n` times finer (or coarser for `n < 1`) with the same upper left corner.
    #[must_use]
    pub fn refine(&self, n: f64) -> Self {
        let t = &self.0;
        Self([t[0], t[1] / n, t[2] / n, t[3], t[4] / n, t[5] / n])
    }

    /// The same grid with its origin moved to pixel (`col`, `row`).
    #[must_use]
    pub fn at_pixel(&self, col: f64, row: f64) -> Self {
        let (x, y) = self.apply(col, row);
        let t = &self.0;
        Self([x, t[1], t[2], y, t[4], t[5]])
    }
}

/// Where a raster lies on the earth.
#[derive(Debug, Clone, PartialEq)]
pub struct Georef {
    /// EPSG code of the coordinate system, e.g. 32629.
    pub epsg: u32,
    /// Pixel corners to coordinates of that system.
    pub transform: GeoTransform,
}

/// One band of a raster.
#[derive(Debug, Clone, PartialEq)]
pub struct BandInfo {
    /// Band name: `red`, `green`, `blue`, `B08`, or its number where nothing is known.
    pub name: String,
    /// The value that means "no data", if the file declares one.
    pub nodata: Option<f64>,
}

/// A raster's size, bands and place. All bands share one sample type and grid.
#[derive(Debug, Clone, PartialEq)]
pub struct RasterInfo {
    /// Columns at full resolution.
    pub width: usize,
    /// Rows at full resolution.
    pub height: usize,
    /// Sample type of the file.
    pub sample: SampleType,
    /// Bands, in file order.
    pub bands: Vec<BandInfo>,
    /// Georeferencing, where the file has one.
    pub georef: Option<Georef>,
    /// Native block (JPEG 2000 tile, TIFF tile or strip) as columns and rows at full resolution.
    pub block: (usize, usize),
}
