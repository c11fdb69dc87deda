// Linear layers on matrix units that take bf16, f16 and tf32.
#include "matmul_tiles.cuh"

MATMUL(Linear, matmul_fwd_bf16f32__tile_64x64_sm80, Bf16, 2, 4, 2, 2)
MATMUL(Linear, matmul_fwd_bf16f32__tile_128x128_sm80, Bf16, 4, 8, 2, 2)
MATMUL(Linear, matmul_fwd_f16f32__tile_64x64_sm80, F16, 2, 4, 2, 2)
MATMUL(Linear, matmul_fwd_f16f32__tile_128x128_sm80, F16, 4, 8, 2, 2)
MATMUL(Linear, matmul_fwd_tf32f32__tile_64x64_sm80, Tf32, 2, 4, 2, 2)
MATMUL(Linear, matmul_fwd_tf32f32__tile_128x128_sm80, Tf32, 4, 8, 2, 2)
MATMUL(LaidLinear, matmul_fwd_bf16f32__laid_64x64_sm80, Bf16, 2, 4, 2, 2)
MATMUL(LaidLinear, matmul_fwd_bf16f32__laid_128x128_sm80, Bf16, 4, 8, 2, 2)
MATMUL(LaidLinear, matmul_fwd_f16f32__laid_64x64_sm80, F16, 2, 4, 2, 2)
MATMUL(LaidLinear, matmul_fwd_f16f32__laid_128x128_sm80, F16, 4, 8, 2, 2)
