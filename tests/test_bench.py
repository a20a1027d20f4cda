"""What the benchmarks take for granted: the paper's tables as data, what is between measured rows, who writes what in RESULTS.md."""

import sys

import pytest
from conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "bench"))

import paper  # noqa: E402
import results  # noqa: E402
from tables import EXPERIMENTS, TABLES  # noqa: E402

HEAD = "table,steps,seconds\n"


def test_the_tables_add_up_to_the_papers():
    assert len(TABLES) == len({table.name for table in TABLES}) == 34
    rows = [table.row(value) for table in TABLES for value in table.values]
    assert len(rows) == 239
    assert sum(table.trainings for table in TABLES) == 1285
    assert sum(table.steps for table in TABLES) == 8_785_920
    assert EXPERIMENTS == ["exp_1", "exp_2", "exp_3", "exp_5", "exp_6", "_dim", "_depth"]


def test_a_row_has_the_sizes_of_its_table():
    tables = {table.name: table for table in TABLES}
    sizes = lambda name, value: tables[name].row(value)
    assert [sizes("exp_2", d).d_inner for d in (1, 10)] == [1, 10] and sizes("exp_2", 1).d_model == 10
    assert (sizes("exp_3", 15).d_model, sizes("exp_3", 15).d_inner) == (15, 10)
    assert (sizes("exp_1_13", 31).d_inner, sizes("exp_1_13", 31).n_modules) == (13, 31)
    assert tables["exp_5_7_mlp"].values == (0, 70, 140, 210, 280, 350, 420)
    assert sizes("exp_5_13_depth", 520).n_layers == 3


def test_between_measured_rows_there_is_a_straight_line():
    known = {1: 2.0, 5: 10.0, 7: 11.0}
    assert [paper.between(value, known) for value in (1, 2, 5, 6, 7)] == [2, 4, 10, 10.5, 11]
    assert paper.between(9, known) == 12


def test_our_seconds_are_added_up_by_experiment(tmp_path):
    tasks = [f"{table.name},{table.steps // table.trainings},0.5\n" for table in TABLES for _ in range(table.trainings)]
    whole = tmp_path / "tasks.csv"
    whole.write_text(HEAD + "".join(tasks))
    found = paper.our_seconds(whole)
    assert found["exp_6"] == 0.5 * 120 and sum(found.values()) == 0.5 * 1285
    whole.write_text(HEAD + "".join(tasks[:-1]))
    with pytest.raises(SystemExit, match="29 trainings of exp_5_13_depth"):
        paper.our_seconds(whole)
    whole.write_text("table,steps\nexp_6,4096\n")
    with pytest.raises(SystemExit, match="no column seconds.*--timings"):
        paper.our_seconds(whole)
    whole.write_text(HEAD + "exp_7,64,0.5\n")
    with pytest.raises(SystemExit, match="exp_7"):
        paper.our_seconds(whole)


def test_ratios_are_of_wall_times_and_of_the_faster_jax():
    hours = {"PyTorch": 3.0, "JAX vmap": 2.0, "JAX one by one": 1.0}
    seconds = {(experiment, name): (3600 * whole, 360) for experiment in EXPERIMENTS for name, whole in hours.items()}
    ours = dict.fromkeys(EXPERIMENTS, 60.0)
    found = {line.split(" | ")[0]: line for line in paper.lines(seconds, ours, 14, 2)}
    assert found["| `exp_6`"] == "| `exp_6` | 120 | 491,520 | 1.0 | 2.0 | 3.00 | 2.00 (0.10) | 1.00 (0.10) | 90.0× | 30.0× |"
    assert found["| **all**"] == "| **all** | 1,285 | 8,785,920 | 7.0 | 14.0 | 21.00 | 14.00 (0.70) | 7.00 (0.70) | 90.0× | 30.0× |"
    busy = {line.split(" | ")[0]: line for line in paper.lines(seconds, ours, None, 2)}
    assert "| 1.0 | 0.5 |" in busy["| `exp_6`"]
    alone = {line.split(" | ")[0]: line for line in paper.lines(seconds, None, None, 2)}
    assert alone["| `exp_6`"].endswith("|  |  | 3.00 | 2.00 (0.10) | 1.00 (0.10) |  |  |")


def test_each_program_keeps_what_others_wrote(tmp_path):
    path = tmp_path / "RESULTS.md"
    results.record_top("# top", path)
    results.record("a.py", "## A\n\nfirst", path)
    path.write_text(path.read_text() + "\na remark\n")
    results.record("b.py", "## B", path)
    results.record("a.py", "## A\n\nsecond", path)
    results.record_top("# new top", path)
    text = path.read_text()
    order = [text.index(part) for part in ("# new top", results.MARK, "## A", "second", "a remark", "## B")]
    assert order == sorted(order)
    assert "first" not in text and "# top" not in text
    for again in range(2):
        results.record("a.py", "## A\n\nsecond", path)
        results.record_top("# new top", path)
        assert path.read_text() == text


def test_a_section_without_its_end_is_left_alone(tmp_path):
    path = tmp_path / "RESULTS.md"
    path.write_text(f"# top\n\n{results.MARK}\n\n<!-- from a.py -->\n\n## A\n\nby hand\n")
    before = path.read_text()
    with pytest.raises(ValueError, match="mend it by hand"):
        results.record("a.py", "## A", path)
    assert path.read_text() == before


def test_the_committed_results_have_each_section_once():
    text = results.PATH.read_text()
    assert text.count(results.MARK) == 1
    assert text.count("<!-- from latency.py -->") == text.count("<!-- end of latency.py -->") == 1
