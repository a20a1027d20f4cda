//! Memory for tables of floats, aligned to cache lines.

use std::ops::{Deref, DerefMut};

/// Bytes of a cache line, and the floats that it holds.
const LINE_BYTES: usize = 64;
const LINE_LEN: usize = LINE_BYTES / size_of::<f32>();

/// Floats that start on a cache line; derefs to a slice.
#[derive(Debug)]
pub(super) struct Buffer {
    data: Vec<f32>,
    start: usize,
    len: usize,
}

impl Buffer {
    /// `len` zeros.
    pub(super) fn new(len: usize) -> Self {
        let data = vec![0.0; len + LINE_LEN];
        let start = data.as_ptr().align_offset(LINE_BYTES).min(LINE_LEN);
        Self { data, start, len }
    }
}

impl Deref for Buffer {
    type Target = [f32];
    #[inline(always)]
    fn deref(&self) -> &[f32] {
        &self.data[self.start..self.start + self.len]
    }
}

impl DerefMut for Buffer {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.data[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_start_on_a_cache_line() {
        for len in [0, 1, 16, 100] {
            let buffer = Buffer::new(len);
            assert_eq!(buffer.len(), len);
            assert_eq!(buffer.as_ptr().align_offset(64), 0);
        }
    }
}
