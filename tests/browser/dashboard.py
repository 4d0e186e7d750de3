"""Every section of the dashboard in a real browser, with jobs running.

    dashboard.py URL FOLDER

Screenshots go to FOLDER: light and dark, wide and narrow. Says `ok` at the end where nothing was said on the
console, nothing of a prompt was run or hidden, nothing was asked of anyone else, nothing is wider than the
window, and axe finds no serious fault.
"""

import os
import sys
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from chromium import browser_path

BASE, FOLDER = sys.argv[1].rstrip("/"), Path(sys.argv[2])
FOLDER.mkdir(parents=True, exist_ok=True)
SECTIONS = ("spend", "windows", "jobs", "models", "failures")
WIDTHS = (1280, 390)
# Marks that turn the writing direction and a terminal's escape: they may be shown, never be there.
HIDDEN = "\u202e\u2066\u200b\u001b"


def axe():
    modules = os.environ.get("OVERNIGHT_TEST_NODE_MODULES") or Path.home() / ".cache/overnight-tests/node/node_modules"
    return (Path(modules) / "axe-core/axe.min.js").read_text()


def check(page, axe_source, name):
    """What has to hold of every page at every moment."""
    page.evaluate(axe_source)
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
    grave = [one for one in found if one["impact"] in ("serious", "critical")]
    for one in grave:
        print(name, one["id"], one["help"], [node["html"][:200] for node in one["nodes"][:3]], file=sys.stderr)
    assert not grave, f"{name}: {len(grave)} serious faults"
    text = page.evaluate("document.body.innerText")
    assert not set(HIDDEN) & set(text), f"{name}: marks of a prompt are in the page"
    assert page.evaluate("document.querySelectorAll('main script, main img, dialog script, dialog img').length") == 0
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{name}: {wide} pixels wider than the window"


def shoot(page, name, whole=True):
    page.wait_for_timeout(350)  # for the picture only: bars that grow have grown
    page.screenshot(path=FOLDER / f"{name}.png", full_page=whole)


def home(page, axe_source, name):
    page.goto(BASE)
    for section in SECTIONS:
        expect(page.locator(f"#{section}")).to_be_visible()
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    expect(page.locator("#jobs tbody tr").first).to_be_visible()
    expect(page.locator("#models tbody tr").first).to_be_visible()
    expect(page.locator("#windows .track .now").first).to_be_attached()
    expect(page.locator("#windows .busy .sends").first).to_be_attached()
    expect(page.locator("#windows .busy .words").first).to_contain_text("planned")
    expect(page.locator("#models .limits li").first).to_contain_text("of 2,000 requests stated by the provider")
    failure = page.locator("#failures summary").first
    failure.click()
    expect(page.locator("#failures .sample").first).to_be_visible()
    check(page, axe_source, name)
    shoot(page, name)


def job(page, axe_source, name):
    page.goto(BASE)
    page.get_by_role("link", name="reviews").click()
    expect(page.locator("h1")).to_have_text("reviews")
    expect(page.locator("figure canvas").first).to_be_visible()
    expect(page.locator("table button.link").first).to_be_visible()
    check(page, axe_source, name)
    shoot(page, name)
    page.get_by_label("State of items").select_option("failed")
    page.locator("table button.link").first.click()
    dialog = page.locator("dialog.item")
    expect(dialog.locator(".trail li").first).to_be_visible()
    expect(dialog).to_contain_text("<script>alert(1)</script>")
    expect(dialog).to_contain_text("\\u{202e}")
    expect(dialog).to_contain_text("\\x1b[31m")
    check(page, axe_source, f"{name}-item")
    shoot(page, f"{name}-item", whole=False)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def work(page):
    """What can be done from the page, with the keyboard alone where that is how one would."""
    page.goto(BASE)
    row = page.locator("#jobs tbody tr", has=page.get_by_role("link", name="reviews"))
    row.locator("[data-what=pause]").focus()
    page.keyboard.press("Enter")
    expect(row.locator(".state")).to_have_text("paused")
    row.locator("[data-what=resume]").click()
    expect(row.locator(".state")).to_have_text("in progress")
    with page.expect_download() as saved:
        row.locator("[data-what=download]").click()
    assert Path(saved.value.path()).read_bytes()[:4] == b"PAR1"
    other = page.locator("#jobs tbody tr", has=page.get_by_role("link", name="paused"))
    other.locator("[data-what=cancel]").click()
    page.get_by_role("button", name="Cancel it").click()
    expect(other.locator(".state")).to_have_text("cancelled")
    failed = page.locator("#jobs tbody tr", has_text="retried").first
    failed.locator("[data-what=retry]").click()
    expect(page.locator("#said")).to_contain_text("queued again")
    page.get_by_label("Find jobs").fill("reviews")
    expect(page.locator("#jobs tbody tr")).to_have_count(1)


def main():
    axe_source, said, elsewhere = axe(), [], []
    with sync_playwright() as playwright:
        # As root, which containers are, Chromium has no sandbox of its own.
        browser = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            for width in WIDTHS:
                page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
                page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
                page.on("pageerror", lambda error: said.append(str(error)))
                page.on("dialog", lambda dialog: (said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
                page.on("request", lambda request: None if request.url.startswith((BASE, "blob:")) else elsewhere.append(request.url))
                home(page, axe_source, f"home-{scheme}-{width}")
                job(page, axe_source, f"job-{scheme}-{width}")
                page.close()
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        work(page)
        browser.close()
    assert not said, said
    assert not elsewhere, elsewhere
    print("ok")


if __name__ == "__main__":
    main()
