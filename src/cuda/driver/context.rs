//! One GPU's context: memory, entries of the embedded PTX, and the three streams its sessions share.

use std::collections::HashMap;
use std::ffi::{c_int, CString};
use std::sync::{Mutex, PoisonError};

use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys;

use super::Properties;
use crate::cuda::launch::Launch;
use crate::cuda::modules::module_of;
use crate::{Error, Result};

/// Least compute capability the program's PTX runs on.
const MIN_CAPABILITY: u32 = 70;

/// One GPU, ready to work.
pub(super) struct Context {
    index: usize,
    device: sys::CUdevice,
    handle: sys::CUcontext,
    properties: Properties,
    loaded: Mutex<Loaded>,
    /// Copies to the GPU, kernels, copies from the GPU.
    pub(super) streams: [sys::CUstream; 3],
}

/// Modules and entries that were asked for.
#[derive(Default)]
struct Loaded {
    modules: HashMap<&'static str, sys::CUmodule>,
    functions: HashMap<&'static str, sys::CUfunction>,
}

// SAFETY: handles of the driver may be used from any thread once the context is current there, which
// every method sees to.
unsafe impl Send for Context {}
// SAFETY: as above; the driver locks its own state, and what this type changes is behind a mutex.
unsafe impl Sync for Context {}

/// Number of GPUs.
pub(super) fn count() -> Result<usize> {
    // SAFETY: asks the loader for the library; nothing of it runs.
    if !unsafe { sys::is_culib_present() } {
        return Err(Error::device("no CUDA driver found (libcuda is not on this machine); use --device cpu"));
    }
    let failed = |e| Error::device(format!("the CUDA driver finds no GPU: {}; use --device cpu", name_of(e)));
    result::init().map_err(failed)?;
    Ok(result::device::get_count().map_err(failed)?.max(0) as usize)
}

impl Context {
    pub fn open(index: usize) -> Result<Self> {
        let count = count()?;
        if index >= count {
            return Err(Error::device(format!(
                "no CUDA device {index}, there are {count}; use --device cuda:0"
            )));
        }
        let failed = |e| Error::device(format!("cuda:{index} cannot be opened: {}", name_of(e)));
        let device = result::device::get(index as c_int).map_err(failed)?;
        let properties = properties(device).map_err(failed)?;
        if properties.capability < MIN_CAPABILITY {
            return Err(Error::device(format!(
                "cuda:{index}, {}, has compute capability {}.{}; 7.0 is needed; use --device cpu",
                properties.name,
                properties.capability / 10,
                properties.capability % 10
            )));
        }
        // SAFETY: the device came from the driver.
        let handle = unsafe { result::primary_ctx::retain(device) }.map_err(failed)?;
        let mut this = Self {
            index,
            device,
            handle,
            properties,
            loaded: Mutex::default(),
            streams: [std::ptr::null_mut(); 3],
        };
        this.enter()?;
        for stream in &mut this.streams {
            *stream = result::stream::create(result::stream::StreamKind::NonBlocking).map_err(failed)?;
        }
        Ok(this)
    }

    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// Makes the context this thread's.
    pub fn enter(&self) -> Result<()> {
        // SAFETY: the context is retained until this value is dropped.
        unsafe { result::ctx::set_current(self.handle) }.map_err(|e| self.failed(e))
    }

    /// Memory that nobody has taken, of this process or another.
    pub fn free_bytes(&self) -> Result<usize> {
        self.enter()?;
        result::mem_get_info().map(|(free, _)| free).map_err(|e| self.failed(e))
    }

    pub fn allocate(&self, bytes: usize) -> Result<u64> {
        self.enter()?;
        // SAFETY: the memory is only used through addresses; kernels write before they read.
        unsafe { result::malloc_sync(bytes) }.map_err(|e| self.out_of_memory(e, bytes, "GPU"))
    }

    pub fn free(&self, address: u64) {
        if self.enter().is_ok() {
            // SAFETY: the address came from `allocate` and is given back once; an error here is one
            // that a wait has reported.
            let _ = unsafe { result::free_sync(address) };
        }
    }

    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<()> {
        self.enter()?;
        // The call returns when the bytes have been taken from pageable memory; only the default stream knows when
        // they have arrived.
        let default = std::ptr::null_mut();
        // SAFETY: the caller's address lies in memory of at least that size.
        let copied = unsafe {
            result::memcpy_htod_sync(address, bytes).and_then(|()| result::stream::synchronize(default))
        };
        copied.map_err(|e| self.failed(e))
    }

    pub fn read(&self, address: u64, bytes: &mut [u8]) -> Result<()> {
        self.enter()?;
        // SAFETY: as `write`.
        unsafe { result::memcpy_dtoh_sync(bytes, address) }.map_err(|e| self.failed(e))
    }

    /// Launches so many times in a row and waits for the last.
    pub fn launch_and_wait(&self, launch: &Launch, label: &str, times: u32) -> Result<()> {
        self.enter()?;
        let stream = self.streams[1];
        let function = self.function(launch.entry)?;
        // SAFETY: `function` is the launch's entry; the stream lives as long as this value.
        let outcome = unsafe {
            let mut launches = (0..times).map(|_| enqueue(function, launch, stream));
            launches.find(|l| l.is_err()).unwrap_or_else(|| result::stream::synchronize(stream))
        };
        outcome.map_err(|e| self.failed(e).while_doing(format!("{} of {label}", launch.entry)))
    }

    /// The entry of that name; its module is assembled by the driver when first asked for, which
    /// keeps what it made in its own cache on disk.
    pub fn function(&self, entry: &'static str) -> Result<sys::CUfunction> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(function) = loaded.functions.get(entry) {
            return Ok(*function);
        }
        let refused = |what: String| Error::device(format!("cuda:{}: {what}", self.index));
        let module = module_of(entry).ok_or_else(|| refused(format!("no PTX holds {entry}")))?;
        let text = |s: &str| CString::new(s).map_err(|_| refused(format!("{} holds a zero", module.name)));
        let handle = match loaded.modules.get(module.name) {
            Some(handle) => *handle,
            None => {
                let ptx = text(module.ptx)?;
                // SAFETY: the text ends with a zero and outlives the call.
                let handle = unsafe { result::module::load_data(ptx.as_ptr().cast()) }
                    .map_err(|e| refused(format!("{} is not accepted: {}", module.name, name_of(e))))?;
                loaded.modules.insert(module.name, handle);
                handle
            }
        };
        // SAFETY: the module stays loaded until this value is dropped.
        let function = unsafe { result::module::get_function(handle, text(entry)?) }
            .map_err(|e| refused(format!("{entry} is not found: {}", name_of(e))))?;
        // SAFETY: the function belongs to a module that is loaded.
        unsafe { all_shared_memory(function, self.device) }.map_err(|e| self.failed(e))?;
        loaded.functions.insert(entry, function);
        Ok(function)
    }

    /// An error of the driver about this GPU.
    pub fn failed(&self, error: DriverError) -> Error {
        Error::device(format!("cuda:{} failed: {}", self.index, name_of(error)))
    }

    pub fn out_of_memory(&self, error: DriverError, bytes: usize, whose: &str) -> Error {
        if error.0 != sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY {
            return self.failed(error);
        }
        let mib = bytes.div_ceil(1 << 20);
        Error::limit(format!(
            "cuda:{}: {mib} MiB of {whose} memory cannot be had; try a smaller --tile",
            self.index
        ))
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // A context that has failed is released like any other.
        let _ = self.enter();
        let loaded = self.loaded.get_mut().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: streams and modules are this value's own, and nothing that uses them is left; a
        // failure to give them back changes nothing.
        unsafe {
            for stream in self.streams.iter().filter(|s| !s.is_null()) {
                let _ = result::stream::destroy(*stream);
            }
            for module in loaded.modules.values() {
                let _ = result::module::unload(*module);
            }
            let _ = result::primary_ctx::release(self.device);
        }
    }
}

/// Puts a launch into a stream.
///
/// # Safety
/// `function` is the launch's entry, the stream exists, and what the launch's addresses mean stays
/// until it has run.
pub(super) unsafe fn enqueue(
    function: sys::CUfunction,
    launch: &Launch,
    stream: sys::CUstream,
) -> std::result::Result<(), DriverError> {
    let [x, y, z] = launch.grid;
    let [bx, by, bz] = launch.block;
    // The driver copies both arguments during the call.
    let (operands, params) = launch.arguments.split_at(Launch::PARAMS);
    let mut arguments = [operands.as_ptr().cast_mut().cast(), params.as_ptr().cast_mut().cast()];
    // SAFETY: as this function's; both arguments are as long as the entry declares.
    unsafe { result::launch_kernel(function, (x, y, z), (bx, by, bz), launch.shared, stream, &mut arguments) }
}

/// Lets launches of a function ask for all the shared memory that a block may have beside its own variables.
///
/// # Safety
/// The function's module is loaded on the device.
unsafe fn all_shared_memory(
    function: sys::CUfunction,
    device: sys::CUdevice,
) -> std::result::Result<(), DriverError> {
    use sys::{CUdevice_attribute as D, CUfunction_attribute as F};
    // SAFETY: as this function's.
    unsafe {
        let most = D::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN;
        let most = result::device::get_attribute(device, most)?;
        let own = result::function::get_function_attribute(function, F::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES)?;
        let dynamic = F::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        result::function::set_function_attribute(function, dynamic, most - own)
    }
}

fn properties(device: sys::CUdevice) -> std::result::Result<Properties, DriverError> {
    use sys::CUdevice_attribute as A;
    // SAFETY: the device came from the driver.
    let attribute = |a| unsafe { result::device::get_attribute(device, a) };
    let major = attribute(A::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
    let minor = attribute(A::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
    Ok(Properties {
        name: result::device::get_name(device)?,
        capability: (major * 10 + minor).max(0) as u32,
        multiprocessors: attribute(A::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?.max(0) as u32,
        // SAFETY: as above.
        memory: unsafe { result::device::total_mem(device) }?,
        integrated: attribute(A::CU_DEVICE_ATTRIBUTE_INTEGRATED)? != 0,
    })
}

fn name_of(error: DriverError) -> String {
    let text = |s: std::result::Result<&std::ffi::CStr, DriverError>| {
        s.map_or_else(|_| "an unknown error".to_string(), |s| s.to_string_lossy().into_owned())
    };
    format!("{} ({})", text(error.error_string()), text(error.error_name()))
}
