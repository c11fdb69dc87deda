//! Detections of files: which month each is of, its category and score, its place in longitude and latitude.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::super::lonlat::ToLonLat;
use super::super::{read, ReadLimits, Record, Value};
use super::{Detection, Period};
use crate::error::{Error, InFile, Result};

/// Properties that say when a feature was found, the first that there is.
const DATES: [&str; 4] = ["end", "date", "datetime", "start"];
/// Detections of all files together.
const MOST: usize = 20_000_000;

/// All detections, and what their numbers stand for.
#[derive(Debug, Default)]
pub struct Detections {
    /// The months there are, in order.
    pub periods: Vec<Period>,
    /// Names of categories; empty for features without one.
    pub categories: Vec<String>,
    /// The detections, in no order.
    pub all: Vec<Detection>,
}

/// Reads files. A file is of the month in its name; without one, each of its features is of the month in its `end`,
/// `date`, `datetime` or `start`.
///
/// # Errors
/// `Usage` for a file without a month, `Unsupported` for coordinates without a known system, `Limit` for more than
/// 20 million detections, and as [`read`].
pub fn read_detections(files: &[PathBuf], limits: &ReadLimits) -> Result<Detections> {
    let named: Vec<Option<Period>> = files.iter().map(|file| of_name(file)).collect();
    // A file without features is of a month all the same.
    let mut periods: BTreeSet<Period> = named.iter().flatten().copied().collect();
    let mut categories: BTreeMap<String, u32> = BTreeMap::new();
    let mut found: Vec<(Period, Detection)> = Vec::new();
    for (file, named) in files.iter().zip(&named) {
        let mut to_lonlat: Option<ToLonLat> = None;
        read(file, limits, &mut |source, record| {
            if found.len() == MOST {
                return Err(Error::limit(format!("more than {MOST} detections; smooth an area at a time")));
            }
            let period = named.or_else(|| of_record(&record)).ok_or_else(|| {
                let fields = DATES.join(", ");
                Error::usage(format!("no month as 2021-03 in the file's name or in a feature's {fields}"))
            })?;
            periods.insert(period);
            let to_lonlat = match &mut to_lonlat {
                Some(to_lonlat) => to_lonlat,
                none => none.insert(ToLonLat::new(source.epsg.ok_or_else(|| {
                    Error::unsupported("features without a coordinate system; distances in metres need one")
                })?)?),
            };
            let next = categories.len() as u32;
            let category = match record.get("category") {
                Value::Text(name) => name.as_str(),
                _ => "",
            };
            let category = match categories.get(category) {
                Some(number) => *number,
                None => *categories.entry(category.to_string()).or_insert(next),
            };
            let score = match record.get("score") {
                Value::Real(score) if !score.is_nan() => Some(*score),
                Value::Integer(score) => Some(*score as f64),
                _ => None,
            };
            let geometry = to_lonlat.geometry(&record.geometry)?;
            found.push((period, Detection { period: 0, category, score, geometry }));
            Ok(())
        })
        .in_file(file)?;
    }
    let periods: Vec<Period> = periods.into_iter().collect();
    let number = |period: &Period| periods.binary_search(period).unwrap_or(0) as u32;
    let all = found.into_iter().map(|(period, found)| Detection { period: number(&period), ..found });
    let all = all.collect();
    let mut names = vec![String::new(); categories.len()];
    categories.into_iter().for_each(|(name, number)| names[number as usize] = name);
    Ok(Detections { periods, categories: names, all })
}

/// The month in a file's name.
pub(super) fn of_name(file: &Path) -> Option<Period> {
    file.file_name().and_then(|name| Period::find(&name.to_string_lossy()))
}

fn of_record(record: &Record) -> Option<Period> {
    DATES.iter().find_map(|name| match record.get(name) {
        Value::Text(date) => Period::find(date),
        _ => None,
    })
}
