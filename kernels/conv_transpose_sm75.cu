// Transposed convolutions on the matrix units of sm_75.
#include "conv_transpose_windows.cuh"

TRANSPOSED(conv_transpose2d_fwd_f16f32__windows_64x64_sm75, F16Sm75, 2, 4, 2, 2)
