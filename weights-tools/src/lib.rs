//! Bytes to named tensors and back: `.pth` (zip and legacy) and safetensors.
//! Knows nothing of networks; never executes what a file asks for.
