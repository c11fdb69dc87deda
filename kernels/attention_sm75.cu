// Attention within windows on the matrix units of sm_75.
#include "attention_tiles.cuh"

ATTENTION(window_attention_fwd_f16f32__keys_64_sm75, F16Sm75)
