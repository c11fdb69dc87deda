//! Declared variables: where each lies in its state space, and the bytes of those with values.

use std::collections::HashMap;

use super::lexer::{float, integer, Cursor};
use super::ParseError;
use crate::ir::{Space, Type};

/// Most bytes a declaration may take; beyond it no device could hold it.
const MOST_BYTES: usize = 1 << 26;

/// Most bytes of local memory of a thread.
const MOST_LOCAL: usize = 512 << 10;

/// A declared variable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Symbol {
    /// Where it lives.
    pub space: Space,
    /// Offset in the space; that of a dynamic array is known at launch.
    pub offset: usize,
    /// Whether it is the dynamic shared array.
    pub dynamic: bool,
}

/// Variables by name, and how much of each space they take.
#[derive(Clone, Default)]
pub struct Symbols {
    names: HashMap<String, Symbol>,
    /// Bytes of static shared memory.
    pub shared: usize,
    /// Alignment of dynamic shared memory.
    pub dynamic_align: usize,
    /// Bytes of local memory.
    pub local: usize,
    /// Bytes of parameters.
    pub params: usize,
    /// Module variables in the constant and global spaces.
    pub constants: Vec<u8>,
}

impl Symbols {
    /// Nothing declared.
    pub fn new() -> Symbols {
        Symbols { dynamic_align: 16, ..Symbols::default() }
    }

    /// A variable by name.
    pub fn get(&self, name: &str) -> Option<Symbol> {
        self.names.get(name).copied()
    }

    /// Reads a declaration behind its state space (`.align 4 .b8 name[16] = {…}`) up to what follows it.
    pub fn declare(&mut self, space: Space, external: bool, c: &mut Cursor) -> Result<(), ParseError> {
        let (mut align, mut ty, mut vector) = (None, None, 1usize);
        while c.peek().starts_with('.') {
            match c.word("a type")? {
                ".align" => align = Some(c.integer()?),
                ".v2" => vector = 2,
                ".v4" => vector = 4,
                ".ptr" | ".global" | ".const" | ".shared" | ".local" | ".attribute" => {}
                word => {
                    let t = Type::parse(&word[1..]).filter(|t| t.bytes() > 0);
                    ty = Some(t.ok_or_else(|| c.error(format!("'{word}' is no type of a variable")))?);
                }
            }
        }
        let ty = ty.ok_or_else(|| c.error("a variable without a type"))?;
        let name = c.word("a variable's name")?.to_string();
        let (mut count, mut open) = (vector, false);
        while c.take("[") {
            match c.take("]") {
                true => open = true,
                false => {
                    let n = usize::try_from(c.integer()?).map_err(|_| c.error("a negative extent"))?;
                    count = count
                        .checked_mul(n)
                        .filter(|n| *n <= MOST_BYTES)
                        .ok_or_else(|| c.error("too large"))?;
                    c.expect("]")?;
                }
            }
        }
        let align = align.unwrap_or(ty.bytes() as i128 * vector as i128);
        if !(1..=4096).contains(&align) || align & (align - 1) != 0 {
            return Err(c.error(format!("'{name}' has an alignment of {align}")));
        }
        let align = align as usize;
        let mut values = Vec::new();
        if c.take("=") {
            initial(c, ty, &mut values)?;
        }
        let dynamic = space == Space::Shared && (external || open);
        let bytes = match open {
            true => values.len(),
            false => count * ty.bytes(),
        };
        let top = match space {
            Space::Shared if dynamic => {
                self.dynamic_align = self.dynamic_align.max(align);
                self.names.insert(name, Symbol { space, offset: 0, dynamic });
                return Ok(());
            }
            Space::Shared => &mut self.shared,
            Space::Local => &mut self.local,
            Space::Param => &mut self.params,
            _ => {
                let offset = self.constants.len().next_multiple_of(align);
                if offset + bytes > MOST_BYTES || values.len() > bytes {
                    return Err(c.error(format!("'{name}' is too large")));
                }
                self.constants.resize(offset + bytes, 0);
                self.constants[offset..offset + values.len()].copy_from_slice(&values);
                self.names.insert(name, Symbol { space, offset, dynamic });
                return Ok(());
            }
        };
        let offset = top.next_multiple_of(align);
        *top = offset + bytes;
        if *top > if space == Space::Local { MOST_LOCAL } else { MOST_BYTES } {
            return Err(c.error(format!("'{name}' is too large")));
        }
        self.names.insert(name, Symbol { space, offset, dynamic });
        Ok(())
    }
}

/// The bytes of an initialiser, nested braces flattened.
fn initial(c: &mut Cursor, ty: Type, out: &mut Vec<u8>) -> Result<(), ParseError> {
    if out.len() > MOST_BYTES {
        return Err(c.error("too many values"));
    }
    if !c.take("{") {
        let negative = c.take("-");
        let word = c.word("a value")?;
        let bits = match (float(word), integer(word)) {
            (Some(bits), _) => bits,
            (None, Some(v)) => (if negative { -v } else { v }) as u64,
            _ => return Err(c.error(format!("'{word}' as an initial value is not understood"))),
        };
        out.extend(&bits.to_le_bytes()[..ty.bytes().min(8)]);
        return Ok(());
    }
    // Flattened without recursion: text may nest as deep as it likes.
    let mut depth = 1;
    while depth > 0 {
        if c.take("{") {
            depth += 1;
        } else if c.take("}") {
            depth -= 1;
        } else if !c.take(",") {
            if c.peek() == "{" || c.peek().is_empty() {
                return Err(c.error("an initialiser does not end"));
            }
            initial(c, ty, out)?;
        }
    }
    Ok(())
}
