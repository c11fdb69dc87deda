// Convolution on the matrix units of x as it is laid out in units: a launch each (conv_laid.cuh).
#include "conv_laid.cuh"

// Grid: halves of units, blocks of channels, images.
template <class E, u32 TILES, u32 KERNEL> DEVICE void convolve(const Operands& o, const Conv2dParams& p) {
    __shared__ Piece<E, TILES, KERNEL> shared;
    convolve(shared, o, p, block_x(), block_y(), block_z());
}

#define LAYOUT(name, element) \
    ENTRY THREADS(128) name(Operands o, Conv2dParams p) { lay_out<element>(o, p); }
#define CONVOLUTION(name, element, tiles, kernel) \
    ENTRY THREADS(THREADS_OF_BLOCK, 6 / tiles) name(Operands o, Conv2dParams p) { convolve<element, tiles, kernel>(o, p); }

LAYOUT(conv2d_fwd_bf16f32__units_sm80, Bf16)
LAYOUT(conv2d_fwd_f16f32__units_sm80, F16)
CONVOLUTION(conv2d_fwd_bf16f32__laid_1x1_32_sm80, Bf16, 2, 1)
CONVOLUTION(conv2d_fwd_bf16f32__laid_1x1_64_sm80, Bf16, 4, 1)
CONVOLUTION(conv2d_fwd_bf16f32__laid_3x3_32_sm80, Bf16, 2, 3)
CONVOLUTION(conv2d_fwd_bf16f32__laid_3x3_64_sm80, Bf16, 4, 3)
CONVOLUTION(conv2d_fwd_f16f32__laid_1x1_32_sm80, F16, 2, 1)
CONVOLUTION(conv2d_fwd_f16f32__laid_1x1_64_sm80, F16, 4, 1)
CONVOLUTION(conv2d_fwd_f16f32__laid_3x3_32_sm80, F16, 2, 3)
CONVOLUTION(conv2d_fwd_f16f32__laid_3x3_64_sm80, F16, 4, 3)
