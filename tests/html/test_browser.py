"""The report in headless Chromium: no error, no request, hover, zoom, keyboard, phone, inert names."""

from __future__ import annotations

from typing import Any

import pytest

from tests.html.conftest import HOSTILE, fetched


def shown_range(driver: Any) -> float:
    """Return the length of time that the chart shows. [days]"""
    first, last = driver.execute_script("return colossus.state.range")
    return float(last - first) / 864e5


def press(driver: Any, keys: str) -> None:
    """Send keys to the chart."""
    driver.find_element("id", "chart").send_keys(keys)


def test_opens_without_errors_or_requests(opened: Any) -> None:
    """The console stays empty, and nothing but the file itself is loaded."""
    assert opened.get_log("browser") == []
    assert fetched(opened) == []
    assert opened.find_element("css selector", "#chart canvas").size["height"] > 200


def test_names_are_inert(opened: Any) -> None:
    """A title with a script in it is shown as text and never runs."""
    opened.execute_script("colossus.story(colossus.plan.jobs[0], true)")
    assert opened.find_element("css selector", "#story h2").text == HOSTILE
    assert opened.execute_script("return window.hacked") is None


def test_hover_tells_about_phases_and_levels(opened: Any) -> None:
    """The pointer over a bar shows the phase, over a strip the GPUs of that moment."""
    from selenium.webdriver import ActionChains

    chart = opened.find_element("id", "chart")
    opened.execute_script("arguments[0].scrollIntoView()", chart)
    spot = opened.execute_script("""
      const job = colossus.state.jobs[0], phase = job.phases.find((p) => p.start !== null);
      const end = phase.end === null ? colossus.plan.horizon : phase.end;
      const c = colossus.state.chart, [x, y] = c.convertToPixel({gridIndex: 0}, [(phase.start + end) / 2, 0]);
      const s = c.convertToPixel({gridIndex: 1}, [(phase.start + end) / 2, 1]);
      return [x, y, s[1] - 5, c.getWidth(), c.getHeight()];""")
    x, row, strip, width, height = spot
    ActionChains(opened).move_to_element_with_offset(chart, x - width / 2, row - height / 2).perform()
    hover = opened.find_element("id", "hover")
    assert hover.is_displayed()
    assert " to " in hover.text
    ActionChains(opened).move_to_element_with_offset(chart, x - width / 2, strip - height / 2).perform()
    assert "installed" in hover.text


def test_a_click_opens_the_story_of_the_job(opened: Any) -> None:
    """Clicking a row shows its sentence, facts and events."""
    from selenium.webdriver import ActionChains

    chart = opened.find_element("id", "chart")
    opened.execute_script("arguments[0].scrollIntoView()", chart)
    y, width, height = opened.execute_script(
        "const c = colossus.state.chart;"
        "return [c.convertToPixel({gridIndex: 0}, [colossus.plan.range[0], 0])[1], c.getWidth(), c.getHeight()]"
    )
    ActionChains(opened).move_to_element_with_offset(chart, 60 - width / 2, y - height / 2).click().perform()
    assert opened.find_element("id", "story").is_displayed()
    assert "What happened" in opened.find_element("id", "story").text


def test_the_keyboard_zooms_pans_and_opens(opened: Any) -> None:
    """Plus and minus zoom, 0 shows all, arrows choose a job, Enter opens its story, which takes the focus."""
    whole = shown_range(opened)
    press(opened, "+")
    assert shown_range(opened) == pytest.approx(whole / 2, rel=0.01)
    press(opened, "-")
    press(opened, "+")
    press(opened, "0")
    assert shown_range(opened) == pytest.approx(whole, rel=0.01)
    press(opened, "\ue015")
    assert opened.execute_script("return colossus.state.selected") == 0
    press(opened, "\ue007")
    assert opened.execute_script("return document.activeElement.id") == "story"


def test_buttons_and_the_wheel_zoom(opened: Any) -> None:
    """The + button halves what is shown; Ctrl and the wheel zoom too; Fit shows everything again."""
    from selenium.webdriver.support.ui import WebDriverWait

    whole = shown_range(opened)
    opened.find_element("css selector", "[data-act=in]").click()
    assert shown_range(opened) == pytest.approx(whole / 2, rel=0.01)
    opened.find_element("css selector", "[data-act=all]").click()
    x, y = opened.execute_script("""
      const host = document.getElementById('chart'); host.scrollIntoView();
      const box = host.getBoundingClientRect(), middle = (colossus.plan.range[0] + colossus.plan.range[1]) / 2;
      const [x, y] = colossus.state.chart.convertToPixel({gridIndex: 0}, [middle, 0]);
      return [box.left + x, box.top + y];""")
    turn = {"type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": -240, "modifiers": 2}
    opened.execute_cdp_cmd("Input.dispatchMouseEvent", turn)
    WebDriverWait(opened, 5).until(lambda driver: shown_range(driver) < 0.99 * whole)


def test_the_filter_leaves_matching_jobs(opened: Any) -> None:
    """Words that match nothing leave no rows, clearing them brings all back."""
    box = opened.find_element("id", "filter")
    box.send_keys("no such job")
    assert opened.execute_script("return colossus.state.jobs.length") == 0
    box.clear()
    box.send_keys(" ")
    assert opened.execute_script("return colossus.state.jobs.length === colossus.plan.jobs.length")


def test_tables_sort_by_number(opened: Any) -> None:
    """A click on a heading sorts its column up, another one down, and says so to screen readers."""
    head = opened.find_element("css selector", "#section-1 th:nth-child(2), #section-0 th:nth-child(2)")
    head.find_element("css selector", "button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    head.find_element("css selector", "button").click()
    assert head.get_attribute("aria-sort") == "descending"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_the_page_without_scrolling_sideways(opened: Any, scheme: str) -> None:
    """At 390 px nothing sticks out, in light and in dark."""
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                           {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True})  # fmt: skip
    opened.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    opened.refresh()
    assert opened.execute_script("return document.documentElement.scrollWidth") <= 390
    paper = opened.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(21, 24, 29)")
