"""The notebook on memorisation, executed in the project's own kernel: no errors, whole pictures, and what its text says is what it prints.

`make test` executes the notebook first and names the copy in NTGRAM_EXECUTED_MEMORISATION; without it these tests do so.
"""

import csv
import re
from statistics import mean

import nbformat
import pytest
from conftest import REPOSITORY
from outputs import assert_names_no_machine, assert_ran, assert_whole, code, executed_copy, pictures, printed

NOTEBOOK = REPOSITORY / "notebooks/memorisation.ipynb"
COMMITTED = nbformat.read(NOTEBOOK, as_version=4)
WITH_FIGURE = range(3, 15)


@pytest.fixture(scope="session")
def cells():
    return code(executed_copy(NOTEBOOK, "NTGRAM_EXECUTED_MEMORISATION"))


def numbers(cell, before):
    """The numbers of the one printed line that starts with `before`, after it."""
    (line,) = [line for line in printed(cell).splitlines() if line.startswith(before)]
    return [float(x) for x in re.findall(r"-?\d+(?:\.\d+)?", line[len(before) :])]


def gathered():
    """The rows of the paper's tables as they were trained here."""
    with open(NOTEBOOK.parent / "data/paper_points.csv", newline="") as file:
        return list(csv.DictReader(file))


def points(table, axis):
    """Of a gathered table: for each value of an axis its mean accuracy and the error of that."""
    rows = [row for row in gathered() if row["table"] == table]
    return {int(row[axis]): (float(row["original_accuracy"]), float(row["original_accuracy_se"])) for row in rows}


def largest(cell, d):
    """What the largest models remember: attention, MLP, and the best MLP."""
    return numbers(cell, f"d = {d}: the largest remember ")


def test_it_names_no_machine_and_uses_the_projects_kernel():
    assert_names_no_machine(COMMITTED)


def test_every_cell_ran_without_an_error(cells):
    assert len(cells) == 15
    for cell in cells:
        assert_ran(cell)


@pytest.mark.parametrize("number", WITH_FIGURE)
def test_the_picture_is_whole(cells, number):
    (png,) = pictures(cells[number])
    assert_whole(png)


def test_the_committed_outputs_are_those_of_the_cells(cells):
    for cell, committed in zip(cells, code(COMMITTED), strict=True):
        assert cell.source == committed.source
        timeless = [line for line in printed(cell).splitlines() if "trainings" not in line]
        assert timeless == [line for line in printed(committed).splitlines() if "trainings" not in line]


# ---- what the text says


def test_the_law_is_certain(cells):
    entropy, uniform = numbers(cells[2], "entropy ")
    assert entropy == 0 and abs(uniform - 3.9120) < 1e-4


def test_two_dimensions_grow_more_steeply_than_the_bound(cells):
    _, _, low, _, ratio, of_bound = numbers(cells[3], "slope up to H = 17: ")
    assert of_bound == 0.018
    assert ratio > 1 and low > of_bound


def test_slopes_grow_between_quadratic_and_cubic_and_nearly_quadratic_from_six_on(cells):
    exponent, _, low, high = numbers(cells[5], "d = 3 to 13: exponent ")
    assert 2 < low < exponent < high < 3
    exponent, _, low, high = numbers(cells[5], "d = 6 to 13: exponent ")
    assert 2 < exponent < 2.4


def test_accuracy_in_the_modules_size_is_quadratic(cells):
    exponent, _, low, high = numbers(cells[6], "accuracy − accuracy at d_h = 1 grows like d_h to the power ")
    assert low < 2 < high


def test_accuracy_in_the_streams_dimension_ends_at_the_modules_size(cells):
    below, *_ = numbers(cells[7], "d = 5 to 10: ")
    _, _, low, high = numbers(cells[7], "d = 11 to 15: ")
    assert high < below / 5


def test_mlps_remember_more_until_their_training_stalls(cells):
    attention, mlp, _ = largest(cells[8], 7)
    assert mlp < attention
    attention, mlp, best = largest(cells[8], 13)
    assert attention >= 0.999 and abs(mlp - 0.98) < 0.005 and best < 0.99
    ratios, errors = [], {"H": [], "p": []}
    for d in (7, 10, 13):
        attention, mlp = points(f"exp_5_{d}_att", "H"), points(f"exp_5_{d}_mlp", "p")
        assert list(attention) == list(mlp)
        ratios += [mlp[p][0] / attention[p][0] for p in mlp]
        for axis, table in (("H", attention), ("p", mlp)):
            errors[axis] += [error for size, (_, error) in table.items() if size > 1]
    assert 1.8 < max(ratios) < 2.3
    # about 6,100 parameters
    alike = [points(f"exp_5_{d}_att", "H")[h][0] for d, h in ((7, 26), (10, 11), (13, 6))]
    assert max(alike) < 1.1 * min(alike)
    assert mean(errors["p"]) > 3 * mean(errors["H"])


def test_attention_goes_on_where_mlps_stop_in_larger_dimensions(cells):
    slopes = [float(x) for x in re.findall(r"a module, ([\d.]+) times the bound's", printed(cells[9]))]
    assert [round(slope) for slope in slopes] == [32, 37, 41]
    exponent, _, low, high = numbers(cells[9], "in d_h, with d = 50 and H = 11: power ")
    assert 1 < low < high < 2
    ratios = []
    for d in (40, 50, 60):
        attention, _, best = largest(cells[9], d)
        assert best < attention
        mlp = {width: accuracy for width, (accuracy, _) in points(f"exp_5_{d}_dim", "width").items()}
        assert max(mlp, key=mlp.get) == 8 * d
        ratios.append(mlp[4 * d] / points(f"exp_1_{d}_dim", "H")[3][0])
    assert 1.8 < max(ratios) < 2.3


def test_three_layers_are_less_than_twice_as_steep_as_one(cells):
    ratios = [float(x) for x in re.findall(r"([\d.]+) times the slope", printed(cells[10]))]
    assert 2 > ratios[0] > ratios[1] > ratios[2] > 1
    for d in (7, 10, 13):
        attention, mlp, _ = largest(cells[10], d)
        assert attention < mlp < attention + 0.1
    widest = max(gathered(), key=lambda row: float(row["original_accuracy_se"]))
    assert re.fullmatch(r"exp_5_\d+_depth", widest["table"])


def test_published_rows_agree(cells):
    within, rows = map(int, re.match(r"(\d+) of (\d+) published rows", printed(cells[11])).groups())
    assert rows == 239 and within / rows > 0.95
    assert numbers(cells[11], "where N = 200 and d = d_h, all of them are at most ")[0] < 0.001


def test_at_its_best_rate_the_slope_is_nearer_to_quadratic_than_to_cubic(cells):
    _, _, low, high = numbers(cells[12], "512 epochs, d = 7 to 13: exponent ")
    assert low < 2 < high < 2.5
    for epochs in (64, 512):
        assert numbers(cells[12], f"{epochs} epochs, d = 3 to 13: exponent ")[3] < 2.6


def test_mlps_gain_about_three_times_as_much_from_longer_training(cells):
    attention, mlp = (numbers(cells[13], f"{name}: 512 epochs remember ")[0] for name in ("attention", "MLP"))
    assert 2.5 < mlp / attention < 3.5


def test_the_bound_says_little_about_saturation(cells):
    assert numbers(cells[14], "the least that a model remembers is ")[0] > 1.5
    assert abs(numbers(cells[14], "models that remember more than 99 % have bounds from ")[0] - 1 / 8) < 0.005
