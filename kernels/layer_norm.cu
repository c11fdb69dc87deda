// Layer norm in f32, also with a result for products of f16.
#include "layer_norm.cuh"

ENTRY layer_norm_fwd_f32__warps(Operands o, LayerNormParams p) {
    layer_norm(o, p, [&](u64 row, u64 i, f32 v) { o.y[row * p.n + i] = v; });
}
ENTRY layer_norm_fwd_f32__laid_f16(Operands o, LayerNormParams p) { lay_out<F16>(o, p); }
