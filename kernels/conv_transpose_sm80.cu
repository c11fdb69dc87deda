// Transposed convolutions on matrix units that take bf16, f16 and tf32.
#include "conv_transpose_windows.cuh"

TRANSPOSED(conv_transpose2d_fwd_bf16f32__windows_64x64_sm80, Bf16, 2, 4, 2, 2)
TRANSPOSED(conv_transpose2d_fwd_f16f32__windows_64x64_sm80, F16, 2, 4, 2, 2)
TRANSPOSED(conv_transpose2d_fwd_tf32f32__windows_64x64_sm80, Tf32, 2, 4, 2, 2)
