"""Costs, failures and slow items with pandas: pandas_report.py RESULTS_DIR [TAG]"""

import sys

import pandas as pd

if len(sys.argv) not in (2, 3):
    raise SystemExit(__doc__)

folder = sys.argv[1]
# Long texts stay on disk: only these columns are read.
results = pd.read_parquet(
    f"{folder}/results",
    columns=[
        "job_id", "custom_id", "status", "error_code", "attempts", "request_model",
        "cost_nano_usd", "started_at", "ended_at", "latency_ms", "tags",
    ],
)  # fmt: skip
attempts = pd.read_parquet(
    f"{folder}/attempts", columns=["provider", "request_model", "status", "cost_nano_usd"]
)

print("\ncost per success by model")
by_model = attempts.groupby(["provider", "request_model"]).agg(
    attempts=("status", "size"),
    succeeded=("status", lambda status: (status == "succeeded").sum()),
    cost_usd=("cost_nano_usd", lambda nano: nano.sum() / 1e9),
)
by_model["usd_per_success"] = by_model["cost_usd"] / by_model["succeeded"].where(by_model["succeeded"] > 0)
print(by_model.sort_values("cost_usd", ascending=False).to_string())

print("\nfailures by reason")
failed = results[results["status"] != "succeeded"]
by_reason = failed.groupby(["status", "error_code"]).agg(
    items=("status", "size"), cost_usd=("cost_nano_usd", lambda nano: nano.sum() / 1e9)
)
print(by_reason.sort_values("items", ascending=False).to_string())

print("\ncost by tag")
# A Parquet map reads as a list of (key, value).
tags = results[["cost_nano_usd", "tags"]].explode("tags").dropna(subset="tags")
tags[["key", "value"]] = pd.DataFrame(tags["tags"].tolist(), index=tags.index, columns=["key", "value"])
if len(sys.argv) == 3:
    tags = tags[tags["key"] == sys.argv[2]]
by_tag = tags.groupby(["key", "value"]).agg(
    items=("value", "size"), cost_usd=("cost_nano_usd", lambda nano: nano.sum() / 1e9)
)
print(by_tag.sort_values("cost_usd", ascending=False).to_string())

print("\nslowest items")
results["took"] = results["ended_at"] - results["started_at"]
slowest = results.dropna(subset="started_at").nlargest(20, "took")
print(slowest[["job_id", "custom_id", "status", "attempts", "request_model", "took", "latency_ms"]].to_string(index=False))
