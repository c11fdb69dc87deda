//! The 23-block ESRGAN and ResNet-50 in candle, parameters named as in published checkpoints.

use candle_core::{Result, Tensor, D};
use candle_nn::ops::leaky_relu;
use candle_nn::{batch_norm, conv2d, conv2d_no_bias, BatchNorm, Conv2d, Conv2dConfig, Module, VarBuilder};

const SLOPE: f64 = 0.2;

fn of_three(c_in: usize, c_out: usize, at: VarBuilder) -> Result<Conv2d> {
    conv2d(c_in, c_out, 3, Conv2dConfig { padding: 1, ..Default::default() }, at)
}

struct DenseBlock(Vec<Conv2d>);

impl DenseBlock {
    fn new(features: usize, growth: usize, at: VarBuilder) -> Result<Self> {
        let conv = |k: usize| {
            let c_out = if k == 5 { features } else { growth };
            of_three(features + (k - 1) * growth, c_out, at.pp(format!("conv{k}")))
        };
        Ok(Self((1..=5).map(conv).collect::<Result<_>>()?))
    }
}

impl Module for DenseBlock {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut maps = x.clone();
        let (last, growing) = self.0.split_last().expect("five convolutions");
        for conv in growing {
            let y = leaky_relu(&conv.forward(&maps)?, SLOPE)?;
            maps = Tensor::cat(&[&maps, &y], 1)?;
        }
        last.forward(&maps)? * 0.2 + x
    }
}

/// The super-resolution generator of `blocks` blocks: (n, 24, h, w) to (n, 3, 4h, 4w).
pub struct Esrgan {
    body: Vec<[DenseBlock; 3]>,
    first: Conv2d,
    after: Conv2d,
    up: [Conv2d; 2],
    high: Conv2d,
    last: Conv2d,
}

impl Esrgan {
    pub fn new(blocks: usize, at: VarBuilder) -> Result<Self> {
        let block = |i: usize| {
            let dense = |k: usize| DenseBlock::new(64, 32, at.pp(format!("body.{i}.rdb{k}")));
            Ok([dense(1)?, dense(2)?, dense(3)?])
        };
        Ok(Self {
            body: (0..blocks).map(block).collect::<Result<_>>()?,
            first: of_three(24, 64, at.pp("conv_first"))?,
            after: of_three(64, 64, at.pp("conv_body"))?,
            up: [of_three(64, 64, at.pp("conv_up1"))?, of_three(64, 64, at.pp("conv_up2"))?],
            high: of_three(64, 64, at.pp("conv_hr"))?,
            last: of_three(64, 3, at.pp("conv_last"))?,
        })
    }
}

impl Module for Esrgan {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let first = self.first.forward(x)?;
        let mut y = first.clone();
        for block in &self.body {
            let mut z = y.clone();
            for dense in block {
                z = dense.forward(&z)?;
            }
            y = ((z * 0.2)? + y)?;
        }
        y = (first + self.after.forward(&y)?)?;
        for conv in &self.up {
            let (h, w) = (2 * y.dim(D::Minus2)?, 2 * y.dim(D::Minus1)?);
            y = leaky_relu(&conv.forward(&y.upsample_nearest2d(h, w)?)?, SLOPE)?;
        }
        self.last.forward(&leaky_relu(&self.high.forward(&y)?, SLOPE)?)
    }
}

struct Normed(Conv2d, BatchNorm);

impl Normed {
    fn new(c: [usize; 2], kernel: usize, stride: usize, conv: VarBuilder, norm: VarBuilder) -> Result<Self> {
        let config = Conv2dConfig { padding: kernel / 2, stride, ..Default::default() };
        Ok(Self(conv2d_no_bias(c[0], c[1], kernel, config, conv)?, batch_norm(c[1], 1e-5, norm)?))
    }

    /// The convolution with the norm taken into its weights.
    fn folded(self) -> Result<Conv2d> {
        self.0.absorb_bn(&self.1)
    }
}

struct Bottleneck {
    convs: [Conv2d; 3],
    shortcut: Option<Conv2d>,
}

impl Bottleneck {
    fn new(c_in: usize, width: usize, stride: usize, at: VarBuilder) -> Result<Self> {
        let conv = |k: usize, c: [usize; 2], kernel: usize, stride: usize| {
            Normed::new(c, kernel, stride, at.pp(format!("conv{k}")), at.pp(format!("bn{k}")))?.folded()
        };
        let (c_out, down) = (4 * width, at.pp("downsample"));
        Ok(Self {
            convs: [
                conv(1, [c_in, width], 1, 1)?,
                conv(2, [width, width], 3, stride)?,
                conv(3, [width, c_out], 1, 1)?,
            ],
            shortcut: (c_in != c_out)
                .then(|| Normed::new([c_in, c_out], 1, stride, down.pp("0"), down.pp("1"))?.folded())
                .transpose()?,
        })
    }
}

impl Module for Bottleneck {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let [first, second, third] = &self.convs;
        let y = third.forward(&second.forward(&first.forward(x)?.relu()?)?.relu()?)?;
        match &self.shortcut {
            Some(conv) => (y + conv.forward(x)?)?.relu(),
            None => (y + x)?.relu(),
        }
    }
}

/// ResNet-50 as a backbone: (n, 3, h, w) to the deepest of its four maps, (n, 2048, h/32, w/32).
pub struct ResNet50 {
    stem: Conv2d,
    blocks: Vec<Bottleneck>,
}

impl ResNet50 {
    pub fn new(at: VarBuilder) -> Result<Self> {
        let stem = Normed::new([3, 64], 7, 2, at.pp("conv1"), at.pp("bn1"))?.folded()?;
        let (mut blocks, mut c_in) = (Vec::new(), 64);
        for (layer, (width, count)) in [(64, 3), (128, 4), (256, 6), (512, 3)].into_iter().enumerate() {
            for i in 0..count {
                let stride = if layer > 0 && i == 0 { 2 } else { 1 };
                let at = at.pp(format!("layer{}.{i}", layer + 1));
                blocks.push(Bottleneck::new(c_in, width, stride, at)?);
                c_in = 4 * width;
            }
        }
        Ok(Self { stem, blocks })
    }
}

impl Module for ResNet50 {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        // Numbers after the rectifier are not negative, so zeros beyond the edge change no largest one.
        let y = self.stem.forward(x)?.relu()?.pad_with_zeros(2, 1, 1)?.pad_with_zeros(3, 1, 1)?;
        let y = y.max_pool2d_with_stride(3, 2)?;
        self.blocks.iter().try_fold(y, |y, block| block.forward(&y))
    }
}
