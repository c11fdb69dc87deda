//! Fills tile slots: reads every date of a tile, chooses among them, assembles the network's input.

use bytemuck::cast_slice_mut;

use super::frames::{choose_frames, rank_frames, FrameScore, InputLayout, TileFrames};
use crate::error::Result;
use crate::raster::FrameSource;
use crate::tensor::DType;
use crate::tile::{Rect, Tile};

/// One of the fixed number of places a tile can be in.
pub struct Slot {
    /// Which tile.
    pub tile: Tile,
    /// Its place in the computing order.
    pub sequence: usize,
    /// Its strip.
    pub strip: usize,
    /// What the network is given, `[frame][band][y][x]`, in words that hold it.
    words: Vec<f32>,
    samples: DType,
    /// `[y][x]`, 1 where any date has data.
    pub mask: Vec<u8>,
    /// Whether any pixel of the tile has data.
    pub any: bool,
    /// The dates the input was made from, in order; none without data.
    pub dates: Vec<usize>,
}

impl Slot {
    /// Bytes of one slot.
    pub fn bytes(layout: &InputLayout, area: usize, samples: DType) -> usize {
        layout.numbers(area) * samples.size() + area
    }

    /// What the network is given.
    pub fn input(&self) -> &[u8] {
        bytemuck::cast_slice(&self.words)
    }

    /// An empty slot for tiles of `area` pixels, whose network is given `samples`.
    pub fn new(layout: &InputLayout, area: usize, samples: DType) -> Self {
        let nowhere = Rect::of_size(0, 0);
        Self {
            tile: Tile { column: 0, row: 0, input: nowhere, active: nowhere },
            sequence: 0,
            strip: 0,
            words: vec![0.0; (layout.numbers(area) * samples.size()).div_ceil(size_of::<f32>())],
            samples,
            mask: vec![0; area],
            any: false,
            dates: Vec::new(),
        }
    }

    fn assemble(&mut self, layout: &InputLayout, from: &TileFrames) {
        let (tile, n) = (self.tile.input, layout.numbers(self.mask.len()));
        let (words, mask) = (&mut self.words, &mut self.mask);
        match self.samples {
            DType::F32 => layout.assemble(&tile, from, words, mask),
            DType::U8 => layout.assemble::<u8>(&tile, from, &mut cast_slice_mut(words)[..n], mask),
            DType::U16 => layout.assemble::<u16>(&tile, from, &mut cast_slice_mut(words)[..n], mask),
        }
    }
}

/// Reads tiles of one source.
pub struct Reader<'a> {
    source: &'a dyn FrameSource,
    layout: &'a InputLayout,
    image: Rect,
    seed: u64,
    threads: usize,
    pixels: Vec<f32>,
    valid: Vec<u8>,
}

impl<'a> Reader<'a> {
    /// Bytes the reader holds for tiles of `area` pixels, beside slots and the source's cache.
    pub fn bytes(frames: usize, bands: usize, area: usize) -> usize {
        frames * area * (bands * size_of::<f32>() + 1)
    }

    /// A reader for tiles of at most `area` pixels, reading dates on up to `threads` threads.
    pub fn new(
        source: &'a dyn FrameSource,
        layout: &'a InputLayout,
        area: usize,
        seed: u64,
        threads: usize,
    ) -> Self {
        let (frames, bands) = (source.frames().len(), source.bands().len());
        Self {
            source,
            layout,
            image: Rect::of_size(source.grid().width, source.grid().height),
            seed,
            threads: threads.max(1),
            pixels: vec![0.0; frames * bands * area],
            valid: vec![0; frames * area],
        }
    }

    /// Reads `slot.tile` into the slot.
    ///
    /// # Errors
    /// What the source says, with file, date and window.
    pub fn fill(&mut self, slot: &mut Slot) -> Result<()> {
        let read = slot.tile.input.intersect(&self.image);
        let (frames, bands, n) = (self.source.frames().len(), self.source.bands().len(), read.area());
        let pixels = &mut self.pixels[..frames * bands * n];
        let valid = &mut self.valid[..frames * n];
        read_frames(self.source, read, bands, self.threads, pixels, valid)?;

        let score = |f: usize| {
            let pixels = &pixels[f * bands * n..(f + 1) * bands * n];
            FrameScore::of(pixels, &valid[f * n..(f + 1) * n], self.layout.bright)
        };
        let scores: Vec<FrameScore> = (0..frames).map(score).collect();
        let ranked = rank_frames(&scores, self.seed, (slot.tile.column, slot.tile.row));
        let chosen = choose_frames(&scores, &ranked, self.layout.frames);
        slot.any = !chosen.is_empty();
        if slot.any {
            let from = TileFrames { read, pixels, valid, ranked: &ranked, chosen: &chosen };
            slot.assemble(self.layout, &from);
        } else {
            slot.mask.fill(0);
        }
        slot.dates = chosen;
        Ok(())
    }
}

/// Reads all dates of a window, several at a time. Plain threads on purpose: a read may wait for a block that
/// another one decodes, which must never happen on a thread of the decoders' pool.
fn read_frames(
    source: &dyn FrameSource,
    rect: Rect,
    bands: usize,
    threads: usize,
    pixels: &mut [f32],
    valid: &mut [u8],
) -> Result<()> {
    let n = rect.area();
    let frames = valid.len() / n;
    let share = frames.div_ceil(threads);
    let read_share = |first: usize, pixels: &mut [f32], valid: &mut [u8]| -> Result<()> {
        let each = pixels.chunks_mut(bands * n).zip(valid.chunks_mut(n)).enumerate();
        for (i, (out, valid)) in each {
            source.read(first + i, rect, out, valid)?;
        }
        Ok(())
    };
    if share >= frames {
        return read_share(0, pixels, valid);
    }
    std::thread::scope(|scope| {
        let read_share = &read_share;
        let parts = pixels.chunks_mut(share * bands * n).zip(valid.chunks_mut(share * n)).enumerate();
        let running: Vec<_> =
            parts.map(|(i, (out, valid))| scope.spawn(move || read_share(i * share, out, valid))).collect();
        let results: Vec<Result<()>> =
            running.into_iter().map(|t| t.join().unwrap_or_else(|p| std::panic::resume_unwind(p))).collect();
        results.into_iter().collect()
    })
}
