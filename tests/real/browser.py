"""A headless Chromium for tests of the pages, with axe-core in its pocket.

Chromium and its driver are Debian's; axe-core is what `tests/run` has put into .tools, or what AXE names. The browser asks
nobody but the exporter: `foreign_requests` tells of anything else.
"""

import base64
import json
import os
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support import expected_conditions

from harness import ROOT, check, program, wait_until

ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
             "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
             "--disable-features=Translate,OptimizationHints,MediaRouter", "--lang=en-US")


class Browser:
    """One window; its size, colour scheme, zone and language are as a test says."""

    def __init__(self, folder):
        axe = Path(os.environ.get("AXE") or ROOT / ".tools/npm/node_modules/axe-core/axe.min.js")
        check(axe.is_file(), "axe-core is missing: tests/run installs it, or set AXE to the path of axe.min.js")
        self.axe = axe.read_text()
        options = webdriver.ChromeOptions()
        options.binary_location = program("CHROMIUM", "chromium")
        for argument in (*ARGUMENTS, f"--user-data-dir={folder / 'browser'}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = Service(program("CHROMEDRIVER", "chromedriver"), log_output=str(folder / "chromedriver.log"))
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.set_page_load_timeout(60)
        self.driver.set_script_timeout(60)
        self.scripts = True

    def cdp(self, command, **arguments):
        """One command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(command, arguments)

    def look(self, width=1280, height=900, dark=False, zone="Asia/Shanghai", language="en-US", scale=1, scripts=True):
        """How the window is from now on."""
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale,
                 mobile=width < 600)
        scheme = "dark" if dark else "light"
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.cdp("Emulation.setTimezoneOverride", timezoneId=zone)
        self.cdp("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.scripts = scripts
        agent = self.cdp("Browser.getVersion")["userAgent"]
        self.cdp("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=language)

    def open(self, url):
        """Opens a page."""
        self.driver.get(url)
        self.arrive(lambda: True)

    def arrive(self, condition, seconds=30):
        """Waits for a page of which `condition` is true to be whole. A page whose address names no zone is about to be
        replaced, and while that happens a browser may refuse to answer."""
        def arrived():
            try:
                whole = not self.scripts or self.run("return document.readyState === 'complete'")
                url = self.driver.current_url
                lasting = not self.scripts or "/disconnects" not in url or "tz=" in url
                return whole and lasting and self.all("h1") and condition()
            except WebDriverException:
                return False
        wait_until("the browser arrives where it should", arrived, seconds)

    def all(self, selector):
        """The elements of a CSS selector."""
        return self.driver.find_elements("css selector", selector)

    def one(self, selector):
        """The one element of a CSS selector."""
        found = self.all(selector)
        check(len(found) == 1, f"{selector}: {len(found)} elements on {self.driver.current_url}")
        return found[0]

    def texts(self, selector):
        """What the elements of a CSS selector say."""
        return [element.text for element in self.all(selector)]

    def run(self, script):
        """The value of a script, which no content policy hinders."""
        return self.driver.execute_script(script)

    def check_accessible(self, what):
        """axe-core has nothing to say against the page, whose details are all open; returns how many rules it applied."""
        self.run("for (const one of document.querySelectorAll('details')) one.open = true")
        self.driver.execute_script(self.axe)
        found = self.driver.execute_async_script(
            "const done = arguments[0]; axe.run().then(done, error => done({error: String(error)}))")
        check("error" not in found, f"axe on {what}: {found}")
        wrong = [f"{rule['id']} ({rule['impact']}): {node['html'][:160]}" for rule in found["violations"]
                 for node in rule["nodes"][:3]]
        check(not wrong, f"{what}: axe-core finds\n  " + "\n  ".join(wrong))
        return len(found["passes"])

    def complaints(self):
        """What the browser has complained of since it was asked last."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def foreign_requests(self, own):
        """What has been asked of others than `own` since that was asked last."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        urls = [message["params"]["request"]["url"] for message in messages
                if message["method"] == "Network.requestWillBeSent"]
        check(urls, "the browser has asked nobody")
        # What the browser has in itself, as the page it starts with, is no request.
        return [url for url in urls if not url.startswith((own, "data:", "chrome:"))]

    def says_alert(self):
        """Whether a script of the page has opened a dialogue."""
        return expected_conditions.alert_is_present()(self.driver) is not False

    def picture(self, file):
        """A picture of what is in the window."""
        file.write_bytes(base64.b64decode(self.cdp("Page.captureScreenshot", format="png")["data"]))

    def close(self):
        """Ends the browser."""
        self.driver.quit()
