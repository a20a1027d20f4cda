"""The live page as a person has it, and the same crate on this machine to compare with."""

import json
import subprocess
import time

from setup import CACHE, REPOSITORY

SECONDS = 120  # for a run of 5000 steps: CI machines are slow and shared
RUN = 5000
# What the page's modules keep in sight of tests.
STATE = "() => ({ ...ntgram.values, plays: ntgram.plays, step: ntgram.view?.step })"
# Frames and different views of the model in a second, over so many milliseconds; the most steps from one view to the next.
PACE = """milliseconds => new Promise(resolve => {
  const begun = performance.now(), steps = new Set();
  let [frames, most, last] = [0, 0, ntgram.view.step];
  const look = () => {
    frames += 1;
    most = Math.max(most, ntgram.view.step - last);
    last = ntgram.view.step;
    steps.add(last);
    const passed = performance.now() - begun;
    if (passed < milliseconds) requestAnimationFrame(look);
    else resolve({ frames: 1000 * frames / passed, views: 1000 * (steps.size - 1) / passed, most });
  };
  requestAnimationFrame(look);
})"""


class Crate:
    """`ntgram-web` compiled for this machine: a request a line, a reply a line."""

    def __init__(self):
        self.process = subprocess.Popen(
            ["cargo", "run", "--quiet", "--locked", "--package", "ntgram-web", "--example", "talk",
             "--target-dir", CACHE / "page/target"],
            cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ask(self, request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["view"]

    def trained(self, settings, steps=RUN):
        """What there is to see after so many steps."""
        self.ask({"start": settings})
        return self.ask({"advance": steps})

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)


class Live:
    """The page, or the frame that it stands in."""

    def __init__(self, page, frame=None):
        self.page, self.frame = page, frame or page
        self.complaints, self.requests = [], []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def open(self, address, settings=""):
        self.page.goto(f"{address}{settings}")
        self.begun()

    def begun(self):
        """Waits for the model's first numbers."""
        self.frame.wait_for_function("() => window.ntgram?.view", timeout=1000 * SECONDS)

    def state(self):
        return self.frame.evaluate(STATE)

    def view(self):
        return self.frame.evaluate("() => ntgram.view")

    def find(self, selector):
        return self.frame.locator(selector)

    def wait(self, condition, what):
        end = time.monotonic() + SECONDS
        while not condition(self.state()):
            assert time.monotonic() < end, f"{what}: {self.state()}"
            self.page.wait_for_timeout(50)

    def rest(self):
        """Waits until the run is over."""
        self.wait(lambda state: not state["plays"] and state["step"] is not None, "it does not come to rest")

    def run(self):
        """A run from the start, as long as the lesson's; returns what there is to see then."""
        self.find("#restart").click()
        self.wait(lambda state: state["step"] is not None and state["step"] < RUN, "it does not restart")
        self.rest()
        view = self.view()
        assert view["step"] == RUN
        return view

    def part(self, steps=200):
        """So many steps of a run, or a few more: rounding has not grown yet. Returns what there is to see then."""
        self.find("#restart").click()
        self.wait(lambda state: state["step"] is not None and state["step"] < steps, "it does not restart")
        self.wait(lambda state: state["step"] >= steps, "it does not train")
        self.find("#play").click()
        self.page.wait_for_timeout(200)  # the frame that was asked for
        assert not self.state()["plays"]
        return self.view()

    def slide(self, name, presses, key="ArrowRight"):
        """Moves a slider by its keys."""
        slider = self.find(f"#{name}")
        slider.focus()
        for _ in range(presses):
            slider.press(key)


def distance(one, other):
    """The largest difference of two lists of numbers."""
    assert len(one) == len(other)
    return max(abs(a - b) for a, b in zip(one, other))
