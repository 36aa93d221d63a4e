"""A small run, its report page, and a headless browser to open it in."""

from __future__ import annotations

import importlib.util
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from colossus_sim.html import write_report
from colossus_sim.loading.load import load_scenario
from colossus_sim.results.result import Result, simulate

HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>"
"""A job title that would run if it were ever read as markup."""

FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync")  # fmt: skip


@pytest.fixture(scope="session")
def run() -> Result:
    """Return the quickstart run, one job of which has a hostile title."""
    name = next(iter(load_scenario("quickstart").jobs))
    return simulate(load_scenario("quickstart", overrides=(f"jobs.{name}.title={json.dumps(HOSTILE)}",)))


@pytest.fixture(scope="session")
def page(run: Result, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of its report."""
    return write_report(run, tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Return a headless Chromium; the test is skipped where there is none."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    service = shutil.which("chromedriver")
    if chromium is None or service is None or importlib.util.find_spec("selenium") is None:
        pytest.skip("needs chromium, chromedriver and the Python package selenium")
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = Options()
        options.binary_location = chromium
        for flag in (*FLAGS, f"--user-data-dir={profile}", "--window-size=1280,900"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(service))
        yield driver
        driver.quit()


@pytest.fixture
def opened(browser: Any, page: Path) -> Iterator[Any]:
    """Return the browser with a fresh page: that of the module, or the report of the run."""
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(page.as_uri())
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def fetched(driver: Any) -> list[str]:
    """Return the addresses outside the file that the page asked for; the browser's own start page is not ours."""
    rows = [json.loads(row["message"])["message"] for row in driver.get_log("performance")]
    sent = [row["params"] for row in rows if row["method"] == "Network.requestWillBeSent"]
    ours = [item for item in sent if not item["documentURL"].startswith("chrome")]
    addresses = [item["request"]["url"] for item in ours]
    return [address for address in addresses if not address.startswith(("file:", "data:"))]
