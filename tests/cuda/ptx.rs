//! The checked-in PTX: made from these sources, complete, and as the launches need it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use swath::cuda::launch::{Launch, Operands};
use swath::cuda::modules::{module_of, Module, MODULES};

fn kernels() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels")
}

/// Files below a folder whose name ends so, with their paths relative to it, in order.
fn files(folder: &Path, ending: &str) -> Vec<String> {
    fn walk(root: &Path, folder: &Path, ending: &str, out: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, ending, out);
            } else if path.to_string_lossy().ends_with(ending) {
                out.push(path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/"));
            }
        }
    }
    let mut out = Vec::new();
    walk(folder, folder, ending, &mut out);
    out.sort();
    out
}

/// The text after `// key` in a module's head.
fn head<'m>(module: &'m Module, key: &str) -> &'m str {
    let line = module.ptx.lines().take(3).find_map(|l| l.strip_prefix(&format!("// {key}")));
    line.unwrap_or_else(|| panic!("{} has no line \"// {key}\"", module.name))
}

/// Sizes of an entry's parameters, as declared.
fn declared(module: &Module, entry: &str) -> Vec<usize> {
    let start = module.ptx.find(&format!(".entry {entry}(")).unwrap();
    let list = &module.ptx[start..];
    let list = &list[..list.find("\n)").unwrap()];
    let size = |l: &str| l.rsplit_once('[').map(|(_, n)| n.trim_end_matches([']', ',']).parse().unwrap());
    list.lines().filter(|l| l.contains(".param")).filter_map(size).collect()
}

#[test]
fn ptx_is_what_these_sources_make() {
    let read = |name: &str| fs::read(kernels().join(name)).unwrap();
    let headers = files(&kernels(), ".cuh");
    for module in MODULES {
        let source = head(module, "swath kernels/");
        let mut hash = Sha256::new();
        hash.update(read("build"));
        headers.iter().for_each(|h| hash.update(read(h)));
        hash.update(read(source));
        hash.update(head(module, "compiler: "));
        hash.update("\n");
        let hash: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            head(module, "sha256: "),
            hash,
            "{} is not made from {source}; run kernels/build",
            module.name
        );
    }
}

#[test]
fn every_source_is_compiled_and_embedded() {
    let embedded: BTreeSet<String> = MODULES.iter().map(|m| format!("{}.ptx", m.name)).collect();
    let checked_in: BTreeSet<String> = files(&kernels().join("ptx"), ".ptx").into_iter().collect();
    assert_eq!(embedded, checked_in);
    let compiled: BTreeSet<&str> = MODULES.iter().map(|m| head(m, "swath kernels/")).collect();
    let sources = files(&kernels(), ".cu");
    let sources: BTreeSet<&str> = sources.iter().map(String::as_str).filter(|s| !s.contains('/')).collect();
    assert_eq!(compiled, sources);
}

/// Versions that drivers since R535 and JetPack 5 know, architectures by set, no stack, no paths.
#[test]
fn ptx_runs_on_old_drivers_and_uses_no_stack() {
    for module in MODULES {
        let (version, target) = match module.name.split_once('/').unwrap().0 {
            "base" => ("6.3", "sm_70"),
            "sm70" => ("6.4", "sm_70"),
            "sm75" => ("6.5", "sm_75"),
            "sm80" => ("7.0", "sm_80"),
            "sm90a" => ("8.0", "sm_90a"),
            other => panic!("{other}: no such set"),
        };
        assert!(module.ptx.contains(&format!("\n.version {version}\n.target {target}\n")), "{}", module.name);
        assert!(!module.ptx.contains(".local"), "{} keeps variables on a stack", module.name);
        assert!(!module.ptx.contains("call"), "{} calls functions", module.name);
        assert!(!module.ptx.contains(env!("CARGO_MANIFEST_DIR")), "{} holds a path", module.name);
    }
}

#[test]
fn entries_are_named_once_and_take_operands_and_parameters() {
    let mut seen = BTreeSet::new();
    for module in MODULES {
        for entry in module.entries() {
            assert!(seen.insert(entry), "{entry} is in two modules");
            assert_eq!(module_of(entry).unwrap().name, module.name);
            let params = match entry.split("_fwd").next().unwrap() {
                "conv2d" => size_of::<swath::kernel::conv::Conv2dParams>(),
                "conv_chain" => size_of::<swath::cuda::chain::ChainParams>(),
                "map" => size_of::<swath::kernel::map::MapParams>(),
                "resize" => size_of::<swath::kernel::resize::ResizeParams>(),
                "blur" => size_of::<swath::kernel::blur::BlurParams>(),
                "pool" => size_of::<swath::kernel::pool::PoolParams>(),
                "reduce" | "softmax" => size_of::<swath::kernel::reduce::AxisParams>(),
                "matmul" => size_of::<swath::kernel::matmul::MatmulParams>(),
                "conv_transpose2d" => size_of::<swath::kernel::conv_transpose::ConvTranspose2dParams>(),
                "anchors" => size_of::<swath::kernel::boxes::AnchorsParams>(),
                "box_decode" => size_of::<swath::kernel::boxes::BoxDecodeParams>(),
                "nms" => size_of::<swath::kernel::boxes::NmsParams>(),
                "top_k" => size_of::<swath::kernel::select::TopKParams>(),
                "gather" => size_of::<swath::kernel::select::GatherParams>(),
                "roi_align" => size_of::<swath::kernel::roi_align::RoiAlignParams>(),
                "normalise" => size_of::<swath::kernel::samples::NormaliseParams>(),
                "to_samples" => size_of::<swath::kernel::samples::ToSamplesParams>(),
                "layer_norm" => size_of::<swath::kernel::norm::LayerNormParams>(),
                "window_attention" => size_of::<swath::kernel::attention::WindowAttentionParams>(),
                other => panic!("{entry}: no parameters are known for {other}"),
            };
            assert_eq!(declared(module, entry), [size_of::<Operands>(), params], "{entry}");
        }
    }
    assert_eq!(Launch::PARAMS, size_of::<Operands>());
}
