//! The JP2 file format's boxes (ISO/IEC 15444-1, Annex I): where the codestream and the metadata lie.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::raster::Limits;

/// First box of every JP2 file.
pub(super) const SIGNATURE: &[u8; 12] = b"\0\0\0\x0cjP  \r\n\x87\n";

/// UUID of the GeoJP2 box, which holds a GeoTIFF without pixels.
const GEOTIFF_UUID: [u8; 16] =
    [0xb1, 0x4b, 0xf8, 0xbd, 0x08, 0x3d, 0x4b, 0x43, 0xa5, 0xae, 0x8c, 0xd7, 0xd5, 0xa6, 0xce, 0x03];

/// Boxes inside boxes, and boxes in a file, that are followed.
const MAX_DEPTH: usize = 8;
const MAX_BOXES: usize = 4096;

/// What the boxes of a file say, as byte ranges of the file.
#[derive(Debug, Default)]
pub(super) struct Boxes {
    /// The contiguous codestream.
    pub codestream: Option<Range<usize>>,
    /// XML boxes, in file order (GMLJP2 among them).
    pub xml: Vec<Range<usize>>,
    /// The GeoTIFF inside a GeoJP2 box.
    pub geotiff: Option<Range<usize>>,
    /// Colour space number of the first enumerated colour box (16 sRGB, 17 grey, 18 sYCC).
    pub colour: Option<u32>,
    /// Component that holds opacity.
    pub alpha: Option<usize>,
    /// Whether components are indices into a palette.
    pub palette: bool,
}

pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let b = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(b.try_into().ok()?))
}

pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let b = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(b.try_into().ok()?))
}

fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    let b = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_be_bytes(b.try_into().ok()?))
}

/// Reads the box structure. A box that claims more than there is ends at the end: a truncated codestream
/// is told apart later, with its tile.
pub(super) fn parse(file: &[u8], limits: &Limits) -> Result<Boxes> {
    let mut boxes = Boxes::default();
    let mut budget = MAX_BOXES;
    walk(file, 0..file.len(), 0, &mut budget, limits, &mut boxes)?;
    Ok(boxes)
}

fn walk(
    file: &[u8],
    span: Range<usize>,
    depth: usize,
    budget: &mut usize,
    limits: &Limits,
    out: &mut Boxes,
) -> Result<()> {
    let mut at = span.start;
    while let Some((kind, body)) = next_box(file, at, span.end)? {
        *budget = budget
            .checked_sub(1)
            .ok_or_else(|| Error::limit(format!("more than {MAX_BOXES} boxes in a JP2 file")))?;
        at = body.end;
        match &kind {
            b"jp2h" | b"asoc" | b"res " if depth < MAX_DEPTH => {
                walk(file, body, depth + 1, budget, limits, out)?;
            }
            b"jp2c" if out.codestream.is_none() => out.codestream = Some(body),
            b"xml " => {
                if body.len() > limits.text_bytes {
                    return Err(Error::limit(format!(
                        "an XML box of {} bytes, the bound is {}",
                        body.len(),
                        limits.text_bytes
                    )));
                }
                out.xml.push(body);
            }
            b"uuid" if file.get(body.start..body.start.saturating_add(16)) == Some(&GEOTIFF_UUID) => {
                out.geotiff = Some(body.start + 16..body.end);
            }
            b"colr" if file.get(body.start) == Some(&1) && out.colour.is_none() => {
                out.colour = be32(file, body.start + 3);
            }
            b"cdef" => out.alpha = alpha_component(file.get(body).unwrap_or_default()),
            b"pclr" => out.palette = true,
            _ => {}
        }
    }
    Ok(())
}

/// The box at `at`: its type and the range of its contents.
fn next_box(file: &[u8], at: usize, end: usize) -> Result<Option<([u8; 4], Range<usize>)>> {
    if end.saturating_sub(at) < 8 {
        return Ok(None);
    }
    let damaged = || Error::format(format!("a damaged JP2 box at byte {at}"));
    let length = u64::from(be32(file, at).ok_or_else(damaged)?);
    let kind = file.get(at + 4..at + 8).and_then(|k| k.try_into().ok()).ok_or_else(damaged)?;
    let (header, length) = match length {
        0 => (8, (end - at) as u64),
        1 => (16, be64(file, at + 8).ok_or_else(damaged)?),
        n => (8, n),
    };
    if length < header {
        return Err(damaged());
    }
    let stop = usize::try_from(length).ok().and_then(|n| at.checked_add(n)).unwrap_or(end).min(end);
    let start = (at + header as usize).min(stop);
    Ok(Some((kind, start..stop)))
}

/// The component that a channel definition box calls opacity for the whole image.
fn alpha_component(body: &[u8]) -> Option<usize> {
    let count = usize::from(be16(body, 0)?);
    (0..count).find_map(|i| {
        let entry = 2 + i * 6;
        let (channel, kind) = (be16(body, entry)?, be16(body, entry + 2)?);
        (kind == 1 || kind == 2).then_some(usize::from(channel))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut out = ((body.len() + 8) as u32).to_be_bytes().to_vec();
        out.extend_from_slice(kind);
        out.extend_from_slice(body);
        out
    }

    #[test]
    fn nested_xml_colour_and_codestream_are_found() {
        let mut file = SIGNATURE.to_vec();
        file.extend(boxed(b"jp2h", &boxed(b"colr", &[1, 0, 0, 0, 0, 0, 17])));
        file.extend(boxed(b"asoc", &boxed(b"asoc", &boxed(b"xml ", b"<a/>"))));
        let at = file.len() + 8;
        file.extend([0, 0, 0, 0]);
        file.extend(b"jp2cDATA");
        let boxes = parse(&file, &Limits::default()).unwrap();
        assert_eq!(boxes.colour, Some(17));
        assert_eq!(&file[boxes.xml[0].clone()], b"<a/>");
        assert_eq!(boxes.codestream, Some(at..at + 4));
    }

    #[test]
    fn a_box_shorter_than_its_header_is_refused_and_a_long_one_is_cut() {
        assert!(parse(&[0, 0, 0, 4, b'x', b'm', b'l', b' '], &Limits::default()).is_err());
        let boxes = parse(&[0, 0, 1, 0, b'j', b'p', b'2', b'c', 9], &Limits::default()).unwrap();
        assert_eq!(boxes.codestream, Some(8..9));
    }

    #[test]
    fn deep_nesting_ends() {
        let mut file = boxed(b"xml ", b"");
        for _ in 0..10_000 {
            file = boxed(b"asoc", &file);
        }
        assert!(parse(&file, &Limits::default()).unwrap().xml.is_empty());
    }
}
