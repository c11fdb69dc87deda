// Parameters and operands of entries, mirrored from src/kernel and src/cuda/launch.rs field by field.
// Every entry takes the operands first and its contract's parameters second, both by value.
#pragma once
#include "device.cuh"

#define MAX_OPERANDS 6
#define MAX_RANK 6
#define MAX_INPUTS 5

// Addresses of one call. A result that is laid out as well is stored in y only where somebody reads it there; an
// entry that lays nothing out is given none.
struct Operands {
    const f32* x[MAX_OPERANDS];
    f32* y;
    u8* laid;
    const void* prepared;
    f32* workspace;
};

enum { ACT_NONE, ACT_RELU, ACT_LEAKY_RELU, ACT_PRELU_SHARED, ACT_PRELU_CHANNEL, ACT_SIGMOID };

struct Epilogue {
    u32 has_bias;
    u32 act;
    f32 slope;
    f32 scale;
    u32 residuals;
    f32 residual_scale[2];
    u32 rectified;
};

enum { PAD_ZERO, PAD_REFLECT };

struct Conv2dParams {
    u32 batch;
    u32 c_in;
    u32 h_in;
    u32 w_in;
    u32 c_out;
    u32 h_out;
    u32 w_out;
    u32 kernel[2];
    u32 stride[2];
    u32 dilation[2];
    i32 pad[2];
    u32 groups;
    u32 pad_mode;
    u32 upsample;
    u64 x_batch_stride;
    u64 y_batch_stride;
    u64 r_batch_stride[2];
    Epilogue epilogue;
};

// One convolution of a chain.
struct Link {
    // What a launch of its own would get.
    Operands o;
    Conv2dParams p;
    // The ticket of its first item. Items are halves of units, for each block of channels, for each image.
    u32 first;
    u32 halves;
    u32 blocks;
    // Tiles of 16 channels of an item.
    u32 tiles;
    // The first of the counters of its items that are done: one for each unit, or one for all of them.
    u32 counter;
    u32 by_unit;
};

// A chain: `prepared` holds its links, `workspace` its counters.
struct ChainParams {
    u32 links;
    u32 items;
    u32 counters;
    u32 reserved;
};

// What blocks of a chain count; all zero before and after a launch.
struct Counters {
    u32 next;
    u32 left;
    u32 done[];
};

enum {
    MAP_FILL, MAP_COPY, MAP_RELU, MAP_LEAKY_RELU, MAP_SIGMOID, MAP_SCALE, MAP_ADD, MAP_MUL, MAP_PRELU,
    MAP_AFFINE, MAP_NORM, MAP_NORM_SCALE, MAP_NORM_SHIFT, MAP_GELU, MAP_MAX
};

struct MapParams {
    u32 op;
    u32 rank;
    f32 a;
    f32 b;
    u64 dims[MAX_RANK];
    u64 y_strides[MAX_RANK];
    u64 x_strides[MAX_INPUTS][MAX_RANK];
};

enum { RESIZE_NEAREST, RESIZE_BILINEAR, RESIZE_BICUBIC };

struct ResizeParams {
    u32 batch;
    u32 channels;
    u32 h_in;
    u32 w_in;
    u32 h_out;
    u32 w_out;
    u32 mode;
    u32 reserved;
    u64 x_batch_stride;
    u64 y_batch_stride;
};

// The input pixels one output row or column is made of.
struct Tap {
    u32 index[4];
    f32 weight[4];
};

struct BlurParams {
    u32 planes;
    u32 h;
    u32 w;
    u32 taps[2];
    f32 sigma[2];
};

struct PoolParams {
    u32 batch;
    u32 channels;
    u32 h_in;
    u32 w_in;
    u32 h_out;
    u32 w_out;
    u32 kernel[2];
    u32 stride[2];
    u32 pad[2];
    u32 mean;
    u32 count_pad;
    u64 x_batch_stride;
    u64 y_batch_stride;
};

enum { REDUCE_MAX, REDUCE_LOWER_MEDIAN, REDUCE_MEAN };

struct AxisParams {
    u64 outer;
    u64 n;
    u64 inner;
    u64 mode;
};

enum { MATMUL_NONE, MATMUL_RELU, MATMUL_GELU };

struct MatmulParams {
    u64 m;
    u64 n;
    u64 k;
    u64 has_bias;
    u64 act;
    u64 residual;
};

struct LayerNormParams {
    u64 rows;
    u64 n;
    f32 eps;
    u32 residual;
};

struct ConvTranspose2dParams {
    u32 batch;
    u32 c_in;
    u32 h_in;
    u32 w_in;
    u32 c_out;
    u32 h_out;
    u32 w_out;
    u32 kernel;
    u32 stride;
    u32 pad;
    u32 has_bias;
    u32 relu;
    u64 x_batch_stride;
    u64 y_batch_stride;
};

struct WindowAttentionParams {
    u32 batch;
    u32 size[2];
    u32 heads;
    u32 head_dim;
    u32 window;
    u32 shift[2];
    u32 cosine;
    u32 reserved;
};

#define MAX_CELL 3

struct AnchorsParams {
    u32 rows;
    u32 columns;
    u32 stride[2];
    u32 count;
    u32 reserved;
    f32 cell[MAX_CELL][4];
};

struct BoxDecodeParams {
    u32 batch;
    u32 k;
    u32 classes;
    u32 first;
    u32 label;
    u32 width;
    u32 shared;
    u32 reserved;
    f32 weights[4];
    f32 size[2];
};

struct NmsParams {
    u32 batch;
    u32 rows;
    u32 capacity;
    f32 iou;
    f32 score_above;
    f32 min_side;
};

struct TopKParams {
    u64 rows;
    u64 m;
    u64 k;
};

struct GatherParams {
    u64 batch;
    u64 m;
    u64 k;
    u64 width;
    u64 index_width;
    u64 shared;
};

#define MAX_LEVELS 5

struct RoiAlignParams {
    u32 batch;
    u32 rois;
    u32 channels;
    u32 size;
    u32 samples;
    u32 levels;
    u32 maps[MAX_LEVELS][2];
    u32 shifts[MAX_LEVELS];
    u32 reserved;
};

#define MAX_CHANNELS 16

enum { SAMPLES_U8, SAMPLES_U16 };

struct ChannelScale {
    f32 zero;
    f32 gain;
    f32 least;
    f32 most;
};

struct NormaliseParams {
    u64 planes;
    u64 plane;
    u32 channels;
    u32 samples;
    ChannelScale scales[MAX_CHANNELS];
};

struct ToSamplesParams {
    u64 n;
    f32 factor;
    f32 most;
    u32 samples;
    u32 reserved;
};

static_assert(sizeof(AnchorsParams) == 72, "as in src/kernel/boxes.rs");
static_assert(sizeof(BoxDecodeParams) == 56, "as in src/kernel/boxes.rs");
static_assert(sizeof(NmsParams) == 24, "as in src/kernel/boxes.rs");
static_assert(sizeof(TopKParams) == 24, "as in src/kernel/select.rs");
static_assert(sizeof(GatherParams) == 48, "as in src/kernel/select.rs");
static_assert(sizeof(RoiAlignParams) == 88, "as in src/kernel/roi_align.rs");
static_assert(sizeof(Operands) == 80, "as in src/cuda/launch.rs");
static_assert(sizeof(Conv2dParams) == 136, "as in src/kernel/conv.rs");
static_assert(sizeof(Link) == 240, "as in src/cuda/chain.rs");
static_assert(sizeof(ChainParams) == 16, "as in src/cuda/chain.rs");
static_assert(sizeof(MapParams) == 352, "as in src/kernel/map.rs");
static_assert(sizeof(ResizeParams) == 48, "as in src/kernel/resize.rs");
static_assert(sizeof(BlurParams) == 28, "as in src/kernel/blur.rs");
static_assert(sizeof(PoolParams) == 72, "as in src/kernel/pool.rs");
static_assert(sizeof(AxisParams) == 32, "as in src/kernel/reduce.rs");
static_assert(sizeof(MatmulParams) == 48, "as in src/kernel/matmul.rs");
static_assert(sizeof(ConvTranspose2dParams) == 64, "as in src/kernel/conv_transpose.rs");
static_assert(sizeof(LayerNormParams) == 24, "as in src/kernel/norm.rs");
static_assert(sizeof(WindowAttentionParams) == 40, "as in src/kernel/attention.rs");
static_assert(sizeof(NormaliseParams) == 280, "as in src/kernel/samples.rs");
static_assert(sizeof(ToSamplesParams) == 24, "as in src/kernel/samples.rs");
