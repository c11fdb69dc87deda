//! How a 64-bit generic address is divided: each global allocation has a region of its own, so that a
//! stray index cannot land in a neighbour; shared, local, parameter and constant memory are windows.

/// log2 of the region of one global allocation.
pub const REGION: u32 = 36;
/// Start of the shared window.
pub const SHARED: u64 = 0x7a00 << 48;
/// Start of the local window.
pub const LOCAL: u64 = 0x7b00 << 48;
/// Start of the parameter window.
pub const PARAM: u64 = 0x7c00 << 48;
/// Start of the window of module variables.
pub const CONST: u64 = 0x7d00 << 48;

/// The window an address is in: its start, or zero for global memory.
pub fn window(address: u64) -> u64 {
    match address & (0xffff << 48) {
        w @ (SHARED | LOCAL | PARAM | CONST) => w,
        _ => 0,
    }
}
