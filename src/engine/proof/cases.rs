//! Cases at the sizes where kernels change what they do: edges of tiles, blocks and warps.

use half::bf16;

use crate::graph::{Builder, Graph, Mode, Var};
use crate::kernel::resize::ResizeMode;
use crate::kernel::samples::ChannelScale;
use crate::ops::{Anchors, BoxDecode, Conv2d, ConvTranspose2d, Nms, Pool2d, RoiAlign, WindowAttention};
use crate::passes;
use crate::tensor::{DType, MemoryStore, TensorSpec};
use crate::Result;

/// A graph of one layer or network, and what it is computed from.
pub struct Case {
    /// What it is.
    pub name: String,
    /// Its graph, with one output.
    pub graph: Graph,
    /// Its parameters.
    pub weights: MemoryStore,
    /// Its inputs.
    pub inputs: Vec<Vec<f32>>,
}

impl Case {
    /// A graph with parameters and inputs of noise, in numbers that bf16 holds.
    ///
    /// # Errors
    /// `Shape` for a parameter that is declared with two shapes.
    pub fn new(name: impl Into<String>, mut graph: Graph) -> Result<Self> {
        let (weights, inputs) = (weights(&graph)?, inputs(&graph));
        passes::optimise(&mut graph)?;
        Ok(Self { name: name.into(), graph, weights, inputs })
    }
}

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
    channels(&mut all);
    pixels(&mut all);
    halos(&mut all);
    epilogues(&mut all);
    geometry(&mut all);
    windows(&mut all);
    tokens(&mut all);
    chains(&mut all);
    lines(&mut all);
    images(&mut all);
    boxes(&mut all);
    samples(&mut all);
    all.push("rrdb", |b| rrdb(b, 1, 8, 4));
    all.push("dense block", |b| {
        dense_block(b, conv(b, b.input("x", &[1, 3, 62, 7]), "first", 32, 3), 16, "block")
    });
    // Several units of pixels in both directions, whose halos are each other's results.
    for (growth, h, w) in [(16, 130, 20), (64, 100, 14)] {
        all.push(format!("growth by {growth}"), |b| {
            let x = conv(b, b.input("x", &[1, 3, h, w]), "first", 16, 3);
            conv(b, x.concat(&[conv(b, x, "growth", growth, 3)], 1), "last", 9, 3)
        });
    }
    all.0
}

fn conv<'b>(b: &'b Builder, x: Var<'b>, name: &str, c_out: usize, kernel: usize) -> Var<'b> {
    let scope = b.scope(name);
    let w = scope.param("weight", &[c_out, x.dim(1), kernel, kernel]);
    x.conv2d(w, Some(scope.param("bias", &[c_out])), Conv2d::same(kernel))
}

/// Channels about the 8 of a warp, the 32 and 64 of a block, and 16 terms of a stage.
fn channels(all: &mut Cases) {
    for (c_in, c_out) in
        [(1, 1), (3, 7), (5, 8), (2, 9), (16, 31), (3, 32), (17, 33), (4, 64), (3, 65), (7, 130)]
    {
        all.push(format!("conv {c_in} to {c_out}"), |b| {
            let x = b.input("x", &[1, c_in, 5, 7]);
            conv(b, x, "conv", c_out, 3).leaky_relu(0.2)
        });
    }
}

/// Pixels about the 128 of a block, several images.
fn pixels(all: &mut Cases) {
    for (n, h, w) in [(1, 1, 1), (3, 1, 127), (2, 8, 16), (2, 3, 43), (1, 16, 17), (5, 2, 2)] {
        for c_out in [3, 12, 40] {
            all.push(format!("conv {n} of {h}x{w} to {c_out}"), |b| {
                let x = b.input("x", &[n, 3, h, w]);
                conv(b, x, "conv", c_out, 3).relu().add(conv(b, x, "other", c_out, 1))
            });
        }
    }
}

/// Pixels about the 8 rows of 32 columns of a block on matrix units, channels about its tiles and stages.
fn halos(all: &mut Cases) {
    for (n, c_in, h, w, c_out) in
        [(1, 15, 7, 31, 33), (2, 16, 8, 32, 64), (1, 33, 9, 33, 96), (2, 20, 17, 65, 48), (1, 1, 16, 64, 128)]
    {
        for kernel in [1, 3] {
            all.push(format!("halo {n} of {c_in}x{h}x{w} to {c_out} by {kernel}"), |b| {
                conv(b, b.input("x", &[n, c_in, h, w]), "conv", c_out, kernel).leaky_relu(0.2)
            });
        }
    }
    units(all);
    all.push("halo enlarged", |b| {
        conv(b, b.input("x", &[1, 9, 6, 17]).upsample_nearest(2), "conv", 16, 3).sigmoid()
    });
    all.push("halo unpadded", |b| {
        let (x, w) = (b.input("x", &[1, 5, 12, 36]), b.param("w", &[20, 5, 3, 3]));
        let y = x.conv2d(w, None, Conv2d::default()).prelu(b.param("s", &[20]));
        b.input("r", &[1, 20, 10, 34]).scaled_add(0.2, y)
    });
}

/// Pixels about the 64 rows of 8 columns of a unit, channels about its 16 and the blocks of 32 and 64.
fn units(all: &mut Cases) {
    let sizes = [
        (1, 16, 64, 8, 64),
        (2, 17, 33, 16, 9),
        (1, 40, 65, 24, 40),
        (1, 140, 33, 8, 33),
        (1, 64, 33, 8, 32),
        (1, 9, 130, 7, 70),
    ];
    for (n, c_in, h, w, c_out) in sizes {
        for kernel in [1, 3] {
            all.push(format!("units {n} of {c_in}x{h}x{w} to {c_out} by {kernel}"), |b| {
                conv(b, b.input("x", &[n, c_in, h, w]), "conv", c_out, kernel).leaky_relu(0.2)
            });
        }
    }
    for (c_out, upsample, kernel) in [(12, 2, 3), (40, 3, 3), (40, 1, 1)] {
        all.push(format!("units enlarged {upsample}, {kernel}x{kernel}"), |b| {
            let x = b.input("x", &[1, 5, 64 / upsample, 8]).upsample_nearest(upsample);
            let (w, s) = (b.param("w", &[c_out, 5, kernel, kernel]), b.param("s", &[c_out]));
            let y = x.conv2d(w, None, Conv2d::default()).prelu(s);
            let r = |k| b.input(k, &[1, c_out, y.dim(2), y.dim(3)]);
            r("r").scaled_add(0.2, r("q").scaled_add(0.3, y))
        });
    }
}

/// Every epilogue, for few channels, a block of 32 and a block of 64.
fn epilogues(all: &mut Cases) {
    type Act = for<'b> fn(&'b Builder, Var<'b>) -> Var<'b>;
    let acts: [(&str, Act); 5] = [
        ("plain", |_, y| y),
        ("relu", |_, y| y.relu()),
        ("shared slope", |b, y| y.prelu(b.param("s", &[1]))),
        ("slopes", |b, y| y.prelu(b.param("s", &[y.dim(1)]))),
        ("sigmoid", |_, y| y.sigmoid()),
    ];
    for (name, act) in acts {
        for (c_out, kernel) in [(8, 3), (20, 1), (20, 3), (64, 1), (64, 3)] {
            for (residuals, last) in [(0, ""), (1, ""), (2, ""), (1, ", rectified")] {
                let name = format!("{kernel}x{kernel} to {c_out}, {name}, {residuals} residuals{last}");
                all.push(name, |b| {
                    let x = b.input("x", &[2, 4, 5, 7]);
                    let w = b.param("w", &[c_out, 4, kernel, kernel]);
                    let bias = (residuals == 1).then(|| b.param("b", &[c_out]));
                    let y = act(b, x.conv2d(w, bias, Conv2d::same(kernel)));
                    let add = |y, k| b.input(&format!("r{k}"), &[2, c_out, 5, 7]).scaled_add(0.3, y);
                    let y = (0..residuals).fold(y, add);
                    if last.is_empty() {
                        y
                    } else {
                        y.relu()
                    }
                });
            }
        }
    }
}

fn geometry(all: &mut Cases) {
    let plain = Conv2d::default();
    let convs = [
        ("strided 7x7", [10, 6, 7, 7], Conv2d { stride: [2; 2], padding: [3; 2], ..plain }),
        ("patches", [33, 6, 4, 4], Conv2d { stride: [4; 2], ..plain }),
        ("dilated", [4, 6, 3, 3], Conv2d { dilation: [3, 2], padding: [3, 2], ..plain }),
        ("depthwise", [6, 1, 3, 3], Conv2d { groups: 6, padding: [1; 2], ..plain }),
        ("two groups of 33", [66, 3, 3, 1], Conv2d { groups: 2, padding: [1, 0], ..plain }),
        ("reflected", [9, 6, 5, 3], Conv2d { padding: [2, 1], ..plain }.reflect()),
        ("wide padding", [3, 6, 2, 5], Conv2d { padding: [4, 6], ..plain }),
    ];
    for (name, w, conv) in convs {
        all.push(format!("conv {name}"), |b| {
            let (x, w) = (b.input("x", &[2, 6, 13, 18]), b.param("w", &w));
            x.conv2d(w, None, conv)
        });
    }
    for (c_out, kernel, stride, padding) in
        [(5, 4, 2, 1), (33, 2, 2, 0), (7, 5, 3, 1), (32, 3, 1, 1), (66, 5, 2, 2)]
    {
        all.push(format!("transposed {kernel}x{kernel} by {stride}"), |b| {
            let (x, w) = (b.input("x", &[2, 3, 7, 19]), b.param("w", &[3, c_out, kernel, kernel]));
            x.conv_transpose2d(w, Some(b.param("b", &[c_out])), ConvTranspose2d { stride, padding }).relu()
        });
    }
    all.push("transposed without bias", |b| {
        let (x, w) = (b.input("x", &[1, 8, 3, 4]), b.param("w", &[8, 18, 5, 5]));
        x.conv_transpose2d(w, None, ConvTranspose2d { stride: 2, padding: 0 })
    });
    for factor in [2, 3] {
        all.push(format!("conv enlarged {factor}"), |b| {
            let x = b.input("x", &[2, 4, 5, 6]);
            conv(b, x.upsample_nearest(factor), "conv", 10, 3).sigmoid()
        });
    }
}

/// Pixels and channels about the 64 and 128 of a tile on matrix units, terms about the 16 and 32 of a stage.
fn windows(all: &mut Cases) {
    let plain = Conv2d::default();
    let convs = [
        ("pointwise by 2", [2, 16, 15, 15], [64, 16, 1, 1], Conv2d { stride: [2; 2], ..plain }),
        ("3x3 by 2", [1, 8, 19, 17], [65, 8, 3, 3], Conv2d { stride: [2; 2], padding: [1; 2], ..plain }),
        ("7x7 by 2", [1, 3, 24, 21], [63, 3, 7, 7], Conv2d { stride: [2; 2], padding: [3; 2], ..plain }),
        ("dilated", [2, 4, 9, 12], [16, 4, 3, 2], Conv2d { dilation: [3, 2], padding: [3, 2], ..plain }),
        ("unpadded 5x5 by 3", [1, 1, 40, 27], [9, 1, 5, 5], Conv2d { stride: [3, 1], ..plain }),
        ("many", [2, 8, 25, 23], [200, 8, 3, 3], Conv2d { stride: [2; 2], padding: [2; 2], ..plain }),
    ];
    for (name, x, w, conv) in convs {
        all.push(format!("windows {name}"), |b| {
            let y = b.input("x", &x).conv2d(b.param("w", &w), Some(b.param("b", &[w[0]])), conv);
            let r = |k| b.input(k, &[x[0], w[0], y.dim(2), y.dim(3)]);
            r("r").scaled_add(0.2, r("q").scaled_add(0.3, y.prelu(b.param("s", &[w[0]]))))
        });
    }
    for (size, c_out) in [(16, 64), (24, 128)] {
        all.push(format!("windows of {size}x{size} to {c_out}, plain"), |b| {
            let (x, w) = (b.input("x", &[1, 4, size, size]), b.param("w", &[c_out, 4, 2, 2]));
            x.conv2d(w, None, Conv2d { stride: [2; 2], ..plain })
        });
    }
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
    all.push("chain of different convolutions", |b| {
        conv(b, conv(b, b.input("x", &[1, 16, 64, 16]), "first", 16, 3), "last", 9, 1)
    });
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

fn images(all: &mut Cases) {
    for mode in [ResizeMode::Nearest, ResizeMode::Bilinear, ResizeMode::Bicubic] {
        for size in [[1, 1], [7, 129], [40, 3]] {
            all.push(format!("{mode:?} to {size:?}"), |b| b.input("x", &[2, 3, 9, 20]).resize(mode, size));
        }
    }
    all.push("kornia", |b| b.input("x", &[2, 3, 37, 41]).resize_kornia([9, 10]));
    all.push("kornia of one plane", |b| b.input("x", &[1, 1, 37, 41]).resize_kornia([9, 10]));
    for kernel in [5, 8, 9] {
        let windows = Pool2d { stride: [1, 2], ..Pool2d::square(kernel) };
        all.push(format!("small max pool {kernel}"), |b| b.input("x", &[1, 1, 11, 13]).max_pool2d(windows));
        all.push(format!("small mean pool {kernel}"), |b| b.input("x", &[1, 1, 11, 13]).avg_pool2d(windows));
    }
    for kernel in [2, 5] {
        let windows = Pool2d { stride: [2, 3], padding: [kernel / 2; 2], ..Pool2d::square(kernel) };
        all.push(format!("max pool {kernel}"), |b| b.input("x", &[2, 3, 11, 140]).max_pool2d(windows));
        all.push(format!("mean pool {kernel}"), |b| b.input("x", &[2, 3, 11, 140]).avg_pool2d(windows));
    }
    all.push("shuffles", |b| {
        let x = b.input("x", &[3, 18, 5, 7]).pixel_shuffle(3);
        x.permute(&[3, 0, 2, 1]).relu().permute(&[1, 3, 2, 0]).pixel_shuffle(1).sigmoid()
    });
    all.push("maps", |b| {
        let x = b.input("x", &[2, 3, 130, 5]);
        let slopes = b.param("s", &[3]);
        let norm = |name: &str| b.param(name, &[3]);
        let y = x.prelu(slopes).mul(x.gelu()).maximum(x.scale(0.5));
        y.batch_norm(norm("weight"), norm("bias"), norm("mean"), norm("var"), 1e-5).slice(3, 1..4).sigmoid()
    });
}

/// A detector's steps: boxes decoded from anchors, those that stand apart, their share of two maps.
fn boxes(all: &mut Cases) {
    let nms = Nms { iou: 0.3, score_above: 0.1, min_side: 0.5, capacity: 33 };
    all.push("boxes decoded", decoded);
    all.push("boxes suppressed", |b| decoded(b).nms(Nms { capacity: 200, ..nms }));
    all.push("boxes pooled", |b| {
        let maps = [b.input("fine", &[2, 5, 20, 24]), b.input("coarse", &[2, 5, 10, 12])];
        decoded(b).nms(nms).roi_align(&maps, RoiAlign { size: 3, samples: 2, image: [40, 48] })
    });
    // The first row may be the best.
    all.push("suppression among three", |b| b.input("x", &[40, 3, 6]).nms(Nms { capacity: 2, ..nms }));
    all.push("pooling from one map", |b| {
        let map = b.input("map", &[2, 3, 8, 10]);
        b.input("x", &[2, 7, 6]).roi_align(&[map], RoiAlign { size: 3, samples: 2, image: [32, 40] })
    });
    for (rows, m, k) in [(2, 1, 1), (3, 33, 32), (1, 300, 129)] {
        all.push(format!("best {k} of {rows}x{m}"), |b| b.input("x", &[rows, m]).top_k(k));
        all.push(format!("entries of {rows}x{m}"), |b| {
            let index = b.input("x", &[rows, m]).top_k(k);
            b.input("table", &[rows, m, 7]).gather(index)
        });
    }
}

/// Samples in and out, at the ends of their types, about the 128 threads of a block.
fn samples(all: &mut Cases) {
    let clipped = ChannelScale { zero: 100.0, gain: 1.0 / 8160.0, least: 0.0, most: 1.0 };
    let open = ChannelScale { zero: 0.0, gain: 1.0 / 255.0, least: f32::NEG_INFINITY, most: f32::INFINITY };
    for (samples, factor) in [(DType::U8, 60.0), (DType::U16, 9000.0)] {
        for (n, h, w) in [(1, 1, 1), (2, 3, 43), (3, 1, 128), (1, 5, 129)] {
            all.push(format!("{samples} samples of {n} of {h}x{w}"), |b| {
                b.input_of_samples("x", &[n, 6, h, w], samples).normalise(&[clipped, open, clipped])
            });
            all.push(format!("rounded to {samples}, {n} of {h}x{w}"), |b| {
                b.input("x", &[n, 3, h, w]).to_samples(samples, factor)
            });
        }
    }
    all.push("what is no number has no sample", |b| {
        let x = b.input("x", &[3, 7]);
        x.scale(0.0).mul(x.scale(f32::INFINITY)).to_samples(DType::U8, 1.0)
    });
}

/// Boxes of the 90 anchors of two images, in two classes.
fn decoded(b: &Builder) -> Var<'_> {
    let cell = [[-4.0, -2.0, 4.0, 2.0], [-3.0, -3.0, 3.0, 3.0], [-2.0, -6.0, 2.0, 6.0]];
    let decode = BoxDecode { first: 1, label: 0, weights: [10.0, 10.0, 5.0, 5.0], size: [40, 48] };
    let anchors = b.constant(Anchors { map: [5, 6], stride: [8, 8], cell });
    let scores = b.input("scores", &[2, 90, 3]).softmax(2);
    anchors.box_decode(b.input("deltas", &[2, 90, 12]), scores, decode)
}

/// A whole network: dense blocks in slabs, residuals three deep, two enlargements.
fn rrdb(b: &Builder, blocks: usize, features: usize, growth: usize) -> Var<'_> {
    let first = conv(b, b.input("x", &[1, 6, 9, 11]), "first", features, 3);
    let mut x = first;
    for block in 0..blocks {
        let before = x;
        for k in 1..4 {
            x = dense_block(b, x, growth, &format!("{block}.{k}"));
        }
        x = before.scaled_add(0.2, x);
    }
    x = first.add(conv(b, x, "body", features, 3));
    for k in 1..3 {
        x = conv(b, x.upsample_nearest(2), &format!("up{k}"), features, 3).leaky_relu(0.2);
    }
    conv(b, x, "last", 3, 3)
}

fn dense_block<'b>(b: &'b Builder, x: Var<'b>, growth: usize, name: &str) -> Var<'b> {
    let mut xs = vec![x];
    for k in 1..5 {
        let joined = x.concat(&xs[1..], 1);
        xs.push(conv(b, joined, &format!("{name}.{k}"), growth, 3).leaky_relu(0.2));
    }
    x.scaled_add(0.2, conv(b, x.concat(&xs[1..], 1), &format!("{name}.5"), x.dim(1), 3))
}

/// Reproducible values between -1 and 1, times a factor.
fn noise(seed: usize, n: usize, factor: f32) -> Vec<f32> {
    let mut state = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // Numbers that bf16 holds, so that rounding to it changes nothing.
    let coarse = |v: f32| bf16::from_f32(v).to_f32();
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        coarse(((state >> 40) as f32 / (1u32 << 23) as f32 - 1.0) * factor)
    };
    std::iter::repeat_with(next).take(n).collect()
}

/// Weights that keep values about as large as they come.
fn weights(graph: &Graph) -> Result<MemoryStore> {
    let mut store = MemoryStore::new();
    for (k, (name, value)) in graph.params().enumerate() {
        let shape = value.spec.shape;
        let fan_in: usize = shape.iter().skip(1).product();
        let mut data = noise(k + 1, shape.numel(), (3.0 / fan_in as f32).sqrt());
        if name.ends_with("var") {
            data.iter_mut().for_each(|v| *v = v.abs() + 0.5);
        }
        store.insert(name, &shape, data)?;
    }
    Ok(store)
}

/// One tensor of noise per input.
fn inputs(graph: &Graph) -> Vec<Vec<f32>> {
    let specs = graph.inputs.iter().map(|id| graph.value(*id).spec).enumerate();
    let of = |(k, spec): (usize, TensorSpec)| {
        let mut values = noise(1000 + k, spec.shape.numel(), 2.0);
        match spec.dtype {
            DType::F32 => {}
            DType::U8 => values.iter_mut().for_each(|v| *v = (*v * 80.0 + 128.0).floor()),
            DType::U16 => values.iter_mut().for_each(|v| *v = (*v * 20_000.0 + 32_768.0).floor()),
        }
        values
    };
    specs.map(of).collect()
}
