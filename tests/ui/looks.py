"""What a reader sees of outputs, in JupyterLab and in an exported page alike: their elements have the same class."""

import pytest

OUTPUT = ".jp-OutputArea-output"
TEXT_CONTRAST = 4.5  # what WCAG 2.2 asks of text (level AA)

# Every visible picture: the size of its file, its size on the page, how wide it might be, and the slider it belongs to, if any.
_PICTURES = """async outputs => {
  const all = outputs.flatMap(output => [...output.querySelectorAll('img')].map(img => ({ img, output })));
  await Promise.allSettled(all.map(({ img }) => img.decode()));
  const sliders = outputs.flatMap(output => [...output.querySelectorAll('.ntgram-slider')]);
  return all.filter(({ img }) => img.checkVisibility({ checkVisibilityCSS: true })).map(({ img, output }) => ({
    slider: sliders.indexOf(img.closest('.ntgram-slider')),
    file: [img.naturalWidth, img.naturalHeight],
    page: [img.getBoundingClientRect().width, img.getBoundingClientRect().height],
    room: output.clientWidth - parseFloat(getComputedStyle(output).paddingLeft) - parseFloat(getComputedStyle(output).paddingRight),
  }));
}"""
# Outputs (or other elements) that are wider than their room.
OVERFLOWS = """outputs => outputs.filter(output => output.scrollWidth > output.clientWidth + 1).map(output =>
  `${output.scrollWidth} wide in ${output.clientWidth}: ${output.innerText.slice(0, 200)}`)"""

# Texts with the contrast between their colour and what is behind them, from 1 (none) to 21 (black on white).
_CONTRASTS = """outputs => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = colour => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = colour => {
    const [r, g, b] = colour.map(x => x / 255).map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = element => {
    for (; element; element = element.parentElement) {
      const colour = rgba(getComputedStyle(element).backgroundColor);
      if (colour[3] > 127) return colour;
    }
    return [255, 255, 255];
  };
  const own = element => [...element.childNodes].filter(node => node.nodeType === 3).map(node => node.data.trim()).join('');
  return outputs.flatMap(output => [...output.querySelectorAll('*')])
    .filter(element => !['SCRIPT', 'STYLE'].includes(element.tagName) && own(element) && element.checkVisibility())
    .map(element => {
      const [one, two] = [light(rgba(getComputedStyle(element).color)), light(behind(element))];
      return { text: own(element).slice(0, 80), ratio: (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05) };
    });
}"""

# What the output around a slider shows: its visible pictures by their data, and its text.
_SHOWN = """slider => {
  const output = slider.closest('.jp-OutputArea-output');
  const pictures = [...output.querySelectorAll('img')].filter(img => img.checkVisibility({ checkVisibilityCSS: true }));
  return { pictures: pictures.map(img => img.src), text: output.innerText };
}"""


def figures(outputs):
    """How many figures these outputs show, a slider being one. Each picture must be whole and as large as meant: half its file's size,
    or as wide as the page where that is less, though not so small that its text cannot be read."""
    pictures = outputs.evaluate_all(_PICTURES)
    for picture in pictures:
        width, height = (pixels / 2 for pixels in picture["file"])
        assert width and height, "a broken picture"
        shown = min(width, picture["room"])
        if picture["slider"] < 0:  # a slider's upper picture shrinks with the one below it
            assert picture["page"] == pytest.approx([shown, height * shown / width], abs=1.5), picture
        assert picture["page"][0] >= 0.9 * width, f"{width} wide and shrunk to {picture['page'][0]}"
    sliders = {picture["slider"] for picture in pictures if picture["slider"] >= 0}
    return len(sliders) + sum(picture["slider"] < 0 for picture in pictures)


def check_text(outputs):
    """No output is wider than its room, and the text of HTML outputs stands out from what is behind it."""
    assert outputs.evaluate_all(OVERFLOWS) == []
    texts = outputs.evaluate_all(_CONTRASTS)
    assert [text for text in texts if text["ratio"] < TEXT_CONTRAST] == []


def move_slider(slider, screenshot):
    """Moves a slider by keyboard and mouse: each place has its own name, and the picture changes. Returns what each place shows."""
    slider.scroll_into_view_if_needed()
    slider.press("Home")
    frames = [slider.evaluate(_SHOWN)]
    places = int(slider.get_attribute("max")) - int(slider.get_attribute("min") or 0) + 1
    assert places > 1, "a slider of one place"
    for _ in range(places - 1):
        slider.press("ArrowRight")
        frames.append(slider.evaluate(_SHOWN))
    assert len({frame["text"] for frame in frames}) == places, "the slider moves, the name of its frame stays"
    assert frames[0]["pictures"] != frames[-1]["pictures"], "the slider moves, its picture stays"
    slider.locator("xpath=ancestor::*[contains(concat(' ', @class, ' '), ' jp-OutputArea-output ')]").last.screenshot(path=screenshot)
    box = slider.bounding_box()
    for x, frame in ((2, frames[0]), (box["width"] - 2, frames[-1])):
        slider.page.mouse.click(box["x"] + x, box["y"] + box["height"] / 2)
        assert slider.evaluate(_SHOWN) == frame
    return frames
