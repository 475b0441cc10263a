"""Pictures of the planner's page for docs/images/: part of `make screenshots`, after `make demo`.

The API is started on the home's own warehouse, and its page opened in the system's Chromium.
"""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright
from screenshots import IMAGES, small

from shelfops_api.main import create_app
from shelfops_api.settings import ApiSettings
from shelfops_pipeline.charts.write import HOW_TO_GET_BROWSER, browser_path
from shelfops_pipeline.lifecycle.registry import Registry
from shelfops_pipeline.services.instance import warehouse
from shelfops_pipeline.settings import Settings

WIDE: Final = (1440, 1000)
NARROW: Final = (390, 1500)


def main() -> None:
    """Take the pictures. Exits with one line where there is no champion or no browser."""
    settings = Settings()
    if Registry.of(settings).champion() is None:
        sys.exit(f"{settings.root} has no champion: run `make demo` first, or set SHELFOPS_HOME")
    program = browser_path()
    if program is None:
        sys.exit(f"no browser: {HOW_TO_GET_BROWSER}")
    with warehouse(settings) as url, served(settings, url) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        pictures = {
            "planner": whole(browser, address, WIDE),
            "planner-what-if": series(browser, address),
            "planner-phone": start(browser, address, NARROW),
        }
        browser.close()
    for name, content in pictures.items():
        target = IMAGES / f"{name}.png"
        target.write_bytes(small(content))
        print(f"{target} {target.stat().st_size:,} bytes")


@contextmanager
def served(settings: Settings, url: str) -> Iterator[str]:
    """The API in a thread; its address."""
    api = ApiSettings.model_validate({"dataset": settings.dataset, "home": settings.root, "database_url": url})
    server = uvicorn.Server(uvicorn.Config(create_app(api), port=0, ws="websockets-sansio", log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    server.should_exit = True
    thread.join(timeout=20)


def opened(browser: Browser, address: str, size: tuple[int, int]) -> Page:
    """The page with the series of its first alert, or of the first store, and the first order unfolded."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, device_scale_factor=1.25)
    page.goto(address)
    page.wait_for_selector("#totals tbody tr")
    page.wait_for_selector("#alerts .body > :not(.loading)")
    page.wait_for_selector("#orders .body > :not(.loading)")
    page.wait_for_selector("#stores option", state="attached")
    if page.locator("#orders summary").count():
        page.locator("#orders summary").first.click()
        page.wait_for_selector("#orders table")
    links = page.locator("#alerts button.link, #orders button.link")
    if links.count():
        links.first.click()
    else:
        page.fill("#store", page.locator("#stores option").first.get_attribute("value") or "")
        page.dispatch_event("#store", "change")
        page.wait_for_selector("#items option", state="attached")
        page.fill("#item", page.locator("#items option").first.get_attribute("value") or "")
        page.press("#item", "Enter")
    page.wait_for_selector(".chart path.mean")
    page.wait_for_selector(".reasons, .why .empty")
    page.evaluate("document.activeElement.blur()")
    return page


def whole(browser: Browser, address: str, size: tuple[int, int]) -> bytes:
    page = opened(browser, address, size)
    page.evaluate("scrollTo(0, 0)")
    content = page.screenshot(full_page=True)
    page.close()
    return content


def start(browser: Browser, address: str, size: tuple[int, int]) -> bytes:
    """The beginning of the page, as far as `size` reaches."""
    page = opened(browser, address, size)
    page.evaluate("scrollTo(0, 0)")
    content = page.screenshot()
    page.close()
    return content


def series(browser: Browser, address: str) -> bytes:
    """The series' panel with a promotion at a lower price."""
    page = opened(browser, address, WIDE)
    page.get_by_label("Promotion").select_option("true")
    if page.locator("input[type=range]").count():
        page.locator("input[type=range]").fill("80")
    page.wait_for_selector(".chart path.scenario")
    page.wait_for_timeout(500)  # the pointer's last answer
    box = page.locator(".chart svg").bounding_box()
    if box is not None:
        page.mouse.move(box["x"] + 0.785 * box["width"], box["y"] + 120)
    content = page.locator("#series").screenshot()
    page.close()
    return content


if __name__ == "__main__":
    main()
