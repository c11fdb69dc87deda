//! A module: its directives, variables and the extent of each entry's text.

use std::collections::HashMap;
use std::sync::Arc;

use super::lexer::{tokens, Cursor};
use super::symbols::Symbols;
use super::{body, ParseError};
use crate::ir::Space;
use crate::Entry;

/// A parsed module; entries are read on demand, so that one with an unknown instruction does not
/// stand in the way of the others.
pub struct Module {
    text: String,
    version: String,
    target: String,
    entries: Vec<Found>,
    symbols: Symbols,
    files: HashMap<u32, Arc<str>>,
}

/// Where an entry is, as ranges of bytes of the text.
struct Found {
    name: String,
    line: u32,
    from: usize,
    to: usize,
}

impl Module {
    /// Reads a module's directives and variables and finds its entries.
    ///
    /// # Errors
    /// Text that is not PTX, and directives that are not supported.
    pub fn parse(text: &str) -> Result<Module, ParseError> {
        let all = tokens(text)?;
        let mut c = Cursor::new(&all);
        let mut module = Module {
            text: text.into(),
            version: String::new(),
            target: String::new(),
            entries: Vec::new(),
            symbols: Symbols::new(),
            files: HashMap::new(),
        };
        let mut external = false;
        while let Some(token) = c.next() {
            let mut link = false;
            match token.text {
                ".version" => module.version = c.word("a version")?.into(),
                ".target" => {
                    module.target = c.word("a target")?.into();
                    c.skip_line();
                }
                ".address_size" => {
                    if c.integer()? != 64 {
                        return Err(c.error("only 64-bit addresses are supported"));
                    }
                }
                ".visible" | ".weak" | ".common" => link = true,
                ".extern" => {
                    external = true;
                    link = true;
                }
                ".entry" => module.entry_text(token.line, &mut c)?,
                ".func" => skip_function(&mut c)?,
                ".file" => {
                    let number = c.integer()? as u32;
                    let name = c.next().map_or("", |t| t.text).trim_matches('"');
                    let short = name.rsplit('/').next().unwrap_or(name);
                    module.files.insert(number, short.into());
                    c.skip_line();
                }
                ".section" => {
                    c.word("a section's name")?;
                    c.enclosed("{", "}")?;
                }
                ".loc" | ".pragma" => c.skip_line(),
                ".global" | ".const" => {
                    let space = if token.text == ".const" { Space::Const } else { Space::Global };
                    module.symbols.declare(space, external, &mut c)?;
                    c.expect(";")?;
                }
                ".shared" => {
                    module.symbols.declare(Space::Shared, external, &mut c)?;
                    c.expect(";")?;
                }
                ";" => {}
                other => {
                    return Err(ParseError::new(token.line, format!("'{other}' is not understood here")))
                }
            }
            external &= link;
        }
        Ok(module)
    }

    fn entry_text(&mut self, line: u32, c: &mut Cursor) -> Result<(), ParseError> {
        let from = c.rest().first().map_or(0, |t| t.at);
        let name = c.word("an entry's name")?.to_string();
        if c.peek() == "(" {
            c.enclosed("(", ")")?;
        }
        while c.peek() != "{" {
            if c.next().is_none() {
                return Err(c.error(format!("entry {name} has no body")));
            }
        }
        c.enclosed("{", "}")?;
        let to = c.rest().first().map_or(self.text.len(), |t| t.at);
        self.entries.push(Found { name, line, from, to });
        Ok(())
    }

    /// Names of all entries, in order.
    pub fn entries(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|e| e.name.as_str())
    }

    /// `.version`, such as `7.0`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// `.target`, such as `sm_80`.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Reads an entry.
    ///
    /// # Errors
    /// No such entry, an instruction or modifier that is not supported, or malformed text.
    pub fn entry(&self, name: &str) -> Result<Entry, ParseError> {
        let found = self.entries.iter().find(|e| e.name == name);
        let found = found.ok_or_else(|| {
            ParseError::new(
                0,
                format!("no entry '{name}'; there are: {}", self.entries().collect::<Vec<_>>().join(", ")),
            )
        })?;
        let text = &self.text[found.from..found.to];
        let code = body::entry(text, found.line, self.symbols.clone(), &self.files)?;
        Ok(Entry::new(code))
    }
}

/// Passes over a function: entries that call one say so themselves.
fn skip_function(c: &mut Cursor) -> Result<(), ParseError> {
    while !matches!(c.peek(), "{" | ";") {
        if c.next().is_none() {
            return Err(c.error("a function has no body"));
        }
    }
    match c.peek() {
        "{" => c.enclosed("{", "}").map(|_| ()),
        _ => c.expect(";"),
    }
}
