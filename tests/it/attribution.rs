//! Who spent it: `report --by` held against DuckDB's sums over the same files, on a night of real calls.

use std::fmt::Write as _;
use std::fs;

use serde_json::Value;

use crate::judges;
use crate::readme::Simulator;
use crate::support::{Overnight, Ran};

const SCHEMA: &str = include_str!("../../jobs/review.schema.json");
const FEATURES: [&str; 3] = ["search", "<script>alert(1)</script>", "=cmd()\u{202e}"];

/// A job whose items carry a tag each, judged by a schema that the small model often fails.
struct Night {
    overnight: Overnight,
    simulator: Simulator,
}

impl Night {
    fn new() -> Night {
        let overnight = Overnight::new();
        let mut lines = String::new();
        for item in 0..90 {
            let feature = serde_json::to_string(FEATURES[item % 3]).unwrap();
            let tags = if item < 80 {
                format!(r#","overnight":{{"tags":{{"feature":{feature}}}}}"#)
            } else {
                String::new()
            };
            let body = format!(
                r#"{{"messages":[{{"role":"user","content":"Judge kettle no. {item}."}}],"response_format":{{"type":"json_schema","json_schema":{{"name":"review","schema":{SCHEMA}}}}}}}"#
            );
            let body = body.replace('\n', " ");
            writeln!(lines, r#"{{"custom_id":"r-{item}","method":"POST","url":"/v1/chat/completions","body":{body}{tags}}}"#).unwrap();
        }
        fs::write(overnight.path().join("kettles.jsonl"), lines).unwrap();
        fs::write(overnight.path().join("review.schema.json"), SCHEMA).unwrap();
        Night { overnight, simulator: Simulator::start() }
    }

    fn run(&self, line: &str) -> Ran {
        let mut command = self.overnight.command(line);
        Ran::of(&command.env("OVERNIGHT_PROVIDERS__SIM__BASE_URL", &self.simulator.1).output().unwrap())
    }

    fn judge(&self, sql: &str) -> Vec<Vec<Value>> {
        judges::rows(&self.overnight.path().join("overnight-results"), sql)
    }
}

const NEWEST: &str = "(select * from (select *, row_number() over (partition by custom_id order by submitted_at desc) as age \
                      from 'results/*/*.parquet') where age = 1)";

#[test]
fn the_groups_of_a_report_are_the_sums_that_duckdb_makes_of_the_files() {
    let night = Night::new();
    let ran =
        night.run("run kettles.jsonl --model sim/small --check schema:review.schema.json --tag team=lab");
    assert_eq!(ran.code, 3, "some answers fail their check: {ran:?}");
    let ran = night
        .run("retry kettles --rework --reason schema_mismatch,not_json --model sim/small --model sim/large");
    assert_eq!(ran.code, 0, "{ran:?}");
    let again = ran.stdout.trim().to_owned();
    assert!(ran.stderr.contains("marked as rework"), "{ran:?}");
    assert_eq!(night.run(&format!("run --resume {again}")).code, 0);

    let report = night.run("report kettles --json --by tag.feature,model").json();
    let sums = night.judge(
        "select extra_json ->> '$.tags.feature' as feature, provider || '/' || request_model as model, count(*)::bigint, \
         sum(cost_nano_usd)::bigint, sum(list_cost_nano_usd)::bigint, \
         count(*) filter (error_code in ('not_json', 'schema_mismatch'))::bigint, \
         count(*) filter (escalation_reason is not null)::bigint, \
         coalesce(sum(cost_nano_usd) filter (escalation_reason is not null), 0)::bigint, \
         coalesce(sum(input_tokens), 0)::bigint, coalesce(sum(output_tokens), 0)::bigint \
         from 'attempts/*/*.parquet' group by all",
    );
    let groups = report["groups"].as_array().unwrap();
    assert_eq!(groups.len(), sums.len());
    assert!(sums.len() >= 7, "three features asked of two models, and items without one: {sums:?}");
    for sum in &sums {
        let is_same = |row: &&Value| row["key"]["tag.feature"] == sum[0] && row["key"]["model"] == sum[1];
        let row = groups.iter().find(is_same).unwrap_or_else(|| panic!("no group of {sum:?}"));
        let ours = [
            "attempts",
            "cost_nano_usd",
            "list_cost_nano_usd",
            "failed_json",
            "escalations",
            "escalated_nano_usd",
            "input_tokens",
            "output_tokens",
        ];
        let ours: Vec<&Value> = ours.iter().map(|name| &row[*name]).collect();
        assert_eq!(ours, sum[2..].iter().collect::<Vec<_>>(), "{row}");
    }
    let total =
        night.judge("select sum(cost_nano_usd)::bigint, count(*)::bigint from 'attempts/*/*.parquet'");
    assert_eq!(
        [&report["total"]["cost_nano_usd"], &report["total"]["attempts"]],
        [&total[0][0], &total[0][1]]
    );
    let items = night.judge(&format!(
        "select count(*)::bigint, count(*) filter (status = 'succeeded')::bigint, \
         count(*) filter (map_contains(tags, 'rework') and extra_json ->> '$.rework' = 'true')::bigint from {NEWEST}"
    ));
    let ours = ["items", "succeeded", "rework"].map(|name| &report["total"][name]);
    assert_eq!(ours.as_slice(), items[0].iter().collect::<Vec<_>>(), "an item asked again is counted once");
    assert!(report["total"]["rework"].as_u64().unwrap() > 0);
    let marked = night.judge(
        "select count(*)::bigint from 'attempts/*/*.parquet' where extra_json ->> '$.tags.rework' = 'manual'",
    );
    assert!(marked[0][0].as_u64() >= report["total"]["rework"].as_u64(), "every call of theirs says so");

    files_say_the_same(&night);
}

/// The page, the picture and the spreadsheet of the same night.
fn files_say_the_same(night: &Night) {
    let ran = night.run("report kettles --by tag.feature -o night.html --samples 2");
    assert!(ran.stdout.ends_with("wrote night.html (one file, no external requests)\n"), "{ran:?}");
    assert!(!ran.stdout.contains('\u{202e}'));
    let read = |name: &str| fs::read(night.overnight.path().join(name)).unwrap();
    let page = String::from_utf8(read("night.html")).unwrap();
    for wrong in ["<script", "<img", "http:", "https:", "\u{202e}", "NaN"] {
        assert!(!page.contains(wrong), "{wrong}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && page.contains("Judge kettle no."));
    assert!(
        !String::from_utf8(read("night.html")).unwrap().contains("r-89</bdi>"),
        "two samples a reason, not all"
    );
    assert_eq!(night.run("report kettles -o night.html -q").code, 0);
    let page = String::from_utf8(read("night.html")).unwrap();
    assert!(!page.contains("Judge kettle"), "no prompt unless it is asked for");
    assert_eq!(night.run("report kettles -o night.png").code, 0);
    assert!(read("night.png").starts_with(b"\x89PNG"));
    assert_eq!(night.run("report kettles --by tag.feature -o night.csv").code, 0);
    let table = String::from_utf8(read("night.csv")).unwrap();
    assert!(table.contains("\n'=cmd()"), "no formula: {table}");
}

#[test]
fn a_wrong_key_a_wrong_tag_and_a_wrong_ending_say_what_would_be_right() {
    let night = Night::new();
    let ran = night.run("report --by modle");
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("did you mean model?") && ran.stderr.contains("tag.KEY"), "{ran:?}");
    let ran = night.run("report -o report.pdf");
    assert!(ran.code == 2 && ran.stderr.contains(".html, .png, .csv or .json"), "{ran:?}");
    assert_eq!(night.run("run kettles.jsonl --model sim/large --tag team=lab --limit 1").code, 0);
    let ran = night.run("report kettles --by tag.taem");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("did you mean team?"), "{ran:?}");
    let ran = night.run("report kettles -o no/such/folder/report.html");
    assert!(ran.code == 1 && ran.stderr.contains("no/such/folder"), "{ran:?}");
}
