//! Scenes whose every pixel is known: nine bands of four dates on two grids, with a corner that no date saw.

use std::path::{Path, PathBuf};

use swath::raster::cog::{CogSpec, CogWriter, Compression};
use swath::raster::{Block, BlockSink, GeoTransform, Georef, SampleType, Samples};
use swath::tile::Rect;

pub const WIDTH: usize = 302;
pub const HEIGHT: usize = 210;
pub const DATES: usize = 4;
/// Upper left corner and pixel, in metres of UTM zone 29 north.
pub const PLACE: [f64; 3] = [300_000.0, 2_800_000.0, 10.0];
const BANDS: [(&str, usize); 7] =
    [("TCI", 1), ("B05", 2), ("B06", 2), ("B07", 2), ("B08", 1), ("B11", 2), ("B12", 2)];
/// Pixels to the left of and above this have no data.
const EMPTY: (usize, usize) = (90, 70);

/// A rough surface: waves of several lengths, and marks that stand out.
fn wave(x: usize, y: usize, salt: usize) -> f64 {
    let (x, y, s) = (x as f64, y as f64, salt as f64);
    let waves = (x / 9.0 + s).sin() + (y / 13.0 - s).cos() + ((x + 2.0 * y) / 31.0 + 0.3 * s).sin();
    let mark = if (x as usize / 7 * 31 + y as usize / 7 * 17 + salt).is_multiple_of(23) { 2.0 } else { 0.0 };
    (waves + mark + 3.0) / 8.0
}

fn empty(x: usize, y: usize) -> bool {
    x < EMPTY.0 && y < EMPTY.1
}

/// What a file of a date holds at one of its own pixels; channel of true colour, or 0.
fn stored(date: usize, band: usize, channel: usize, x: usize, y: usize) -> u16 {
    let step = BANDS[band].1;
    if empty(x * step, y * step) {
        return 0;
    }
    let v = wave(x * step, y * step, 5 * date + band + channel);
    if band == 0 {
        (v * 230.0) as u16 + 1
    } else {
        (v * 9000.0) as u16 + 1
    }
}

/// What the network gets of a date at a pixel of the image, by arithmetic: coarser pixels are repeated.
pub fn input(date: usize, channel: usize, x: usize, y: usize) -> f32 {
    match channel.checked_sub(2) {
        None | Some(0) => f32::from(stored(date, 0, channel, x, y)) * (1.0 / 255.0),
        Some(band) => {
            let step = BANDS[band].1;
            (f32::from(stored(date, band, 0, x / step, y / step)) * (1.0 / 8160.0)).min(1.0)
        }
    }
}

pub fn has_data(x: usize, y: usize) -> bool {
    !empty(x, y)
}

/// Writes the dates below a folder; gives theirs.
pub fn write(folder: &Path) -> Vec<PathBuf> {
    let date = |date: usize| {
        let folder = folder.join(format!("T29RKH_2020031{date}T111949"));
        std::fs::create_dir_all(&folder).unwrap();
        for (band, (name, step)) in BANDS.into_iter().enumerate() {
            band_file(&folder.join(format!("{name}.tif")), [date, band, 0], step);
        }
        folder
    };
    (0..DATES).map(date).collect()
}

/// The band whose surface those of true colour have, each with marks of its own.
const COLOUR: usize = 4;

/// Puts the bands of true colour in the place of its image.
pub fn take_colour_apart(scenes: &[PathBuf]) {
    for (date, folder) in scenes.iter().enumerate() {
        std::fs::remove_file(folder.join("TCI.tif")).unwrap();
        for (channel, name) in ["B04", "B03", "B02"].into_iter().enumerate() {
            band_file(&folder.join(format!("{name}.tif")), [date, COLOUR, 1 + channel], 1);
        }
    }
}

/// What the network then gets.
pub fn input_of_bands(date: usize, channel: usize, x: usize, y: usize) -> f32 {
    match channel {
        0..3 => (f32::from(stored(date, COLOUR, 1 + channel, x, y)) * (1.0 / 3000.0)).min(1.0),
        _ => input(date, channel, x, y),
    }
}

/// A file of a date and band, which begins with that channel.
fn band_file(path: &Path, [date, band, first]: [usize; 3], step: usize) {
    let (width, height) = (WIDTH / step, HEIGHT / step);
    let names = if band == 0 { vec!["red", "green", "blue"] } else { vec!["1"] };
    let sample = if band == 0 { SampleType::U8 } else { SampleType::U16 };
    let mut spec = CogSpec::new(width, height, names.iter().map(|n| n.to_string()).collect(), sample);
    let pixel = PLACE[2] * step as f64;
    spec.georef =
        Some(Georef { epsg: 32629, transform: GeoTransform::north_up(PLACE[0], PLACE[1], pixel, -pixel) });
    spec.nodata = Some(0.0);
    spec.compression = Compression::None;
    let writer = CogWriter::create(path, spec, Default::default()).unwrap();
    let rect = Rect::of_size(width, height);
    let values = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let values = values.flat_map(|(x, y)| (0..names.len()).map(move |c| stored(date, band, first + c, x, y)));
    let samples = match sample {
        SampleType::U8 => Samples::U8(values.map(|v| v as u8).collect()),
        _ => Samples::U16(values.collect()),
    };
    writer.put(0, 0, &Block { rect, samples, mask: None }).unwrap();
    Box::new(writer).finish(&|_, _| Ok(())).unwrap();
}
