// What happens to a convolution's sum before it is stored.
#pragma once
#include "params.cuh"

// A convolution's operands as its launch orders them; those the epilogue does not name are not read.
enum { CONV_X, CONV_BIAS, CONV_SLOPES, CONV_RESIDUAL };

// Bias and slope of one channel.
struct EpilogueChannel {
    f32 bias;
    f32 slope;
};

DEVICE EpilogueChannel epilogue_channel(const Epilogue& e, const Operands& o, u32 channel) {
    const bool shared = e.act == ACT_PRELU_SHARED, own = e.act == ACT_PRELU_CHANNEL;
    f32 learned = 0.0f;
    if (shared || own) learned = o.x[CONV_SLOPES][own ? channel : 0];
    EpilogueChannel c;
    c.bias = e.has_bias ? o.x[CONV_BIAS][channel] : 0.0f;
    c.slope = shared || own ? learned : e.slope;
    return c;
}

// act(sum + bias) * scale.
DEVICE f32 activated(const Epilogue& e, EpilogueChannel c, f32 sum) {
    f32 v = sum + c.bias;
    if (e.act == ACT_SIGMOID) v = sigmoid(v);
    else if (e.act == ACT_RELU) v = v < 0.0f ? 0.0f : v;
    else if (e.act != ACT_NONE) v = v < 0.0f ? v * c.slope : v;
    return v * e.scale;
}

// Adds the residuals and rectifies at last; `at` is the element's place within an image of y.
DEVICE f32 with_residuals(const Conv2dParams& p, const Operands& o, u32 image, u64 at, f32 v) {
    const Epilogue& e = p.epilogue;
    if (e.residuals > 0) v = fma(e.residual_scale[0], o.x[CONV_RESIDUAL][image * p.r_batch_stride[0] + at], v);
    if (e.residuals > 1) v = fma(e.residual_scale[1], o.x[CONV_RESIDUAL + 1][image * p.r_batch_stride[1] + at], v);
    return e.rectified && v < 0.0f ? 0.0f : v;
}
