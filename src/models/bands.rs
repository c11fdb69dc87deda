//! How many frames and which bands stand behind a stacked channel count.
//!
//! Tensors tell only the product T·C. What is not said is taken from the published models: 32, 72
//! and 96 channels are eight frames of 4, 9 and 12; any other multiple of three is RGB frames (so
//! 12 and 48 channels are 4 and 16 of them, never a pixel-unshuffle).

use super::options::Options;
use super::spec::Band;
use crate::error::Result;

/// Band lists of the published super-resolution models with 3, 4, 9 and 12 channels a frame.
pub const PUBLISHED: &[&[&str]] = &[
    &["tci"],
    &["tci", "b08"],
    &["tci", "b08", "b05", "b06", "b07", "b11", "b12"],
    &["tci", "b01", "b08", "b09", "b10", "b05", "b06", "b07", "b11", "b12"],
];

/// Frames of the published models with more than RGB.
const PUBLISHED_FRAMES: usize = 8;

/// Frames and bands of one input.
#[derive(Debug, Clone, PartialEq)]
pub struct Stack {
    /// Number of frames, T.
    pub frames: usize,
    /// Channels of one frame, C.
    pub channels: usize,
    /// Bands in channel order; empty when unknown.
    pub bands: Vec<Band>,
}

impl Stack {
    /// Splits `total` stacked channels by the options `n_s2_images` and `s2_bands`, else by the
    /// published models. Options of files that do not fit are warned of.
    ///
    /// # Errors
    /// `Usage` when a `--set` option does not fit or is not a count.
    pub fn split(total: usize, options: &Options, warnings: &mut Vec<String>) -> Result<Self> {
        let mut bands = Band::ordered(&options.list("s2_bands").unwrap_or_default());
        let width: usize = bands.iter().map(|b| b.channels).sum();
        if width > 0 && !total.is_multiple_of(width) {
            options.contradiction("s2_bands", &format!("{total} channels"), warnings)?;
            bands.clear();
        }
        let mut frames = options.count("n_s2_images")?;
        if let Some(said) = frames {
            let fits = if bands.is_empty() { total.is_multiple_of(said) } else { said * width == total };
            if !fits {
                let derived = match bands.is_empty() {
                    true => format!("{total} channels"),
                    false => format!("{} frames of {width} channels", total / width),
                };
                options.contradiction("n_s2_images", &derived, warnings)?;
                frames = None;
            }
        }
        Ok(match (bands.is_empty(), frames) {
            (false, _) => Self { frames: total / width, channels: width, bands },
            (true, Some(frames)) => Self::of(frames, total / frames),
            (true, None) => Self::published(total),
        })
    }

    /// Frames of `channels` each, with the bands published for that width.
    pub fn of(frames: usize, channels: usize) -> Self {
        Self { frames, channels, bands: listed_bands(channels, PUBLISHED) }
    }

    fn published(total: usize) -> Self {
        match total {
            32 | 72 | 96 => Self::of(PUBLISHED_FRAMES, total / PUBLISHED_FRAMES),
            _ if total.is_multiple_of(3) => Self::of(total / 3, 3),
            _ => Self::of(1, total),
        }
    }

    /// The value of `s2_bands` that gives these bands.
    pub fn band_list(&self) -> String {
        self.bands.iter().map(|b| b.name.as_str()).collect::<Vec<_>>().join(",")
    }
}

/// Bands of frames of `channels` each: those told, or those of the list among `published` that has as many.
///
/// # Errors
/// `Usage` when `--set s2_bands` has another number of channels.
pub fn frame_bands(
    channels: usize,
    published: &[&[&str]],
    options: &Options,
    warnings: &mut Vec<String>,
) -> Result<Vec<Band>> {
    let listed = Band::ordered(&options.list("s2_bands").unwrap_or_default());
    let width: usize = listed.iter().map(|b| b.channels).sum();
    if width == channels {
        return Ok(listed);
    }
    if width > 0 {
        options.contradiction("s2_bands", &format!("{channels} channels a frame"), warnings)?;
    }
    Ok(listed_bands(channels, published))
}

/// The bands of the list that has that many channels; none when there is no such list.
fn listed_bands(channels: usize, lists: &[&[&str]]) -> Vec<Band> {
    let names = lists.iter().map(|names| names.iter().map(|n| n.to_string()).collect::<Vec<_>>());
    names
        .map(|names| Band::ordered(&names))
        .find(|bands| bands.iter().map(|b| b.channels).sum::<usize>() == channels)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::Origin;

    fn split(total: usize, said: &[(&str, &str)]) -> Result<(usize, usize, String)> {
        let mut options = Options::default();
        for (key, text) in said {
            options.put(key, *text, Origin::Set);
        }
        let stack = Stack::split(total, &options, &mut Vec::new())?;
        Ok((stack.frames, stack.channels, stack.band_list()))
    }

    #[test]
    fn published_channel_counts_are_known() {
        for (total, frames, channels) in [
            (3, 1, 3),
            (6, 2, 3),
            (12, 4, 3),
            (24, 8, 3),
            (36, 12, 3),
            (48, 16, 3),
            (32, 8, 4),
            (72, 8, 9),
            (96, 8, 12),
        ] {
            let (t, c, bands) = split(total, &[]).unwrap();
            assert_eq!((t, c), (frames, channels), "{total} channels");
            assert!(bands.starts_with("tci"));
        }
        assert_eq!(split(7, &[]).unwrap(), (1, 7, String::new()));
    }

    #[test]
    fn options_split_what_tensors_cannot() {
        assert_eq!(split(24, &[("s2_bands", "b08,tci")]).unwrap(), (6, 4, "tci,b08".into()));
        assert_eq!(split(96, &[("n_s2_images", "32")]).unwrap(), (32, 3, "tci".into()));
        assert_eq!(
            split(10, &[("n_s2_images", "5"), ("s2_bands", "b02,b03")]).unwrap(),
            (5, 2, "b02,b03".into())
        );
        assert!(split(24, &[("n_s2_images", "5")]).is_err());
        assert!(split(24, &[("n_s2_images", "6"), ("s2_bands", "tci")]).is_err());
        assert!(split(10, &[("s2_bands", "tci")]).is_err());
    }

    #[test]
    fn a_file_that_contradicts_the_tensors_is_only_warned_of() {
        let mut options = Options::default();
        options.put("n_s2_images", "12", Origin::Yml);
        options.put("s2_bands", "tci", Origin::Yml);
        let mut warnings = Vec::new();
        let stack = Stack::split(24, &options, &mut warnings).unwrap();
        assert_eq!((stack.frames, stack.channels), (8, 3));
        assert_eq!(warnings.len(), 1);
    }
}
