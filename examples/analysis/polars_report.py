"""Costs, failures and slow items with Polars: polars_report.py RESULTS_DIR [TAG]"""

import sys

import polars as pl

if len(sys.argv) not in (2, 3):
    raise SystemExit(__doc__)

folder = sys.argv[1]
results = pl.scan_parquet(f"{folder}/results/*/*.parquet")
attempts = pl.scan_parquet(f"{folder}/attempts/*/*.parquet")

cost = (pl.col("cost_nano_usd").sum() / 1e9).alias("cost_usd")
succeeded = (pl.col("status") == "succeeded").sum().alias("succeeded")

print("\ncost per success by model")
by_model = (
    attempts.group_by("provider", "request_model")
    .agg(pl.len().alias("attempts"), succeeded, cost)
    .with_columns(
        pl.when(pl.col("succeeded") > 0).then(pl.col("cost_usd") / pl.col("succeeded")).alias("usd_per_success")
    )
    .sort("cost_usd", descending=True)
)
print(by_model.collect())

print("\nfailures by reason")
failed = results.filter(pl.col("status") != "succeeded")
print(failed.group_by("status", "error_code").agg(pl.len().alias("items"), cost).sort("items", descending=True).collect())

print("\ncost by tag")
# A Parquet map reads as a list of key and value.
tags = results.select("cost_nano_usd", pl.col("tags").cast(pl.List(pl.Struct({"key": pl.String, "value": pl.String}))))
tags = tags.explode("tags").unnest("tags").filter(pl.col("key").is_not_null())
if len(sys.argv) == 3:
    tags = tags.filter(pl.col("key") == sys.argv[2])
print(tags.group_by("key", "value").agg(pl.len().alias("items"), cost).sort("key", "cost_usd", descending=[False, True]).collect())

print("\nslowest items")
slowest = (
    results.filter(pl.col("started_at").is_not_null())
    .with_columns((pl.col("ended_at") - pl.col("started_at")).alias("took"))
    .select("job_id", "custom_id", "status", "attempts", "request_model", "took", "latency_ms")
    .sort("took", descending=True)
    .head(20)
)
print(slowest.collect())
