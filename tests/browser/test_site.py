"""The built site in a browser, at the widths of a desk and of a phone: `nox -s docs-browser`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urldefrag

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selenium.webdriver import Chrome

    from tests.browser import looking
    from tests.browser.looking import Visit
else:
    looking = pytest.importorskip("tests.browser.looking", reason="run by nox -s docs-browser")

SITE = os.environ.get("UNIFEXEC_SITE")
pytestmark = [
    pytest.mark.skipif(SITE is None, reason="run by nox -s docs-browser"),
    pytest.mark.timeout(200),  # the first test visits all pages
]
PHONE, DESK = (390, 844), (1280, 900)
READABLE = 12  # pixels: no code is smaller
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The address of the site."""
    with looking.served(Path(str(SITE))) as address:
        yield address


@pytest.fixture(scope="module", params=[DESK, PHONE], ids=["desk", "phone"])
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    """Width and height of the screen."""
    return tuple(request.param)


@pytest.fixture(scope="module")
def browser(size: tuple[int, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A browser with a screen of that size."""
    with looking.opened(tmp_path_factory.mktemp("profile"), *size) as browser:
        yield browser


@pytest.fixture(scope="module")
def visits(browser: Chrome, site: str) -> dict[str, Visit]:
    """Every page, visited."""
    return looking.crawl(browser, site)


def test_every_page_is_reached_by_links(visits: dict[str, Visit], site: str) -> None:
    """There is a way from the first page to each page of docs/."""
    docs = ROOT / "docs"
    pages = {page.relative_to(docs).with_suffix(".html") for page in docs.rglob("*.md")}
    pages = {page.as_posix() for page in pages if "_build" not in page.parts}
    assert pages - {page.removeprefix(site) for page in visits} == set()


def test_the_screen_has_its_width(visits: dict[str, Visit], size: tuple[int, int]) -> None:
    """The browser shows the pages as wide as asked, so that what follows means something."""
    assert {visit.seen["width"] for visit in visits.values()} == {size[0]}


def test_the_console_is_silent(visits: dict[str, Visit]) -> None:
    """No page makes the browser complain, nor loads anything that is not there."""
    assert {page: visit.complaints for page, visit in visits.items() if visit.complaints} == {}


def test_no_link_is_broken(visits: dict[str, Visit], site: str) -> None:
    """Each link into the site leads to a page that exists, and to an anchor on it."""
    links = {(page, link) for page, visit in visits.items() for link in visit.seen["links"]}
    inner = {(page, link) for page, link in links if link.startswith(site)}
    assert inner
    files = {urldefrag(link).url for _, link in inner}
    missing = {file for file in files if file not in visits and not looking.exists(file)}
    broken = set()
    for page, link in inner:
        target, anchor = urldefrag(link)
        anchors = visits[target].seen["anchors"] if target in visits else []
        if target in missing or (anchor and unquote(anchor) not in anchors):
            broken.add((page, link))
    assert broken == set()


def test_no_page_scrolls_sideways(visits: dict[str, Visit]) -> None:
    """What is wider than the screen scrolls in a box of its own."""
    assert [page for page, visit in visits.items() if visit.seen["sideways"]] == []


def test_code_stays_in_its_box(visits: dict[str, Visit], size: tuple[int, int]) -> None:
    """A block of code lies on the screen, and scrolls in its box if it is wider."""
    blocks = [(page, box) for page, visit in visits.items() for box in visit.seen["boxes"]]
    assert any(box["wider"] for _, box in blocks) or size == DESK
    outside = [
        (page, box)
        for page, box in blocks
        if box["left"] < 0 or box["right"] > size[0] or (box["wider"] and not box["scrolls"])
    ]
    assert outside == []


def test_code_is_large_enough(visits: dict[str, Visit]) -> None:
    """Code in blocks and in sentences can be read."""
    small = {
        page: fonts
        for page, visit in visits.items()
        if (fonts := {font for font in fonts_of(visit) if font < READABLE})
    }
    assert small == {}


def fonts_of(visit: Visit) -> list[float]:
    """The sizes of all code on a page, in pixels."""
    return [*(box["font"] for box in visit.seen["boxes"]), *visit.seen["inline"]]


@pytest.mark.parametrize("words", ["time_limit", "WorkerLostError", "stamina"])
def test_the_search_finds(browser: Chrome, site: str, words: str) -> None:
    """Words typed into the box of the first page give results, and the first one is there."""
    browser.get(f"{site}index.html")
    found = looking.search(browser, words)
    assert found
    assert looking.exists(found[0])
    assert looking.complaints(browser) == []
