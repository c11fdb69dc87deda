//! Words and punctuation of PTX, each with its place in the text; comments are left out.

use super::ParseError;

/// A word (name, number, directive, opcode with its modifiers), string or punctuation mark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token<'a> {
    /// The text; a string with its quotes.
    pub text: &'a str,
    /// Line, from one.
    pub line: u32,
    /// Byte at which it starts.
    pub at: usize,
}

impl Token<'_> {
    /// Byte behind it.
    pub fn end(&self) -> usize {
        self.at + self.text.len()
    }
}

fn of_word(c: u8) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, b'_' | b'$' | b'.' | b'%')
}

/// Cuts a text into tokens.
pub fn tokens(text: &str) -> Result<Vec<Token<'_>>, ParseError> {
    let bytes = text.as_bytes();
    let (mut out, mut i, mut line) = (Vec::new(), 0, 1);
    while i < bytes.len() {
        let (start, at_line) = (i, line);
        match bytes[i] {
            b'\n' => {
                line += 1;
                i += 1;
                continue;
            }
            c if c.is_ascii_whitespace() || c == 0 => {
                i += 1;
                continue;
            }
            b'/' if bytes.get(i + 1) == Some(&b'/') => {
                while i < bytes.len() && bytes[i] != b'\n' {
                    i += 1;
                }
                continue;
            }
            b'/' if bytes.get(i + 1) == Some(&b'*') => {
                let end = text[i + 2..]
                    .find("*/")
                    .ok_or_else(|| ParseError::new(line, "a comment does not end"))?;
                line += text[i..i + 2 + end].matches('\n').count() as u32;
                i += end + 4;
                continue;
            }
            b'"' => {
                let end = bytes[i + 1..].iter().position(|c| *c == b'"');
                i += 2 + end.ok_or_else(|| ParseError::new(line, "a string does not end"))?;
                line += text[start..i].matches('\n').count() as u32;
            }
            c if of_word(c) => loop {
                match bytes.get(i) {
                    Some(c) if of_word(*c) => i += 1,
                    Some(b':') if bytes.get(i + 1) == Some(&b':') => i += 2,
                    _ => break,
                }
            },
            c if c.is_ascii() => i += 1,
            _ => return Err(ParseError::new(line, "a character that PTX does not have")),
        }
        out.push(Token { text: &text[start..i], line: at_line, at: start });
    }
    Ok(out)
}

/// A run of tokens that is consumed from the front.
#[derive(Clone, Copy)]
pub struct Cursor<'a, 't> {
    tokens: &'t [Token<'a>],
    line: u32,
}

impl<'a, 't> Cursor<'a, 't> {
    /// At the first of the tokens.
    pub fn new(tokens: &'t [Token<'a>]) -> Cursor<'a, 't> {
        Cursor { tokens, line: tokens.first().map_or(0, |t| t.line) }
    }

    /// The next token's text, or an empty one at the end.
    pub fn peek(&self) -> &'a str {
        self.tokens.first().map_or("", |t| t.text)
    }

    /// Line of the next token.
    pub fn line(&self) -> u32 {
        self.tokens.first().map_or(self.line, |t| t.line)
    }

    /// Takes the next token.
    pub fn next(&mut self) -> Option<Token<'a>> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        self.line = first.line;
        Some(*first)
    }

    /// Drops some tokens.
    pub fn skip(&mut self, count: usize) {
        (0..count).for_each(|_| {
            self.next();
        });
    }

    /// Takes a token if it is next.
    pub fn take(&mut self, text: &str) -> bool {
        let hit = self.peek() == text && !self.tokens.is_empty();
        if hit {
            self.next();
        }
        hit
    }

    /// Takes a token that must be next.
    pub fn expect(&mut self, text: &str) -> Result<(), ParseError> {
        match self.take(text) {
            true => Ok(()),
            false => Err(self.error(format!("expected '{text}', found '{}'", self.peek()))),
        }
    }

    /// Takes a word that must be next.
    pub fn word(&mut self, what: &str) -> Result<&'a str, ParseError> {
        match self.next() {
            Some(t) if t.text.bytes().next().is_some_and(of_word) => Ok(t.text),
            Some(t) => Err(ParseError::new(t.line, format!("expected {what}, found '{}'", t.text))),
            None => Err(self.error(format!("expected {what}, found the end"))),
        }
    }

    /// Takes an integer that must be next; a minus sign may precede it.
    pub fn integer(&mut self) -> Result<i128, ParseError> {
        let negative = self.take("-");
        let word = self.word("a number")?;
        let value = integer(word).ok_or_else(|| self.error(format!("'{word}' is no number")))?;
        Ok(if negative { -value } else { value })
    }

    /// An error at the next token.
    pub fn error(&self, what: impl Into<String>) -> ParseError {
        ParseError::new(self.line(), what)
    }

    /// The tokens left.
    pub fn rest(&self) -> &'t [Token<'a>] {
        self.tokens
    }

    /// Drops the tokens of the line that the last taken one is on.
    pub fn skip_line(&mut self) {
        while self.tokens.first().is_some_and(|t| t.line == self.line) {
            self.next();
        }
    }

    /// The tokens between an opening mark, which must be next, and its closing one.
    pub fn enclosed(&mut self, open: &str, close: &str) -> Result<&'t [Token<'a>], ParseError> {
        self.expect(open)?;
        let inside = self.tokens;
        let mut depth = 1;
        for i in 0.. {
            match self.next().map(|t| t.text) {
                Some(t) if t == open => depth += 1,
                Some(t) if t == close => depth -= 1,
                Some(_) => {}
                None => return Err(self.error(format!("'{open}' is never closed"))),
            }
            if depth == 0 {
                return Ok(&inside[..i]);
            }
        }
        Ok(inside)
    }
}

/// An integer literal: decimal, `0x`, `0b` or octal, with an optional `U`.
pub fn integer(word: &str) -> Option<i128> {
    let word = word.strip_suffix('U').unwrap_or(word);
    let parse = |digits: &str, radix| u64::from_str_radix(digits, radix).ok().map(i128::from);
    match word.get(..2) {
        Some("0x" | "0X") => parse(&word[2..], 16),
        Some("0b" | "0B") => parse(&word[2..], 2),
        Some(two) if two.starts_with('0') => parse(&word[1..], 8),
        _ => parse(word, 10),
    }
}

/// The bits of a float literal (`0f` with 8, `0d` with 16 hexadecimal digits).
pub fn float(word: &str) -> Option<u64> {
    match word.get(..2)? {
        "0f" | "0F" if word.len() == 10 => u32::from_str_radix(&word[2..], 16).ok().map(u64::from),
        "0d" | "0D" if word.len() == 18 => u64::from_str_radix(&word[2..], 16).ok(),
        _ => None,
    }
}
