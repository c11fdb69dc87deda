//! Which products a demo consists of: dates, satellites, baselines, zones, and what the sky was like.

use super::chips::acquisition;
use super::noise::{hash, next, unit};
use super::sensor::Acquisition;
use crate::error::{Error, Result};
use crate::raster::crs::PointTransform;
use crate::raster::{GeoTransform, Georef};

/// Side of a whole Sentinel-2 tile, pixels of 10 m.
pub const TILE_SIDE: usize = 10_980;

/// What to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoSpec {
    /// Pixels of 10 m along each side, 64 to 10 980, a multiple of 6 (the 60 m bands then have whole pixels).
    pub size: usize,
    /// Number of dates, 1 to 40.
    pub dates: usize,
    /// Which landscape, and which weather.
    pub seed: u64,
    /// All 13 bands besides the true-colour image.
    pub all_bands: bool,
    /// The last date is delivered in the neighbouring UTM zone.
    pub other_zone: bool,
}

impl Default for DemoSpec {
    fn default() -> Self {
        Self { size: 516, dates: 12, seed: 14, all_bands: false, other_zone: false }
    }
}

/// One product: a date seen by one satellite, on one tile's grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Pass {
    /// `S2A` or `S2B`.
    pub mission: &'static str,
    /// Sensing time as in names: `20220602T104031`.
    pub time: String,
    /// Processing baseline: major and minor number.
    pub baseline: (u8, u8),
    /// MGRS tile, `31UCQ`.
    pub tile: &'static str,
    /// Place of the 10 m grid.
    pub georef: Georef,
    /// What the satellite saw.
    pub acquisition: Acquisition,
}

impl Pass {
    /// `S2A_MSIL1C_20220602T104031_N0400_R008_T31UCQ_20220602T125119`.
    pub fn product_name(&self) -> String {
        let (major, minor) = self.baseline;
        let day = self.time.get(..8).unwrap_or_default();
        format!(
            "{}_MSIL1C_{}_N{major:02}{minor:02}_R008_T{}_{day}T125119",
            self.mission, self.time, self.tile
        )
    }

    /// Number added to digital numbers: 1000 from baseline 04.00 on.
    pub fn offset(&self) -> u16 {
        if self.baseline.0 >= 4 {
            1000
        } else {
            0
        }
    }

    /// `2022-06-02T10:40:31`.
    pub fn iso_time(&self) -> String {
        let part = |from: usize, to: usize| self.time.get(from..to).unwrap_or_default();
        let (date, clock) = ([part(0, 4), part(4, 6), part(6, 8)], [part(9, 11), part(11, 13), part(13, 15)]);
        format!("{}T{}", date.join("-"), clock.join(":"))
    }
}

/// Upper left corners of tile 31UCQ and of 30UYV, which covers part of the same ground from the next zone.
const MAIN: (&str, u32, f64, f64) = ("31UCQ", 32_631, 300_000.0, 5_500_020.0);
const OTHER: (&str, u32, f64, f64) = ("30UYV", 32_630, 699_960.0, 5_500_020.0);

/// Day of the year of the first date: 2 June.
const FIRST_DAY: u32 = 153;
/// Days between dates: two satellites over one orbit.
const REVISIT: u32 = 5;

impl DemoSpec {
    /// Refuses sizes and counts that cannot be made.
    ///
    /// # Errors
    /// `Usage`, with what is possible.
    pub fn check(&self) -> Result<()> {
        if !(66..=TILE_SIDE).contains(&self.size) || !self.size.is_multiple_of(6) {
            return Err(Error::usage(format!(
                "a size of {} pixels; give --size as a multiple of 6 from 66 to {TILE_SIDE}",
                self.size
            )));
        }
        if !(1..=40).contains(&self.dates) {
            return Err(Error::usage(format!("{} dates; give --dates from 1 to 40", self.dates)));
        }
        Ok(())
    }

    /// Upper left corner of the main grid in the landscape, metres.
    pub fn origin(&self) -> (f64, f64) {
        (MAIN.2, MAIN.3)
    }

    /// Day of the year whose landscape is the truth: the middle of the series.
    pub fn truth_day(&self) -> f32 {
        FIRST_DAY as f32 + REVISIT as f32 * 0.5 * (self.dates as f32 - 1.0)
    }

    /// The products, in the order of the season. The first dates from the year before, made by an older
    /// baseline; a quarter are cloudy; one is cut by the swath's edge.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn passes(&self) -> Result<Vec<Pass>> {
        self.check()?;
        let mut h = hash(0xda7e, self.seed as i32, (self.seed >> 32) as i32);
        let mut draw = move || {
            h = next(h);
            unit(h)
        };
        let last = self.dates - 1;
        (0..self.dates)
            .map(|index| {
                let day = FIRST_DAY + REVISIT * index as u32;
                let mut seen = acquisition(&mut draw, day as f32);
                seen.cloud_cover = [0.0, 0.42, 0.0, 0.0, 0.0, 0.22, 0.0, 0.0][index % 8];
                seen.swath_end = (index == 3).then_some(0.86);
                let early = index == 0 && self.dates > 1;
                let zone = if self.other_zone && index == last && last > 0 { OTHER } else { MAIN };
                Ok(Pass {
                    mission: if index % 2 == 0 { "S2A" } else { "S2B" },
                    time: format!("{}{}T104031", if early { 2021 } else { 2022 }, month_and_day(day)),
                    baseline: if early { (3, 0) } else { (4, 0) },
                    tile: zone.0,
                    georef: self.georef(zone)?,
                    acquisition: seen,
                })
            })
            .collect()
    }

    fn georef(&self, zone: (&str, u32, f64, f64)) -> Result<Georef> {
        let (_, epsg, mut x, mut y) = zone;
        if epsg != MAIN.1 {
            // The window of the other tile round the same ground, on that tile's 60 m lattice.
            let half = 5.0 * self.size as f64;
            let centre = PointTransform::new(MAIN.1, epsg)?
                .point(MAIN.2 + half, MAIN.3 - half)
                .ok_or_else(|| Error::usage("the demo's ground lies outside its zone"))?;
            x += ((centre.0 - half - x) / 60.0).round() * 60.0;
            y += ((centre.1 + half - y) / 60.0).round() * 60.0;
        }
        Ok(Georef { epsg, transform: GeoTransform::north_up(x, y, 10.0, -10.0) })
    }
}

/// `0602` of the 153rd day of a common year.
fn month_and_day(day: u32) -> String {
    let (mut left, mut month) = (day, 1);
    for length in [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if left <= length {
            break;
        }
        left -= length;
        month += 1;
    }
    format!("{month:02}{left:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_the_year_have_their_dates() {
        assert_eq!(
            [1, 31, 32, 59, 60, 153, 348, 365].map(month_and_day),
            ["0101", "0131", "0201", "0228", "0301", "0602", "1214", "1231"]
        );
    }

    #[test]
    fn one_date_is_old_and_the_others_carry_the_offset() {
        let passes = DemoSpec::default().passes().unwrap();
        assert_eq!(passes.iter().map(Pass::offset).filter(|o| *o == 1000).count(), passes.len() - 1);
        assert_eq!(passes[0].product_name(), "S2A_MSIL1C_20210602T104031_N0300_R008_T31UCQ_20210602T125119");
        assert_eq!(passes[1].iso_time(), "2022-06-07T10:40:31");
    }

    #[test]
    fn the_other_zone_covers_the_same_ground() {
        let spec = DemoSpec { other_zone: true, size: 600, ..DemoSpec::default() };
        let passes = spec.passes().unwrap();
        let (main, other) = (&passes[0], passes.last().unwrap());
        assert_eq!((main.georef.epsg, other.georef.epsg), (32_631, 32_630));
        let centre = |pass: &Pass| pass.georef.transform.apply(300.0, 300.0);
        let (x, y) = centre(other);
        let (x, y) = PointTransform::new(32_630, 32_631).unwrap().point(x, y).unwrap();
        let (mx, my) = centre(main);
        assert!((x - mx).hypot(y - my) < 45.0, "{x} {y} {mx} {my}");
    }

    #[test]
    fn what_cannot_be_made_is_refused() {
        for size in [0, 64, 100, 10_986] {
            assert!(DemoSpec { size, ..DemoSpec::default() }.passes().is_err(), "{size}");
        }
        assert!(DemoSpec { dates: 0, ..DemoSpec::default() }.passes().is_err());
    }
}
