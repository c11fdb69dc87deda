//! PNG chips in, PNG chips out: what the reference's `infer` and `infer_grid` do, with their file names.
//!
//! A chip is a column of 32×32 RGB dates. Which dates are used is decided by the reference's rule (a date with any
//! zero is bad), but the first good ones are taken in order, where the reference draws at random.

use std::path::{Path, PathBuf};

use super::progress::Progress;
use super::stream::TileNet;
use crate::error::{Error, InFile, Result};
use crate::raster::{open_path, png, OpenOptions, Samples};

/// Side of a chip, pixels.
pub const CHIP: usize = 32;
/// Chips along a side of a grid: a zoom-13 tile of zoom-17 chips.
const GRID: usize = 16;
const CHANNELS: usize = 3;

/// What a run of chips did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ChipReport {
    /// Chips written.
    pub chips: usize,
    /// Stitched grids written.
    pub grids: usize,
    /// Things to tell the user.
    pub notes: Vec<String>,
    /// Chips whose result is one value all over though their input varies.
    pub constant: Vec<String>,
}

/// One input file and where its result goes.
struct Chip {
    input: PathBuf,
    output: PathBuf,
    /// Row and column, for files of a grid.
    place: Option<(usize, usize)>,
}

/// A folder of chips and what the network makes of one.
pub struct ChipJob<'a> {
    /// Folder with PNGs, at any depth.
    pub input: &'a Path,
    /// Folder the results go to.
    pub output: &'a Path,
    /// Dates the network takes.
    pub frames: usize,
    /// Side of its output, pixels.
    pub side: usize,
    /// Chips it takes at once.
    pub batch: usize,
}

/// Runs every PNG below the input folder and writes `INDEX/lr.png` and `INDEX/sr.png`, or, where all files are
/// `TILE/ROW_COL.png`, the same names and for whole grids `stitched_sr.png` and `stitched_s2.png`.
///
/// # Errors
/// `Shape` for a PNG that is no column of 32×32 RGB dates or has too few, `Usage` for a folder without PNGs, and
/// what reading, the network and writing say.
pub fn run_chips(job: &ChipJob, net: &mut dyn TileNet, progress: &Progress) -> Result<ChipReport> {
    let ChipJob { input, output, frames, side, batch } = *job;
    let jobs = plan(input, output)?;
    let area = CHIP * CHIP;
    let mut report = ChipReport::default();
    let mut stitch = Stitch::new(side);
    for group in jobs.chunks(batch) {
        let mut firsts = Vec::with_capacity(group.len());
        let input: &mut [f32] = bytemuck::cast_slice_mut(net.input());
        for (job, x) in group.iter().zip(input.chunks_exact_mut(frames * CHANNELS * area)) {
            let dates = read_dates(&job.input)?;
            let chosen = choose(&dates, frames).in_file(&job.input)?;
            for (date, x) in chosen.iter().zip(x.chunks_exact_mut(CHANNELS * area)) {
                to_planes(&dates[*date], x);
            }
            firsts.push(dates[0].to_vec());
        }
        let y = net.run()?;
        for ((job, first), y) in group.iter().zip(&firsts).zip(y.chunks_exact(CHANNELS * side * side)) {
            let sr = to_bytes(y, side * side);
            write(job, first, &sr, side)?;
            report.grids += stitch.add(job, first, &sr, &mut report.notes)?;
            report.chips += 1;
            progress.add(1);
        }
        let constant = net.constant().iter().filter_map(|lane| group.get(*lane));
        report.constant.extend(constant.map(|chip| chip.input.display().to_string()));
    }
    report.grids += stitch.finish(&mut report.notes)?;
    Ok(report)
}

/// Number of PNGs `run_chips` will run.
///
/// # Errors
/// As [`run_chips`].
pub fn count_chips(input: &Path) -> Result<usize> {
    plan(input, Path::new("")).map(|jobs| jobs.len())
}

fn plan(input: &Path, output: &Path) -> Result<Vec<Chip>> {
    let mut files = Vec::new();
    find_pngs(input, 0, &mut files)?;
    if files.is_empty() {
        return Err(Error::usage("there is no .png below this folder").in_file(input));
    }
    let relative =
        |f: &Path| f.strip_prefix(input).map(Path::to_path_buf).unwrap_or_else(|_| f.to_path_buf());
    let place = |f: &Path| {
        let deep = relative(f).components().count() == 2;
        let (row, column) = f.file_stem()?.to_str()?.split_once('_')?;
        deep.then_some((row.parse().ok()?, column.parse().ok()?))
    };
    let grid = files.iter().all(|f| place(f).is_some());
    let job = |(i, f): (usize, PathBuf)| Chip {
        output: if grid { output.join(relative(&f)) } else { output.join(i.to_string()) },
        place: if grid { place(&f) } else { None },
        input: f,
    };
    Ok(files.into_iter().enumerate().map(job).collect())
}

/// Files of a folder first, then its folders, each in the order of their names.
fn find_pngs(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    const DEEPEST: usize = 16;
    if depth > DEEPEST {
        return Err(Error::limit(format!("folders are nested more than {DEEPEST} deep")).in_file(folder));
    }
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io("cannot list", e)).in_file(folder)?;
    let mut paths: Vec<PathBuf> =
        entries.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>().in_file(folder)?;
    paths.sort();
    let is_png = |p: &PathBuf| p.extension().is_some_and(|e| e.eq_ignore_ascii_case("png"));
    files.extend(paths.iter().filter(|p| is_png(p) && p.is_file()).cloned());
    for below in paths.iter().filter(|p| p.is_dir() && !p.is_symlink()) {
        find_pngs(below, depth + 1, files)?;
    }
    Ok(())
}

/// The bytes of a chip file.
struct Dates(Vec<u8>);

impl std::ops::Index<usize> for Dates {
    type Output = [u8];
    fn index(&self, date: usize) -> &[u8] {
        let n = CHIP * CHIP * CHANNELS;
        &self.0[date * n..(date + 1) * n]
    }
}

impl Dates {
    fn len(&self) -> usize {
        self.0.len() / (CHIP * CHIP * CHANNELS)
    }
}

fn read_dates(path: &Path) -> Result<Dates> {
    let source = open_path(path, &OpenOptions::default())?;
    let info = source.info();
    let (w, h) = (info.width, info.height);
    if w != CHIP || h % CHIP != 0 {
        return Err(Error::shape(format!(
            "{w}x{h} pixels; a chip is {CHIP} wide and a multiple of {CHIP} high"
        ))
        .in_file(path));
    }
    if info.bands.len() != CHANNELS {
        return Err(Error::shape(format!("{} bands; a chip is RGB", info.bands.len())).in_file(path));
    }
    match source.decode(0, 0, 0)?.samples {
        Samples::U8(bytes) if bytes.len() == w * h * CHANNELS => Ok(Dates(bytes)),
        _ => Err(Error::shape("not 8 bits a sample").in_file(path)),
    }
}

/// The first `n` good dates, filled up with the first bad ones.
fn choose(dates: &Dates, n: usize) -> Result<Vec<usize>> {
    if dates.len() < n {
        return Err(Error::shape(format!("{} dates; the network takes {n}", dates.len())));
    }
    let (good, bad): (Vec<usize>, Vec<usize>) = (0..dates.len()).partition(|d| !dates[*d].contains(&0));
    Ok(good.into_iter().chain(bad).take(n).collect())
}

fn to_planes(pixels: &[u8], planes: &mut [f32]) {
    let n = pixels.len() / CHANNELS;
    for (i, pixel) in pixels.chunks_exact(CHANNELS).enumerate() {
        pixel.iter().enumerate().for_each(|(c, v)| planes[c * n + i] = f32::from(*v) / 255.0);
    }
}

/// Clamped to 0..1, times 255, truncated, as the reference writes them.
fn to_bytes(planes: &[f32], n: usize) -> Vec<u8> {
    (0..n)
        .flat_map(|i| (0..CHANNELS).map(move |c| (planes[c * n + i].clamp(0.0, 1.0) * 255.0) as u8))
        .collect()
}

fn write(chip: &Chip, lr: &[u8], sr: &[u8], side: usize) -> Result<()> {
    let folder = if chip.place.is_some() { chip.output.parent() } else { Some(chip.output.as_path()) };
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder)
            .map_err(|e| Error::io("cannot create the folder", e))
            .in_file(folder)?;
    }
    if chip.place.is_some() {
        return png::write_rgb(&chip.output, side, side, sr);
    }
    png::write_rgb(&chip.output.join("lr.png"), CHIP, CHIP, lr)?;
    png::write_rgb(&chip.output.join("sr.png"), side, side, sr)
}

/// Collects the chips of one grid folder after the other.
struct Stitch {
    side: usize,
    folder: Option<PathBuf>,
    seen: usize,
    sr: Vec<u8>,
    lr: Vec<u8>,
}

impl Stitch {
    fn new(side: usize) -> Self {
        Self { side, folder: None, seen: 0, sr: Vec::new(), lr: Vec::new() }
    }

    fn add(&mut self, chip: &Chip, lr: &[u8], sr: &[u8], notes: &mut Vec<String>) -> Result<usize> {
        let (Some((row, column)), Some(folder)) = (chip.place, chip.output.parent()) else { return Ok(0) };
        let mut done = 0;
        if self.folder.as_deref() != Some(folder) {
            done = self.finish(notes)?;
            self.folder = Some(folder.to_path_buf());
            self.sr = vec![0; GRID * GRID * self.side * self.side * CHANNELS];
            self.lr = vec![0; GRID * GRID * CHIP * CHIP * CHANNELS];
        }
        if row < GRID && column < GRID {
            paste(&mut self.sr, sr, self.side, row, column);
            paste(&mut self.lr, lr, CHIP, row, column);
            self.seen += 1;
        }
        Ok(done)
    }

    fn finish(&mut self, notes: &mut Vec<String>) -> Result<usize> {
        let Some(folder) = self.folder.take() else { return Ok(0) };
        let seen = std::mem::take(&mut self.seen);
        if seen < GRID * GRID {
            let all = GRID * GRID;
            notes.push(format!("{}: not stitched, {seen} of {all} chips are there", folder.display()));
            return Ok(0);
        }
        let (sr, lr) = (GRID * self.side, GRID * CHIP);
        png::write_rgb(&folder.join("stitched_sr.png"), sr, sr, &self.sr)?;
        png::write_rgb(&folder.join("stitched_s2.png"), lr, lr, &self.lr)?;
        Ok(1)
    }
}

fn paste(grid: &mut [u8], chip: &[u8], side: usize, row: usize, column: usize) {
    let line = side * CHANNELS;
    for (y, pixels) in chip.chunks_exact(line).enumerate() {
        let at = ((row * side + y) * GRID + column) * line;
        grid[at..at + line].copy_from_slice(pixels);
    }
}
