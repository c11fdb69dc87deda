// The matrix product of a linear layer in f32, y(m, n) = act(x(m, k) w(n, k)' + bias(n)) + r(m, n).
//
// A warp owns 8 rows of 128 columns of y, a block 32 rows. Terms run in order, one chain of fused
// multiply-adds per element.
#include "linear.cuh"

#define WARPS 4
#define WARP_ROWS 8
#define ROWS (WARPS * WARP_ROWS)
#define COLUMNS 128
#define LANE_COLUMNS (COLUMNS / 32)
#define TERMS 16

// Grid: x over blocks of columns, y over blocks of rows (striding).
ENTRY THREADS(128) matmul_fwd_f32__tile_32x128(Operands o, MatmulParams p) {
    __shared__ f32 x_tile[TERMS][ROWS + 1];
    __shared__ f32 w_tile[TERMS][COLUMNS + 1];
    const u32 lane = thread_x() % 32, warp = thread_x() / 32;
    const u64 column = (u64)block_x() * COLUMNS;
    for (u64 row = (u64)block_y() * ROWS; row < p.m; row += (u64)blocks_y() * ROWS) {
        f32 sums[WARP_ROWS][LANE_COLUMNS] = {};
        for (u64 start = 0; start < p.k; start += TERMS) {
            const u64 term = start + thread_x() % TERMS;
            for (u32 i = thread_x() / TERMS; i < ROWS; i += WARPS * 32 / TERMS) {
                bool inside = row + i < p.m && term < p.k;
                x_tile[thread_x() % TERMS][i] = inside ? o.x[MATMUL_X][(row + i) * p.k + term] : 0.0f;
            }
            for (u32 j = thread_x() / TERMS; j < COLUMNS; j += WARPS * 32 / TERMS) {
                bool inside = column + j < p.n && term < p.k;
                w_tile[thread_x() % TERMS][j] = inside ? o.x[MATMUL_W][(column + j) * p.k + term] : 0.0f;
            }
            barrier();
            UNROLL for (u32 t = 0; t < TERMS; t++) {
                f32 a[WARP_ROWS], b[LANE_COLUMNS];
                UNROLL for (u32 i = 0; i < WARP_ROWS; i++) a[i] = x_tile[t][warp * WARP_ROWS + i];
                UNROLL for (u32 j = 0; j < LANE_COLUMNS; j++) b[j] = w_tile[t][lane + 32 * j];
                UNROLL for (u32 i = 0; i < WARP_ROWS; i++)
                    UNROLL for (u32 j = 0; j < LANE_COLUMNS; j++) sums[i][j] = fma(a[i], b[j], sums[i][j]);
            }
            barrier();
        }
        UNROLL for (u32 j = 0; j < LANE_COLUMNS; j++) {
            const u64 c = column + lane + 32 * j;
            if (c >= p.n) continue;
            const f32 bias = linear_bias(p, o, c);
            UNROLL for (u32 i = 0; i < WARP_ROWS; i++) {
                const u64 r = row + warp * WARP_ROWS + i;
                if (r >= p.m) continue;
                f32 v[1] = {sums[i][j] + bias};
                linear_activate(p, v);
                o.y[r * p.n + c] = p.residual ? v[0] + o.x[MATMUL_RESIDUAL][r * p.n + c] : v[0];
            }
        }
    }
}
