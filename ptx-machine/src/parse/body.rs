//! An entry: its parameters, then statement by statement registers, variables, labels, instructions.

use std::collections::HashMap;
use std::sync::Arc;

use super::instruction;
use super::lexer::{tokens, Cursor, Token};
use super::symbols::Symbols;
use super::ParseError;
use crate::ir::{Code, Condition, Grain, Inst, Op, Pred, Preset, Reg, RowInfo, Space, Type};

/// Most registers an entry may declare.
const MOST_REGISTERS: usize = 1 << 16;

/// A declared register.
#[derive(Clone, Copy)]
pub enum Name {
    /// A row of this number.
    Row(Reg),
    /// A predicate.
    Pred(Pred),
}

/// One pair of braces: its names and labels, and the braces around it.
struct Scope {
    names: HashMap<String, Name>,
    labels: HashMap<String, u32>,
    outer: Option<usize>,
}

/// What is known while a body is read.
pub struct Body<'a> {
    pub symbols: Symbols,
    scopes: Vec<Scope>,
    scope: usize,
    rows: Vec<RowInfo>,
    pred_names: Vec<String>,
    presets: HashMap<Preset, Reg>,
    /// Branches whose target is to be found: instruction, label, scope, line.
    branches: Vec<(usize, &'a str, usize, u32)>,
    pub insts: Vec<Inst>,
    pub grain: Grain,
    pub meets: bool,
    pub warpgroups: bool,
}

impl<'a> Body<'a> {
    /// A declared name, looked for outwards.
    pub fn name(&self, word: &str) -> Option<Name> {
        let mut at = Some(self.scope);
        while let Some(scope) = at.map(|i| &self.scopes[i]) {
            if let Some(name) = scope.names.get(word) {
                return Some(*name);
            }
            at = scope.outer;
        }
        None
    }

    /// The row that holds a constant or a special register.
    pub fn preset(&mut self, preset: Preset) -> Reg {
        let rows = &mut self.rows;
        *self.presets.entry(preset).or_insert_with(|| {
            rows.push(RowInfo { name: format!("{preset:?}"), width: 64, preset: Some(preset) });
            rows.len() as Reg - 1
        })
    }

    /// Width in bits of a row.
    pub fn width(&self, reg: Reg) -> u32 {
        self.rows[reg as usize].width
    }

    /// Notes that an access of `bytes` may be made to a space.
    pub fn accesses(&mut self, space: Space, bytes: usize) {
        if matches!(space, Space::Shared | Space::Generic) {
            self.grain.shared = self.grain.shared.min(bytes.max(1));
        }
        if matches!(space, Space::Global | Space::Generic) {
            self.grain.global = self.grain.global.min(bytes.max(1));
        }
    }

    /// Notes a branch to a label.
    pub fn branch(&mut self, label: &'a str, line: u32) {
        self.branches.push((self.insts.len(), label, self.scope, line));
    }

    fn declare(&mut self, c: &mut Cursor<'a, '_>) -> Result<(), ParseError> {
        let word = c.word("a register's type")?;
        let ty = Type::parse(word.trim_start_matches('.'));
        let ty = ty.ok_or_else(|| c.error(format!("'{word}' is no register type")))?;
        loop {
            let name = c.word("a register's name")?;
            match c.take("<") {
                true => {
                    let count = usize::try_from(c.integer()?).ok().filter(|n| *n <= MOST_REGISTERS);
                    let count = count.ok_or_else(|| c.error("too many registers"))?;
                    c.expect(">")?;
                    for i in 0..count {
                        self.register(format!("{name}{i}"), ty, c)?;
                    }
                }
                false => self.register(name.into(), ty, c)?,
            }
            if !c.take(",") {
                return c.expect(";");
            }
        }
    }

    fn register(&mut self, name: String, ty: Type, c: &Cursor) -> Result<(), ParseError> {
        if self.rows.len() + self.pred_names.len() > MOST_REGISTERS {
            return Err(c.error("too many registers"));
        }
        let known = match ty {
            Type::Pred => {
                self.pred_names.push(name.clone());
                Name::Pred(self.pred_names.len() as Pred - 1)
            }
            Type::B128 => return Err(c.error("128-bit registers are not supported")),
            _ => {
                self.rows.push(RowInfo { name: name.clone(), width: 8 * ty.bytes() as u32, preset: None });
                Name::Row(self.rows.len() as Reg - 1)
            }
        };
        self.scopes[self.scope].names.insert(name, known);
        Ok(())
    }

    fn target(&self, label: &str, scope: usize) -> Option<u32> {
        let mut at = Some(scope);
        while let Some(s) = at.map(|i| &self.scopes[i]) {
            if let Some(pc) = s.labels.get(label) {
                return Some(*pc);
            }
            at = s.outer;
        }
        None
    }
}

/// Reads an entry from its name on; `first_line` is the line of the module it starts on.
pub fn entry(
    text: &str,
    first_line: u32,
    symbols: Symbols,
    files: &HashMap<u32, Arc<str>>,
) -> Result<Code, ParseError> {
    read(text, symbols, files)
        .map_err(|e| ParseError { line: if e.line == 0 { 0 } else { e.line + first_line - 1 }, what: e.what })
}

fn read(text: &str, mut symbols: Symbols, files: &HashMap<u32, Arc<str>>) -> Result<Code, ParseError> {
    let all = tokens(text)?;
    let mut c = Cursor::new(&all);
    let name = c.word("an entry's name")?.to_string();
    if c.peek() == "(" {
        let mut params = Cursor::new(c.enclosed("(", ")")?);
        while params.take(".param") {
            symbols.declare(Space::Param, false, &mut params)?;
            if !params.take(",") {
                break;
            }
        }
        if !params.rest().is_empty() {
            return Err(params.error(format!("'{}' among the parameters is not understood", params.peek())));
        }
    }
    let (mut max_threads, mut block) = (None, None);
    while c.peek() != "{" {
        match c.word("a directive")? {
            word @ (".maxntid" | ".reqntid") => {
                let mut n = [1u32; 3];
                for (i, n) in n.iter_mut().enumerate() {
                    if i > 0 && !c.take(",") {
                        break;
                    }
                    *n = u32::try_from(c.integer()?)
                        .ok()
                        .filter(|n| *n <= 1024)
                        .ok_or_else(|| c.error("too many threads"))?;
                }
                max_threads = Some(n.iter().product());
                if word == ".reqntid" {
                    block = Some(n);
                }
            }
            ".minnctapersm" | ".maxnctapersm" | ".maxnreg" => {
                c.integer()?;
            }
            other => return Err(c.error(format!("directive '{other}' is not supported"))),
        }
    }
    let mut body = Body {
        symbols,
        scopes: vec![Scope { names: HashMap::new(), labels: HashMap::new(), outer: None }],
        scope: 0,
        rows: Vec::new(),
        pred_names: vec!["false".into(), "true".into()],
        presets: HashMap::new(),
        branches: Vec::new(),
        insts: Vec::new(),
        grain: Grain { shared: 16, global: 16 },
        meets: false,
        warpgroups: false,
    };
    let mut inside = Cursor::new(c.enclosed("{", "}")?);
    statements(text, &mut body, &mut inside, files)?;
    finish(name, body, max_threads, block)
}

fn statements<'a>(
    text: &'a str,
    body: &mut Body<'a>,
    c: &mut Cursor<'a, '_>,
    files: &HashMap<u32, Arc<str>>,
) -> Result<(), ParseError> {
    let mut source = None;
    while let Some(token) = c.next() {
        match token.text {
            ";" => {}
            "{" => {
                let names = HashMap::new();
                body.scopes.push(Scope { names, labels: HashMap::new(), outer: Some(body.scope) });
                body.scope = body.scopes.len() - 1;
            }
            "}" => body.scope = body.scopes[body.scope].outer.ok_or_else(|| c.error("'}' without '{'"))?,
            ".loc" => {
                let (file, line) = (c.integer()? as u32, c.integer()? as u32);
                c.skip_line();
                // Line zero marks code that belongs to no line: the last one stays the best answer.
                if line > 0 {
                    source = files.get(&file).map(|f| (f.clone(), line));
                }
            }
            ".reg" => body.declare(c)?,
            ".shared" | ".local" | ".param" | ".const" | ".global" => {
                let space = match token.text {
                    ".shared" => Space::Shared,
                    ".local" => Space::Local,
                    ".param" => {
                        return Err(c.error("parameters inside of a body: functions are not supported"))
                    }
                    _ => Space::Const,
                };
                body.symbols.declare(space, false, c)?;
                c.expect(";")?;
            }
            ".pragma" => while c.next().is_some_and(|t| t.text != ";") {},
            word if c.peek() == ":" && !word.starts_with('@') => {
                c.next();
                let pc = body.insts.len() as u32;
                let scope = body.scope;
                if body.scopes[scope].labels.insert(word.into(), pc).is_some() {
                    return Err(ParseError::new(token.line, format!("label '{word}' is there twice")));
                }
            }
            _ => {
                let end = c.rest().iter().position(|t| t.text == ";");
                let end = end.ok_or_else(|| ParseError::new(token.line, "an instruction does not end"))?;
                let rest = &c.rest()[..end];
                let last = rest.last().unwrap_or(&token);
                let written = squeeze(&text[token.at..last.end()]);
                c.skip(end + 1);
                statement(body, token, rest, written, source.clone())?;
            }
        }
    }
    Ok(())
}

/// One instruction with its guard.
fn statement<'a>(
    body: &mut Body<'a>,
    first: Token<'a>,
    rest: &[Token<'a>],
    text: String,
    source: Option<(Arc<str>, u32)>,
) -> Result<(), ParseError> {
    let mut c = Cursor::new(rest);
    let (mut guard, mut opcode) = (None, first.text);
    if first.text == "@" {
        let negate = c.take("!");
        let word = c.word("a predicate")?;
        let Some(Name::Pred(pred)) = body.name(word) else {
            return Err(ParseError::new(first.line, format!("'{word}' is no predicate")));
        };
        guard = Some(Condition { pred, negate });
        opcode = c.word("an instruction")?;
    }
    let op = instruction::read(body, opcode, &mut c, first.line)
        .map_err(|e| ParseError::new(first.line, format!("{}; in `{text}`", e.what)))?;
    body.insts.push(Inst { op, guard, text: text.into(), source });
    Ok(())
}

/// One line, single spaces.
fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn finish(
    name: String,
    mut body: Body,
    max_threads: Option<u32>,
    block: Option<[u32; 3]>,
) -> Result<Code, ParseError> {
    body.insts.push(Inst { op: Op::Exit, guard: None, text: "(end)".into(), source: None });
    for (at, label, scope, line) in std::mem::take(&mut body.branches) {
        let target = body.target(label, scope);
        let target = target.ok_or_else(|| ParseError::new(line, format!("there is no label '{label}'")))?;
        if let Op::Branch { target: to } = &mut body.insts[at].op {
            *to = target;
        }
    }
    Ok(Code {
        name,
        insts: body.insts,
        rows: body.rows,
        preds: body.pred_names.len(),
        pred_names: body.pred_names,
        param_bytes: body.symbols.params,
        shared_bytes: body.symbols.shared,
        dynamic_align: body.symbols.dynamic_align,
        local_bytes: body.symbols.local,
        constants: Arc::new(body.symbols.constants),
        max_threads,
        block,
        grain: body.grain,
        meets: body.meets,
        warpgroups: body.warpgroups,
    })
}
