//! Attention within windows of a token map, token by token as the contract says it.

use super::Element;
use crate::kernel::attention::{WindowAttentionParams, MASKED, MAX_LOGIT_SCALE};

/// A token of a window: its place in the window and in the map, and its mask region.
struct Token {
    at: [usize; 2],
    source: Option<usize>,
    region: [u32; 2],
}

/// Computes y; operands are x, pad, bias, then scale if it is cosine attention.
pub(super) fn run<T: Element>(p: &WindowAttentionParams, operands: &[Vec<T>], y: &mut [T]) {
    let [rows, columns] = p.windows();
    for image in 0..p.batch as usize {
        for window in 0..rows * columns {
            let tokens = tokens(p, [window / columns, window % columns]);
            for head in 0..p.heads as usize {
                one_head(p, operands, image, head, &tokens, y);
            }
        }
    }
}

fn tokens(p: &WindowAttentionParams, window: [usize; 2]) -> Vec<Token> {
    let w = p.window as usize;
    let token = |i: usize| {
        let at = [i / w, i % w];
        let rolled = [window[0] * w + at[0], window[1] * w + at[1]];
        let source = p.source(0, rolled[0]).zip(p.source(1, rolled[1]));
        Token {
            at,
            source: source.map(|(row, column)| row * p.size[1] as usize + column),
            region: [p.region(0, rolled[0]), p.region(1, rolled[1])],
        }
    };
    (0..p.tokens()).map(token).collect()
}

fn one_head<T: Element>(
    p: &WindowAttentionParams,
    operands: &[Vec<T>],
    image: usize,
    head: usize,
    tokens: &[Token],
    y: &mut [T],
) {
    let (c, d) = (p.channels(), p.head_dim as usize);
    let map = p.size[0] as usize * p.size[1] as usize;
    // Part 0 is the query, 1 the key, 2 the value.
    let part = |token: &Token, part: usize| -> &[T] {
        let (values, start) = match token.source {
            Some(source) => (&operands[0], (image * map + source) * 3 * c),
            None => (&operands[1], 0),
        };
        &values[start + part * c + head * d..][..d]
    };
    let zero = T::from_f32(0.0);
    let dot = |a: &[T], b: &[T]| a.iter().zip(b).map(|(&a, &b)| a * b).sum::<T>();
    let length = |v: &[T]| {
        let length = dot(v, v).sqrt();
        let least = T::from_f64(1e-12);
        if length < least {
            least
        } else {
            length
        }
    };
    let logit = |query: &Token, key: &Token| {
        let (q, k) = (part(query, 0), part(key, 1));
        let product = match p.cosine {
            0 => dot(q, k) / T::from_f64((d as f64).sqrt()),
            _ => {
                let (most, scale) = (T::from_f64(MAX_LOGIT_SCALE), operands[3][head]);
                let factor = if scale > most { most.exp() } else { scale.exp() };
                dot(q, k) / (length(q) * length(k)) * factor
            }
        };
        let bias = operands[2][head * p.bias_len() + p.bias_at(query.at, key.at)];
        let mask = if query.region == key.region { zero } else { T::from_f32(MASKED) };
        product + bias + mask
    };
    for query in tokens {
        let Some(source) = query.source else { continue };
        let logits: Vec<T> = tokens.iter().map(|key| logit(query, key)).collect();
        let largest = logits.iter().copied().fold(logits[0], |a, b| if b > a { b } else { a });
        let weights: Vec<T> = logits.iter().map(|&v| (v - largest).exp()).collect();
        let sum = weights.iter().copied().sum::<T>();
        for i in 0..d {
            let mixed = tokens.iter().zip(&weights).map(|(key, &weight)| weight * part(key, 2)[i]).sum::<T>();
            y[(image * map + source) * c + head * d + i] = mixed / sum;
        }
    }
}
