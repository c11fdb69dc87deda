//! `swath smooth`: monthly detections to objects with a start and an end.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::print::say;
use crate::error::Result;
use crate::raster::crs::WGS84;
use crate::raster::vector::smooth::{read_detections, smooth, Coverage, Detections, Object, SmoothOptions};
use crate::raster::vector::{create, Feature, Field, FieldKind, Layer, ReadLimits, Value};

const EXAMPLES: &str = "\
Examples:
  swath smooth turbines-2021-*.geojson -o turbines.geojson
  swath smooth 2021-??.fgb --coverage seen-2021-01.tif \\
      --coverage seen-2021-02.tif -o history.geojson

Exit codes: 0 done, 2 usage, 3 input file, 4 limit, 7 input/output, 8 disk full.";

/// The end of what is still there in the last month: later than any month, so that comparing texts selects it.
const STILL_THERE: &str = "9999-12";

/// Turns detections of many months into objects with a first and a last month; chance finds are dropped and gaps
/// closed.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Detections: GeoJSON, NDJSON or FlatGeobuf, each with its month in its name (2021-03) or in its features'
    /// end, date, datetime or start.
    #[arg(required = true)]
    detections: Vec<PathBuf>,
    /// Result, its format by extension.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Detections of different months are of one object within this distance.
    #[arg(long, value_name = "METRES", default_value_t = SmoothOptions::default().radius)]
    radius: f64,
    /// Detections of one month are of one object within this distance; the best score is kept.
    #[arg(long, value_name = "METRES", default_value_t = SmoothOptions::default().apart)]
    apart: f64,
    /// A raster of where there was imagery in the month in its name, as swath detect --coverage writes it. What
    /// was not seen in a month is not absent in it. May be repeated.
    #[arg(long, value_name = "FILE")]
    coverage: Vec<PathBuf>,
    /// Replace an existing result.
    #[arg(long)]
    overwrite: bool,
    /// Print nothing when all goes well.
    #[arg(short, long)]
    quiet: bool,
}

/// Runs the command.
///
/// # Errors
/// What reading, smoothing and writing say; nothing appears under the result's name unless all went well.
pub fn run(args: &Args) -> Result<()> {
    let mut sink = create(&args.output, &layer(args), args.overwrite)?;
    let coverage = Coverage::of_files(&args.coverage)?;
    let Detections { periods, categories, all } = read_detections(&args.detections, &ReadLimits::default())?;
    let n = all.len();
    let options = SmoothOptions { radius: args.radius, apart: args.apart };
    let seen = &mut |period: usize, places: &[[f64; 2]]| coverage.seen(periods[period], places);
    let objects = smooth(all, periods.len(), options, seen)?;
    let still = |object: &Object| object.periods[1] + 1 == periods.len();
    for object in &objects {
        let category = categories[object.category as usize].clone();
        let [first, last] = object.periods;
        let end = if still(object) { STILL_THERE.to_string() } else { periods[last].to_string() };
        let values = vec![
            if category.is_empty() { Value::Null } else { Value::Text(category) },
            object.score.map_or(Value::Null, Value::Real),
            Value::Text(periods[first].to_string()),
            Value::Text(end),
            Value::Integer(object.found as i64),
        ];
        sink.write(&Feature { geometry: object.geometry.clone(), values })?;
    }
    sink.finish()?;
    if args.quiet {
        return Ok(());
    }
    let there = objects.iter().filter(|object| still(object)).count();
    let (found, months) = (objects.len(), periods.len());
    say(&format!("{found} objects, {there} of them still there, of {n} detections in {months} months"))
}

fn layer(args: &Args) -> Layer {
    let fields = [
        ("category", FieldKind::Text),
        ("score", FieldKind::Real),
        ("start", FieldKind::Text),
        ("end", FieldKind::Text),
        ("months", FieldKind::Integer),
    ];
    let fields = fields.map(|(name, kind)| Field::new(name, kind)).to_vec();
    let mut layer = Layer::new("objects", Some(WGS84), fields);
    layer.metadata = vec![
        ("program".into(), format!("swath {}", env!("CARGO_PKG_VERSION"))),
        ("radius".into(), format!("{} m", args.radius)),
        ("apart".into(), format!("{} m", args.apart)),
        ("still_there".into(), STILL_THERE.into()),
    ];
    layer
}
