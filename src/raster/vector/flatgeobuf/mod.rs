//! FlatGeobuf, version 3: a header, a packed Hilbert R-tree over the features' boxes, the features. Header and
//! features are FlatBuffers tables; this file holds the numbers of their fields, which the format fixes.

mod read;
mod tables;
mod tree;
mod write;

pub(super) use read::read;
pub(super) use write::FlatGeobufSink;

/// First bytes of every file: name, major version, name, patch level.
const MAGIC: [u8; 8] = *b"fgb\x03fgb\0";
/// Children of a node of the index.
const NODE_SIZE: u16 = 16;
/// Bytes of a node: a box and an offset.
const NODE_BYTES: u64 = 40;

/// Fields of tables, by their number in the format's schema.
mod header {
    pub const NAME: u16 = 0;
    pub const ENVELOPE: u16 = 1;
    pub const GEOMETRY_TYPE: u16 = 2;
    pub const COLUMNS: u16 = 7;
    pub const FEATURES_COUNT: u16 = 8;
    pub const INDEX_NODE_SIZE: u16 = 9;
    pub const CRS: u16 = 10;
    pub const METADATA: u16 = 13;
}

mod crs {
    pub const ORG: u16 = 0;
    pub const CODE: u16 = 1;
}

mod column {
    pub const NAME: u16 = 0;
    pub const TYPE: u16 = 1;
}

mod feature {
    pub const GEOMETRY: u16 = 0;
    pub const PROPERTIES: u16 = 1;
}

mod geometry {
    pub const ENDS: u16 = 0;
    pub const XY: u16 = 1;
    pub const TYPE: u16 = 6;
    pub const PARTS: u16 = 7;
}

/// What a geometry is.
mod geometry_type {
    pub const UNKNOWN: u8 = 0;
    pub const POINT: u8 = 1;
    pub const POLYGON: u8 = 3;
    pub const MULTI_POLYGON: u8 = 6;
}

/// What a column's values are.
mod column_type {
    pub const LONG: u8 = 7;
    pub const DOUBLE: u8 = 10;
    pub const STRING: u8 = 11;
}

#[cfg(test)]
mod tests;
