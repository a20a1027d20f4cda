"""Writes the site: `site_pages.py PAGE DOC FOLDER`. The live page first, the notebooks as pages, the crates' documentation: files that can be
served from anywhere, and ask for nothing from elsewhere. Runs in the virtual environment that the set-up makes.
"""

import re
import shutil
import sys
from pathlib import Path

import nbformat
import notebook as runner
from page import LINKS

REPOSITORY = Path(__file__).resolve().parent.parent
DOCUMENTATION = "doc/ntgram_core/index.html"
# What the pages of the site call the others, the live page first.
NAMES = {"index": "Live page", "superposition": "The lesson", "experiments": "Ten experiments",
         "memorisation": "How much can attention remember?"}  # fmt: skip
STYLE = ("display:flex;flex-wrap:wrap;gap:18px;padding:14px 22px;font:15px system-ui,sans-serif;"
         "border-bottom:1px solid var(--jp-border-color2,#ddd)")  # fmt: skip

LINK = '<a style="color:var(--jp-content-link-color,#1f5fbf);text-decoration:underline" '


def links(here):
    """Links to all other pages of the site."""
    others = {f"{name}.html": title for name, title in names().items() if name != here} | {DOCUMENTATION: "Documentation"}
    return " ".join(f'<a href="{address}">{title}</a>' for address, title in others.items())


def names():
    """The pages' names, each with its title: a new notebook has the name of its file."""
    found = sorted(path.stem for path in (REPOSITORY / "notebooks").glob("*.ipynb"))
    return NAMES | {name: name.replace("_", " ").capitalize() for name in found if name not in NAMES}


def write_site(page, documentation, folder):
    """In the place of an older site, and of nothing else."""
    if folder.exists() and any(folder.iterdir()) and not (folder / DOCUMENTATION).exists():
        sys.exit(f"ntgram: {folder} holds other files: name a new folder for the site, or an empty one")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copytree(documentation, folder / "doc")
    live = page.read_text("utf-8")
    (folder / "index.html").write_text(live.replace(LINKS, links("index")), "utf-8")
    for name in names():
        if name != "index":
            write_notebook(name, folder)


def write_notebook(name, folder):
    """One of the committed notebooks as a page; what it links to in the repository, as far as the site has it, is here."""
    notebook = nbformat.read(REPOSITORY / f"notebooks/{name}.ipynb", as_version=4)
    file = folder / f"{name}.html"
    runner.write_page(notebook, file, f'<nav style="{STYLE}">{links(name).replace("<a ", LINK)}</nav>')
    text = file.read_text("utf-8")
    file.write_text(re.sub(r'href="([\w-]+)\.ipynb"', r'href="\1.html"', text), "utf-8")


if __name__ == "__main__":
    write_site(*map(Path, sys.argv[1:]))
    print(f"ntgram: the site: {Path(sys.argv[3]) / 'index.html'}")
