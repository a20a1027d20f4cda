//! The pixels of a drawn figure.

use super::png;
use crate::error::Result;

/// A drawn figure: three bytes for each device pixel, from the top left.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bitmap {
    pub(super) pixels: Vec<u8>,
    pub(super) size: (u32, u32),
}

impl Bitmap {
    pub(super) fn to_png(&self) -> Result<Vec<u8>> {
        png::encode(&self.pixels, self.size)
    }

    /// With white to the right and below, so that it has this size (which is not smaller).
    pub(super) fn padded(self, size: (u32, u32)) -> Self {
        if size == self.size {
            return self;
        }
        let mut pixels = vec![255; 3 * size.0 as usize * size.1 as usize];
        let row = 3 * self.size.0 as usize;
        for (to, from) in pixels.chunks_exact_mut(3 * size.0 as usize).zip(self.pixels.chunks_exact(row)) {
            to[..row].copy_from_slice(from);
        }
        Self { pixels, size }
    }

    /// The part at `left`, `top` of this width and height.
    pub(super) fn cut(&self, [left, top, width, height]: [u32; 4]) -> Self {
        let rows = self.pixels.chunks_exact(3 * self.size.0 as usize).skip(top as usize).take(height as usize);
        let part = |row: &[u8]| row[3 * left as usize..3 * (left + width) as usize].to_vec();
        Self { pixels: rows.flat_map(part).collect(), size: (width, height) }
    }
}
