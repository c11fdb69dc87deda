//! Rows and tokens: products, norms, attention and reductions.

use super::{conv, Cases};
use crate::graph::{Builder, Var};
use crate::ops::WindowAttention;

pub(super) fn all(all: &mut Cases) {
    tokens(all);
    chains(all);
    lines(all);
}

/// The same for rows of a linear layer.
fn tokens(all: &mut Cases) {
    for (m, k, n) in [
        (16, 4, 16),
        (64, 32, 64),
        (65, 36, 63),
        (17, 100, 130),
        (130, 36, 72),
        (130, 16, 72),
        (130, 36, 260),
        (260, 420, 256),
    ] {
        all.push(format!("tokens {m}x{k} to {n}"), |b| {
            let (w, bias) = (b.param("w", &[n, k]), b.param("b", &[n]));
            b.input("r", &[m, n]).add(b.input("x", &[m, k]).linear(w, Some(bias)).gelu())
        });
        all.push(format!("tokens {m}x{k} to {n}, relu"), |b| {
            b.input("x", &[m, k]).linear(b.param("w", &[n, k]), None).relu()
        });
    }
}

/// Products that read what others have laid out for them: in the place of a result, where nobody else reads it, or
/// beside it; tokens about the 256 of a unit.
fn chains(all: &mut Cases) {
    fn norm<'b>(b: &'b Builder, x: Var<'b>) -> Var<'b> {
        let scope = b.scope("norm");
        let n = x.dim(x.shape().len() - 1);
        x.layer_norm(scope.param("weight", &[n]), scope.param("bias", &[n]), 1e-5)
    }
    fn linear<'b>(b: &'b Builder, name: &str, x: Var<'b>, n: usize) -> Var<'b> {
        let scope = b.scope(name);
        let k = x.dim(x.shape().len() - 1);
        x.linear(scope.param("weight", &[n, k]), (name == "last").then(|| scope.param("bias", &[n])))
    }
    for (m, k, hidden, n) in [(150, 64, 32, 72), (150, 32, 96, 40), (150, 64, 32, 64)] {
        all.push(format!("chain {m}x{k} to {hidden} to {n}"), |b| {
            let x = norm(b, b.input("x", &[m, k]));
            linear(b, "last", linear(b, "first", x, hidden).gelu(), n)
        });
    }
    for hidden in [32, 96] {
        all.push(format!("chain of products by {hidden}"), |b| {
            linear(b, "last", linear(b, "first", b.input("x", &[150, 4]), hidden).relu(), 16)
        });
    }
    all.push("chain that is read twice", |b| {
        let x = norm(b, b.input("x", &[256, 16]));
        x.add(linear(b, "last", linear(b, "first", x, 256).relu(), 16))
    });
    all.push("chain of convolutions", |b| {
        let x = conv(b, conv(b, b.input("x", &[1, 16, 128, 16]), "first", 16, 1), "second", 16, 1);
        x.add(conv(b, x, "last", 16, 1))
    });
    for (hidden, kernel) in [(16, 3), (64, 1)] {
        all.push(format!("chain of convolutions by {hidden}"), |b| {
            let x = b.input("x", &[1, 16, 64, 16]);
            conv(b, conv(b, x, "first", hidden, kernel), "last", 9, 1)
        });
    }
    all.push("chain of attention", |b| {
        let (heads, window, shift) = (2, 4, 1);
        let x = b.input("x", &[1, 9, 15, 3 * 64]);
        let (pad, bias) = (b.param("pad", &[3 * 64]), b.param("bias", &[heads, 49]));
        let attention = WindowAttention { heads, window, shift, cosine: false };
        linear(b, "proj", x.window_attention(attention, pad, bias, None), 32)
    });
}

/// Lines and rows about the 32 lanes of a warp and the 128 threads of a block.
fn lines(all: &mut Cases) {
    for (rows, n) in [(1, 1), (3, 31), (5, 32), (2, 33), (40, 65), (130, 5), (9, 7)] {
        all.push(format!("softmax {rows}x{n}"), |b| b.input("x", &[rows, n]).softmax(1));
        all.push(format!("softmax of columns {rows}x{n}"), |b| b.input("x", &[rows, n]).softmax(0));
        all.push(format!("layer norm {rows}x{n}"), |b| {
            let x = b.input("x", &[rows, n]);
            x.layer_norm(b.param("w", &[n]), b.param("b", &[n]), 1e-5)
        });
        all.push(format!("largest {rows}x{n}"), |b| b.input("x", &[rows, n]).max(0));
        all.push(format!("median {rows}x{n}"), |b| b.input("x", &[rows, n]).median(1));
        all.push(format!("mean {rows}x{n}"), |b| b.input("x", &[rows, n]).mean(0));
        for k in [1, 16, 17] {
            all.push(format!("linear {rows}x{k} to {n}"), |b| {
                let x = b.input("x", &[rows, k]);
                x.linear(b.param("w", &[n, k]), Some(b.param("b", &[n]))).gelu()
            });
        }
    }
    all.push("linear 33x7 to 129", |b| {
        let (x, w) = (b.input("x", &[33, 7]), b.param("w", &[129, 7]));
        x.linear(w, None).relu()
    });
    all.push("linear of all epilogues", |b| {
        let (x, r) = (b.input("x", &[70, 40]), b.input("r", &[70, 300]));
        let y = x.linear(b.param("w", &[300, 40]), Some(b.param("b", &[300])));
        r.add(y.scale(3.0).gelu().linear(b.param("v", &[300, 300]), None).gelu())
    });
    let forms = [
        (3, 5, 4, 2, true),
        (2, 5, 6, 0, false),
        (1, 5, 7, 3, false),
        (1, 3, 2, 1, false),
        (2, 32, 8, 3, true),
        (2, 20, 3, 1, true),
        (1, 32, 9, 0, false),
    ];
    for (heads, dim, window, shift, cosine) in forms {
        all.push(format!("attention {heads} heads of {dim}, window {window}"), |b| {
            let x = b.input("x", &[2, 9, 10, 3 * heads * dim]);
            let side = 2 * window - 1;
            let (pad, bias) = (b.param("pad", &[3 * heads * dim]), b.param("bias", &[heads, side * side]));
            let scale = cosine.then(|| b.param("scale", &[heads]));
            x.window_attention(WindowAttention { heads, window, shift, cosine }, pad, bias, scale)
        });
    }
    all.push("attention of small heads", |b| {
        let x = b.input("x", &[1, 3, 4, 24]);
        let (pad, bias) = (b.param("pad", &[24]), b.param("bias", &[2, 9]));
        let attention = WindowAttention { heads: 2, window: 2, shift: 1, cosine: false };
        x.window_attention(attention, pad, bias, None)
    });
}
