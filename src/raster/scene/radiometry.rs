//! From stored numbers to the numbers networks were trained on: radiometric offset and "no data".

use std::collections::BTreeMap;

use super::bands::Pick;
use super::discover::DateFiles;
use super::options::{NodataChoice, OffsetChoice};
use crate::raster::safe::Baseline;
use crate::raster::{RasterInfo, SampleType};

/// Offset of digital numbers from baseline 04.00 on.
const OFFSET: f64 = -1000.0;
/// The day baseline 04.00 came into use.
const OFFSET_DAY: &str = "2022-01-25";

/// How the numbers of one band are read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Radiometry {
    /// Added to every number, then clamped at 0.
    pub offset: f64,
    /// The stored number that means "no data".
    pub nodata: Option<f64>,
}

/// Whether a band name is a reflectance band of Sentinel-2.
fn is_reflectance(name: Option<&str>) -> bool {
    name.is_some_and(|n| n.starts_with('B'))
}

/// The radiometric offset of one band of a date.
pub fn offset(date: &DateFiles, pick: &Pick, info: &RasterInfo, choice: OffsetChoice) -> f64 {
    let Some(name) = pick.name.filter(|n| is_reflectance(Some(n)) && info.sample != SampleType::U8) else {
        return 0.0;
    };
    match (choice, &date.product) {
        (OffsetChoice::Add(value), _) => value,
        (OffsetChoice::Auto, None) => 0.0,
        (OffsetChoice::Auto, Some(product)) if !product.meta.offsets.is_empty() => {
            product.meta.offsets.get(name).copied().unwrap_or(0.0)
        }
        (OffsetChoice::Auto, Some(product)) => match product.baseline() {
            Some(baseline) if baseline >= Baseline::WITH_OFFSET => OFFSET,
            _ => 0.0,
        },
    }
}

/// The value that means "no data" in one band.
pub fn nodata(date: &DateFiles, pick: &Pick, info: &RasterInfo, choice: NodataChoice) -> Option<f64> {
    let declared = info.bands.get(pick.band).and_then(|b| b.nodata);
    let product = date.product.as_ref();
    let true_colour = pick.name == Some("TCI");
    let conventional = is_reflectance(pick.name) && info.sample == SampleType::U16
        || true_colour && (product.is_some() || info.georef.is_some());
    match choice {
        NodataChoice::Ignore => None,
        NodataChoice::Value(value) => Some(value),
        NodataChoice::Auto => {
            let by_product = || product.and_then(|p| p.meta.nodata);
            declared.or_else(by_product).or(conventional.then_some(0.0))
        }
    }
}

/// What was decided on offsets, for people and provenance: one line per offset.
pub fn notes(date: &DateFiles, bands: &[(String, f64)], choice: OffsetChoice) -> Vec<String> {
    let mut by_offset: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
    for (name, offset) in bands {
        by_offset.entry(offset.round() as i64).or_default().push(name);
    }
    let why = |offset: i64| match (choice, &date.product) {
        (OffsetChoice::Add(_), _) => "as asked".to_owned(),
        (OffsetChoice::Auto, Some(product)) => {
            let baseline = product.baseline().map_or("unknown baseline".into(), |b| format!("baseline {b}"));
            let source =
                if product.meta.offsets.is_empty() { "by the baseline" } else { "by the product's XML" };
            if offset == 0 {
                baseline
            } else {
                format!("{source}, {baseline}")
            }
        }
        (OffsetChoice::Auto, None) => loose(date),
    };
    let line = |(offset, names): (i64, Vec<&str>)| {
        let names = names.join(" ");
        match offset {
            0 => format!("{names}: digital numbers as stored ({})", why(0)),
            _ => format!("{names}: radiometric offset {offset:+} applied ({})", why(offset)),
        }
    };
    by_offset.into_iter().map(line).collect()
}

/// What is known of loose files, whose offset no XML tells.
fn loose(date: &DateFiles) -> String {
    let late = date.hints.day().is_some_and(|day| day >= OFFSET_DAY);
    match date.hints.baseline {
        Some(baseline) if baseline >= Baseline::WITH_OFFSET => {
            format!("no product XML; baseline {baseline}: if its +1000 is still in them, give --offset -1000")
        }
        None if late => "no product XML; sensed since baseline 04.00: if its +1000 is still in them, give \
                         --offset -1000"
            .to_owned(),
        _ => "no product XML".to_owned(),
    }
}
