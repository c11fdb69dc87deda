//! Which file, and which band of it, holds each band that is wanted.

use crate::error::{Error, Result};
use crate::raster::safe::band_name;
use crate::raster::{BlockSource, OpenOptions, RasterInfo, SampleType};

use super::discover::{Candidate, DateFiles};

/// A band as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// True colour: three channels.
    Tci,
    /// A band of a known name, canonical.
    Band(&'static str),
    /// A band as a stacked file calls it, or its number from 1.
    Named(String),
}

impl Wanted {
    /// Reads what `--bands` lists.
    ///
    /// # Errors
    /// `Usage` for an empty list.
    pub fn parse(bands: &[String]) -> Result<Vec<Self>> {
        let wanted: Vec<Self> = bands
            .iter()
            .map(|b| b.trim())
            .filter(|b| !b.is_empty())
            .map(|b| match band_name(b) {
                Some("TCI") => Self::Tci,
                Some(name) => Self::Band(name),
                None => Self::Named(b.to_owned()),
            })
            .collect();
        if wanted.is_empty() {
            return Err(Error::usage("no bands asked for; --bands tci or --bands b04,b03,b02"));
        }
        Ok(wanted)
    }

    /// Names of the channels it is read as.
    pub fn channels(&self) -> Vec<String> {
        match self {
            Self::Tci => ["red", "green", "blue"].map(String::from).to_vec(),
            Self::Band(name) => vec![(*name).to_owned()],
            Self::Named(name) => vec![name.clone()],
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Tci => "TCI",
            Self::Band(name) => name,
            Self::Named(name) => name,
        }
    }
}

/// An opened file of a date.
pub struct Opened {
    /// Which candidate it is.
    pub candidate: Candidate,
    /// The file.
    pub source: Box<dyn BlockSource>,
}

/// One channel of one date: a band of an opened file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pick {
    /// Index into the opened files.
    pub file: usize,
    /// Band of the file, from 0.
    pub band: usize,
    /// Place among all channels.
    pub channel: usize,
    /// Canonical band name, `TCI` for true colour, `None` where nothing is known.
    pub name: Option<&'static str>,
}

/// Finds and opens the files of one date that hold the wanted bands.
///
/// # Errors
/// `Usage` when a band is missing, listing what there is; what opening files says.
pub fn pick(date: &DateFiles, wanted: &[Wanted], options: &OpenOptions) -> Result<(Vec<Opened>, Vec<Pick>)> {
    let mut finder = Finder { date, options, opened: Vec::new() };
    let mut picks = Vec::new();
    for want in wanted {
        let Some((file, bands)) = finder.find(want)? else {
            return finder.by_position(wanted)?.ok_or_else(|| missing(date, want, options));
        };
        let name = match want {
            Wanted::Tci => Some("TCI"),
            Wanted::Band(name) => Some(*name),
            Wanted::Named(_) => None,
        };
        for band in bands {
            picks.push(Pick { file, band, channel: picks.len(), name });
        }
    }
    Ok((finder.opened, picks))
}

struct Finder<'a> {
    date: &'a DateFiles,
    options: &'a OpenOptions,
    opened: Vec<Opened>,
}

impl Finder<'_> {
    /// File and bands that hold a wanted band.
    fn find(&mut self, want: &Wanted) -> Result<Option<(usize, Vec<usize>)>> {
        let by_name = self.date.files.iter().filter(|f| f.band.is_some_and(|b| b == want.name()));
        // The finest, where a band comes at several resolutions.
        if let Some(candidate) = by_name.min_by_key(|f| f.resolution.unwrap_or(0)) {
            let file = self.open(candidate)?;
            let bands = self.info(file).map_or(0, |i| i.bands.len());
            let needed = want.channels().len();
            if bands < needed {
                return Err(Error::shape(format!(
                    "{} needs {needed} bands and the file has {bands}",
                    want.name()
                ))
                .in_file(&candidate.path));
            }
            return Ok(Some((file, (0..needed).collect())));
        }
        for candidate in self.date.files.iter().filter(|f| f.band.is_none()) {
            let file = self.open(candidate)?;
            if let Some(bands) = self.info(file).and_then(|info| bands_of_stack(info, want)) {
                return Ok(Some((file, bands)));
            }
        }
        Ok(None)
    }

    /// A single stacked file without matching names, with as many bands as are wanted: taken in order.
    fn by_position(&mut self, wanted: &[Wanted]) -> Result<Option<(Vec<Opened>, Vec<Pick>)>> {
        let [candidate] = self.date.files.as_slice() else { return Ok(None) };
        let file = self.open(candidate)?;
        let names: Vec<Option<&'static str>> = wanted
            .iter()
            .flat_map(|want| {
                let name = match want {
                    Wanted::Tci => Some("TCI"),
                    Wanted::Band(name) => Some(*name),
                    Wanted::Named(_) => None,
                };
                want.channels().into_iter().map(move |_| name)
            })
            .collect();
        let named = wanted.iter().any(|w| matches!(w, Wanted::Named(_)));
        if named || self.info(file).map_or(0, |i| i.bands.len()) != names.len() {
            return Ok(None);
        }
        let picks = names.into_iter().enumerate().map(|(i, name)| Pick { file, band: i, channel: i, name });
        Ok(Some((std::mem::take(&mut self.opened), picks.collect())))
    }

    fn open(&mut self, candidate: &Candidate) -> Result<usize> {
        if let Some(at) = self.opened.iter().position(|o| o.candidate.path == candidate.path) {
            return Ok(at);
        }
        let source = self.date.open(candidate, self.options)?;
        self.opened.push(Opened { candidate: candidate.clone(), source });
        Ok(self.opened.len() - 1)
    }

    fn info(&self, file: usize) -> Option<&RasterInfo> {
        self.opened.get(file).map(|o| o.source.info())
    }
}

/// Bands of a stacked or single image that hold a wanted band.
fn bands_of_stack(info: &RasterInfo, want: &Wanted) -> Option<Vec<usize>> {
    let at = |name: &str| info.bands.iter().position(|b| b.name.eq_ignore_ascii_case(name));
    match want {
        Wanted::Tci => {
            let colours = [at("red"), at("green"), at("blue")];
            let named: Option<Vec<usize>> = colours.into_iter().collect();
            let first_three = || (info.bands.len() >= 3).then(|| vec![0, 1, 2]);
            (info.sample == SampleType::U8).then(|| named.or_else(first_three)).flatten()
        }
        Wanted::Band(name) => {
            info.bands.iter().position(|b| band_name(&b.name) == Some(*name)).map(|band| vec![band])
        }
        Wanted::Named(name) => {
            let number = || name.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
            let band = at(name).or_else(|| number().filter(|n| *n < info.bands.len()));
            band.map(|band| vec![band])
        }
    }
}

fn missing(date: &DateFiles, want: &Wanted, options: &OpenOptions) -> Error {
    let described = date.files.iter().take(40).map(|file| match file.band {
        Some(band) => band.to_owned(),
        None => {
            let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let bands = date.open(file, options).map(|s| {
                let bands: Vec<String> = s.info().bands.iter().map(|b| b.name.clone()).collect();
                format!("{name} with {} {:?} bands ({})", bands.len(), s.info().sample, bands.join(" "))
            });
            bands.unwrap_or(name)
        }
    });
    let mut there: Vec<String> = described.collect();
    there.dedup();
    let has = |band: &str| there.iter().any(|name| name == band);
    let colours = matches!(want, Wanted::Tci) && ["B04", "B03", "B02"].into_iter().all(has);
    let error = Error::usage(format!(
        "date {}: no band {}; there are {}; --bands names those to use{}",
        date.label(),
        want.name(),
        there.join(", "),
        if colours { ", rgb in place of tci makes true colour of B04, B03 and B02" } else { "" }
    ));
    match date.files.first().and_then(|f| f.path.parent()) {
        Some(folder) => error.in_file(folder),
        None => error,
    }
}
