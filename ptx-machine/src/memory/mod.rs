//! The memories of the device: what is allocated, what was ever written, who touched it last.

pub mod address;
pub mod clocks;
pub mod global;
pub mod local;
pub mod proxy;
pub mod races;
pub mod shared;

/// Why an access is refused: completed by the machine with thread, instruction and source line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// What is wrong.
    pub text: String,
    /// The lane, where the refusal is about one of those that execute the instruction.
    pub lane: Option<usize>,
    /// Thread and instruction of the other access, where two conflict.
    pub other: Option<(u32, u32)>,
}

impl<T: Into<String>> From<T> for Refusal {
    fn from(text: T) -> Refusal {
        Refusal { text: text.into(), lane: None, other: None }
    }
}

impl Refusal {
    /// Names the lane.
    pub fn of(mut self, lane: usize) -> Refusal {
        self.lane = self.lane.or(Some(lane));
        self
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refusal {}
