//! Networks are recognised from names and shapes: whatever is built comes back configured the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use swath::models::{self, graph, smallest_graph, InputSize, Network, Options, Origin};
use swath::weights::Names;

/// Names and shapes of the parameters a network asks for.
fn names_of(network: &dyn Network) -> Vec<(String, Vec<usize>)> {
    let graph = smallest_graph(network).unwrap();
    graph.params().map(|(name, value)| (name.to_string(), value.spec.shape.to_vec())).collect()
}

/// Recognises and configures with the given options.
fn configured(names: &Names, said: &[(&str, String)], origin: Origin) -> (Box<dyn Network>, Vec<String>) {
    let mut options = Options::default();
    for (key, text) in said.iter().filter(|(_, text)| !text.is_empty()) {
        options.put(key, text.as_str(), origin);
    }
    let mut warnings = Vec::new();
    let family = models::recognise(names, &options, &mut warnings).unwrap();
    options.check_keys(family.options).unwrap();
    let network = (family.configure)(names, &options, &mut warnings).unwrap();
    (network, warnings)
}

/// The network comes back from its own tensors and its own options, without a word.
fn assert_round_trip(network: &dyn Network, extra: &[(&str, Vec<usize>)]) {
    let mut tensors = names_of(network);
    tensors.extend(extra.iter().map(|(name, shape)| (name.to_string(), shape.clone())));
    for origin in [Origin::Metadata, Origin::Yml, Origin::Set] {
        let (back, warnings) = configured(&Names::new(tensors.clone()), &network.config(), origin);
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!(format!("{back:?}"), format!("{network:?}"));
        assert_eq!(names_of(back.as_ref()), names_of(network));
    }
}

fn worldstrat(
    channels: usize,
    reference_frame: bool,
    kernel: usize,
    zoom: usize,
    inner: usize,
) -> models::Common {
    let stack = models::Stack::of(1, channels);
    models::Common {
        channels,
        bands: stack.bands,
        reference_frame,
        hidden: inner * zoom * zoom,
        kernel,
        zoom,
        head_kernel: kernel,
        out_channels: 3,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn rrdbnet_comes_back(
        frames in 1usize..5, channels in prop::sample::select(vec![3usize, 4, 9, 12, 5]), out_channels in 1usize..5,
        features in 1usize..9, growth in 1usize..5, blocks in 1usize..4,
        scale in prop::sample::select(vec![1usize, 2, 4, 8, 16]),
    ) {
        let stack = models::Stack::of(frames, channels);
        assert_round_trip(&models::RrdbNet { stack, out_channels, features, growth, blocks, scale }, &[]);
    }

    #[test]
    fn srcnn_comes_back(
        revisits in 1usize..6, channels in 1usize..5, reference in any::<bool>(), kernel in prop::sample::select(vec![1usize, 3, 5]),
        zoom in 1usize..4, inner in 1usize..4, residual_layers in 0usize..3, side in 1usize..40, sized in any::<bool>(),
    ) {
        let common = worldstrat(channels, reference, kernel, zoom, inner);
        let alias = vec![common.hidden, common.hidden * revisits, kernel, kernel];
        let output_size = sized.then_some(side);
        let network = models::Srcnn { common, revisits, residual_layers, output_size };
        assert_round_trip(&network, &[("fusion.0.doubleconv2d.0.weight", alias)]);
    }

    #[test]
    fn highresnet_comes_back(
        revisits in 1usize..17, channels in 1usize..5, reference in any::<bool>(), kernel in prop::sample::select(vec![1usize, 3]),
        zoom in 1usize..4, inner in 1usize..4,
    ) {
        let common = worldstrat(channels, reference, kernel, zoom, inner);
        let mixer = vec![common.hidden, common.hidden * revisits, kernel, kernel];
        let fuse = vec![common.hidden, common.hidden * 2, kernel, kernel];
        let rounds = (usize::BITS - (revisits - 1).leading_zeros()) as usize;
        let copies: Vec<String> = (1..rounds).map(|l| format!("fusion.fusion.{l}.fuse.1.weight")).collect();
        let mut extra = vec![("doubleconv2d.doubleconv2d.0.weight", mixer)];
        extra.extend(copies.iter().map(|name| (name.as_str(), fuse.clone())));
        assert_round_trip(&models::HighResNet { common, revisits, rounds }, &extra);
    }
}

fn swin(v2: bool, channels: usize, width: usize, depths: [usize; 4], window: usize) -> models::Backbone {
    let stage = |(s, depth): (usize, usize)| models::SwinStage {
        width: width << s,
        heads: 1 << s,
        depth,
        hidden: (2 * width) << s,
        bias_hidden: if v2 { 6 } else { 0 },
    };
    let stages = depths.into_iter().enumerate().map(stage).collect();
    models::Backbone::Swin(models::Swin { v2, channels, window, stages })
}

fn resnet(channels: usize, bottleneck: bool, depths: [usize; 4]) -> models::Backbone {
    let layer = |(k, depth): (usize, usize)| models::ResNetLayer {
        depth,
        inner: 4 << k,
        width: if bottleneck { 8 << k } else { 4 << k },
        groups: 1,
    };
    let layers = depths.into_iter().enumerate().map(layer).collect();
    models::Backbone::ResNet(models::ResNet { channels, stem: 4, bottleneck, layers })
}

fn head(index: usize, kind: models::HeadKind, task: models::Task) -> models::Head {
    let exclusive = matches!(task, models::Task::Segment | models::Task::Classification);
    let categories = (0..kind.outputs()).map(|k| format!("c{k}")).collect();
    let (scope, name) = (format!("heads.{index}"), String::new());
    let anchors = models::ANCHORS.to_vec();
    models::Head { index, scope, kind, task, name, categories, exclusive, anchors }
}

fn bare(prefix: &str, backbone: models::Backbone) -> models::Satlas {
    models::Satlas {
        backbone_prefix: prefix.to_string(),
        backbone,
        aggregation: (String::new(), models::Aggregation::Max),
        groups: Vec::new(),
        images: Some(1),
        bands: Vec::new(),
        fpn: None,
        upsample: None,
        heads: Vec::new(),
        masks_in_rows: false,
    }
}

/// The bands that a Satlas network of so many channels is taken to have when nothing tells.
fn satlas_bands(channels: usize) -> Vec<models::Band> {
    let names: &[&str] = match channels {
        2 => &["vh", "vv"],
        3 => &["tci"],
        9 => &["tci", "b05", "b06", "b07", "b08", "b11", "b12"],
        11 => &models::LANDSAT_BANDS,
        _ => &[],
    };
    models::Band::ordered(&names.iter().map(|name| name.to_string()).collect::<Vec<_>>())
}

fn pyramid(keeps: bool) -> Option<(String, models::Fpn)> {
    Some(("intermediates.0.fpn.".to_string(), models::Fpn { channels: 6, levels: 4, keeps }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn satlas_comes_back(
        kind in 0usize..4, channels in 1usize..5, depths in prop::array::uniform4(1usize..3),
        window in prop::sample::select(vec![3usize, 4, 7, 8]), grouped in any::<bool>(), keeps in any::<bool>(),
        mean in any::<bool>(), outputs in 1usize..5, classes in 2usize..4, masks in any::<bool>(),
    ) {
        use models::{HeadKind, Task};
        let backbone = match kind {
            0 | 1 => swin(kind == 0, channels, 4, depths, window),
            _ => resnet(channels, kind == 2, depths),
        };
        let inner = if kind < 2 { "backbone." } else { "resnet." };
        let dense = if outputs == 1 { Task::Regress } else { Task::Segment };
        let detect = if masks { Task::Instance } else { Task::Detect };
        let upsample = models::Upsample { widths: vec![6; 2], inner: vec![6; 2], skip: false };
        let network = models::Satlas {
            bands: satlas_bands(channels),
            aggregation: (String::new(), if mean { models::Aggregation::Mean } else { models::Aggregation::Max }),
            images: Some(if grouped { 3 } else { 2 }),
            groups: if grouped { vec![vec![0, 1], vec![2]] } else { Vec::new() },
            fpn: pyramid(keeps),
            upsample: Some(("intermediates.1.".to_string(), upsample)),
            heads: vec![
                head(0, HeadKind::Dense { layers: 1, outputs }, dense),
                head(1, HeadKind::Mean { outputs }, Task::Classification),
                head(3, HeadKind::Largest { layers: 2, outputs }, Task::MultiLabel),
                head(4, HeadKind::Detector { classes, masks }, detect),
            ],
            ..bare(&format!("backbone.backbone.{inner}"), backbone)
        };
        assert_round_trip(&network, &[]);
    }
}

#[test]
fn one_dense_output_without_a_word_is_warned_of_and_a_wrong_word_refused() {
    let dense = models::HeadKind::Dense { layers: 1, outputs: 1 };
    let network = models::Satlas {
        fpn: pyramid(false),
        heads: vec![head(0, dense, models::Task::BinSegment)],
        ..bare("backbone.backbone.", swin(true, 9, 4, [1; 4], 8))
    };
    let names = Names::new(names_of(&network));
    let (_, warnings) = configured(&names, &[], Origin::Set);
    assert!(warnings.len() == 1 && warnings[0].contains("tasks=regress"), "{warnings:?}");
    let (told, warnings) = configured(&names, &[("tasks", "tree_cover".to_string())], Origin::Set);
    assert!(warnings.is_empty() && format!("{told:?}").contains("Regress"));
    let mut options = Options::default();
    options.put("tasks", "detect", Origin::Set);
    let family = models::recognise(&names, &options, &mut Vec::new()).unwrap();
    let message = (family.configure)(&names, &options, &mut Vec::new()).unwrap_err().to_string();
    assert!(message.contains("detect"), "{message}");
}

/// Published sizes, by the number of their parameters.
#[test]
fn published_backbones_have_their_parameters() {
    for (channels, width, heads, depths, classifier, parameters) in [
        (3, 128, 4, [2, 2, 18, 2], 1_025_000 + 2_048, 87_930_848),
        (9, 128, 4, [2, 2, 18, 2], 1_025_000 + 2_048, 87_943_136),
        (3, 96, 3, [2, 2, 6, 2], 769_000 + 1_536, 28_351_570),
    ] {
        let stage = |s: usize| models::SwinStage {
            width: width << s,
            heads: heads << s,
            depth: depths[s],
            hidden: (4 * width) << s,
            bias_hidden: 512,
        };
        let stages = (0..4).map(stage).collect();
        let swin = models::Swin { v2: true, channels, window: 8, stages };
        let names = names_of(&bare("", models::Backbone::Swin(swin)));
        let own: usize = names.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        // Files have a classifier that is never used; tables of offsets are none of the parameters.
        let offsets = depths.iter().sum::<usize>() * 15 * 15 * 2;
        assert_eq!(own - offsets + classifier, parameters);
    }
}

/// Dates run through the backbone one after the other: four take hardly more memory than one.
#[test]
fn memory_does_not_grow_with_the_number_of_dates() {
    let stage = |s: usize| models::SwinStage {
        width: 128 << s,
        heads: 4 << s,
        depth: [2, 2, 18, 2][s],
        hidden: 512 << s,
        bias_hidden: 512,
    };
    let swin = models::Swin { v2: true, channels: 9, window: 8, stages: (0..4).map(stage).collect() };
    let cpu = swath::cpu::Cpu::new(1).unwrap();
    for aggregation in [models::Aggregation::Max, models::Aggregation::Mean] {
        let network = models::Satlas {
            aggregation: (String::new(), aggregation),
            images: Some(4),
            fpn: Some(("fpn.".to_string(), models::Fpn { channels: 128, levels: 4, keeps: false })),
            ..bare("", models::Backbone::Swin(swin.clone()))
        };
        let [one, four] = [1, 4].map(|frames| {
            let size = InputSize { batch: 1, frames, height: 512, width: 512 };
            let mut graph = graph(&network, size).unwrap();
            swath::passes::optimise(&mut graph).unwrap();
            swath::plan::compile(&graph, swath::plan::Device::kernels(&cpu)).unwrap().memory().total()
        });
        assert!(four as f64 <= 1.15 * one as f64, "{one} bytes for one date, {four} for four");
    }
}

/// Their tensors are alike; what a command wants, or the options, tells them apart.
#[test]
fn one_number_a_pixel_of_nine_channels_is_solar_farms_or_trees() {
    let dense = models::HeadKind::Dense { layers: 1, outputs: 1 };
    let of = |wrappers: usize| models::Satlas {
        fpn: pyramid(false),
        upsample: Some((
            "intermediates.1.".to_string(),
            models::Upsample { widths: vec![6; 2], inner: vec![6; 2], skip: false },
        )),
        heads: vec![head(0, dense.clone(), models::Task::BinSegment)],
        ..bare(&"backbone.".repeat(wrappers), swin(true, 9, 8, [2; 4], 4))
    };
    let about = |network: &dyn Network| {
        let (head, input) = (&network.heads()[0], network.input());
        (head.title().to_string(), head.categories.join(","), input.default_frames, *input.frames.end())
    };
    let names = Names::new(names_of(&of(3)));
    let (solar, warnings) = configured(&names, &[], Origin::Set);
    assert_eq!(about(solar.as_ref()), ("solar_farm".into(), "solar_farm".into(), 4, 64));
    assert!(warnings.len() == 1 && warnings[0].contains("fit solar_farm and tree_cover"), "{warnings:?}");
    let trees = ("tree_cover".into(), String::new(), 3, 64);
    assert_eq!(about(solar.with_head(0, models::Task::Regress).unwrap().as_ref()), trees);
    let (told, warnings) = configured(&names, &[("tasks", "tree_cover".into())], Origin::Set);
    assert_eq!((about(told.as_ref()), warnings), (trees, vec![]));
    // Nothing says that this one takes several dates, and no such model is published.
    let (single, warnings) = configured(&Names::new(names_of(&of(2))), &[], Origin::Set);
    assert_eq!(about(single.as_ref()), ("bin_segment".into(), String::new(), 1, 1));
    assert!(warnings[0].contains("fit bin_segment and regress"), "{warnings:?}");
}

/// The message that a task of a head is refused with.
fn refused(heads: Vec<models::Head>, tasks: &str) -> String {
    let network = models::Satlas {
        heads,
        fpn: pyramid(false),
        ..bare("backbone.backbone.", swin(true, 3, 8, [2; 4], 4))
    };
    let mut options = Options::default();
    options.put("tasks", tasks, Origin::Set);
    let names = Names::new(names_of(&network));
    let family = models::recognise(&names, &options, &mut Vec::new()).unwrap();
    (family.configure)(&names, &options, &mut Vec::new()).unwrap_err().to_string()
}

#[test]
fn tasks_that_do_not_fit_are_refused_at_once() {
    let dense = |index| head(index, models::HeadKind::Dense { layers: 1, outputs: 5 }, models::Task::Segment);
    let said = refused(vec![dense(0), dense(1), dense(2)], "tree_cover,detect,segmnt");
    for part in [
        "task tree_cover (regress) for heads.0, which has 5 numbers for each pixel",
        "task detect for heads.1",
        "task \"segmnt\" is not known (did you mean segment?)",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

/// The published generator: 64 features, 23 blocks, growth 32.
fn published(in_channels: usize) -> Names {
    let stack = models::Stack::of(1, in_channels);
    let net = models::RrdbNet { stack, out_channels: 3, features: 64, growth: 32, blocks: 23, scale: 4 };
    Names::new(names_of(&net))
}

#[test]
fn published_generators_are_recognised_without_options() {
    for (in_channels, frames, channels, bands, parameters) in [
        (3, 1, 3, 1, 16_697_987),
        (6, 2, 3, 1, 16_699_715),
        (12, 4, 3, 1, 16_703_171),
        (24, 8, 3, 1, 16_710_083),
        (48, 16, 3, 1, 16_723_907),
        (32, 8, 4, 2, 16_714_691),
        (72, 8, 9, 7, 16_737_731),
        (96, 8, 12, 10, 16_751_555),
    ] {
        let names = published(in_channels);
        assert_eq!(names.len(), 702);
        assert_eq!(names.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum::<usize>(), parameters);
        let (net, warnings) = configured(&names, &[], Origin::Set);
        let input = net.input();
        assert_eq!((input.default_frames, input.channels, input.bands.len()), (frames, channels, bands));
        assert_eq!(net.output().scale, 4, "{in_channels} channels are frames, not a pixel-unshuffle");
        assert!(warnings.is_empty());
    }
}

#[test]
fn cost_of_the_published_generator_is_the_papers() {
    let (net, _) = configured(&published(24), &[], Origin::Set);
    let graph = graph(net.as_ref(), InputSize { batch: 1, frames: 8, height: 32, width: 32 }).unwrap();
    let gmac = graph.cost().flops as f64 / 2e9;
    assert!((gmac - 18.370).abs() < 0.02, "{gmac}");
}

/// Closed forms: a pixel per 3×3 convolution at input resolution. Behind the enlargements, one
/// at twice it and three at four times reach ½ and ¾ pixels, a whole one each on the grid they read.
#[test]
fn exact_halos_are_the_closed_forms() {
    let at = |net: &dyn Network| {
        let frames = net.input().default_frames;
        let graph = graph(net, InputSize { batch: 1, frames, height: 32, width: 32 }).unwrap();
        swath::graph::halo(&graph, "output", "input").unwrap().unwrap()
    };
    let published = configured(&published(24), &[], Origin::Set).0;
    assert_eq!((at(published.as_ref()).radius, at(published.as_ref()).scale), (1 + 23 * 15 + 1 + 2, (4, 1)));
    let common = worldstrat(3, false, 3, 4, 2);
    let plain = models::Common { head_kernel: 1, ..common };
    let srcnn = models::Srcnn { common: plain.clone(), revisits: 8, residual_layers: 1, output_size: None };
    assert_eq!(at(&srcnn).radius, 2 + 2 + 2);
    let highresnet = models::HighResNet { common: plain, revisits: 8, rounds: 3 };
    assert_eq!(at(&highresnet).radius, 2 + 3 * 3);
}

#[test]
fn scale_one_and_two_are_told_by_options() {
    for (told, frames, scale) in [("2", 4, 2), ("1", 1, 1), ("3", 16, 4)] {
        let (net, _) = configured(&published(48), &[("scale", told.to_string())], Origin::Yml);
        assert_eq!((net.input().default_frames, net.output().scale), (frames, scale), "scale {told}");
    }
}

#[test]
fn files_that_contradict_the_tensors_are_warned_of_and_the_command_line_refused() {
    let names = published(24);
    let said = [("num_in_ch", "36".to_string()), ("scale", "8".to_string()), ("type", "SRCNN".to_string())];
    let (net, warnings) = configured(&names, &said, Origin::Yml);
    assert_eq!((net.family(), net.output().scale, warnings.len()), ("rrdbnet", 4, 3), "{warnings:?}");
    for (key, text) in said {
        let mut options = Options::default();
        options.put(key, text, Origin::Set);
        let family = models::recognise(&names, &options, &mut Vec::new());
        assert!(family.and_then(|f| (f.configure)(&names, &options, &mut Vec::new())).is_err(), "{key}");
    }
}

#[test]
fn inputs_a_network_cannot_take_are_refused_by_name() {
    let common = worldstrat(3, false, 3, 2, 1);
    let net = models::HighResNet { common, revisits: 7, rounds: 3 };
    let size = InputSize { batch: 1, frames: 5, height: 8, width: 8 };
    assert!(graph(&net, size).is_ok());
    for (size, part) in [
        (InputSize { frames: 4, ..size }, "5 to 8"),
        (InputSize { frames: 9, ..size }, "5 to 8"),
        (InputSize { height: 1, ..size }, "at least 2"),
        (InputSize { width: 1 << 30, ..size }, "at most"),
        (InputSize { batch: 0, ..size }, "at most"),
    ] {
        let message = graph(&net, size).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}
