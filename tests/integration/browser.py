"""A headless Chromium for the tests of pages: each page is watched for errors and for requests that leave its origin."""
import contextlib
import os
import shutil
import unittest

CHROMIUM = os.environ.get("ROUTEWRIGHT_CHROMIUM") or shutil.which("chromium")
LIMIT_MS = 60_000  # for what comes in tenths of a second on an idle machine
VARIANTS = [(scheme, width) for scheme in ("light", "dark") for width in (375, 1600)]

needs_chromium = unittest.skipUnless(CHROMIUM, "no Chromium: launch/test.sh installs Debian's")


class Browser:
    """Use as a context manager; `open` hands out pages."""

    def __enter__(self):
        from playwright.sync_api import expect, sync_playwright  # only where there is a Chromium
        expect.set_options(timeout=LIMIT_MS)
        self._stack = contextlib.ExitStack()
        playwright = self._stack.enter_context(sync_playwright())
        self._chromium = playwright.chromium.launch(executable_path=CHROMIUM,
                                                    args=["--no-sandbox", "--disable-dev-shm-usage"])
        self._stack.callback(self._chromium.close)
        return self

    def __exit__(self, *_):
        self._stack.close()

    def open(self, url, scheme="light", width=1600, height=1000):
        """A page at `url`; its `errors` and `requests` grow while it is open."""
        context = self._chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": height})
        context.set_default_timeout(LIMIT_MS)
        page = context.new_page()
        page.errors, page.requests = [], []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda message: message.type in ("error", "warning") and page.errors.append(message.text))
        page.on("request", lambda request: page.requests.append(request.url))
        page.goto(url)
        return page


def overflow(page):
    """Pixels by which the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")


def shown_metrics(page, scope=""):
    """{metric: (step, value)} of every number that says which metric it is."""
    items = page.eval_on_selector_all(f"{scope} [data-metric]", "all => all.map(e => [e.dataset.metric, e.dataset.step, e.dataset.value])")
    return {metric: (int(step), float(value)) for metric, step, value in items}


def blank_plots(page):
    """Titles of the plots whose canvas is shown but has nothing drawn on it."""
    return page.evaluate("""() => [...document.querySelectorAll("figure[data-plot]")].filter(figure => {
        const canvas = figure.querySelector("canvas");
        if (canvas.hidden || figure.hidden) return false;
        const copy = Object.assign(document.createElement("canvas"), {width: canvas.width, height: canvas.height});
        const context = copy.getContext("2d", {willReadFrequently: true});
        context.drawImage(canvas, 0, 0);
        const pixels = context.getImageData(0, 0, copy.width, copy.height).data;
        return !pixels.some(value => value !== 0);
    }).map(figure => figure.dataset.plot)""")
