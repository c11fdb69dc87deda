//! Reading FlatGeobuf, feature by feature in the file's order; the index is passed over.

use std::io::{BufReader, Read, Seek, SeekFrom};

use super::super::read::{too_large, Each, ReadLimits, Record, Source};
use super::super::{Geometry, Ring, Value};
use super::tables::Table;
use super::{
    column, column_type, crs, feature, geometry, geometry_type, header, tree, MAGIC, NODE_BYTES, NODE_SIZE,
};
use crate::error::{Error, Result};

/// Largest header, in bytes.
const HEADER_BYTES: usize = 16 << 20;

/// A column's name and type.
struct Column {
    name: String,
    kind: u8,
}

/// Reads a file.
pub(in super::super) fn read(file: impl Read + Seek, limits: &ReadLimits, each: Each<'_>) -> Result<()> {
    let mut file = BufReader::with_capacity(1 << 16, file);
    let mut magic = [0; 8];
    file.read_exact(&mut magic).map_err(truncated)?;
    if magic[..3] != MAGIC[..3] || magic[4..7] != MAGIC[4..7] {
        return Err(Error::format("no FlatGeobuf: it begins with other bytes"));
    }
    if magic[3] != MAGIC[3] {
        return Err(Error::unsupported(format!("FlatGeobuf version {}; 3 is read", magic[3])));
    }
    let mut bytes = Vec::new();
    let large = || Error::limit(format!("a header of more than {HEADER_BYTES} bytes"));
    if !sized(&mut file, HEADER_BYTES as u64, &mut bytes, large)? {
        return Err(Error::format("a file without a header"));
    }
    let head = Table::root(&bytes)?;
    let features = head.number(header::FEATURES_COUNT)?.map_or(0, u64::from_le_bytes);
    let node_size = head.number(header::INDEX_NODE_SIZE)?.map_or(NODE_SIZE, u16::from_le_bytes);
    let kind = head.number::<1>(header::GEOMETRY_TYPE)?.map_or(geometry_type::UNKNOWN, |[kind]| kind);
    let columns = head.tables(header::COLUMNS)?.map(|table| read_column(&table?));
    let columns: Vec<Column> = columns.collect::<Result<_>>()?;
    let source = Source { epsg: epsg(&head)? };
    if features > limits.features {
        let most = limits.features;
        return Err(Error::limit(format!("{features} features; at most {most} are read; split the file")));
    }
    if node_size == 1 {
        return Err(Error::format("an index of nodes with one child"));
    }
    if node_size > 0 && features > 0 {
        let nodes: u64 = tree::levels(features, node_size).iter().sum();
        // The number of features is bounded, and so is this.
        file.seek(SeekFrom::Current((nodes * NODE_BYTES) as i64)).map_err(|e| Error::io("cannot read", e))?;
    }
    let mut number = 0u64;
    while (features == 0 || number < features)
        && sized(&mut file, limits.feature_bytes, &mut bytes, || too_large(limits))?
    {
        number += 1;
        let record = read_feature(&Table::root(&bytes)?, kind, &columns);
        each(&source, record.map_err(|e| e.while_doing(format!("feature {number}")))?)?;
    }
    match number < features {
        true => Err(Error::format(format!("{number} features of {features}"))),
        false => Ok(()),
    }
}

/// Reads bytes that follow their 32-bit size. False at the end of the file.
fn sized(file: &mut impl Read, most: u64, bytes: &mut Vec<u8>, large: impl Fn() -> Error) -> Result<bool> {
    let mut size = [0; 4];
    bytes.clear();
    let n = file.take(4).read_to_end(bytes).map_err(|e| Error::io("cannot read", e))?;
    match n {
        0 => return Ok(false),
        4 => size.copy_from_slice(bytes),
        _ => return Err(Error::format("a file that ends within a size")),
    }
    let size = u64::from(u32::from_le_bytes(size));
    if size > most {
        return Err(large());
    }
    bytes.clear();
    // Grows as bytes come: a size that lies allocates nothing.
    let n = file.take(size).read_to_end(bytes).map_err(|e| Error::io("cannot read", e))?;
    match n as u64 == size {
        true => Ok(true),
        false => Err(Error::format("a file that ends within a feature")),
    }
}

fn truncated(error: std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => Error::format("a file that ends within its first bytes"),
        _ => Error::io("cannot read", error),
    }
}

fn epsg(head: &Table<'_>) -> Result<Option<u32>> {
    let Some(system) = head.table(header::CRS)? else { return Ok(None) };
    let code = system.number(crs::CODE)?.map_or(0, i32::from_le_bytes);
    let by_epsg = system.text(crs::ORG)?.is_none_or(|org| org.eq_ignore_ascii_case("EPSG"));
    Ok(u32::try_from(code).ok().filter(|code| *code > 0 && by_epsg))
}

fn read_column(table: &Table<'_>) -> Result<Column> {
    let name = table.text(column::NAME)?.ok_or_else(|| Error::format("a column without a name"))?;
    Ok(Column { name, kind: table.number::<1>(column::TYPE)?.map_or(0, |[kind]| kind) })
}

fn read_feature(table: &Table<'_>, kind: u8, columns: &[Column]) -> Result<Record> {
    let shape = table.table(feature::GEOMETRY)?.ok_or_else(|| Error::format("no geometry"))?;
    let geometry = read_geometry(&shape, kind)?;
    let properties = read_properties(table.elements(feature::PROPERTIES, 1)?, columns)?;
    Ok(Record { geometry, properties })
}

fn read_geometry(shape: &Table<'_>, of_all: u8) -> Result<Geometry> {
    let own = shape.number::<1>(geometry::TYPE)?.map_or(geometry_type::UNKNOWN, |[kind]| kind);
    let kind = if own == geometry_type::UNKNOWN { of_all } else { own };
    match kind {
        geometry_type::POINT => {
            let point = points(shape)?.first().copied();
            Ok(Geometry::Point(point.ok_or_else(|| Error::format("a point without coordinates"))?))
        }
        geometry_type::POLYGON => Ok(Geometry::Polygon(rings(shape)?)),
        geometry_type::MULTI_POLYGON => {
            let parts = shape.tables(geometry::PARTS)?.map(|part| rings(&part?));
            Ok(Geometry::MultiPolygon(parts.collect::<Result<_>>()?))
        }
        _ => Err(Error::unsupported(format!("a geometry of type {kind}; points and polygons are read"))),
    }
}

fn points(shape: &Table<'_>) -> Result<Ring> {
    let numbers = shape.elements(geometry::XY, 8)?.chunks_exact(8);
    let numbers: Vec<f64> = numbers.map(|b| f64::from_le_bytes(b.try_into().unwrap_or_default())).collect();
    Ok(numbers.chunks_exact(2).map(|p| [p[0], p[1]]).collect())
}

fn rings(shape: &Table<'_>) -> Result<Vec<Ring>> {
    let points = points(shape)?;
    let ends = shape.elements(geometry::ENDS, 4)?.chunks_exact(4);
    let ends: Vec<u32> = ends.map(|b| u32::from_le_bytes(b.try_into().unwrap_or_default())).collect();
    if ends.is_empty() {
        return Ok(vec![points]);
    }
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let ring = |(start, end): (u32, &u32)| points.get(start as usize..*end as usize).map(<[_]>::to_vec);
    let rings: Option<Vec<Ring>> = starts.zip(&ends).map(ring).collect();
    rings.ok_or_else(|| Error::format("rings that end outside the points"))
}

/// Values, each behind its column's number.
fn read_properties(bytes: &[u8], columns: &[Column]) -> Result<Vec<(String, Value)>> {
    let mut left = bytes;
    let mut found = Vec::new();
    while !left.is_empty() {
        let number = u16::from_le_bytes(take(&mut left)?);
        let column = columns.get(usize::from(number));
        let Column { name, kind } = column
            .ok_or_else(|| Error::format(format!("a value of column {number} of {}", columns.len())))?;
        found.push((name.clone(), read_value(&mut left, *kind)?));
    }
    Ok(found)
}

/// Column types in the order of their numbers: byte, ubyte, bool, short, ushort, int, uint, long, ulong, float, double,
/// string, JSON, date and time, binary.
fn read_value(left: &mut &[u8], kind: u8) -> Result<Value> {
    Ok(match kind {
        0 => Value::Integer(i8::from_le_bytes(take(left)?).into()),
        1 | 2 => Value::Integer(u8::from_le_bytes(take(left)?).into()),
        3 => Value::Integer(i16::from_le_bytes(take(left)?).into()),
        4 => Value::Integer(u16::from_le_bytes(take(left)?).into()),
        5 => Value::Integer(i32::from_le_bytes(take(left)?).into()),
        6 => Value::Integer(u32::from_le_bytes(take(left)?).into()),
        column_type::LONG => Value::Integer(i64::from_le_bytes(take(left)?)),
        8 => {
            let value = u64::from_le_bytes(take(left)?);
            i64::try_from(value).map_or(Value::Real(value as f64), Value::Integer)
        }
        9 => Value::Real(f32::from_le_bytes(take(left)?).into()),
        column_type::DOUBLE => Value::Real(f64::from_le_bytes(take(left)?)),
        column_type::STRING..=14 => {
            let n = u32::from_le_bytes(take(left)?) as usize;
            let (text, rest) = left.split_at_checked(n).ok_or_else(short)?;
            *left = rest;
            // The last of the types is bytes, for which there is no value.
            if kind == 14 {
                Value::Null
            } else {
                Value::Text(String::from_utf8_lossy(text).into_owned())
            }
        }
        _ => return Err(Error::unsupported(format!("a column of type {kind}"))),
    })
}

fn take<const N: usize>(left: &mut &[u8]) -> Result<[u8; N]> {
    let (first, rest) = left.split_first_chunk::<N>().ok_or_else(short)?;
    *left = rest;
    Ok(*first)
}

fn short() -> Error {
    Error::format("a value that reaches beyond its feature")
}
