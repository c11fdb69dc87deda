//! Reading GeoJSON: collections of any size, a feature at a time, and features line by line (also with the record
//! separators of RFC 8142). Coordinates after the second are dropped.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::read::{too_large, Each, ReadLimits, Record, Source};
use super::{Geometry, Ring, Value};
use crate::error::{Error, Result};
use crate::raster::crs;

/// Reads a feature collection.
pub(super) fn read_collection(file: impl Read, limits: &ReadLimits, each: Each<'_>) -> Result<()> {
    let left = Rc::new(Cell::new(limits.feature_bytes));
    let metered = Metered { inner: BufReader::with_capacity(1 << 16, file), left: Rc::clone(&left) };
    let mut failed = None;
    let collection = Collection { limits, each, left, failed: &mut failed };
    let mut json = serde_json::Deserializer::from_reader(metered);
    let read = collection.deserialize(&mut json).and_then(|()| json.end());
    match (failed, read) {
        (Some(error), _) => Err(error),
        (None, Err(e)) if e.is_io() && e.io_error_kind() == Some(io::ErrorKind::FileTooLarge) => {
            Err(too_large(limits))
        }
        (None, read) => read.map_err(not_geojson),
    }
}

/// Reads features line by line.
pub(super) fn read_lines(file: impl Read, limits: &ReadLimits, each: Each<'_>) -> Result<()> {
    let mut lines = BufReader::with_capacity(1 << 16, file);
    let mut line = Vec::new();
    let source = Source { epsg: Some(crs::WGS84) };
    for number in 1u64.. {
        line.clear();
        let read = lines.by_ref().take(limits.feature_bytes + 1).read_until(b'\n', &mut line);
        if read.map_err(|e| Error::io("cannot read", e))? == 0 {
            break;
        }
        if line.len() as u64 > limits.feature_bytes {
            return Err(too_large(limits).while_doing(format!("line {number}")));
        }
        let text = line.strip_prefix(b"\x1e").unwrap_or(&line);
        if text.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let feature: Feature =
            serde_json::from_slice(text).map_err(|e| not_geojson(e).while_doing(format!("line {number}")))?;
        if let Some(record) = feature.record().map_err(|e| e.while_doing(format!("line {number}")))? {
            each(&source, record)?;
        }
    }
    Ok(())
}

fn not_geojson(error: serde_json::Error) -> Error {
    match error.is_io() {
        true => Error::io("cannot read", error.into()),
        false => Error::format(format!("no GeoJSON: {error}")),
    }
}

/// A reader that gives out no more than a number of bytes, which is set anew for each feature.
struct Metered<R> {
    inner: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(out)?;
        let left = self.left.get().checked_sub(n as u64);
        self.left.set(left.ok_or(io::Error::from(io::ErrorKind::FileTooLarge))?);
        Ok(n)
    }
}

/// The collection; its features are handed on as they are read.
struct Collection<'a, 'e> {
    limits: &'a ReadLimits,
    each: Each<'e>,
    left: Rc<Cell<u64>>,
    /// The error of `each`, which serde's errors have no place for.
    failed: &'a mut Option<Error>,
}

impl<'de> DeserializeSeed<'de> for Collection<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Collection<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a FeatureCollection")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let mut source = Source { epsg: Some(crs::WGS84) };
        let mut features = false;
        while let Some(name) = members.next_key::<String>()? {
            self.left.set(self.limits.feature_bytes);
            match name.as_str() {
                "type" => {
                    let kind = members.next_value::<String>()?;
                    if kind != "FeatureCollection" {
                        return Err(A::Error::custom(format!(
                            "a {kind} where a FeatureCollection is wanted"
                        )));
                    }
                }
                "crs" if features => return Err(A::Error::custom("\"crs\" behind the features it is for")),
                "crs" => source.epsg = epsg(&members.next_value()?).map_err(A::Error::custom)?,
                "features" => {
                    features = true;
                    members.next_value_seed(Features { source: &source, collection: &mut self })?;
                }
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        match features {
            true => Ok(()),
            false => Err(A::Error::custom("no \"features\"")),
        }
    }
}

/// The code in the "crs" member of the standard before RFC 7946.
fn epsg(crs: &serde_json::Value) -> Result<Option<u32>, String> {
    if crs.is_null() {
        return Ok(None);
    }
    let name = crs.pointer("/properties/name").and_then(|name| name.as_str()).unwrap_or_default();
    if name.ends_with("CRS84") {
        return Ok(Some(crs::WGS84));
    }
    let code = name.rsplit(':').next().and_then(|code| code.parse().ok()).filter(|_| name.contains("EPSG"));
    code.map(Some).ok_or_else(|| format!("\"crs\" is {crs}, which names no EPSG code"))
}

/// The array of features.
struct Features<'s, 'c, 'a, 'e> {
    source: &'s Source,
    collection: &'c mut Collection<'a, 'e>,
}

impl<'de> DeserializeSeed<'de> for Features<'_, '_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Features<'_, '_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of features")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Collection { limits, each, left, failed } = self.collection;
        loop {
            left.set(limits.feature_bytes);
            let Some(feature) = items.next_element::<Feature>()? else { return Ok(()) };
            let given = match feature.record() {
                Ok(None) => Ok(()),
                Ok(Some(record)) => each(self.source, record),
                Err(error) => Err(error),
            };
            if let Err(error) = given {
                **failed = Some(error);
                return Err(A::Error::custom("stopped"));
            }
        }
    }
}

#[derive(Deserialize)]
struct Feature {
    #[serde(rename = "type")]
    kind: String,
    geometry: Option<Shape>,
    #[serde(default)]
    properties: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Deserialize)]
struct Shape {
    #[serde(rename = "type")]
    kind: String,
    coordinates: Option<Nest>,
}

impl Feature {
    /// `None` for a feature that is nowhere.
    fn record(self) -> Result<Option<Record>> {
        if self.kind != "Feature" {
            return Err(Error::format(format!("a {} where a Feature is wanted", self.kind)));
        }
        let Some(shape) = self.geometry else { return Ok(None) };
        let Shape { kind, coordinates } = shape;
        let geometry = match (kind.as_str(), coordinates) {
            ("Point", Some(nest)) => nest.point().map(Geometry::Point),
            ("Polygon", Some(nest)) => nest.rings().map(Geometry::Polygon),
            ("MultiPolygon", Some(nest)) => nest.list(Nest::rings).map(Geometry::MultiPolygon),
            ("Point" | "Polygon" | "MultiPolygon", None) => None,
            _ => return Err(Error::unsupported(format!("a {kind}; points and polygons are read"))),
        };
        let geometry =
            geometry.ok_or_else(|| Error::format(format!("coordinates that are none of a {kind}")))?;
        let properties = self.properties.unwrap_or_default();
        let properties = properties.into_iter().map(|(key, value)| (key, value_of(value))).collect();
        Ok(Some(Record { geometry, properties }))
    }
}

fn value_of(value: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Integer(value.into()),
        Json::String(value) => Value::Text(value),
        Json::Number(number) => match number.as_i64() {
            Some(value) => Value::Integer(value),
            None => number.as_f64().map_or(Value::Null, Value::Real),
        },
        nested => Value::Text(nested.to_string()),
    }
}

/// Coordinates: numbers in lists in lists.
enum Nest {
    Number(f64),
    List(Vec<Nest>),
}

impl Nest {
    fn number(self) -> Option<f64> {
        match self {
            Self::Number(value) => Some(value),
            Self::List(_) => None,
        }
    }

    fn list<T>(self, item: impl Fn(Self) -> Option<T>) -> Option<Vec<T>> {
        match self {
            Self::List(items) => items.into_iter().map(item).collect(),
            Self::Number(_) => None,
        }
    }

    fn point(self) -> Option<[f64; 2]> {
        match self.list(Self::number)?.as_slice() {
            [x, y, ..] => Some([*x, *y]),
            _ => None,
        }
    }

    fn rings(self) -> Option<Vec<Ring>> {
        self.list(|ring| ring.list(Self::point))
    }
}

impl<'de> Deserialize<'de> for Nest {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Parts;
        impl<'de> Visitor<'de> for Parts {
            type Value = Nest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a list")
            }

            fn visit_f64<E>(self, value: f64) -> Result<Nest, E> {
                Ok(Nest::Number(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Nest, E> {
                Ok(Nest::Number(value as f64))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Nest, E> {
                Ok(Nest::Number(value as f64))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Nest, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Nest::List(list))
            }
        }
        json.deserialize_any(Parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: ReadLimits = ReadLimits { bytes: 1 << 20, feature_bytes: 1 << 18, features: 100 };

    fn collection(text: &str) -> Result<Vec<(Option<u32>, Record)>> {
        let mut found = Vec::new();
        read_collection(text.as_bytes(), &SMALL, &mut |source, record| {
            found.push((source.epsg, record));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn members_come_in_any_order_and_unknown_ones_are_passed_over() {
        let text = r#"{"bbox":[0,0,1,1],"features":[
            {"properties":{"a":1,"b":[1,{"c":null}],"d":true,"e":2.5,"f":null,"g":"x"},"id":7,
             "geometry":{"coordinates":[1,2.5,99],"type":"Point"},"type":"Feature"},
            {"type":"Feature","geometry":null},
            {"type":"Feature","geometry":{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,0]]]}}
            ],"x":{"features":[]},"type":"FeatureCollection"}"#;
        let found = collection(text).unwrap();
        assert_eq!(found.len(), 2);
        let (epsg, record) = &found[0];
        assert_eq!((*epsg, &record.geometry), (Some(4326), &Geometry::Point([1.0, 2.5])));
        assert_eq!(record.get("a"), &Value::Integer(1));
        assert_eq!(record.get("b"), &Value::Text("[1,{\"c\":null}]".into()));
        assert_eq!(record.get("d"), &Value::Integer(1));
        assert_eq!(record.get("e"), &Value::Real(2.5));
        assert_eq!(record.get("f"), &Value::Null);
        assert_eq!(record.get("none"), &Value::Null);
        assert_eq!(found[1].1.geometry.points().count(), 4);
    }

    #[test]
    fn the_older_standards_crs_is_understood() {
        let with = |crs: &str| {
            let point = r#"{"type":"Feature","geometry":{"type":"Point","coordinates":[5,6]}}"#;
            collection(&format!(r#"{{"type":"FeatureCollection","crs":{crs},"features":[{point}]}}"#))
        };
        let named = |name: &str| with(&format!(r#"{{"type":"name","properties":{{"name":"{name}"}}}}"#));
        assert_eq!(named("urn:ogc:def:crs:EPSG::32631").unwrap()[0].0, Some(32631));
        assert_eq!(named("urn:ogc:def:crs:OGC:1.3:CRS84").unwrap()[0].0, Some(4326));
        assert_eq!(with("null").unwrap()[0].0, None);
        assert!(named("mine").is_err());
    }

    #[test]
    fn what_is_no_collection_is_refused() {
        let deep = format!("{{\"features\":[{{\"geometry\":{{\"coordinates\":{}", "[".repeat(100_000));
        let large = format!("{{\"features\":[{{\"x\":\"{}", "x".repeat(SMALL.feature_bytes as usize));
        for (text, part) in [
            ("", "EOF"),
            ("[]", "FeatureCollection"),
            ("{}", "no \"features\""),
            (r#"{"type":"Feature"}"#, "a Feature where"),
            (
                r#"{"features":[{"type":"Feature","geometry":{"type":"Point","coordinates":[1]}}]}"#,
                "of a Point",
            ),
            (r#"{"features":[{"type":"Feature","geometry":{"type":"Point"}}]}"#, "of a Point"),
            (r#"{"features":[{"type":"Feature","geometry":{"type":"LineString"}}]}"#, "LineString"),
            (r#"{"features":[{"type":"Sheep","geometry":null}]}"#, "Sheep"),
            (r#"{"features":[]} x"#, "trailing"),
            (r#"{"features":[],"crs":null}"#, "behind the features"),
            (deep.as_str(), "recursion limit"),
            (large.as_str(), "262144 bytes"),
        ] {
            let message = collection(text).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn lines_are_features_with_or_without_separators() {
        let line = r#"{"type":"Feature","geometry":{"type":"Point","coordinates":[5,6]},"properties":{}}"#;
        let mut n = 0;
        let text = format!("{line}\n\n\x1e{line}\r\n{line}");
        read_lines(text.as_bytes(), &SMALL, &mut |source, record| {
            n += 1;
            assert_eq!((source.epsg, record.geometry), (Some(4326), Geometry::Point([5.0, 6.0])));
            Ok(())
        })
        .unwrap();
        assert_eq!(n, 3);
        let refuse = |text: &str, part: &str| {
            let message = read_lines(text.as_bytes(), &SMALL, &mut |_, _| Ok(())).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        };
        refuse(&format!("{line}\n{{"), "line 2");
        refuse(&"x".repeat(1 << 19), "262144 bytes");
        let stop = read_lines(text.as_bytes(), &SMALL, &mut |_, _| Err(Error::usage("enough")));
        assert_eq!(stop.unwrap_err().to_string(), "enough");
    }
}
