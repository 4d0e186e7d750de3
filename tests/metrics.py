"""Reads Prometheus text as a scraper does and prints its samples as one JSON document.

    python tests/metrics.py < metrics.txt

A family that is there twice, a sample that belongs to none, or a histogram that is none is an error.
"""

import json
import sys

from prometheus_client.parser import text_string_to_metric_families

families = list(text_string_to_metric_families(sys.stdin.read()))
names = [family.name for family in families]
assert len(names) == len(set(names)), f"a family is there twice: {sorted(names)}"
samples = []
for family in families:
    assert family.type in ("counter", "gauge", "histogram"), f"{family.name} has no type"
    assert family.documentation, f"{family.name} says nothing of itself"
    for sample in family.samples:
        samples.append({"name": sample.name, "labels": sample.labels, "value": sample.value})
    if family.type == "histogram":
        for labels in {tuple(sorted((k, v) for k, v in s.labels.items() if k != "le")) for s in family.samples}:
            mine = [s for s in family.samples if set(labels) <= set(s.labels.items())]
            counts = [s.value for s in mine if s.name.endswith("_bucket")]
            total = [s.value for s in mine if s.name.endswith("_count")]
            assert counts == sorted(counts) and counts[-1:] == total, f"{family.name} does not add up"
print(json.dumps({"types": {family.name: family.type for family in families}, "samples": samples}))
