//! NVIDIA GPUs through the CUDA driver, which is looked for at run time.
//!
//! The only part of the device that talks to the driver. Errors of the driver are sticky and come
//! late: a failed kernel shows at the next wait. `SWATH_CUDA_STEPS=1` launches one kernel at a time
//! and waits for each, so that an error names its kernel; `SWATH_CUDA_CHAINS=1` launches convolutions that
//! follow each other as one. Results are the same bits.

mod context;
mod stream;

use std::sync::Arc;

use self::context::Context;
use self::stream::DriverStream;
use super::gpu::{Gpu, Job, Stream};
use super::launch::Launch;
use crate::plan::Pool;
use crate::Result;

/// Says that kernels are launched one at a time.
pub(super) const STEPS: &str = "SWATH_CUDA_STEPS";
/// Says that convolutions that follow each other are one launch.
pub(super) const CHAINS: &str = "SWATH_CUDA_CHAINS";

/// Whether an environment variable asks for something.
pub(super) fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|v| v != "0")
}

/// One GPU.
pub struct Driver {
    context: Arc<Context>,
}

/// What a GPU is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Properties {
    /// Its name.
    pub name: String,
    /// Compute capability: ten times the major plus the minor number.
    pub capability: u32,
    /// Multiprocessors.
    pub multiprocessors: u32,
    /// Bytes of its memory.
    pub memory: usize,
    /// Whether it shares the processor's memory.
    pub integrated: bool,
}

impl Driver {
    /// The GPU of that index.
    ///
    /// # Errors
    /// `Device` when there is no driver, no such GPU, or one the program's PTX does not run on.
    pub fn open(index: usize) -> Result<Self> {
        Ok(Self { context: Arc::new(Context::open(index)?) })
    }

    /// Number of GPUs.
    ///
    /// # Errors
    /// `Device` when there is no driver or it finds none.
    pub fn count() -> Result<usize> {
        context::count()
    }

    /// What the GPU is.
    pub fn properties(&self) -> &Properties {
        self.context.properties()
    }
}

impl Gpu for Driver {
    fn capability(&self) -> u32 {
        self.properties().capability
    }

    fn multiprocessors(&self) -> u32 {
        self.properties().multiprocessors
    }

    fn pool(&self) -> Result<Option<Pool>> {
        let free = self.context.free_bytes()? as u64;
        Ok(Some(Pool { free, unified: self.properties().integrated }))
    }

    fn allocate(&self, bytes: usize) -> Result<u64> {
        self.context.allocate(bytes)
    }

    fn free(&self, address: u64) {
        self.context.free(address);
    }

    fn write(&self, address: u64, bytes: &[u8]) -> Result<()> {
        self.context.write(address, bytes)
    }

    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<()> {
        self.context.read(address, bytes)
    }

    fn launch(&self, launch: &Launch, label: &str) -> Result<()> {
        self.context.launch_and_wait(launch, label, 1)
    }

    fn stream(&self, job: Job) -> Result<Box<dyn Stream>> {
        Ok(Box::new(DriverStream::new(self.context.clone(), job)?))
    }
}
