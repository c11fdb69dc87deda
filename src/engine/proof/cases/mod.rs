//! Cases at the sizes where kernels change what they do: edges of tiles, blocks and warps.

mod convolutions;
mod images;
mod networks;
mod tokens;

use super::case::Case;
use crate::graph::{Builder, Mode, Var};
use crate::ops::Conv2d;
use crate::Result;

/// Cases as they are written down; the first mistake is the result.
struct Cases(Result<Vec<Case>>);

impl Cases {
    fn push(&mut self, name: impl Into<String>, build: impl for<'b> FnOnce(&'b Builder) -> Var<'b>) {
        let Ok(all) = &mut self.0 else { return };
        let name = name.into();
        let b = Builder::new(Mode::Infer);
        let y = build(&b);
        b.output("y", y);
        match b.finish().and_then(|graph| Case::new(&name, graph)) {
            Ok(case) => all.push(case),
            Err(e) => self.0 = Err(e.while_doing(name)),
        }
    }
}

/// All of them.
///
/// # Errors
/// None for these.
pub fn cases() -> Result<Vec<Case>> {
    let mut all = Cases(Ok(Vec::new()));
    convolutions::all(&mut all);
    tokens::all(&mut all);
    images::all(&mut all);
    networks::all(&mut all);
    all.0
}

/// A convolution that keeps an image's size.
fn conv<'b>(b: &'b Builder, x: Var<'b>, name: &str, c_out: usize, kernel: usize) -> Var<'b> {
    let scope = b.scope(name);
    let w = scope.param("weight", &[c_out, x.dim(1), kernel, kernel]);
    x.conv2d(w, Some(scope.param("bias", &[c_out])), Conv2d::same(kernel))
}
