//! The product's and granule's XML: time, baseline, radiometric offsets, the tile's place.

use std::collections::BTreeMap;
use std::fmt;

use roxmltree::{Document, Node, ParsingOptions};

use super::names::band_name;
use crate::error::{Error, Result};
use crate::raster::{crs, GeoTransform};

/// Most elements and attributes a metadata file may have (real ones have some ten thousand).
const MAX_NODES: u32 = 2_000_000;
/// Deepest nesting a metadata file may have (real ones reach ten).
const MAX_DEPTH: usize = 100;

/// Version of the ground segment's processor, `04.00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Baseline {
    /// Major number.
    pub major: u8,
    /// Minor number.
    pub minor: u8,
}

impl Baseline {
    /// The first whose digital numbers carry an offset (25 January 2022).
    pub const WITH_OFFSET: Self = Self { major: 4, minor: 0 };

    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once('.')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}.{:02}", self.major, self.minor)
    }
}

/// What a product's XML (`MTD_MSIL1C.xml`, `MTD_MSIL2A.xml`) says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProductMeta {
    /// `1C` or `2A`.
    pub level: Option<String>,
    /// Start of sensing, ISO 8601.
    pub start_time: Option<String>,
    /// Processing baseline.
    pub baseline: Option<Baseline>,
    /// Digital numbers per unit of reflectance.
    pub quantification: Option<f64>,
    /// Offset to add to each band's digital numbers (-1000 from baseline 04.00 on), by canonical band name.
    pub offsets: BTreeMap<&'static str, f64>,
    /// The digital number that means "no data".
    pub nodata: Option<f64>,
    /// `Sentinel-2A`.
    pub spacecraft: Option<String>,
}

/// The tile's grid at one resolution.
#[derive(Debug, Clone, PartialEq)]
pub struct TileGrid {
    /// Metres.
    pub resolution: u32,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Pixel corners to coordinates.
    pub transform: GeoTransform,
}

/// What a granule's XML (`MTD_TL.xml`) says.
#[derive(Debug, Clone, PartialEq)]
pub struct GranuleMeta {
    /// Identifier of the tile.
    pub tile_id: Option<String>,
    /// Mean sensing time, ISO 8601.
    pub sensing_time: Option<String>,
    /// EPSG code of the tile's coordinate system.
    pub epsg: u32,
    /// Grids, by resolution.
    pub grids: Vec<TileGrid>,
}

fn parse(text: &str) -> Result<Document<'_>> {
    let options = ParsingOptions { nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    check_depth(text)?;
    Document::parse_with_options(text, options).map_err(|e| Error::format(format!("damaged XML: {e}")))
}

/// Refuses nesting no metadata file has, before a parser that could recurse sees it.
fn check_depth(text: &str) -> Result<()> {
    let mut depth = 0_usize;
    for tag in text.split('<').skip(1) {
        let inner = tag.split('>').next().unwrap_or_default();
        match inner.as_bytes().first() {
            Some(b'/') => depth = depth.saturating_sub(1),
            Some(b'?' | b'!') | None => {}
            Some(_) if inner.ends_with('/') => {}
            Some(_) => depth += 1,
        }
        if depth > MAX_DEPTH {
            return Err(Error::limit(format!("XML nested deeper than {MAX_DEPTH} elements")));
        }
    }
    Ok(())
}

/// Text of the first element of a name, at any depth (prefixes of namespaces do not count).
fn text_of(document: &Document, name: &str) -> Option<String> {
    elements(document, name).find_map(|n| text(&n))
}

fn elements<'a>(document: &'a Document, name: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
    document.descendants().filter(move |n| n.is_element() && n.tag_name().name() == name)
}

fn child<'a>(node: &Node<'a, 'a>, name: &str) -> Option<String> {
    node.children().find(|n| n.tag_name().name() == name).and_then(|n| text(&n))
}

fn text(node: &Node) -> Option<String> {
    node.text().map(|t| t.trim().to_owned()).filter(|t| !t.is_empty())
}

fn number(text: Option<String>) -> Option<f64> {
    text?.parse().ok().filter(|v: &f64| v.is_finite())
}

/// Reads a product's XML. What is missing is left out; what contradicts the format is an error.
///
/// # Errors
/// `Format` for damaged XML, `Limit` for absurd sizes.
pub fn product(text: &str) -> Result<ProductMeta> {
    let document = parse(text)?;
    let level = text_of(&document, "PROCESSING_LEVEL")
        .and_then(|l| ["1C", "2A"].into_iter().find(|known| l.ends_with(known)).map(str::to_owned));
    let quantification = ["QUANTIFICATION_VALUE", "BOA_QUANTIFICATION_VALUE"]
        .into_iter()
        .find_map(|name| number(text_of(&document, name)));
    let baseline = text_of(&document, "PROCESSING_BASELINE").and_then(|b| Baseline::parse(&b));
    Ok(ProductMeta {
        level,
        start_time: text_of(&document, "DATATAKE_SENSING_START")
            .or_else(|| text_of(&document, "PRODUCT_START_TIME"))
            .filter(|t| is_time(t)),
        baseline,
        quantification,
        offsets: offsets(&document)?,
        nodata: nodata(&document),
        spacecraft: text_of(&document, "SPACECRAFT_NAME"),
    })
}

/// `RADIO_ADD_OFFSET` (level 1C) and `BOA_ADD_OFFSET` (level 2A), by band.
fn offsets(document: &Document) -> Result<BTreeMap<&'static str, f64>> {
    let bands = bands_by_id(document);
    let mut offsets = BTreeMap::new();
    for node in ["RADIO_ADD_OFFSET", "BOA_ADD_OFFSET"].into_iter().flat_map(|name| elements(document, name)) {
        let id = node.attribute("band_id").unwrap_or_default();
        let band = bands.get(id).copied().or_else(|| default_band(id)).ok_or_else(|| {
            Error::format(format!("{} names band_id {id:?}, which is no band", node.tag_name().name()))
        })?;
        let value = number(text(&node)).filter(|v| v.abs() <= 65_535.0).ok_or_else(|| {
            Error::format(format!("{} of band {band} is no number", node.tag_name().name()))
        })?;
        offsets.insert(band, value);
    }
    Ok(offsets)
}

/// The product's own list of bands (`Spectral_Information`).
fn bands_by_id<'a>(document: &'a Document) -> BTreeMap<&'a str, &'static str> {
    elements(document, "Spectral_Information")
        .filter_map(|n| Some((n.attribute("bandId")?, band_name(n.attribute("physicalBand")?)?)))
        .collect()
}

/// Order of band identifiers where a product does not list them.
fn default_band(id: &str) -> Option<&'static str> {
    const ORDER: [&str; 13] =
        ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12"];
    ORDER.get(id.parse::<usize>().ok()?).copied()
}

fn nodata(document: &Document) -> Option<f64> {
    elements(document, "Special_Values")
        .find(|n| child(n, "SPECIAL_VALUE_TEXT").as_deref() == Some("NODATA"))
        .and_then(|n| number(child(&n, "SPECIAL_VALUE_INDEX")))
}

/// Reads a granule's XML.
///
/// # Errors
/// `Format` for damaged XML and a tile without a place, `Limit` for absurd sizes.
pub fn granule(text: &str) -> Result<GranuleMeta> {
    let document = parse(text)?;
    let code = text_of(&document, "HORIZONTAL_CS_CODE")
        .ok_or_else(|| Error::format("the granule's XML has no HORIZONTAL_CS_CODE"))?;
    let epsg = crs::parse(&code)?;
    let mut grids = Vec::new();
    for size in elements(&document, "Size") {
        if let Some(grid) = tile_grid(&document, &size)? {
            grids.push(grid);
        }
    }
    if grids.is_empty() {
        return Err(Error::format("the granule's XML has no Tile_Geocoding with Size and Geoposition"));
    }
    Ok(GranuleMeta {
        tile_id: text_of(&document, "TILE_ID"),
        sensing_time: text_of(&document, "SENSING_TIME").filter(|t| is_time(t)),
        epsg,
        grids,
    })
}

fn tile_grid(document: &Document, size: &Node) -> Result<Option<TileGrid>> {
    let Some(resolution) = size.attribute("resolution") else { return Ok(None) };
    let place = elements(document, "Geoposition").find(|n| n.attribute("resolution") == Some(resolution));
    let Some(place) = place else { return Ok(None) };
    let field = |node: &Node, name: &str| {
        let found = node.children().find(|n| n.tag_name().name() == name).and_then(|n| text(&n));
        number(found).filter(|v| v.abs() < 1e9).ok_or_else(|| {
            Error::format(format!("{name} of the {resolution} m grid is missing or no number"))
        })
    };
    let (rows, columns) = (field(size, "NROWS")?, field(size, "NCOLS")?);
    let (dx, dy) = (field(&place, "XDIM")?, field(&place, "YDIM")?);
    let sides_fit = [rows, columns].iter().all(|v| (1.0..=1e6).contains(v));
    let metres = resolution.parse().ok().filter(|_| sides_fit && dx > 0.0 && dy < 0.0);
    let Some(resolution) = metres else {
        return Err(Error::format(format!(
            "the {resolution} m grid has {columns}×{rows} pixels of {dx}×{dy} m, which is no tile"
        )));
    };
    Ok(Some(TileGrid {
        resolution,
        width: columns as usize,
        height: rows as usize,
        transform: GeoTransform::north_up(field(&place, "ULX")?, field(&place, "ULY")?, dx, dy),
    }))
}

/// `2020-02-19T11:19:49...`
fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let shape = b"dddd-dd-ddTdd:dd:dd";
    text.len() <= 40
        && bytes.len() >= shape.len()
        && shape.iter().zip(bytes).all(|(s, b)| if *s == b'd' { b.is_ascii_digit() } else { s == b })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<n1:Level-1C_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-1C.xsd">
 <n1:General_Info><Product_Info>
  <PRODUCT_START_TIME>2022-05-14T10:36:29.024Z</PRODUCT_START_TIME>
  <PROCESSING_LEVEL>Level-1C</PROCESSING_LEVEL><PROCESSING_BASELINE>04.00</PROCESSING_BASELINE>
  <Datatake><SPACECRAFT_NAME>Sentinel-2B</SPACECRAFT_NAME></Datatake></Product_Info>
  <Product_Image_Characteristics>
   <Special_Values><SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT><SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX></Special_Values>
   <Special_Values><SPECIAL_VALUE_TEXT>SATURATED</SPECIAL_VALUE_TEXT><SPECIAL_VALUE_INDEX>65535</SPECIAL_VALUE_INDEX></Special_Values>
   <QUANTIFICATION_VALUE unit="none">10000</QUANTIFICATION_VALUE>
   <Radiometric_Offset_List><RADIO_ADD_OFFSET band_id="0">-1000</RADIO_ADD_OFFSET>
    <RADIO_ADD_OFFSET band_id="8">-1001</RADIO_ADD_OFFSET></Radiometric_Offset_List>
   <Spectral_Information_List><Spectral_Information bandId="0" physicalBand="B1"/></Spectral_Information_List>
  </Product_Image_Characteristics></n1:General_Info></n1:Level-1C_User_Product>"#;

    const GRANULE: &str = r#"<n1:Level-1C_Tile_ID xmlns:n1="x"><n1:General_Info>
  <TILE_ID>S2B_OPER_MSI_L1C_TL_2BPS_20220514T124045_A027089_T31UDQ_N04.00</TILE_ID>
  <SENSING_TIME metadataLevel="Standard">2022-05-14T10:46:31.4Z</SENSING_TIME></n1:General_Info>
 <n1:Geometric_Info><Tile_Geocoding><HORIZONTAL_CS_NAME>WGS84 / UTM zone 31N</HORIZONTAL_CS_NAME>
  <HORIZONTAL_CS_CODE>EPSG:32631</HORIZONTAL_CS_CODE>
  <Size resolution="10"><NROWS>10980</NROWS><NCOLS>10980</NCOLS></Size>
  <Size resolution="20"><NROWS>5490</NROWS><NCOLS>5490</NCOLS></Size>
  <Geoposition resolution="10"><ULX>399960</ULX><ULY>5400000</ULY><XDIM>10</XDIM><YDIM>-10</YDIM></Geoposition>
  <Geoposition resolution="20"><ULX>399960</ULX><ULY>5400000</ULY><XDIM>20</XDIM><YDIM>-20</YDIM></Geoposition>
 </Tile_Geocoding></n1:Geometric_Info></n1:Level-1C_Tile_ID>"#;

    #[test]
    fn a_product_of_baseline_4() {
        let meta = product(PRODUCT).unwrap();
        assert_eq!(meta.level.as_deref(), Some("1C"));
        assert_eq!(meta.baseline, Some(Baseline::WITH_OFFSET));
        assert_eq!(meta.quantification, Some(10000.0));
        assert_eq!(meta.offsets, BTreeMap::from([("B01", -1000.0), ("B8A", -1001.0)]));
        assert_eq!(meta.nodata, Some(0.0));
        assert_eq!(meta.start_time.as_deref(), Some("2022-05-14T10:36:29.024Z"));
    }

    #[test]
    fn a_granule() {
        let meta = granule(GRANULE).unwrap();
        assert_eq!((meta.epsg, meta.grids.len()), (32631, 2));
        assert_eq!(meta.grids[1].transform, GeoTransform::north_up(399_960.0, 5_400_000.0, 20.0, -20.0));
        assert_eq!((meta.grids[0].width, meta.grids[1].height), (10980, 5490));
        assert_eq!(meta.sensing_time.as_deref(), Some("2022-05-14T10:46:31.4Z"));
    }

    #[test]
    fn damaged_and_hostile_xml_is_refused() {
        for cut in 0..GRANULE.len() {
            assert!(granule(&GRANULE[..cut]).is_err(), "cut at {cut}");
        }
        let deep = "<a>".repeat(200_000);
        assert!(granule(&deep).unwrap_err().to_string().contains("nested"));
        let bomb = r#"<!DOCTYPE a [<!ENTITY x "xxxxxxxx"><!ENTITY y "&x;&x;&x;">]><a>&y;</a>"#;
        assert!(product(bomb).is_err());
        for (from, to) in [
            ("<ULX>399960<", "<ULX>1e99<"),
            ("<NROWS>10980<", "<NROWS>-1<"),
            ("<NCOLS>10980<", "<NCOLS>99999999999<"),
            ("<XDIM>10<", "<XDIM>0<"),
            ("<YDIM>-10<", "<YDIM>NaN<"),
            ("EPSG:32631", "EPSG:0"),
        ] {
            assert!(granule(&GRANULE.replace(from, to)).is_err(), "{to}");
        }
        assert!(product(&PRODUCT.replace(">-1001<", ">lots<")).is_err());
        assert!(product(&PRODUCT.replace("band_id=\"8\"", "band_id=\"99\"")).is_err());
    }
}
