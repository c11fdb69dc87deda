//! The XML of a product and its granule, with the elements real ones have, and the product's folders.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::layers::Layer;
use super::product::write_file;
use super::schedule::{DemoSpec, Pass};
use super::spectra::BANDS;
use crate::error::{Error, Result};
use crate::raster::crs::PointTransform;

/// Path of an image inside its product.
pub fn image_path(pass: &Pass, layer: &str) -> String {
    format!("{}/IMG_DATA/{}.jp2", granule_path(pass), image_stem(pass, layer))
}

fn granule_path(pass: &Pass) -> String {
    format!("GRANULE/{}", granule_name(pass))
}

/// `L1C_T31UCQ_A036414_20220602T104031`; the orbit number is made up of the day.
fn granule_name(pass: &Pass) -> String {
    format!("L1C_T{}_A{:06}_{}", pass.tile, orbit(pass), pass.time)
}

fn orbit(pass: &Pass) -> u32 {
    let days = pass.acquisition.day as u32 + if pass.time.starts_with("2022") { 365 } else { 0 };
    30_000 + days * 143 / 10
}

fn image_stem(pass: &Pass, layer: &str) -> String {
    format!("T{}_{}_{layer}", pass.tile, pass.time)
}

/// Writes everything of a product but its images.
///
/// # Errors
/// `Io`, naming the file.
pub fn write(product: &Path, spec: &DemoSpec, pass: &Pass, layers: &[Layer]) -> Result<()> {
    let granule = product.join(granule_path(pass));
    for folder in [granule.join("IMG_DATA"), granule.join("QI_DATA"), product.join("DATASTRIP")] {
        fs::create_dir_all(&folder).map_err(|e| Error::io("cannot create", e).in_file(&folder))?;
    }
    write_file(&product.join("MTD_MSIL1C.xml"), product_xml(spec, pass, layers)?.as_bytes())?;
    write_file(&granule.join("MTD_TL.xml"), granule_xml(spec, pass).as_bytes())
}

fn product_xml(spec: &DemoSpec, pass: &Pass, layers: &[Layer]) -> Result<String> {
    let (name, time) = (pass.product_name(), pass.iso_time());
    let (major, minor) = pass.baseline;
    let satellite = if pass.mission == "S2A" { "Sentinel-2A" } else { "Sentinel-2B" };
    let orbit = orbit(pass);
    let images: String = layers.iter().map(|l| image_path(pass, l.name)).fold(String::new(), |text, path| {
        text + &format!("            <IMAGE_FILE>{}</IMAGE_FILE>\n", path.trim_end_matches(".jp2"))
    });
    let granule = format!("L1C_T{}_{}", pass.tile, pass.time);
    let clouds = 100.0 * pass.acquisition.cloud_cover;
    Ok(format!(
        r#"<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-1C_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-1C.xsd">
  <n1:General_Info>
    <Product_Info>
      <PRODUCT_START_TIME>{time}.024Z</PRODUCT_START_TIME>
      <PRODUCT_STOP_TIME>{time}.024Z</PRODUCT_STOP_TIME>
      <PRODUCT_URI>{name}.SAFE</PRODUCT_URI>
      <PROCESSING_LEVEL>Level-1C</PROCESSING_LEVEL>
      <PRODUCT_TYPE>S2MSI1C</PRODUCT_TYPE>
      <PROCESSING_BASELINE>{major:02}.{minor:02}</PROCESSING_BASELINE>
      <GENERATION_TIME>{time}.000000Z</GENERATION_TIME>
      <PREVIEW_IMAGE_URL>Not applicable: procedural scene made by swath demo</PREVIEW_IMAGE_URL>
      <Datatake datatakeIdentifier="G{mission}_{compact}_{orbit:06}_N{major:02}.{minor:02}">
        <SPACECRAFT_NAME>{satellite}</SPACECRAFT_NAME>
        <DATATAKE_TYPE>INS-NOBS</DATATAKE_TYPE>
        <DATATAKE_SENSING_START>{time}.024Z</DATATAKE_SENSING_START>
        <SENSING_ORBIT_NUMBER>8</SENSING_ORBIT_NUMBER>
        <SENSING_ORBIT_DIRECTION>DESCENDING</SENSING_ORBIT_DIRECTION>
      </Datatake>
      <Query_Options completeSingleTile="true">
        <PRODUCT_FORMAT>SAFE_COMPACT</PRODUCT_FORMAT>
      </Query_Options>
      <Product_Organisation>
        <Granule_List>
          <Granule datastripIdentifier="{datastrip}" granuleIdentifier="{granule}" imageFormat="JPEG2000">
{images}          </Granule>
        </Granule_List>
      </Product_Organisation>
    </Product_Info>
    <Product_Image_Characteristics>
      <Special_Values>
        <SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT>
        <SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX>
      </Special_Values>
      <Special_Values>
        <SPECIAL_VALUE_TEXT>SATURATED</SPECIAL_VALUE_TEXT>
        <SPECIAL_VALUE_INDEX>65535</SPECIAL_VALUE_INDEX>
      </Special_Values>
      <Image_Display_Order>
        <RED_CHANNEL>3</RED_CHANNEL>
        <GREEN_CHANNEL>2</GREEN_CHANNEL>
        <BLUE_CHANNEL>1</BLUE_CHANNEL>
      </Image_Display_Order>
      <QUANTIFICATION_VALUE unit="none">10000</QUANTIFICATION_VALUE>
{offsets}      <Spectral_Information_List>
{bands}      </Spectral_Information_List>
    </Product_Image_Characteristics>
  </n1:General_Info>
  <n1:Geometric_Info>
    <Product_Footprint>
      <Product_Footprint>
        <Global_Footprint>
          <EXT_POS_LIST>{footprint}</EXT_POS_LIST>
        </Global_Footprint>
      </Product_Footprint>
    </Product_Footprint>
    <Coordinate_Reference_System>
      <GEO_TABLES version="1">EPSG</GEO_TABLES>
      <HORIZONTAL_CS_TYPE>GEOGRAPHIC</HORIZONTAL_CS_TYPE>
    </Coordinate_Reference_System>
  </n1:Geometric_Info>
  <n1:Quality_Indicators_Info>
    <Cloud_Coverage_Assessment>{clouds:.2}</Cloud_Coverage_Assessment>
  </n1:Quality_Indicators_Info>
</n1:Level-1C_User_Product>
"#,
        mission = pass.mission,
        compact = pass.time,
        datastrip = datastrip(pass),
        offsets = offset_list(pass),
        bands = band_list(),
        footprint = footprint(spec, pass)?,
    ))
}

fn datastrip(pass: &Pass) -> String {
    format!(
        "{}_OPER_MSI_L1C_DS_DEMO_{}_S{}_N{:02}.{:02}",
        pass.mission, pass.time, pass.time, pass.baseline.0, pass.baseline.1
    )
}

fn offset_list(pass: &Pass) -> String {
    if pass.offset() == 0 {
        return String::new();
    }
    let mut text = "      <Radiometric_Offset_List>\n".to_owned();
    for band in 0..BANDS.len() {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "        <RADIO_ADD_OFFSET band_id=\"{band}\">-{}</RADIO_ADD_OFFSET>",
            pass.offset()
        );
    }
    text + "      </Radiometric_Offset_List>\n"
}

fn band_list() -> String {
    BANDS.iter().zip(super::BAND_METRES).enumerate().fold(String::new(), |text, (id, (band, metres))| {
        // Spectral information names bands without padding: B1, B8A.
        let name = band.replace("B0", "B");
        text + &format!(
            "        <Spectral_Information bandId=\"{id}\" physicalBand=\"{name}\"><RESOLUTION>{metres}</RESOLUTION></Spectral_Information>\n"
        )
    })
}

/// Latitude and longitude of the corners, closed.
fn footprint(spec: &DemoSpec, pass: &Pass) -> Result<String> {
    let side = spec.size as f64;
    let mut corners = [(0.0, 0.0), (side, 0.0), (side, side), (0.0, side), (0.0, 0.0)]
        .map(|(c, r)| pass.georef.transform.apply(c, r));
    PointTransform::new(pass.georef.epsg, 4326)?.apply(&mut corners);
    Ok(corners.map(|(lon, lat)| format!("{lat:.9} {lon:.9}")).join(" "))
}

fn granule_xml(spec: &DemoSpec, pass: &Pass) -> String {
    let (x, y) = pass.georef.transform.apply(0.0, 0.0);
    let zone = pass.georef.epsg % 100;
    let grids = [10, 20, 60].map(|metres| {
        let side = spec.size * 10 / metres;
        format!(
            "      <Size resolution=\"{metres}\"><NROWS>{side}</NROWS><NCOLS>{side}</NCOLS></Size>\n\
             \x20     <Geoposition resolution=\"{metres}\"><ULX>{x}</ULX><ULY>{y}</ULY><XDIM>{metres}</XDIM><YDIM>-{metres}</YDIM></Geoposition>\n"
        )
    });
    format!(
        r#"<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-1C_Tile_ID xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/S2_PDI_Level-1C_Tile_Metadata.xsd">
  <n1:General_Info>
    <TILE_ID metadataLevel="Brief">{mission}_OPER_MSI_L1C_TL_DEMO_{time}_A{orbit:06}_T{tile}_N{major:02}.{minor:02}</TILE_ID>
    <DATASTRIP_ID metadataLevel="Standard">{datastrip}</DATASTRIP_ID>
    <SENSING_TIME metadataLevel="Standard">{iso}.127Z</SENSING_TIME>
  </n1:General_Info>
  <n1:Geometric_Info>
    <Tile_Geocoding metadataLevel="Brief">
      <HORIZONTAL_CS_NAME>WGS84 / UTM zone {zone}N</HORIZONTAL_CS_NAME>
      <HORIZONTAL_CS_CODE>EPSG:{epsg}</HORIZONTAL_CS_CODE>
{grids}    </Tile_Geocoding>
    <Tile_Angles metadataLevel="Standard">
      <Mean_Sun_Angle>
        <ZENITH_ANGLE unit="deg">30.0</ZENITH_ANGLE>
        <AZIMUTH_ANGLE unit="deg">155.0</AZIMUTH_ANGLE>
      </Mean_Sun_Angle>
    </Tile_Angles>
  </n1:Geometric_Info>
  <n1:Quality_Indicators_Info metadataLevel="Standard">
    <Image_Content_QI>
      <CLOUDY_PIXEL_PERCENTAGE>{clouds:.2}</CLOUDY_PIXEL_PERCENTAGE>
    </Image_Content_QI>
  </n1:Quality_Indicators_Info>
</n1:Level-1C_Tile_ID>
"#,
        mission = pass.mission,
        time = pass.time,
        orbit = orbit(pass),
        tile = pass.tile,
        major = pass.baseline.0,
        minor = pass.baseline.1,
        datastrip = datastrip(pass),
        iso = pass.iso_time(),
        epsg = pass.georef.epsg,
        grids = grids.concat(),
        clouds = 100.0 * pass.acquisition.cloud_cover,
    )
}
