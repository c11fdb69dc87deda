//! A finished map of classes as polygons, one for each connected area.

use std::path::{Path, PathBuf};

use super::job::Job;
use super::legend::Legend;
use super::provenance::{dates_of, model_name};
use crate::error::{Error, InFile, Result};
use crate::raster::vector::polygonize::{square_metres, PolygonizeOptions, Polygonizer, Region};
use crate::raster::vector::{self, Feature, FeatureSink, Field, FieldKind, Geometry, Layer, Value};
use crate::raster::{open_path, FrameSource, GeoTransform, OpenOptions, Samples};

/// Which areas become polygons, and how plain they are made.
#[derive(Debug, Clone)]
pub struct PolygonOptions {
    /// The file; the format by its extension.
    pub path: PathBuf,
    /// Smaller areas are left out, pixels.
    pub min_pixels: u64,
    /// How far outlines may move, pixels.
    pub tolerance: f64,
}

/// A file of polygons that a map is to become.
pub struct Polygons<'a> {
    job: &'a Job<'a>,
    legend: &'a Legend,
    polygonizer: Polygonizer,
    sink: Box<dyn FeatureSink>,
}

impl<'a> Polygons<'a> {
    /// Begins the file, so that what hinders it is said before anything is computed.
    ///
    /// # Errors
    /// As [`vector::create`]; `Usage` for a tolerance below 0.
    pub fn create(job: &'a Job<'a>, legend: &'a Legend, options: &'a PolygonOptions) -> Result<Self> {
        let skip = std::iter::once(0).chain(legend.background()).collect();
        let plain = PolygonizeOptions { skip, min_pixels: options.min_pixels, tolerance: options.tolerance };
        let polygonizer = Polygonizer::new(job.series().grid().width, plain)?;
        let epsg = job.series().grid().georef.as_ref().map(|georef| georef.epsg);
        let fields = [
            ("category", FieldKind::Text),
            ("class", FieldKind::Integer),
            ("pixels", FieldKind::Integer),
            ("area_m2", FieldKind::Real),
            ("start", FieldKind::Text),
            ("end", FieldKind::Text),
            ("source", FieldKind::Text),
            ("model", FieldKind::Text),
        ];
        let fields = fields.map(|(name, kind)| Field::new(name, kind)).to_vec();
        let mut layer = Layer::new("areas", epsg, fields);
        layer.metadata = job.targets().first().map_or_else(Vec::new, |target| target.cog.metadata.clone());
        let replaces = job.options().overwrite || job.options().resume;
        let sink = vector::create(&options.path, &layer, replaces)?;
        Ok(Self { job, legend, polygonizer, sink })
    }

    /// Fills the file with the areas of a finished map; gives their number. The background is left out.
    ///
    /// # Errors
    /// What reading the map and writing the file say.
    pub fn fill(self, map: &Path) -> Result<usize> {
        let common = self.common();
        let source = open_path(map, &OpenOptions { indices: true, ..OpenOptions::default() })?;
        let (width, height) = (source.info().width, source.info().height);
        let mut count = 0;
        let Self { job, legend, mut polygonizer, mut sink } = self;
        let mut each = |region: Region| {
            count += 1;
            sink.write(&feature(job, legend, &region, &common)?)
        };
        let (_, block_height) = source.block_size(0);
        let mut rows = vec![0u8; width * block_height];
        for row in 0..height.div_ceil(block_height) {
            let mut read = 0;
            for column in 0.. {
                let rect = source.block_rect(0, column, row);
                if rect.is_empty() {
                    break;
                }
                let Samples::U8(classes) = source.decode(0, column, row)?.samples else {
                    return Err(Error::shape("a map of classes is of 8-bit numbers")).in_file(map);
                };
                read = rect.height();
                for (to, from) in rows.chunks_exact_mut(width).zip(classes.chunks_exact(rect.width())) {
                    to[rect.x0 as usize..rect.x1 as usize].copy_from_slice(from);
                }
            }
            rows.chunks_exact(width).take(read).try_for_each(|row| polygonizer.row(row, &mut each))?;
        }
        polygonizer.finish(&mut each)?;
        sink.finish()?;
        Ok(count)
    }

    /// First and last date, sources and model, which all features share.
    fn common(&self) -> [Value; 4] {
        let frames: Vec<_> = self.job.series().frames().iter().collect();
        let [start, end, sources] = dates_of(&frames);
        [start, end, sources, Value::Text(model_name(self.job.model()))]
    }
}

fn feature(job: &Job, legend: &Legend, region: &Region, common: &[Value; 4]) -> Result<Feature> {
    let georef = job.series().grid().georef.as_ref();
    let pixels = GeoTransform::north_up(0.0, 0.0, 1.0, 1.0);
    let geometry: Geometry = region.geometry(georef.map_or(&pixels, |georef| &georef.transform));
    let area = georef.map(|georef| square_metres(region, georef)).transpose()?;
    let mut values = vec![
        Value::Text(legend.name(region.class).to_string()),
        Value::Integer(region.class.into()),
        Value::Integer(region.pixels as i64),
        area.map_or(Value::Null, Value::Real),
    ];
    values.extend(common.iter().cloned());
    Ok(Feature { geometry, values })
}
