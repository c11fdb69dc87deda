//! A plan as text: steps with their places, how often each kernel runs, and the memory they need.

use std::collections::BTreeMap;
use std::fmt;

use super::{Kept, Plan, Region, Slot};
use crate::kernel::samples::ChannelScale;
use crate::kernel::Kernel;
use crate::tensor::DType;

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.region {
            Region::Arena => write!(f, "arena")?,
            Region::Const(k) => write!(f, "const{k}")?,
            Region::Input(k) => write!(f, "input{k}")?,
            Region::Output(k) => write!(f, "output{k}")?,
        }
        match self.offset {
            0 => Ok(()),
            offset => write!(f, "+{offset}"),
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " keeps {} channels at {}, finds {}", self.room, self.slot, self.made)
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kernel::Conv2d(p) => {
                let [kh, kw] = p.kernel;
                write!(
                    f,
                    "{}x{}x{}x{} -> {}x{}x{}",
                    p.batch, p.c_in, p.h_in, p.w_in, p.c_out, p.h_out, p.w_out
                )?;
                write!(f, " {kh}x{kw} stride {:?} pad {:?}", p.stride, p.pad)?;
                let e = &p.epilogue;
                if let Ok(act) = e.activation() {
                    write!(f, " bias {} {act:?}({}) scale {}", e.has_bias, e.slope, e.scale)?;
                }
                if e.residuals > 0 {
                    write!(f, " + {:?}", &e.residual_scale[..e.residuals.min(2) as usize])?;
                }
                f.write_str(if e.rectified == 1 { ", rectified" } else { "" })
            }
            Kernel::Map(p) => match p.map_op() {
                Ok(op) => {
                    write!(f, "{op:?}({}, {}) over {:?}", p.a, p.b, &p.dims[..p.rank.min(6) as usize])
                }
                Err(_) => write!(f, "map {}", p.op),
            },
            Kernel::Resize(p) => {
                write!(f, "{}x{}x{}x{} -> {}x{}", p.batch, p.channels, p.h_in, p.w_in, p.h_out, p.w_out)
            }
            Kernel::Blur(p) => {
                write!(f, "{}x{}x{} taps {:?} sigma {:?}", p.planes, p.h, p.w, p.taps, p.sigma)
            }
            Kernel::Pool(p) => {
                write!(f, "{}x{}x{}x{} -> {}x{}", p.batch, p.channels, p.h_in, p.w_in, p.h_out, p.w_out)?;
                write!(f, " window {:?} stride {:?} mean {}", p.kernel, p.stride, p.mean)
            }
            Kernel::Normalise(p) => {
                write!(f, "{}x{} samples {}", p.planes, p.plane, p.samples)?;
                let of = |s: &ChannelScale| format!("({}, {}, {}, {})", s.zero, s.gain, s.least, s.most);
                p.scales.iter().take(p.channels as usize).try_for_each(|s| write!(f, " {}", of(s)))
            }
            Kernel::ToSamples(p) => write!(f, "{} by {} to {}", p.n, p.factor, p.most),
            Kernel::Reduce(p) | Kernel::Softmax(p) => {
                write!(f, "{}x[{}]x{} mode {}", p.outer, p.n, p.inner, p.mode)
            }
            Kernel::Matmul(p) => {
                write!(f, "{}x{}x{} bias {} act {} residual {}", p.m, p.n, p.k, p.has_bias, p.act, p.residual)
            }
            Kernel::LayerNorm(p) => {
                write!(f, "{} rows of {} eps {} residual {}", p.rows, p.n, p.eps, p.residual)
            }
            Kernel::Anchors(p) => {
                write!(f, "{}x{}x{} stride {:?} {:?}", p.rows, p.columns, p.count, p.stride, p.cell)
            }
            Kernel::TopK(p) => write!(f, "{} of {}x{}", p.k, p.rows, p.m),
            Kernel::Gather(p) => write!(f, "{}x{} of {}x{} shared {}", p.batch, p.k, p.m, p.width, p.shared),
            Kernel::BoxDecode(p) => write!(
                f,
                "{}x{}x{} from class {} width {} label {} weights {:?} in {:?}",
                p.batch, p.k, p.classes, p.first, p.width, p.label, p.weights, p.size
            ),
            Kernel::Nms(p) => write!(
                f,
                "{} of {}x{} iou {} score {} side {}",
                p.capacity, p.batch, p.rows, p.iou, p.score_above, p.min_side
            ),
            Kernel::RoiAlign(p) => write!(
                f,
                "{}x{} boxes of {} channels in {}² bins of {}² samples out of {:?}",
                p.batch,
                p.rois,
                p.channels,
                p.size,
                p.samples,
                &p.maps[..p.levels as usize]
            ),
            Kernel::ConvTranspose2d(p) => write!(
                f,
                "{}x{}x{}x{} to {}x{}x{} kernel {} stride {} pad {} bias {} relu {}",
                p.batch,
                p.c_in,
                p.h_in,
                p.w_in,
                p.c_out,
                p.h_out,
                p.w_out,
                p.kernel,
                p.stride,
                p.pad,
                p.has_bias,
                p.relu
            ),
            Kernel::WindowAttention(p) => write!(
                f,
                "{}x{:?} heads {}x{} window {} shift {:?} cosine {}",
                p.batch, p.size, p.heads, p.head_dim, p.window, p.shift, p.cosine
            ),
        }
    }
}

impl Plan {
    /// An operand's place; a parameter goes by its name.
    fn operand(&self, slot: &Slot) -> String {
        let constant = match *slot {
            Slot { region: Region::Const(k), offset: 0 } => self.constants.get(k),
            _ => None,
        };
        constant.and_then(|c| c.name.clone()).unwrap_or_else(|| slot.to_string())
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (region, ports) in [("input", &self.inputs), ("output", &self.outputs)] {
            for (k, port) in ports.iter().enumerate() {
                match port.dtype {
                    DType::F32 => writeln!(f, "{region}{k} {} {}", port.name, port.shape)?,
                    dtype => writeln!(f, "{region}{k} {} {} {dtype}", port.name, port.shape)?,
                }
            }
        }
        for (k, constant) in self.constants.iter().enumerate() {
            writeln!(f, "const{k} {} {}", constant.name.as_deref().unwrap_or("computed"), constant.shape)?;
        }
        for (when, steps) in [("load", &self.load_steps), ("run", &self.steps)] {
            for step in steps {
                let ins: Vec<String> = step.operands.iter().map(|slot| self.operand(slot)).collect();
                writeln!(
                    f,
                    "{when} {} [{}] {} = ({}) {}{}",
                    step.label,
                    step.choice.entry,
                    step.y,
                    ins.join(", "),
                    step.kernel,
                    step.kept.map(|kept| kept.to_string()).unwrap_or_default()
                )?;
            }
        }
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        self.steps.iter().for_each(|s| *counts.entry(s.choice.entry).or_default() += 1);
        let kernels: Vec<String> = counts.iter().map(|(entry, count)| format!("{count} {entry}")).collect();
        writeln!(f, "products: {}", self.precisions())?;
        writeln!(f, "kernels: {}", kernels.join(", "))?;
        let m = self.memory();
        writeln!(
            f,
            "memory: params {} B, arena {} B, workspace {} B, inputs and outputs {} B",
            m.params, m.arena, m.workspace, m.io
        )
    }
}
