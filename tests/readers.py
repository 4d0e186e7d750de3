"""The outside judges: opens a results folder with DuckDB, Polars and pyarrow and compares what they see.

    python tests/readers.py RESULTS_DIR
    python tests/readers.py --serve

Each library opens the whole folder as a glob, as a user would. Checked are the types of the columns,
that no (job_id, item_index) and no attempt_id is there twice, and that all three count the same rows
and add up the same money. Prints one JSON line; exits 1 and says why where anything is off.

With --serve the folders are read from standard input, one a line, and each is answered with a line:
the libraries take longer to load than to look. There a folder without rows is fine too.
"""

import json
import sys
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds

TEXT, WHOLE, SMALL, REAL, TRUTH, DAY = "string", "int64", "int16", "double", "bool", "date32[day]"
TIME = "timestamp[us, tz=UTC]"
TAGS = "map<string, string>"
TOKENS = [
    "input_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
]


def columns(*groups):
    return [(name, kind) for kind, names in groups for name in (names if isinstance(names, list) else names.split())]


SCHEMAS = {
    "results": columns(
        (TEXT, "job_id custom_id status job_name"),
        (WHOLE, "item_index"),
        (TEXT, "error_code error_message finish_reason output_text response_json input_json"),
        (TRUTH, "valid"),
        (TEXT, "provider request_model response_model lane price_window"),
        (SMALL, "step attempts priority"),
        (WHOLE, TOKENS),
        (REAL, "cost_usd"),
        (WHOLE, "cost_nano_usd list_cost_nano_usd"),
        (TEXT, "cost_basis"),
        (TIME, "submitted_at ended_at started_at deadline_at"),
        (DAY, "ended_date"),
        (TRUTH, "deadline_met"),
        (WHOLE, "latency_ms"),
        (TAGS, "tags"),
        (TEXT, "extra_json"),
    ),
    "attempts": columns(
        (TEXT, "attempt_id job_id custom_id status error_code error_message"),
        (WHOLE, "item_index"),
        (SMALL, "attempt step http_status"),
        (TEXT, "provider request_model response_model endpoint lane price_window price_id"),
        (TEXT, "upstream_request_id upstream_batch_id finish_reason check_message escalation_reason"),
        (WHOLE, TOKENS),
        (REAL, "input_price_usd_per_mtok output_price_usd_per_mtok cost_usd"),
        (WHOLE, "cost_nano_usd list_cost_nano_usd"),
        (TEXT, "cost_basis"),
        (TIME, "queued_at started_at first_token_at ended_at"),
        (DAY, "ended_date"),
        (WHOLE, "duration_ms retry_after_ms"),
        (TEXT, "response_json extra_json"),
    ),
}
KEYS = {"results": ["job_id", "item_index"], "attempts": ["job_id", "attempt_id"]}
SUMS = ["cost_nano_usd", "list_cost_nano_usd", "input_tokens", "output_tokens"]

DUCKDB_TYPES = {
    TEXT: "VARCHAR",
    WHOLE: "BIGINT",
    SMALL: "SMALLINT",
    REAL: "DOUBLE",
    TRUTH: "BOOLEAN",
    DAY: "DATE",
    TIME: "TIMESTAMP WITH TIME ZONE",
    TAGS: "MAP(VARCHAR, VARCHAR)",
}
POLARS_TYPES = {
    TEXT: pl.String,
    WHOLE: pl.Int64,
    SMALL: pl.Int16,
    REAL: pl.Float64,
    TRUTH: pl.Boolean,
    DAY: pl.Date,
    TIME: pl.Datetime("us", "UTC"),
}


def main(root):
    seen = look(root)
    if "results" not in seen:
        raise SystemExit(f"{root}: no results to read")
    print(json.dumps({"ok": True, **seen}))


def serve():
    for line in sys.stdin:
        try:
            answer = {"ok": True, **look(Path(line.rstrip("\n")))}
        except (Exception, SystemExit) as error:
            answer = {"ok": False, "why": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


def look(root):
    strays = [str(path) for table in SCHEMAS for path in (root / table).rglob("*") if is_stray(path)]
    expect("files that are no parts", strays, [])
    return {table: judge(root, table) for table in SCHEMAS if any((root / table).glob("*/*.parquet"))}


def judge(root, table):
    by_library = {
        "duckdb": with_duckdb(root, table),
        "polars": with_polars(root, table),
        "pyarrow": with_pyarrow(root, table),
    }
    first = by_library["duckdb"]
    for library, facts in by_library.items():
        expect(f"{table}: duplicates seen by {library}", facts["duplicates"], 0)
        expect(f"{table}: {library} against duckdb", facts, first)
    return first


def with_duckdb(root, table):
    files = f"read_parquet('{root}/{table}/*/*.parquet')"
    described = duckdb.sql(f"describe select * from {files}").fetchall()
    found = [(name, kind) for name, kind, *_ in described]
    expect(f"{table}: columns in duckdb", found, [(name, DUCKDB_TYPES[kind]) for name, kind in SCHEMAS[table]])
    sums = ", ".join(f"coalesce(sum({name}), 0)::hugeint" for name in SUMS)
    key = ", ".join(KEYS[table])
    # One row; `fetchone` is gone from DuckDB 2.
    rows, distinct, *sums = duckdb.sql(
        f"select count(*), (select count(*) from (select distinct {key} from {files})), {sums} from {files}"
    ).fetchall()[0]
    return facts(rows, distinct, sums)


def with_polars(root, table):
    frame = pl.scan_parquet(f"{root}/{table}/*/*.parquet")
    for name, kind in SCHEMAS[table]:
        found = frame.collect_schema()[name]
        if kind == TAGS:
            # A map is a list of key and value, or a type of its own, depending on the version.
            expect(f"{table}: {name} in polars", found != pl.Null, True)
        else:
            expect(f"{table}: {name} in polars", found, POLARS_TYPES[kind])
    rows = frame.collect()
    return facts(rows.height, rows.select(KEYS[table]).n_unique(), [rows[name].sum() for name in SUMS])


def with_pyarrow(root, table):
    dataset = ds.dataset(root / table, format="parquet")
    for name, kind in SCHEMAS[table]:
        found = dataset.schema.field(name).type
        # A map's text also names its inner fields, in some versions.
        shown = f"map<{found.key_type}, {found.item_type}>" if pa.types.is_map(found) else str(found)
        expect(f"{table}: {name} in pyarrow", shown, kind)
    expect(f"{table}: column order in pyarrow", dataset.schema.names, [name for name, _ in SCHEMAS[table]])
    rows = dataset.to_table()
    frame = rows.select(KEYS[table]).group_by(KEYS[table]).aggregate([])
    rows.to_pandas()
    return facts(rows.num_rows, frame.num_rows, [pa.compute.sum(rows[name]).as_py() or 0 for name in SUMS])


def facts(rows, distinct, sums):
    return {"rows": rows, "duplicates": rows - distinct, **{name: int(value) for name, value in zip(SUMS, sums)}}


def is_stray(path):
    return path.is_file() and path.suffix != ".parquet"


def expect(what, found, wanted):
    if found != wanted:
        raise SystemExit(f"{what}: found {found}, expected {wanted}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    if sys.argv[1] == "--serve":
        serve()
    else:
        main(Path(sys.argv[1]).resolve())
