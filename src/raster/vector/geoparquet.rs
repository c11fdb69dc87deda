//! GeoParquet 1.1: values by column, geometries as well-known binary, and a box beside each that readers skip by.
//! Features are written in groups of rows, one of which is in memory.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};
use serde_json::json;

use super::part_file::PartFile;
use super::projjson::projjson;
use super::{Feature, FeatureSink, Field, FieldKind, Geometry, Layer, Ring, Value, EMPTY};
use crate::error::{Error, InFile, Result};
use crate::raster::crs;

/// Features of a group of rows at most.
const ROWS: usize = 100_000;
/// Bytes of geometries and texts after which a group ends.
const GROUP_BYTES: usize = 64 << 20;

const GEOMETRY: &str = "geometry";
const BBOX: &str = "bbox";
const SIDES: [&str; 4] = ["xmin", "ymin", "xmax", "ymax"];

/// Values of a column that are not null, and for each feature 1 or, if null, 0.
struct Column {
    values: Values,
    levels: Vec<i16>,
}

enum Values {
    Text(Vec<ByteArray>),
    Real(Vec<f64>),
    Integer(Vec<i64>),
}

/// Features of a group.
struct Group {
    columns: Vec<Column>,
    geometries: Vec<ByteArray>,
    sides: [Vec<f64>; 4],
    bytes: usize,
}

/// A GeoParquet file being written.
pub(super) struct GeoParquetSink {
    out: SerializedFileWriter<PartFile>,
    layer: Layer,
    group: Group,
    kinds: BTreeSet<&'static str>,
    bounds: [f64; 4],
}

impl GeoParquetSink {
    pub fn create(path: &Path, layer: &Layer, overwrite: bool) -> Result<Self> {
        let reserved = |field: &&Field| [GEOMETRY, BBOX].contains(&field.name.as_str());
        if let Some(field) = layer.fields.iter().find(reserved) {
            return Err(Error::usage(format!("a field named {}, which GeoParquet uses itself", field.name)));
        }
        let level = ZstdLevel::try_new(3).map_err(cannot)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_created_by(format!("swath {}", env!("CARGO_PKG_VERSION")));
        let schema = schema(layer).map_err(cannot)?;
        let part = PartFile::create(path, overwrite)?;
        let out = SerializedFileWriter::new(part, schema, Arc::new(properties.build())).map_err(cannot)?;
        let group = Group::new(&layer.fields);
        Ok(Self { out, layer: layer.clone(), group, kinds: BTreeSet::new(), bounds: EMPTY })
    }

    fn feature(&mut self, feature: &Feature) -> Result<()> {
        self.layer.check(feature)?;
        self.kinds.insert(match feature.geometry {
            Geometry::Point(_) => "Point",
            Geometry::Polygon(_) => "Polygon",
            Geometry::MultiPolygon(_) => "MultiPolygon",
        });
        let (a, b) = (self.bounds, self.group.add(feature));
        self.bounds = [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])];
        match self.group.geometries.len() >= ROWS || self.group.bytes >= GROUP_BYTES {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<()> {
        let group = std::mem::replace(&mut self.group, Group::new(&self.layer.fields));
        match group.geometries.is_empty() {
            true => Ok(()),
            false => group.write(&mut self.out).map_err(cannot),
        }
    }

    /// The `geo` entry of the file's metadata.
    fn geo(&self) -> String {
        let side = |name: &str| json!([BBOX, name]);
        let covering = json!({ BBOX: {
            SIDES[0]: side(SIDES[0]), SIDES[1]: side(SIDES[1]), SIDES[2]: side(SIDES[2]), SIDES[3]: side(SIDES[3]),
        }});
        let mut column = json!({ "encoding": "WKB", "geometry_types": self.kinds, "covering": covering });
        // Without an entry, coordinates are longitude and latitude on WGS 84.
        if self.layer.epsg != Some(crs::WGS84) {
            column["crs"] = self.layer.epsg.and_then(projjson).unwrap_or(serde_json::Value::Null);
        }
        if !self.kinds.is_empty() {
            column["bbox"] = json!(self.bounds);
        }
        let columns = json!({ GEOMETRY: column });
        json!({ "version": "1.1.0", "primary_column": GEOMETRY, "columns": columns }).to_string()
    }

    fn complete(mut self) -> Result<()> {
        self.flush()?;
        let entry = |key: &str, value: String| KeyValue::new(key.to_string(), value);
        self.out.append_key_value_metadata(entry("geo", self.geo()));
        for (key, value) in &self.layer.metadata {
            self.out.append_key_value_metadata(entry(key, value.clone()));
        }
        self.out.into_inner().map_err(cannot)?.finish()
    }
}

impl FeatureSink for GeoParquetSink {
    fn write(&mut self, feature: &Feature) -> Result<()> {
        self.feature(feature).map_err(|e| e.in_file(self.out.inner().path()))
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let path = self.out.inner().path().to_path_buf();
        self.complete().in_file(path)
    }
}

impl Group {
    fn new(fields: &[Field]) -> Self {
        let values = |kind| match kind {
            FieldKind::Text => Values::Text(Vec::new()),
            FieldKind::Real => Values::Real(Vec::new()),
            FieldKind::Integer => Values::Integer(Vec::new()),
        };
        let columns = fields.iter().map(|field| Column { values: values(field.kind), levels: Vec::new() });
        let sides = std::array::from_fn(|_| Vec::new());
        Self { columns: columns.collect(), geometries: Vec::new(), sides, bytes: 0 }
    }

    /// Adds a feature of the layer; returns its bounds.
    fn add(&mut self, feature: &Feature) -> [f64; 4] {
        for (column, value) in self.columns.iter_mut().zip(&feature.values) {
            match (&mut column.values, value) {
                (Values::Text(all), Value::Text(text)) => {
                    self.bytes += text.len();
                    all.push(ByteArray::from(text.as_bytes().to_vec()));
                }
                (Values::Real(all), Value::Real(value)) => all.push(*value),
                (Values::Integer(all), Value::Integer(value)) => all.push(*value),
                // Only null is left of what the layer lets through.
                _ => {
                    column.levels.push(0);
                    continue;
                }
            }
            column.levels.push(1);
        }
        let geometry = wkb(&feature.geometry);
        self.bytes += geometry.len();
        self.geometries.push(ByteArray::from(geometry));
        let bounds = feature.geometry.bounds();
        self.sides.iter_mut().zip(bounds).for_each(|(side, value)| side.push(value));
        bounds
    }

    fn write(self, out: &mut SerializedFileWriter<PartFile>) -> Result<(), ParquetError> {
        let mut rows = out.next_row_group()?;
        for Column { values, levels } in &self.columns {
            match values {
                Values::Text(values) => put::<ByteArrayType>(&mut rows, values, Some(levels))?,
                Values::Real(values) => put::<DoubleType>(&mut rows, values, Some(levels))?,
                Values::Integer(values) => put::<Int64Type>(&mut rows, values, Some(levels))?,
            }
        }
        put::<ByteArrayType>(&mut rows, &self.geometries, None)?;
        for side in &self.sides {
            put::<DoubleType>(&mut rows, side, None)?;
        }
        rows.close().map(drop)
    }
}

/// Writes the next column of a group.
fn put<D: DataType>(
    rows: &mut SerializedRowGroupWriter<'_, PartFile>,
    values: &[D::T],
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let column = rows.next_column()?;
    let mut column =
        column.ok_or_else(|| ParquetError::General("more columns than the schema has".into()))?;
    column.typed::<D>().write_batch(values, levels, None)?;
    column.close()
}

fn schema(layer: &Layer) -> Result<TypePtr, ParquetError> {
    let leaf = |name: &str, kind: Physical, repetition: Repetition, logical: Option<LogicalType>| {
        let builder = Type::primitive_type_builder(name, kind).with_repetition(repetition);
        builder.with_logical_type(logical).build().map(Arc::new)
    };
    let mut columns = Vec::new();
    for Field { name, kind } in &layer.fields {
        let (kind, logical) = match kind {
            FieldKind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            FieldKind::Real => (Physical::DOUBLE, None),
            FieldKind::Integer => (Physical::INT64, None),
        };
        columns.push(leaf(name, kind, Repetition::OPTIONAL, logical)?);
    }
    columns.push(leaf(GEOMETRY, Physical::BYTE_ARRAY, Repetition::REQUIRED, None)?);
    let sides = SIDES.map(|side| leaf(side, Physical::DOUBLE, Repetition::REQUIRED, None));
    let sides = sides.into_iter().collect::<Result<Vec<_>, _>>()?;
    let bbox = Type::group_type_builder(BBOX).with_repetition(Repetition::REQUIRED).with_fields(sides);
    columns.push(Arc::new(bbox.build()?));
    Type::group_type_builder("layer").with_fields(columns).build().map(Arc::new)
}

/// Well-known binary, little-endian.
fn wkb(geometry: &Geometry) -> Vec<u8> {
    let mut out = Vec::new();
    match geometry {
        Geometry::Point([x, y]) => {
            put_head(&mut out, 1);
            out.extend([x, y].into_iter().flat_map(|v| v.to_le_bytes()));
        }
        Geometry::Polygon(rings) => put_polygon(&mut out, rings),
        Geometry::MultiPolygon(polygons) => {
            put_head(&mut out, 6);
            put_count(&mut out, polygons.len());
            polygons.iter().for_each(|rings| put_polygon(&mut out, rings));
        }
    }
    out
}

fn put_head(out: &mut Vec<u8>, kind: u32) {
    out.push(1);
    out.extend(kind.to_le_bytes());
}

fn put_count(out: &mut Vec<u8>, n: usize) {
    out.extend((n as u32).to_le_bytes());
}

fn put_polygon(out: &mut Vec<u8>, rings: &[Ring]) {
    put_head(out, 3);
    put_count(out, rings.len());
    for ring in rings {
        put_count(out, ring.len());
        out.extend(ring.iter().flatten().flat_map(|v| v.to_le_bytes()));
    }
}

fn cannot(error: ParquetError) -> Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<std::io::Error>() {
            Ok(cause) => Error::io("cannot write", *cause),
            Err(cause) => Error::io("cannot write", std::io::Error::other(cause)),
        },
        other => Error::io("cannot write", std::io::Error::other(other)),
    }
}
