//! What file names say: band, date, tile, resolution, processing baseline.

use super::Baseline;

/// Band names swath knows, as they are written everywhere in it.
const BANDS: [&str; 18] = [
    "B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12", "TCI", "VV",
    "VH", "HH", "HV",
];

/// The canonical name of a band: `b4`, `B04` → `B04`; `b8a` → `B8A`; `tci` → `TCI`.
pub fn band_name(token: &str) -> Option<&'static str> {
    let upper = token.to_ascii_uppercase();
    let padded = match upper.strip_prefix('B') {
        Some(digit) if digit.len() == 1 => format!("B0{digit}"),
        Some("08A") => "B8A".into(),
        _ => upper,
    };
    BANDS.into_iter().find(|name| *name == padded)
}

/// Pixel size of a Sentinel-2 band in metres.
pub fn native_resolution(band: &str) -> u32 {
    match band {
        "B01" | "B09" | "B10" => 60,
        "B05" | "B06" | "B07" | "B8A" | "B11" | "B12" => 20,
        _ => 10,
    }
}

/// What a file's (or product's) name says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileName {
    /// Canonical band name.
    pub band: Option<&'static str>,
    /// Sensing time as `2020-02-19T11:19:49` or `2020-02-19`: the first in the name.
    pub time: Option<String>,
    /// MGRS tile, `29RKH`.
    pub tile: Option<String>,
    /// Pixel size in metres, from a `10m` token.
    pub resolution: Option<u32>,
    /// Processing baseline, from a `N0400` token.
    pub baseline: Option<Baseline>,
    /// The name without its band and resolution.
    pub rest: String,
}

impl FileName {
    /// Reads a name without its extension.
    pub fn parse(stem: &str) -> Self {
        let mut name = Self { time: find_time(stem), ..Self::default() };
        let mut rest = Vec::new();
        for token in stem.split(['_', '.', ' ', '-']) {
            if let (None, Some(band)) = (name.band, band_name(token)) {
                name.band = Some(band);
            } else if let (None, Some(metres)) = (name.resolution, resolution(token)) {
                name.resolution = Some(metres);
            } else {
                name.tile = name.tile.take().or_else(|| tile(token));
                name.baseline = name.baseline.or_else(|| baseline(token));
                rest.push(token);
            }
        }
        name.rest = rest.join("_");
        name
    }

    /// The day of the sensing time.
    pub fn day(&self) -> Option<&str> {
        self.time.as_deref().and_then(|t| t.get(..10))
    }
}

fn resolution(token: &str) -> Option<u32> {
    let metres = token.strip_suffix('m')?.parse().ok()?;
    [10, 20, 60].contains(&metres).then_some(metres)
}

fn tile(token: &str) -> Option<String> {
    let rest = token.strip_prefix('T')?;
    let (zone, square) = rest.split_at_checked(2)?;
    let good = zone.bytes().all(|b| b.is_ascii_digit())
        && square.len() == 3
        && square.bytes().all(|b| b.is_ascii_uppercase());
    good.then(|| rest.to_owned())
}

fn baseline(token: &str) -> Option<Baseline> {
    let digits = token.strip_prefix('N').filter(|d| d.len() == 4 && d.bytes().all(|b| b.is_ascii_digit()))?;
    let (major, minor) = digits.split_at_checked(2)?;
    Some(Baseline { major: major.parse().ok()?, minor: minor.parse().ok()? })
}

/// The first `YYYYMMDDThhmmss`, `YYYYMMDD` or `YYYY-MM-DD` in a name, as ISO 8601.
fn find_time(stem: &str) -> Option<String> {
    let bytes = stem.as_bytes();
    let digit = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_digit);
    (0..bytes.len()).filter(|&i| digit(i) && !(i > 0 && digit(i - 1))).find_map(|i| {
        let run = (i..).take_while(|&j| digit(j)).count();
        let part = |from: usize, len: usize| stem.get(i + from..i + from + len);
        if run == 8 {
            let day = date(part(0, 4)?, part(4, 2)?, part(6, 2)?)?;
            let clock = (part(8, 1) == Some("T")).then(|| clock(part(9, 6)?)).flatten();
            return Some(clock.map_or_else(|| day.clone(), |c| format!("{day}T{c}")));
        }
        if run == 4 && part(4, 1) == Some("-") && part(7, 1) == Some("-") {
            return date(part(0, 4)?, part(5, 2)?, part(8, 2)?);
        }
        None
    })
}

fn date(year: &str, month: &str, day: &str) -> Option<String> {
    let within = |text: &str, low: u32, high: u32| {
        let all_digits = text.bytes().all(|b| b.is_ascii_digit());
        all_digits && text.parse().is_ok_and(|n: u32| (low..=high).contains(&n))
    };
    let good = within(year, 1970, 2199) && within(month, 1, 12) && within(day, 1, 31);
    good.then(|| format!("{year}-{month}-{day}"))
}

fn clock(digits: &str) -> Option<String> {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(format!("{}:{}:{}", digits.get(..2)?, digits.get(2..4)?, digits.get(4..6)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_ground_segment() {
        let name = FileName::parse("T29RKH_20200219T111949_B04_10m");
        assert_eq!((name.band, name.resolution), (Some("B04"), Some(10)));
        assert_eq!(name.time.as_deref(), Some("2020-02-19T11:19:49"));
        assert_eq!(name.day(), Some("2020-02-19"));
        assert_eq!(name.tile.as_deref(), Some("29RKH"));
        assert_eq!(name.rest, "T29RKH_20200219T111949");

        let name = FileName::parse("S2B_MSIL1C_20220514T103629_N0400_R008_T31UDQ_20220514T124045");
        assert_eq!(name.baseline, Some(Baseline { major: 4, minor: 0 }));
        assert_eq!(name.time.as_deref(), Some("2022-05-14T10:36:29"));
        assert_eq!(name.band, None);

        let old = FileName::parse("S2A_OPER_MSI_L1C_TL_SGS__20151231T121326_A002734_T32TQM_B8A");
        assert_eq!((old.band, old.tile.as_deref()), (Some("B8A"), Some("32TQM")));
    }

    #[test]
    fn names_people_give() {
        assert_eq!(FileName::parse("B02").band, Some("B02"));
        assert_eq!(FileName::parse("b2").band, Some("B02"));
        assert_eq!(FileName::parse("preview_tci").band, Some("TCI"));
        assert_eq!(FileName::parse("iw-vv").band, Some("VV"));
        assert_eq!(FileName::parse("field 2021-07-03").time.as_deref(), Some("2021-07-03"));
        for stem in ["", "____", "20201399", "B13", "B", "12345678901234", "T2ÜÜÜ_2020021é", "2020-02"] {
            let name = FileName::parse(stem);
            assert_eq!((name.band, name.time), (None, None), "{stem}");
        }
    }
}
