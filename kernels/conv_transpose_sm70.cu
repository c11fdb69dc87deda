// Transposed convolutions on the matrix units of sm_70 and sm_72.
#include "conv_transpose_windows.cuh"

TRANSPOSED(conv_transpose2d_fwd_f16f32__windows_64x64_sm70, F16Sm70, 2, 4, 2, 2)
