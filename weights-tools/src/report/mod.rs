//! What the commands `inspect`, `convert` and `diff` find, as values that print as text and as JSON.

mod convert;
mod diff;
mod inspect;

pub use convert::{convert, Conversion, ConvertOptions};
pub use diff::{diff, Difference, TensorDifference};
pub use inspect::{inspect, InspectOptions, Inspection, TensorRow};

/// Text from a file made safe for a terminal: control characters escaped, long text cut.
fn shown(text: &str) -> String {
    let mut out: String = text
        .chars()
        .take(200)
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect();
    if text.chars().nth(200).is_some() {
        out.push('…');
    }
    out
}

/// `64×3×3`, or `scalar`.
fn extents(shape: &[usize]) -> String {
    if shape.is_empty() {
        return "scalar".to_string();
    }
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join("×")
}
