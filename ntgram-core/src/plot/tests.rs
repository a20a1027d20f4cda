//! Whole figures, as files: sizes, pixels, documents, errors.

use proptest::prelude::*;

use super::bitmap::Bitmap;
use super::colors::{self, Rgb};
use super::*;
use crate::error::{Error, Result};

struct Picture {
    pixels: Vec<u8>,
    width: usize,
    height: usize,
}

impl Picture {
    fn of(figure: &Figure) -> Self {
        let png = figure.to_png().unwrap();
        let mut reader = ::png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.color_type, info.bit_depth), (::png::ColorType::Rgb, ::png::BitDepth::Eight));
        assert_eq!(reader.info().pixel_dims.map(|d| d.xppu), Some(7559));
        Self { pixels, width: info.width as usize, height: info.height as usize }
    }

    fn from(bitmap: Bitmap) -> Self {
        let (width, height) = bitmap.size;
        Self { pixels: bitmap.pixels, width: width as usize, height: height as usize }
    }

    fn at(&self, x: usize, y: usize) -> Rgb {
        let k = 3 * (y * self.width + x);
        (self.pixels[k], self.pixels[k + 1], self.pixels[k + 2])
    }

    /// The first rectangle, from the top left, of pixels of this colour: left, top, and the first column and row after it.
    fn rectangle(&self, color: Rgb) -> (usize, usize, usize, usize) {
        let (left, top) = (0..self.height)
            .flat_map(|y| (0..self.width).map(move |x| (x, y)))
            .find(|&(x, y)| self.at(x, y) == color)
            .expect("no pixel of this colour");
        let right = (left..self.width).find(|&x| self.at(x, top) != color).unwrap();
        let bottom = (top..self.height).find(|&y| self.at(left, y) != color).unwrap();
        (left, top, right, bottom)
    }

    fn count(&self, color: Rgb) -> usize {
        self.pixels.chunks_exact(3).filter(|p| (p[0], p[1], p[2]) == color).count()
    }

    /// Whether everything but white keeps away from the picture's edges.
    fn has_white_edges(&self) -> bool {
        let across = (0..self.width).flat_map(|x| [(x, 0), (x, self.height - 1)]);
        let down = (0..self.height).flat_map(|y| [(0, y), (self.width - 1, y)]);
        across.chain(down).all(|(x, y)| self.at(x, y) == (255, 255, 255))
    }
}

/// Values of a `rows × cols` matrix, all different, from 0 to 1.
fn ramp(rows: usize, cols: usize) -> Vec<f64> {
    (0..rows * cols).map(|k| k as f64 / (rows * cols - 1) as f64).collect()
}

/// Checks that every cell has one colour throughout, that of its value, without seams.
fn check_cells(figure: &Figure, rows: usize, cols: usize, cell: (usize, usize), color: impl Fn(usize, usize) -> Rgb) {
    let picture = Picture::of(figure);
    let (left, top, ..) = picture.rectangle(color(0, 0));
    for y in 0..rows * cell.1 {
        for x in 0..cols * cell.0 {
            let expected = color(y / cell.1, x / cell.0);
            assert_eq!(picture.at(left + x, top + y), expected, "pixel ({x}, {y})");
        }
    }
}

#[test]
fn pictures_have_two_pixels_for_each_css_pixel() {
    let line = || LinePlot::new().line("loss", &[3.0, 2.0, 1.0]).title("Loss").x_label("Step").y_label("Loss (nats)");
    let figures = [
        line().figure(),
        Heatmap::new(&ramp(3, 4), 3, 4).unwrap().figure(),
        BarChart::new(&[1.0, -2.0]).unwrap().figure(),
        Plane::new(&[1.0, -0.2, 0.0], &[0.1, 3.0, 0.0]).unwrap().polygon().title("W_U").figure(),
        Figure::grid(2).with_all([line(), line(), line()]).title("All"),
        line().figure().with_size(501, 333),
    ];
    for figure in &figures {
        let picture = Picture::of(figure);
        let (width, height) = figure.size().unwrap();
        assert_eq!((picture.width, picture.height), (2 * width as usize, 2 * height as usize));
        assert!(picture.has_white_edges());
    }
    assert_eq!(figures[5].size().unwrap(), (501, 333));
}

#[test]
fn cells_have_the_colour_of_their_value_and_no_seams() {
    let (rows, cols) = (11, 7);
    let values = ramp(rows, cols);
    let figure = Heatmap::new(&values, rows, cols).unwrap().figure();
    check_cells(&figure, rows, cols, (72, 72), |r, c| colors::sequential(values[r * cols + c]));
}

#[test]
fn cells_of_a_large_matrix_are_whole_pixels() {
    let values = ramp(100, 100);
    let figure = Heatmap::new(&values, 100, 100).unwrap().range(0.0, 1.0).figure();
    check_cells(&figure, 100, 100, (8, 8), |r, c| colors::sequential(values[r * 100 + c]));
    check_cells(&figure.with_size(360, 290), 100, 100, (4, 4), |r, c| colors::sequential(values[r * 100 + c]));
}

#[test]
fn diverging_colours_are_white_at_zero_and_equally_far_on_both_sides() {
    let values = [0.0, 1.0, -1.0, -4.0];
    let figure = Heatmap::new(&values, 2, 2).unwrap().diverging().figure();
    let color =
        |k: usize| [colors::WHITE, colors::diverging(0.625), colors::diverging(0.375), colors::diverging(0.0)][k];
    let picture = Picture::of(&figure);
    let (left, top, ..) = picture.rectangle(color(1));
    for (k, (dx, dy)) in [(-1i32, 0), (0, 0), (-1, 1), (0, 1)].into_iter().enumerate() {
        let at = |from: usize, d: i32| (from as i32 + d * 160 + 80) as usize;
        assert_eq!(picture.at(at(left, dx), at(top, dy)), color(k), "cell {k}");
    }
}

#[test]
fn missing_cells_are_grey_and_infinite_ones_have_the_end_colours() {
    let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, 1.0, 0.5];
    let figure = Heatmap::new(&values, 1, 6).unwrap().figure();
    let colors: Vec<Rgb> = [0.0, 1.0, 0.0, 0.0, 1.0, 0.5].map(colors::sequential).to_vec();
    check_cells(&figure, 1, 6, (96, 160), |_, c| if c == 0 { colors::MISSING } else { colors[c] });
    for nothing in [f64::NAN, 0.0, -7.5, f64::MAX, f64::INFINITY] {
        for heatmap in [Heatmap::new(&[nothing], 1, 1).unwrap(), Heatmap::new(&[nothing], 1, 1).unwrap().diverging()] {
            assert!(Picture::of(&heatmap.annotated().figure()).has_white_edges(), "{nothing}");
        }
    }
}

#[test]
fn a_matrix_larger_than_the_figure_is_drawn_by_means() {
    let (rows, cols) = (6, 4000);
    let values: Vec<f64> = (0..rows * cols).map(|k| if k % 2 == 0 { 0.0 } else { 1.0 }).collect();
    let picture = Picture::of(&Heatmap::new(&values, rows, cols).unwrap().range(0.0, 2.0).figure());
    assert!(picture.width < 2000, "{}", picture.width);
    // blocks of 3 columns and 3 rows hold 3 or 6 ones among 9
    let means = [1.0 / 6.0, 1.0 / 3.0].map(|t| picture.count(colors::sequential(t)));
    assert!(means.iter().all(|&count| count > 1000), "{means:?}");
}

#[test]
fn annotations_are_drawn_where_they_fit() {
    let plain = Heatmap::new(&ramp(3, 3), 3, 3).unwrap();
    let annotated = plain.clone().annotated().figure();
    let svg = annotated.to_svg().unwrap();
    assert!(svg.contains("0.12") && svg.contains("1.00"), "{svg}");
    let small = annotated.with_size(150, 100).to_svg().unwrap();
    assert!(!small.contains("0.12"));
}

#[test]
fn bars_reach_their_values() {
    let figure = BarChart::new(&[1.0, -2.0, f64::NAN, 0.5]).unwrap().sign_colors(Color::Blue, Color::Red).figure();
    let picture = Picture::of(&figure);
    let height = |color: Color| {
        let (_, top, _, bottom) = picture.rectangle(color.rgb());
        bottom - top
    };
    let (up, down) = (height(Color::Blue) as f64, height(Color::Red) as f64);
    assert!((down / up - 2.0).abs() < 0.02, "{up} {down}");
    let total = picture.count(Color::Blue.rgb()) as f64 / picture.count(Color::Red.rgb()) as f64;
    assert!((total - 0.75).abs() < 0.02, "{total}");
}

#[test]
fn curves_and_baselines_have_their_colours() {
    let plot = LinePlot::new().line("a", &[0.0, 1.0, 0.0]).line("b", &[1.0, 0.0, 1.0]).color(Color::Purple).hline(
        "low",
        0.25,
        Color::Blue,
    );
    let picture = Picture::of(&plot.figure());
    for color in [Color::Orange, Color::Purple, Color::Blue] {
        assert!(picture.count(color.rgb()) > 500, "{color:?}");
    }
    // the baseline took blue, so the first curve got the next colour, and no curve got the third
    assert_eq!(picture.count(Color::Green.rgb()), 0);
}

#[test]
fn long_curves_keep_their_extremes() {
    let mut ys = vec![0.5; 50_000];
    (ys[20_000], ys[30_000]) = (10.0, -10.0);
    let picture = Picture::of(&LinePlot::new().line("", &ys).color(Color::Red).y_range(-10.0, 10.0).figure());
    let red: Vec<usize> =
        (0..picture.height).filter(|&y| (0..picture.width).any(|x| picture.at(x, y) == Color::Red.rgb())).collect();
    // the plot is 680 pixels high
    assert!(red.len() > 660, "{}", red.len());
}

#[test]
fn gaps_log_axes_and_odd_values_are_drawn() {
    let odd = [f64::NAN, 1.0, f64::INFINITY, 2.0, 3.0, f64::NAN, f64::NAN, f64::MAX, f64::MIN];
    let plots = [
        LinePlot::new().line("odd", &odd),
        LinePlot::new().line("zero", &[0.0, -1.0, 1e-9, 5.0]).log_y(),
        LinePlot::new().line("one", &[2.0]),
        LinePlot::new().line_xy("vertical", &[1.0, 1.0], &[0.0, 5.0]),
        LinePlot::new().line_xy("back", &[1.0, 0.0, -1e300], &[0.0, 5.0, 1e-300]),
        LinePlot::new().line("outside", &[5.0, 6.0]).y_range(0.0, 1.0),
        LinePlot::new().line("loss", &odd).log_y().hline("far", 1e300, Color::Red).y_range(1e-5, 1.0),
        LinePlot::new().line("steps from 0", &[5.0, 6.0, 7.0]).log_x(),
        LinePlot::new().line_xy("far apart", &[-1.0, 5e-324, f64::MAX], &[1.0, 2.0, 3.0]).log_x().dashed(),
        LinePlot::new().line("bars", &odd).error_bars(&[
            0.0,
            1.0,
            2.0,
            f64::NAN,
            f64::INFINITY,
            1.0,
            1.0,
            f64::MAX,
            5.0,
        ]),
        LinePlot::new().dots("to below 0", &[1.0, 2.0]).error_bars(&[3.0, 0.5]).log_y(),
        LinePlot::new().band("gaps", &[0.0; 9], &odd, &[1.0; 9]).log_y(),
        LinePlot::new().band("outside", &[0.0, 1.0], &[5.0; 2], &[6.0; 2]).y_range(0.0, 1.0),
        LinePlot::new().band("from below 0", &[1.0, 2.0, 3.0], &[-1.0, 0.0, 0.5], &[1.0; 3]).log_x().log_y(),
    ];
    for plot in plots {
        let figure = plot.figure();
        assert!(Picture::of(&figure).has_white_edges());
        check_document(&figure.to_svg().unwrap());
    }
}

/// Columns of this colour that lie beside one another: middle, and height of what has the colour in them.
fn groups(picture: &Picture, color: Rgb) -> Vec<(f64, usize)> {
    let rows = |x: usize| (0..picture.height).filter(move |&y| picture.at(x, y) == color);
    let columns: Vec<usize> = (0..picture.width).filter(|&x| rows(x).next().is_some()).collect();
    let extent = |group: &[usize]| {
        let top = group.iter().filter_map(|&x| rows(x).next()).min().unwrap();
        let bottom = group.iter().filter_map(|&x| rows(x).next_back()).max().unwrap();
        ((group[0] + group[group.len() - 1]) as f64 / 2.0, bottom + 1 - top)
    };
    columns.chunk_by(|a, b| a + 1 == *b).map(extent).collect()
}

#[test]
fn error_bars_reach_their_ends() {
    let plot = LinePlot::new().dots_xy("", &[1.0, 2.0, 3.0, 4.0], &[2.0, 5.0, 8.0, 9.0]);
    let plot = plot.error_bars(&[1.0, 2.0, f64::NAN, 4.0]).color(Color::Red);
    let heights = |plot: LinePlot| -> Vec<usize> {
        groups(&Picture::of(&plot.figure()), Color::Red.rgb()).into_iter().map(|group| group.1).collect()
    };
    // 680 pixels for 10 units; two for the strokes at the ends, one of them at the edge that cuts the last bar off; the third is a dot
    let [first, second, third, last] = heights(plot.clone().y_range(0.0, 10.0))[..] else { panic!() };
    assert_eq!((first, second, last), (136 + 2, 272 + 2, 340 + 1));
    assert!((9..=11).contains(&third), "{third}");
    // the axis goes as far as the bars do, with a margin of a twentieth of that, 1 to 13, on both sides
    let [first, second, _, last] = heights(plot.clone())[..] else { panic!() };
    for (got, units) in [(first, 2.0), (second, 4.0), (last, 8.0)] {
        assert!((got as f64 - 680.0 * units / (12.0 * 1.1) - 2.0).abs() <= 1.0, "{got} {units}");
    }
    // a logarithmic axis has a decade below a bar that reaches below 0, and the bar goes to its edge
    let log = LinePlot::new().dots("", &[1.0, 10.0]).error_bars(&[2.0, 0.0]).color(Color::Red).log_y();
    // from the edge, a decade and a margin of 0.1 below 1, to 3; the axis shows two decades and both margins
    let expected = 680.0 * (1.1 + 3f64.log10()) / 2.2 + 1.0;
    assert!((heights(log)[0] as f64 - expected).abs() <= 1.0, "{expected}");
}

#[test]
fn equal_ratios_are_equally_far_apart_on_a_logarithmic_axis() {
    for marker in [Marker::Dot, Marker::Square, Marker::Diamond, Marker::Triangle, Marker::Ring, Marker::Cross] {
        let plot = LinePlot::new().dots_xy("", &[0.1, 1.0, 10.0, 100.0], &[1.0; 4]).marker(marker).log_x();
        let picture = Picture::of(&plot.color(Color::Red).figure());
        let middles: Vec<f64> = match marker {
            // both sides of a ring are groups of their own
            Marker::Ring => {
                let sides = groups(&picture, Color::Red.rgb());
                sides.chunks(sides.len() / 4).map(|all| (all[0].0 + all[all.len() - 1].0) / 2.0).collect()
            }
            _ => groups(&picture, Color::Red.rgb()).into_iter().map(|group| group.0).collect(),
        };
        let [a, b, c, d] = middles[..] else { panic!("{marker:?}: {middles:?}") };
        assert!((b - a - (c - b)).abs() <= 1.5 && (c - b - (d - c)).abs() <= 1.5 && b - a > 200.0, "{middles:?}");
    }
}

#[test]
fn bands_shade_what_lies_between_their_ends() {
    let band = |low: f64, high: f64| {
        let (xs, lows, highs) = ([0.0, 1.0, 2.0], [low; 3], [high; 3]);
        LinePlot::new().band("", &xs, &lows, &highs).color(Color::Blue).y_range(0.0, 1.0)
    };
    let picture = Picture::of(&band(0.25, 0.75).figure());
    let shade = picture.at(picture.width / 2, picture.height / 2);
    let expected = colors::mix(colors::WHITE, Color::Blue.rgb(), 0.2);
    let apart = [shade.0.abs_diff(expected.0), shade.1.abs_diff(expected.1), shade.2.abs_diff(expected.2)];
    assert!(apart.iter().all(|d| *d <= 1), "{shade:?} {expected:?}");
    let heights: Vec<usize> = groups(&picture, shade).into_iter().map(|group| group.1).collect();
    assert_eq!(heights.len(), 1);
    assert!((339..=341).contains(&heights[0]), "{heights:?}");
    // whichever of the ends is the upper one; and a curve lies above the shade
    let other = band(0.75, 0.25).line_xy("", &[0.0, 2.0], &[0.5, 0.5]).color(Color::Red);
    let other = Picture::of(&other.figure());
    assert!(groups(&other, shade)[0].1.abs_diff(heights[0]) <= 1);
    assert!(other.count(Color::Red.rgb()) > 1000);
}

#[test]
fn dashed_curves_have_less_ink_than_whole_ones() {
    let curve = || LinePlot::new().line_xy("", &[0.0, 1.0, 2.0], &[0.2, 0.8, 0.4]).color(Color::Red).y_range(0.0, 1.0);
    let ink = |plot: LinePlot| {
        let picture = Picture::of(&plot.figure());
        picture.pixels.chunks_exact(3).map(|p| f64::from(p[0]) - f64::from(p[2])).filter(|d| *d > 60.0).sum::<f64>()
    };
    // dots at its three points take some
    let (whole, dashed) = (ink(curve()), ink(curve().dashed()));
    assert!((0.6..0.8).contains(&(dashed / whole)), "{dashed} {whole}");
    let svg = curve().dashed().figure().to_svg().unwrap();
    check_document(&svg);
    assert!(svg.matches("<polyline").count() > 40);
}

/// Checks that tags are balanced and that `<`, `>` and `&` occur as markup only.
fn check_document(svg: &str) {
    let mut open = Vec::new();
    let mut rest = svg;
    while let Some(start) = rest.find('<') {
        let text = &rest[..start];
        assert!(!text.contains('>'), "{text}");
        for entity in text.split('&').skip(1) {
            assert!(["lt;", "gt;", "amp;", "quot;", "apos;"].iter().any(|e| entity.starts_with(e)), "{entity}");
        }
        let end = start + rest[start..].find('>').expect("a tag without end");
        let tag = &rest[start + 1..end];
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap_or_default());
        }
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest}");
}

#[test]
fn documents_are_well_formed_and_hold_their_texts() {
    let heatmap = Heatmap::new(&ramp(60, 60), 60, 60).unwrap().title("W_U W_Uᵀ < α & \"‖x‖²\"").x_label("Position 1");
    let line = LinePlot::new().line("a<b", &[1.0, 2.0]).hline("log N − H", 1.5, Color::Red);
    let bars = BarChart::new(&[1.0, 2.0]).unwrap().labels(["R&D", "Ŵ"]);
    let plane = Plane::new(&[1.0, 2.0, 0.0], &[2.0, 0.0, 0.0]).unwrap().labels(["to&", "x", "o"]).polygon();
    let plane = plane.dots(&[0.5], &[-0.5], Color::Blue);
    let figure = Figure::grid(2).with(heatmap).with(line).with(bars).with(plane).title("Everything");
    let svg = figure.to_svg().unwrap();
    check_document(&svg);
    for text in [
        "ᵀ &lt; α &amp; &quot;‖x‖²&quot;",
        "Position 1",
        "a&lt;b",
        "log N − H",
        "R&amp;D",
        "Ŵ",
        "to&amp;",
        "Everything",
    ] {
        assert!(svg.contains(text), "{text}");
    }
    let (width, height) = figure.size().unwrap();
    let viewed = format!("viewBox=\"0 0 {} {}\"", 16 * width, 16 * height);
    assert!(svg.starts_with(&format!("<svg width=\"{width}\" height=\"{height}\" {viewed}")), "{}", &svg[..200]);
    // 3600 cells are one image, above the background and below everything else
    let image = svg.find("<image").unwrap();
    assert_eq!(svg.matches("<image").count(), 1);
    assert_eq!(svg[..image].matches("<rect ").count(), 1);
}

#[test]
fn html_shows_the_png_at_its_size() {
    let figure = LinePlot::new().line("", &[1.0, 2.0]).figure().with_size(300, 200);
    let html = figure.to_html().unwrap();
    assert!(html.starts_with("<img width=\"300\" height=\"200\" "), "{}", &html[..100]);
    // the first eight bytes of every PNG file
    assert!(html.contains("src=\"data:image/png;base64,iVBORw0KGg"));
}

#[test]
fn files_are_whole_and_named_png_or_svg() {
    let folder = tempfile::tempdir().unwrap();
    let figure = LinePlot::new().line("", &[1.0, 2.0]).figure();
    let path = |name: &str| folder.path().join("new").join("folder").join(name);
    figure.save(path("a.png")).unwrap();
    assert_eq!(std::fs::read(path("a.png")).unwrap(), figure.to_png().unwrap());
    figure.save(path("a.SVG")).unwrap();
    assert_eq!(std::fs::read_to_string(path("a.SVG")).unwrap(), figure.to_svg().unwrap());
    for name in ["a.pdf", "a", ""] {
        let message = figure.save(path(name)).unwrap_err().to_string();
        assert!(message.contains(".png") && message.contains(".svg"), "{message}");
    }
    // a figure that cannot be drawn leaves the file as it was
    figure.clone().with_size(0, 10).save(path("a.png")).unwrap_err();
    assert_eq!(std::fs::read(path("a.png")).unwrap(), figure.to_png().unwrap());
    assert_eq!(std::fs::read_dir(folder.path().join("new/folder")).unwrap().count(), 2);
}

#[test]
fn wrong_arguments_are_named() {
    let heatmap = || Heatmap::new(&ramp(2, 3), 2, 3).unwrap();
    let line = || LinePlot::new().line("loss", &[1.0, 2.0]);
    let bars = || BarChart::new(&[1.0, 2.0]).unwrap();
    let vectors = || Plane::new(&[1.0, 2.0], &[1.0, -1.0]).unwrap();
    fn drawn(plot: impl Into<Panel>) -> Result<()> {
        Figure::new(plot).to_png().map(drop)
    }
    let cases: Vec<(&str, Result<()>)> = vec![
        ("rows", Heatmap::new(&[], 0, 3).map(drop)),
        ("cols", Heatmap::new(&[], 3, 0).map(drop)),
        ("values", Heatmap::new(&[1.0; 5], 2, 3).map(drop)),
        ("values", Heatmap::new(&[1.0], usize::MAX, 2).map(drop)),
        ("range", drawn(heatmap().range(1.0, 1.0))),
        ("range", drawn(heatmap().range(0.0, f64::NAN))),
        ("row_labels", drawn(heatmap().row_labels(["a"]))),
        ("row_labels", drawn(heatmap().row_label(2, "a"))),
        ("col_labels", drawn(heatmap().col_labels([""; 0]))),
        ("col_labels", drawn(heatmap().col_label(3, "a"))),
        ("series", drawn(LinePlot::new())),
        ("ys", drawn(LinePlot::new().line("loss", &[]))),
        ("ys", drawn(LinePlot::new().line("loss", &[f64::NAN]))),
        ("ys", drawn(LinePlot::new().line("loss", &[-1.0]).log_y())),
        ("xs", drawn(LinePlot::new().line_xy("loss", &[1.0], &[1.0, 2.0]))),
        ("xs", drawn(LinePlot::new().line_xy("loss", &[f64::NAN, 1.0], &[1.0, 2.0]))),
        ("y", drawn(line().hline("random", f64::NAN, Color::Red))),
        ("y", drawn(line().hline("random", 0.0, Color::Red).log_y())),
        ("y_range", drawn(line().y_range(2.0, 1.0))),
        ("y_range", drawn(line().y_range(0.0, 1.0).log_y())),
        ("xs", drawn(LinePlot::new().line_xy("loss", &[0.0, -1.0], &[1.0, 2.0]).log_x())),
        ("xs", drawn(LinePlot::new().line_xy("loss", &[0.0, 1.0], &[1.0, f64::NAN]).log_x())),
        ("errors", drawn(line().error_bars(&[1.0]))),
        ("errors", drawn(line().error_bars(&[1.0, -1.0]))),
        ("errors", drawn(LinePlot::new().error_bars(&[1.0]).line("loss", &[1.0]))),
        ("marker", drawn(LinePlot::new().marker(Marker::Ring).line("loss", &[1.0]))),
        ("dashed", drawn(LinePlot::new().dots("loss", &[1.0]).dashed())),
        ("xs", drawn(line().band("fit", &[1.0], &[1.0; 2], &[2.0; 2]))),
        ("xs", drawn(line().band("fit", &[1.0, 0.5], &[1.0; 2], &[2.0; 2]))),
        ("lows", drawn(line().band("fit", &[0.0, 1.0], &[1.0], &[2.0; 2]))),
        ("lows", drawn(line().band("fit", &[0.0, 1.0], &[f64::NAN; 2], &[2.0; 2]))),
        ("highs", drawn(line().band("fit", &[0.0, 1.0], &[1.0; 2], &[f64::NAN; 2]))),
        ("highs", drawn(line().band("fit", &[], &[], &[]))),
        ("errors", drawn(line().band("fit", &[0.0, 1.0], &[1.0; 2], &[2.0; 2]).error_bars(&[1.0; 2]))),
        ("values", BarChart::new(&[]).map(drop)),
        ("values", BarChart::new(&[f64::NAN]).map(drop)),
        ("labels", drawn(bars().labels(["a"]))),
        ("y_range", drawn(bars().y_range(1.0, f64::INFINITY))),
        ("xs", Plane::new(&[], &[]).map(drop)),
        ("xs", Plane::new(&[f64::NAN], &[0.0]).map(drop)),
        ("ys", Plane::new(&[1.0], &[f64::INFINITY]).map(drop)),
        ("ys", Plane::new(&[1.0], &[]).map(drop)),
        ("ys", drawn(vectors().dots(&[1.0, 2.0], &[1.0], Color::Red))),
        ("labels", drawn(vectors().labels(["a"]))),
        ("labels", drawn(vectors().label(2, "a"))),
        ("colors", drawn(vectors().colors(&[Color::Red]))),
        ("reach", drawn(vectors().reach(0.0))),
        ("panels", Figure::grid(2).to_png().map(drop)),
        ("columns", Figure::grid(0).with(line()).to_svg().map(drop)),
        ("size", line().figure().with_size(0, 100).to_png().map(drop)),
        ("size", line().figure().with_size(100, 20).to_png().map(drop)),
        ("size", line().figure().with_size(u32::MAX, u32::MAX).size().map(drop)),
    ];
    for (k, (name, result)) in cases.into_iter().enumerate() {
        match result {
            Err(Error::Argument { argument, .. }) => assert_eq!(argument, name, "case {k}"),
            other => panic!("case {k}, {name}: {other:?}"),
        }
    }
}

#[test]
fn the_least_size_that_an_error_names_is_enough() {
    let figure = Figure::grid(2).with_all(vec![LinePlot::new().line("loss", &[1.0, 2.0]).title("Loss"); 4]);
    let message = figure.clone().with_size(20, 20).to_png().unwrap_err().to_string();
    let numbers: Vec<u32> = message.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
    let &[_, _, width, height] = &numbers[..] else { panic!("{message}") };
    let picture = Picture::of(&figure.with_size(width, height));
    assert_eq!((picture.width, picture.height), (2 * width as usize, 2 * height as usize));
}

#[test]
fn arrows_start_in_the_middle_and_have_their_colours() {
    // along the axes, and so far that the heads end where they must
    let colors = [Color::Red, Color::Blue, Color::Green, Color::Purple];
    let (xs, ys) = ([3.0, 0.0, -3.0, 0.0], [0.0, 1.5, 0.0, -1.5]);
    let plane = || Plane::new(&xs, &ys).unwrap().reach(4.0).colors(&colors);
    let picture = Picture::of(&plane().figure());
    let places = |color: Color| -> Vec<(usize, usize)> {
        let all = (0..picture.height).flat_map(|y| (0..picture.width).map(move |x| (x, y)));
        all.filter(|&(x, y)| picture.at(x, y) == color.rgb()).collect()
    };
    // (left, top, right, bottom) of each arrow
    let extents = colors.map(|color| {
        let all = places(color);
        assert!(all.len() > 200, "{color:?}");
        let (xs, ys) = (all.iter().map(|p| p.0 as f64), all.iter().map(|p| p.1 as f64));
        let (left, right) = (xs.clone().fold(f64::MAX, f64::min), xs.fold(0.0, f64::max));
        (left, ys.clone().fold(f64::MAX, f64::min), right, ys.fold(0.0, f64::max))
    });
    let [red, blue, green, purple] = extents;
    // 400 CSS pixels for 8 units: 100 device pixels a unit
    let middle = ((blue.0 + blue.2) / 2.0, (red.1 + red.3) / 2.0);
    for (got, expected) in [
        (red.2, middle.0 + 300.0),
        (green.0, middle.0 - 300.0),
        (blue.1, middle.1 - 150.0),
        (purple.3, middle.1 + 150.0),
        (red.0, middle.0),
        (green.2, middle.0),
        ((green.1 + green.3) / 2.0, middle.1),
    ] {
        // a tip's last pixels are too narrow to be covered in full
        assert!((got - expected).abs() <= 7.0, "{got} {expected} {extents:?}");
    }
    assert_eq!(plane().corners(), [2, 3, 0, 1]);
    // more than the axes show
    let far = Plane::new(&[1e300, 1.0], &[0.0, 1.0]).unwrap();
    for plane in [far.clone(), far.reach(2.0), plane().reach(0.5).polygon().dots(&[9.0], &[9.0], Color::Black)] {
        let figure = plane.figure();
        assert!(Picture::of(&figure).has_white_edges());
        check_document(&figure.to_svg().unwrap());
    }
}

/// A finite number of any size: of a common one, or of any bits.
fn finite() -> impl Strategy<Value = f64> {
    let any = any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |x| x.is_finite());
    let edges = [0.0, -0.0, 1.0, 5e-324, f64::MIN_POSITIVE, f64::EPSILON, f64::MAX, f64::MIN, 1e295, 1e15 + 1.0];
    prop_oneof![any, -10.0..10.0, prop::sample::select(edges.to_vec())]
}

fn finites() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(finite(), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_finite_numbers_are_drawn_soon(
        values in finites(),
        more in finites(),
        ends in (finite(), finite()),
        rows in 1usize..4,
        label in ".{0,80}",
        long in prop_oneof![8 => Just(0usize), 1 => Just(200)],
    ) {
        let started = std::time::Instant::now();
        let label = label.repeat(1 + long);
        let count = values.len().min(more.len());
        let (xs, ys) = (&values[..count], &more[..count]);
        let rows = if count % rows == 0 { rows } else { 1 };
        let map = || Heatmap::new(xs, rows, count / rows).unwrap().title(&label).row_label(0, &label);
        let line = || LinePlot::new().line(&label, &values).line_xy("xy", xs, ys).hline(&label, more[0], Color::Red);
        let mut rising = xs.to_vec();
        rising.sort_by(f64::total_cmp);
        let errors: Vec<f64> = ys.iter().map(|y| y.abs()).collect();
        let law = || {
            let plot = LinePlot::new().band(&label, &rising, xs, ys).line_xy("bound", xs, ys).dashed();
            plot.dots_xy(&label, xs, ys).error_bars(&errors).marker(Marker::Ring)
        };
        let bars = || BarChart::new(ys).unwrap().labels(vec![&label; count]).y_label(&label);
        let plane = || Plane::new(xs, ys).unwrap().labels(vec![&label; count]).polygon().dots(ys, xs, Color::Blue);
        let plots: [Panel; 16] = [
            law().into(),
            law().log_x().into(),
            law().log_x().log_y().y_range(ends.0, ends.1).into(),
            map().into(),
            map().diverging().annotated().into(),
            map().range(ends.0, ends.1).into(),
            line().into(),
            line().log_y().into(),
            LinePlot::new().line("", &values.iter().map(|v| v.abs()).collect::<Vec<_>>()).log_y().into(),
            line().y_range(ends.0, ends.1).into(),
            line().y_range(ends.0, ends.1).log_y().into(),
            bars().into(),
            bars().y_range(ends.0, ends.1).into(),
            plane().into(),
            plane().reach(ends.0).into(),
            plane().x_label(&label).into(),
        ];
        for (k, plot) in plots.into_iter().enumerate() {
            let figure = plot.figure();
            match figure.to_svg() {
                Ok(svg) => check_document(&svg),
                Err(error) => prop_assert!(matches!(error, Error::Argument { .. }), "{k}: {error}"),
            }
            if let Ok(bitmap) = figure.bitmap() {
                prop_assert!(Picture::from(bitmap).has_white_edges(), "{k}");
            }
        }
        prop_assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    }
}

/// The order of the modules stands in the docs of `mod.rs`; here it is held to.
#[test]
fn modules_use_only_those_before_them() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plot");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let main = read("mod.rs");
    let lines = main.lines().skip_while(|line| *line != "//! ```text").skip(1).take_while(|line| *line != "//! ```");
    // names end where more than one space parts them from what they are
    let names = lines.flat_map(|line| line["//! ".len()..].split("  ").next().unwrap_or_default().split(", "));
    let order: Vec<&str> = names.collect();
    let declared: Vec<&str> = main
        .lines()
        .filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'))
        .filter(|name| *name != "tests")
        .collect();
    let mut sorted = order.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, declared);
    for (place, name) in order.iter().enumerate() {
        let text = read(&format!("{name}.rs"));
        // what a file's own tests use does not count
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        for used in code.split("super::").skip(1).flat_map(|rest| match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default().split(", ").collect(),
            None => vec![rest],
        }) {
            let used = used.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
            let before = order[..place].contains(&used);
            assert!(before || !order.contains(&used), "{name} uses {used}, which comes after it");
        }
    }
}

#[test]
fn text_in_any_script_is_drawn_and_not_boxes() {
    let with = |title: &str, label: &str| {
        let plot = LinePlot::new().line("a", &[1.0, 2.0]).title(title).y_label(label);
        Picture::of(&Figure::from(plot)).pixels
    };
    let pictures =
        ["注意", "意注", "주의", "🦀🎉", "\u{10fffd}\u{10fffd}"].map(|text| (with(text, ""), with("", text)));
    for (k, (title, label)) in pictures.iter().enumerate() {
        for (other, other_label) in &pictures[k + 1..] {
            assert!(title != other && label != other_label, "{k}");
        }
    }
}
