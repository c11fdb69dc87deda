//! Coordinate systems described in PROJJSON (version 0.7), for formats that hold no bare EPSG code.
//! Names and numbers are those of the EPSG dataset.

use serde_json::{json, Value};

/// A method's name and code, its parameters by code and value, and the axes' abbreviations.
struct Projection {
    name: String,
    base: Value,
    method: (&'static str, u32),
    parameters: Vec<(u32, f64)>,
    axes: [&'static str; 2],
}

/// The description of a system; `None` for one that is not known.
pub(super) fn projjson(epsg: u32) -> Option<Value> {
    if let Some(mut base) = base(epsg) {
        base["type"] = json!("GeographicCRS");
        return Some(base);
    }
    let Projection { name, base, method, parameters, axes } = projection(epsg)?;
    let parameters: Vec<Value> = parameters.iter().map(|(code, value)| parameter(*code, *value)).collect();
    let axis = axes.map(|short| match short {
        "E" | "X" => {
            json!({ "name": "Easting", "abbreviation": short, "direction": "east", "unit": "metre" })
        }
        _ => json!({ "name": "Northing", "abbreviation": short, "direction": "north", "unit": "metre" }),
    });
    Some(json!({
        "type": "ProjectedCRS",
        "name": name,
        "base_crs": base,
        "conversion": {
            "name": name.split(" / ").last(),
            "method": { "name": method.0, "id": id(method.1) },
            "parameters": parameters,
        },
        "coordinate_system": { "subtype": "Cartesian", "axis": axis },
        "id": id(epsg),
    }))
}

fn id(code: u32) -> Value {
    json!({ "authority": "EPSG", "code": code })
}

/// A system of latitude and longitude.
fn base(epsg: u32) -> Option<Value> {
    let (name, datum, flattening) = match epsg {
        4326 => ("WGS 84", "World Geodetic System 1984", 298.257_223_563),
        4258 => ("ETRS89", "European Terrestrial Reference System 1989", 298.257_222_101),
        4269 => ("NAD83", "North American Datum 1983", 298.257_222_101),
        4171 => ("RGF93 v1", "Reseau Geodesique Francais 1993 v1", 298.257_222_101),
        _ => return None,
    };
    let ellipsoid = if epsg == 4326 { "WGS 84" } else { "GRS 1980" };
    Some(json!({
        "name": name,
        "datum": {
            "type": "GeodeticReferenceFrame",
            "name": datum,
            "ellipsoid": { "name": ellipsoid, "semi_major_axis": 6_378_137, "inverse_flattening": flattening },
        },
        "coordinate_system": {
            "subtype": "ellipsoidal",
            "axis": [
                { "name": "Geodetic latitude", "abbreviation": "Lat", "direction": "north", "unit": "degree" },
                { "name": "Geodetic longitude", "abbreviation": "Lon", "direction": "east", "unit": "degree" },
            ],
        },
        "id": id(epsg),
    }))
}

fn projection(epsg: u32) -> Option<Projection> {
    let utm = |base_code: u32, zone: u32, south: bool| {
        let base = base(base_code)?;
        let half = if south { "S" } else { "N" };
        Some(Projection {
            name: format!("{} / UTM zone {zone}{half}", base["name"].as_str()?),
            base,
            method: ("Transverse Mercator", 9807),
            parameters: vec![
                (8801, 0.0),
                (8802, f64::from(zone) * 6.0 - 183.0),
                (8805, 0.9996),
                (8806, 500_000.0),
                (8807, if south { 10_000_000.0 } else { 0.0 }),
            ],
            axes: ["E", "N"],
        })
    };
    let other = |name: &str, base_code: u32, method, parameters: &[(u32, f64)], axes| {
        Some(Projection {
            name: name.into(),
            base: base(base_code)?,
            method,
            parameters: parameters.to_vec(),
            axes,
        })
    };
    match epsg {
        32601..=32660 => utm(4326, epsg - 32600, false),
        32701..=32760 => utm(4326, epsg - 32700, true),
        25828..=25838 => utm(4258, epsg - 25800, false),
        26901..=26923 => utm(4269, epsg - 26900, false),
        crate::raster::crs::WEB_MERCATOR => other(
            "WGS 84 / Pseudo-Mercator",
            4326,
            ("Popular Visualisation Pseudo Mercator", 1024),
            &[(8801, 0.0), (8802, 0.0), (8806, 0.0), (8807, 0.0)],
            ["X", "Y"],
        ),
        3035 => other(
            "ETRS89-extended / LAEA Europe",
            4258,
            ("Lambert Azimuthal Equal Area", 9820),
            &[(8801, 52.0), (8802, 10.0), (8806, 4_321_000.0), (8807, 3_210_000.0)],
            ["Y", "X"],
        ),
        2154 => other(
            "RGF93 v1 / Lambert-93",
            4171,
            ("Lambert Conic Conformal (2SP)", 9802),
            &[(8821, 46.5), (8822, 3.0), (8823, 49.0), (8824, 44.0), (8826, 700_000.0), (8827, 6_600_000.0)],
            ["X", "Y"],
        ),
        _ => None,
    }
}

/// A parameter of a projection: degrees for angles, metres for lengths, a number for a scale.
fn parameter(code: u32, value: f64) -> Value {
    let (name, unit) = match code {
        8801 => ("Latitude of natural origin", "degree"),
        8802 => ("Longitude of natural origin", "degree"),
        8805 => ("Scale factor at natural origin", "unity"),
        8806 => ("False easting", "metre"),
        8807 => ("False northing", "metre"),
        8821 => ("Latitude of false origin", "degree"),
        8822 => ("Longitude of false origin", "degree"),
        8823 => ("Latitude of 1st standard parallel", "degree"),
        8824 => ("Latitude of 2nd standard parallel", "degree"),
        8826 => ("Easting at false origin", "metre"),
        _ => ("Northing at false origin", "metre"),
    };
    json!({ "name": name, "value": value, "unit": unit, "id": id(code) })
}
