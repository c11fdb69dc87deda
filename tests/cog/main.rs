//! The COG writer from outside: files read back by another decoder and by GDAL, runs killed and resumed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
mod gdal;
mod read_back;
mod refusals;
mod resume;
