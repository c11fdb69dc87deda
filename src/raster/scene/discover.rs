//! From the paths people give to dates: which file belongs to which date, and what its name says.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, InFile, Result};
use crate::raster::npy::{self, NpySource};
use crate::raster::safe::{is_product, FileName, Product};
use crate::raster::{open, open_path, BlockSource, Bytes, OpenOptions};

/// Most dates of one stack.
const MAX_PAGES: usize = 1000;
/// Most files looked at in one folder.
const MAX_FILES: usize = 100_000;

/// A file that may hold bands of a date.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// For messages.
    pub path: PathBuf,
    /// What the name says; the band is `None` for stacked and single images.
    pub band: Option<&'static str>,
    /// Pixel size by name or product, in metres.
    pub resolution: Option<u32>,
    /// Path inside the product.
    entry: Option<String>,
    /// Which date of a file that holds several.
    page: Option<usize>,
}

/// The files of one date.
#[derive(Debug, Clone)]
pub struct DateFiles {
    /// Sensing time (ISO 8601), where known.
    pub time: Option<String>,
    /// Name for messages where there is no time.
    pub name: String,
    /// The product they belong to.
    pub product: Option<Arc<Product>>,
    /// What is known of loose files from names of files and folders.
    pub hints: FileName,
    /// Files, in order of name.
    pub files: Vec<Candidate>,
}

impl DateFiles {
    /// Bytes of one of the files.
    ///
    /// # Errors
    /// As [`Bytes::map`], and `Unsupported` for an image compressed inside a zip.
    pub fn bytes(&self, file: &Candidate) -> Result<Bytes> {
        match (&self.product, &file.entry) {
            (Some(product), Some(entry)) => product.store.bytes(entry),
            _ => Bytes::map(&file.path),
        }
    }

    /// Opens one of the files.
    ///
    /// # Errors
    /// As [`open`].
    pub fn open(&self, file: &Candidate, options: &OpenOptions) -> Result<Box<dyn BlockSource>> {
        match (&file.entry, file.page) {
            (Some(_), _) => open(self.bytes(file)?, &file.path, options),
            (None, None) => open_path(&file.path, options),
            (None, Some(page)) => {
                let source = NpySource::open(Bytes::map(&file.path)?, &file.path, page, options);
                Ok(Box::new(source.in_file(&file.path)?))
            }
        }
    }

    /// Date-time to the second, or the name.
    pub fn label(&self) -> String {
        self.time.as_ref().map_or_else(|| self.name.clone(), |t| t.chars().take(19).collect())
    }

    fn of_product(path: &Path) -> Result<Self> {
        let product = Arc::new(Product::open(path)?);
        let files = product.images.iter().map(|image| Candidate {
            path: product.display(image),
            band: Some(image.band),
            resolution: Some(image.resolution),
            entry: Some(image.path.clone()),
            page: None,
        });
        let files = files.collect();
        let (time, name) = (product.sensing_time(), product.name.clone());
        Ok(Self { time, hints: FileName::parse(&name), name, product: Some(product), files })
    }
}

/// All dates of the inputs: products (folders and zips), folders of products or of loose bands, and single
/// files. Sorted by sensing time; dates without one keep their order and come last.
///
/// # Errors
/// `Io` for what is not there, `Usage` for a folder without images, and what opening products says.
pub fn discover(inputs: &[PathBuf]) -> Result<Vec<DateFiles>> {
    let mut dates = Vec::new();
    let mut loose = Vec::new();
    for input in inputs {
        let kind = fs::metadata(input).map_err(|e| Error::io("cannot open", e).in_file(input))?;
        if is_product(input) {
            dates.push(DateFiles::of_product(input)?);
        } else if kind.is_dir() {
            dates.extend(of_folder(input)?);
        } else if input.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy")) {
            dates.extend(of_stack(input)?);
        } else {
            loose.push(input.clone());
        }
    }
    dates.extend(group(&loose));
    if dates.is_empty() {
        return Err(Error::usage(
            "no scene given; give .SAFE folders or zips, folders of bands, or image files",
        ));
    }
    dates.sort_by(|a, b| (a.time.is_none(), &a.time).cmp(&(b.time.is_none(), &b.time)));
    Ok(dates)
}

/// The products in a folder, or else its loose images.
fn of_folder(folder: &Path) -> Result<Vec<DateFiles>> {
    let read = |e| Error::io("cannot read the folder", e).in_file(folder);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(read)? {
        paths.push(entry.map_err(read)?.path());
        if paths.len() > MAX_FILES {
            return Err(Error::limit(format!("a folder of over {MAX_FILES} files")).in_file(folder));
        }
    }
    paths.sort();
    let safe = |p: &&PathBuf| {
        let name = p.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        is_product(p) && (p.is_dir() || name.starts_with("S2") || name.contains(".SAFE"))
    };
    let products: Vec<&PathBuf> = paths.iter().filter(safe).collect();
    if !products.is_empty() {
        return products.into_iter().map(|p| DateFiles::of_product(p)).collect();
    }
    let mut images: Vec<PathBuf> = paths.into_iter().filter(|p| is_image(p)).collect();
    // In a folder of band files, files that name no band are masks, scene classifications and the like.
    let named = |p: &PathBuf| name_of(p).band.is_some();
    if images.iter().any(named) {
        images.retain(named);
    }
    if images.is_empty() {
        return Err(
            Error::usage("no .SAFE product and no .jp2, .tif or .png image in this folder").in_file(folder)
        );
    }
    Ok(group(&images))
}

/// The dates of a stack of NumPy's, in its order.
fn of_stack(path: &Path) -> Result<Vec<DateFiles>> {
    let pages = npy::dates(&Bytes::map(path)?).in_file(path)?;
    if pages > MAX_PAGES {
        return Err(Error::limit(format!("a stack of {pages} dates (at most {MAX_PAGES})")).in_file(path));
    }
    let hints = name_of(path);
    let date = |page: usize| {
        let name = format!("{} {}", path.file_name().unwrap_or_default().to_string_lossy(), page + 1);
        let file = Candidate {
            path: path.to_path_buf(),
            band: None,
            resolution: None,
            entry: None,
            page: Some(page),
        };
        DateFiles { time: None, name, product: None, hints: hints.clone(), files: vec![file] }
    };
    Ok((0..pages).map(date).collect())
}

fn is_image(path: &Path) -> bool {
    const EXTENSIONS: [&str; 6] = ["jp2", "j2k", "tif", "tiff", "png", "jpx"];
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    path.is_file() && EXTENSIONS.contains(&extension.as_str())
}

fn name_of(path: &Path) -> FileName {
    FileName::parse(&path.file_stem().unwrap_or_default().to_string_lossy())
}

/// What makes loose band files one date: folder, time and tile.
type Key = (PathBuf, Option<String>, Option<String>);

/// Groups loose files into dates. A file that names no band is a date of its own; files that do belong
/// together when they share folder, time and tile, and, where that gives a band twice, the rest of their names.
fn group(paths: &[PathBuf]) -> Vec<DateFiles> {
    let mut groups: BTreeMap<Key, Vec<(&PathBuf, FileName)>> = BTreeMap::new();
    let mut dates = Vec::new();
    for path in paths {
        let name = name_of(path);
        if name.band.is_none() {
            dates.push(of_files(vec![(path, name)]));
            continue;
        }
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        groups.entry((folder, name.time.clone(), name.tile.clone())).or_default().push((path, name));
    }
    for files in groups.into_values() {
        let mut seen: Vec<_> = files.iter().map(|(_, n)| (n.band, n.resolution)).collect();
        seen.sort_unstable();
        let twice = seen.windows(2).any(|pair| pair.first() == pair.last());
        if !twice {
            dates.push(of_files(files));
            continue;
        }
        let mut by_rest: BTreeMap<String, Vec<_>> = BTreeMap::new();
        files.into_iter().for_each(|f| by_rest.entry(f.1.rest.clone()).or_default().push(f));
        dates.extend(by_rest.into_values().map(of_files));
    }
    dates
}

/// One date of loose files; the folders they lie in may name time, tile and baseline.
fn of_files(files: Vec<(&PathBuf, FileName)>) -> DateFiles {
    let mut hints = FileName::default();
    let mut name = String::new();
    if let Some((path, file)) = files.first() {
        let folders = path.ancestors().skip(1).take(4);
        let folders = folders.map(|f| FileName::parse(&f.file_name().unwrap_or_default().to_string_lossy()));
        for source in std::iter::once(file.clone()).chain(folders) {
            hints.time = hints.time.or(source.time);
            hints.tile = hints.tile.or(source.tile);
            hints.baseline = hints.baseline.or(source.baseline);
        }
        let parent = path.parent().and_then(Path::file_name);
        let label = if file.rest.is_empty() { parent } else { path.file_stem() };
        name = label.or(path.file_stem()).unwrap_or_default().to_string_lossy().into_owned();
    }
    let mut files: Vec<Candidate> = files
        .into_iter()
        .map(|(path, n)| Candidate {
            path: path.clone(),
            band: n.band,
            resolution: n.resolution,
            entry: None,
            page: None,
        })
        .collect();
    files.sort_by(|a, b| (a.band, a.resolution, &a.path).cmp(&(b.band, b.resolution, &b.path)));
    DateFiles { time: hints.time.clone(), name, product: None, hints, files }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"x").unwrap();
        }
        folder
    }

    fn found(names: &[&str]) -> Vec<(String, usize)> {
        let folder = folder(names);
        let dates = discover(&[folder.path().join("in")]).unwrap();
        dates.iter().map(|d| (d.label(), d.files.len())).collect()
    }

    #[test]
    fn loose_bands_are_grouped_by_date_and_sorted() {
        let dates = found(&[
            "in/T29RKH_20210219T111949_B04.jp2",
            "in/T29RKH_20210219T111949_TCI.jp2",
            "in/T29RKH_20200219T111949_B04.jp2",
            "in/notes.txt",
            "in/clouds.tif",
        ]);
        assert_eq!(dates, [("2020-02-19T11:19:49".into(), 1), ("2021-02-19T11:19:49".into(), 2)]);
    }

    #[test]
    fn a_folder_of_plain_names_is_one_date() {
        assert_eq!(found(&["in/B02.jp2", "in/B03.jp2", "in/preview_tci.jp2"]), [("in".into(), 3)]);
        assert_eq!(found(&["in/a_tci.tif", "in/b_tci.tif"]), [("a_tci".into(), 1), ("b_tci".into(), 1)]);
        assert_eq!(found(&["in/x.png", "in/2020-01-02.png"]), [("2020-01-02".into(), 1), ("x".into(), 1)]);
    }

    #[test]
    fn products_and_their_folders_are_recognised() {
        let files = [
            "in/S2A_MSIL1C_20200102T000000_N0208_R001_T31UDQ_20200102T000001.SAFE/GRANULE/L1C/IMG_DATA/X_B02.jp2",
            "in/S2A_MSIL1C_20190102T000000_N0208_R001_T31UDQ_20190102T000001.SAFE/GRANULE/L1C/IMG_DATA/X_B02.jp2",
            "in/S2A_MSIL1C_20190102T000000_N0208_R001_T31UDQ_20190102T000001.SAFE/GRANULE/L1C/IMG_DATA/X_TCI.jp2",
        ];
        assert_eq!(found(&files), [("2019-01-02T00:00:00".into(), 2), ("2020-01-02T00:00:00".into(), 1)]);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let error = discover(&["no/such/scene".into()]).unwrap_err().to_string();
        assert!(error.starts_with("no/such/scene: cannot open"), "{error}");
        let folder = folder(&["readme.txt"]);
        assert!(discover(&[folder.path().to_path_buf()]).unwrap_err().to_string().contains("no .SAFE"));
        assert!(discover(&[]).is_err());
    }
}
