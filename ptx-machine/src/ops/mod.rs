//! What the arithmetic instructions compute: one function over a warp's rows for each opcode, its
//! modifiers and its type. Nothing here knows registers or memory.

pub mod bits;
pub mod compare;
pub mod convert;
pub mod float;
pub mod half_float;
pub mod int;
pub mod rounding;

use crate::ir::Type;

/// The dot-separated words after an opcode, taken one by one; what nobody takes is not understood.
pub struct Modifiers<'a> {
    words: Vec<&'a str>,
}

impl<'a> Modifiers<'a> {
    /// Splits an opcode into its base and modifiers.
    pub fn split(opcode: &'a str) -> (&'a str, Modifiers<'a>) {
        let mut words = opcode.split('.');
        let base = words.next().unwrap_or("");
        (base, Modifiers { words: words.collect() })
    }

    /// Takes a word if it is there.
    pub fn take(&mut self, word: &str) -> bool {
        match self.words.iter().position(|w| *w == word) {
            Some(at) => {
                self.words.remove(at);
                true
            }
            None => false,
        }
    }

    /// Takes the first of the words that is there.
    pub fn take_any(&mut self, words: &[&'static str]) -> Option<&'static str> {
        words.iter().find(|w| self.take(w)).copied()
    }

    /// Takes the first word for which `read` has a meaning.
    pub fn take_by<T>(&mut self, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let at = self.words.iter().position(|w| read(w).is_some())?;
        read(self.words.remove(at))
    }

    /// Takes the first type.
    pub fn take_type(&mut self) -> Option<Type> {
        self.take_by(Type::parse)
    }

    /// Words nobody took.
    pub fn rest(&self) -> &[&'a str] {
        &self.words
    }
}

/// A function over rows from one over lanes.
macro_rules! lanes {
    (|$a:ident| $e:expr) => {
        (|a: &$crate::ir::Row| {
            std::array::from_fn(|i| {
                let $a = a[i];
                $e
            })
        }) as $crate::ir::Row1
    };
    (|$a:ident, $b:ident| $e:expr) => {
        (|a: &$crate::ir::Row, b: &$crate::ir::Row| {
            std::array::from_fn(|i| {
                let ($a, $b) = (a[i], b[i]);
                $e
            })
        }) as $crate::ir::Row2
    };
    (|$a:ident, $b:ident, $c:ident| $e:expr) => {
        (|a: &$crate::ir::Row, b: &$crate::ir::Row, c: &$crate::ir::Row| {
            std::array::from_fn(|i| {
                let ($a, $b, $c) = (a[i], b[i], c[i]);
                $e
            })
        }) as $crate::ir::Row3
    };
    (|$a:ident, $b:ident, $c:ident, $d:ident| $e:expr) => {
        (|a: &$crate::ir::Row, b: &$crate::ir::Row, c: &$crate::ir::Row, d: &$crate::ir::Row| {
            std::array::from_fn(|i| {
                let ($a, $b, $c, $d) = (a[i], b[i], c[i], d[i]);
                $e
            })
        }) as $crate::ir::Row4
    };
}
pub(crate) use lanes;
