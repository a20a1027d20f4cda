//! The notebook's own pictures: what [`interp`](crate::interp) computes, drawn with [`plot`](crate::plot).

use tch::Tensor;

use crate::error::{Error, Result};
use crate::interp::{Attribution, Method};
use crate::plot::{BarChart, Color, Heatmap, Plane, Solid};
use crate::tensors::{check_real, values};

/// A heatmap of a matrix, rows downwards, both axes labelled by index.
///
/// # Errors
/// Not a matrix, or an empty one.
pub fn heatmap(matrix: &Tensor) -> Result<Heatmap> {
    heatmap_of("matrix", matrix)
}

fn heatmap_of(argument: &'static str, matrix: &Tensor) -> Result<Heatmap> {
    check_real(argument, matrix)?;
    let [rows, columns] = matrix.size()[..] else {
        let value = format!("of shape {:?}", matrix.size());
        return Err(Error::argument(argument, value, "it must have rows and columns"));
    };
    Heatmap::new(&values(matrix)?, rows as usize, columns as usize)
}

/// A heatmap in blue, white and red, white at 0: the notebook's `sns.heatmap(map, center=0, cmap='bwr')`.
///
/// # Errors
/// Not a matrix, or an empty one.
pub fn diverging_heatmap(matrix: &Tensor, title: &str) -> Result<Heatmap> {
    Ok(heatmap(matrix)?.diverging().title(title))
}

/// The rows of `vectors (N, 2)` as arrows in the plane, labelled by index, each in a hue of its own.
///
/// # Errors
/// Not a matrix of two columns, or one with entries that are not finite.
pub fn plane(vectors: &Tensor, title: &str) -> Result<Plane> {
    let (xs, ys) = coordinates("vectors", vectors)?;
    Ok(Plane::new(&xs, &ys)?.title(title))
}

impl Plane {
    /// The rows of `points (M, 2)` as dots behind the arrows, each in the hue of the arrow that `arrows[i]` names: contexts in the colour
    /// of their next token.
    ///
    /// # Errors
    /// Not a matrix of two columns, or not one of the arrows for each row.
    pub fn points(mut self, points: &Tensor, arrows: &[i64]) -> Result<Self> {
        let (xs, ys) = coordinates("points", points)?;
        let count = self.len();
        if arrows.len() != xs.len() || arrows.iter().any(|&arrow| arrow < 0 || arrow >= count as i64) {
            let expected = format!("it must name one of the {count} arrows for each of the {} points", xs.len());
            return Err(Error::argument("arrows", format!("{} numbers", arrows.len()), expected));
        }
        for arrow in 0..count {
            let own = |values: &[f64]| -> Vec<f64> {
                values.iter().zip(arrows).filter(|(_, a)| **a == arrow as i64).map(|(v, _)| *v).collect()
            };
            self = self.dots(&own(&xs), &own(&ys), Color::hue(arrow, count));
        }
        Ok(self)
    }
}

/// The rows of `vectors (N, 3)` as arrows in space, labelled by index, with the edges of their convex hull: a [`Solid`] to turn.
///
/// # Errors
/// Not a matrix of three columns, no rows or more than 200, or entries that are not finite.
pub fn solid(vectors: &Tensor, title: &str) -> Result<Solid> {
    check_real("vectors", vectors)?;
    let [_, 3] = vectors.size()[..] else {
        let value = format!("of shape {:?}", vectors.size());
        return Err(Error::argument("vectors", value, "it must have three columns"));
    };
    let points: Vec<[f64; 3]> = values(vectors)?.chunks_exact(3).map(|v| [v[0], v[1], v[2]]).collect();
    Ok(Solid::new(&points)?.title(title))
}

/// Both columns of a matrix.
fn coordinates(argument: &'static str, matrix: &Tensor) -> Result<(Vec<f64>, Vec<f64>)> {
    check_real(argument, matrix)?;
    let [_, 2] = matrix.size()[..] else {
        let value = format!("of shape {:?}", matrix.size());
        return Err(Error::argument(argument, value, "it must have two columns"));
    };
    let column = |k: i64| values(&matrix.select(1, k));
    Ok((column(0)?, column(1)?))
}

/// An attention map in [0, 1]: rows the query (position 2), columns the first token (position 1), as the notebook labels them.
///
/// # Errors
/// Not a matrix, or an empty one.
pub fn attention_heatmap(map: &Tensor, title: &str) -> Result<Heatmap> {
    Ok(heatmap_of("map", map)?.range(0.0, 1.0).x_label("Position 1").y_label("Position 2").title(title))
}

/// For every example, how far the contribution to the correct next token is ahead of the best wrong one ([`Attribution::margins`]), as
/// bars in the examples' order; [`BarChart::sorted`] puts the largest first.
///
/// # Errors
/// No such layer or module.
pub fn by_attention(contribution: &Attribution, layer: usize, module: usize, method: Method) -> Result<BarChart> {
    let margins = contribution.margins(layer, module, method)?;
    let title = match method {
        Method::Solo => format!("Module {module}: margin of the right token"),
        Method::Group => "After attention: margin of the right token".to_owned(),
    };
    Ok(BarChart::new(&margins)?.title(&title).x_label("Example").y_label("Logit difference"))
}

/// For one example, each module's and their sum's contribution to every output token, less the best wrong token's in the same
/// column ([`Attribution::contributions`]). The row of the correct token is labelled, and, if it is another, the one with the largest sum.
///
/// # Errors
/// No such layer or example.
pub fn every_attention(contribution: &Attribution, example: usize, layer: usize) -> Result<Heatmap> {
    let margins = contribution.contributions(example, layer)?;
    let (correct, last) = (contribution.correct_token(example)?, margins.size()[1] - 1);
    let best = margins.select(1, last).argmax(0, false).int64_value(&[]) as usize;
    let mut plot = diverging_heatmap(&margins, &format!("Example {example}: contributions"))?;
    if best != correct {
        plot = plot.row_label(best, "Best");
    }
    plot = plot.row_label(correct, "Correct");
    for module in 0..last as usize {
        plot = plot.col_label(module, format!("Module {module}"));
    }
    Ok(plot.col_label(last as usize, "Both").x_label("Contribution of").y_label("Output token"))
}
