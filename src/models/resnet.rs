//! Residual networks with torchvision's names and arithmetic (a bottleneck's stride is its 3×3's).

use super::layers::conv_norm;
use crate::error::Result;
use crate::graph::{Builder, Var};
use crate::ops::{Conv2d, Pool2d};
use crate::weights::Names;

/// A residual network's numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct ResNet {
    /// Channels of the image.
    pub channels: usize,
    /// Channels after the first convolution.
    pub stem: usize,
    /// Blocks of three convolutions instead of two.
    pub bottleneck: bool,
    /// The layers, finest first.
    pub layers: Vec<ResNetLayer>,
}

/// One layer of a residual network.
#[derive(Debug, Clone, PartialEq)]
pub struct ResNetLayer {
    /// Blocks.
    pub depth: usize,
    /// Channels within a block.
    pub inner: usize,
    /// Channels between blocks.
    pub width: usize,
    /// Groups of a bottleneck's 3×3 convolution.
    pub groups: usize,
}

impl ResNet {
    /// Whether a residual network's tensors lie under `prefix`.
    pub fn is_at(names: &Names, prefix: &str) -> bool {
        ["conv1.weight", "bn1.running_mean", "layer1.0.conv1.weight", "layer4.0.conv1.weight"]
            .iter()
            .all(|name| names.contains(&format!("{prefix}{name}")))
    }

    /// Reads the numbers off the shapes under `prefix`.
    ///
    /// # Errors
    /// `Weights` for shapes that no residual network has.
    pub fn configure(names: &Names, prefix: &str) -> Result<Self> {
        let [stem, channels, ..] = names.conv(&format!("{prefix}conv1.weight"))?;
        let bottleneck = names.contains(&format!("{prefix}layer1.0.conv3.weight"));
        let mut layers = Vec::new();
        while names.contains(&format!("{prefix}layer{}.0.conv1.weight", layers.len() + 1)) {
            let layer = format!("{prefix}layer{}", layers.len() + 1);
            let [inner, ..] = names.conv(&format!("{layer}.0.conv1.weight"))?;
            let [conv2_out, conv2_in, ..] = names.conv(&format!("{layer}.0.conv2.weight"))?;
            let width = match bottleneck {
                true => names.conv(&format!("{layer}.0.conv3.weight"))?[0],
                false => conv2_out,
            };
            let depth = names.count(&format!("{layer}.{{}}.conv1.weight"));
            layers.push(ResNetLayer { depth, inner, width, groups: (inner / conv2_in).max(1) });
        }
        Ok(Self { channels, stem, bottleneck, layers })
    }

    /// Channels of the feature maps, finest first.
    pub fn widths(&self) -> Vec<usize> {
        self.layers.iter().map(|l| l.width).collect()
    }

    /// Whether a tensor is a part of the network that feature maps don't need.
    pub fn is_unused(name: &str) -> bool {
        name.ends_with("num_batches_tracked") || ["fc.weight", "fc.bias"].contains(&name)
    }

    /// The feature maps of an image, finest first; parameters are asked for within the current scope.
    pub fn build<'b>(&self, b: &'b Builder, x: Var<'b>) -> Vec<Var<'b>> {
        let stem = conv_norm(b, ["conv1", "bn1"], x, [self.stem, 7], Conv2d::new(2, 3)).relu();
        let mut x = stem.max_pool2d(Pool2d { stride: [2; 2], padding: [1; 2], ..Pool2d::square(3) });
        let mut maps = Vec::with_capacity(self.layers.len());
        for (k, layer) in self.layers.iter().enumerate() {
            let _scope = b.scope(&format!("layer{}", k + 1));
            for block in 0..layer.depth {
                let stride = if k > 0 && block == 0 { 2 } else { 1 };
                x = self.block(b, &block.to_string(), x, layer, stride);
            }
            maps.push(x);
        }
        maps
    }

    fn block<'b>(
        &self,
        b: &'b Builder,
        name: &str,
        x: Var<'b>,
        layer: &ResNetLayer,
        stride: usize,
    ) -> Var<'b> {
        let _scope = b.scope(name);
        let ResNetLayer { inner, width, groups, .. } = *layer;
        let y = if self.bottleneck {
            let y = conv_norm(b, ["conv1", "bn1"], x, [inner, 1], Conv2d::default()).relu();
            let strided = Conv2d { groups, ..Conv2d::new(stride, 1) };
            let y = conv_norm(b, ["conv2", "bn2"], y, [inner, 3], strided).relu();
            conv_norm(b, ["conv3", "bn3"], y, [width, 1], Conv2d::default())
        } else {
            let y = conv_norm(b, ["conv1", "bn1"], x, [inner, 3], Conv2d::new(stride, 1)).relu();
            conv_norm(b, ["conv2", "bn2"], y, [width, 3], Conv2d::same(3))
        };
        let kept = match stride == 1 && x.dim(1) == width {
            true => x,
            false => conv_norm(b, ["downsample.0", "downsample.1"], x, [width, 1], Conv2d::new(stride, 0)),
        };
        y.add(kept).relu()
    }
}
