//! Plain features, points and polygons with values, to files and back, one at a time.
//!
//! [`create`] picks the format by the file's extension. A sink takes geometries in the layer's own coordinate
//! system; formats that have one of their own (GeoJSON: longitude and latitude) are carried there.

mod antimeridian;
mod flatgeobuf;
mod geojson;
mod geojson_read;
#[cfg(feature = "parquet")]
mod geoparquet;
mod lonlat;
mod part_file;
pub mod polygonize;
#[cfg(feature = "parquet")]
mod projjson;
mod read;
mod ring;
pub mod smooth;

pub use read::{read, read_from, Each, ReadLimits, Record, Source};

use std::path::Path;

use crate::error::{Error, InFile, Result};

/// Ring of a polygon: at least four points, the last one equal to the first.
pub type Ring = Vec<[f64; 2]>;

/// Where a feature is, in the coordinates of its layer: x (easting, longitude), then y.
#[derive(Debug, Clone, PartialEq)]
pub enum Geometry {
    /// One place.
    Point([f64; 2]),
    /// An outer ring, then its holes.
    Polygon(Vec<Ring>),
    /// Polygons that are one feature.
    MultiPolygon(Vec<Vec<Ring>>),
}

impl Geometry {
    /// The polygon of an axis-parallel box.
    pub fn rectangle(x0: f64, y0: f64, x1: f64, y1: f64) -> Self {
        Self::Polygon(vec![vec![[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]])
    }

    /// The polygons of an area; none for a point.
    pub fn polygons(&self) -> &[Vec<Ring>] {
        match self {
            Self::Point(_) => &[],
            Self::Polygon(rings) => std::slice::from_ref(rings),
            Self::MultiPolygon(polygons) => polygons,
        }
    }

    /// All points.
    pub fn points(&self) -> impl Iterator<Item = [f64; 2]> + '_ {
        let alone = match self {
            Self::Point(point) => Some(*point),
            _ => None,
        };
        alone.into_iter().chain(self.polygons().iter().flatten().flatten().copied())
    }

    /// `[west, south, east, north]`.
    pub fn bounds(&self) -> [f64; 4] {
        around(self.points())
    }

    /// The bounds of each polygon, or of the point.
    pub fn bounds_of_parts(&self) -> impl Iterator<Item = [f64; 4]> + '_ {
        let alone = match self {
            Self::Point(point) => Some(around(std::iter::once(*point))),
            _ => None,
        };
        let parts = self.polygons().iter().map(|rings| around(rings.iter().flatten().copied()));
        alone.into_iter().chain(parts)
    }

    /// Refuses numbers that are not finite, rings that are too short or open, and polygons without rings.
    fn check(&self) -> Result<()> {
        if self.points().flatten().any(|v| !v.is_finite()) {
            return Err(Error::shape("a geometry with a coordinate that is no number"));
        }
        let closed = |ring: &Ring| ring.len() >= 4 && ring.first() == ring.last();
        let whole = |rings: &Vec<Ring>| !rings.is_empty() && rings.iter().all(closed);
        match self {
            Self::Point(_) => Ok(()),
            _ if !self.polygons().is_empty() && self.polygons().iter().all(whole) => Ok(()),
            _ => Err(Error::shape("a polygon's rings need four points, the last equal to the first")),
        }
    }
}

fn around(points: impl Iterator<Item = [f64; 2]>) -> [f64; 4] {
    points.fold(EMPTY, |b, p| [b[0].min(p[0]), b[1].min(p[1]), b[2].max(p[0]), b[3].max(p[1])])
}

/// Bounds of nothing.
const EMPTY: [f64; 4] = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];

/// One attribute of a feature.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Value {
    Text(String),
    Real(f64),
    Integer(i64),
    Null,
}

/// What a field's values are, where they are not null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum FieldKind {
    Text,
    Real,
    Integer,
}

/// A column: its name and what its values are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Name, unique in its layer.
    pub name: String,
    /// Kind of all values that are not null.
    pub kind: FieldKind,
}

impl Field {
    /// A field of that name and kind.
    pub fn new(name: impl Into<String>, kind: FieldKind) -> Self {
        Self { name: name.into(), kind }
    }
}

/// What all features of a file share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Name, shown by programs that open the file.
    pub name: String,
    /// EPSG code of the geometries' coordinates; `None` for pixels of an image without georeferencing.
    pub epsg: Option<u32>,
    /// Columns, in the order of [`Feature::values`].
    pub fields: Vec<Field>,
    /// Pairs about the whole file: model, sources, program. Not kept by formats without a place for them.
    pub metadata: Vec<(String, String)>,
}

impl Layer {
    /// A layer without metadata.
    pub fn new(name: impl Into<String>, epsg: Option<u32>, fields: Vec<Field>) -> Self {
        Self { name: name.into(), epsg, fields, metadata: Vec::new() }
    }

    /// Refuses a feature that is not one of this layer.
    fn check(&self, feature: &Feature) -> Result<()> {
        feature.geometry.check()?;
        let (values, fields) = (&feature.values, &self.fields);
        if values.len() != fields.len() {
            let (values, fields) = (values.len(), fields.len());
            return Err(Error::shape(format!(
                "a feature with {values} values in a layer of {fields} fields"
            )));
        }
        let fits = |(value, field): &(&Value, &Field)| {
            let kind = match value {
                Value::Text(_) => FieldKind::Text,
                Value::Real(_) => FieldKind::Real,
                Value::Integer(_) => FieldKind::Integer,
                Value::Null => field.kind,
            };
            kind == field.kind
        };
        match values.iter().zip(fields).find(|pair| !fits(pair)) {
            None => Ok(()),
            Some((value, field)) => {
                let Field { name, kind } = field;
                Err(Error::shape(format!("{value:?} in field {name:?}, which is {kind:?}")))
            }
        }
    }
}

/// One object: where it is, and its values in the order of the layer's fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Feature {
    /// Where it is.
    pub geometry: Geometry,
    /// One value a field.
    pub values: Vec<Value>,
}

/// A file of features being written. Nothing appears under the final name before
/// [`finish`](FeatureSink::finish) succeeds; a sink that is dropped leaves nothing behind.
pub trait FeatureSink: Send {
    /// Adds a feature.
    ///
    /// # Errors
    /// `Shape` when it does not fit the layer, `Unsupported` where its place cannot be expressed in the file's
    /// coordinate system, `Io` when it cannot be stored.
    fn write(&mut self, feature: &Feature) -> Result<()>;

    /// Completes the file and gives it its final name.
    ///
    /// # Errors
    /// `Io` when the system refuses.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// A vector format that is built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// RFC 7946: one collection, longitude and latitude on WGS 84.
    GeoJson,
    /// One GeoJSON feature a line; no metadata.
    NdJson,
    /// The layer's own coordinates, with an index of places.
    FlatGeobuf,
    /// The layer's own coordinates, by column.
    #[cfg(feature = "parquet")]
    GeoParquet,
}

impl Format {
    /// Extensions and their formats.
    const EXTENSIONS: &[(&str, Self)] = &[
        ("geojson", Self::GeoJson),
        ("json", Self::GeoJson),
        ("ndjson", Self::NdJson),
        ("geojsonl", Self::NdJson),
        ("geojsons", Self::NdJson),
        ("fgb", Self::FlatGeobuf),
        #[cfg(feature = "parquet")]
        ("parquet", Self::GeoParquet),
    ];

    /// The format that a file's extension names.
    ///
    /// # Errors
    /// `Usage`, with the extensions there are.
    pub fn of(path: &Path) -> Result<Self> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        let found = Self::EXTENSIONS.iter().find(|(name, _)| *name == extension);
        found.map(|(_, format)| *format).ok_or_else(|| {
            let known: Vec<String> = Self::EXTENSIONS.iter().map(|(name, _)| format!(".{name}")).collect();
            let known = known.join(", ");
            let error = match extension.as_str() {
                "parquet" => {
                    format!("GeoParquet needs swath built with --features parquet; {known} are built in")
                }
                _ => format!("no vector format has this extension; {known} are known"),
            };
            Error::usage(error).in_file(path)
        })
    }
}

/// Begins a file in the format its extension names; an existing one is only replaced with `overwrite`.
///
/// # Errors
/// `Usage` for an extension that is not known and for a file that exists, `Unsupported` for a coordinate system
/// that the format cannot hold, `Io` when the file cannot be created.
pub fn create(path: impl AsRef<Path>, layer: &Layer, overwrite: bool) -> Result<Box<dyn FeatureSink>> {
    let path = path.as_ref();
    let sink: Result<Box<dyn FeatureSink>> = match Format::of(path)? {
        Format::GeoJson => geojson::GeoJsonSink::create(path, layer, false, overwrite).map(boxed),
        Format::NdJson => geojson::GeoJsonSink::create(path, layer, true, overwrite).map(boxed),
        Format::FlatGeobuf => flatgeobuf::FlatGeobufSink::create(path, layer, overwrite).map(boxed),
        #[cfg(feature = "parquet")]
        Format::GeoParquet => geoparquet::GeoParquetSink::create(path, layer, overwrite).map(boxed),
    };
    sink.in_file(path)
}

fn boxed(sink: impl FeatureSink + 'static) -> Box<dyn FeatureSink> {
    Box::new(sink)
}
