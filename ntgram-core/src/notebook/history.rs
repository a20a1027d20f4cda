//! A training's history: its curves, and what they end at.

use super::{Show, Shown};
use crate::error::Result;
use crate::numbers::{count, short};
use crate::plot::{Figure, LinePlot};
use crate::train::History;

impl Show for History {
    fn shown(&self) -> Result<Shown> {
        let summary = summary(self);
        let html = format!("<div>{summary}</div>");
        let text = Shown::html_and_text(html, summary);
        // a loss that is no number from the first step on has no curve
        if !self.loss.iter().any(|loss| loss.is_finite()) {
            return Ok(text);
        }
        Ok(figure(self).shown()?.then(text))
    }
}

/// Loss and accuracy beside one another, each over the steps.
fn figure(history: &History) -> Figure {
    let mut loss = LinePlot::new().line("", &history.loss).x_label("Step").y_label("Divergence (nats)").title("Loss");
    let finite = || history.loss.iter().copied().filter(|loss| loss.is_finite());
    let (least, largest) = finite().fold((f64::INFINITY, 0.0f64), |(lo, hi), x| (lo.min(x), hi.max(x)));
    if least > 0.0 && largest > 20.0 * least {
        loss = loss.log_y();
    }
    let loss = Figure::grid(2).with(loss);
    if !history.accuracy.iter().any(|accuracy| accuracy.is_finite()) {
        return loss;
    }
    let accuracy = LinePlot::new().line("", &history.accuracy).y_range(-0.02, 1.02).x_label("Step").title("Accuracy");
    loss.with(accuracy)
}

fn summary(history: &History) -> String {
    let steps = history.loss.len();
    let last = if steps > 100 { "last 100" } else { "all" };
    let epochs = history.lr_by_epoch.len();
    let mut text = format!(
        "{}{} in {:.2} s, {:.0} it/s ({}); mean of {last}: loss {} nats, accuracy {:.4}",
        count(steps, "step"),
        if epochs > 1 { format!(", {epochs} epochs,") } else { String::new() },
        history.seconds,
        history.steps_per_second(),
        history.engine,
        short(history.tail_loss()),
        history.tail_accuracy(),
    );
    if history.stopped {
        text += "; stopped before its last batch";
    }
    if let Some(last) = history.snapshots.last() {
        text += &format!("; {} to step {}", count(history.snapshots.len(), "snapshot"), last.step);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::TorchRng;
    use crate::train::{Adam, Engine};

    fn history(loss: Vec<f64>) -> History {
        let (accuracy, adam) = (vec![0.5; loss.len()], Adam { m: vec![], v: vec![], steps: 0 });
        History {
            loss,
            accuracy,
            batches_per_epoch: 100,
            lr_by_epoch: vec![1e-3],
            engine: Engine::Circuit,
            seconds: 2.0,
            rng: TorchRng::new(0),
            adam,
            snapshots: vec![],
            stopped: false,
        }
    }

    #[test]
    fn a_history_is_its_curves_and_where_they_end() {
        let shown = history(vec![0.25; 300]).shown().unwrap();
        assert_eq!(
            shown.text(),
            "300 steps in 2.00 s, 150 it/s (circuit engine); mean of last 100: loss 0.25 nats, accuracy 0.5000"
        );
        assert!(shown.png().unwrap().is_some());
        let three = History { lr_by_epoch: vec![1e-3; 3], ..history(vec![0.25; 300]) };
        let text = three.shown().unwrap().text();
        assert!(text.starts_with("300 steps, 3 epochs, in 2.00 s, 150 it/s"), "{text}");
    }

    #[test]
    fn a_history_without_a_finite_loss_has_no_curve() {
        let shown = history(vec![f64::NAN]).shown().unwrap();
        assert!(shown.png().unwrap().is_none() && shown.text().contains("loss NaN"), "{}", shown.text());
    }
}
