//! candle's side of `compare.py`: runs one network as often as it is told, in f32.
//!
//! Arguments: work, blocks, `.pth` file, key of its parameters. Reads and answers requests as `network.rs` does, after
//! a line `ready`. As many threads as RAYON_NUM_THREADS says.

#[path = "../../cpu_time.rs"]
mod cpu_time;
mod networks;

use std::io::{BufRead, Write};
use std::time::Instant;

use anyhow::{bail, Context, Result};
use candle_core::pickle::read_all_with_key;
use candle_core::{DType, Device, Module, Tensor};
use candle_nn::VarBuilder;
use cpu_time::cpu_ms;
use networks::{Esrgan, ResNet50};
use serde_json::{json, Value};

fn answer(network: &dyn Module, request: &Value) -> Result<Value> {
    let input = request["input"].as_str().context("no input")?;
    let x = Tensor::read_npy(input)?;
    let (mut wall_ms, mut cpu) = (Vec::new(), Vec::new());
    for _ in 0..request["repeats"].as_u64().context("no repeats")? {
        let (began, before) = (Instant::now(), cpu_ms());
        let y = network.forward(&x)?;
        wall_ms.push(began.elapsed().as_secs_f64() * 1e3);
        cpu.push(cpu_ms() - before);
        if let Some(path) = request["output"].as_str() {
            y.write_npy(path)?;
        }
    }
    Ok(json!({"wall_ms": wall_ms, "cpu_ms": cpu}))
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [work, blocks, weights, key] = arguments.as_slice() else {
        bail!("usage: candle-peer WORK BLOCKS WEIGHTS KEY < requests");
    };
    let tensors = read_all_with_key(weights, Some(key))?.into_iter().collect();
    let at = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    let network: Box<dyn Module> = match work.as_str() {
        "esrgan" => Box::new(Esrgan::new(blocks.parse()?, at)?),
        "resnet" => Box::new(ResNet50::new(at)?),
        _ => bail!("{work} is not written for candle"),
    };
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        println!("{}", answer(network.as_ref(), &serde_json::from_str(&line?)?)?);
        std::io::stdout().flush()?;
    }
    Ok(())
}
