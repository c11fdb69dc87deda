//! Planes of bytes: images, masks and maps of labels.

use crate::error::{Error, Result};

/// Most bytes of all planes of one example.
const MAX_BYTES: usize = 1 << 31;

/// Planes of equal size, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planes {
    /// How many.
    pub count: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `count * height * width` bytes.
    pub data: Vec<u8>,
}

impl Planes {
    /// Zeros.
    ///
    /// # Errors
    /// `Limit` above 2 GiB.
    pub fn zeros(count: usize, height: usize, width: usize) -> Result<Self> {
        let bytes = count.checked_mul(height).and_then(|n| n.checked_mul(width));
        match bytes.filter(|bytes| *bytes <= MAX_BYTES) {
            Some(bytes) => Ok(Self { count, height, width, data: vec![0; bytes] }),
            None => Err(Error::limit(format!(
                "{count} planes of {width}x{height} pixels; at most {MAX_BYTES} bytes an example"
            ))),
        }
    }

    /// Pixels of a plane.
    pub fn area(&self) -> usize {
        self.height * self.width
    }

    /// A plane.
    pub fn plane(&self, at: usize) -> &[u8] {
        self.data.get(at * self.area()..(at + 1) * self.area()).unwrap_or_default()
    }

    /// A plane, to be filled.
    pub fn plane_mut(&mut self, at: usize) -> &mut [u8] {
        let area = self.area();
        self.data.get_mut(at * area..(at + 1) * area).unwrap_or_default()
    }

    /// Planes of another size, each pixel from the place that `from` (row, column) says; zero where it says
    /// none.
    ///
    /// # Errors
    /// As [`Planes::zeros`].
    pub fn remapped(
        &self,
        [height, width]: [usize; 2],
        from: impl Fn(usize, usize) -> Option<[usize; 2]>,
    ) -> Result<Self> {
        let mut out = Self::zeros(self.count, height, width)?;
        let places: Vec<Option<usize>> = (0..height * width)
            .map(|at| {
                let [y, x] = from(at / width, at % width)?;
                (y < self.height && x < self.width).then(|| y * self.width + x)
            })
            .collect();
        for plane in 0..self.count {
            let source = self.plane(plane);
            for (pixel, place) in out.plane_mut(plane).iter_mut().zip(&places) {
                *pixel = place.map_or(0, |place| source[place]);
            }
        }
        Ok(out)
    }

    /// Only those planes for which `keep` is true.
    pub fn retain(&mut self, keep: &[bool]) {
        let kept = (0..self.count).filter(|at| keep.get(*at) == Some(&true));
        let data = kept.clone().flat_map(|at| self.plane(at).to_vec()).collect();
        self.count = kept.count();
        self.data = data;
    }
}
