//! The CUDA device without a GPU: its PTX is what the sources make, its entries take what launches
//! hand them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ptx;
