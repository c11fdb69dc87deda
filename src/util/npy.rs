//! NumPy's array files: `.npy` in and out, `.npz` out. Arrays of f32, row-major.
//! Format: numpy.lib.format, versions 1 to 3.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, InFile, Result};
use crate::tensor::Shape;

/// Largest header read.
const MAX_HEADER: usize = 1 << 16;
/// Elements read at a time where little memory is to be taken.
const CHUNK: usize = 1 << 16;

/// An array with its extents.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Extents, outermost first.
    pub shape: Shape,
    /// Elements, row-major.
    pub data: Vec<f32>,
}

/// Element types that can be read as f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Element {
    F16,
    F32,
    F64,
    Bool,
    U8,
    U16,
    U32,
    I8,
    I16,
    I32,
    I64,
}

impl Element {
    fn parse(descr: &str) -> Option<Self> {
        Some(match descr {
            "<f2" => Self::F16,
            "<f4" => Self::F32,
            "<f8" => Self::F64,
            "|b1" => Self::Bool,
            "|u1" => Self::U8,
            "<u2" => Self::U16,
            "<u4" => Self::U32,
            "|i1" => Self::I8,
            "<i2" => Self::I16,
            "<i4" => Self::I32,
            "<i8" => Self::I64,
            _ => return None,
        })
    }

    fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::F16 | Self::U16 | Self::I16 => 2,
            Self::F32 | Self::U32 | Self::I32 => 4,
            Self::F64 | Self::I64 => 8,
        }
    }

    fn widen(self, bytes: &[u8]) -> Vec<f32> {
        fn each<const N: usize>(bytes: &[u8], f: impl Fn([u8; N]) -> f32) -> Vec<f32> {
            bytes.as_chunks::<N>().0.iter().map(|c| f(*c)).collect()
        }
        match self {
            Self::F16 => each(bytes, |b| half::f16::from_le_bytes(b).to_f32()),
            Self::F32 => each(bytes, f32::from_le_bytes),
            Self::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
            Self::Bool => each(bytes, |[b]| f32::from(b != 0)),
            Self::U8 => each(bytes, |[b]| f32::from(b)),
            Self::U16 => each(bytes, |b| f32::from(u16::from_le_bytes(b))),
            Self::U32 => each(bytes, |b| u32::from_le_bytes(b) as f32),
            Self::I8 => each(bytes, |b| f32::from(i8::from_le_bytes(b))),
            Self::I16 => each(bytes, |b| f32::from(i16::from_le_bytes(b))),
            Self::I32 => each(bytes, |b| i32::from_le_bytes(b) as f32),
            Self::I64 => each(bytes, |b| i64::from_le_bytes(b) as f32),
        }
    }
}

/// Reads a `.npy` file of floats or whole numbers as f32, rounded to nearest where f32 lacks the digits.
///
/// # Errors
/// `Io`; `Format` for a file that is not one; `Unsupported` for other element types and
/// column-major arrays.
pub fn read(path: &Path) -> Result<Array> {
    let file = File::open(path).map_err(|e| Error::io("cannot open", e)).in_file(path)?;
    let length = file.metadata().map_err(|e| Error::io("cannot read", e)).in_file(path)?.len();
    read_from(&mut BufReader::new(file), length).in_file(path)
}

/// As [`read`] for a network's input: bytes, which hold images as files do, become 0 to 1.
///
/// # Errors
/// As [`read`].
pub fn read_image(path: &Path) -> Result<Array> {
    let file = Opened::new(path)?;
    let shape = file.shape;
    let mut data = vec![0.0; shape.numel()];
    file.read_image(&mut data)?;
    Ok(Array { shape, data })
}

/// A `.npy` file whose elements are still to be read.
pub struct Opened {
    source: BufReader<File>,
    path: PathBuf,
    element: Element,
    /// Extents.
    pub shape: Shape,
}

impl Opened {
    /// Reads the header.
    ///
    /// # Errors
    /// As [`read`].
    pub fn new(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io("cannot open", e)).in_file(path)?;
        let length = file.metadata().map_err(|e| Error::io("cannot read", e)).in_file(path)?.len();
        let mut source = BufReader::new(file);
        let (element, shape) = header_within(&mut source, length).in_file(path)?;
        Ok(Self { source, path: path.to_path_buf(), element, shape })
    }

    /// Reads all elements as [`read_image`] does, with little memory beside `out`.
    ///
    /// # Errors
    /// As [`read`]; `Shape` when `out` has another length.
    pub fn read_image(mut self, out: &mut [f32]) -> Result<()> {
        if out.len() != self.shape.numel() {
            let message = format!("{} values of {} wanted", out.len(), self.shape);
            return Err(Error::shape(message)).in_file(&self.path);
        }
        let mut bytes = vec![0; CHUNK * self.element.size()];
        for out in out.chunks_mut(CHUNK) {
            let bytes = &mut bytes[..out.len() * self.element.size()];
            self.source
                .read_exact(bytes)
                .map_err(|_| truncated(&self.shape, self.element))
                .in_file(&self.path)?;
            out.copy_from_slice(&self.element.widen(bytes));
            if self.element == Element::U8 {
                out.iter_mut().for_each(|v| *v /= f32::from(u8::MAX));
            }
        }
        Ok(())
    }
}

/// Reads a `.npy` stream of at most `length` bytes.
///
/// # Errors
/// As [`read`].
pub fn read_from(source: &mut impl Read, length: u64) -> Result<Array> {
    let (element, shape) = header_within(source, length)?;
    let mut data = vec![0; shape.numel() * element.size()];
    source.read_exact(&mut data).map_err(|_| truncated(&shape, element))?;
    Ok(Array { shape, data: element.widen(&data) })
}

/// The header of a stream of at most `length` bytes, which must have room for the elements.
fn header_within(source: &mut impl Read, length: u64) -> Result<(Element, Shape)> {
    let (element, shape, _) = read_header(source)?;
    if shape.numel() as u64 * element.size() as u64 > length {
        return Err(truncated(&shape, element).while_doing(format!("a file of {length} bytes")));
    }
    Ok((element, shape))
}

fn truncated(shape: &Shape, element: Element) -> Error {
    Error::format(format!("truncated: shape {shape} needs {} bytes", shape.numel() * element.size()))
}

/// Element type and extents of the array in a `.npy` file's bytes, and where its elements begin.
///
/// # Errors
/// As [`read`].
pub fn header(mut bytes: &[u8]) -> Result<(Element, Shape, usize)> {
    read_header(&mut bytes)
}

fn read_header(source: &mut impl Read) -> Result<(Element, Shape, usize)> {
    let not_npy = || Error::format("not a .npy file");
    let mut start = [0u8; 8];
    source.read_exact(&mut start).map_err(|_| not_npy())?;
    if !start.starts_with(b"\x93NUMPY") || !(1..=3).contains(&start[6]) {
        return Err(not_npy());
    }
    let mut size = [0u8; 4];
    let width = if start[6] == 1 { 2 } else { 4 };
    source.read_exact(&mut size[..width]).map_err(|_| not_npy())?;
    let size = u32::from_le_bytes(size) as usize;
    if size > MAX_HEADER {
        return Err(Error::limit(format!("a .npy header of {size} bytes (at most {MAX_HEADER})")));
    }
    let mut header = vec![0; size];
    source.read_exact(&mut header).map_err(|_| not_npy())?;
    let (element, shape) = parse_header(&String::from_utf8_lossy(&header))?;
    Ok((element, shape, start.len() + width + size))
}

/// Element type and extents out of the header's Python dictionary.
fn parse_header(header: &str) -> Result<(Element, Shape)> {
    let bad = |what: &str| Error::format(format!("a .npy header without {what}"));
    let value = |key: &str| {
        let at = header.find(&format!("'{key}'"))? + key.len() + 2;
        Some(header.get(at..)?.trim_start().strip_prefix(':')?.trim_start())
    };
    let descr = value("descr").and_then(|v| v.strip_prefix('\'')).and_then(|v| v.split('\'').next());
    let descr = descr.ok_or_else(|| bad("an element type"))?;
    let element = Element::parse(descr).ok_or_else(|| {
        Error::unsupported(format!(
            "elements of type {descr}; save the array as float32 (x.astype('float32'))"
        ))
    })?;
    let column_major = value("fortran_order").ok_or_else(|| bad("fortran_order"))?.starts_with("True");
    let dims = value("shape").and_then(|v| v.strip_prefix('(')).and_then(|v| v.split(')').next());
    let dims: Vec<usize> = dims
        .ok_or_else(|| bad("a shape"))?
        .split(',')
        .map(str::trim)
        .filter(|d| !d.is_empty())
        .map(|d| d.parse().map_err(|_| bad("a readable shape")))
        .collect::<Result<_>>()?;
    if column_major && dims.len() > 1 {
        return Err(Error::unsupported("a column-major array; save it with numpy.ascontiguousarray"));
    }
    Ok((element, Shape::new(&dims)?))
}

/// Writes one array as `.npy`.
///
/// # Errors
/// `Io` from the sink.
pub fn write_to(sink: &mut impl Write, shape: &[usize], data: &[f32]) -> std::io::Result<()> {
    write_header(sink, "<f4", shape)?;
    write_elements(sink, data, |v| v.to_le_bytes())
}

/// Writes one array of unsigned 64-bit numbers as `.npy`.
///
/// # Errors
/// `Io` from the sink.
pub fn write_u64_to(sink: &mut impl Write, shape: &[usize], data: &[u64]) -> std::io::Result<()> {
    write_header(sink, "<u8", shape)?;
    write_elements(sink, data, |v| v.to_le_bytes())
}

fn write_header(sink: &mut impl Write, descr: &str, shape: &[usize]) -> std::io::Result<()> {
    let dims: Vec<String> = shape.iter().map(|d| format!("{d},")).collect();
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}", dims.join(" "));
    // Magic, version and length take ten bytes; data starts at a multiple of 64.
    let padded = (header.len() + 11).next_multiple_of(64) - 10;
    header.push_str(&" ".repeat(padded - 1 - header.len()));
    header.push('\n');
    sink.write_all(b"\x93NUMPY\x01\x00")?;
    sink.write_all(&(header.len() as u16).to_le_bytes())?;
    sink.write_all(header.as_bytes())
}

fn write_elements<T, const N: usize>(
    sink: &mut impl Write,
    data: &[T],
    bytes: fn(&T) -> [u8; N],
) -> std::io::Result<()> {
    for part in data.chunks(1 << 14) {
        let bytes: Vec<u8> = part.iter().flat_map(bytes).collect();
        sink.write_all(&bytes)?;
    }
    Ok(())
}

/// Named arrays into one file, `.npz` as `numpy.savez` writes it; written beside and renamed.
///
/// # Errors
/// `Io` when the file cannot be written.
pub fn write_npz(path: &Path, arrays: &[(String, Array)]) -> Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let written = File::create(&partial).and_then(|file| zip_arrays(BufWriter::new(file), arrays));
    let renamed = written.and_then(|()| std::fs::rename(&partial, path));
    renamed.map_err(|e| {
        // The error is about the writing; a partial file that stays is of no use to anyone.
        let _ = std::fs::remove_file(&partial);
        Error::io("cannot write", e).in_file(path)
    })
}

fn zip_arrays(sink: impl Write + Seek, arrays: &[(String, Array)]) -> std::io::Result<()> {
    let mut archive = zip::ZipWriter::new(sink);
    for (name, array) in arrays {
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored)
            .large_file(array.data.len() >= 1 << 29);
        archive.start_file(format!("{name}.npy"), options)?;
        write_to(&mut archive, &array.shape, &array.data)?;
    }
    archive.finish()?.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(shape: &[usize], data: &[f32]) -> Vec<u8> {
        let mut out = Vec::new();
        write_to(&mut out, shape, data).unwrap();
        out
    }

    fn parse(bytes: &[u8]) -> Result<Array> {
        read_from(&mut &bytes[..], bytes.len() as u64)
    }

    #[test]
    fn arrays_come_back() {
        for shape in [&[2, 3][..], &[6], &[1, 1, 6, 1]] {
            let file = bytes(shape, &[0.0, -1.5, f32::MAX, 1e-40, 5.0, 6.0]);
            assert_eq!((file.len() - 24) % 64, 0);
            let array = parse(&file).unwrap();
            assert_eq!(&*array.shape, shape);
            assert_eq!(array.data, [0.0, -1.5, f32::MAX, 1e-40, 5.0, 6.0]);
        }
    }

    /// Headers as NumPy 2 writes them: versions 1 and 3, a vector and a scalar.
    #[test]
    fn every_element_type_widens() {
        let file = |version: u8, descr: &str, shape: &str, data: &[u8]| {
            let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
            let length = (header.len() as u32).to_le_bytes();
            let length = if version == 1 { &length[..2] } else { &length[..] };
            [&b"\x93NUMPY"[..], &[version, 0], length, header.as_bytes(), data].concat()
        };
        for version in [1, 2, 3] {
            for (descr, data, value) in [
                ("<f2", &[0x00, 0xc1][..], -2.5),
                ("<f8", &(-2.5f64).to_le_bytes(), -2.5),
                ("|b1", &[1], 1.0),
                ("|u1", &[200], 200.0),
                ("<u2", &[0, 200], 51200.0),
                ("<u4", &[0, 0, 0, 128], 2147483648.0),
                ("|i1", &[200], -56.0),
                ("<i2", &[0, 200], -14336.0),
                ("<i4", &(-70000i32).to_le_bytes(), -70000.0),
                ("<i8", &(1i64 << 40).to_le_bytes(), 1099511627776.0),
            ] {
                assert_eq!(parse(&file(version, descr, "(1,)", data)).unwrap().data, [value], "{descr}");
                assert_eq!(parse(&file(version, descr, "()", data)).unwrap().shape.len(), 0);
            }
        }
    }

    #[test]
    fn lies_are_refused() {
        let file = bytes(&[2, 3], &[0.0; 6]);
        for cut in 0..file.len() {
            assert!(parse(&file[..cut]).is_err(), "cut at {cut}");
        }
        let text = String::from_utf8_lossy(&file[10..128]).into_owned();
        for (from, to) in
            [("(2, 3,)", "(9999999999999, 999999999)"), ("False", "True "), ("<f4", ">f4"), ("shape", "sh")]
        {
            assert!(parse_header(&text.replace(from, to)).is_err(), "{to}");
        }
    }
}
