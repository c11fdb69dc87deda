//! Writes passes as `.SAFE` products: the landscape is recorded band of rows by band of rows into one spool
//! file an image, then every image is coded as JPEG 2000. Memory does not grow with the products' size.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::landscape::World;
use super::layers::{block_halo, record, Layer};
use super::schedule::{DemoSpec, Pass};
use super::sensor::Survey;
use super::{metadata, TRUTH_METRES};
use crate::error::{Error, InFile, Result};
use crate::raster::crs::PointTransform;
use crate::raster::jp2::encode::{encode, EncodeSpec};
use crate::raster::{Georef, Samples};
use crate::tile::Rect;

/// Side of a block that one thread records at a time, pixels of 10 m: whole pixels of 20 and 60 m.
const BLOCK: usize = 192;

/// What a demo has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// Units of work done: bands of rows recorded and images coded.
    pub done: usize,
    /// Units in all.
    pub total: usize,
}

/// Makes the products of `spec` in `folder` (created if need be) and returns their paths in time order.
/// A folder that already holds this very demo is left as it is.
///
/// # Errors
/// `Usage` for a specification that cannot be made, or a folder that holds another demo; `Io`.
pub fn make(folder: &Path, spec: &DemoSpec, progress: &(dyn Fn(Made) + Sync)) -> Result<Vec<PathBuf>> {
    let passes = spec.passes()?;
    let mut paths: Vec<PathBuf> =
        passes.iter().map(|p| folder.join(format!("{}.SAFE", p.product_name()))).collect();
    paths.sort_by_key(|p| p.file_name().map(|n| n.to_string_lossy().split('_').nth(2).map(str::to_owned)));
    let marker = folder.join("demo.txt");
    let wanted = format!("swath {} {spec:?}\n", env!("CARGO_PKG_VERSION"));
    if let Ok(found) = fs::read_to_string(&marker) {
        if found != wanted {
            return Err(Error::usage("another demo is in this folder; give another folder, or remove it")
                .in_file(folder));
        }
        if paths.iter().all(|p| p.is_dir()) {
            return Ok(paths);
        }
    }
    fs::create_dir_all(folder).map_err(|e| Error::io("cannot create the folder", e).in_file(folder))?;
    write_file(&marker, wanted.as_bytes())?;
    let layers = Layer::of_product(spec.all_bands);
    let bands = spec.size.div_ceil(BLOCK);
    let grids = group_by_grid(&passes);
    let total = bands * grids.len() + passes.len() * layers.len();
    let done = std::sync::atomic::AtomicUsize::new(0);
    let tick = || {
        let done = 1 + done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        progress(Made { done, total });
    };
    let world = World::new(spec.seed);
    for passes in grids {
        let mut spools = Spool::create_all(folder, &passes, &layers, spec.size)?;
        for band in 0..bands {
            record_rows(&world, spec, &passes, &layers, band, &mut spools)?;
            tick();
        }
        write_products(folder, spec, &passes, &layers, spools, &tick)?;
    }
    Ok(paths)
}

/// Passes that share a grid see the same survey.
fn group_by_grid(passes: &[Pass]) -> Vec<Vec<&Pass>> {
    let mut groups: Vec<Vec<&Pass>> = Vec::new();
    for pass in passes {
        match groups.iter_mut().find(|g| g.first().is_some_and(|p| p.georef == pass.georef)) {
            Some(group) => group.push(pass),
            None => groups.push(vec![pass]),
        }
    }
    groups
}

/// An image's raw samples, row after row, until it is coded. Removed when dropped.
struct Spool {
    path: PathBuf,
    file: BufWriter<File>,
    layer: Layer,
    width: usize,
}

impl Drop for Spool {
    fn drop(&mut self) {
        // Nothing is lost when this fails: the spool is only scratch.
        let _ = fs::remove_file(&self.path);
    }
}

impl Spool {
    /// One spool a pass and layer, layers innermost.
    fn create_all(folder: &Path, passes: &[&Pass], layers: &[Layer], size: usize) -> Result<Vec<Self>> {
        let each = passes.iter().flat_map(|pass| layers.iter().map(move |layer| (pass, layer)));
        each.map(|(pass, layer)| {
            let path = folder.join(format!(".{}_{}.raw", pass.product_name(), layer.name));
            let file = File::create(&path).map_err(|e| Error::io("cannot create", e).in_file(&path))?;
            Ok(Self { path, file: BufWriter::new(file), layer: *layer, width: size / layer.ratio() })
        })
        .collect()
    }

    /// Samples of a rectangle, as the encoder wants them.
    fn read(&self, file: &mut File, rect: Rect) -> Result<Samples> {
        let pixel = self.layer.pixel_bytes();
        let mut bytes = vec![0; rect.area() * pixel];
        for (y, line) in (rect.y0..rect.y1).zip(bytes.chunks_exact_mut(rect.width() * pixel)) {
            let offset = (y as u64 * self.width as u64 + rect.x0 as u64) * pixel as u64;
            file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(line)).in_file(&self.path)?;
        }
        if self.layer.precision() == 8 {
            return Ok(Samples::U8(bytes));
        }
        Ok(Samples::U16(
            bytes.chunks_exact(2).map(|b| b.iter().rev().fold(0, |n, &v| n << 8 | u16::from(v))).collect(),
        ))
    }
}

/// Records one band of rows of every pass on a grid.
fn record_rows(
    world: &World,
    spec: &DemoSpec,
    passes: &[&Pass],
    layers: &[Layer],
    band: usize,
    spools: &mut [Spool],
) -> Result<()> {
    let Some(georef) = passes.first().map(|p| &p.georef) else { return Ok(()) };
    let whole = Rect::of_size(spec.size, spec.size);
    let side = BLOCK as i64;
    let block =
        |column: usize| Rect::at(column as i64 * side, band as i64 * side, BLOCK, BLOCK).intersect(&whole);
    let columns = spec.size.div_ceil(BLOCK);
    let recorded: Vec<Vec<Vec<u8>>> = (0..columns)
        .into_par_iter()
        .map(|column| {
            let survey = survey(world, georef, block(column), block_halo(layers))?;
            Ok(passes.iter().flat_map(|p| record(&survey, p, layers, spec.size, block(column))).collect())
        })
        .collect::<Result<_>>()?;
    for (index, spool) in spools.iter_mut().enumerate() {
        let ratio = spool.layer.ratio() as i64;
        let rows = block(0).scale_down_cover(ratio).height();
        for row in 0..rows {
            for (column, images) in recorded.iter().enumerate() {
                let bytes = block(column).scale_down_cover(ratio).width() * spool.layer.pixel_bytes();
                let line = images.get(index).and_then(|i| i.get(row * bytes..(row + 1) * bytes));
                spool.file.write_all(line.unwrap_or_default()).in_file(&spool.path)?;
            }
        }
    }
    Ok(())
}

/// The landscape under a block (pixels of 10 m) of a grid, and `halo` pixels of 2.5 m around it.
fn survey(world: &World, georef: &Georef, block: Rect, halo: i64) -> Result<Survey> {
    let origin = georef.transform.apply(0.0, 0.0);
    let fine = block.scale_up(4).grow(halo);
    if georef.epsg == 32_631 {
        return Ok(Survey::new(world, origin, fine, &|x, y| (x, y)));
    }
    let turned = Turned::new(georef.epsg, origin, &fine)?;
    Ok(Survey::new(world, origin, fine, &|x, y| turned.apply(x, y)))
}

/// Another zone's coordinates to the landscape's, bilinear between a window's corners: over two kilometres
/// this is off by millimetres.
struct Turned {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    corners: [(f64, f64); 4],
}

impl Turned {
    fn new(epsg: u32, origin: (f64, f64), fine: &Rect) -> Result<Self> {
        let (x, y) = (origin.0 + fine.x0 as f64 * TRUTH_METRES, origin.1 - fine.y0 as f64 * TRUTH_METRES);
        let (width, height) = (fine.width() as f64 * TRUTH_METRES, fine.height() as f64 * TRUTH_METRES);
        let mut corners = [(x, y), (x + width, y), (x, y - height), (x + width, y - height)];
        PointTransform::new(epsg, 32_631)?.apply(&mut corners);
        Ok(Self { x, y, width, height, corners })
    }

    fn apply(&self, x: f64, y: f64) -> (f64, f64) {
        let (u, v) = ((x - self.x) / self.width, (self.y - y) / self.height);
        let [a, b, c, d] = self.corners;
        let mix = |a: f64, b: f64, c: f64, d: f64| (a + (b - a) * u) * (1.0 - v) + (c + (d - c) * u) * v;
        (mix(a.0, b.0, c.0, d.0), mix(a.1, b.1, c.1, d.1))
    }
}

/// Codes the spools and writes the XML; each product appears under its name when it is complete.
fn write_products(
    folder: &Path,
    spec: &DemoSpec,
    passes: &[&Pass],
    layers: &[Layer],
    spools: Vec<Spool>,
    tick: &(dyn Fn() + Sync),
) -> Result<()> {
    for pass in passes {
        let part = part_folder(folder, pass);
        if part.exists() {
            fs::remove_dir_all(&part).in_file(&part)?;
        }
        metadata::write(&part, spec, pass, layers)?;
    }
    let images: Vec<(&&Pass, Spool)> =
        passes.iter().flat_map(|pass| layers.iter().map(move |_| pass)).zip(spools).collect();
    images.into_par_iter().try_for_each(|(pass, spool)| {
        code(&part_folder(folder, pass), pass, spool)?;
        tick();
        Ok::<(), Error>(())
    })?;
    for pass in passes {
        let (part, name) = (part_folder(folder, pass), format!("{}.SAFE", pass.product_name()));
        fs::rename(&part, folder.join(name)).map_err(|e| Error::io("cannot rename", e).in_file(&part))?;
    }
    Ok(())
}

fn part_folder(folder: &Path, pass: &Pass) -> PathBuf {
    folder.join(format!(".{}.part", pass.product_name()))
}

fn code(product: &Path, pass: &Pass, mut spool: Spool) -> Result<()> {
    spool.file.flush().in_file(&spool.path)?;
    let layer = spool.layer;
    let path = product.join(metadata::image_path(pass, layer.name));
    let [x, dx, _, y, _, dy] = pass.georef.transform.0;
    let ratio = layer.ratio() as f64;
    let transform = crate::raster::GeoTransform::north_up(x, y, dx * ratio, dy * ratio);
    let side = spool.width as u32;
    let mut image = EncodeSpec::new(side, side, layer.components() as u16, layer.precision());
    image.georef = Some(Georef { epsg: pass.georef.epsg, transform });
    let mut raw = File::open(&spool.path).in_file(&spool.path)?;
    let mut out = BufWriter::new(File::create(&path).in_file(&path)?);
    encode(&image, &mut |rect| spool.read(&mut raw, rect), &mut out).in_file(&path)?;
    out.flush().map_err(|e| Error::io("cannot write", e).in_file(&path))
}

/// Writes a whole small file.
pub(super) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(|e| Error::io("cannot write", e).in_file(path))
}

/// True colour of the landscape itself, `[y][x][rgb]`, on a window of the 2.5 m grid that shares the main
/// products' upper left corner.
pub fn truth(spec: &DemoSpec, rect: Rect) -> Vec<u8> {
    let world = World::new(spec.seed);
    let rows: Vec<i64> = (rect.y0..rect.y1).step_by(256).collect();
    let strip = |y0: &i64| {
        let strip = Rect { y0: *y0, y1: (*y0 + 256).min(rect.y1), ..rect };
        Survey::new(&world, spec.origin(), strip.grow(1), &|x, y| (x, y)).true_colour(spec.truth_day())
    };
    rows.par_iter().map(strip).collect::<Vec<_>>().concat()
}
