//! A slider over plots: how something changes, one picture at a time, on a page without a kernel behind it.

use super::bitmap::Bitmap;
use super::figure::Figure;
use super::geometry::SCALE;
use super::heatmap::{Heatmap, limits};
use super::panel::Panel;
use super::png;
use crate::error::{Error, Result};
use crate::listing::escape;

/// Frames shown side by side where no slider can move.
const STILLS: usize = 4;
/// Bytes of all frames together, which are compared with one another before they are written: 1 GiB.
const MOST_BYTES: u64 = 1 << 30;
/// Makes the sliders of a page out of its elements; every slider brings it along, and each is made once.
const SCRIPT: &str = include_str!("slider.js");

/// Plots of equal size, one of which is seen at a time; a slider chooses it. The title of each names its frame.
///
/// [`display_heatmaps`] makes one of heatmaps. In a notebook it shows itself as a cell's last expression.
#[derive(Clone, PartialEq)]
pub struct Slider {
    frames: Vec<Frame>,
}

/// What is seen at a time, and its name beside the slider.
#[derive(Clone, PartialEq)]
struct Frame {
    name: String,
    figure: Figure,
    /// What stands for it among the stills: the plot itself, or nothing for a grid of plots.
    panel: Option<Panel>,
}

/// A slider over heatmaps of one shape, all in the range of colours that holds all their values (or the ranges that were set), so
/// that what changes between frames is seen. The title of each heatmap names its frame, beside the slider.
///
/// ```
/// use ntgram_core::prelude::*;
/// # fn main() -> Result<()> {
/// let growing = [1.0, 2.0, 3.0].map(|x| Heatmap::new(&[x, 0.0, 0.0, x], 2, 2));
/// let frames = growing.into_iter().enumerate().map(|(k, map)| Ok(map?.title(format!("step {k}")))).collect::<Result<_>>()?;
/// let slider = display_heatmaps(frames)?;
/// assert_eq!(slider.len(), 3);
/// # Ok(()) }
/// ```
///
/// # Errors
/// No heatmaps; heatmaps of different shapes; settings of one that do not fit its data.
pub fn display_heatmaps(heatmaps: Vec<Heatmap>) -> Result<Slider> {
    let shape = heatmaps.first().map(Heatmap::shape);
    if let Some(other) = heatmaps.iter().map(Heatmap::shape).find(|other| Some(*other) != shape) {
        let value = format!("of shapes {:?} and {other:?}", shape.unwrap_or_default());
        return Err(Error::argument("heatmaps", value, "all frames must have as many rows and columns"));
    }
    heatmaps.iter().try_for_each(Heatmap::check)?;
    let extents = heatmaps.iter().filter_map(Heatmap::extent);
    let (lo, hi) =
        limits(extents.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))), heatmaps.iter().any(Heatmap::is_diverging));
    Slider::new(heatmaps.into_iter().map(|map| map.range(lo, hi)))
}

impl Slider {
    /// A slider over these plots; the title of each names its frame. Ranges of axes and colours are each plot's own: set them alike.
    ///
    /// # Errors
    /// No frames.
    pub fn new(frames: impl IntoIterator<Item = impl Into<Panel>>) -> Result<Self> {
        let frame = |panel: Panel| {
            let name = panel.captions().title.clone();
            Frame { name, figure: panel.clone().untitled().figure(), panel: Some(panel) }
        };
        Self::of(frames.into_iter().map(Into::into).map(frame).collect())
    }

    /// A slider over whole figures, such as grids that change together; the title of each names its frame.
    ///
    /// # Errors
    /// No frames.
    pub fn of_figures(frames: impl IntoIterator<Item = Figure>) -> Result<Self> {
        let frame = |figure: Figure| Frame { name: figure.name().to_owned(), figure: figure.title(""), panel: None };
        Self::of(frames.into_iter().map(frame).collect())
    }

    fn of(frames: Vec<Frame>) -> Result<Self> {
        if frames.is_empty() {
            return Err(Error::argument("frames", "empty", "a slider needs at least one frame"));
        }
        Ok(Self { frames })
    }

    /// Number of frames.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there are no frames (never).
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The plots of a slider over plots, in their order; none for one over figures.
    pub fn frames(&self) -> Vec<&Panel> {
        self.frames.iter().filter_map(|frame| frame.panel.as_ref()).collect()
    }

    /// Up to four plots side by side, the first and the last among them: what is seen where nothing moves, as on GitHub. Of a slider over
    /// figures the first one.
    pub fn stills(&self) -> Figure {
        let last = self.frames.len() - 1;
        let count = self.frames.len().min(STILLS);
        let chosen: Option<Vec<Panel>> =
            (0..count).map(|k| self.frames[(k * last) / (count - 1).max(1)].panel.clone()).collect();
        match chosen {
            Some(panels) => Figure::grid(count).with_all(panels),
            None => self.frames[0].figure.clone(),
        }
    }

    /// [`stills`](Self::stills) as a PNG file.
    ///
    /// # Errors
    /// As for [`Figure::to_png`].
    pub fn to_png(&self) -> Result<Vec<u8>> {
        self.stills().to_png()
    }

    /// The slider as an HTML element with its script; nothing is fetched. Where scripts do not run, the element shows the
    /// [`stills`](Self::stills).
    ///
    /// # Errors
    /// As for [`Figure::to_png`]; frames whose pictures take more than 1 GiB.
    pub fn to_html(&self) -> Result<String> {
        self.html_with(&self.stills().to_html()?)
    }

    /// [`to_html`](Self::to_html) with the stills drawn already.
    pub(crate) fn html_with(&self, stills: &str) -> Result<String> {
        let frames = self.drawn()?;
        let (width, height) = frames[0].size;
        let area = changing(&frames);
        let base = png::data_url(&frames[0].to_png()?);
        let cut = |frame: &Bitmap| Ok(png::data_url(&frame.cut(area).to_png()?));
        let cuts = frames.iter().map(cut).collect::<Result<Vec<_>>>()?.join(" ");
        let titles: Vec<&str> = self.frames.iter().map(|frame| frame.name.as_str()).collect();
        let titles = escape(&serde_json::to_string(&titles).expect("text has a JSON form"));
        let scale = f64::from(SCALE);
        let share = |part: u32, whole: u32| 100.0 * f64::from(part) / f64::from(whole);
        let place = [share(area[0], width), share(area[1], height), share(area[2], width), share(area[3], height)];
        let place = place.map(|percent| format!("{percent:.6}")).join(" ");
        Ok(format!(
            "<div class=\"ntgram-slider\" data-size=\"{} {}\" data-place=\"{place}\" data-titles=\"{titles}\" data-base=\"{base}\" \
             data-frames=\"{cuts}\">{stills}</div>\n<script>\n{SCRIPT}</script>",
            f64::from(width) / scale,
            f64::from(height) / scale,
        ))
    }

    /// The frames without their titles, which stand beside the slider, on bitmaps of one size.
    fn drawn(&self) -> Result<Vec<Bitmap>> {
        let mut largest = (0, 0);
        for frame in &self.frames {
            let size = frame.figure.size()?;
            largest = (size.0.max(largest.0), size.1.max(largest.1));
        }
        let pixels = u64::from(largest.0) * u64::from(largest.1) * u64::from(SCALE).pow(2);
        if pixels.saturating_mul(3 * self.frames.len() as u64) > MOST_BYTES {
            let value = format!("{} pictures of {} × {} pixels", self.frames.len(), largest.0, largest.1);
            return Err(Error::argument("frames", value, "so many do not fit in memory: show fewer, or smaller ones"));
        }
        let frames = self.frames.iter().map(|frame| frame.figure.bitmap()).collect::<Result<Vec<_>>>()?;
        let size = frames.iter().fold((0, 0), |size, frame| (size.0.max(frame.size.0), size.1.max(frame.size.1)));
        Ok(frames.into_iter().map(|frame| frame.padded(size)).collect())
    }
}

/// Left, top, width and height of the smallest area outside of which all frames are alike, in whole CSS pixels' device pixels.
fn changing(frames: &[Bitmap]) -> [u32; 4] {
    let (width, height) = frames[0].size;
    let stride = 3 * width as usize;
    let (mut left, mut right, mut top, mut bottom) = (width, 0, height, 0);
    for frame in &frames[1..] {
        let rows = frames[0].pixels.chunks_exact(stride).zip(frame.pixels.chunks_exact(stride));
        for (y, (a, b)) in rows.enumerate().filter(|(_, (a, b))| a != b) {
            let differs = |x: &usize| a[3 * x..3 * x + 3] != b[3 * x..3 * x + 3];
            let mut columns = (0..width as usize).filter(differs);
            let first = columns.next().unwrap_or(0);
            let last = columns.next_back().unwrap_or(first);
            (left, right) = (left.min(first as u32), right.max(last as u32 + 1));
            (top, bottom) = (top.min(y as u32), bottom.max(y as u32 + 1));
        }
    }
    if left >= right {
        return [0, 0, SCALE, SCALE];
    }
    let (left, top) = (left / SCALE * SCALE, top / SCALE * SCALE);
    let up = |end: u32, whole: u32| end.next_multiple_of(SCALE).min(whole);
    [left, top, up(right, width) - left, up(bottom, height) - top]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maps(scales: &[f64]) -> Vec<Heatmap> {
        let map =
            |(k, x): (usize, &f64)| Heatmap::new(&[*x, -x, 0.0, 0.5 * x], 2, 2).unwrap().title(format!("step <{k}>"));
        scales.iter().enumerate().map(map).collect()
    }

    #[test]
    fn frames_have_one_range_of_colours_and_one_size() {
        let slider = display_heatmaps(maps(&[1.0, 10.0, 100.0])).unwrap();
        let ranges: Vec<(f64, f64)> = slider
            .frames()
            .iter()
            .map(|frame| match frame {
                Panel::Heatmap(map) => map.limits(),
                _ => panic!("a heatmap"),
            })
            .collect();
        assert_eq!(ranges, [(-100.0, 100.0); 3]);
        let drawn = slider.drawn().unwrap();
        assert!(drawn.iter().all(|frame| frame.size == drawn[0].size));
    }

    #[test]
    fn a_diverging_range_is_common_too() {
        let diverging = maps(&[1.0, 3.0]).into_iter().map(Heatmap::diverging).collect();
        let slider = display_heatmaps(diverging).unwrap();
        assert!(
            slider.frames().iter().all(|frame| matches!(frame, Panel::Heatmap(map) if map.limits() == (-3.0, 3.0)))
        );
    }

    #[test]
    fn html_holds_every_frame_its_escaped_name_and_the_stills() {
        let slider = display_heatmaps(maps(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])).unwrap();
        let html = slider.to_html().unwrap();
        // six frames, the picture below them, the stills
        assert_eq!(html.matches("data:image/png;base64,").count(), 8);
        assert!(html.contains("step &lt;5&gt;") && !html.contains("step <"), "names are escaped");
        assert!(html.contains(&slider.stills().to_html().unwrap()));
        assert!(!html.contains("http"), "nothing is fetched");
    }

    #[test]
    fn what_changes_laid_over_the_first_frame_is_the_frame() {
        let slider = display_heatmaps(maps(&[1.0, 2.0, 5.0])).unwrap();
        let frames = slider.drawn().unwrap();
        let area = changing(&frames);
        assert!(area[2] < frames[0].size.0 && area[3] < frames[0].size.1, "{area:?}");
        for frame in &frames {
            let mut laid = frames[0].clone();
            let cut = frame.cut(area);
            let (row, width) = (3 * area[2] as usize, laid.size.0 as usize);
            for (y, pixels) in cut.pixels.chunks_exact(row).enumerate() {
                let at = 3 * ((area[1] as usize + y) * width + area[0] as usize);
                laid.pixels[at..at + row].copy_from_slice(pixels);
            }
            assert!(laid == *frame);
        }
    }

    #[test]
    fn one_frame_and_equal_frames_work() {
        assert!(display_heatmaps(maps(&[1.0])).unwrap().to_html().is_ok());
        assert!(display_heatmaps(maps(&[1.0, 1.0])).unwrap().to_html().is_ok());
    }

    #[test]
    fn the_stills_begin_with_the_first_and_end_with_the_last_frame() {
        for count in [1, 2, 3, 4, 5, 11] {
            let slider = display_heatmaps(maps(&vec![1.0; count])).unwrap();
            let stills = slider.stills();
            let panels = stills.panels();
            assert_eq!(panels.len(), count.min(4));
            assert_eq!(panels[0], *slider.frames()[0]);
            assert_eq!(panels[panels.len() - 1], *slider.frames()[count - 1]);
        }
    }

    #[test]
    fn grids_change_together_and_the_first_is_the_still() {
        let grid = |k: usize| Figure::grid(2).with_all(maps(&[1.0, k as f64])).title(format!("turn {k}"));
        let slider = Slider::of_figures((1..4).map(grid)).unwrap();
        assert_eq!((slider.len(), slider.frames().len()), (3, 0));
        assert!(slider.stills() == grid(1).title(""));
        let html = slider.to_html().unwrap();
        assert!(html.contains("turn 3") && html.matches("data:image/png;base64,").count() == 5, "{}", html.len());
        assert!(Slider::of_figures([]).is_err());
    }

    #[test]
    fn wrong_frames_are_refused() {
        assert!(display_heatmaps(vec![]).unwrap_err().to_string().contains("at least one frame"));
        let mut mixed = maps(&[1.0]);
        mixed.push(Heatmap::new(&[1.0, 2.0], 1, 2).unwrap());
        let error = display_heatmaps(mixed).unwrap_err().to_string();
        assert!(error.contains("(2, 2)") && error.contains("(1, 2)"), "{error}");
    }
}
