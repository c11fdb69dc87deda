//! The table: how each golden's graph is written.

use swath::graph::Var;
use swath::kernel::resize::ResizeMode::{self, Bicubic, Bilinear, Nearest};
use swath::kernel::samples::ChannelScale;
use swath::ops::{Anchors, BoxDecode, Conv2d, ConvTranspose2d, Nms, Pool2d, RoiAlign, WindowAttention};
use swath::tensor::DType;

type Params<'f, 'b> = &'f dyn Fn(&str) -> Var<'b>;

pub struct Case {
    pub name: &'static str,
    pub build: for<'b> fn(&[Var<'b>], Params<'_, 'b>) -> Var<'b>,
}

macro_rules! cases {
    ($($name:ident: |$x:ident, $p:ident| $build:expr;)*) => {
        pub const CASES: &[Case] = &[$(Case { name: stringify!($name), build: |$x, $p| $build }),*];
    };
}

fn conv<'b>(x: Var<'b>, p: Params<'_, 'b>) -> Var<'b> {
    x.conv2d(p("w"), Some(p("b")), Conv2d::same(3))
}

fn conv_transpose<'b>(x: Var<'b>, p: Params<'_, 'b>) -> Var<'b> {
    x.conv_transpose2d(p("w"), Some(p("b")), ConvTranspose2d::doubling())
}

fn pooled<'b>(x: &[Var<'b>], size: usize) -> Var<'b> {
    x[0].roi_align(&x[1..], RoiAlign { size, samples: 2, image: [32, 40] })
}

fn norm<'b>(x: Var<'b>, p: Params<'_, 'b>, eps: f32) -> Var<'b> {
    x.batch_norm(p("weight"), p("bias"), p("mean"), p("var"), eps)
}

fn dense_block<'b>(x: Var<'b>, p: Params<'_, 'b>) -> Var<'b> {
    let mut xs = vec![x];
    for w in ["w0", "w1", "w2"] {
        xs.push(x.concat(&xs[1..], 1).conv2d(p(w), None, Conv2d::same(3)).leaky_relu(0.25));
    }
    x.scaled_add(0.25, x.concat(&xs[1..], 1).conv2d(p("w3"), None, Conv2d::same(3)))
}

fn resized<'b>(x: &[Var<'b>], mode: ResizeMode, h: usize, w: usize) -> Var<'b> {
    x[0].resize(mode, [h, w])
}

fn layer_norm<'b>(x: Var<'b>, p: Params<'_, 'b>) -> Var<'b> {
    x.layer_norm(p("w"), p("b"), 1e-5)
}

fn linear<'b>(x: Var<'b>, p: Params<'_, 'b>) -> Var<'b> {
    x.linear(p("w"), Some(p("b")))
}

fn cosine<'b>(x: Var<'b>, p: Params<'_, 'b>, heads: usize) -> Var<'b> {
    let attention = WindowAttention { heads, window: 4, shift: 2, cosine: true };
    x.window_attention(attention, p("pad"), p("bias"), Some(p("scale")))
}

fn dot<'b>(x: Var<'b>, p: Params<'_, 'b>, heads: usize, window: usize, shift: usize) -> Var<'b> {
    let attention = WindowAttention { heads, window, shift, cosine: false };
    x.window_attention(attention, p("pad"), p("bias"), None)
}

/// Of three channels, all within 0 and 1.
fn scales() -> [ChannelScale; 3] {
    let scale = |zero: f32, divisor: f32| ChannelScale { zero, gain: 1.0 / divisor, least: 0.0, most: 1.0 };
    [scale(0.0, 255.0), scale(100.0, 64.0), scale(0.0, 128.0)]
}

cases! {
    conv_same: |x, p| conv(x[0], p);
    conv_groups: |x, p| x[0].conv2d(p("w"), None,
        Conv2d { stride: [2, 1], padding: [2, 1], dilation: [2, 3], groups: 2, ..Conv2d::default() });
    conv_reflect: |x, p| x[0].conv2d(p("w"), None, Conv2d::same(5).reflect());
    conv_even: |x, p| x[0].conv2d(p("w"), None, Conv2d::new(2, 1));
    conv_leaky: |x, p| conv(x[0], p).leaky_relu(0.2);
    conv_prelu_shared: |x, p| conv(x[0], p).prelu(p("s"));
    conv_prelu_channel: |x, p| conv(x[0], p).prelu(p("s"));
    conv_residuals: |x, p| x[2].scaled_add(0.5, x[1].scaled_add(0.25, conv(x[0], p).relu()));
    conv_upsampled: |x, p| conv(x[0].upsample_nearest(2), p).leaky_relu(0.2);
    conv_norm_relu: |x, p| norm(conv(x[0], p), p, 1e-3).relu();
    conv_norm: |x, p| norm(x[0].conv2d(p("w"), None, Conv2d::same(3)), p, 1e-3);
    dense_block: |x, p| dense_block(x[0], p);
    conv_transpose: |x, p| conv_transpose(x[0], p);
    conv_transpose_relu: |x, p| conv_transpose(x[0], p).relu();
    conv_transpose_apart: |x, p|
        x[0].conv_transpose2d(p("w"), None, ConvTranspose2d { stride: 2, padding: 0 });
    conv_transpose_odd: |x, p| x[0].conv_transpose2d(p("w"), None, ConvTranspose2d { stride: 3, padding: 2 });
    top_k: |x, _p| x[0].top_k(4);
    top_k_all: |x, _p| x[0].top_k(100);
    gather: |x, _p| x[0].gather(x[1]);
    gather_shared: |x, _p| x[0].gather(x[1]);
    anchors: |x, _p| x[0].builder().constant(Anchors {
        map: [2, 3],
        stride: [8, 4],
        cell: [[-4.0, -2.0, 4.0, 2.0], [-3.0, -3.0, 3.0, 3.0], [-2.0, -4.0, 2.0, 4.0]],
    }).add(x[0]);
    box_decode: |x, _p| x[0].box_decode(x[1], x[2],
        BoxDecode { first: 0, label: 3, weights: [1.0; 4], size: [24, 28] });
    box_decode_rows: |x, _p| x[0].box_decode(x[1], x[2],
        BoxDecode { first: 1, label: 0, weights: [10.0, 10.0, 5.0, 5.0], size: [24, 28] });
    nms: |x, _p| x[0].nms(Nms { iou: 0.4, score_above: 0.2, min_side: 0.5, capacity: 40 }).slice(2, 0..4);
    nms_few: |x, _p| x[0].nms(Nms { iou: 0.7, score_above: 0.0, min_side: 0.5, capacity: 9 });
    roi_align: |x, _p| pooled(x, 3);
    roi_align_large: |x, _p| pooled(x, 5);
    bias: |x, p| x[0].bias(p("b"));
    relu: |x, _p| x[0].relu();
    leaky_relu: |x, _p| x[0].leaky_relu(0.125);
    prelu_shared: |x, p| x[0].prelu(p("s"));
    prelu_channel: |x, p| x[0].prelu(p("s"));
    sigmoid: |x, _p| x[0].sigmoid();
    softmax: |x, _p| x[0].softmax(1);
    softmax_last: |x, _p| x[0].softmax(3);
    add: |x, _p| x[0].add(x[1]);
    scaled_add: |x, _p| x[0].scaled_add(0.2, x[1]);
    mul: |x, _p| x[0].mul(x[1]);
    scale: |x, _p| x[0].scale(0.2);
    batch_norm: |x, p| norm(x[0], p, 1e-5);
    linear: |x, p| x[0].linear(p("w"), Some(p("b")));
    linear_no_bias: |x, p| x[0].linear(p("w"), None);
    linear_gelu: |x, p| linear(x[0], p).gelu();
    linear_relu: |x, p| linear(x[0], p).relu();
    linear_residual: |x, p| x[1].add(linear(x[0], p));
    linear_gelu_residual: |x, p| x[0].linear(p("w"), None).gelu().add(x[1]);
    linear_long: |x, p| linear(x[0], p);
    layer_norm: |x, p| layer_norm(x[0], p);
    layer_norm_residual: |x, p| x[1].add(layer_norm(x[0], p));
    layer_norm_wide: |x, p| layer_norm(x[0], p);
    gelu: |x, _p| x[0].gelu();
    maximum: |x, _p| x[0].maximum(x[1]);
    window_attention_cosine: |x, p| cosine(x[0], p, 2);
    window_attention_clamped: |x, p| cosine(x[0], p, 3);
    window_attention_dot: |x, p| dot(x[0], p, 2, 3, 1);
    window_attention_one: |x, p| dot(x[0], p, 1, 6, 3);
    window_attention_seven: |x, p| dot(x[0], p, 1, 7, 3);
    concat: |x, _p| x[0].concat(&[x[1], x[0]], 1);
    concat_rows: |x, _p| x[0].concat(&[x[0].slice(2, 0..1)], 2);
    slice_channels: |x, _p| x[0].slice(1, 1..3).relu();
    slice_columns: |x, _p| x[0].slice(3, 2..5).relu();
    reshape: |x, _p| x[0].reshape(&[3, 8, 6]).relu();
    reshape_slice: |x, _p| x[0].slice(1, 1..3).reshape(&[16, 6]).relu();
    permute: |x, _p| x[0].permute(&[2, 0, 3, 1]);
    pad_axis: |x, _p| x[0].pad_axis(1, 1, 2);
    pixel_shuffle: |x, _p| x[0].pixel_shuffle(2);
    pixel_unshuffle: |x, _p| x[0].pixel_unshuffle(2);
    pair_frames: |x, _p| x[0].slice(1, 0..2).concat(&[x[0].slice(1, 2..4)], 2).relu();
    nearest_12x14: |x, _p| resized(x, Nearest, 12, 14);
    nearest_9x5: |x, _p| resized(x, Nearest, 9, 5);
    nearest_3x7: |x, _p| resized(x, Nearest, 3, 7);
    bilinear_12x14: |x, _p| resized(x, Bilinear, 12, 14);
    bilinear_9x5: |x, _p| resized(x, Bilinear, 9, 5);
    bilinear_3x7: |x, _p| resized(x, Bilinear, 3, 7);
    bicubic_12x14: |x, _p| resized(x, Bicubic, 12, 14);
    bicubic_9x5: |x, _p| resized(x, Bicubic, 9, 5);
    bicubic_3x7: |x, _p| resized(x, Bicubic, 3, 7);
    kornia_8x17: |x, _p| x[0].resize_kornia([8, 17]);
    kornia_5x6: |x, _p| x[0].resize_kornia([5, 6]);
    kornia_24x9: |x, _p| x[0].resize_kornia([24, 9]);
    kornia_24x30: |x, _p| x[0].resize_kornia([24, 30]);
    max_pool: |x, _p| x[0].max_pool2d(Pool2d { stride: [2; 2], padding: [1; 2], ..Pool2d::square(3) });
    max_pool_even: |x, _p| x[0].max_pool2d(Pool2d::square(2));
    avg_pool: |x, _p| x[0].avg_pool2d(Pool2d { stride: [2; 2], padding: [1; 2], ..Pool2d::square(3) });
    avg_pool_inside: |x, _p| x[0].avg_pool2d(
        Pool2d { kernel: [3, 2], stride: [1, 2], padding: [1, 1], count_pad: false });
    median_1: |x, _p| x[0].median(1);
    median_4: |x, _p| x[0].median(1);
    median_5: |x, _p| x[0].median(1);
    max_last: |x, _p| x[0].max(2);
    max_first: |x, _p| x[0].max(0);
    mean: |x, _p| x[0].mean(1);
    normalise: |x, _p| x[0].normalise(&scales());
    to_samples: |x, _p| x[0].to_samples(DType::U8, 60.0);
}
