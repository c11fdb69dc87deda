//! The driver's result codes, as `cuda.h` numbers them.

use std::ffi::CStr;

/// A result code other than success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(pub u32);

/// What a call gives.
pub type Outcome<T = ()> = Result<T, Status>;

macro_rules! statuses {
    ($($name:ident $code:literal $symbol:literal $text:literal;)*) => {
        $(
            #[doc = $text]
            pub const $name: Status = Status($code);
        )*

        /// Symbol and text of a code.
        pub fn describe(code: u32) -> Option<(&'static CStr, &'static CStr)> {
            let (symbol, text) = match code {
                0 => ("CUDA_SUCCESS\0", "no error\0"),
                $($code => (concat!($symbol, "\0"), concat!($text, "\0")),)*
                _ => return None,
            };
            let [symbol, text] = [symbol, text].map(|s| CStr::from_bytes_with_nul(s.as_bytes()).ok());
            Some((symbol?, text?))
        }
    };
}

statuses! {
    INVALID_VALUE 1 "CUDA_ERROR_INVALID_VALUE" "invalid argument";
    OUT_OF_MEMORY 2 "CUDA_ERROR_OUT_OF_MEMORY" "out of memory";
    NOT_INITIALIZED 3 "CUDA_ERROR_NOT_INITIALIZED" "initialization error";
    NO_DEVICE 100 "CUDA_ERROR_NO_DEVICE" "no CUDA-capable device is detected";
    INVALID_DEVICE 101 "CUDA_ERROR_INVALID_DEVICE" "invalid device ordinal";
    INVALID_CONTEXT 201 "CUDA_ERROR_INVALID_CONTEXT" "invalid device context";
    NO_BINARY_FOR_GPU 209 "CUDA_ERROR_NO_BINARY_FOR_GPU" "no kernel image is available for execution on the device";
    INVALID_PTX 218 "CUDA_ERROR_INVALID_PTX" "a PTX JIT compilation failed";
    INVALID_HANDLE 400 "CUDA_ERROR_INVALID_HANDLE" "invalid resource handle";
    NOT_FOUND 500 "CUDA_ERROR_NOT_FOUND" "named symbol not found";
    ILLEGAL_ADDRESS 700 "CUDA_ERROR_ILLEGAL_ADDRESS" "an illegal memory access was encountered";
    LAUNCH_FAILED 719 "CUDA_ERROR_LAUNCH_FAILED" "unspecified launch failure";
    CAPTURE_UNSUPPORTED 900 "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED" "operation not permitted when stream is capturing";
    CAPTURE_INVALIDATED 901 "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED" "operation failed due to a previous error during capture";
}
