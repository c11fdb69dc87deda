//! Our side of `compare.py`: runs a network as often as it is told, in one process.
//!
//! Reads one JSON request per line, `{"batch", "height", "width", "threads", "precision", "repeats",
//! "input", "output"}` (`input` and `output` are `.npy` files; the latter, optional, takes the last of
//! the network's outputs), and answers with one line `{"wall_ms": […], "cpu_ms": […]}`.

#![allow(missing_docs)]

mod cpu_time;

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use cpu_time::cpu_ms;
use serde::{Deserialize, Serialize};
use swath::cpu::Cpu;
use swath::engine::{LoadedModel, ModelOptions};
use swath::models::{self, InputSize};
use swath::plan::{self, Device, Session};
use swath::util::npy;

#[derive(Deserialize)]
struct Request {
    batch: usize,
    height: usize,
    width: usize,
    threads: usize,
    precision: String,
    repeats: usize,
    input: PathBuf,
    output: Option<PathBuf>,
}

#[derive(Default, Serialize)]
struct Answer {
    wall_ms: Vec<f64>,
    cpu_ms: Vec<f64>,
}

fn load(model: &LoadedModel, request: &Request) -> swath::Result<Box<dyn Session>> {
    let size = InputSize {
        batch: request.batch,
        frames: model.network().input().default_frames,
        height: request.height,
        width: request.width,
    };
    let mut graph = models::graph(model.network(), size)?;
    graph.calibration = model.calibration().clone();
    swath::passes::optimise(&mut graph)?;
    let cpu = Cpu::new(request.threads)?.with_precision(request.precision.parse()?);
    let plan = plan::compile(&graph, cpu.kernels())?;
    cpu.load(Arc::new(plan), model.weights().as_ref())
}

fn answer(session: &mut dyn Session, request: &Request) -> Result<Answer, Box<dyn Error>> {
    let input = npy::read(&request.input)?;
    session.input(0).copy_from_slice(&input.data);
    let mut answer = Answer::default();
    for _ in 0..request.repeats {
        let (wall, cpu) = (Instant::now(), cpu_ms());
        session.run()?;
        answer.wall_ms.push(wall.elapsed().as_secs_f64() * 1e3);
        answer.cpu_ms.push(cpu_ms() - cpu);
    }
    if let Some(path) = &request.output {
        let last = session.plan().outputs.len() - 1;
        let shape = session.plan().outputs[last].shape;
        npy::write_to(&mut std::fs::File::create(path)?, &shape, session.output(last))?;
    }
    Ok(answer)
}

fn main() -> Result<(), Box<dyn Error>> {
    let weights = std::env::args().nth(1).ok_or("usage: network WEIGHTS < requests")?;
    let model = LoadedModel::open(Path::new(&weights), ModelOptions::default())?;
    let mut sessions: HashMap<([usize; 4], String), Box<dyn Session>> = HashMap::new();
    for line in std::io::stdin().lock().lines() {
        let request: Request = serde_json::from_str(&line?)?;
        let sizes = [request.batch, request.height, request.width, request.threads];
        let key = (sizes, request.precision.clone());
        if let std::collections::hash_map::Entry::Vacant(e) = sessions.entry(key.clone()) {
            e.insert(load(&model, &request)?);
        }
        let session = sessions.get_mut(&key).ok_or("no session")?;
        let answer = answer(session.as_mut(), &request)?;
        println!("{}", serde_json::to_string(&answer)?);
        std::io::stdout().flush()?;
    }
    Ok(())
}
