"""The live page, from the site's folder and in a notebook: every slider, the crate's numbers, the pace, keys, themes, a phone."""

import base64
import gzip
import re
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import nbformat
import notebook as runner
import pytest
from conftest import REPOSITORY
from lab import CELL_0, errors
from live import PACE, RUN, Crate, Live, distance
from looks import check_text

SITE = REPOSITORY / "results/site"
# float32 sums in another order: measured 1e-6 at most, for the low-rank model after 5000 steps, too
NEAR = 1e-4


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def address():
    """The site, served from a folder as any server does."""
    assert (SITE / "index.html").exists(), "no site: `make site` builds it"
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(SITE)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()


@pytest.fixture(scope="session")
def crate():
    crate = Crate()
    yield crate
    crate.close()


@pytest.fixture
def open_live(browser, address):
    """Opens the page: `open_live(settings="#…", …)`, the rest for the browser's context. No script may fail, and nothing but the page is asked for."""
    opened = []

    def begin(settings="", **context):
        page = browser.new_context(**{"viewport": {"width": 1440, "height": 900}} | context).new_page()
        live = Live(page)
        opened.append(live)
        live.open(address, settings)
        return live

    yield begin
    for live in opened:
        live.page.context.close()
        assert live.complaints == []
        assert [url for url in live.requests if not url.startswith((address, "data:", "blob:"))] == []
        assert [url for url in live.requests if url.startswith(address)] == [live.requests[0]], "one file"


def check_numbers(view, expected):
    """What the page has is what the crate has."""
    assert (view["of"], view["step"]) == (expected["of"], expected["step"])
    assert view["likely"] == expected["likely"] and view["guessed"] == expected["guessed"]
    assert abs(view["divergence"] - expected["divergence"]) < NEAR
    for form in ("trained", "balanced"):
        assert distance(view[form]["rows"], expected[form]["rows"]) < NEAR * max(map(abs, expected[form]["rows"]))
        assert distance(view[form]["dimensions"], expected[form]["dimensions"]) < NEAR


def test_the_page_is_small():
    assert len(gzip.compress((SITE / "index.html").read_bytes())) < 300_000


def test_the_page_names_no_folder_of_the_machine_that_built_it():
    packed = re.search(r'id="wasm">([^<]*)<', (SITE / "index.html").read_text())[1]
    wasm = gzip.decompress(base64.b64decode(packed))
    assert wasm.startswith(b"\0asm")
    assert [part for part in (str(Path.home()), str(REPOSITORY), "registry/src") if part.encode() in wasm] == []


def test_the_lessons_first_question_is_answered_by_itself(open_live, crate, screenshots):
    """Who opens the page and waits sees five numbers tell ten tokens apart."""
    live = open_live()
    live.page.screenshot(path=screenshots / "live-first.png")
    live.rest()
    view = live.view()
    check_numbers(view, crate.trained(view["of"]))
    assert live.find("#right").inner_text() == "100 of 100"
    assert live.find("#steps").inner_text() == "5,000" and float(live.find("#divergence").inner_text()) < 0.03
    assert "10 tokens" in live.find("h1").inner_text() and "5 numbers" in live.find("h1").inner_text()
    live.page.screenshot(path=screenshots / "live-rest.png", full_page=True)


@pytest.mark.parametrize("name, presses", [("tokens", 3), ("dimensions", -2), ("modules", 4), ("lr", 1), ("seed", 7), ("p", -15)])
def test_each_slider_changes_the_model_to_what_the_crate_has(open_live, crate, name, presses):
    live = open_live("#speed=10&model=" + ("transformer" if name == "modules" else "low_rank"))
    before = live.state()
    shown = live.find(f"label:has(#{name}) output").inner_text()
    live.slide(name, abs(presses), "ArrowRight" if presses > 0 else "ArrowLeft")
    after = live.state()
    live.slide(name, abs(presses), "ArrowLeft" if presses > 0 else "ArrowRight")
    assert live.state()[name] == before[name], "and back"
    live.slide(name, abs(presses), "ArrowRight" if presses > 0 else "ArrowLeft")
    assert after[name] != before[name] and live.find(f"label:has(#{name}) output").inner_text() != shown
    view = live.part()
    settings = view["of"]
    model = settings["model"]
    assert after[name] == (model["transformer"]["modules"] if name == "modules" else settings[name])
    assert {key: value for key, value in after.items() if key in settings and key not in (name, "model")} == {
        key: value for key, value in before.items() if key in settings and key not in (name, "model")
    }, "only this one"
    check_numbers(view, crate.trained(settings, view["step"]))


def test_the_speed_slider_makes_more_steps_in_a_frame(open_live):
    """Up to 500, as many as the machine makes within the time of a frame."""
    live = open_live("#speed=1")
    assert live.page.evaluate(PACE, 500)["most"] == 1
    live.slide("speed", 1, "End")
    assert live.state()["speed"] == 500
    most = live.page.evaluate(PACE, 1000)["most"]
    assert 20 < most <= 500, most


def test_the_model_trains_on_while_p_and_the_learning_rate_move(open_live, screenshots):
    live = open_live("#speed=20")
    live.wait(lambda state: state["step"] > 500, "it does not train")
    for name in ("p", "lr"):
        before = live.view()
        live.slide(name, 3, "ArrowLeft")
        live.wait(lambda state: live.view()["of"][name] == state[name], "the engine does not hear of it")
        live.wait(lambda state: state["step"] > before["step"] + 100, "it stopped")
        after = live.view()
        assert after["of"][name] < before["of"][name] and after["step"] > before["step"]
        cosine = sum(a * b for a, b in zip(before["trained"]["rows"], after["trained"]["rows"]))
        norms = [sum(a * a for a in view["trained"]["rows"]) ** 0.5 for view in (before, after)]
        assert cosine > 0.9 * norms[0] * norms[1], "the same model, a little further"
    live.page.screenshot(path=screenshots / "live-moved.png", full_page=True)


@pytest.mark.parametrize("settings", ["#speed=10", "#speed=10&dimensions=3&tokens=12", "#speed=500&tokens=24&dimensions=8&model=transformer&modules=10"])
def test_thirty_frames_a_second_without_a_graphics_card(open_live, settings):
    """And each of them shows another model."""
    live = open_live(settings)
    pace = live.page.evaluate(PACE, 2000)
    print(f"{settings}: {pace}")
    assert live.state()["plays"], "it must still train"
    assert pace["frames"] >= 30 and pace["views"] >= 30, pace


def test_everything_works_by_keyboard(open_live):
    live = open_live("#speed=5", reduced_motion="reduce")
    page, press = live.page, live.page.keyboard.press
    assert live.state()["step"] == 0 and not live.state()["plays"], "who wants no motion starts it himself"
    for steps in (1, 2, 3):
        press("s")
        live.wait(lambda state: state["step"] == steps, "no step")
    press(" ")
    live.wait(lambda state: state["step"] > 20, "space does not train")
    press(" ")
    assert not live.state()["plays"]
    press("r")
    live.wait(lambda state: state["plays"] and state["step"] < 2000, "r does not restart")
    theme = page.evaluate("() => document.documentElement.dataset.theme")
    press("t")
    assert page.evaluate("() => document.documentElement.dataset.theme") != theme
    # every control is reached by Tab, in the order of the page, and shows that it is
    page.evaluate("() => document.activeElement.blur()")
    reached = []
    for _ in range(60):
        press("Tab")
        where = page.evaluate("""() => {
          const element = document.activeElement, seen = getComputedStyle(element.matches('.choice input') ? element.nextElementSibling : element);
          return element === document.body ? null : { id: element.id || element.name || element.textContent, outline: seen.outlineStyle };
        }""")
        if where is None:
            break
        reached.append(where)
    names = [where["id"] for where in reached]
    assert [where for where in reached if where["outline"] == "none"] == []
    wanted = ["theme", "play", "step", "restart", "model", "tokens", "dimensions", "p", "lr", "seed", "speed", "share", "cell", "Ten in five", "vectors", "form", "sorted"]
    assert [name for name in names if name in wanted] == wanted


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_themes_read_well(open_live, screenshots, theme):
    live = open_live("#dimensions=3&tokens=8&speed=500&sorted=yes", color_scheme=theme, device_scale_factor=2)
    live.rest()
    assert live.page.evaluate("() => document.documentElement.dataset.theme") == theme
    live.page.screenshot(path=screenshots / f"live-{theme}.png", full_page=True)
    check_text(live.find("body"))
    for canvas in live.find("canvas").all():
        assert canvas.get_attribute("aria-label"), "figures have words, too"


@pytest.mark.parametrize("width", [390, 320, 700, 1000])
def test_it_fits_a_phone_and_what_is_between(open_live, screenshots, width):
    live = open_live("#dimensions=2&speed=500", viewport={"width": width, "height": 844}, has_touch=True, is_mobile=width < 600, device_scale_factor=2)
    live.rest()
    live.page.screenshot(path=screenshots / f"live-{width}.png", full_page=True, scale="css")
    assert live.page.evaluate("() => document.documentElement.scrollWidth") <= width
    check_text(live.find("body"))
    small = live.page.evaluate("""() => [...document.querySelectorAll('button, input[type=range], .choice span, .check')]
      .filter(element => element.checkVisibility()).map(element => [element.textContent, element.getBoundingClientRect().height]).filter(([, height]) => height < 22)""")
    assert small == [], "too small for a finger"
    live.find("#play").tap()
    live.wait(lambda state: state["step"] > RUN, "a tap on “Train on” does nothing")


def test_a_link_brings_the_settings_back(open_live):
    live = open_live()
    live.slide("dimensions", 2)
    live.slide("p", 5, "ArrowLeft")
    live.find("text=balanced").first.click()
    address = live.page.url
    state = {key: value for key, value in live.state().items() if key not in ("step", "plays")}
    assert state["dimensions"] == 7 and state["p"] == 0.9 and state["form"] == "balanced"
    other = open_live("#" + address.split("#")[1])
    assert state.items() <= other.state().items()
    bad = open_live("#tokens=1e9&dimensions=-3&p=x&lr=0&seed=%00&model=7&form=").state()
    assert (bad["tokens"], bad["dimensions"], bad["model"], bad["form"], bad["seed"], bad["p"]) == (24, 1, "low_rank", "trained", 2108, 0.95)


def test_the_link_and_the_cell_can_be_copied(open_live):
    live = open_live("#tokens=7", permissions=["clipboard-read", "clipboard-write"])
    copied = "() => navigator.clipboard.readText()"
    live.find("#share").click()
    live.find("#share:has-text('Copied')").wait_for()
    assert live.page.evaluate(copied) == live.page.url
    live.find("#cell").click()
    live.find("#cell:has-text('Copied')").wait_for()
    assert "LowRank::new(5, 7, 3, &pi, &mut rng)?" in live.page.evaluate(copied)


def test_hulls_and_partners(open_live):
    """The page's own geometry, on bodies whose edges are known; a cube's faces are flat, and have no diagonals."""
    live = open_live("#speed=1")
    edges = live.page.evaluate("""async () => {
      const { hull2, hull3, partners, gram } = await import('math');
      const signs = [-1, 1];
      const cube = signs.flatMap(x => signs.flatMap(y => signs.map(z => [x, y, z])));
      const axes = [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]];
      const tetrahedron = [[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1], [0.1, 0, 0]];
      return [hull3(cube).length, hull3(axes).length, hull3(tetrahedron).length, hull3(tetrahedron).flat().includes(4),
        hull2([[0, 0], [1, 1], [-1, 1], [-1, -1], [1, -1], [1, 0]]).sort().join(), partners(gram(axes.flat(), 6, 3), 6).join(),
        partners(gram([1, 0, 0, 1, -1, 0, 0, -1], 4, 2), 4).join()];
    }""")
    assert edges == [12, 12, 6, False, "1,2,3,4", "0,1,2,3,4,5", "0,2,1,3"]


def test_the_solid_turns(open_live, screenshots):
    live = open_live("#tokens=8&dimensions=3&speed=500", reduced_motion="reduce")
    live.page.keyboard.press(" ")
    live.rest()
    solid = live.find("#vectors")
    pictures = [solid.screenshot()]
    solid.focus()
    solid.press("ArrowLeft")
    live.page.wait_for_timeout(100)
    pictures.append(solid.screenshot())
    box = solid.bounding_box()
    live.page.mouse.move(box["x"] + 150, box["y"] + 150)
    live.page.mouse.down()
    live.page.mouse.move(box["x"] + 220, box["y"] + 120, steps=4)
    live.page.mouse.up()
    live.page.mouse.move(0, 0)
    live.page.wait_for_timeout(100)
    pictures.append(solid.screenshot(path=screenshots / "live-solid.png"))
    assert len(set(pictures)) == 3


def test_a_figure_says_what_lies_under_the_pointer(open_live):
    live = open_live("#speed=500")
    live.rest()
    for name, words in [("contexts", "comes"), ("gram", "cosine|length"), ("bars", "dimensions"), ("curve", "nats")]:
        box = live.find(f"#{name}").bounding_box()
        live.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 3)
        assert re.search(words, live.find("#tip").inner_text()), name


# ---- what the page says of its experiments


def cosines(rows, n):
    d = len(rows) // n
    vectors = [rows[d * k : d * k + d] for k in range(n)]
    norms = [sum(x * x for x in vector) ** 0.5 for vector in vectors]
    return [[sum(a * b for a, b in zip(vectors[i], vectors[j])) / (norms[i] * norms[j]) for j in range(n)] for i in range(n)]


def right(view):
    return sum(a == b for a, b in zip(view["likely"], view["guessed"]))


def corners(rows):
    """Tokens that are furthest out in some direction of the plane."""
    import math

    points = list(zip(rows[::2], rows[1::2]))
    directions = [(math.cos(k * math.tau / 3600), math.sin(k * math.tau / 3600)) for k in range(3600)]
    return {max(range(len(points)), key=lambda k: points[k][0] * x + points[k][1] * y) for x, y in directions}


@pytest.fixture
def experiment(open_live, screenshots):
    def begin(name):
        live = open_live("#speed=500")
        live.find(f"#experiments button:has-text('{name}')").click()
        assert live.find("#experiments button[aria-pressed=true]").inner_text() == name
        live.wait(lambda state: state["step"] is not None and state["step"] < RUN, "it does not begin")
        live.rest()
        live.page.screenshot(path=screenshots / f"live-{name.replace(' ', '-').lower()}.png")
        return live.view()

    return begin


def test_ten_in_five_makes_pairs(experiment):
    view = experiment("Ten in five")
    table = cosines(view["trained"]["rows"], 10)
    partner = [min(range(10), key=row.__getitem__) for row in table]
    assert right(view) == 100 and all(partner[partner[k]] == k and table[k][partner[k]] < -0.93 for k in range(10))


def test_ten_in_two_are_all_corners(experiment):
    view = experiment("Ten in two")
    assert right(view) == 100 and len(corners(view["trained"]["rows"])) == 10


def test_an_unsure_law_gives_tokens_up(experiment):
    view = experiment("An unsure law")
    winners = set(view["guessed"])
    assert len(corners(view["trained"]["rows"])) < 10 and right(view) < 100
    assert winners <= corners(view["trained"]["rows"]), "only corners win"


def test_eight_in_three_keep_apart(experiment):
    view = experiment("Eight in three")
    table = cosines(view["trained"]["rows"], 8)
    assert right(view) == 64 and max(table[i][j] for i in range(8) for j in range(i)) < 0.5


def test_nine_dimensions_are_room_enough(experiment):
    view = experiment("Room enough")
    table = cosines(view["balanced"]["rows"], 10)
    assert view["divergence"] < 1e-4 and all(abs(table[i][j] + 1 / 9) < 0.03 for i in range(10) for j in range(i))


def test_a_transformer_is_short_of_means_and_more_modules_help(experiment, crate):
    view = experiment("A Transformer")
    more = crate.trained({**view["of"], "model": {"transformer": {"modules": 10}}})
    low_rank = crate.trained({**view["of"], "model": "low_rank"})
    assert low_rank["divergence"] < more["divergence"] < view["divergence"]


# ---- the rest of the site


def test_every_link_of_the_site_leads_somewhere():
    for file in SITE.glob("*.html"):
        text = re.sub(r"<(script|style).*?</\1>", "", file.read_text("utf-8"), flags=re.DOTALL)
        links = [link for link in re.findall(r'href="([^"#]+)[^"]*"', text) if not re.match(r"(https?|data):", link)]
        assert links and [link for link in links if not (SITE / link).exists()] == [], file.name
    assert len(list(SITE.glob("*.html"))) == 1 + len(list((REPOSITORY / "notebooks").glob("*.ipynb")))


@pytest.mark.parametrize("name", sorted(path.stem for path in (REPOSITORY / "notebooks").glob("*.ipynb")))
def test_a_notebook_of_the_site_has_its_formulas_and_folds_its_answers(browser, address, screenshots, name):
    notebook = nbformat.read(REPOSITORY / f"notebooks/{name}.ipynb", as_version=4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        live = Live(context.new_page())
        live.page.goto(f"{address}{name}.html")
        page = live.page
        assert page.locator("math").count() == len(re.findall(r"\$\$.+?\$\$|\$[^$]+\$", text, re.DOTALL))
        assert "$" not in page.locator(".jp-MarkdownOutput").evaluate_all("all => all.map(one => one.innerText).join('')")
        assert page.locator("math merror, math:empty").count() == 0
        folded = [cell for cell in notebook.cells if cell.metadata.get("jupyter", {}).get("source_hidden")]
        assert page.locator("details:not([open]) > summary").count() == len(folded) + text.count("<details>")
        assert page.locator("nav a[href='index.html']").is_visible()
        page.screenshot(path=screenshots / f"site-{name}.png")
        if page.locator("math").count():
            page.locator("math").last.scroll_into_view_if_needed()
            page.screenshot(path=screenshots / f"site-{name}-formula.png")
        assert live.complaints == []
        assert [url for url in live.requests if not url.startswith((address, "data:", "blob:", "about:"))] == []


# ---- in a notebook


def test_explore_shows_the_page_in_jupyterlab_and_in_the_exported_notebook(new_notebook, copies, crate, browser, screenshots):
    lab = new_notebook
    lab.run_cell(CELL_0)
    number = lab.type_cell("explore()")
    lab.wait_until_done()
    assert errors(lab.cells()) == []
    element = lab.page.wait_for_selector("iframe.ntgram-live")
    live = Live(lab.page, element.content_frame())
    live.begun()
    live.frame.evaluate("() => document.querySelector('#speed').focus()")
    live.slide("speed", 1, "End")
    live.rest()
    check_numbers(live.view(), crate.trained(live.view()["of"]))
    height = element.bounding_box()["height"]
    assert abs(height - live.frame.evaluate("() => document.body.offsetHeight")) < 30, "no second scroll bar"
    for theme in ("Dark", "Light"):
        lab.menu("Settings", "Theme", f"JupyterLab {theme}")
        lab.page.wait_for_selector(f'body[data-jp-theme-name="JupyterLab {theme}"]', state="attached")
        live.frame.wait_for_function(f"() => document.documentElement.dataset.theme === '{theme.lower()}'")
        element.scroll_into_view_if_needed()
        lab.page.screenshot(path=screenshots / f"live-jupyterlab-{theme.lower()}.png")
    # what the page calls its training in Rust gives the page's numbers
    code = live.frame.evaluate("async () => (await import('settings')).asRust(ntgram.values)")
    text = lab.run_cell(code.replace("diverging_heatmap", 'println!("{:.6}", model.divergence()?);\ndiverging_heatmap'))
    assert errors(lab.cells()) == []
    assert abs(float(text.split()[-1]) - live.view()["divergence"]) < 1e-5
    lab.page.evaluate("() => jupyterapp.shell.currentWidget.context.save()")
    lab.page.wait_for_function("() => !jupyterapp.shell.currentWidget.context.model.dirty")
    saved = nbformat.read(copies / lab.page.evaluate("() => jupyterapp.shell.currentWidget.context.path"), as_version=4)
    (output,) = saved.cells[number].outputs
    assert len(output.data["text/html"].encode()) < 500_000
    assert "http" not in re.sub(r"base64,?[\w+/=]*|[\w+/=]{200,}", "", output.data["text/html"])
    file = screenshots / "live-exported.html"
    runner.write_page(saved, file)
    check_exported(browser, file, crate, screenshots)


def test_the_committed_lesson_has_the_page(browser, crate, screenshots):
    notebook = nbformat.read(REPOSITORY / "notebooks/superposition.ipynb", as_version=4)
    file = screenshots / "superposition-live.html"
    runner.write_page(notebook, file)
    check_exported(browser, file, crate, screenshots)


def check_exported(browser, file, crate, screenshots):
    """The page in an exported notebook: no kernel, no network."""
    with browser.new_context(viewport={"width": 1280, "height": 900}, offline=True) as context:
        page = context.new_page()
        live = Live(page)
        page.goto(file.as_uri())
        element = page.wait_for_selector("iframe.ntgram-live")
        element.scroll_into_view_if_needed()
        live.frame = element.content_frame()
        live.begun()
        live.find("#experiments button:has-text('Ten in two')").click()
        live.slide("speed", 1, "End")
        live.rest()
        check_numbers(live.view(), crate.trained(live.view()["of"]))
        page.screenshot(path=screenshots / f"{file.stem}.png")
        assert live.complaints == []
