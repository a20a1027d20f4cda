"""The builders of the live page and of the site, without building anything; and pages that fetch nothing."""

import base64
import gzip
import json
import re

import nbformat
import notebook as runner
import page
import pytest
import site_pages
from conftest import REPOSITORY

SOURCES = REPOSITORY / "ntgram-web/page"


def part(html, name):
    return re.search(rf'<script [^>]*id="{name}">(.*?)</script>', html, re.DOTALL)[1]


def test_the_page_is_one_file_with_all_of_its_sources():
    html = page.assembled(SOURCES, b"\0asm and more")
    assert gzip.decompress(base64.b64decode(part(html, "wasm"))) == b"\0asm and more"
    assert part(html, "worker") == (SOURCES / "worker.js").read_text()
    modules = json.loads(re.search(r'<script type="importmap">(.*?)</script>', html, re.DOTALL)[1])["imports"]
    sources = {path.stem: path.read_text() for path in SOURCES.glob("*.js") if path.stem != "worker"}
    assert {name: base64.b64decode(address.split("base64,")[1]).decode() for name, address in modules.items()} == sources
    assert (SOURCES / "style.css").read_text() in html
    assert html.count("ntgram:") == html.count(page.LINKS) == 1, "no other mark is left"
    assert page.assembled(SOURCES, b"\0asm and more") == html, "the same bytes at every build"


def test_a_module_needs_only_those_before_it():
    for k, name in enumerate(page.MODULES):
        needs = re.findall(r'^import .* from "(\w+)";', (SOURCES / f"{name}.js").read_text(), re.MULTILINE)
        assert set(needs) <= set(page.MODULES[:k]), name


def test_the_page_names_no_other_host():
    for path in SOURCES.iterdir():
        assert not re.findall(r"https?:|\bfetch\(|url\(|XMLHttpRequest|@import", path.read_text()), path.name


def test_a_source_that_would_end_the_page_is_refused(tmp_path):
    for path in SOURCES.iterdir():
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "worker.js").write_text('"</script>"')
    with pytest.raises(SystemExit, match="worker"):
        page.assembled(tmp_path, b"")


def test_the_site_takes_no_folder_with_other_files(tmp_path):
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(SystemExit, match="other files"):
        site_pages.write_site(tmp_path / "page.html", tmp_path / "doc", tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "keep me"


def test_a_site_takes_the_place_of_an_older_one(tmp_path):
    doc, live, folder = tmp_path / "doc", tmp_path / "page.html", tmp_path / "site"
    (doc / "ntgram_core").mkdir(parents=True)
    (doc / "ntgram_core/index.html").write_text("documentation")
    live.write_text(f"<nav>{page.LINKS}</nav>")
    site_pages.write_site(live, doc, folder)
    (folder / "old.html").write_text("from before")
    site_pages.write_site(live, doc, folder)
    names = {path.stem for path in (REPOSITORY / "notebooks").glob("*.ipynb")}
    assert {path.stem for path in folder.glob("*.html")} == names | {"index"}
    first = (folder / "index.html").read_text()
    assert all(f'href="{name}.html"' in first for name in names) and "doc/ntgram_core/index.html" in first


def test_an_exported_page_fetches_nothing_and_has_its_formulas(tmp_path):
    text = r"Vectors $W_U$ of length $\lVert W\rVert$: $$\sum_{j \ne i} (\hat W_i \cdot W_j)^2$$ and 5 dollars."
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text), nbformat.v4.new_code_cell("1 + 1")])
    runner.write_page(notebook, tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text()
    assert len(re.findall("<math", html)) == 3 and html.count('display="block"') == 1 and "5 dollars" in html
    assert not re.findall(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="(?!data:)', html)
    assert not re.findall(r'(?:import|from)\s*\(?"https?:', html) and "$" not in re.sub(r"<(script|style).*?</\1>", "", html, flags=re.DOTALL)
