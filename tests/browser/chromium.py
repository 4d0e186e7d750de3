"""Where the browser is."""

import os
import shutil
import sys

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def browser_path():
    named = os.environ.get("OVERNIGHT_TEST_BROWSER")
    found = named or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        sys.exit("no Chromium is here; run tests/run, or name one in OVERNIGHT_TEST_BROWSER")
    return found
