//! Convolutions: channels, pixels, kernels and epilogues.

use super::{conv, Cases};
use crate::graph::{Builder, Var};
use crate::ops::{Conv2d, ConvTranspose2d};

pub(super) fn all(all: &mut Cases) {
    channels(all);
    pixels(all);
    halos(all);
    epilogues(all);
    geometry(all);
    windows(all);
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
    for (c_out, upsample, kernel) in [(12, 2, 3), (40, 3, 3), (12, 1, 1), (40, 1, 1)] {
        all.push(format!("units enlarged {upsample} to {c_out}, {kernel}x{kernel}"), |b| {
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
    all.push("windows enlarged", |b| {
        let (x, w) = (b.input("x", &[2, 5, 7, 11]).upsample_nearest(2), b.param("w", &[20, 5, 3, 3]));
        let conv = Conv2d { stride: [1, 3], dilation: [3, 2], padding: [3, 2], ..plain };
        x.conv2d(w, Some(b.param("b", &[20])), conv).relu()
    });
    for (size, c_out) in [(16, 64), (24, 128)] {
        all.push(format!("windows of {size}x{size} to {c_out}, plain"), |b| {
            let (x, w) = (b.input("x", &[1, 4, size, size]), b.param("w", &[c_out, 4, 2, 2]));
            x.conv2d(w, None, Conv2d { stride: [2; 2], ..plain })
        });
    }
}
