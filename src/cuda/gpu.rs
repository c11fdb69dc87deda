//! What executes launches: memory by addresses, and streams that run a fixed job again and again.

use std::ops::Range;
use std::sync::Arc;

use super::launch::Launch;
use crate::plan::Pool;
use crate::Result;

/// A machine with memory of its own that executes the program's PTX.
pub trait Gpu: Send + Sync {
    /// Its compute capability: ten times the major plus the minor number.
    fn capability(&self) -> u32;

    /// Multiprocessors, each of which executes blocks of its own.
    fn multiprocessors(&self) -> u32;

    /// Its memory, where it has an end.
    ///
    /// # Errors
    /// `Device` when the machine fails.
    fn pool(&self) -> Result<Option<Pool>> {
        Ok(None)
    }

    /// Reserves memory, aligned to 256 bytes, without initial values.
    ///
    /// # Errors
    /// `Limit` when there is not so much.
    fn allocate(&self, bytes: usize) -> Result<u64>;

    /// Gives memory back; the address came from [`Gpu::allocate`].
    fn free(&self, address: u64);

    /// Copies bytes to an address.
    ///
    /// # Errors
    /// `Device` when the machine fails.
    fn write(&self, address: u64, bytes: &[u8]) -> Result<()>;

    /// Copies bytes from an address.
    ///
    /// # Errors
    /// `Device` when the machine fails.
    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<()>;

    /// Launches once and waits; the label says for whom.
    ///
    /// # Errors
    /// `Device` when the machine fails.
    fn launch(&self, launch: &Launch, label: &str) -> Result<()>;

    /// Makes a stream that runs a job.
    ///
    /// # Errors
    /// `Limit` or `Device` when host memory or the machine fails.
    fn stream(&self, job: Job) -> Result<Box<dyn Stream>>;
}

/// What a stream does in one run: copies inputs in, launches in order, copies outputs out.
#[derive(Debug, Clone, Default)]
pub struct Job {
    /// Launches, each with a label that says for whom.
    pub launches: Vec<(String, Launch)>,
    /// Address and bytes of the inputs.
    pub inputs: (u64, usize),
    /// Address and bytes of the outputs.
    pub outputs: (u64, usize),
    /// The bytes of the outputs that hold something; gaps between them are never written.
    pub ports: Vec<Range<usize>>,
}

/// Runs one job; owns the host's side of its inputs and outputs.
pub trait Stream: Send {
    /// All inputs, to be filled before a run; they begin where an f32 may.
    fn inputs(&mut self) -> &mut [u8];

    /// Starts a run.
    ///
    /// # Errors
    /// `Device` when the machine fails.
    fn start(&mut self) -> Result<()>;

    /// Waits for the run to end.
    ///
    /// # Errors
    /// `Device` when the machine failed meanwhile.
    fn wait(&mut self) -> Result<()>;

    /// Seconds that each launch takes; empty where that is not known. What memory holds is void afterwards.
    ///
    /// # Errors
    /// `Device` when the machine fails.
    fn time_launches(&mut self) -> Result<Vec<f64>> {
        Ok(Vec::new())
    }

    /// All outputs of the last run; they begin where an f32 may.
    fn outputs(&self) -> &[u8];
}

/// Device memory that is given back when dropped.
pub(super) struct Memory {
    gpu: Arc<dyn Gpu>,
    address: u64,
}

impl Memory {
    /// So many bytes, at least one.
    pub fn new(gpu: &Arc<dyn Gpu>, bytes: usize) -> Result<Self> {
        Ok(Self { gpu: gpu.clone(), address: gpu.allocate(bytes.max(1))? })
    }

    /// Where it begins.
    pub fn address(&self) -> u64 {
        self.address
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.gpu.free(self.address);
    }
}
