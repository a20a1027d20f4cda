//! Pixels to a PNG file in memory, and that to a data URL.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;

use super::geometry::SCALE;
use crate::error::{Error, Result};

/// Encodes `width × height` pixels, three bytes each, from the top left.
pub(super) fn encode(pixels: &[u8], (width, height): (u32, u32)) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // rows of a figure are mostly equal to the one above
    encoder.set_filter(png::Filter::Up);
    encoder.set_compression(png::Compression::Balanced);
    // 96 CSS pixels are an inch: viewers that heed it show the figure at its size
    let per_meter = (f64::from(96 * SCALE) / 0.0254).round() as u32;
    let unit = png::Unit::Meter;
    encoder.set_pixel_dims(Some(png::PixelDimensions { xppu: per_meter, yppu: per_meter, unit }));
    let refused = |e: png::EncodingError| Error::other(format!("figure: {e}"));
    let mut writer = encoder.write_header().map_err(refused)?;
    writer.write_image_data(pixels).map_err(refused)?;
    writer.finish().map_err(refused)?;
    Ok(bytes)
}

/// Pictures below one another, on white, as one PNG file; all of them written by [`encode`].
pub(crate) fn stacked(pictures: &[Vec<u8>]) -> Result<Vec<u8>> {
    let decoded = pictures.iter().map(|png| decode(png)).collect::<Result<Vec<_>>>()?;
    let width = decoded.iter().map(|(_, size)| size.0).max().unwrap_or(0);
    let height = decoded.iter().map(|(_, size)| size.1).sum();
    let mut pixels = Vec::with_capacity(3 * width as usize * height as usize);
    for (picture, size) in &decoded {
        for row in picture.chunks_exact(3 * size.0 as usize) {
            pixels.extend_from_slice(row);
            pixels.resize(pixels.len() + 3 * (width - size.0) as usize, 255);
        }
    }
    encode(&pixels, (width, height))
}

/// Pixels and size of a file that [`encode`] wrote.
fn decode(file: &[u8]) -> Result<(Vec<u8>, (u32, u32))> {
    let refused = |e: png::DecodingError| Error::other(format!("figure: {e}"));
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().map_err(refused)?;
    let size = reader.info().size();
    let mut pixels = vec![0; 3 * size.0 as usize * size.1 as usize];
    reader.next_frame(&mut pixels).map_err(refused)?;
    Ok((pixels, size))
}

/// The URL of an image that is its own content.
pub(super) fn data_url(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", BASE64.encode(png))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_stacked_on_white() {
        let (wide, high) = (vec![1; 3 * 2], vec![2; 3 * 2]);
        let files = [encode(&wide, (2, 1)).unwrap(), encode(&high, (1, 2)).unwrap()];
        let (pixels, size) = decode(&stacked(&files).unwrap()).unwrap();
        assert_eq!(size, (2, 3));
        assert_eq!(pixels, [1, 1, 1, 1, 1, 1, 2, 2, 2, 255, 255, 255, 2, 2, 2, 255, 255, 255]);
    }
}
