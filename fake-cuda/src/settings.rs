//! What the driver pretends to be, as one line of text: `memory=64M capability=72 integrated fail=map_fwd_f32__strided:3`.

/// Name of the environment variable that holds the line when a program starts.
pub const VARIABLE: &str = "FAKE_CUDA";

/// What the driver pretends to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Number of GPUs.
    pub devices: usize,
    /// Bytes of each.
    pub memory: usize,
    /// Bytes that look free and are not to be had.
    pub hidden: usize,
    /// File that the report is written to when the process ends.
    pub report: Option<String>,
    /// Compute capability: ten times the major plus the minor number.
    pub capability: u32,
    /// Whether they share the processor's memory.
    pub integrated: bool,
    /// Entry whose launch of that number (from 1, over all devices) fails.
    pub fail: Option<(String, u64)>,
    /// Entry whose launches do nothing.
    pub skip: Option<String>,
    /// Whether waits for events are not heard, as if the program had forgotten them.
    pub deaf: bool,
    /// Whether work is done when it is enqueued rather than when somebody waits for it.
    pub early: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            devices: 1,
            memory: 1 << 30,
            hidden: 0,
            report: None,
            capability: 90,
            integrated: false,
            fail: None,
            skip: None,
            deaf: false,
            early: false,
        }
    }
}

impl Settings {
    /// Reads a line of words `key=value`.
    ///
    /// # Errors
    /// The word that is not understood.
    pub fn parse(line: &str) -> Result<Self, String> {
        let mut settings = Self::default();
        for word in line.split_whitespace() {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            let done = match key {
                "devices" => value.parse().map(|n| settings.devices = n).is_ok(),
                "memory" => bytes(value).map(|n| settings.memory = n).is_some(),
                "hidden" => bytes(value).map(|n| settings.hidden = n).is_some(),
                "report" => {
                    settings.report = Some(value.to_string());
                    !value.is_empty()
                }
                "capability" => value.parse().map(|n| settings.capability = n).is_ok(),
                "integrated" => {
                    settings.integrated = true;
                    value.is_empty()
                }
                "deaf" => {
                    settings.deaf = true;
                    value.is_empty()
                }
                "early" => {
                    settings.early = true;
                    value.is_empty()
                }
                "skip" => {
                    settings.skip = Some(value.to_string());
                    !value.is_empty()
                }
                "fail" => {
                    settings.fail =
                        value.rsplit_once(':').and_then(|(e, n)| Some((e.to_string(), n.parse().ok()?)));
                    settings.fail.is_some()
                }
                _ => false,
            };
            if !done {
                return Err(format!("{VARIABLE}: \"{word}\" is not understood"));
            }
        }
        Ok(settings)
    }
}

fn bytes(text: &str) -> Option<usize> {
    let (number, shift) = match text.strip_suffix(['K', 'M', 'G']) {
        Some(number) => (number, 10 * (1 + "KMG".find(text.chars().last()?)?)),
        None => (text, 0),
    };
    number.parse::<usize>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_others_refused() {
        let all =
            "report=report hidden=1K devices=2 memory=3M capability=72 integrated early deaf fail=conv:7 skip=map";
        let wanted = Settings {
            devices: 2,
            memory: 3 << 20,
            hidden: 1 << 10,
            report: Some("report".into()),
            capability: 72,
            integrated: true,
            fail: Some(("conv".into(), 7)),
            skip: Some("map".into()),
            early: true,
            deaf: true,
        };
        assert_eq!(Settings::parse(all), Ok(wanted));
        assert_eq!(Settings::parse(""), Ok(Settings::default()));
        for bad in ["memory=x", "fail=conv", "integrated=1", "size=1"] {
            assert!(Settings::parse(bad).is_err(), "{bad}");
        }
    }
}
