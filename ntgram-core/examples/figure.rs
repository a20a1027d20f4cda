//! A grid of plots, as PNG, SVG and HTML: a heatmap, curves, bars, vectors in the plane. Plots take plain slices; no model is needed.
//!
//! ```sh
//! cargo run --example figure -- a-folder
//! ```
//!
//! Without a name the files go into the folder for temporary files.

use std::f64::consts::TAU;

use ntgram_core::plot::{BarChart, Color, Figure, Heatmap, LinePlot, Plane};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, Into::into);

    // Ten unit vectors around a circle, and their products.
    let (ys, xs): (Vec<f64>, Vec<f64>) = (0..10).map(|k| (TAU * f64::from(k) / 10.0).sin_cos()).unzip();
    let product = |i: usize| xs[i / 10] * xs[i % 10] + ys[i / 10] * ys[i % 10];
    let products: Vec<f64> = (0..100).map(product).collect();
    let gram = Heatmap::new(&products, 10, 10)?.diverging().title("Gram matrix").x_label("Token").y_label("Token");

    let plane = Plane::new(&xs, &ys)?.polygon().title("Directions");

    // A made-up curve of a training.
    let loss: Vec<f64> = (0..200).map(|step| 2.3 * (-f64::from(step) / 40.0).exp() + 0.05).collect();
    let curve = LinePlot::new()
        .line("trained", &loss)
        .hline("random", 10f64.ln(), Color::Red)
        .x_label("Step")
        .y_label("Divergence (nats)")
        .title("Curves");

    let bars = BarChart::new(&[3.0, -1.0, 2.0])?.labels(["module 0", "module 1", "both"]).title("Bars");

    let figure = Figure::grid(2).with(gram).with(plane).with(curve).with(bars);
    figure.save(folder.join("figure.png"))?;
    figure.save(folder.join("figure.svg"))?;
    let page = format!("<!doctype html><meta charset=\"utf-8\"><title>A figure</title>{}", figure.to_html()?);
    std::fs::write(folder.join("figure.html"), page)?;
    println!("Saved figure.png, figure.svg and figure.html to {}", folder.display());
    Ok(())
}
