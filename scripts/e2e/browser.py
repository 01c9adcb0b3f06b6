"""A headless Chromium as a person sits before it: a window of some width, a pointer, keys, and eyes for what is logged.

Everything waits for a condition, and fails with what it saw when that does not come true.
"""

import base64
import json
import os
import tempfile
import time
import urllib.request

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
DRIVER = os.environ.get("CHROMEDRIVER", "/usr/bin/chromedriver")
PATIENCE = 30  # seconds until something that must happen counts as hung

# No rendering hardware, no sound card, nothing but what is asked for on the network.
SWITCHES = """--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --mute-audio --no-first-run --disable-quic
--disable-background-networking --disable-component-update --disable-sync --autoplay-policy=no-user-gesture-required
--force-device-scale-factor=1 --hide-scrollbars""".split()


class Failure(Exception):
    """What was expected, and what came."""


def expect(holds, what):
    if not holds:
        raise Failure(what)


def until(look, what, patience=PATIENCE):
    """The first true value of `look`; how long it took is not judged unless `patience` is given."""
    end = time.monotonic() + patience
    while True:
        value = look()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"not within {patience} s: {what}; last seen: {value!r}")
        time.sleep(0.01)


def fetched(url):
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        return json.load(answer)


class Browser:
    """One browser with a new profile. Its folder gets the screenshots and the driver's log."""

    def __init__(self, folder, width=1400, height=900):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        options = Options()
        options.binary_location = CHROMIUM
        for switch in SWITCHES:
            options.add_argument(switch)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        # Chromium leaves files in the folder for temporary ones.
        self.temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        service = Service(DRIVER, env={**os.environ, "TMPDIR": self.temporary.name})
        self.driver = webdriver.Chrome(service=service, options=options)
        self.driver.set_script_timeout(PATIENCE)
        self.resize(width, height)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        try:
            if kind is not None:
                self.screenshot("failed")
        finally:
            self.driver.quit()
            self.temporary.cleanup()

    @property
    def version(self):
        return self.driver.capabilities["browserVersion"]

    def run(self, script, *args):
        return self.driver.execute_script(script, *args)

    def open(self, url):
        self.driver.get(url)

    def find(self, selector):
        return until(lambda: self.driver.find_elements(By.CSS_SELECTOR, selector), f"there is {selector}")[0]

    # ---- the window ------------------------------------------------------------------------------------------------

    def resize(self, width, height):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def scheme(self, name):
        wish = {"features": [{"name": "prefers-color-scheme", "value": name}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", wish)

    def screenshot(self, name, whole=True, **options):
        wish = {"format": "png", "captureBeyondViewport": whole, **options}
        if whole:
            size = self.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
            wish["clip"] = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        picture = self.driver.execute_cdp_cmd("Page.captureScreenshot", wish)["data"]
        path = os.path.join(self.folder, f"{name}.{wish['format']}")
        with open(path, "wb") as file:
            file.write(base64.b64decode(picture))
        return path

    def fits(self):
        """Nothing is wider than the window, so nobody has to scroll sideways."""
        wide, have = self.run(
            "const root = document.documentElement; return [root.scrollWidth, root.clientWidth]")
        expect(wide <= have, f"{wide} pixels wide in a window of {have}")

    def silent(self):
        """Nothing was logged: no error, no warning, and nothing else either."""
        lines = [f"{line['level']}: {line['message']}" for line in self.driver.get_log("browser")]
        expect(not lines, "the console is not empty:\n" + "\n".join(lines))

    # ---- hands -----------------------------------------------------------------------------------------------------

    def _at(self, element, place):
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        size = element.size
        # Offsets are counted from the middle.
        across = round((place - 0.5) * size["width"])
        return ActionChains(self.driver, duration=0).move_to_element_with_offset(element, across, 0)

    def hover(self, element, place):
        """Over the `place` (0 to 1) of its width."""
        self._at(element, place).perform()

    def click(self, element, place=0.5):
        self._at(element, place).click().perform()

    def drag(self, element, place, to):
        width = element.size["width"]
        self._at(element, place).click_and_hold().move_by_offset(round((to - place) * width), 0).release().perform()

    def keys(self, element, *keys):
        self.run("arguments[0].focus()", element)
        for key in keys:
            ActionChains(self.driver, duration=0).send_keys(key).perform()
