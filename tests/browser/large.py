"""The dashboard over many jobs and a job of many items: what it holds and fetches stays bounded.

    large.py URL JOB

Opens the list and that job in a real browser, pages to both ends, filters, and goes to and fro between them.
Prints what it found as JSON, with how long answers took, which is for people to judge; says `ok` where the
page never held more elements, was never sent a larger answer and kept no more memory than it may.
"""

import json
import sys
import time

from playwright.sync_api import expect, sync_playwright

from chromium import browser_path

BASE, JOB = sys.argv[1].rstrip("/"), sys.argv[2]
# Elements of any page; 25 jobs or 50 items are on one.
MOST_ELEMENTS = 2_500
# Bytes of an answer, but for the first event, which has every job once.
MOST_BYTES = 64 << 10
# Bytes of JavaScript's heap, and elements kept, that going to and fro may add.
MOST_KEPT_BYTES, MOST_KEPT_NODES = 4 << 20, 6_000


class Seen:
    """Everything the page asks for."""

    def __init__(self, page):
        self.page, self.answers, self.most_elements = page, {}, 0
        page.on("requestfinished", self.finished)

    def finished(self, request):
        path = request.url.removeprefix(BASE).split("?")[0].replace(JOB, "JOB")
        if path.startswith("/api/v1/") and path != "/api/v1/events":
            answer = self.answers.setdefault(path.split("/items/")[0], {"n": 0, "bytes": 0, "ms": 0})
            answer["n"] += 1
            answer["bytes"] = max(answer["bytes"], len(request.response().body()))
            answer["ms"] = max(answer["ms"], round(request.timing["responseEnd"]))

    def look(self):
        self.most_elements = max(self.most_elements, self.page.evaluate("document.querySelectorAll('*').length"))


def memory(page):
    """What is left when everything that is not needed is gone: bytes of the heap, nodes of documents."""
    session = page.context.new_cdp_session(page)
    for _ in range(2):
        session.send("HeapProfiler.collectGarbage")
    heap, nodes = session.send("Runtime.getHeapUsage")["usedSize"], session.send("Memory.getDOMCounters")["nodes"]
    session.detach()
    return heap, nodes


def jobs(page, seen):
    """The list, to its end and back, and what can be looked for in it."""
    page.goto(BASE)
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    expect(page.locator("#jobs tbody tr").first).to_be_visible()
    seen.look()
    pager = page.locator("#jobs .pager")
    if pager.get_by_label("Last page").count():
        pager.get_by_label("Last page").click()
        expect(pager.get_by_label("Next page")).to_be_disabled()
        seen.look()
        pager.get_by_label("First page").click()
    for words in ("all", "open", "failed"):
        page.get_by_label("Which jobs").select_option(words)
        seen.look()
    page.get_by_label("Which jobs").select_option("all")
    page.get_by_label("Find jobs").fill(JOB)
    expect(page.locator("#jobs tbody tr")).to_have_count(1)


def items(page, seen):
    """One job: its items to the last, by state, one of them."""
    page.locator("#jobs tbody tr a.job").click()
    expect(page.locator("figure canvas").first).to_be_visible()
    rows, pager = page.locator("table button.link"), page.locator("main .pager")
    expect(rows.first).to_be_visible()
    first = rows.first.inner_text()
    seen.look()
    pager.get_by_label("Last page").click()
    expect(pager.get_by_label("Next page")).to_be_disabled()
    expect(rows.first).not_to_have_text(first)
    seen.look()
    page.get_by_label("State of items").select_option("failed")
    expect(page.locator("tbody .state.good")).to_have_count(0)
    expect(rows.first).to_be_visible()
    rows.first.click()
    expect(page.locator("dialog.item .trail li").first).to_be_visible()
    seen.look()
    page.keyboard.press("Escape")
    page.get_by_label("Id of an item").fill(first)
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator("dialog.item .trail li").first).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("link", name="All jobs").click()
    expect(page.locator("#jobs tbody tr").first).to_be_visible()


def main():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        seen, began = Seen(page), time.monotonic()
        jobs(page, seen)
        listed = time.monotonic()
        items(page, seen)
        ended = time.monotonic()
        before = memory(page)
        for _ in range(10):
            page.get_by_label("Find jobs").fill(JOB)
            items(page, seen)
        kept = [after - before for before, after in zip(before, memory(page))]
        browser.close()
    print(json.dumps({
        "elements": seen.most_elements, "heap": before[0], "kept_bytes": kept[0], "kept_nodes": kept[1],
        "list_ms": round(1000 * (listed - began)), "job_ms": round(1000 * (ended - listed)), "answers": seen.answers,
    }, indent=1))
    assert seen.most_elements <= MOST_ELEMENTS, "more elements than may be on a page"
    large = {path: answer["bytes"] for path, answer in seen.answers.items() if answer["bytes"] > MOST_BYTES}
    assert not large, f"answers that are too large: {large}"
    assert kept[0] <= MOST_KEPT_BYTES and kept[1] <= MOST_KEPT_NODES, f"memory grows: {kept}"
    print("ok")


if __name__ == "__main__":
    main()
