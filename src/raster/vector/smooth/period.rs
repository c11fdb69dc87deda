//! Months, as files and features name them.

use std::fmt;

/// A month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    year: u16,
    month: u8,
}

impl Period {
    /// The first month that a text names as `2021-03`, `2021-03-17` or `20210317`.
    pub fn find(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let digit = |at: usize| bytes.get(at).filter(|b| b.is_ascii_digit()).map(|b| u16::from(b - b'0'));
        let number = |at: usize, n: usize| (at..at + n).try_fold(0, |all, k| Some(all * 10 + digit(k)?));
        (0..bytes.len()).find_map(|at| {
            if at > 0 && digit(at - 1).is_some() {
                return None;
            }
            let year = number(at, 4)?;
            let (month, end) = match bytes.get(at + 4)? {
                b'-' => (number(at + 5, 2)?, at + 7),
                // Without hyphens a month alone could be any number.
                _ => (number(at + 4, 2).filter(|_| number(at + 6, 2).is_some())?, at + 8),
            };
            let ends = digit(end).is_none();
            (ends && (1..=12).contains(&month)).then_some(Self { year, month: month as u8 })
        })
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_found_in_names_and_dates() {
        let found = |text: &str| Period::find(text).map(|period| period.to_string());
        for text in ["2021-03", "sea_2021-03.v2", "x2021-03-17", "S2A_MSIL2A_20210317T1", "2021-13_2021-03"] {
            assert_eq!(found(text).as_deref(), Some("2021-03"), "{text}");
        }
        for text in ["", "é2021", "2021-3", "12021-03", "2021-031", "202103", "2021-00", "latest"] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
