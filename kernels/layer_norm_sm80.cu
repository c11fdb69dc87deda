// Layer norm in f32 whose result is laid out, rounded, for products.
#include "layer_norm.cuh"
#include "tensor_core.cuh"
#include "units.cuh"

template <class E> DEVICE void lay_out(const Operands& o, const LayerNormParams& p) {
    layer_norm(o, p, [&](u64 row, u64 i, f32 v) {
        *(u16*)term_at(o.laid, row, (u32)i, (u32)p.n) = E::part(v);
        if (o.y) o.y[row * p.n + i] = v;
    });
}

ENTRY layer_norm_fwd_f32__laid_bf16_sm80(Operands o, LayerNormParams p) { lay_out<Bf16>(o, p); }
ENTRY layer_norm_fwd_f32__laid_f16_sm80(Operands o, LayerNormParams p) { lay_out<F16>(o, p); }
