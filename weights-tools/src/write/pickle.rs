//! Protocol 2 opcodes for nested dictionaries of tensors: the inverse of what [`crate::pickle`] reads.

use super::NamedTensor;

/// A pickle being written.
pub(super) struct Pickle {
    out: Vec<u8>,
    next_storage: usize,
}

impl Pickle {
    pub fn new() -> Self {
        Self { out: vec![0x80, 2], next_storage: 0 }
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.out.push(b'.');
        self.out
    }

    pub fn empty_dict(&mut self) {
        self.out.push(b'}');
    }

    /// Sets the item on top under the key below it.
    pub fn set_item(&mut self) {
        self.out.push(b's');
    }

    pub fn text(&mut self, text: &str) {
        self.out.push(b'X');
        self.out.extend_from_slice(&(text.len() as u32).to_le_bytes());
        self.out.extend_from_slice(text.as_bytes());
    }

    /// An `OrderedDict` of tensors; storages are numbered on from the last dictionary's.
    pub fn state_dict(&mut self, tensors: &[NamedTensor<'_>]) {
        self.ordered_dict();
        self.out.push(b'(');
        for tensor in tensors {
            self.text(&tensor.name);
            self.tensor(tensor);
        }
        self.out.push(b'u');
    }

    fn ordered_dict(&mut self) {
        self.global("collections", "OrderedDict");
        self.out.extend_from_slice(b")R");
    }

    fn global(&mut self, module: &str, name: &str) {
        self.out.extend_from_slice(format!("c{module}\n{name}\n").as_bytes());
    }

    /// `_rebuild_tensor_v2`, or v3 over an untyped storage for types that have no storage class.
    fn tensor(&mut self, tensor: &NamedTensor<'_>) {
        let numel: usize = tensor.shape.iter().product();
        let class = tensor.dtype.storage_class();
        self.global(
            "torch._utils",
            if class.is_some() { "_rebuild_tensor_v2" } else { "_rebuild_tensor_v3" },
        );
        self.out.push(b'(');
        match class {
            Some(class) => self.storage("torch", class, numel),
            None => self.storage("torch.storage", "UntypedStorage", tensor.bytes.len()),
        }
        self.int(0);
        self.ints(&tensor.shape);
        self.ints(&crate::row_major(&tensor.shape));
        self.out.push(0x89);
        self.ordered_dict();
        if class.is_none() {
            self.global("torch", tensor.dtype.torch_name());
        }
        self.out.extend_from_slice(b"tR");
    }

    fn storage(&mut self, module: &str, class: &str, numel: usize) {
        self.out.push(b'(');
        self.text("storage");
        self.global(module, class);
        self.text(&self.next_storage.to_string());
        self.text("cpu");
        self.int(numel);
        self.out.extend_from_slice(b"tQ");
        self.next_storage += 1;
    }

    fn ints(&mut self, values: &[usize]) {
        self.out.push(b'(');
        values.iter().for_each(|&v| self.int(v));
        self.out.push(b't');
    }

    fn int(&mut self, value: usize) {
        match i32::try_from(value) {
            Ok(value) => {
                self.out.push(b'J');
                self.out.extend_from_slice(&value.to_le_bytes());
            }
            // LONG1 with nine bytes: the last keeps the number positive.
            Err(_) => {
                self.out.extend_from_slice(&[0x8a, 9]);
                self.out.extend_from_slice(&(value as u64).to_le_bytes());
                self.out.push(0);
            }
        }
    }
}
