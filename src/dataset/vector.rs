//! The benchmark's labels and predictions: `vector.json`, points, polygons and lines by category, in 8192 units
//! a tile.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::json::{self, list, number, pair, short};
use crate::error::{Error, InFile, Result};

/// Most points of one ring or line.
const MAX_POINTS: usize = 1 << 16;
/// Coordinates lie within plus and minus this.
const FARTHEST: f64 = (1u64 << 30) as f64;

/// Where a feature is.
#[derive(Debug, Clone, PartialEq)]
pub enum Geometry {
    /// A place.
    Point([f64; 2]),
    /// Rings, the exterior first.
    Polygon(Vec<Vec<[f64; 2]>>),
    /// A line.
    Polyline(Vec<[f64; 2]>),
}

/// A labelled or predicted object.
#[derive(Debug, Clone, PartialEq)]
pub struct Feature {
    /// Where it is; `None` where that is of a kind not known here.
    pub geometry: Option<Geometry>,
    /// What is known of it.
    pub properties: Map<String, Value>,
}

/// Features by category. A category without any is annotated, and absent.
pub type Vector = BTreeMap<String, Vec<Feature>>;

/// Reads a `vector.json`.
///
/// # Errors
/// `Io`, `Limit`, `Format`; all name the file.
pub fn read_vector(path: &Path) -> Result<Vector> {
    let root = json::read(path)?;
    let Some(root) = root.as_object() else {
        return Err(Error::format("no object of categories").in_file(path));
    };
    let mut vector = Vector::new();
    for (category, features) in root.iter().filter(|(_, features)| features.is_array()) {
        let features: Result<Vec<Feature>> = list(features).iter().map(feature).collect();
        vector.insert(category.clone(), features.map_err(|e| e.while_doing(category)).in_file(path)?);
    }
    Ok(vector)
}

fn feature(value: &Value) -> Result<Feature> {
    let properties = value["Properties"].as_object().cloned().unwrap_or_default();
    let at = &value["Geometry"];
    let geometry = match at["Type"].as_str() {
        Some("point") => Some(Geometry::Point(place(&at["Point"])?)),
        Some("polygon") => {
            Some(Geometry::Polygon(list(&at["Polygon"]).iter().map(places).collect::<Result<_>>()?))
        }
        Some("polyline") => Some(Geometry::Polyline(places(&at["Polyline"])?)),
        Some(_) => None,
        None => return Err(Error::format(format!("{} has no Geometry with a Type", short(value)))),
    };
    Ok(Feature { geometry, properties })
}

fn place(value: &Value) -> Result<[f64; 2]> {
    let place = pair(value, number)?;
    match place.iter().all(|v| v.abs() <= FARTHEST) {
        true => Ok(place),
        false => Err(Error::format(format!("{} is far from any tile", short(value)))),
    }
}

fn places(value: &Value) -> Result<Vec<[f64; 2]>> {
    let points = list(value);
    match points.len() <= MAX_POINTS {
        true => points.iter().map(place).collect(),
        false => Err(Error::limit(format!("a line of {} points; at most {MAX_POINTS}", points.len()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn what_is_no_feature_is_refused_with_its_category() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = |text: &str| {
            std::fs::write(file.path(), text).unwrap();
            read_vector(file.path())
        };
        let point = r#"{"metadata": {"Start": "x"}, "silo": [], "dam": [{"Geometry": {"Type": "point", "Point": [1, 2.5]}, "Properties": {"a": "b"}}, {"Geometry": {"Type": "cube"}}]}"#;
        let vector = read(point).unwrap();
        assert_eq!(vector.keys().collect::<Vec<_>>(), ["dam", "silo"]);
        assert_eq!(vector["dam"][0].geometry, Some(Geometry::Point([1.0, 2.5])));
        assert_eq!(vector["dam"][1].geometry, None);
        for bad in [
            "[]",
            "{",
            r#"{"dam": [5]}"#,
            r#"{"dam": [{"Geometry": {"Type": "point", "Point": [1]}}]}"#,
            r#"{"dam": [{"Geometry": {"Type": "point", "Point": [1e300, 1]}}]}"#,
            r#"{"dam": [{"Geometry": {"Type": "polyline", "Polyline": [["x", 1]]}}]}"#,
        ] {
            assert_eq!(read(bad).unwrap_err().kind(), Kind::Format, "{bad}");
        }
    }
}
