"""The report, in a real browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from tests.report.conftest import HOSTILE

from merf.report.page import embedded, write_report

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium: `apt-get install chromium` to run this test")


@pytest.fixture
def report(tmp_path, arms):
    path = tmp_path / "report.html"
    write_report(path, "A title & <more>", "A question?", arms)
    return path


def after_loading(path, tmp_path) -> str:
    """The page's document as the browser has it after running the page's scripts."""
    command = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--virtual-time-budget=5000",
        "--dump-dom",
        path.as_uri(),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


@needs_browser
def test_the_report_draws_its_charts_and_lists_responses(report, tmp_path):
    dom = after_loading(report, tmp_path)
    charts = dom.count('class="main-svg"')
    assert charts >= 8
    listed = re.findall(r'class="response"', dom)
    assert len(listed) == 10
    assert "48 responses, page 1 of 5" in dom
    assert "correctness -1.5" in dom


@needs_browser
def test_what_a_model_wrote_is_shown_and_never_run(report, tmp_path):
    dom = after_loading(report, tmp_path)
    title = re.search(r"<title>(.*?)</title>", dom).group(1)
    assert title == "A title &amp; &lt;more&gt;"
    assert "<img src=" not in dom
    assert "&lt;img src=x onerror=" in dom


def test_the_page_stands_alone(report):
    """It loads nothing: no address is fetched by any element."""
    found = []

    class Links(HTMLParser):
        def handle_starttag(self, tag, attributes):
            found.extend(value for name, value in attributes if name in ("src", "href", "action", "data"))

    without_plotly = re.sub(r"<script>.*?</script>", "", report.read_text(), flags=re.S)
    Links().feed(without_plotly)
    assert found == []


def test_every_figure_in_the_page_comes_from_the_runs(report):
    text = report.read_text()
    assert "RLVR ends at 0.61" in text
    assert "Scoring: right +2 &lt;b&gt;bold&lt;/b&gt;" in text


def test_embedded_json_cannot_close_its_script_element():
    text = embedded({"x": HOSTILE + "\u2028&"})
    assert "<" not in text
    assert ">" not in text
    assert json.loads(text) == {"x": HOSTILE + "\u2028&"}
