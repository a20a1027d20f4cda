//! Plots, figures, sliders, and the notebook's own pictures.

use ntgram_core::prelude::*;

use super::calls::Calls;
use super::inputs::{HUGE, ODD, is_png, law, tensors, texts, transformer, unwritable};

crate::groups! {
    "Heatmap::new, Heatmap::range, Heatmap::diverging, Heatmap::annotated" => heatmaps,
    "Heatmap::row_labels, Heatmap::col_labels, Heatmap::row_label, Heatmap::col_label" => heatmap_labels,
    "LinePlot::new, LinePlot::line, LinePlot::line_xy, LinePlot::color, LinePlot::hline, LinePlot::y_range, LinePlot::log_y" => lines,
    "LinePlot::log_x, LinePlot::band, LinePlot::error_bars, LinePlot::marker, LinePlot::dashed" => scaling_laws,
    "BarChart::new, BarChart::labels, BarChart::label, BarChart::sorted, BarChart::color, BarChart::sign_colors, BarChart::y_range" => bars,
    "Plane::new, Plane::labels, Plane::label, Plane::colors, Plane::polygon, Plane::dots, Plane::reach, Plane::corners, Plane::len, Plane::is_empty" => planes,
    "Color::hue" => hues,
    "caption_setters!::title, caption_setters!::x_label, caption_setters!::y_label, Figure::title" => captions,
    "Figure::new, Figure::grid, Figure::with, Figure::with_all, Figure::push, Figure::with_size, Figure::size, plots!::figure" => figures,
    "Figure::to_png, Figure::to_svg, Figure::to_html, Figure::save" => drawn,
    "Slider::new, Slider::len, Slider::is_empty, Slider::frames, Slider::stills, Slider::to_png, Slider::to_html, display_heatmaps" => sliders,
    "heatmap, diverging_heatmap, attention_heatmap" => maps,
    "plane, Plane::points" => planes_of_tensors,
    "by_attention, every_attention" => attributions,
}

/// Every form of a figure can be drawn.
fn whole(figure: impl Into<Figure>) -> Result<bool> {
    let figure = figure.into();
    let svg = figure.to_svg()?;
    Ok(is_png(&figure.to_png()?)
        && svg.starts_with("<svg") | svg.starts_with("<?xml")
        && !svg.contains("\"NaN")
        && figure.to_html()?.contains("<img"))
}

fn map() -> Heatmap {
    Heatmap::new(&[0.0, 1.0, 2.0, 3.0], 2, 2).unwrap()
}

/// Lists of odd numbers.
fn lists() -> Vec<Vec<f64>> {
    let mut lists = vec![
        ODD.to_vec(),
        vec![],
        vec![f64::NAN; 3],
        vec![f64::MAX, f64::MIN],
        vec![1.0, 1e295],
        vec![5e-324, 1e-323],
        vec![1e9, 1e9 + 1.0],
        vec![0.0; 2],
    ];
    lists.extend(ODD.map(|x| vec![x]));
    lists.push((0..100_000).map(|k| f64::from(k).sin() * 1e300).collect());
    lists
}

fn short(list: &[f64]) -> String {
    format!("{} numbers: {:?}", list.len(), &list[..list.len().min(4)])
}

fn heatmaps(calls: &mut Calls) {
    for size in HUGE.into_iter().chain([0]) {
        calls.refused(format!("{size} rows"), "rows|values", || Heatmap::new(&[1.0], size, 1));
        calls.refused(format!("{size} columns"), "cols|values", || Heatmap::new(&[1.0], 1, size));
        calls.refused(format!("{size} of both"), "rows|cols|values", || Heatmap::new(&[1.0; 4], size, size));
    }
    for list in lists() {
        for (rows, cols) in [(1, list.len()), (list.len(), 1)] {
            let what = short(&list);
            calls.either(format!("{rows} × {cols}: {what}"), "rows|cols", || whole(Heatmap::new(&list, rows, cols)?));
            calls.either(format!("{rows} × {cols}, diverging, annotated: {what}"), "rows|cols", || {
                whole(Heatmap::new(&list, rows, cols)?.diverging().annotated())
            });
        }
    }
    for lo in ODD {
        for hi in ODD {
            calls.either(format!("range {lo} to {hi}"), "range", || whole(map().range(lo, hi).annotated()));
        }
    }
}

fn heatmap_labels(calls: &mut Calls) {
    for text in texts() {
        let what: String = text.chars().take(20).collect();
        calls.right(format!("labels {what:?}"), || whole(map().row_labels([&text, &text]).col_labels([&text, &text])));
        calls.right(format!("one label {what:?}"), || whole(map().row_label(0, &text).col_label(1, &text)));
    }
    for count in [0, 1, 3, 1000] {
        calls.refused(format!("{count} row labels"), "row_labels", || whole(map().row_labels(0..count)));
        calls.refused(format!("{count} column labels"), "col_labels", || whole(map().col_labels(0..count)));
    }
    for at in HUGE.into_iter().chain([2]) {
        calls.refused(format!("label of row {at}"), "row_labels", || whole(map().row_label(at, "x")));
        calls.refused(format!("label of column {at}"), "col_labels", || whole(map().col_label(at, "x")));
    }
    calls.right("100,000 labels", || whole(Heatmap::new(&vec![0.5; 100_000], 100_000, 1)?.row_labels(0..100_000)));
}

fn lines(calls: &mut Calls) {
    calls.refused("no curve", "series", || whole(LinePlot::new()));
    for list in lists() {
        let what = short(&list);
        calls.either(&what, "ys", || whole(LinePlot::new().line("a", &list)));
        calls.either(format!("logarithmic, {what}"), "ys", || whole(LinePlot::new().line("a", &list).log_y()));
        calls.either(format!("over themselves, {what}"), "xs|ys", || whole(LinePlot::new().line_xy("a", &list, &list)));
        calls.refused(format!("with one x more, {what}"), "xs|ys", || {
            whole(LinePlot::new().line_xy("a", &[&list[..], &[1.0]].concat(), &list))
        });
    }
    for lo in ODD {
        for hi in ODD {
            calls.either(format!("y_range {lo} to {hi}"), "y_range", || {
                whole(LinePlot::new().line("", &[1.0, 2.0]).y_range(lo, hi))
            });
            calls.either(format!("logarithmic y_range {lo} to {hi}"), "y_range", || {
                whole(LinePlot::new().line("", &[1.0, 2.0]).y_range(lo, hi).log_y())
            });
        }
        calls.either(format!("hline at {lo}"), "y", || {
            whole(LinePlot::new().line("", &[1.0, 2.0]).hline("b", lo, Color::Red))
        });
        calls.either(format!("logarithmic hline at {lo}"), "y", || {
            whole(LinePlot::new().line("", &[1.0, 2.0]).hline("b", lo, Color::Red).log_y())
        });
    }
    calls.right("a colour without a curve", || whole(LinePlot::new().color(Color::Rgb(0, 0, 0)).line("", &[1.0])));
    calls.right("300 curves with names", || {
        whole((0..300).fold(LinePlot::new(), |plot, k| plot.line(format!("curve {k}"), &[f64::from(k), 1.0])))
    });
    for text in texts() {
        let what: String = text.chars().take(20).collect();
        calls.right(format!("named {what:?}"), || {
            whole(LinePlot::new().line(&text, &[1.0, 2.0]).hline(&text, 1.5, Color::Grey))
        });
    }
}

const MARKERS: [Marker; 6] =
    [Marker::Dot, Marker::Ring, Marker::Square, Marker::Diamond, Marker::Triangle, Marker::Cross];

fn scaling_laws(calls: &mut Calls) {
    let (xs, ys) = ([1.0, 2.0, 4.0], [0.5, 0.25, 2.0]);
    let dots = || LinePlot::new().dots_xy("a", &xs, &ys);
    type Logarithmic = fn(LinePlot) -> LinePlot;
    let axes: [(&str, Logarithmic); 4] = [
        ("linear", |plot| plot),
        ("log x", LinePlot::log_x),
        ("log y", LinePlot::log_y),
        ("log both", |plot| plot.log_x().log_y()),
    ];
    for (axis, logarithmic) in axes {
        for list in lists() {
            let what = format!("{axis}, {}", short(&list));
            let more = [&list[..], &[1.0]].concat();
            let errors: Vec<f64> = list.iter().map(|x| x.abs()).collect();
            calls.either(format!("points and bars, {what}"), "xs|ys", || {
                whole(logarithmic(LinePlot::new().dots_xy("a", &list, &list).error_bars(&errors)))
            });
            calls.either(format!("a curve with markers, bars as given, {what}"), "xs|ys|errors", || {
                whole(logarithmic(LinePlot::new().line("a", &list).error_bars(&list).marker(Marker::Ring)))
            });
            calls.either(format!("dashed, {what}"), "xs|ys", || {
                whole(logarithmic(LinePlot::new().line_xy("a", &list, &list).dashed()))
            });
            calls.either(format!("a band, {what}"), "xs|highs|lows", || {
                let rising: Vec<f64> = (0..list.len()).map(|k| k as f64).collect();
                whole(logarithmic(LinePlot::new().band("a", &rising, &list, &errors)))
            });
            calls.either(format!("a band over themselves, {what}"), "xs|highs|lows", || {
                whole(logarithmic(LinePlot::new().band("a", &list, &list, &list)))
            });
            calls.refused(format!("one x more, {what}"), "xs|highs", || {
                whole(logarithmic(LinePlot::new().band("a", &more, &list, &list)))
            });
            calls.refused(format!("one low end more, {what}"), "xs|highs|lows", || {
                whole(logarithmic(LinePlot::new().band("a", &list, &more, &list)))
            });
            calls.refused(format!("one error more, {what}"), "xs|ys|errors", || {
                whole(logarithmic(LinePlot::new().dots_xy("a", &list, &list).error_bars(&more)))
            });
        }
        for odd in ODD {
            calls.either(format!("{axis}, an error of {odd}"), "errors", || {
                whole(logarithmic(dots().error_bars(&[0.1, odd, 0.1])))
            });
            calls.either(format!("{axis}, one place at {odd}"), "xs", || {
                whole(logarithmic(LinePlot::new().dots_xy("a", &[1.0, odd], &[1.0, 2.0])))
            });
        }
        for marker in MARKERS {
            calls.right(format!("{axis}, 20,000 of {marker:?}"), || {
                let many: Vec<f64> = (1..20_001).map(f64::from).collect();
                whole(logarithmic(LinePlot::new().dots_xy("a", &many, &many).marker(marker).error_bars(&many)))
            });
        }
    }
    calls.right("a dashed zigzag that goes back and forth", || {
        let there: Vec<f64> = (0..1500).map(|k| f64::from(k % 2)).collect();
        let down: Vec<f64> = (0..1500).map(|k| f64::from(k % 3)).collect();
        whole(LinePlot::new().line_xy("a", &there, &down).dashed())
    });
    calls.refused("a band from right to left", "xs", || {
        whole(LinePlot::new().band("a", &[1.0, 0.0], &[0.0; 2], &[1.0; 2]))
    });
    let band = || dots().band("b", &xs, &ys, &[3.0; 3]);
    calls.refused("markers of a band", "marker", || whole(band().marker(Marker::Dot)));
    calls.refused("error bars of a band", "errors", || whole(band().error_bars(&[1.0; 3])));
    calls.refused("a dashed band", "dashed", || whole(band().dashed()));
    calls.refused("dashed points", "dashed", || whole(dots().dashed()));
    calls.refused("markers of nothing", "marker", || whole(LinePlot::new().marker(Marker::Dot).line("a", &ys)));
    calls.refused("error bars of nothing", "errors", || whole(LinePlot::new().error_bars(&[]).line("a", &ys)));
    calls.refused("nothing dashed", "dashed", || whole(LinePlot::new().dashed().line("a", &ys)));
    for text in texts() {
        let what: String = text.chars().take(20).collect();
        calls.right(format!("named {what:?}"), || {
            let plot = LinePlot::new().line_xy(&text, &xs, &ys).dashed().band(&text, &xs, &ys, &ys);
            whole(plot.dots_xy(&text, &xs, &ys).error_bars(&ys).marker(Marker::Cross))
        });
    }
}

fn bars(calls: &mut Calls) {
    for list in lists() {
        calls.either(short(&list), "values", || {
            whole(BarChart::new(&list)?.sorted().sign_colors(Color::Red, Color::Blue))
        });
        calls.either(format!("as they are, {}", short(&list)), "values", || {
            whole(BarChart::new(&list)?.color(Color::Sky))
        });
    }
    let chart = || BarChart::new(&[1.0, -2.0]).unwrap();
    for lo in ODD {
        for hi in ODD {
            calls.either(format!("y_range {lo} to {hi}"), "y_range", || whole(chart().y_range(lo, hi)));
        }
    }
    for text in texts() {
        let what: String = text.chars().take(20).collect();
        calls.right(format!("labels {what:?}"), || whole(chart().labels([&text, &text]).label(1, &text)));
    }
    for count in [0, 1, 3] {
        calls.refused(format!("{count} labels"), "labels", || whole(chart().labels(0..count)));
    }
    for at in HUGE.into_iter().chain([2]) {
        calls.refused(format!("label of bar {at}"), "labels", || whole(chart().label(at, "x")));
    }
}

fn planes(calls: &mut Calls) {
    for list in lists() {
        calls.either(short(&list), "xs|ys", || {
            let plane = Plane::new(&list, &list)?.polygon();
            let corners = plane.corners();
            Ok(whole(plane.clone())?
                && corners.iter().all(|&k| k < list.len())
                && plane.len() == list.len()
                && !plane.is_empty())
        });
        calls.either(format!("dots, {}", short(&list)), "xs|ys", || {
            whole(Plane::new(&[1.0], &[2.0])?.dots(&list, &list, Color::Green))
        });
        calls.refused(format!("one y more, {}", short(&list)), "xs|ys", || {
            Plane::new(&list, &[&list[..], &[1.0]].concat())
        });
        calls.refused(format!("dots with one y more, {}", short(&list)), "xs|ys", || {
            whole(Plane::new(&[1.0], &[2.0])?.dots(&list, &[&list[..], &[1.0]].concat(), Color::Green))
        });
    }
    let two = || Plane::new(&[1.0, 0.0], &[0.0, 1.0]).unwrap();
    for reach in ODD {
        calls.either(format!("reach {reach}"), "reach", || whole(two().reach(reach)));
    }
    for count in [0, 1, 3] {
        calls.refused(format!("{count} labels"), "labels", || whole(two().labels(0..count)));
        calls.refused(format!("{count} colours"), "colors", || whole(two().colors(&vec![Color::Black; count])));
    }
    for at in HUGE.into_iter().chain([2]) {
        calls.refused(format!("label of arrow {at}"), "labels", || whole(two().label(at, "x")));
    }
    for text in texts() {
        let what: String = text.chars().take(20).collect();
        calls.right(format!("labels {what:?}"), || whole(two().labels([&text, &text]).label(0, &text)));
    }
    calls.right("2000 equal arrows", || whole(Plane::new(&[0.5; 2000], &[0.5; 2000])?.polygon()));
    calls.right("2000 arrows around", || {
        let (ys, xs): (Vec<f64>, Vec<f64>) = (0..2000).map(|k| f64::from(k).sin_cos()).unzip();
        whole(Plane::new(&xs, &ys)?.polygon())
    });
}

fn hues(calls: &mut Calls) {
    for k in HUGE.into_iter().chain([0, 1]) {
        for count in HUGE.into_iter().chain([0, 1]) {
            calls.right(format!("hue({k}, {count})"), || Ok(matches!(Color::hue(k, count), Color::Rgb(..))));
        }
    }
}

fn captions(calls: &mut Calls) {
    for text in texts() {
        let what: String = text.chars().take(20).collect();
        calls.right(format!("of a heatmap {what:?}"), || whole(map().title(&text).x_label(&text).y_label(&text)));
        calls.right(format!("of a curve {what:?}"), || {
            whole(LinePlot::new().line("", &[1.0]).title(&text).x_label(&text).y_label(&text))
        });
        calls.right(format!("of a figure {what:?}"), || {
            whole(Figure::grid(2).with(map()).with(map().title(&text)).title(&text))
        });
    }
    for number in ODD {
        calls.right(format!("{number}"), || whole(map().title(number).x_label(number)));
    }
}

fn figures(calls: &mut Calls) {
    calls.refused("no columns", "columns", || whole(Figure::grid(0).with(map())));
    calls.refused("no plots", "panels", || whole(Figure::grid(3)));
    calls.refused("no plots of a list", "panels", || Figure::grid(3).with_all(Vec::<Heatmap>::new()).size());
    for columns in HUGE {
        calls.right(format!("{columns} columns"), || whole(Figure::grid(columns).with_all(vec![map(); 3])));
    }
    let sides = [0, 1, 29, 10_000, 1 << 31, u32::MAX];
    for width in sides {
        for height in sides {
            calls.either(format!("{width} × {height}"), "size", || {
                let figure = map().figure().with_size(width, height);
                Ok(figure.size()? == (width, height) && is_png(&figure.to_png()?))
            });
        }
    }
    calls.either("2000 plots", "size", || {
        let mut figure = Figure::new(map());
        (0..2000).for_each(|_| figure.push(map()));
        Ok(figure.size()?.0 > 0)
    });
    calls.either("2000 plots in a row", "size", || Ok(Figure::grid(2000).with_all(vec![map(); 2000]).size()?.0 > 0));
    calls.refused("a plot that is wrong", "range", || whole(Panel::from(map().range(1.0, 0.0)).figure()));
}

fn drawn(calls: &mut Calls) {
    for path in unwritable() {
        calls.refused(format!("{path:?}"), "path", || map().figure().save(&path));
    }
    for path in ["/proc/x.png", "/dev/full/x.svg", "x.", ".png", "x.png.", "x.gif", "x"] {
        calls.refused(path, "path", || map().figure().save(path));
    }
    for path in ["🦀 数据/é \"'.png", "a.b.PNG", "a/b/c.SvG", " .svg"] {
        calls.right(format!("{path:?}"), || {
            let figure = map().title("a").figure();
            figure.save(path)?;
            let bytes = std::fs::read(path).unwrap();
            Ok(bytes == figure.to_png()? || bytes == figure.to_svg()?.into_bytes())
        });
    }
    calls.right("a page's element", || Ok(map().figure().to_html()?.starts_with("<img ")));
}

fn sliders(calls: &mut Calls) {
    calls.refused("no frames", "frames", || Slider::new(Vec::<Heatmap>::new()));
    calls.refused("no heatmaps", "frames|heatmaps", || display_heatmaps(vec![]));
    calls.refused("other shapes", "heatmaps", || display_heatmaps(vec![map(), Heatmap::new(&[1.0], 1, 1)?]));
    calls.refused("a frame that is wrong", "range", || display_heatmaps(vec![map(), map().range(1.0, 0.0)]));
    calls.refused("a frame that is wrong, found when drawn", "range", || {
        Slider::new(vec![map(), map().range(1.0, 0.0)])?.to_png()
    });
    for list in lists().into_iter().filter(|list| !list.is_empty() && list.len() < 100) {
        calls.right(short(&list), || {
            let frame = Heatmap::new(&list, 1, list.len())?;
            let slider = display_heatmaps(vec![frame.clone(), frame.diverging()])?;
            Ok(slider.to_html()?.contains("ntgram-slider")
                && is_png(&slider.to_png()?)
                && slider.len() == 2
                && !slider.is_empty())
        });
    }
    for text in texts() {
        let what: String = text.chars().take(20).collect();
        calls.right(format!("titled {what:?}"), || {
            let html = Slider::new(vec![map().title(&text), map().title(&text)])?.to_html()?;
            Ok(!html.contains("<b>&") && !html.contains('\0'))
        });
    }
    calls.right("frames of all kinds", || {
        let slider =
            Slider::new([Panel::from(map()), LinePlot::new().line("", &[1.0]).into(), BarChart::new(&[1.0])?.into()])?;
        Ok(slider.frames().len() == 3 && is_png(&slider.stills().to_png()?) && slider.to_html()?.contains("<script>"))
    });
}

fn maps(calls: &mut Calls) {
    for (name, tensor) in tensors() {
        calls.either(format!("heatmap: {name}"), "matrix|tensor|rows|cols", || whole(heatmap(&tensor)?));
        calls.either(format!("diverging_heatmap: {name}"), "matrix|tensor|rows|cols", || {
            whole(diverging_heatmap(&tensor, &name)?)
        });
        calls.either(format!("attention_heatmap: {name}"), "matrix|map|tensor|rows|cols", || {
            whole(attention_heatmap(&tensor, &name)?)
        });
    }
}

fn planes_of_tensors(calls: &mut Calls) {
    for (name, tensor) in tensors() {
        calls.either(format!("plane: {name}"), "vectors|xs|ys", || whole(plane(&tensor, &name)?));
        calls.either(format!("points: {name}"), "points|arrows|xs|ys", || {
            let rows = if tensor.defined() { tensor.size().first().copied().unwrap_or(0) as usize } else { 0 };
            whole(Plane::new(&[1.0, 2.0], &[1.0, 0.0])?.points(&tensor, &vec![1; rows])?)
        });
    }
    let two = Tensor::from_slice(&[1f32, 0.0, 0.0, 1.0]).view([2, 2]);
    for arrow in [-1, 2, i64::MAX, i64::MIN] {
        calls.refused(format!("arrow {arrow}"), "arrows", || plane(&two, "")?.points(&two, &[0, arrow]));
    }
    for count in [0, 1, 3] {
        calls.refused(format!("{count} arrows for 2 points"), "arrows", || {
            plane(&two, "")?.points(&two, &vec![0; count])
        });
    }
}

fn attributions(calls: &mut Calls) {
    let model = transformer();
    let examples = Tensor::from_slice(&[0i64, 1, 2, 3, 4, 0]).view([2, 3]);
    let tracked = back_track(&model, &examples, 2).unwrap();
    for at in HUGE.into_iter().chain([2]) {
        calls.refused(format!("by_attention({at}, 0)"), "layer", || by_attention(&tracked, at, 0, Method::Group));
        calls.refused(format!("by_attention(0, {at})"), "module", || by_attention(&tracked, 0, at, Method::Solo));
        calls.refused(format!("every_attention({at}, 0)"), "example", || every_attention(&tracked, at, 0));
        calls.refused(format!("every_attention(0, {at})"), "layer", || every_attention(&tracked, 0, at));
    }
    let one = law(1, 2);
    let config = TransformerConfig { d_model: 1, n_vocab: 1, context_window: 2, ..Default::default() };
    let small = Transformer::new(&config, &one, &mut TorchRng::new(1)).unwrap();
    calls.either("one token: there is no wrong one", "model|n_vocab|values", || {
        let tracked = back_track(&small, &Tensor::zeros([1, 2], (Kind::Int64, Device::Cpu)), 1)?;
        Ok(whole(by_attention(&tracked, 0, 0, Method::Solo)?)? && whole(every_attention(&tracked, 0, 0)?)?)
    });
}
