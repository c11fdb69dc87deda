// Linear layers on the matrix units of sm_70 and sm_72.
#include "matmul_tiles.cuh"

MATMUL(Linear, matmul_fwd_f16f32__tile_64x64_sm70, F16Sm70, 2, 4, 2, 2)
MATMUL(Linear, matmul_fwd_f16f32__tile_128x128_sm70, F16Sm70, 4, 8, 2, 2)
MATMUL(LaidLinear, matmul_fwd_f16f32__laid_64x64_sm70, F16Sm70, 2, 4, 2, 2)
MATMUL(LaidLinear, matmul_fwd_f16f32__laid_128x128_sm70, F16Sm70, 4, 8, 2, 2)
