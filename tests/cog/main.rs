//! The COG writer from outside: files read back by another decoder and by GDAL, runs killed and resumed.

mod common;
mod gdal;
mod read_back;
mod refusals;
mod resume;
