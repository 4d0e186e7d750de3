"""Runs every SQL file of this folder on a results folder: duckdb_report.py RESULTS_DIR"""

import os
import sys
from pathlib import Path

import duckdb

if len(sys.argv) != 2:
    raise SystemExit(__doc__)

queries = sorted(Path(__file__).resolve().parent.glob("*.sql"))
os.chdir(sys.argv[1])
for query in queries:
    print(f"\n{query.stem}")
    duckdb.sql(query.read_text()).show()
