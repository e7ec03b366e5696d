"""A headless Chromium, and what it sees of each page of the site.

Chromium and its driver are those of the system; selenium would download others. The browser finds
no host but loopback, so a page that loads anything from elsewhere shows as an error.
"""

from __future__ import annotations

import shutil
import threading
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urldefrag, urlsplit

from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # Chromium insists on this where it is run by root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)

LOOK = """
const size = element => parseFloat(getComputedStyle(element).fontSize);
const box = pre => ({
    text: pre.textContent.slice(0, 40),
    font: size(pre),
    left: pre.getBoundingClientRect().left,
    right: pre.getBoundingClientRect().right,
    wider: pre.scrollWidth > pre.clientWidth,
    scrolls: ["auto", "scroll"].includes(getComputedStyle(pre).overflowX),
});
return {
    title: document.title,
    width: innerWidth,
    sideways: [document.documentElement, ...document.querySelectorAll(".content")]
        .some(e => e.scrollWidth > e.clientWidth),
    links: [...document.querySelectorAll("a[href]")].map(a => a.href),
    anchors: [...document.querySelectorAll("[id]")].map(e => e.id),
    boxes: [...document.querySelectorAll("pre")].map(box),
    inline: [...document.querySelectorAll("article code")].map(size),
};
"""


class Visit(NamedTuple):
    """One page as the browser showed it."""

    seen: dict[str, Any]  # what LOOK returns
    complaints: list[str]  # the console's


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    timeout = 1  # the browser opens connections that it may never use

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on loopback, as long as the block lasts; its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def opened(profile: Path, width: int, height: int) -> Iterator[Chrome]:
    """Open a browser with an empty profile and a screen of that size."""
    options = ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options, ChromeService(str(shutil.which("chromedriver"))))
    try:
        browser.set_page_load_timeout(20)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        yield browser
    finally:
        browser.quit()


def complaints(browser: Chrome) -> list[str]:
    """The errors that the console has shown since it was asked last."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def visit(browser: Chrome, page: str) -> Visit:
    """Open a page and look at it."""
    browser.get(page)
    return Visit(browser.execute_script(LOOK), complaints(browser))


def crawl(browser: Chrome, site: str) -> dict[str, Visit]:
    """Visit every page that can be reached by links, from the first one on."""
    visits: dict[str, Visit] = {}
    waiting = [f"{site}index.html"]
    while waiting:
        page = waiting.pop()
        if page not in visits:
            visits[page] = visit(browser, page)
            waiting += inner_pages(site, visits[page])
    return visits


def search(browser: Chrome, words: str) -> list[str]:
    """Type words into the search box of the page that is open; the addresses that are found."""
    patience = WebDriverWait(browser, 10)
    box = browser.find_element(By.CSS_SELECTOR, ".sidebar-search")
    if box.location["x"] < 0:  # on a phone it is in the drawer
        browser.find_element(By.CSS_SELECTOR, ".mobile-header .nav-overlay-icon").click()
        patience.until(lambda _: box.location["x"] >= 0)
    box.send_keys(words)
    box.submit()
    results = (By.CSS_SELECTOR, "#search-results .search li a")
    found = patience.until(lambda page: page.find_elements(*results))
    return [str(result.get_attribute("href")) for result in found]


def inner_pages(site: str, visited: Visit) -> list[str]:
    """The pages of the site that a page links to, as far as they exist."""
    targets = {urldefrag(link).url for link in visited.seen["links"] if link.startswith(site)}
    return [url for url in sorted(targets) if url.endswith(".html") and exists(url)]


def exists(url: str) -> bool:
    """Whether the server has it."""
    parts = urlsplit(url)
    connection = HTTPConnection(str(parts.hostname), parts.port, timeout=10)
    try:
        connection.request("HEAD", parts.path)
        return connection.getresponse().status == 200
    finally:
        connection.close()
