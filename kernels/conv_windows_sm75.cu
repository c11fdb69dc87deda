// Convolutions of any stride, dilation and small kernel on the matrix units of sm_75.
#include "conv_windows.cuh"

CONVOLUTION(conv2d_fwd_f16f32__windows_64x64_sm75, F16Sm75, 2, 4, 2, 2)
CONVOLUTION(conv2d_fwd_f16f32__windows_128x128_sm75, F16Sm75, 4, 8, 2, 2)
