//! Which device the user asked for, and which one this build can give.

use std::fmt;
use std::str::FromStr;

use crate::cpu::Cpu;
use crate::cuda::{Cuda, Precision};
use crate::error::{Error, Result};
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
    /// The CUDA device of that index; convolutions may round their factors so.
    Cuda(usize, Precision),
}

impl FromStr for DevicePick {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "reference" => Ok(Self::Reference),
            "cuda" => Ok(Self::Cuda(0, Precision::F32)),
            other => other.strip_prefix("cuda:").and_then(cuda).ok_or_else(|| {
                let known = "auto, cpu, cuda, cuda:1, cuda:0:bf16 (or f16, tf32)";
                Error::usage(format!("no device \"{text}\"; known are {known}"))
            }),
        }
    }
}

/// What follows "cuda:": an index, and a precision if another than f32 may be used.
fn cuda(text: &str) -> Option<DevicePick> {
    let (index, precision) = text.split_once(':').unwrap_or((text, "f32"));
    Some(DevicePick::Cuda(index.parse().ok()?, precision.parse().ok()?))
}

impl fmt::Display for DevicePick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Reference => f.write_str("reference"),
            Self::Cuda(index, Precision::F32) => write!(f, "cuda:{index}"),
            Self::Cuda(index, precision) => write!(f, "cuda:{index}:{precision}"),
        }
    }
}

impl DevicePick {
    /// What convolutions may round their factors to.
    pub fn precision(self) -> Precision {
        match self {
            Self::Cuda(_, precision) => precision,
            Self::Auto | Self::Cpu | Self::Reference => Precision::F32,
        }
    }

    /// The same device at another precision, where it has the choice.
    #[must_use]
    pub fn at(self, precision: Precision) -> Self {
        match self {
            Self::Cuda(index, _) => Self::Cuda(index, precision),
            other => other,
        }
    }

    /// Opens the device on `threads` threads (0: as many as the processor has); never another
    /// device than the one asked for.
    ///
    /// # Errors
    /// `Device` when CUDA or that GPU is not there, and when threads cannot be started.
    pub fn open(self, threads: usize) -> Result<Box<dyn Device>> {
        self.open_with(threads, |cpu| cpu)
    }

    /// As [`DevicePick::open`], without kernels whose last bits depend on where in an image a pixel
    /// lies.
    ///
    /// # Errors
    /// As [`DevicePick::open`].
    pub fn open_pointwise(self, threads: usize) -> Result<Box<dyn Device>> {
        self.open_with(threads, Cpu::pointwise)
    }

    fn open_with(self, threads: usize, cpu: fn(Cpu) -> Cpu) -> Result<Box<dyn Device>> {
        match self {
            Self::Auto | Self::Cpu => {
                let all = || std::thread::available_parallelism().map_or(1, usize::from);
                Ok(Box::new(cpu(Cpu::new(if threads == 0 { all() } else { threads })?)))
            }
            Self::Reference => Ok(Box::new(Reference::<f64>::new())),
            Self::Cuda(index, precision) => Ok(Box::new(Cuda::open(index)?.with_precision(precision))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways_and_cuda_is_never_replaced() {
        for (text, pick) in [
            ("auto", DevicePick::Auto),
            ("CPU", DevicePick::Cpu),
            ("cuda:3", DevicePick::Cuda(3, Precision::F32)),
            ("cuda:1:bf16", DevicePick::Cuda(1, Precision::Bf16)),
        ] {
            assert_eq!(text.parse::<DevicePick>().unwrap(), pick);
            assert_eq!(pick.to_string(), text.to_lowercase());
        }
        assert!("cuda:x".parse::<DevicePick>().is_err());
        assert_eq!(DevicePick::Auto.open(1).unwrap().name(), "cpu");
        let cuda = DevicePick::Cuda(99, Precision::F32).open(1);
        assert!(cuda.is_err_and(|error| error.kind() == crate::Kind::Device));
    }
}
