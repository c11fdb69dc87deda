//! GeoJSON (RFC 7946) as one collection or as one feature a line, written as features come.
//!
//! Coordinates have seven decimals, about a centimetre. The collection's `bbox` follows its features, and runs from
//! a larger to a smaller longitude where that is the narrower way around. A layer without a coordinate system keeps
//! its own coordinates, marked by the older standard's `"crs": null`.

use std::fmt::Write;
use std::path::Path;

use super::lonlat::ToLonLat;
use super::part_file::PartFile;
use super::{Feature, FeatureSink, Geometry, Layer, Ring, Value, EMPTY};
use crate::error::{InFile, Result};

/// Decimals of a coordinate.
const DECIMALS: usize = 7;

/// A GeoJSON file being written.
#[derive(Debug)]
pub(super) struct GeoJsonSink {
    out: PartFile,
    layer: Layer,
    /// `None` where coordinates stay as they are.
    to_lonlat: Option<ToLonLat>,
    lines: bool,
    extent: Extent,
    features: u64,
    text: String,
}

impl GeoJsonSink {
    pub fn create(path: &Path, layer: &Layer, lines: bool, overwrite: bool) -> Result<Self> {
        let to_lonlat = layer.epsg.map(ToLonLat::new).transpose()?;
        let mut out = PartFile::create(path, overwrite)?;
        if !lines {
            out.put(head(layer).as_bytes())?;
        }
        let layer = layer.clone();
        Ok(Self { out, layer, to_lonlat, lines, extent: Extent::default(), features: 0, text: String::new() })
    }

    fn feature(&mut self, feature: &Feature) -> Result<()> {
        self.layer.check(feature)?;
        let converted = self.to_lonlat.as_ref().map(|to| to.geometry(&feature.geometry)).transpose()?;
        let geometry = converted.as_ref().unwrap_or(&feature.geometry);
        self.extent.add(geometry);
        let text = &mut self.text;
        text.clear();
        text.push_str(match (self.lines, self.features) {
            (true, _) | (_, 0) => "",
            _ => ",\n",
        });
        text.push_str("{\"type\":\"Feature\",\"geometry\":");
        put_geometry(text, geometry);
        text.push_str(",\"properties\":{");
        for (k, (field, value)) in self.layer.fields.iter().zip(&feature.values).enumerate() {
            text.push_str(if k == 0 { "" } else { "," });
            put_text(text, &field.name);
            text.push(':');
            put_value(text, value);
        }
        text.push_str(if self.lines { "}}\n" } else { "}}" });
        self.features += 1;
        self.out.put(text.as_bytes())
    }
}

impl FeatureSink for GeoJsonSink {
    fn write(&mut self, feature: &Feature) -> Result<()> {
        self.feature(feature).in_file(self.out.path())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        if !self.lines {
            let mut tail = String::from("\n]");
            if let Some([west, south, east, north]) = self.extent.bbox(self.to_lonlat.is_some()) {
                tail.push_str(",\n\"bbox\":[");
                put_numbers(&mut tail, &[west, south, east, north]);
                tail.push(']');
            }
            tail.push_str("}\n");
            self.out.put(tail.as_bytes())?;
        }
        self.out.finish()
    }
}

/// What stands before a collection's first feature.
fn head(layer: &Layer) -> String {
    let mut text = String::from("{\"type\":\"FeatureCollection\",\n\"name\":");
    put_text(&mut text, &layer.name);
    if layer.epsg.is_none() {
        text.push_str(",\n\"crs\":null");
    }
    if !layer.metadata.is_empty() {
        text.push_str(",\n\"metadata\":{");
        for (k, (key, value)) in layer.metadata.iter().enumerate() {
            text.push_str(if k == 0 { "" } else { "," });
            put_text(&mut text, key);
            text.push(':');
            put_text(&mut text, value);
        }
        text.push('}');
    }
    text.push_str(",\n\"features\":[\n");
    text
}

fn put_geometry(text: &mut String, geometry: &Geometry) {
    match geometry {
        Geometry::Point(point) => {
            text.push_str("{\"type\":\"Point\",\"coordinates\":");
            put_position(text, point);
        }
        Geometry::Polygon(rings) => {
            text.push_str("{\"type\":\"Polygon\",\"coordinates\":");
            put_rings(text, rings);
        }
        Geometry::MultiPolygon(polygons) => {
            text.push_str("{\"type\":\"MultiPolygon\",\"coordinates\":");
            put_list(text, polygons, |text, rings| put_rings(text, rings));
        }
    }
    text.push('}');
}

fn put_rings(text: &mut String, rings: &[Ring]) {
    put_list(text, rings, |text, ring| put_list(text, ring, put_position));
}

fn put_position(text: &mut String, point: &[f64; 2]) {
    text.push('[');
    put_numbers(text, point);
    text.push(']');
}

fn put_list<T>(text: &mut String, items: &[T], put: impl Fn(&mut String, &T)) {
    text.push('[');
    for (k, item) in items.iter().enumerate() {
        text.push_str(if k == 0 { "" } else { "," });
        put(text, item);
    }
    text.push(']');
}

fn put_numbers(text: &mut String, numbers: &[f64]) {
    for (k, number) in numbers.iter().enumerate() {
        text.push_str(if k == 0 { "" } else { "," });
        let start = text.len();
        // Writing to a string cannot fail.
        let _ = write!(text, "{number:.DECIMALS$}");
        let kept = text[start..].trim_end_matches('0').trim_end_matches('.').len();
        text.truncate(start + kept);
        if &text[start..] == "-0" {
            text.remove(start);
        }
    }
}

fn put_value(text: &mut String, value: &Value) {
    match value {
        Value::Text(value) => put_text(text, value),
        // The shortest form that reads back as the same number; JSON has none for what is not finite.
        Value::Real(value) if value.is_finite() => {
            text.push_str(&serde_json::Value::from(*value).to_string())
        }
        Value::Integer(value) => text.push_str(&value.to_string()),
        Value::Real(_) | Value::Null => text.push_str("null"),
    }
}

fn put_text(text: &mut String, value: &str) {
    text.push_str(&serde_json::Value::from(value).to_string());
}

/// Where all features lie. Longitudes are held twice, between -180 and 180 and between 0 and 360: of a narrow layer
/// that crosses one meridian the other range is narrow.
#[derive(Debug)]
struct Extent {
    plain: [f64; 4],
    turned: [f64; 2],
}

impl Default for Extent {
    fn default() -> Self {
        Self { plain: EMPTY, turned: [EMPTY[0], EMPTY[2]] }
    }
}

impl Extent {
    fn add(&mut self, geometry: &Geometry) {
        // A part at a time: the one that ends at 180 and the one that goes on at -180 are turned differently.
        for b in geometry.bounds_of_parts() {
            let p = &mut self.plain;
            *p = [p[0].min(b[0]), p[1].min(b[1]), p[2].max(b[2]), p[3].max(b[3])];
            let turn = |lon: f64, west: f64| if west < 0.0 { lon + 360.0 } else { lon };
            // What lies across the meridian of Greenwich is wide in this range.
            let (west, east) =
                if b[0] < 0.0 && b[2] > 0.0 { (0.0, 360.0) } else { (turn(b[0], b[0]), turn(b[2], b[0])) };
            self.turned = [self.turned[0].min(west), self.turned[1].max(east)];
        }
    }

    /// `[west, south, east, north]`; `None` of nothing.
    fn bbox(&self, round: bool) -> Option<[f64; 4]> {
        let [west, south, east, north] = self.plain;
        let [from, to] = self.turned;
        let plain = west <= east;
        let wrapped = round && to - from < east - west;
        plain.then_some(match wrapped {
            true => [from, south, to - 360.0, north],
            false => [west, south, east, north],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{create, Field, FieldKind};
    use super::*;

    fn written(name: &str, layer: &Layer, features: &[Feature]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let mut sink = create(&path, layer, false).unwrap();
        features.iter().for_each(|f| sink.write(f).unwrap());
        sink.finish().unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        std::fs::read_to_string(path).unwrap()
    }

    fn points(lons: &[f64]) -> Vec<Feature> {
        lons.iter()
            .map(|lon| Feature { geometry: Geometry::Point([*lon, 1.0]), values: Vec::new() })
            .collect()
    }

    #[test]
    fn a_collection_reads_as_it_was_meant() {
        let fields = vec![
            Field::new("category", FieldKind::Text),
            Field::new("score", FieldKind::Real),
            Field::new("n", FieldKind::Integer),
        ];
        let mut layer = Layer::new("tur\"bines", Some(32631), fields);
        layer.metadata = vec![("model".into(), "a\nb".into())];
        let values =
            |score: f64| vec![Value::Text("wind \u{1}".into()), Value::Real(score), Value::Integer(-3)];
        let features = [
            Feature { geometry: Geometry::Point([5e5, 5e6]), values: values(0.5) },
            Feature { geometry: Geometry::rectangle(5e5, 5e6, 5.001e5, 5.0001e6), values: values(f64::NAN) },
        ];
        let text = written("a.geojson", &layer, &features);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["name"], "tur\"bines");
        assert_eq!(json["metadata"]["model"], "a\nb");
        assert_eq!(json["features"][0]["geometry"]["coordinates"][0], 3.0);
        assert_eq!(json["features"][0]["properties"]["category"], "wind \u{1}");
        assert_eq!(json["features"][0]["properties"]["score"], 0.5);
        assert!(json["features"][1]["properties"]["score"].is_null());
        assert_eq!(json["features"][1]["geometry"]["coordinates"][0].as_array().unwrap().len(), 5);
        assert_eq!(json["bbox"][0], 3.0);
        let lines = written("a.ndjson", &layer, &features);
        let lines: Vec<serde_json::Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(json["features"].as_array().unwrap(), &lines);
    }

    #[test]
    fn nothing_is_a_collection_too() {
        let text = written("a.json", &Layer::new("none", Some(4326), Vec::new()), &[]);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["features"], serde_json::json!([]));
        assert!(json.get("bbox").is_none());
        assert_eq!(written("a.ndjson", &Layer::new("none", None, Vec::new()), &[]), "");
    }

    #[test]
    fn the_bbox_goes_the_narrower_way_around() {
        let bbox = |lons: &[f64]| {
            let text = written("a.geojson", &Layer::new("p", Some(4326), Vec::new()), &points(lons));
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            [json["bbox"][0].as_f64().unwrap(), json["bbox"][2].as_f64().unwrap()]
        };
        assert_eq!(bbox(&[-10.0, 20.0]), [-10.0, 20.0]);
        assert_eq!(bbox(&[170.0, -175.0]), [170.0, -175.0]);
        assert_eq!(bbox(&[-0.00000001, 0.0]), [0.0, 0.0]);
    }

    #[test]
    fn a_layer_without_a_system_keeps_its_coordinates_and_says_so() {
        let text = written("a.geojson", &Layer::new("p", None, Vec::new()), &points(&[1234.5]));
        assert!(text.contains("\"crs\":null") && text.contains("[1234.5,1]"), "{text}");
    }

    #[test]
    fn what_does_not_fit_is_refused_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.geojson");
        let layer = Layer::new("p", Some(32631), vec![Field::new("score", FieldKind::Real)]);
        let mut sink = create(&path, &layer, false).unwrap();
        let mut refuse = |geometry: Geometry, values: Vec<Value>, part: &str| {
            let error = sink.write(&Feature { geometry, values }).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("a.geojson"), "{error}");
        };
        let place = Geometry::Point([5e5, 5e6]);
        refuse(place.clone(), vec![], "0 values");
        refuse(place.clone(), vec![Value::Integer(1)], "score");
        refuse(Geometry::Point([f64::NAN, 0.0]), vec![Value::Null], "no number");
        refuse(Geometry::Polygon(vec![vec![[0.0, 0.0]; 3]]), vec![Value::Null], "four points");
        refuse(Geometry::MultiPolygon(vec![]), vec![Value::Null], "four points");
        drop(sink);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        std::fs::write(&path, "old").unwrap();
        assert_eq!(create(&path, &layer, false).err().unwrap().kind(), crate::Kind::Usage);
        assert!(create(folder.path().join("a.shp"), &layer, false)
            .err()
            .unwrap()
            .to_string()
            .contains(".geojson"));
        create(&path, &layer, true).unwrap().finish().unwrap();
        assert_ne!(std::fs::read_to_string(&path).unwrap(), "old");
    }
}
