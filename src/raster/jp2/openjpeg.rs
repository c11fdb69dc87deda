//! The binding to OpenJPEG (C): decodes codestreams from memory when the user names it, and encodes the
//! demo's scenes tile by tile. The only `unsafe` of JPEG 2000.

use std::ffi::{c_char, c_void, CStr};
use std::io::Write;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Mutex;

use openjpeg_sys as opj;

use super::encode::EncodeSpec;
use super::Layout;
use crate::error::{Error, Result};
use crate::raster::Samples;

const TRUE: opj::OPJ_BOOL = 1;
const FALSE: opj::OPJ_BOOL = 0;
/// What OpenJPEG's callbacks return for the end of the data and for failure.
const STOP: usize = usize::MAX;
/// Stream buffer of the library.
const BUFFER: usize = 1 << 20;

/// A codec, freed on drop.
struct Codec(*mut opj::opj_codec_t);

impl Drop for Codec {
    fn drop(&mut self) {
        // SAFETY: created by opj_create_*, freed only here.
        unsafe { opj::opj_destroy_codec(self.0) }
    }
}

/// A stream, freed on drop. Its user data outlives it: see [`decode`] and [`encode`].
struct Stream(*mut opj::opj_stream_t);

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: created by opj_stream_create, freed only here.
        unsafe { opj::opj_stream_destroy(self.0) }
    }
}

/// An image, freed on drop; null until there is one.
struct Image(*mut opj::opj_image_t);

impl Drop for Image {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: created by the library, freed only here.
            unsafe { opj::opj_image_destroy(self.0) }
        }
    }
}

/// The library's first error message. Locked, because its threads may report too.
#[derive(Default)]
struct Messages(Mutex<String>);

impl Messages {
    fn error(&self, what: &str) -> Error {
        let said = self.0.lock().map(|text| text.trim().to_owned()).unwrap_or_default();
        Error::format(if said.is_empty() { what.to_owned() } else { format!("{what}: {said}") })
    }
}

unsafe extern "C" fn keep_message(text: *const c_char, messages: *mut c_void) {
    // SAFETY: the library passes a C string and the `Messages` it was given, which outlives the codec.
    let (text, messages) = unsafe { (CStr::from_ptr(text), &*messages.cast::<Messages>()) };
    if let Ok(mut first) = messages.0.lock() {
        if first.is_empty() {
            *first = text.to_string_lossy().replace('\n', " ");
        }
    }
}

fn check(ok: opj::OPJ_BOOL, messages: &Messages, what: &str) -> Result<()> {
    if ok == TRUE {
        Ok(())
    } else {
        Err(messages.error(what))
    }
}

/// Bytes being read.
struct Source<'a> {
    bytes: &'a [u8],
    at: usize,
}

unsafe extern "C" fn read(buffer: *mut c_void, count: usize, source: *mut c_void) -> usize {
    // SAFETY: the library passes the `Source` of its stream, which nothing else uses meanwhile.
    let source = unsafe { &mut *source.cast::<Source>() };
    let rest = source.bytes.get(source.at..).unwrap_or_default();
    let count = count.min(rest.len());
    if count == 0 {
        return STOP;
    }
    // SAFETY: `buffer` has room for the count asked for, and `rest` holds at least `count` bytes.
    unsafe { ptr::copy_nonoverlapping(rest.as_ptr(), buffer.cast(), count) };
    source.at += count;
    count
}

unsafe extern "C" fn skip(count: i64, source: *mut c_void) -> i64 {
    // SAFETY: as in `read`.
    let source = unsafe { &mut *source.cast::<Source>() };
    let target = i64::try_from(source.at).ok().and_then(|at| at.checked_add(count));
    match target.and_then(|t| usize::try_from(t).ok()) {
        Some(target) if target <= source.bytes.len() => {
            source.at = target;
            count
        }
        _ => -1,
    }
}

unsafe extern "C" fn seek(position: i64, source: *mut c_void) -> opj::OPJ_BOOL {
    // SAFETY: as in `read`.
    let source = unsafe { &mut *source.cast::<Source>() };
    match usize::try_from(position) {
        Ok(at) if at <= source.bytes.len() => {
            source.at = at;
            TRUE
        }
        _ => FALSE,
    }
}

/// Decodes a codestream of some tiles at `level` halvings, to the size `layout` says.
pub(super) fn decode(codestream: &[u8], level: u8, layout: &Layout) -> Result<(Samples, Option<Vec<u8>>)> {
    let messages = Messages::default();
    let mut source = Source { bytes: codestream, at: 0 };
    // Declared after what they point to, so dropped before it.
    // SAFETY: plain constructors; null is checked below.
    let (codec, stream) = unsafe {
        (
            Codec(opj::opj_create_decompress(opj::CODEC_FORMAT::OPJ_CODEC_J2K)),
            Stream(opj::opj_stream_create(BUFFER, TRUE)),
        )
    };
    let mut image = Image(ptr::null_mut());
    if codec.0.is_null() || stream.0.is_null() {
        return Err(Error::limit("OpenJPEG could not allocate its decoder"));
    }
    let mut parameters = MaybeUninit::<opj::opj_dparameters_t>::zeroed();
    // SAFETY: codec and stream are valid and freed after the last call; callbacks and user data live as long;
    // the parameter struct is plain data that the library fills before it is changed and read.
    unsafe {
        opj::opj_stream_set_read_function(stream.0, Some(read));
        opj::opj_stream_set_skip_function(stream.0, Some(skip));
        opj::opj_stream_set_seek_function(stream.0, Some(seek));
        opj::opj_stream_set_user_data(stream.0, ptr::from_mut(&mut source).cast(), None);
        opj::opj_stream_set_user_data_length(stream.0, codestream.len() as u64);
        let client = ptr::from_ref(&messages).cast_mut().cast();
        opj::opj_set_error_handler(codec.0, Some(keep_message), client);
        opj::opj_set_default_decoder_parameters(parameters.as_mut_ptr());
        (*parameters.as_mut_ptr()).cp_reduce = u32::from(level);
        let set_up = opj::opj_setup_decoder(codec.0, parameters.as_mut_ptr());
        check(set_up, &messages, "OpenJPEG refuses its parameters")?;
        check(opj::opj_decoder_set_strict_mode(codec.0, TRUE), &messages, "OpenJPEG refuses strict mode")?;
        let header = opj::opj_read_header(stream.0, codec.0, &mut image.0);
        check(header, &messages, "OpenJPEG refuses the header")?;
        check(opj::opj_decode(codec.0, stream.0, image.0), &messages, "damaged JPEG 2000 data (OpenJPEG)")?;
    }
    let planes = planes(&image, layout)?;
    Ok(interleave(&planes, layout))
}

/// The decoded components as slices of the image's memory.
fn planes<'a>(image: &'a Image, layout: &Layout) -> Result<Vec<&'a [i32]>> {
    let odd = || Error::format("OpenJPEG delivers another image than the header says");
    if image.0.is_null() {
        return Err(odd());
    }
    // SAFETY: a decoded image has `numcomps` components, each with `w * h` samples at `data`, or null.
    unsafe {
        let image = &*image.0;
        if image.comps.is_null() || image.numcomps as usize != layout.components.len() {
            return Err(odd());
        }
        let components = std::slice::from_raw_parts(image.comps, image.numcomps as usize);
        components
            .iter()
            .map(|c| {
                if c.data.is_null() || (c.w as usize, c.h as usize) != layout.size {
                    return Err(odd());
                }
                Ok(std::slice::from_raw_parts(c.data, c.w as usize * c.h as usize))
            })
            .collect()
    }
}

fn interleave(planes: &[&[i32]], layout: &Layout) -> (Samples, Option<Vec<u8>>) {
    let bands: Vec<&[i32]> =
        planes.iter().enumerate().filter(|(i, _)| Some(*i) != layout.alpha).map(|(_, p)| *p).collect();
    let samples = if layout.components.iter().any(|c| c.signed) {
        Samples::F32(woven(&bands, |v| v as f32))
    } else if layout.components.iter().all(|c| c.precision <= 8) {
        Samples::U8(woven(&bands, |v| v.clamp(0, 255) as u8))
    } else {
        Samples::U16(woven(&bands, |v| v.clamp(0, 65535) as u16))
    };
    let alpha = layout.alpha.and_then(|i| planes.get(i));
    (samples, alpha.map(|plane| plane.iter().map(|&v| u8::from(v > 0) * 255).collect()))
}

fn woven<T: Copy + Default>(bands: &[&[i32]], convert: impl Fn(i32) -> T) -> Vec<T> {
    let mut out = vec![T::default(); bands.iter().map(|b| b.len()).sum()];
    for (band, plane) in bands.iter().enumerate() {
        for (slot, &v) in out.iter_mut().skip(band).step_by(bands.len()).zip(*plane) {
            *slot = convert(v);
        }
    }
    out
}

/// Where encoded bytes go, and the first failure to write them.
struct Sink<'a> {
    out: &'a mut dyn Write,
    failed: Option<std::io::Error>,
}

unsafe extern "C" fn write(buffer: *mut c_void, count: usize, sink: *mut c_void) -> usize {
    // SAFETY: the library passes the `Sink` of its stream, which nothing else uses meanwhile, and a buffer
    // of `count` bytes.
    let (sink, bytes) =
        unsafe { (&mut *sink.cast::<Sink>(), std::slice::from_raw_parts(buffer.cast::<u8>(), count)) };
    match sink.out.write_all(bytes) {
        Ok(()) => count,
        Err(error) => {
            sink.failed.get_or_insert(error);
            STOP
        }
    }
}

/// Writes a codestream. `tile` delivers the planes of tile `n` one after another, native byte order.
pub(super) fn encode(
    spec: &EncodeSpec,
    tiles: u32,
    tile: &mut dyn FnMut(u32) -> Result<Vec<u8>>,
    out: &mut dyn Write,
) -> Result<()> {
    let messages = Messages::default();
    let mut sink = Sink { out, failed: None };
    let result = encode_tiles(spec, tiles, tile, &mut sink, &messages);
    match sink.failed {
        Some(error) => Err(Error::io("cannot write JPEG 2000 data", error)),
        None => result,
    }
}

fn encode_tiles(
    spec: &EncodeSpec,
    tiles: u32,
    tile: &mut dyn FnMut(u32) -> Result<Vec<u8>>,
    sink: &mut Sink,
    messages: &Messages,
) -> Result<()> {
    // SAFETY: plain constructors; null is checked below.
    let (codec, stream) = unsafe {
        (
            Codec(opj::opj_create_compress(opj::CODEC_FORMAT::OPJ_CODEC_J2K)),
            Stream(opj::opj_stream_create(BUFFER, FALSE)),
        )
    };
    let image = new_image(spec);
    if codec.0.is_null() || stream.0.is_null() || image.0.is_null() {
        return Err(Error::limit("OpenJPEG could not allocate its encoder"));
    }
    let mut parameters = MaybeUninit::<opj::opj_cparameters_t>::zeroed();
    // SAFETY: codec, stream and image are valid and freed after the last call; callbacks, sink and messages
    // live as long; all-zero bytes are a valid parameter struct, which the library fills before it is changed.
    unsafe {
        opj::opj_stream_set_write_function(stream.0, Some(write));
        opj::opj_stream_set_user_data(stream.0, ptr::from_mut(sink).cast(), None);
        let client = ptr::from_ref(messages).cast_mut().cast();
        opj::opj_set_error_handler(codec.0, Some(keep_message), client);
        opj::opj_set_default_encoder_parameters(parameters.as_mut_ptr());
        fill_parameters(parameters.assume_init_mut(), spec);
        let set_up = opj::opj_setup_encoder(codec.0, parameters.as_mut_ptr(), image.0);
        check(set_up, messages, "OpenJPEG refuses its parameters")?;
        if spec.threads > 1 {
            opj::opj_codec_set_threads(codec.0, spec.threads as i32);
        }
        check(opj::opj_start_compress(codec.0, image.0, stream.0), messages, "OpenJPEG cannot encode")?;
        for number in 0..tiles {
            let mut planes = tile(number)?;
            let size = u32::try_from(planes.len()).map_err(|_| Error::limit("a tile over 4 GiB"))?;
            let written = opj::opj_write_tile(codec.0, number, planes.as_mut_ptr(), size, stream.0);
            check(written, messages, "OpenJPEG cannot encode a tile")?;
        }
        check(opj::opj_end_compress(codec.0, stream.0), messages, "OpenJPEG cannot end the file")
    }
}

fn new_image(spec: &EncodeSpec) -> Image {
    let component = opj::opj_image_cmptparm_t {
        dx: 1,
        dy: 1,
        w: spec.width,
        h: spec.height,
        x0: 0,
        y0: 0,
        prec: u32::from(spec.precision),
        bpp: u32::from(spec.precision),
        sgnd: 0,
    };
    let mut components = vec![component; usize::from(spec.components)];
    let space = match spec.components {
        3 => opj::COLOR_SPACE::OPJ_CLRSPC_SRGB,
        _ => opj::COLOR_SPACE::OPJ_CLRSPC_GRAY,
    };
    // SAFETY: the array holds as many components as is said; a new image has its fields to be set.
    unsafe {
        let image = opj::opj_image_tile_create(u32::from(spec.components), components.as_mut_ptr(), space);
        if let Some(image) = image.as_mut() {
            (image.x0, image.y0, image.x1, image.y1) = (0, 0, spec.width, spec.height);
            image.color_space = space;
        }
        Image(image)
    }
}

fn fill_parameters(parameters: &mut opj::opj_cparameters_t, spec: &EncodeSpec) {
    parameters.tile_size_on = TRUE;
    parameters.cp_tdx = spec.tile as i32;
    parameters.cp_tdy = spec.tile as i32;
    parameters.tcp_numlayers = 1;
    parameters.cp_disto_alloc = 1;
    parameters.numresolution = i32::from(spec.resolutions).min(spec.tile.ilog2() as i32 + 1);
    parameters.tcp_mct = c_char::from(spec.components == 3);
}
