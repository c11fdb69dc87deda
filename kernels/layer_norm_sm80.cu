// Layer norm in f32 with a result for products of bf16.
#include "layer_norm.cuh"

ENTRY layer_norm_fwd_f32__laid_bf16_sm80(Operands o, LayerNormParams p) { lay_out<Bf16>(o, p); }
