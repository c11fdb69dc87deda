//! Whole networks, and slabs that their convolutions share.

use super::{conv, Cases};
use crate::graph::{Builder, Var};

pub(super) fn all(all: &mut Cases) {
    all.push("rrdb", |b| rrdb(b, 1, 8, 4));
    all.push("dense block", |b| {
        dense_block(b, conv(b, b.input("x", &[1, 3, 62, 7]), "first", 32, 3), 16, "block")
    });
    // Several units of pixels in both directions, whose halos are each other's results.
    for (growth, h, w) in [(16, 130, 20), (64, 100, 14)] {
        all.push(format!("growth by {growth}"), |b| {
            let x = conv(b, b.input("x", &[1, 3, h, w]), "first", 16, 3);
            conv(b, x.concat(&[conv(b, x, "growth", growth, 3)], 1), "last", 9, 3)
        });
    }
}

/// A whole network: dense blocks in slabs, residuals three deep, two enlargements.
fn rrdb(b: &Builder, blocks: usize, features: usize, growth: usize) -> Var<'_> {
    let first = conv(b, b.input("x", &[1, 6, 9, 11]), "first", features, 3);
    let mut x = first;
    for block in 0..blocks {
        let before = x;
        for k in 1..4 {
            x = dense_block(b, x, growth, &format!("{block}.{k}"));
        }
        x = before.scaled_add(0.2, x);
    }
    x = first.add(conv(b, x, "body", features, 3));
    for k in 1..3 {
        x = conv(b, x.upsample_nearest(2), &format!("up{k}"), features, 3).leaky_relu(0.2);
    }
    conv(b, x, "last", 3, 3)
}

fn dense_block<'b>(b: &'b Builder, x: Var<'b>, growth: usize, name: &str) -> Var<'b> {
    let mut xs = vec![x];
    for k in 1..5 {
        let joined = x.concat(&xs[1..], 1);
        xs.push(conv(b, joined, &format!("{name}.{k}"), growth, 3).leaky_relu(0.2));
    }
    x.scaled_add(0.2, conv(b, x.concat(&xs[1..], 1), &format!("{name}.5"), x.dim(1), 3))
}
