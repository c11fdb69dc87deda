//! Sentinel-2 products as they are delivered: `.SAFE` folders and zips of them, levels 1C and 2A.
//!
//! Image files are found by listing the product, never by paths its XML names, so nothing outside the
//! product is ever opened. XML is bounded in size and in nodes before it is looked at.

mod names;
mod store;
mod xml;

use std::path::{Path, PathBuf};

pub use names::{band_name, FileName};
pub use store::Store;
pub use xml::{Baseline, GranuleMeta, ProductMeta, TileGrid};

use crate::error::{Error, InFile, Result};

/// One image file of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFile {
    /// Canonical band name: `TCI`, `B02`, `B8A`.
    pub band: &'static str,
    /// Pixel size in metres: by the file's name or folder, else the band's native one.
    pub resolution: u32,
    /// Path inside the product, with `/`.
    pub path: String,
}

/// A Sentinel-2 product of one granule.
#[derive(Debug)]
pub struct Product {
    /// Where its files are.
    pub store: Store,
    /// What the product's XML says.
    pub meta: ProductMeta,
    /// What the granule's XML says; `None` when the product has none (an incomplete copy).
    pub granule: Option<GranuleMeta>,
    /// Image files, sorted by band and resolution.
    pub images: Vec<ImageFile>,
    /// The product's name, without `.SAFE`.
    pub name: String,
}

/// Whether a path is a product: a folder with a product's files, or a zip that holds one.
pub fn is_product(path: &Path) -> bool {
    if path.is_dir() {
        return path.join("GRANULE").is_dir();
    }
    let zip = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("zip"));
    zip && path.is_file()
}

impl Product {
    /// Opens a `.SAFE` folder or a zip of one.
    ///
    /// # Errors
    /// `Io`, `Format` for damaged zips and XML, `Unsupported` for products of several granules.
    pub fn open(path: &Path) -> Result<Self> {
        let store = Store::open(path)?;
        let list = store.list().in_file(path)?;
        let granule_folder = only_granule(&list).in_file(path)?;
        let meta = match product_xml(&list) {
            Some(file) => xml::product(&store.read_text(file)?).in_file(store.display(file))?,
            None => ProductMeta::default(),
        };
        let granule = match granule_xml(&list, &granule_folder) {
            Some(file) => Some(xml::granule(&store.read_text(file)?).in_file(store.display(file))?),
            None => None,
        };
        let images = images(&list, &granule_folder);
        if images.is_empty() {
            return Err(Error::format(format!("no image files under {granule_folder}IMG_DATA")).in_file(path));
        }
        let name = product_name(path, &store);
        Ok(Self { store, meta, granule, images, name })
    }

    /// Level (`1C` or `2A`), by the XML or by the product's name.
    pub fn level(&self) -> Option<&str> {
        let by_name = ["1C", "2A"].into_iter().find(|level| self.name.contains(&format!("MSIL{level}")));
        self.meta.level.as_deref().or(by_name)
    }

    /// Sensing time (ISO 8601): the granule's, else the product's, else the one in its name.
    pub fn sensing_time(&self) -> Option<String> {
        let granule = self.granule.as_ref().and_then(|g| g.sensing_time.clone());
        granule.or_else(|| self.meta.start_time.clone()).or_else(|| FileName::parse(&self.name).time)
    }

    /// Processing baseline, by the XML or by the product's name.
    pub fn baseline(&self) -> Option<Baseline> {
        self.meta.baseline.or(FileName::parse(&self.name).baseline)
    }

    /// Path of an image, for messages.
    pub fn display(&self, image: &ImageFile) -> PathBuf {
        self.store.display(&image.path)
    }
}

fn product_name(path: &Path, store: &Store) -> String {
    let of = |path: &Path| path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let name = match store.root() {
        "" => of(path),
        root => root.trim_end_matches('/').to_owned(),
    };
    let name = name.strip_suffix(".SAFE").unwrap_or(&name);
    if name.is_empty() || name == "." {
        return path.canonicalize().map(|p| of(&p)).unwrap_or_default();
    }
    name.to_owned()
}

/// The one folder under `GRANULE/`, with a final `/`.
fn only_granule(list: &[String]) -> Result<String> {
    let mut folders: Vec<&str> = list
        .iter()
        .filter_map(|f| f.strip_prefix("GRANULE/")?.split_once('/').map(|(name, _)| name))
        .collect();
    folders.sort_unstable();
    folders.dedup();
    match folders.as_slice() {
        [one] => Ok(format!("GRANULE/{one}/")),
        [] => Err(Error::format("no Sentinel-2 product: there is nothing under GRANULE/")),
        many => Err(Error::unsupported(format!(
            "a product of {} granules (before December 2016); give the files of one granule's IMG_DATA folder",
            many.len()
        ))),
    }
}

fn product_xml(list: &[String]) -> Option<&str> {
    let is_meta = |f: &&String| {
        !f.contains('/') && f.ends_with(".xml") && (f.starts_with("MTD_MSIL") || f.contains("_MTD_SAFL"))
    };
    list.iter().find(is_meta).map(String::as_str)
}

fn granule_xml<'a>(list: &'a [String], folder: &str) -> Option<&'a str> {
    let is_meta = |f: &&String| {
        f.strip_prefix(folder).is_some_and(|rest| {
            !rest.contains('/') && rest.ends_with(".xml") && (rest == "MTD_TL.xml" || rest.contains("_MTD_"))
        })
    };
    list.iter().find(is_meta).map(String::as_str)
}

fn images(list: &[String], folder: &str) -> Vec<ImageFile> {
    let image = |path: &String| {
        let inside = path.strip_prefix(folder)?.strip_prefix("IMG_DATA/")?;
        let stem = Path::new(inside).file_stem()?.to_str()?;
        let extension = Path::new(inside).extension()?.to_str()?.to_ascii_lowercase();
        if !["jp2", "tif", "tiff"].contains(&extension.as_str()) {
            return None;
        }
        let name = FileName::parse(stem);
        let band = name.band?;
        let by_folder = inside.strip_prefix('R').and_then(|r| r.split_once("m/")?.0.parse().ok());
        let resolution = name.resolution.or(by_folder).unwrap_or_else(|| names::native_resolution(band));
        Some(ImageFile { band, resolution, path: path.clone() })
    };
    let mut images: Vec<ImageFile> = list.iter().filter_map(image).collect();
    images.sort_by(|a, b| (a.band, a.resolution, &a.path).cmp(&(b.band, b.resolution, &b.path)));
    images
}
