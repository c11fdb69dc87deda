//! Writing FlatGeobuf: features are encoded into a spool beside the file as they come; at the end they are put in the
//! order of the index. In memory stay 48 bytes a feature.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use flatbuffers::{FlatBufferBuilder, ForwardsUOffset, TableFinishedWIPOffset, Vector, WIPOffset};

use super::super::part_file::PartFile;
use super::super::{Feature, FeatureSink, Field, FieldKind, Geometry, Layer, Ring, Value};
use super::tree::{self, Item};
use super::{column, column_type, crs, feature, geometry, geometry_type, header, MAGIC, NODE_SIZE};
use crate::error::{Error, InFile, Result};

type Builder = FlatBufferBuilder<'static>;
type Table = WIPOffset<TableFinishedWIPOffset>;
type Tables = WIPOffset<Vector<'static, ForwardsUOffset<TableFinishedWIPOffset>>>;

/// A FlatGeobuf file being written.
pub(in super::super) struct FlatGeobufSink {
    out: PartFile,
    spool: Spool,
    layer: Layer,
    items: Vec<Item>,
    /// The type of all geometries so far, or that they differ.
    kind: Option<u8>,
    builder: Builder,
}

impl FlatGeobufSink {
    pub fn create(path: &Path, layer: &Layer, overwrite: bool) -> Result<Self> {
        if layer.fields.len() > usize::from(u16::MAX) {
            return Err(Error::limit(format!("{} fields; FlatGeobuf holds 65535", layer.fields.len())));
        }
        let out = PartFile::create(path, overwrite)?;
        let spool = Spool::create(path)?;
        let builder = Builder::new();
        Ok(Self { out, spool, layer: layer.clone(), items: Vec::new(), kind: None, builder })
    }

    fn feature(&mut self, feature: &Feature) -> Result<()> {
        self.layer.check(feature)?;
        let properties = properties(&feature.values)?;
        let kind = type_of(&feature.geometry);
        let points = feature.geometry.points().count();
        // Tables are addressed by 32 bits with a sign; a point takes 16 bytes.
        if points.saturating_mul(16).saturating_add(properties.len()) > 1 << 30 {
            return Err(Error::limit(format!("a feature of {points} points; FlatGeobuf holds 67 million")));
        }
        self.builder.reset();
        put_feature(&mut self.builder, &feature.geometry, &properties);
        let encoded = self.builder.finished_data();
        let item = Item {
            bounds: feature.geometry.bounds(),
            offset: self.items.last().map_or(0, |last| last.offset + u64::from(last.bytes)),
            bytes: encoded.len() as u32,
        };
        self.spool.put(encoded)?;
        self.items.push(item);
        self.kind = Some(match self.kind {
            Some(other) if other != kind => geometry_type::UNKNOWN,
            _ => kind,
        });
        Ok(())
    }

    fn assemble(&mut self) -> Result<()> {
        let extent = tree::around(self.items.iter().map(|item| item.bounds));
        tree::sort(&mut self.items, extent);
        self.builder.reset();
        let kind = self.kind.unwrap_or(geometry_type::UNKNOWN);
        put_header(&mut self.builder, &self.layer, kind, self.items.len() as u64, extent);
        self.out.put(&MAGIC)?;
        self.out.put(self.builder.finished_data())?;
        for node in tree::nodes(&self.items) {
            let numbers = node.bounds.iter().flat_map(|v| v.to_le_bytes());
            let bytes: Vec<u8> = numbers.chain(node.offset.to_le_bytes()).collect();
            self.out.put(&bytes)?;
        }
        let spooled = self.spool.reader()?;
        let mut encoded = Vec::new();
        for item in &self.items {
            encoded.resize(item.bytes as usize, 0);
            spooled
                .seek(SeekFrom::Start(item.offset))
                .and_then(|_| spooled.read_exact(&mut encoded))
                .map_err(|e| Error::io("cannot read back the spool", e))?;
            self.out.put(&encoded)?;
        }
        Ok(())
    }
}

impl FeatureSink for FlatGeobufSink {
    fn write(&mut self, feature: &Feature) -> Result<()> {
        self.feature(feature).in_file(self.out.path())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.assemble().in_file(self.out.path())?;
        self.out.finish()
    }
}

fn type_of(geometry: &Geometry) -> u8 {
    match geometry {
        Geometry::Point(_) => geometry_type::POINT,
        Geometry::Polygon(_) => geometry_type::POLYGON,
        Geometry::MultiPolygon(_) => geometry_type::MULTI_POLYGON,
    }
}

/// Place of a field in its table's directory.
fn slot(field: u16) -> u16 {
    4 + 2 * field
}

fn put_feature(b: &mut Builder, shape: &Geometry, properties: &[u8]) {
    let shape = put_geometry(b, shape);
    let properties = b.create_vector(properties);
    let table = b.start_table();
    b.push_slot_always(slot(feature::GEOMETRY), shape);
    b.push_slot_always(slot(feature::PROPERTIES), properties);
    let table = b.end_table(table);
    b.finish_size_prefixed(table, None);
}

fn put_geometry(b: &mut Builder, shape: &Geometry) -> Table {
    match shape {
        Geometry::Point(point) => put_points(b, geometry_type::POINT, &[vec![*point]]),
        Geometry::Polygon(rings) => put_points(b, geometry_type::POLYGON, rings),
        Geometry::MultiPolygon(polygons) => {
            let parts: Vec<Table> =
                polygons.iter().map(|rings| put_points(b, geometry_type::POLYGON, rings)).collect();
            let parts = put_tables(b, &parts);
            let table = b.start_table();
            b.push_slot_always(slot(geometry::PARTS), parts);
            b.push_slot_always(slot(geometry::TYPE), geometry_type::MULTI_POLYGON);
            b.end_table(table)
        }
    }
}

/// Points of rings one after another, and where each ring ends if there are several.
fn put_points(b: &mut Builder, kind: u8, rings: &[Ring]) -> Table {
    let xy: Vec<f64> = rings.iter().flatten().flatten().copied().collect();
    let ends = rings.iter().scan(0u32, |end, ring| {
        *end += ring.len() as u32;
        Some(*end)
    });
    let ends: Vec<u32> = ends.collect();
    let ends = (ends.len() > 1).then(|| b.create_vector(&ends));
    let xy = b.create_vector(&xy);
    let table = b.start_table();
    if let Some(ends) = ends {
        b.push_slot_always(slot(geometry::ENDS), ends);
    }
    b.push_slot_always(slot(geometry::XY), xy);
    b.push_slot_always(slot(geometry::TYPE), kind);
    b.end_table(table)
}

fn put_tables(b: &mut Builder, tables: &[Table]) -> Tables {
    b.start_vector::<ForwardsUOffset<TableFinishedWIPOffset>>(tables.len());
    for table in tables.iter().rev() {
        b.push(*table);
    }
    b.end_vector(tables.len())
}

fn put_header(b: &mut Builder, layer: &Layer, kind: u8, features: u64, extent: [f64; 4]) {
    let columns: Vec<Table> = layer.fields.iter().map(|field| put_column(b, field)).collect();
    let columns = put_tables(b, &columns);
    let crs = layer.epsg.and_then(|code| i32::try_from(code).ok()).map(|code| {
        let org = b.create_string("EPSG");
        let table = b.start_table();
        b.push_slot_always(slot(crs::ORG), org);
        b.push_slot_always(slot(crs::CODE), code);
        b.end_table(table)
    });
    let pairs = layer.metadata.iter().map(|(key, value)| (key.clone(), value.clone().into()));
    let metadata: serde_json::Map<String, serde_json::Value> = pairs.collect();
    let metadata =
        (!metadata.is_empty()).then(|| b.create_string(&serde_json::Value::Object(metadata).to_string()));
    let name = b.create_string(&layer.name);
    let envelope = (features > 0).then(|| b.create_vector(&extent));
    let table = b.start_table();
    b.push_slot_always(slot(header::NAME), name);
    if let Some(envelope) = envelope {
        b.push_slot_always(slot(header::ENVELOPE), envelope);
    }
    b.push_slot_always(slot(header::GEOMETRY_TYPE), kind);
    b.push_slot_always(slot(header::COLUMNS), columns);
    b.push_slot_always(slot(header::FEATURES_COUNT), features);
    b.push_slot_always(slot(header::INDEX_NODE_SIZE), if features > 0 { NODE_SIZE } else { 0 });
    if let Some(crs) = crs {
        b.push_slot_always(slot(header::CRS), crs);
    }
    if let Some(metadata) = metadata {
        b.push_slot_always(slot(header::METADATA), metadata);
    }
    let table = b.end_table(table);
    b.finish_size_prefixed(table, None);
}

fn put_column(b: &mut Builder, field: &Field) -> Table {
    let name = b.create_string(&field.name);
    let table = b.start_table();
    b.push_slot_always(slot(column::NAME), name);
    let kind = match field.kind {
        FieldKind::Text => column_type::STRING,
        FieldKind::Real => column_type::DOUBLE,
        FieldKind::Integer => column_type::LONG,
    };
    b.push_slot_always(slot(column::TYPE), kind);
    b.end_table(table)
}

/// Values that are not null, each behind its column's number.
fn properties(values: &[Value]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for (column, value) in values.iter().enumerate() {
        if *value != Value::Null {
            out.extend((column as u16).to_le_bytes());
        }
        match value {
            Value::Text(text) => {
                let length = u32::try_from(text.len())
                    .map_err(|_| Error::limit(format!("a text of {} bytes; 4 GiB are held", text.len())))?;
                out.extend(length.to_le_bytes());
                out.extend(text.as_bytes());
            }
            Value::Real(value) => out.extend(value.to_le_bytes()),
            Value::Integer(value) => out.extend(value.to_le_bytes()),
            Value::Null => {}
        }
    }
    Ok(out)
}

/// Encoded features in the order they came, in a file of its own that goes when this does.
struct Spool {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Spool {
    fn create(path: &Path) -> Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(".features");
        let path = PathBuf::from(name);
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(true).open(&path);
        let file = file.map_err(|e| Error::io("cannot create the spool", e)).in_file(&path)?;
        Ok(Self { path, file: BufWriter::new(file) })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| Error::io("cannot write", e)).in_file(&self.path)
    }

    fn reader(&mut self) -> Result<&mut File> {
        self.file.flush().map_err(|e| Error::io("cannot write", e)).in_file(&self.path)?;
        Ok(self.file.get_mut())
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // Nothing else can be done about a file that does not go.
        let _ = fs::remove_file(&self.path);
    }
}
