// Attention within windows on matrix units that take bf16 and f16.
#include "attention_tiles.cuh"

ATTENTION(window_attention_fwd_bf16f32__keys_64_sm80, Bf16)
ATTENTION(window_attention_fwd_f16f32__keys_64_sm80, F16)
