//! Sessions in this process: what they compute, share, leave behind, and say when the driver fails.

use std::collections::BTreeSet;
use std::sync::Arc;

use fake_cuda::Fake;
use swath::cuda::driver::Driver;
use swath::cuda::Cuda;
use swath::engine::proof::cases;
use swath::engine::{DevicePick, Engine, LoadedModel, ModelOptions, Precision, Session, Setup};
use swath::kernel::samples::ChannelScale;
use swath::models::{InputSize, SampleInput};
use swath::plan::{compile, Device};
use swath::tensor::DType;
use swath::{Kind, Result};

use crate::{demo, weights};

const CUDA: DevicePick = DevicePick::Cuda(0);
const SIZE: InputSize = InputSize { batch: 1, frames: 2, height: 7, width: 9 };

fn model() -> LoadedModel {
    LoadedModel::open(&weights(), ModelOptions::default()).unwrap()
}

fn size(model: &LoadedModel) -> InputSize {
    InputSize { frames: model.network().input().default_frames, ..SIZE }
}

fn session(pick: DevicePick) -> Result<Session> {
    let model = model();
    Engine::new(pick, 1)?.compile(&model, size(&model), &[], None)
}

/// Values between 0 and 1 that differ from seed to seed.
fn values(seed: usize, n: usize) -> Vec<f32> {
    (0..n).map(|k| ((k * 37 + seed * 101 + k * k % 13) % 256) as f32 / 255.0).collect()
}

fn run(session: &mut Session, seed: usize) -> Result<Vec<f32>> {
    let input = values(seed, session.input().len());
    session.run(&input).map(<[f32]>::to_vec)
}

/// Does something with environment variables set.
fn with<T>(variables: &[&str], act: impl FnOnce() -> T) -> T {
    variables.iter().for_each(|name| std::env::set_var(name, "1"));
    let done = act();
    variables.iter().for_each(|name| std::env::remove_var(name));
    done
}

/// Runs something with kernels launched one at a time.
fn in_steps<T>(act: impl FnOnce() -> T) -> T {
    with(&["SWATH_CUDA_STEPS"], act)
}

/// Nothing is alive, and nothing was done that should not be.
fn assert_clean(fake: &Fake) {
    assert!(fake.census().is_empty(), "{:?}", fake.census());
    assert_eq!(fake.complaints(), [""; 0]);
}

#[test]
fn a_graph_computes_what_single_launches_and_the_reference_compute() {
    let fake = Fake::start("").unwrap();
    let (mut graph, mut steps) = (session(CUDA).unwrap(), in_steps(|| session(CUDA).unwrap()));
    assert_eq!(fake.census().of("graphs"), 1);
    let mut exact = session(DevicePick::Reference).unwrap();
    for seed in 0..3 {
        let (ours, stepped) = (run(&mut graph, seed).unwrap(), run(&mut steps, seed).unwrap());
        assert_eq!(ours, stepped);
        let exact = run(&mut exact, seed).unwrap();
        let apart = ours.iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-5, "{apart}");
    }
    assert_eq!(fake.faults(), [""; 0]);
    drop((graph, steps));
    assert_clean(&fake);
}

/// Products read what the kernels before them have laid out, by memory that a context has and in a captured graph.
#[test]
fn results_that_are_handed_on_laid_out_are_the_same() {
    let fake = Fake::start("capability=90").unwrap();
    let chains = cases().unwrap().into_iter().filter(|case| case.name.starts_with("chain"));
    for case in chains {
        let outputs = [false, true].map(|in_full| {
            let mut cuda = Cuda::open(0).unwrap().with_precision(Precision::Bf16);
            if in_full {
                cuda = cuda.in_full();
            }
            let plan = Arc::new(compile(&case.graph, cuda.kernels()).unwrap());
            let mut session = cuda.load(plan, &case.weights).unwrap();
            case.inputs.iter().enumerate().for_each(|(k, x)| session.fill(k, x));
            session.run().unwrap();
            session.wait().unwrap();
            session.numbers(0).iter().map(|v| v.to_bits()).collect::<Vec<_>>()
        });
        assert!(outputs[0] == outputs[1], "{}", case.name);
    }
    assert_clean(&fake);
}

/// A chain leaves its counters as it found them, so that a graph can be launched again; steps have no chains.
#[test]
fn chains_compute_the_same_bits_again_and_again() {
    let fake = Fake::start("capability=80").unwrap();
    let case = cases().unwrap().into_iter().find(|case| case.name == "dense block").unwrap();
    let ways: [&[&str]; 3] = [&[], &["SWATH_CUDA_CHAINS"], &["SWATH_CUDA_CHAINS", "SWATH_CUDA_STEPS"]];
    let ran = ways.map(|variables| {
        let before = fake.census().of("launches");
        let mut sessions = with(variables, || {
            let cuda = Cuda::open(0).unwrap().with_precision(Precision::Bf16);
            let plan = Arc::new(compile(&case.graph, cuda.kernels()).unwrap());
            let first = cuda.load(plan, &case.weights).unwrap();
            [first.another().unwrap(), first]
        });
        let mut bits = Vec::new();
        for _ in 0..2 {
            for session in &mut sessions {
                case.inputs.iter().enumerate().for_each(|(k, x)| session.fill(k, x));
                session.run().unwrap();
            }
            for session in &mut sessions {
                session.wait().unwrap();
                bits.push(session.numbers(0).iter().map(|v| v.to_bits()).collect::<Vec<_>>());
            }
        }
        let seconds = sessions[0].time_steps().unwrap();
        assert!(
            seconds.len() == sessions[0].plan().steps.len() && seconds.iter().all(|s| *s > 0.0),
            "{seconds:?}"
        );
        (bits, fake.census().of("launches") - before)
    });
    assert!(ran[0].0.iter().all(|bits| *bits == ran[0].0[0]));
    assert!(ran[0].0 == ran[1].0 && ran[0].0 == ran[2].0);
    // Five convolutions in one, each run, and eleven times when steps are timed.
    assert_eq!([ran[1].1, ran[2].1], [ran[0].1 - 4 * (4 + 11), ran[0].1]);
    assert_clean(&fake);
}

#[test]
fn work_that_is_done_at_once_or_late_is_the_same() {
    let outputs = ["", "early"].map(|line| {
        let fake = Fake::start(line).unwrap();
        let output = run(&mut session(CUDA).unwrap(), 5).unwrap();
        assert_clean(&fake);
        output
    });
    assert_eq!(outputs[0], outputs[1]);
}

#[test]
fn streams_that_do_not_wait_for_each_other_are_found() {
    let fake = Fake::start("deaf").unwrap();
    let output = session(CUDA).and_then(|mut session| run(&mut session, 0)).unwrap();
    assert!(output.iter().all(|v| v.is_nan()), "outputs were copied before anything was computed");
    assert_eq!(fake.census().of("contexts"), 0);
}

#[test]
fn sessions_share_weights_and_streams_but_no_data() {
    let fake = Fake::start("").unwrap();
    let mut first = session(CUDA).unwrap();
    let alone = [run(&mut first, 1).unwrap(), run(&mut first, 2).unwrap()];
    let before = fake.census();
    let mut second = first.another().unwrap();
    let after = fake.census();
    assert_eq!([before.of("streams"), before.of("modules")], [after.of("streams"), after.of("modules")]);
    let added = after.of("bytes") - before.of("bytes");
    // At most the rounding of ports to 256 bytes, and a byte for each class that is empty.
    assert!(added <= first.memory().per_session() + 4 * 256, "{added} bytes, {:?}", first.memory());
    for (session, seed) in [(&mut first, 1), (&mut second, 2)] {
        let input = values(seed, session.input().len());
        session.input().copy_from_slice(&input);
    }
    first.compute().unwrap();
    second.compute().unwrap();
    assert_eq!([first.output(), second.output()], [&alone[0][..], &alone[1][..]]);
    drop((first, second));
    assert_clean(&fake);
}

#[test]
fn each_gpu_has_an_engine_of_its_own() {
    let fake = Fake::start("devices=2").unwrap();
    let mut sessions = [0, 1].map(|index| session(DevicePick::Cuda(index)).unwrap());
    let census = fake.census();
    assert_eq!(["contexts", "streams", "graphs"].map(|name| census.of(name)), [2, 6, 2]);
    for (seed, session) in sessions.iter_mut().enumerate() {
        let input = values(seed, session.input().len());
        session.input().copy_from_slice(&input);
    }
    // Both are under way.
    sessions.iter_mut().for_each(|session| session.start().unwrap());
    let outputs = sessions.each_mut().map(|session| {
        session.wait().unwrap();
        session.output().to_vec()
    });
    let [first, _second] = &mut sessions;
    for (seed, output) in outputs.iter().enumerate() {
        assert_eq!(run(first, seed).unwrap(), *output, "{seed}");
    }
    drop(sessions);
    assert_clean(&fake);
}

#[test]
fn a_kernel_that_fails_is_named_and_ends_the_context() {
    let entry = "conv2d_fwd_f32__gemm_8x128";
    let fake = Fake::start(&format!("fail={entry}:2")).unwrap();
    let error = in_steps(|| run(&mut session(CUDA).unwrap(), 0)).unwrap_err();
    let message = error.to_string();
    assert_eq!(error.kind(), Kind::Device);
    assert!(message.contains(entry) && message.contains("CUDA_ERROR_LAUNCH_FAILED"), "{message}");
    assert_eq!(fake.complaints(), [""; 0]);
    drop(fake);

    let fake = Fake::start(&format!("fail={entry}:2")).unwrap();
    let mut session = session(CUDA).unwrap();
    let first = run(&mut session, 0).unwrap_err().to_string();
    for part in ["CUDA_ERROR_LAUNCH_FAILED", "SWATH_CUDA_STEPS=1", entry] {
        assert!(first.contains(part), "{first}");
    }
    let again = run(&mut session, 0).unwrap_err().to_string();
    assert!(again.contains("CUDA_ERROR_LAUNCH_FAILED"), "{again}");
    drop(session);
    assert_eq!(fake.census().of("contexts"), 0);
    assert_eq!(fake.complaints(), [""; 0]);
}

#[test]
fn memory_that_runs_out_is_a_limit_and_leaves_nothing() {
    let fake = Fake::start("").unwrap();
    let needed = {
        let _session = session(CUDA).unwrap();
        fake.census().of("most_bytes")
    };
    drop(fake);
    for memory in [1 << 10, needed / 2, needed - 1] {
        let fake = Fake::start(&format!("memory={memory}")).unwrap();
        let error = session(CUDA).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), Kind::Limit, "{error}");
        assert!(error.to_string().contains("of GPU memory"), "{error}");
        assert_clean(&fake);
    }
    let fake = Fake::start(&format!("memory={needed}")).unwrap();
    assert!(session(CUDA).is_ok());
    assert_clean(&fake);
}

#[test]
fn properties_are_the_devices() {
    let fake = Fake::start("devices=2 capability=72 memory=3G integrated").unwrap();
    assert_eq!(Driver::count().unwrap(), 2);
    let driver = Driver::open(1).unwrap();
    let p = driver.properties();
    assert_eq!((p.capability, p.memory, p.integrated), (72, 3 << 30, true));
    assert_eq!((p.name.as_str(), fake.census().of("contexts")), ("PTX machine", 1));
    let missing = Driver::open(2).map(|_| ()).unwrap_err().to_string();
    assert!(missing.contains("there are 2"), "{missing}");
    drop(driver);
    assert_clean(&fake);
    drop(fake);

    let fake = Fake::start("capability=62").unwrap();
    let old = Driver::open(0).map(|_| ()).unwrap_err().to_string();
    assert!(old.contains("6.2") && old.contains("7.0 is needed"), "{old}");
    assert_clean(&fake);
    drop(fake);

    let _fake = Fake::start("devices=0").unwrap();
    let none = Driver::open(0).map(|_| ()).unwrap_err().to_string();
    assert!(none.contains("CUDA_ERROR_NO_DEVICE") && none.contains("--device cpu"), "{none}");
}

#[test]
fn gpus_get_the_ptx_of_their_own_matrix_units() {
    let model = demo();
    let (bf16, f16) = (Precision::Bf16, Precision::F16);
    let sets = [
        (72, bf16, None),
        (75, bf16, None),
        (80, bf16, Some("80")),
        (70, f16, Some("70")),
        (72, f16, Some("70")),
        (75, f16, Some("75")),
        (89, f16, Some("80")),
    ];
    for (capability, precision, set) in sets {
        let fake = Fake::start(&format!("capability={capability}")).unwrap();
        let engine = Engine::open(Setup { device: CUDA, precision, ..Setup::default() }).unwrap();
        let mut session = engine.compile(&model, size(&model), &[], None).unwrap();
        drop(engine);
        let steps = session.plan().steps.iter();
        let sets: BTreeSet<_> =
            steps.filter_map(|s| s.choice.entry.rsplit_once("_sm")).map(|(_, n)| n).collect();
        assert_eq!(sets, set.into_iter().collect(), "{capability} in {precision}");
        run(&mut session, 0).unwrap();
        drop(session);
        assert_clean(&fake);
    }
}

/// Samples cross to the device; what it makes of them is what the host would have given it.
#[test]
fn a_network_given_samples_computes_the_same_bits() {
    let fake = Fake::start("").unwrap();
    let model = model();
    let size = size(&model);
    let scale = ChannelScale { zero: 3.0, gain: 1.0 / 255.0, least: 0.0, most: 0.75 };
    for (samples, most) in [(DType::U8, 256), (DType::U16, 65_536)] {
        let of = SampleInput { samples, channels: vec![scale; model.network().input().channels] };
        let raw: Vec<f32> = (0..numel(&model, size)).map(|k| (k * 101 % most) as f32).collect();
        let numbers: Vec<f32> = raw.iter().map(|v| scale.apply(*v)).collect();
        for pick in [CUDA, DevicePick::Cpu, DevicePick::Reference] {
            let engine = |samples| Engine::new(pick, 1).unwrap().reading(samples);
            let mut plain = engine(None).compile(&model, size, &[], None).unwrap();
            let mut given = engine(Some(of.clone())).compile(&model, size, &[], None).unwrap();
            assert_eq!(given.input_bytes().len(), raw.len() * samples.size());
            samples.store(&raw, given.input_bytes());
            given.compute().unwrap();
            assert_eq!(given.output(), plain.run(&numbers).unwrap(), "{pick:?} {samples}");
        }
    }
    assert_clean(&fake);
}

fn numel(model: &LoadedModel, size: InputSize) -> usize {
    model.network().input().dims(size.batch, size.frames, size.height, size.width).iter().product()
}
