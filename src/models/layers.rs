//! Layers that several networks share, with the parameter names PyTorch gives them.

use crate::graph::{Builder, Var};
use crate::ops::Conv2d;

/// A convolution with bias; the weight takes all channels of x.
pub(super) fn conv<'b>(
    b: &'b Builder,
    name: &str,
    x: Var<'b>,
    c_out: usize,
    kernel: usize,
    conv: Conv2d,
) -> Var<'b> {
    let scope = b.scope(name);
    let w = scope.param("weight", &[c_out, x.dim(1), kernel, kernel]);
    x.conv2d(w, Some(scope.param("bias", &[c_out])), conv)
}

/// A linear layer with bias over the last axis.
pub(super) fn linear<'b>(b: &'b Builder, name: &str, x: Var<'b>, outputs: usize) -> Var<'b> {
    let scope = b.scope(name);
    let inputs = x.shape().last().copied().unwrap_or(1);
    let w = scope.param("weight", &[outputs, inputs]);
    x.linear(w, Some(scope.param("bias", &[outputs])))
}

/// A layer norm over the last axis.
pub(super) fn layer_norm<'b>(b: &'b Builder, name: &str, x: Var<'b>) -> Var<'b> {
    const EPS: f32 = 1e-5;
    let scope = b.scope(name);
    let n = x.shape().last().copied().unwrap_or(1);
    x.layer_norm(scope.param("weight", &[n]), scope.param("bias", &[n]), EPS)
}

/// A convolution without bias and its batch norm.
pub(super) fn conv_norm<'b>(
    b: &'b Builder,
    [conv, norm]: [&str; 2],
    x: Var<'b>,
    [c_out, kernel]: [usize; 2],
    options: Conv2d,
) -> Var<'b> {
    const EPS: f32 = 1e-5;
    let w = b.scope(conv).param("weight", &[c_out, x.dim(1) / options.groups.max(1), kernel, kernel]);
    let scope = b.scope(norm);
    let vector = |name: &str| scope.param(name, &[c_out]);
    let [weight, bias] = ["weight", "bias"].map(vector);
    let [mean, var] = ["running_mean", "running_var"].map(|name| scope.state(name, &[c_out]));
    x.conv2d(w, None, options).batch_norm(weight, bias, mean, var, EPS)
}
