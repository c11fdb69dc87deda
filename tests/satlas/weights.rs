//! Weights as a pure function of (salt, key, shape), written as the `.pth` files the fixtures describe.
//!
//! seed = FNV-1a-64("<salt>|<key>"); u_i = splitmix64(seed + (i+1)·0x9E3779B97F4A7C15), its upper 53 bits
//! scaled to -1..1; in f64, rounded to f32.

use std::borrow::Cow;
use std::path::Path;

use weights_tools::{write_pth, DType, NamedTensor};

fn fnv1a64(text: &str) -> u64 {
    let mix = |h: u64, byte: u8| (h ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, mix)
}

fn uniform(seed: u64, i: u64) -> f64 {
    let mut z = seed.wrapping_add((i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    (z >> 11) as f64 * (2.0 / (1u64 << 53) as f64) - 1.0
}

/// The offsets between tokens that Swin v2 takes its position bias from: ±log2(1 + 8·|v|)/3.
fn offsets(shape: &[usize]) -> Vec<f32> {
    let half = (shape[1] / 2) as f32;
    let at = |k: usize| {
        let v = (k as f32 - half) / half * 8.0;
        v.signum() * (v.abs() + 1.0).log2() / 3.0
    };
    (0..shape[1]).flat_map(|y| (0..shape[2]).flat_map(move |x| [at(y), at(x)])).map(|v| v + 0.0).collect()
}

/// A tensor's values.
pub fn values(salt: &str, key: &str, shape: &[usize]) -> Vec<f32> {
    if key.ends_with("relative_coords_table") {
        return offsets(shape);
    }
    let leaf = key.rsplit('.').next().unwrap();
    let fan_in: usize = shape.iter().skip(1).product();
    let gain = match () {
        () if key.ends_with("rpn.head.bbox_pred.weight") => 0.2,
        () if key.ends_with("cls_score.weight") => 3.0,
        () => 1.0,
    };
    let (centre, width) = match leaf {
        "running_mean" => (0.0, 0.1),
        "running_var" => (1.0, 0.5),
        "logit_scale" => (10f64.ln(), 0.5),
        _ if shape.len() >= 2 => (0.0, gain * (3.0 / fan_in as f64).sqrt()),
        "weight" => (1.0, 0.2),
        _ => (0.0, 0.1),
    };
    let seed = fnv1a64(&format!("{salt}|{key}"));
    (0..shape.iter().product::<usize>() as u64).map(|i| (centre + width * uniform(seed, i)) as f32).collect()
}

/// Names and shapes of the floating-point tensors of a fixture's `keys.tsv`, and its salt.
pub fn keys(file: &Path) -> (String, Vec<(String, Vec<usize>)>) {
    let text = std::fs::read_to_string(file).unwrap();
    let (first, rows) = text.split_once('\n').unwrap();
    let row = |line: &str| {
        let [key, dtype, shape] = <[&str; 3]>::try_from(line.split('\t').collect::<Vec<_>>()).unwrap();
        let shape = shape.split(',').filter(|n| !n.is_empty()).map(|n| n.parse().unwrap()).collect();
        dtype.starts_with("float").then(|| (key.to_string(), shape))
    };
    (first.strip_prefix("# salt=").unwrap().to_string(), rows.lines().filter_map(row).collect())
}

/// Writes tensors by the formula; `change` may alter one's values.
pub fn write(
    path: &Path,
    salt: &str,
    keys: &[(String, Vec<usize>)],
    change: impl Fn(&str, Vec<f32>) -> Vec<f32>,
) {
    let data: Vec<Vec<f32>> = keys.iter().map(|(key, shape)| change(key, values(salt, key, shape))).collect();
    let tensors: Vec<NamedTensor<'_>> = keys
        .iter()
        .zip(&data)
        .map(|((key, shape), data)| NamedTensor {
            name: Cow::Borrowed(key),
            dtype: DType::F32,
            shape: Cow::Borrowed(shape),
            bytes: Cow::Owned(data.iter().flat_map(|v| v.to_le_bytes()).collect()),
        })
        .collect();
    write_pth(path, &[weights_tools::TensorSet { wrapper: "", tensors: &tensors }]).unwrap();
}
