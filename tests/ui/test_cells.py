"""Cells typed into a new notebook: the stop button ends a training and loses nothing; a failed cell looks failed and stops "Run All
Cells"; a slider shows what it was given."""

import re

from lab import CELL_0, errors
from looks import move_slider

# Minutes of training, in either engine.
PREPARE = """
let mut rng = TorchRng::new(2108);
let pi = last_position_law(&[10, 10], 10, 0.0, 0.95, &mut rng)?;
let config = TransformerConfig {
    d_model: 5, n_vocab: 10, n_layers: 1, width: 0, depth: 0, n_modules: 20, n_heads: 1, context_window: 3,
    ..Default::default()
};
let mut model = Transformer::new(&config, &pi, &mut rng)?;
let data = generate_data(1024, 4000, &pi, 3, &mut rng)?;
let before = 6 * 7;
"""
TRAIN = """
let options = TrainOptions { engine: Some(Engine::Autograd), ..Default::default() };
let history = train(&mut model, &data, &options)?;
"""
GO_ON = """
let options = TrainOptions { max_batches: Some(1), engine: Some(Engine::Autograd), ..Default::default() };
let more = train(&mut model, &data, &options)?;
println!("{} {} {}", history.loss[0], history.loss[history.loss.len() - 1], more.loss[0]);
"""
SLIDER = """
let frames = (0..5).map(|k| {
    let values: Vec<f64> = (0..16).map(|x| if x == 3 * k { 1.0 } else { 0.0 }).collect();
    Ok(Heatmap::new(&values, 4, 4)?.title(&format!("place {k}")))
}).collect::<Result<Vec<_>>>()?;
display_heatmaps(frames)?
"""


def steps_shown(text):
    """The step of the latest line of progress."""
    return int(([0] + re.findall(r"^step (\d+) of", text, re.MULTILINE))[-1])


def test_the_stop_button_keeps_the_model_and_every_variable(new_notebook, screenshots):
    lab = new_notebook
    lab.run_cell(CELL_0)
    lab.run_cell(PREPARE)
    number = lab.type_cell(TRAIN)
    lab.wait_for(lambda cells: steps_shown(lab.text(number)) >= 20 or errors(cells))
    assert lab.cells()[number]["waits"], "the training must still run"
    lab.press_button("interrupt")
    lab.wait_until_done()
    assert errors(lab.cells()) == []
    assert "stopped" in lab.text(number).lower(), lab.text(number)
    before, stopped, steps = lab.run_cell('println!("{before} {} {}", history.stopped, history.loss.len());').split()
    assert (before, stopped) == ("42", "true") and 20 <= int(steps) < 4000
    text = lab.run_cell(GO_ON)
    assert errors(lab.cells()) == []
    first, last, next_one = map(float, text.splitlines()[-1].split())
    assert abs(next_one - last) < abs(next_one - first), "the model must have the weights of the last step"
    lab.page.screenshot(path=screenshots / "stop-button.png")


def test_a_failed_cell_looks_failed_and_stops_run_all(new_notebook, screenshots):
    lab = new_notebook
    lab.run_cell('let one = 1; println!("first");')
    lab.run_cell('assert_eq!(one, 2, "on purpose");')
    lab.run_cell('println!("third {one}");')
    assert "third 1" in lab.text(2), "a cell run by itself runs"
    lab.run_all()
    assert lab.text(0) == "first\n"
    assert len(errors(lab.cells())) == 1 and "on purpose" in lab.text(1)
    assert lab.text(2) == "" and not lab.cells()[2]["count"]
    lab.page.screenshot(path=screenshots / "failed-cell.png")
    assert lab.run_cell("one + 1") == ""  # a result, which is no stream
    assert len(errors(lab.cells())) == 1, "the variables are still there"


def test_a_slider_shows_each_of_its_heatmaps(new_notebook, screenshots):
    lab = new_notebook
    lab.run_cell(CELL_0)
    lab.run_cell(SLIDER)
    assert errors(lab.cells()) == []
    slider = lab.page.locator("input[type=range]")
    frames = move_slider(slider, screenshots / "slider.png")
    assert len(frames) == 5 and len({str(frame["pictures"]) for frame in frames}) == 5
    assert all(f"place {k}" in frame["text"] for k, frame in enumerate(frames))
