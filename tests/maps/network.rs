//! Small networks of the published kind, nine channels and four images, with one head: weights by formula.

use std::path::{Path, PathBuf};

use crate::weights;

/// Channels of pyramid and enlargement.
const NECK: usize = 8;
/// Widths of the residual network's layers.
const WIDTHS: [usize; 4] = [8, 8, 12, 12];

/// Tensors by name and shape.
#[derive(Default)]
struct Keys(Vec<(String, Vec<usize>)>);

impl Keys {
    fn put(&mut self, name: &str, shape: &[usize]) {
        self.0.push((name.to_string(), shape.to_vec()));
    }

    fn conv(&mut self, name: &str, out: usize, from: usize, side: usize) {
        self.put(&format!("{name}.weight"), &[out, from, side, side]);
        self.put(&format!("{name}.bias"), &[out]);
    }

    fn linear(&mut self, name: &str, out: usize, from: usize) {
        self.put(&format!("{name}.weight"), &[out, from]);
        self.put(&format!("{name}.bias"), &[out]);
    }

    fn conv_norm(&mut self, conv: &str, norm: &str, out: usize, from: usize, side: usize) {
        self.put(&format!("{conv}.weight"), &[out, from, side, side]);
        for part in ["weight", "bias", "running_mean", "running_var"] {
            self.put(&format!("{norm}.{part}"), &[out]);
        }
    }

    fn backbone(&mut self, at: &str, channels: usize) {
        self.conv_norm(&format!("{at}conv1"), &format!("{at}bn1"), WIDTHS[0], channels, 7);
        let mut from = WIDTHS[0];
        for (k, width) in WIDTHS.into_iter().enumerate() {
            let block = format!("{at}layer{}.0", k + 1);
            self.conv_norm(&format!("{block}.conv1"), &format!("{block}.bn1"), width, from, 3);
            self.conv_norm(&format!("{block}.conv2"), &format!("{block}.bn2"), width, width, 3);
            if k > 0 {
                let down = format!("{block}.downsample");
                self.conv_norm(&format!("{down}.0"), &format!("{down}.1"), width, from, 1);
            }
            from = width;
        }
    }

    fn neck(&mut self) {
        for (level, width) in WIDTHS.into_iter().enumerate() {
            self.conv(&format!("intermediates.0.fpn.inner_blocks.{level}.0"), NECK, width, 1);
            self.conv(&format!("intermediates.0.fpn.layer_blocks.{level}.0"), NECK, NECK, 3);
        }
        for round in 0..2 {
            self.conv(&format!("intermediates.1.layers.{round}.0"), NECK, NECK, 3);
            self.conv(&format!("intermediates.1.layers.{round}.2"), NECK, NECK, 4);
        }
    }

    fn detector(&mut self, classes: usize) {
        let at = |name: &str| format!("heads.0.{name}");
        self.conv(&at("rpn.head.conv.0.0"), NECK, NECK, 3);
        self.conv(&at("rpn.head.cls_logits"), 3, NECK, 1);
        self.conv(&at("rpn.head.bbox_pred"), 12, NECK, 1);
        self.linear(&at("roi_heads.box_head.fc6"), 1024, NECK * 49);
        self.linear(&at("roi_heads.box_head.fc7"), 1024, 1024);
        self.linear(&at("roi_heads.box_predictor.cls_score"), classes, 1024);
        self.linear(&at("roi_heads.box_predictor.bbox_pred"), 4 * classes, 1024);
    }

    fn dense(&mut self, outputs: usize) {
        self.conv("heads.0.layers.0.0", NECK, NECK, 3);
        self.conv("heads.0.layers.1", outputs, NECK, 3);
    }
}

/// Writes a network with a detector, or with so many numbers for each pixel; biases of what comes last are widened, so
/// that results vary.
pub fn write(folder: &Path, name: &str, dense: Option<usize>) -> PathBuf {
    let mut keys = Keys::default();
    keys.backbone("backbone.backbone.resnet.", 9);
    keys.neck();
    match dense {
        Some(outputs) => keys.dense(outputs),
        None => keys.detector(3),
    }
    let path = folder.join(format!("{name}.pth"));
    weights::write(&path, name, &keys.0, |_, values| values);
    path
}
