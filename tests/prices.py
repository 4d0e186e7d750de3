"""The exact model that prices are held against: decimal arithmetic, written apart from the program.

Reads cases, one JSON object a line, from the file that is named:

    {"price": {...}, "windows": [...], "lane": null | {...}, "usage": {...}, "at": "...", "cost": "<pico-dollars>"}

Prices are USD per million tokens as decimal text. Prints how many costs agreed; any other is an error.
Needs nothing but Python: `python3 tests/prices.py cases.jsonl`.
"""

import json
import sys
from datetime import datetime, timedelta, timezone
from decimal import ROUND_CEILING, Decimal, getcontext

getcontext().prec = 60

PICO = Decimal(10) ** 12
MILLION = Decimal(10) ** 6
KEYS = ["input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning"]
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def price(text):
    """USD per token (and per request), None where nothing is said."""
    values = {key: Decimal(text[key]) / MILLION if key in text else None for key in KEYS}
    values["request"] = Decimal(text.get("request", "0"))
    return values


def times(values, factor):
    """A price times a factor, to the next whole pico-dollar: never too low."""
    def one(value):
        return None if value is None else (value * factor * PICO).to_integral_value(ROUND_CEILING) / PICO
    return {key: one(value) for key, value in values.items()}


def rate(text):
    tiers = [(t["above"], t.get("only_above", False), price(t["price"])) for t in text.get("tiers", [])]
    return price(text), tiers


def scaled(a_rate, factor):
    base, tiers = a_rate
    return times(base, factor), [(above, only, times(p, factor)) for above, only, p in tiers]


def uncached(a_rate):
    def strip(values):
        return dict(values, cache_read=None, cache_write=None, cache_write_1h=None)
    base, tiers = a_rate
    return strip(base), [(above, only, strip(p)) for above, only, p in tiers]


def is_open(window, now):
    if window.get("valid_from") and now < datetime.fromisoformat(window["valid_from"]):
        return False
    if window.get("valid_to") and now >= datetime.fromisoformat(window["valid_to"]):
        return False
    for text in window["hours"]:
        start, end = ((int(t[:2]) * 60 + int(t[3:])) for t in text.split("-"))
        for back in (0, 1):
            midnight = datetime(now.year, now.month, now.day, tzinfo=timezone.utc) - timedelta(days=back)
            opens = midnight + timedelta(minutes=start)
            closes = midnight + timedelta(minutes=end, days=0 if end > start else 1)
            if opens <= now < closes and DAYS[opens.weekday()] in window.get("days", DAYS):
                return True
    return False


def table(case):
    """[(window, rate)], the last one for all other hours."""
    base = rate(case["price"])
    rows = []
    for window in case["windows"]:
        own = scaled(base, Decimal(window["multiply"])) if "multiply" in window else rate(window["price"])
        rows.append((window, own))
    return rows, base


def is_whole_time(window):
    def round_the_clock(hours):
        start, end = hours.split("-")
        return start == end or hours == "00:00-24:00"
    return any(map(round_the_clock, window["hours"])) and "days" not in window


def on_lane(rows, base, lane):
    if lane is None:
        return rows, base
    factor = Decimal(lane["multiply"])
    def change(a_rate):
        return scaled(a_rate if lane["caches"] else uncached(a_rate), factor)
    if lane["stacks"]:
        return [(window, change(own)) for window, own in rows], change(base)
    dearest = base
    for window, own in rows:
        if not is_whole_time(window) and own[0]["input"] + own[0]["output"] > dearest[0]["input"] + dearest[0]["output"]:
            dearest = own
    return [(window, change(own)) for window, own in rows if is_whole_time(window)], change(dearest)


def bill(tokens, values):
    """tokens: kind -> count, USD."""
    read = values["cache_read"] if values["cache_read"] is not None else values["input"]
    write = values["cache_write"] if values["cache_write"] is not None else values["input"]
    hour = values["cache_write_1h"] if values["cache_write_1h"] is not None else write
    thought = values["reasoning"] if values["reasoning"] is not None else values["output"]
    prices = {"read": read, "hour": hour, "write": write, "fresh": values["input"],
              "said": values["output"], "thought": thought}
    return sum((prices[kind] * n for kind, n in tokens.items()), Decimal(0))


def cost(usage, a_rate):
    base, tiers = a_rate
    tokens = {
        "read": usage["cache_read"],
        "hour": usage["cache_write_1h"],
        "write": usage["cache_write"] - usage["cache_write_1h"],
        "fresh": usage["input"] - usage["cache_read"] - usage["cache_write"],
        "said": usage["output"] - usage["reasoning"],
        "thought": usage["reasoning"],
    }
    reached = [tier for tier in tiers if usage["input"] > tier[0]]
    if not reached:
        return bill(tokens, base) + base["request"]
    last = reached[-1][2]
    total = last["request"]
    # From the back: what is above a limit that holds only above is cut off, until a price holds for all.
    rest = dict(tokens)
    length = usage["input"]
    for above, only_above, values in reversed(reached):
        if length <= above:
            continue
        if not only_above:
            return total + bill(rest, values)
        front, back, left = {}, {}, above
        for kind in ("read", "hour", "write", "fresh"):
            front[kind] = min(rest.get(kind, 0), left)
            left -= front[kind]
            back[kind] = rest.get(kind, 0) - front[kind]
        back["said"], back["thought"] = rest.get("said", 0), rest.get("thought", 0)
        total += bill(back, values)
        rest, length = front, above
    return total + bill(rest, base)


def main(path):
    count = 0
    with open(path, encoding="utf-8") as cases:
        for line in cases:
            case = json.loads(line)
            now = datetime.fromisoformat(case["at"])
            rows, base = on_lane(*table(case), case["lane"])
            held = next((own for window, own in rows if is_open(window, now)), base)
            exact = cost(case["usage"], held) * PICO
            if exact != Decimal(case["cost"]):
                sys.exit(f"case {count + 1}: {exact} by decimal, {case['cost']} by the program\n{line}")
            count += 1
    print(json.dumps({"agreed": count}))


if __name__ == "__main__":
    main(sys.argv[1])
