//! The Satlas networks: a backbone, run on each date and aggregated, a feature pyramid, its enlargement
//! to the image's size, and heads. Everything but the heads may be missing, and the heads too: what
//! remains gives its feature maps.

mod aggregation;
mod colours;
mod config;
mod detector;
mod heads;
mod neck;
mod tasks;

pub use aggregation::Aggregation;
pub use colours::Colour;
pub use config::read as read_config;
pub use heads::{Head, HeadKind, ANCHORS};
pub use neck::{Fpn, Upsample};
pub use tasks::{known as known_task, Known as KnownTask, Task};

use std::collections::BTreeSet;

use super::bands::frame_bands;
use super::build::{DETECTIONS, MASKS};
use super::family::{Family, Network, Outputs};
use super::layers::{layer_norm, linear};
use super::options::Options;
use super::resnet::ResNet;
use super::spec::{Frames, InputSpec, OutputSpec, Overlap, LANDSAT_BANDS};
use super::swin::Swin;
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::weights::{Names, Rename};

/// Its line in the table of families.
pub const FAMILY: Family = Family {
    id: "satlas",
    title: "Satlas backbone with pyramid and heads",
    types: &["multihead4", CLASSIFY],
    detect: |names| backbone_prefix(names).is_some(),
    renames: &[
        Rename {
            from: "intermediates.0.fpn.inner_blocks.*.weight",
            to: "intermediates.0.fpn.inner_blocks.*.0.weight",
        },
        Rename {
            from: "intermediates.0.fpn.inner_blocks.*.bias",
            to: "intermediates.0.fpn.inner_blocks.*.0.bias",
        },
        Rename {
            from: "intermediates.0.fpn.layer_blocks.*.weight",
            to: "intermediates.0.fpn.layer_blocks.*.0.weight",
        },
        Rename {
            from: "intermediates.0.fpn.layer_blocks.*.bias",
            to: "intermediates.0.fpn.layer_blocks.*.0.bias",
        },
        Rename { from: "heads.*.rpn.head.conv.weight", to: "heads.*.rpn.head.conv.0.0.weight" },
        Rename { from: "heads.*.rpn.head.conv.bias", to: "heads.*.rpn.head.conv.0.0.bias" },
    ],
    options: &[
        "type",
        "aggregation",
        "groups",
        "n_s2_images",
        "s2_bands",
        "prepend",
        "tasks",
        "losses",
        "categories",
        "anchors",
    ],
    overlap: Overlap::Pixels(64),
    repeats_pixels: true,
    largest_tile: 512,
    configure: |names, options, warnings| Ok(Box::new(Satlas::configure(names, options, warnings)?)),
};

/// Bands of the published models with 2, 3, 9 and 11 channels an image: Sentinel-1, true colour, Sentinel-2,
/// Landsat.
const BANDS: &[&[&str]] =
    &[&["vh", "vv"], &["tci"], &["tci", "b05", "b06", "b07", "b08", "b11", "b12"], &LANDSAT_BANDS];

/// Sides of results for each pixel, and of a backbone's finest map's pixels, are multiples of this.
const PATCH: usize = 4;

/// Type of the networks that classify whole images by their backbone alone.
const CLASSIFY: &str = "classify";

/// Most images of one input that no group limits.
const MAX_IMAGES: usize = 64;

/// A backbone's numbers.
#[derive(Debug, Clone, PartialEq)]
pub enum Backbone {
    /// A Swin transformer.
    Swin(Swin),
    /// A residual network.
    ResNet(ResNet),
}

impl Backbone {
    fn channels(&self) -> usize {
        match self {
            Self::Swin(swin) => swin.channels,
            Self::ResNet(resnet) => resnet.channels,
        }
    }

    fn build<'b>(&self, b: &'b Builder, x: Var<'b>) -> Vec<Var<'b>> {
        match self {
            Self::Swin(swin) => swin.build(b, x),
            Self::ResNet(resnet) => resnet.build(b, x),
        }
    }

    fn is_unused(&self, name: &str) -> bool {
        match self {
            Self::Swin(_) => Swin::is_unused(name),
            Self::ResNet(_) => ResNet::is_unused(name),
        }
    }

    /// Name of the weight of its own classifier.
    fn classifier(&self) -> &'static str {
        match self {
            Self::Swin(_) => "head.weight",
            Self::ResNet(_) => "fc.weight",
        }
    }

    /// Scores of its own classes, (n, classes), from its coarsest map.
    fn classify<'b>(&self, b: &'b Builder, map: Var<'b>, classes: usize) -> Var<'b> {
        match self {
            Self::Swin(_) => {
                let tokens = layer_norm(b, "norm", map.permute(&[0, 2, 3, 1]));
                linear(b, "head", heads::pixels(tokens.permute(&[0, 3, 1, 2])).mean(2), classes)
            }
            Self::ResNet(_) => linear(b, "fc", heads::pixels(map).mean(2), classes),
        }
    }
}

/// A Satlas network's numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Satlas {
    /// Prefix of the backbone's parameters, with the last dot.
    pub backbone_prefix: String,
    /// The backbone.
    pub backbone: Backbone,
    /// Scope of the layers that make dates one, and how they do.
    pub aggregation: (String, Aggregation),
    /// Images of each group; without any, all images are one.
    pub groups: Vec<Vec<usize>>,
    /// Images the network was made for, where that is told.
    pub images: Option<usize>,
    /// Names of an image's bands.
    pub bands: Vec<super::spec::Band>,
    /// Prefix of the pyramid's parameters, and the pyramid.
    pub fpn: Option<(String, Fpn)>,
    /// Prefix of the enlargement's parameters, and the enlargement.
    pub upsample: Option<(String, Upsample)>,
    /// The heads.
    pub heads: Vec<Head>,
    /// Whether a detector's masks are part of its rows, 28² numbers behind each box, instead of a result of
    /// their own.
    pub masks_in_rows: bool,
}

/// Where the parts of a network lie in files: those of the reference and of its package for backbones.
const FPNS: &[&str] = &["intermediates.0.fpn.", "fpn.fpn.", "fpn."];
const AGGREGATIONS: &[&str] = &["backbone.", ""];
const UPSAMPLES: &[&str] = &["intermediates.1.", "intermediates.0.", "upsample."];

/// What stands before a backbone's own names; `None` when there is no backbone.
fn backbone_prefix(names: &Names) -> Option<String> {
    let (swin, resnet) = ("features.0.0.weight", "conv1.weight");
    let prefix =
        |name: &str| name.strip_suffix(swin).or_else(|| name.strip_suffix(resnet)).map(str::to_string);
    let wrapper = |prefix: &str| {
        let inner = prefix.strip_suffix("resnet.").unwrap_or(prefix);
        inner.split_terminator('.').all(|part| part == "backbone")
    };
    names
        .iter()
        .filter_map(|(name, _)| prefix(name))
        .find(|prefix| wrapper(prefix) && (Swin::is_at(names, prefix) || ResNet::is_at(names, prefix)))
}

impl Satlas {
    /// Reads the numbers off names and shapes; options tell the tasks of heads, the groups of images and
    /// what else tensors cannot.
    ///
    /// # Errors
    /// `Weights` for shapes that no such network has, `Usage` for options that do not fit.
    pub fn configure(names: &Names, options: &Options, warnings: &mut Vec<String>) -> Result<Self> {
        let prefix =
            backbone_prefix(names).ok_or_else(|| Error::weights("no Swin transformer and no ResNet"))?;
        let backbone = match Swin::is_at(names, &prefix) {
            true => Backbone::Swin(Swin::configure(names, &prefix)?),
            false => Backbone::ResNet(ResNet::configure(names, &prefix)?),
        };
        let layers = AGGREGATIONS.iter().find(|at| {
            ["rnn", "conv3d", "conv1d"].iter().any(|kind| names.has_prefix(&format!("{at}{kind}_layers.")))
        });
        let layers = layers.map_or("", |at| *at);
        let aggregation = Aggregation::configure(names, layers, options.text("aggregation"))?;
        let groups = groups(options)?;
        let listed = groups.iter().flatten().max().map_or(1, |most| most + 1);
        let placed = match options.text("type") {
            Some(CLASSIFY) => {
                let classes = names.extent(&format!("{prefix}{}", backbone.classifier()), 0)?;
                heads::classifiers(classes, scope_of(&prefix), options)?
            }
            _ => heads::placed(names, head_scopes(names))?,
        };
        let base = heads::Base { channels: backbone.channels(), wrapped: is_wrapped(&prefix) };
        let heads = heads::configure(placed, base, options, warnings)?;
        let images = match options.count("n_s2_images")? {
            _ if !groups.is_empty() => Some(listed),
            told => told,
        };
        let fpn_at = FPNS.iter().find(|at| names.has_prefix(&format!("{at}inner_blocks.")));
        let upsample_at = UPSAMPLES.iter().find(|at| names.contains(&format!("{at}layers.0.2.weight")));
        let keeps = match options.flag("prepend")? {
            Some(told) => told,
            None => match fpn_at {
                Some(at) => {
                    reads_backbone(names, &heads, names.conv(&format!("{at}inner_blocks.0.0.weight"))?[0])
                }
                None => false,
            },
        };
        Ok(Self {
            bands: frame_bands(backbone.channels(), BANDS, options, warnings)?,
            backbone_prefix: prefix,
            backbone,
            aggregation: (layers.trim_end_matches('.').to_string(), aggregation),
            groups,
            images,
            fpn: match fpn_at {
                Some(at) => Fpn::configure(names, at, keeps)?.map(|fpn| (at.to_string(), fpn)),
                None => None,
            },
            upsample: match upsample_at {
                Some(at) => Upsample::configure(names, at)?.map(|upsample| (at.to_string(), upsample)),
                None => None,
            },
            heads,
            masks_in_rows: false,
        })
    }
}

/// Whether a backbone's prefix is that of one that aggregates images.
fn is_wrapped(prefix: &str) -> bool {
    let wrappers = prefix.matches("backbone.").count();
    wrappers > if prefix.ends_with("resnet.") { 1 } else { 2 }
}

/// Images of each group, from `0,1;2,3`.
fn groups(options: &Options) -> Result<Vec<Vec<usize>>> {
    let Some(text) = options.text("groups") else { return Ok(Vec::new()) };
    let image = |word: &str| word.trim().parse().ok().filter(|&image| image < MAX_IMAGES);
    let group = |text: &str| text.split(',').map(image).collect::<Option<Vec<usize>>>();
    text.split(';').map(group).collect::<Option<_>>().ok_or_else(|| {
        Error::usage(format!("groups={text} are no lists of images below {MAX_IMAGES}, as in 0,1;2,3"))
    })
}

/// Places and scopes of the heads: `heads.0`, `heads.1`… or `head`.
fn head_scopes(names: &Names) -> Vec<(usize, String)> {
    let index = |name: &str| name.strip_prefix("heads.")?.split('.').next()?.parse().ok();
    let found: BTreeSet<usize> = names.iter().filter_map(|(name, _)| index(name)).collect();
    let single = ["head.layers.", "head.layer.", "head.extra.", "head.roi_heads."];
    match found.is_empty() && single.iter().any(|at| names.has_prefix(at)) {
        true => vec![(0, heads::PACKAGE_SCOPE.to_string())],
        false => found.into_iter().map(|index| (index, format!("heads.{index}"))).collect(),
    }
}

/// Whether a head over the last map has more inputs than a pyramid's map has channels.
fn reads_backbone(names: &Names, heads: &[Head], channels: usize) -> bool {
    let wide =
        |head: &Head| names.extent(&format!("{}.layer.weight", head.scope), 1).is_ok_and(|n| n != channels);
    heads.iter().any(|head| matches!(head.kind, HeadKind::Mean { .. }) && wide(head))
}

fn scope_of(prefix: &str) -> &str {
    prefix.strip_suffix('.').unwrap_or(prefix)
}

impl Satlas {
    fn base(&self) -> heads::Base {
        heads::Base { channels: self.backbone.channels(), wrapped: is_wrapped(&self.backbone_prefix) }
    }

    /// Images the network was made for: as many as told, or those of the published model with its heads.
    fn images(&self) -> usize {
        match self.images {
            Some(told) => told,
            None if self.base().wrapped => {
                tasks::published_images(&self.heads.iter().map(|h| &*h.name).collect::<Vec<_>>())
            }
            None => 1,
        }
    }

    /// Most images it takes: one of which nothing says that it takes several takes no more.
    fn most_images(&self) -> usize {
        match self.groups.iter().flatten().max() {
            Some(most) => most + 1,
            None if self.base().wrapped || self.images() > 1 => MAX_IMAGES.max(self.images()),
            None => 1,
        }
    }

    /// Feature maps of `frames` images stacked on the channels, finest first.
    fn features<'b>(&self, b: &'b Builder, x: Var<'b>, frames: usize) -> Vec<Var<'b>> {
        let channels = self.backbone.channels();
        let (layers, aggregation) = &self.aggregation;
        let all = [(0..frames).collect::<Vec<usize>>()];
        let groups = if self.groups.is_empty() { all.as_slice() } else { &self.groups };
        let _layers = b.scope(layers);
        let image = |frame: usize| {
            let image = x.slice(1, frame * channels..(frame + 1) * channels);
            let _backbone = b.root_scope(scope_of(&self.backbone_prefix));
            self.backbone.build(b, image)
        };
        aggregation.build(b, frames, groups, image)
    }

    /// Whether a head is a detector of the package for backbones: those were trained on the enlarged map and the
    /// finest of the pyramid's.
    fn is_packaged_detector(&self, head: &Head) -> bool {
        head.scope == heads::PACKAGE_SCOPE && self.upsample.is_some()
    }

    /// The maps that heads see, finest first, and those of them that are the pyramid detectors see.
    fn neck<'b>(&self, b: &'b Builder, maps: Vec<Var<'b>>) -> [Vec<Var<'b>>; 2] {
        let levels = maps.len();
        let mut maps = maps;
        if let Some((at, fpn)) = &self.fpn {
            let _scope = b.scope(scope_of(at));
            maps = fpn.build(b, &maps);
        }
        let pyramid = maps[..levels.min(maps.len())].to_vec();
        if let Some((at, upsample)) = &self.upsample {
            let _scope = b.scope(scope_of(at));
            maps.splice(0..0, upsample.build(b, &maps));
        }
        [maps, pyramid]
    }
}

impl Network for Satlas {
    fn family(&self) -> &'static str {
        FAMILY.id
    }

    fn config(&self) -> Vec<(&'static str, String)> {
        let groups = self.groups.iter().map(|g| g.iter().map(usize::to_string).collect::<Vec<_>>().join(","));
        let bands: Vec<&str> = self.bands.iter().map(|b| b.name.as_str()).collect();
        let mut config = vec![
            ("aggregation", self.aggregation.1.name().to_string()),
            ("groups", groups.collect::<Vec<_>>().join(";")),
            ("n_s2_images", self.images().to_string()),
            ("s2_bands", bands.join(",")),
        ];
        if let Some((_, fpn)) = &self.fpn {
            config.push(("prepend", fpn.keeps.to_string()));
        }
        if self.heads.iter().any(|head| matches!(head.kind, HeadKind::Classifier { .. })) {
            config.push(("type", CLASSIFY.to_string()));
        }
        if !self.heads.is_empty() {
            let count = self.heads.last().map_or(0, |head| head.index + 1);
            let each = |text: &dyn Fn(&Head) -> String| -> Vec<String> {
                let at = |index: usize| self.heads.iter().find(|head| head.index == index);
                (0..count).map(|index| at(index).map_or(String::new(), text)).collect()
            };
            let task = |head: &Head| match head.name.is_empty() {
                true => head.task.name().to_string(),
                false => head.name.clone(),
            };
            config.push(("tasks", each(&task).join(",")));
            let loss = |head: &Head| match (head.exclusive, head.task) {
                (true, _) => "cross_entropy".to_string(),
                (false, Task::Classification) => "bce".to_string(),
                (false, _) => String::new(),
            };
            config.push(("losses", each(&loss).join(",")));
            config.push(("categories", each(&|head: &Head| head.categories.join(",")).join(";")));
            if self.heads.iter().any(|head| head.anchors != heads::ANCHORS) {
                let sides =
                    |head: &Head| head.anchors.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
                config.push(("anchors", each(&sides).join(";")));
            }
        }
        config
    }

    fn heads(&self) -> &[Head] {
        &self.heads
    }

    fn with_head(&self, place: usize, task: Task) -> Option<Box<dyn Network>> {
        let head = self.heads.get(place).filter(|head| head.kind.serves(task))?.clone();
        let head = match head.task == task {
            true => head,
            false => {
                let kinds = self.heads.iter().map(|head| (head.index, &head.kind, head.scope.as_str()));
                let known = tasks::of(&heads::published(kinds, self.base()), head.index, task);
                head.doing(task, known)
            }
        };
        Some(Box::new(Self { heads: vec![head], masks_in_rows: true, ..self.clone() }))
    }

    fn input(&self) -> InputSpec {
        InputSpec {
            frames: 1..=self.most_images(),
            default_frames: self.images(),
            channels: self.backbone.channels(),
            bands: self.bands.clone(),
            layout: Frames::Stacked,
            multiple: 1,
            step: PATCH,
            min_side: 4,
        }
    }

    fn output(&self) -> OutputSpec {
        OutputSpec { channels: 0, scale: 1 }
    }

    fn build<'b>(&self, b: &'b Builder, x: Var<'b>) -> Outputs<'b> {
        let frames = x.dim(1) / self.backbone.channels().max(1);
        let maps = self.features(b, x, frames);
        for (level, map) in maps.iter().enumerate() {
            map.name(&format!("backbone.{level}"));
        }
        let made = self.fpn.is_some() || self.upsample.is_some();
        let [neck, pyramid] = self.neck(b, maps.clone());
        for (level, map) in neck.iter().enumerate().filter(|_| made) {
            if level + maps.len() < neck.len() || !self.fpn.as_ref().is_some_and(|(_, fpn)| fpn.keeps) {
                map.name(&format!("neck.{level}"));
            }
        }
        let mut outputs = Vec::new();
        let mut scores: Option<Var<'b>> = None;
        for head in &self.heads {
            let _scope = b.scope(&head.scope);
            let name = format!("head{}", head.index);
            let (classes, masks) = match head.kind {
                HeadKind::Detector { classes, masks } => (classes, masks),
                HeadKind::Classifier { first, outputs: classes, total } => {
                    let all = maps.last().map(|map| {
                        let _backbone = b.root_scope(scope_of(&self.backbone_prefix));
                        *scores.get_or_insert_with(|| self.backbone.classify(b, *map, total))
                    });
                    outputs.extend(all.map(|y| (name, head.result(y.slice(1, first..first + classes)))));
                    continue;
                }
                _ => {
                    outputs.extend(head.build(b, &neck).map(|y| (name, y)));
                    continue;
                }
            };
            let size = [x.dim(2), x.dim(3)];
            let maps = match self.is_packaged_detector(head) {
                true => detector::Maps::enlarged(&neck, head.anchors.len()),
                false => detector::Maps::of(&pyramid),
            };
            let found = detector::build(b, &maps, size, classes, masks, &head.anchors);
            let Some(detector::Detections { rows, masks }) = found else { continue };
            let rows = match masks.filter(|_| self.masks_in_rows) {
                Some(y) => rows.concat(&[y.reshape(&[y.dim(0), y.dim(1), y.dim(2) * y.dim(3)])], 2),
                None => rows,
            };
            outputs.push((format!("{name}{DETECTIONS}"), rows));
            outputs.extend(masks.filter(|_| !self.masks_in_rows).map(|y| (format!("{name}{MASKS}"), y)));
        }
        if self.heads.is_empty() {
            outputs.extend(neck.into_iter().enumerate().map(|(level, map)| (format!("feat{level}"), map)));
        }
        outputs
    }

    fn is_unused(&self, name: &str) -> bool {
        name.strip_prefix(&self.backbone_prefix).is_some_and(|own| self.backbone.is_unused(own))
    }
}
