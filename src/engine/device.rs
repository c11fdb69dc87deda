//! Which device the user asked for, how networks may run on it, and which one this build can give.

use std::fmt;
use std::str::FromStr;

use crate::cpu::Cpu;
use crate::cuda::Cuda;
use crate::error::{Error, Result};
use crate::kernel::precision::Precision;
use crate::plan::Device;
use crate::reference::Reference;

/// The device of `--device`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DevicePick {
    /// The best there is.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// Plain loops in f64: slow, for comparisons.
    Reference,
    /// The CUDA device of that index.
    Cuda(usize),
}

impl FromStr for DevicePick {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "reference" => Ok(Self::Reference),
            "cuda" => Ok(Self::Cuda(0)),
            other => {
                let index = other.strip_prefix("cuda:").and_then(|index| index.parse().ok());
                let known = "auto, cpu, reference, cuda, cuda:1; --precision says how factors may be rounded";
                index
                    .map(Self::Cuda)
                    .ok_or_else(|| Error::usage(format!("no device \"{text}\"; known are {known}")))
            }
        }
    }
}

impl fmt::Display for DevicePick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Reference => f.write_str("reference"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

/// A device, and how networks run on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Setup {
    /// The device.
    pub device: DevicePick,
    /// Threads; 0: as many as the processor has.
    pub threads: usize,
    /// What factors of products may be rounded to.
    pub precision: Precision,
    /// Without kernels whose last bits depend on where in an image a pixel lies: tiles with an exact
    /// halo then equal the whole image bit for bit. On the CPU it is slower, and packed weights are
    /// smaller.
    pub pointwise: bool,
    /// For networks that run once: weights are packed when they are multiplied and dropped after it, where the
    /// device can.
    pub lean: bool,
}

impl DevicePick {
    /// Whether the bits of a pixel depend on its place in the image with no kernel of the device.
    pub fn is_pointwise(self) -> bool {
        !matches!(self, Self::Auto | Self::Cpu)
    }

    /// Whether it can be asked to round so.
    pub fn takes(self, precision: Precision) -> bool {
        !matches!((self, precision), (Self::Cuda(_), Precision::Int8))
    }
}

impl Setup {
    /// Opens the device; never another than the one asked for.
    ///
    /// # Errors
    /// `Device` when CUDA or that GPU is not there, and when threads cannot be started.
    pub fn open(self) -> Result<Box<dyn Device>> {
        match self.device {
            DevicePick::Auto | DevicePick::Cpu => {
                let all = || std::thread::available_parallelism().map_or(1, usize::from);
                let cpu = Cpu::new(if self.threads == 0 { all() } else { self.threads })?;
                let cpu = cpu.with_precision(self.precision);
                Ok(Box::new(if self.pointwise { cpu.pointwise() } else { cpu }))
            }
            DevicePick::Reference => Ok(Box::new(Reference::<f64>::new())),
            cuda @ DevicePick::Cuda(_) if !cuda.takes(self.precision) => {
                Err(Error::usage("--precision int8 is for the CPU; CUDA takes bf16, f16 and tf32"))
            }
            DevicePick::Cuda(index) => Ok(Box::new(Cuda::open(index)?.with_precision(self.precision))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways_and_cuda_is_never_replaced() {
        for (text, pick) in
            [("auto", DevicePick::Auto), ("CPU", DevicePick::Cpu), ("cuda:3", DevicePick::Cuda(3))]
        {
            assert_eq!(text.parse::<DevicePick>().unwrap(), pick);
            assert_eq!(pick.to_string(), text.to_lowercase());
        }
        assert!("cuda:x".parse::<DevicePick>().is_err());
        assert!("cuda:0:bf16".parse::<DevicePick>().is_err());
        let open = |device| Setup { device, threads: 1, ..Setup::default() }.open();
        assert_eq!(open(DevicePick::Auto).unwrap().name(), "cpu");
        let cuda = open(DevicePick::Cuda(99));
        assert!(cuda.is_err_and(|error| error.kind() == crate::Kind::Device));
    }
}
