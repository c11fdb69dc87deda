//! Every published checkpoint's names and shapes, and those of the package for backbones, fit a network as they are.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;
use swath::models::{recognise, smallest_graph, Network, Options};
use swath::weights::{Names, WeightReport};

use crate::fixtures::fixtures;

type Tensors = Vec<(String, Vec<usize>)>;

/// Names and shapes of each configuration's checkpoint, by its file name.
fn lists() -> Option<BTreeMap<String, Tensors>> {
    let shared = PathBuf::from(std::env::var_os("SWATH_SHARED")?);
    let mut lists = BTreeMap::new();
    for entry in std::fs::read_dir(shared.join("spec/tables/state_dict")).ok()? {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().replace("__", "/");
        let text = std::fs::read_to_string(&path).unwrap();
        let tensor = |line: &str| {
            let mut parts = line.split('\t');
            let (name, shape) = (parts.next().unwrap(), parts.next().unwrap());
            (name.to_string(), shape.split('x').filter_map(|extent| extent.parse().ok()).collect())
        };
        lists.insert(format!("{name}.txt"), text.lines().map(tensor).collect());
    }
    Some(lists)
}

/// The network that the tensors are, which must want all of them and no others.
fn fits(what: &str, tensors: &Tensors, options: &Options) -> (Box<dyn Network>, Vec<String>) {
    let names = Names::new(tensors.clone());
    let mut warnings = Vec::new();
    let family = recognise(&names, options, &mut warnings).unwrap();
    let network = (family.configure)(&names, options, &mut warnings).unwrap();
    let graph = smallest_graph(network.as_ref()).unwrap();
    let wanted = graph.params().map(|(name, value)| (name, value.spec.shape));
    let report = WeightReport::compare(&names, wanted, |name| network.is_unused(name));
    assert!(report.missing.is_empty() && report.unexpected.is_empty(), "{what}: {report:?}");
    assert!(report.misshapen.is_empty(), "{what}: {report:?}");
    (network, warnings)
}

#[test]
fn published_checkpoints_fit() {
    let Some(lists) = lists() else { return };
    for (config, tensors) in &lists {
        let mut options = Options::default();
        options.yml(&format!("{{\"config\": \"{config}\"}}")).unwrap();
        let (network, warnings) = fits(config, tensors, &options);
        assert_eq!(warnings, [""; 0], "{config}");
        let heads = network.heads();
        let told = options.text("tasks").unwrap().split(',').count();
        assert_eq!(heads.len(), told, "{config}");
        assert!(heads.iter().all(|head| head.categories.len().max(1) == head.kind.outputs()), "{config}");
    }
    assert_eq!(lists.len(), 32);
}

/// Nothing but the tensors tells; those of tree cover are those of solar farms.
#[test]
fn published_checkpoints_are_recognised() {
    let Some(lists) = lists() else { return };
    for (config, tensors) in &lists {
        let mut options = Options::default();
        options.yml(&format!("{{\"config\": \"{config}\"}}")).unwrap();
        let (network, _) = fits(config, tensors, &Options::default());
        let titles: Vec<&str> = network.heads().iter().map(|head| head.title()).collect();
        let told = options.text("tasks").unwrap().replace("tree_cover", "solar_farm");
        let alike = titles.len() == 1;
        assert_eq!(
            titles.join(","),
            if alike { told } else { options.text("tasks").unwrap().into() },
            "{config}"
        );
        let images = match config.as_str() {
            config if config.contains("marine") => 3,
            config if config.contains("explorer") || config.starts_with("aerial/swinb_mi") => 4,
            config if config.contains("_mi") => 8,
            _ => 1,
        };
        assert_eq!(network.input().default_frames, images, "{config}");
        assert!(!network.input().bands.is_empty(), "{config}");
    }
}

#[test]
fn files_of_the_package_fit() {
    let (Some(lists), Some(fixtures)) = (lists(), fixtures("spm", 10)) else { return };
    let fixture = fixtures.iter().find(|f| f.name == "key_maps").unwrap();
    let text = std::fs::read_to_string(fixture.folder.join("models.json")).unwrap();
    let models: Vec<Value> = serde_json::from_str(&text).unwrap();
    for model in &models {
        let id = model["id"].as_str().unwrap();
        // Sentinel2_SwinB_MI_RGB is sentinel2/swinb_mi_rgb.txt.
        let config = format!("{}.txt", id.to_lowercase().replacen('_', "/", 1));
        let own = |name: &str| -> Option<String> {
            let name = name.replacen("backbone.backbone.resnet.", "backbone.resnet.", 1);
            let name = name.replacen("intermediates.0.fpn.", "fpn.fpn.", 1);
            let name = name.replacen("intermediates.1.layers.", "upsample.layers.", 1);
            (!name.starts_with("heads.")).then_some(name)
        };
        let tensors: Tensors = lists[&config]
            .iter()
            .filter_map(|(name, shape)| own(name).map(|name| (name, shape.clone())))
            .collect();
        assert_eq!(tensors.len() as u64, model["keys"].as_u64().unwrap(), "{id}");
        assert!(tensors.iter().any(|(name, _)| *name == model["first_backbone_key"]), "{id}");
        let (network, _) = fits(id, &tensors, &Options::default());
        assert_eq!(network.input().channels as u64, model["num_channels"].as_u64().unwrap(), "{id}");
    }
    assert_eq!(models.len(), 22);
}
