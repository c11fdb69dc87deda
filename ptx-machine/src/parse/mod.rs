//! PTX text to [`crate::ir`]: a module is cut into entries; an entry's body is read when it is asked for.

mod body;
mod copies;
mod instruction;
mod lexer;
mod memory;
mod module;
mod operands;
mod symbols;
mod units;
mod warp;

pub use module::Module;

/// What could not be read, and where.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("PTX line {line}: {what}")]
pub struct ParseError {
    /// Line of the PTX text, from one; zero where there is none.
    pub line: u32,
    /// What is wrong.
    pub what: String,
}

impl ParseError {
    pub(crate) fn new(line: u32, what: impl Into<String>) -> ParseError {
        ParseError { line, what: what.into() }
    }
}
