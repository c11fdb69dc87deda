//! An example's images: dates by name, channels by file, all in one stack of byte planes.

use std::path::Path;

use super::config::DatasetConfig;
use super::planes::Planes;
use crate::error::{Error, InFile, Result};
use crate::raster::{Picture, Samples};

/// Start of the name of the image that the labels were made on: it comes last, and is never left out.
const ANCHOR: &str = "anchor_";
/// What a channel is called that the file before it fills.
const FILLED: &str = "fake";

/// An example's images.
#[derive(Debug, Clone)]
pub struct Images {
    /// Names of the images, in their order.
    pub names: Vec<String>,
    /// Channels of the first image, then of the second…; images that are missing come first, and are zeros.
    pub stack: Planes,
    /// What was missing or could not be read, and is zeros now.
    pub notes: Vec<String>,
}

/// Reads the images of an example's folder. Of too many, the last by name are taken, where the reference draws.
///
/// # Errors
/// `Format` without any image, `Shape` for sizes that do not fit, `Limit`, `Io`.
pub fn read_images(folder: &Path, config: &DatasetConfig) -> Result<Images> {
    let folder = folder.join("images");
    let names = chosen(&folder, config.images)?;
    let mut notes = Vec::new();
    let mut stack: Option<Planes> = None;
    let missing = config.images.saturating_sub(names.len());
    for (at, name) in names.iter().enumerate() {
        for (channel, file) in config.channels.iter().enumerate().filter(|(_, file)| *file != FILLED) {
            let Some(picture) = picture(&folder.join(name), file, &mut notes) else { continue };
            let size = if config.any_size { [picture.height, picture.width] } else { [config.chip; 2] };
            let planes = match &mut stack {
                Some(planes) => planes,
                none => none.insert(Planes::zeros(config.images * config.channels.len(), size[0], size[1])?),
            };
            let plane = (missing + at) * config.channels.len() + channel;
            let room = config.channels.len() - channel;
            put(&picture, planes, plane, room).in_file(folder.join(name).join(file))?;
        }
    }
    match stack {
        Some(stack) => Ok(Images { names, stack, notes }),
        None => {
            let why = notes.first().map_or("no channel has a file", String::as_str);
            Err(Error::format(format!("not one readable image: {why}")).in_file(folder))
        }
    }
}

/// Names of at most `most` images: the last ones, then the anchor.
fn chosen(folder: &Path, most: usize) -> Result<Vec<String>> {
    const MAX_ENTRIES: usize = 1 << 16;
    let cannot = |e| Error::io("cannot list", e);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(cannot).in_file(folder)?.take(MAX_ENTRIES) {
        let entry = entry.map_err(cannot).in_file(folder)?;
        names.extend(entry.file_name().into_string().ok().filter(|_| entry.path().is_dir()));
    }
    names.sort_unstable();
    let anchor = names.iter().rposition(|name| name.starts_with(ANCHOR)).map(|at| names.remove(at));
    names.retain(|name| !name.starts_with(ANCHOR));
    let room = most - usize::from(anchor.is_some()).min(most);
    names.drain(..names.len().saturating_sub(room));
    names.extend(anchor);
    match names.is_empty() {
        false => Ok(names),
        true => Err(Error::format("no images").in_file(folder)),
    }
}

fn picture(folder: &Path, file: &str, notes: &mut Vec<String>) -> Option<Picture> {
    let ends = ["png", "jpg"].map(|end| folder.join(format!("{file}.{end}")));
    let Some(path) = ends.iter().find(|path| path.is_file()) else {
        notes.push(format!("{} is missing", ends[0].display()));
        return None;
    };
    Picture::read(path).map_err(|error| notes.push(error.to_string())).ok()
}

/// Copies a picture into the planes from `plane` on, of which `room` belong to the image. One that is smaller is
/// enlarged a whole number of times.
fn put(picture: &Picture, planes: &mut Planes, plane: usize, room: usize) -> Result<()> {
    let (w, h, bands) = (picture.width, picture.height, picture.bands);
    let factor = (planes.height / h.max(1)).max(1);
    if [w * factor, h * factor] != [planes.width, planes.height] {
        return Err(Error::shape(format!(
            "{w}x{h} pixels, where {}x{} or a whole part of it are expected (ChipSize)",
            planes.width, planes.height
        )));
    }
    if bands > room {
        return Err(Error::shape(format!("{bands} bands for the {room} channels that Channels leave it")));
    }
    let Samples::U8(samples) = &picture.samples else {
        return Err(Error::shape("16 bits a sample, where 8 are expected"));
    };
    let width = planes.width;
    for band in 0..bands {
        for (at, pixel) in planes.plane_mut(plane + band).iter_mut().enumerate() {
            let (y, x) = (at / width / factor, at % width / factor);
            *pixel = samples[(y * w + x) * bands + band];
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::raster::png;
    use serde_json::json;

    fn config(images: usize) -> DatasetConfig {
        let channels = json!(["tci", "fake", "fake", "b05"]);
        let tasks = json!([{"Name": "vessel"}]);
        DatasetConfig::parse(
            &json!({"Channels": channels, "ChipSize": 4, "NumImages": images, "Tasks": tasks}),
        )
        .unwrap()
    }

    fn write(folder: &Path, date: &str, file: &str, side: usize, bands: usize, value: u8) {
        let folder = folder.join("images").join(date);
        std::fs::create_dir_all(&folder).unwrap();
        let samples = (0..side * side * bands).map(|at| value + (at % 7) as u8).collect();
        png::write(&folder.join(file), side, side, bands, &Samples::U8(samples)).unwrap();
    }

    #[test]
    fn the_latest_images_are_taken_the_anchor_last_and_small_bands_enlarged() {
        let folder = tempfile::tempdir().unwrap();
        for (date, value) in [("a_2021", 10), ("anchor_2020", 40), ("b_2022", 20), ("c_2023", 30)] {
            write(folder.path(), date, "tci.png", 4, 3, value);
            write(folder.path(), date, "b05.png", 2, 1, value + 100);
        }
        let images = read_images(folder.path(), &config(3)).unwrap();
        assert_eq!(images.names, ["b_2022", "c_2023", "anchor_2020"]);
        assert_eq!(images.stack.count, 12);
        assert_eq!(images.stack.plane(4)[..3], [30, 33, 36]);
        assert_eq!(images.stack.plane(5)[0], 31);
        assert_eq!(
            images.stack.plane(3),
            [120, 120, 121, 121, 120, 120, 121, 121, 122, 122, 123, 123, 122, 122, 123, 123]
        );
        let more = read_images(folder.path(), &config(6)).unwrap();
        assert!(
            (0..8).all(|plane| more.stack.plane(plane).iter().all(|v| *v == 0)),
            "missing images come first"
        );
        assert_eq!(more.stack.plane(8)[0], 10);
    }

    #[test]
    fn what_is_missing_is_zeros_and_told_and_what_does_not_fit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a", "tci.png", 4, 3, 10);
        let images = read_images(folder.path(), &config(1)).unwrap();
        assert!(images.notes[0].contains("b05.png is missing"), "{:?}", images.notes);
        assert!(images.stack.plane(3).iter().all(|v| *v == 0));
        for (file, side, bands, part) in
            [("b05.png", 3, 1, "3x3 pixels"), ("b05.png", 4, 3, "3 bands for the 1")]
        {
            write(folder.path(), "a", file, side, bands, 0);
            let error = read_images(folder.path(), &config(1)).unwrap_err();
            assert!(error.kind() == Kind::Shape && error.to_string().contains(part), "{error}");
        }
        std::fs::write(folder.path().join("images/a/b05.png"), b"no png").unwrap();
        assert_eq!(read_images(folder.path(), &config(1)).unwrap().notes.len(), 1);
        std::fs::remove_dir_all(folder.path().join("images/a")).unwrap();
        assert_eq!(read_images(folder.path(), &config(1)).unwrap_err().kind(), Kind::Format);
    }
}
