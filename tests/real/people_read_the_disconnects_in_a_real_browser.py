"""People find what they look for on /disconnects with a real browser, with the keyboard, in their language and zone.

Chromium opens the demo's pages: it follows a link as an alert's annotation has it, filters with the form, pages, looks into a
bar of the timeline, switches the language, downloads the records, with JavaScript and without. A stream that is called
`<script>alert(1)</script>` is text. axe-core finds nothing in either language, scheme and width. Nobody but the
exporter is asked.

SCREENSHOTS=1 writes the pictures of README and docs/web.md into docs/.
"""

import csv
import os
import re
import urllib.parse

from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from browser import Browser
from harness import DOMAINS, ROOT, Exporter, check, get, run, wait_until

DOMAIN = "push.live.example.com"
WINDOWS = {"desktop": (1280, 900), "phone": (390, 844)}
# Where a layout would break first.
WIDTHS = (320, 600, 704, 820, 960, 992, 1024)


def rows(browser):
    """The records on the page: end, stream, class."""
    return browser.run(
        "return [...document.querySelectorAll('.records tbody tr')].map(row => [row.querySelector('time').dateTime,"
        " row.querySelector('.stream').innerText, row.querySelector('.kind').innerText.trim()])")


def asked(browser):
    """The parameters of the address."""
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(browser.driver.current_url).query))


def follow(browser, selector):
    """Clicks the one link of a selector, and waits for the page it leads to."""
    before = browser.driver.current_url
    browser.one(selector).click()
    browser.arrive(lambda: browser.driver.current_url != before)


def the_first_page_leads_to_the_records(browser, url):
    browser.open(f"{url}/")
    follow(browser, "main a[href='./disconnects']")
    check(rows(browser), "the newest records")
    check(DOMAIN in browser.run("return [...document.querySelectorAll('#domains option')].map(one => one.value)"),
          "the known domains are offered")


def an_alerts_link_shows_what_it_is_about(browser, url):
    # As `{{ $labels.domain | urlquery }}` makes it.
    domain = urllib.parse.quote_plus(DOMAIN)
    browser.open(f"{url}/disconnects?domain={domain}&class=network&range=6h")
    found = rows(browser)
    check(found and all(DOMAIN in stream and kind == "Network" for _, stream, kind in found), f"the link: {found[:5]}")
    check(asked(browser)["tz"] == "Asia/Shanghai", f"the zone of the browser: {asked(browser)}")
    check(len(browser.all(".active a")) == 2, "both filters can be removed")
    browser.one(".records tbody tr:first-child summary").click()
    advice = browser.texts(".records tbody tr:first-child dd")
    check(len(advice) >= 5 and all(advice), f"what to do: {advice}")


def the_form_filters_by_keyboard(browser, url):
    browser.open(f"{url}/disconnects?range=6h")
    Select(browser.one("select[name=match]")).select_by_value("contains")
    before = browser.driver.current_url
    browser.one("#stream").send_keys("room_1", Keys.ENTER)
    browser.arrive(lambda: browser.driver.current_url != before and rows(browser))
    check(asked(browser)["stream"] == "room_1" and asked(browser)["match"] == "contains", f"{asked(browser)}")
    check(all("room_1" in stream for _, stream, _ in rows(browser)), f"contains: {rows(browser)[:5]}")
    follow(browser, ".active a")
    check("stream" not in asked(browser), "the filter is removed by its own link")
    browser.open(f"{url}/disconnects?range=6h")
    browser.one("body").send_keys(Keys.TAB)
    check("Skip" in browser.run("return document.activeElement.textContent"), "the first stop is the way past the navigation")


def older_records_are_pages_away(browser, url):
    browser.open(f"{url}/disconnects?range=6h&limit=20")
    seen = []
    for page in range(4):
        found = rows(browser)
        check(len(found) == 20, f"page {page} has {len(found)} records")
        seen += [end for end, _, _ in found]
        follow(browser, ".pager .next")
    check(seen == sorted(seen, reverse=True), "the newest come first")
    follow(browser, ".pager a:first-child")
    check("cursor" not in asked(browser), "back at the newest")


def a_bar_and_a_stream_lead_to_their_records(browser, url):
    browser.open(f"{url}/disconnects?range=6h")
    bars = browser.all(".bars a")
    check(len(bars) > 3, f"{len(bars)} bars")
    bars[-2].click()
    browser.arrive(lambda: "start" in asked(browser) and rows(browser))
    start, end = asked(browser)["start"], asked(browser)["end"]
    check(all(start <= at <= end for at, _, _ in rows(browser)), f"{start} to {end}: {rows(browser)[:3]}")
    name = browser.texts(".records .stream a")[0]
    browser.all(".records .stream a")[0].click()
    browser.arrive(lambda: "stream" in asked(browser) and rows(browser))
    check(all(stream.startswith(name) for _, stream, _ in rows(browser)), f"{name}: {rows(browser)[:3]}")


def the_language_is_switched_and_the_filters_stay(browser, url):
    browser.open(f"{url}/disconnects?range=6h&class=network")
    check(browser.one("h1").text == "Disconnect records", "English")
    follow(browser, ".languages a[lang=zh-CN]")
    check(browser.one("h1").text == "断流记录" and asked(browser)["class"] == "network", f"{asked(browser)}")
    check(browser.run("return document.documentElement.lang") == "zh-CN", "the page says its language")
    browser.look(language="zh-CN")
    browser.open(f"{url}/disconnects")
    check(browser.one("h1").text == "断流记录", "the browser's language")
    browser.look()


def the_file_has_what_the_page_counts(browser, url):
    browser.open(f"{url}/disconnects?range=6h&class=network")
    link = browser.all(".links a")[1].get_attribute("href")

    def counted():
        browser.open(link)
        return int(browser.one("figcaption strong").text.replace(",", ""))

    def unchanged():
        """The file, and the count of the page before and after it; late records may come between."""
        before = counted()
        answer = get(browser.all(".links a")[0].get_attribute("href"))
        return counted() == before and (before, answer)

    total, (file, headers) = wait_until("no late record comes between page and file", unchanged, 60)
    check(re.match('attachment; filename="disconnects_[0-9TZ_]+.csv"', headers["Content-Disposition"]), "a file")
    lines = list(csv.DictReader(file.decode("utf-8-sig").splitlines(keepends=True)))
    check(len(lines) == total > 20 and {line["class"] for line in lines} == {"network"}, f"{len(lines)} of {total}")
    return total


def a_name_that_is_markup_is_text(browser, url):
    name = "<script>alert(1)</script>"
    browser.open(f"{url}/disconnects?{urllib.parse.urlencode({'range': '6h', 'stream': name})}")
    check(all(stream.startswith(name) for _, stream, _ in rows(browser)) and rows(browser), f"{rows(browser)}")
    check(len(browser.all("script")) == 1, "one script, which is ours")
    check(not browser.says_alert(), "a name has run as a script")


def it_works_without_javascript(browser, url):
    browser.look(scripts=False)
    browser.open(f"{url}/disconnects?range=6h&limit=20")
    check("tz" not in asked(browser), "no script has run")
    first = browser.texts(".records .ended")
    browser.one(".pager .next").click()
    browser.arrive(lambda: "cursor" in asked(browser))
    check(browser.texts(".records .ended") != first, "other records")
    browser.one("form button").click()
    browser.arrive(lambda: "match" in asked(browser))
    check(len(browser.all(".records tbody tr")) == 20, "the form keeps what was chosen")
    browser.look()


def nobody_is_kept_out(browser, url):
    """axe-core on every kind of page, in every look."""
    pages = {"first": "?", "records": "disconnects?range=6h&", "nothing": "disconnects?stream=nobody&", "refused":
             "disconnects?reason=rain&", "filtered":
             f"disconnects?range=7d&class=network&domain={DOMAIN}&match=contains&stream=room&limit=20&"}
    looks = rules = 0
    for window, (width, height) in WINDOWS.items():
        for dark in (False, True):
            browser.look(width, height, dark)
            for language in ("en", "zh"):
                for page, query in pages.items():
                    what = f"{page}, {window}, {'dark' if dark else 'light'}, {language}"
                    browser.open(f"{url}/{query}lang={language}")
                    rules = max(rules, browser.check_accessible(what))
                    wide = browser.run("return document.documentElement.scrollWidth - innerWidth")
                    check(wide <= 0, f"{what}: {wide} pixels wider than the window")
                    looks += 1
    for width in WIDTHS:
        browser.look(width)
        browser.open(f"{url}/disconnects?range=6h&lang=en&stream=_main&match=contains")
        wide = browser.run("return document.documentElement.scrollWidth - innerWidth")
        check(wide <= 0, f"{width}: {wide} pixels wider than the window")
    browser.look()
    return looks, rules


def pictures(browser, url):
    """What README and docs/web.md show."""
    def bars():
        browser.open(f"{url}/disconnects?range=1h")
        return len(browser.all(".bars a")) >= 58
    wait_until("the demo's sweeps have brought the whole hour", bars, 120)
    one_open = ("document.querySelectorAll('.records details')[1].open = true;"
                "document.querySelector('[aria-labelledby=records]').scrollIntoView();")
    for name, query, look, script in [
        ("disconnects-en-light", "range=1h&lang=en", {}, ""),
        ("disconnects-zh-dark", "range=1h&lang=zh", {"dark": True}, one_open),
        ("disconnects-phone", "range=1h&lang=en&class=network", {"width": 390, "height": 844, "scale": 2}, one_open),
    ]:
        browser.look(**look)
        browser.open(f"{url}/disconnects?{query}")
        browser.run(script)
        file = ROOT / "docs" / f"{name}.png"
        browser.picture(file)
        print(f"{file}: {file.stat().st_size} bytes")


def test(stage):
    state = stage.folder / "state"
    demo = stage.start("demo", stage.exporter_binary(), "demo", "--web.listen-address", "127.0.0.1:0",
                       "--simulator.listen-address", "127.0.0.1:0", "--state.path", state)
    exporter = Exporter(demo, state).wait_ready()
    url = exporter.url
    # The demo's nights are quiet: how many break off in its first minutes depends on the hour.
    wait_until("hundreds of disconnects are counted", lambda: exporter.value(DOMAINS) > 500, 120)
    hostile = urllib.parse.urlencode({"stream": "<script>alert(1)</script>"})
    wait_until("a stream with a hostile name breaks off",
               lambda: b"&lt;script&gt;alert(1)" in get(f"{url}/disconnects?{hostile}")[0].split(b"</form>")[1], 120)
    browser = Browser(stage.folder)
    try:
        browser.look()
        the_first_page_leads_to_the_records(browser, url)
        an_alerts_link_shows_what_it_is_about(browser, url)
        the_form_filters_by_keyboard(browser, url)
        older_records_are_pages_away(browser, url)
        a_bar_and_a_stream_lead_to_their_records(browser, url)
        the_language_is_switched_and_the_filters_stay(browser, url)
        total = the_file_has_what_the_page_counts(browser, url)
        a_name_that_is_markup_is_text(browser, url)
        it_works_without_javascript(browser, url)
        check(not (complaints := browser.complaints()), f"the browser complains: {complaints[:5]}")
        looks, rules = nobody_is_kept_out(browser, url)
        check(not (foreign := browser.foreign_requests(url)), f"others are asked: {foreign[:5]}")
        if os.environ.get("SCREENSHOTS"):
            pictures(browser, url)
        version = browser.driver.capabilities["browserVersion"]
    finally:
        browser.close()
    print(f"Chromium {version}: filters, pages, bars, both languages, no JavaScript; a file of {total} records; axe-core "
          f"applies up to {rules} rules to each of {looks} looks and finds nothing")


if __name__ == "__main__":
    run(test)
