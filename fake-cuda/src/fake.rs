//! The tests' side: loads the shared object into this process and steers it.

use std::collections::HashMap;
use std::ffi::{c_char, CString};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use libloading::{Library, Symbol};

/// What is alive in the driver, by name: `contexts`, `bytes`, `pinned`, `modules`, `streams`, `events`, `graphs`;
/// and `most_contexts`, `most_bytes`, `most_graphs` and `launches` since it was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Census(HashMap<String, usize>);

impl Census {
    /// The number of that name.
    pub fn of(&self, name: &str) -> usize {
        self.0.get(name).copied().unwrap_or(usize::MAX)
    }

    /// Whether nothing is alive.
    pub fn is_empty(&self) -> bool {
        let live = ["contexts", "bytes", "pinned", "modules", "streams", "events", "graphs"];
        live.iter().all(|name| self.of(name) == 0)
    }
}

/// The driver of this process, for one test at a time.
pub struct Fake {
    library: &'static Library,
    _turn: MutexGuard<'static, ()>,
}

impl Fake {
    /// Where cargo leaves the shared object: beside the running test.
    pub fn library() -> PathBuf {
        let exe = std::env::current_exe().unwrap_or_default();
        exe.with_file_name(format!(
            "{}fake_cuda{}",
            std::env::consts::DLL_PREFIX,
            std::env::consts::DLL_SUFFIX
        ))
    }

    /// Starts the driver anew as a line of settings says; whoever looks for `libcuda.so` from now on finds it.
    ///
    /// # Errors
    /// When the shared object is not where cargo leaves it, or the line is not understood.
    pub fn start(line: &str) -> Result<Self, String> {
        static TURN: Mutex<()> = Mutex::new(());
        static LIBRARY: OnceLock<Result<Library, String>> = OnceLock::new();
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let open = || {
            // SAFETY: loading it runs nothing.
            unsafe { Library::new(Self::library()) }
                .map_err(|e| format!("{}: {e}", Self::library().display()))
        };
        let library = LIBRARY.get_or_init(open).as_ref().map_err(Clone::clone)?;
        let fake = Self { library, _turn: turn };
        fake.set(line)?;
        Ok(fake)
    }

    /// Starts the driver anew; nothing of it may be in use.
    fn set(&self, line: &str) -> Result<(), String> {
        let text = CString::new(line).map_err(|e| e.to_string())?;
        // SAFETY: the function is the one of `abi`, the text outlives the call.
        let code = unsafe {
            let set: Symbol<unsafe extern "C" fn(*const c_char) -> u32> =
                self.library.get(b"fake_cuda_set").map_err(|e| e.to_string())?;
            set(text.as_ptr())
        };
        (code == 0).then_some(()).ok_or_else(|| format!("\"{line}\" is not understood"))
    }

    /// What is alive.
    pub fn census(&self) -> Census {
        let report = self.report();
        let words = report.lines().next().unwrap_or_default().split(' ');
        let pairs = words.filter_map(|w| w.split_once('='));
        Census(pairs.filter_map(|(name, n)| Some((name.to_string(), n.parse().ok()?))).collect())
    }

    /// What failed kernels and copies did, in the PTX machine's words.
    pub fn faults(&self) -> Vec<String> {
        self.lines("fault ")
    }

    /// What a real driver might have let pass.
    pub fn complaints(&self) -> Vec<String> {
        self.lines("complaint ")
    }

    fn lines(&self, kind: &str) -> Vec<String> {
        self.report().lines().filter_map(|l| l.strip_prefix(kind)).map(str::to_string).collect()
    }

    fn report(&self) -> String {
        let Ok(report) =
            // SAFETY: the function is the one of `abi`.
            (unsafe { self.library.get::<unsafe extern "C" fn(*mut u8, usize) -> usize>(b"fake_cuda_report") })
        else {
            return String::new();
        };
        // SAFETY: a null buffer only asks for the length; the second is as long as it is said to be.
        let mut text = vec![0; unsafe { report(std::ptr::null_mut(), 0) }];
        // SAFETY: as above.
        unsafe { report(text.as_mut_ptr(), text.len()) };
        String::from_utf8_lossy(&text).into_owned()
    }
}
