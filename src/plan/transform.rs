//! What steps may share of their work on the same channels.

/// What an implementation makes of its first operand, channel by channel, before it computes. Steps
/// whose transforms have the same kind make the same of the same channels, and can share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transform {
    /// All it depends on beside the channels.
    pub kind: [usize; 9],
    /// Elements of a transformed channel.
    pub per_channel: usize,
    /// Elements beside them.
    pub fixed: usize,
}

impl Transform {
    /// Elements of so many transformed channels; `None` when they cannot be counted.
    pub fn len(&self, channels: usize) -> Option<usize> {
        channels.checked_mul(self.per_channel)?.checked_add(self.fixed)
    }
}
