//! Small Sentinel-2 products whose every pixel is a linear function of its place, so that any correct
//! interpolation gives the function's value at the position asked for.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use swath::raster::crs::PointTransform;
use swath::raster::jp2::encode::{encode, EncodeSpec};
use swath::raster::{GeoTransform, Georef, Samples};
use swath::tile::Rect;

/// Zone the function is defined in, and its origin there.
pub const ZONE: u32 = 32631;
pub const ORIGIN: (f64, f64) = (699_960.0, 5_400_000.0);
/// Columns and rows at 10 m; 20 m and 60 m divide them.
pub const SIZE: (usize, usize) = (120, 96);

/// Digital number (offset removed) at a place of zone 31: some 7 per 10 m eastwards, 5 southwards.
pub fn field(band: &str, e: f64, n: f64) -> f64 {
    let start = 2000.0 + 10.0 * band.bytes().map(f64::from).sum::<f64>();
    start + 0.7 * (e - ORIGIN.0) + 0.5 * (ORIGIN.1 - n)
}

pub struct Made {
    pub level: &'static str,
    pub baseline: &'static str,
    pub time: &'static str,
    pub epsg: u32,
    pub corner: (f64, f64),
    /// What the product's numbers have in addition, as its XML says.
    pub offset: i32,
    /// Pixels (10 m) from the western edge without data.
    pub nodata: usize,
    /// Whether the images carry GMLJP2.
    pub gml: bool,
    pub bands: &'static [(&'static str, u32)],
}

impl Default for Made {
    fn default() -> Self {
        Self {
            level: "1C",
            baseline: "02.08",
            time: "20200102T103421",
            epsg: ZONE,
            corner: ORIGIN,
            offset: 0,
            nodata: 0,
            gml: true,
            bands: &[("TCI", 10), ("B02", 10), ("B05", 20), ("B01", 60)],
        }
    }
}

impl Made {
    pub fn name(&self) -> String {
        let baseline = self.baseline.replace('.', "");
        format!("S2A_MSIL{}_{}_N{baseline}_R008_T31UGQ_{}", self.level, self.time, self.time)
    }

    pub fn transform(&self, metres: u32) -> GeoTransform {
        GeoTransform::north_up(self.corner.0, self.corner.1, f64::from(metres), -f64::from(metres))
    }

    /// Writes `NAME.SAFE` into a folder.
    pub fn write(&self, parent: &Path) -> PathBuf {
        let root = parent.join(format!("{}.SAFE", self.name()));
        let granule = root.join("GRANULE/L1C_T31UGQ_A000001_X");
        fs::create_dir_all(granule.join("IMG_DATA")).unwrap();
        fs::write(root.join(format!("MTD_MSIL{}.xml", self.level)), self.product_xml()).unwrap();
        fs::write(granule.join("MTD_TL.xml"), self.granule_xml()).unwrap();
        for &(band, metres) in self.bands {
            let (folder, tail) = match self.level {
                "2A" => (granule.join(format!("IMG_DATA/R{metres}m")), format!("_{metres}m")),
                _ => (granule.join("IMG_DATA"), String::new()),
            };
            fs::create_dir_all(&folder).unwrap();
            let file = folder.join(format!("T31UGQ_{}_{band}{tail}.jp2", self.time));
            fs::write(file, self.jp2(band, metres)).unwrap();
        }
        root
    }

    fn jp2(&self, band: &str, metres: u32) -> Vec<u8> {
        let n = metres as usize / 10;
        let (width, height) = ((SIZE.0 / n) as u32, (SIZE.1 / n) as u32);
        let tci = band == "TCI";
        let mut spec = EncodeSpec::new(width, height, if tci { 3 } else { 1 }, if tci { 8 } else { 16 });
        spec.tile = 64;
        spec.resolutions = 3;
        spec.georef = self.gml.then(|| Georef { epsg: self.epsg, transform: self.transform(metres) });
        let mut out = Vec::new();
        encode(&spec, &mut |rect| Ok(self.samples(band, metres, rect)), &mut out).unwrap();
        out
    }

    fn samples(&self, band: &str, metres: u32, rect: Rect) -> Samples {
        let to_zone = PointTransform::new(self.epsg, ZONE).unwrap();
        let mut values = Vec::new();
        for y in rect.y0..rect.y1 {
            for x in rect.x0..rect.x1 {
                let (e, n) = self.transform(metres).apply(x as f64 + 0.5, y as f64 + 0.5);
                let (e, n) = to_zone.point(e, n).unwrap();
                let data = x as usize * metres as usize / 10 >= self.nodata;
                values.push(if data { field(band, e, n) } else { f64::NAN });
            }
        }
        if band == "TCI" {
            // 1..=255, the darkest real value being 1.
            let grey =
                |v: &f64| [if v.is_nan() { 0 } else { (v / 100.0).round().clamp(1.0, 255.0) as u8 }; 3];
            return Samples::U8(values.iter().flat_map(grey).collect());
        }
        let stored = |v: &f64| if v.is_nan() { 0 } else { (v.round() as i32 - self.offset) as u16 };
        Samples::U16(values.iter().map(stored).collect())
    }

    fn product_xml(&self) -> String {
        let tag = if self.level == "2A" { "BOA_ADD_OFFSET" } else { "RADIO_ADD_OFFSET" };
        let offsets: String = (0..13)
            .filter(|_| self.offset != 0)
            .map(|id| format!("<{tag} band_id=\"{id}\">{}</{tag}>", self.offset))
            .collect();
        format!(
            "<n1:Product xmlns:n1=\"x\"><n1:General_Info><Product_Info>\
             <PRODUCT_START_TIME>{time}</PRODUCT_START_TIME><PROCESSING_LEVEL>Level-{level}</PROCESSING_LEVEL>\
             <PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE></Product_Info>\
             <Product_Image_Characteristics><Special_Values><SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT>\
             <SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX></Special_Values>\
             <QUANTIFICATION_VALUE>10000</QUANTIFICATION_VALUE><List>{offsets}</List>\
             </Product_Image_Characteristics></n1:General_Info></n1:Product>",
            time = self.iso(),
            level = self.level,
            baseline = self.baseline,
        )
    }

    fn iso(&self) -> String {
        let t = self.time;
        format!("{}-{}-{}T{}:{}:{}.024Z", &t[..4], &t[4..6], &t[6..8], &t[9..11], &t[11..13], &t[13..15])
    }

    fn granule_xml(&self) -> String {
        let grids: String = [10, 20, 60]
            .map(|m| {
                let (columns, rows) = (SIZE.0 * 10 / m, SIZE.1 * 10 / m);
                format!(
                    "<Size resolution=\"{m}\"><NROWS>{rows}</NROWS><NCOLS>{columns}</NCOLS></Size>\
                     <Geoposition resolution=\"{m}\"><ULX>{}</ULX><ULY>{}</ULY><XDIM>{m}</XDIM><YDIM>-{m}</YDIM>\
                     </Geoposition>",
                    self.corner.0, self.corner.1
                )
            })
            .concat();
        format!(
            "<n1:Tile xmlns:n1=\"x\"><SENSING_TIME>{}</SENSING_TIME><Tile_Geocoding>\
             <HORIZONTAL_CS_CODE>EPSG:{}</HORIZONTAL_CS_CODE>{grids}</Tile_Geocoding></n1:Tile>",
            self.iso(),
            self.epsg
        )
    }
}

/// Packs a product into a zip.
pub fn zipped(root: &Path, method: zip::CompressionMethod) -> PathBuf {
    let path = root.with_extension("SAFE.zip");
    let mut writer = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap().path();
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            let name = entry.strip_prefix(root.parent().unwrap()).unwrap().to_str().unwrap().to_owned();
            writer.start_file(name, options).unwrap();
            writer.write_all(&fs::read(&entry).unwrap()).unwrap();
        }
    }
    writer.finish().unwrap();
    path
}
