"""The published history in a real browser: do graphs appear?

Needs Chromium and its driver (``apt-get install chromium chromium-driver``), asv and npm.
"""

import contextlib
import functools
import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from base64 import b64decode
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "asv_benchmarks"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,1000",
]
#: canvases that flot has drawn a line on: it is coloured, the grid is grey
DRAWN = """return Array.from(document.querySelectorAll("canvas.flot-base")).filter(canvas => {
    if (!canvas.width || !canvas.height) return false;
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    for (let i = 0; i < pixels.length; i += 4) {
        const colour = [pixels[i], pixels[i + 1], pixels[i + 2]];
        if (pixels[i + 3] && Math.max(...colour) - Math.min(...colour) > 60) return true;
    }
    return false;
}).length;"""

pytestmark = pytest.mark.sweep


class Browser:
    """A Chromium, by the WebDriver protocol."""

    def __init__(self, profile):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = ["chromedriver", f"--port={port}"]
        self.driver = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.address = f"http://127.0.0.1:{port}"
        wait_for(lambda: self.call("GET", "/status")["ready"])
        options = {"args": [*FLAGS, f"--user-data-dir={profile}"]}
        capabilities = {"alwaysMatch": {"goog:chromeOptions": options}}
        session = self.call("POST", "/session", {"capabilities": capabilities})
        self.address += f"/session/{session['sessionId']}"

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def run(self, script):
        return self.call("POST", "/execute/sync", {"script": script, "args": []})

    def screenshot(self, file):
        file.write_bytes(b64decode(self.call("GET", "/screenshot")))

    def close(self):
        try:
            self.call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()


def wait_for(condition, seconds=30):
    """Until it holds; a page that is still loading is no failure."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, KeyError):
            if condition():
                return
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of the published site."""
    pytest.importorskip("asv", reason="asv is an extra")
    for program in ("chromedriver", "npm"):
        if not shutil.which(program):
            pytest.skip(f"no {program}")
    if not (BENCHMARKS / "asv.conf.json").exists():
        pytest.skip("no benchmarks beside these tests")
    install = ["npm", "ci", "--no-audit", "--no-fund", "--prefix", BENCHMARKS / "pages"]
    subprocess.run(install, check=True)
    subprocess.run([sys.executable, BENCHMARKS / "publish.py"], check=True)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    handler = functools.partial(Quiet, directory=BENCHMARKS / "html")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    chromium = Browser(tmp_path_factory.mktemp("profile"))
    yield chromium
    chromium.close()


def picture(browser, tmp_path, name):
    """A screenshot, kept where ``RNN_FAST_PICTURES`` says."""
    folder = Path(os.environ.get("RNN_FAST_PICTURES") or tmp_path)
    browser.screenshot(folder / f"{name}.png")


def test_pages_need_nothing_from_elsewhere(site):
    text = (BENCHMARKS / "html" / "index.html").read_text()
    assert 'src="http' not in text
    assert 'rel="stylesheet" href="http' not in text


def test_overview(site, browser, tmp_path):
    browser.open(site)
    wait_for(lambda: browser.run("return document.querySelectorAll('.benchmark-container').length"))
    picture(browser, tmp_path, "overview")
    text = browser.run("return document.body.innerText")
    assert "track_time" in text
    assert "track_epoch" in text


@pytest.mark.parametrize(
    "benchmark",
    ["kernels.Cells.track_time", "training.Field.track_epoch", "memory.Peak.track_peak"],
)
def test_graph(site, browser, tmp_path, benchmark):
    browser.open("about:blank")
    browser.open(f"{site}#{benchmark}")
    wait_for(lambda: browser.run(DRAWN) > 0)
    picture(browser, tmp_path, benchmark)
    lines = browser.run("return $('#main-graph').length && $('#main-graph').text()")
    assert lines  # the axes have numbers
