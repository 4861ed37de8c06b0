"""What the front page and the documentation's pages show is true: code runs, commands parse, links lead somewhere."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from invnet_cli.app import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.rst"))]
PAGES = [page for page in PAGES if not {"gallery", "generated", "_templates"} & set(page.parts)]
COMMAND = re.compile(r"^(?:    \$ |)(invnet (?!\[).*?)(?:\s+#.*)?$", re.MULTILINE)


def commands():
    for page in PAGES:
        for line in COMMAND.findall(page.read_text()):
            words = shlex.split(line)[1:]
            if words[0] in main.commands:
                yield pytest.param(words, id=" ".join(words))


@pytest.mark.parametrize("words", list(commands()))
def test_commands_are_parsed(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for word in words[1:]:
        if Path(word).suffix and words[words.index(word) - 1] != "--out":
            Path(word).parent.mkdir(parents=True, exist_ok=True)
            Path(word).touch()
    for folder in ("BSDS500/train", "set12", "photographs", "BSDS500"):
        Path(folder).mkdir(parents=True, exist_ok=True)
    command = main.commands[words[0]]
    if "--help" in words:
        with pytest.raises(click.exceptions.Exit):
            command.make_context(words[0], words[1:])
    else:
        command.make_context(words[0], words[1:])


def test_the_front_pages_code_runs():
    """With smaller images and fewer steps."""
    names = {}
    code = README.replace("256", "64").replace("steps=100", "steps=2, progress=False")
    for block in re.findall(r"```python\n(.*?)```", code, re.DOTALL):
        exec(compile(block, "README.md", "exec"), names)
    assert names["result"].steps == 2


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)#]+)", README) + re.findall(r"`(\w+/[\w/.]*)`", README))
def test_the_front_pages_links_lead_to_files(link):
    assert (ROOT / link).exists()


def test_the_front_pages_targets_are_the_makefiles():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake (\w+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"there is no target {target}"


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    command = [sys.executable, str(ROOT / "docs/check_links.py"), str(tmp_path)]
    (tmp_path / "a.html").write_text('<p id="here"><a href="b.html#there">b</a><a href="#here">a</a></p>')
    (tmp_path / "b.html").write_text('<p id="there"><a href="https://example.org/none">elsewhere</a></p>')
    assert subprocess.run(command, check=False).returncode == 0
    (tmp_path / "b.html").write_text('<p><a href="c.html">c</a></p>')
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "a.html: b.html#there leads nowhere" in done.stdout
    assert "b.html: c.html leads nowhere" in done.stdout
