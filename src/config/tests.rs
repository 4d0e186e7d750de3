//! The config as a whole: files in, values or problems out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::*;
use crate::catalog::provider::Key;
use crate::clock::Timestamp;
use crate::money::Usd;

const CANARY: &str = "sk-canary-0123456789";

fn env(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn check_with(
    text: &str,
    variables: &[(&str, &str)],
    flags: &[(&str, &str, String)],
) -> Result<Config, ConfigError> {
    let env = env(variables);
    let inputs = Inputs { file: None, cwd: Path::new("/srv/night"), env: &env, flags };
    check(Some("/conf/overnight.toml".into()), text, &inputs)
}

fn config(text: &str) -> Config {
    check_with(text, &[], &[]).unwrap_or_else(|error| panic!("{error}"))
}

/// The problems of a config, one a line.
fn problems(text: &str) -> Vec<String> {
    check_with(text, &[], &[]).unwrap_err().problems.iter().map(Problem::to_string).collect()
}

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

#[test]
fn nothing_written_is_a_config() {
    let config = config("");
    assert_eq!(config.defaults.models, [["@small"], ["@large"]]);
    assert_eq!((config.defaults.deadline.as_str(), config.defaults.options.max_attempts), ("24h", 4));
    assert_eq!((config.defaults.options.max_cost, config.budget.day), (None, None));
    assert_eq!(config.results.dir, Path::new("/srv/night/overnight-results"));
    assert!(config.results.raw);
    assert_eq!(config.daemon.listen.to_string(), "127.0.0.1:8787");
    assert_eq!(config.state_dir, Path::new("/srv/night/.overnight"));
}

#[test]
fn everything_can_be_written() {
    let variables = ["GATEWAY_TOKEN", "OVERNIGHT_TOKEN", "OVERNIGHT_WEBHOOK_SECRET"].map(|name| (name, "t"));
    let config = check_with(&uncommented(), &variables, &[]).unwrap_or_else(|error| panic!("{error}"));
    let options = &config.defaults.options;
    assert_eq!((options.max_cost, options.hold_above), (Some(usd("$5")), usd("$1")));
    assert_eq!(config.defaults.check, Some(serde_json::json!({ "json": true })));
    assert_eq!(config.budget.month, Some(usd("$300")));
    assert_eq!(config.budget.tags["team=search"].day, Some(usd("$5")));
    assert_eq!(config.state_dir, Path::new("/var/lib/overnight"));
    assert_eq!(config.results.dir, Path::new("/conf/overnight-results"));
    let route = config.catalog.route("deepseek/deepseek-flash", now()).unwrap();
    let table = route.prices.as_ref().unwrap();
    assert_eq!((&*table.base_window, table.base.output), ("off-peak", 600_000));
    assert_eq!((table.windows[0].price.output, route.limits.concurrency), (1_200_000, Some(500)));
    let own = config.catalog.provider("gpu-box").unwrap();
    let headers: Vec<(&str, &str)> =
        own.headers.iter().map(|header| (header.name.as_str(), header.value.expose())).collect();
    assert_eq!(headers, [("x-gateway-token", "t"), ("x-team", "search")]);
    assert_eq!(own.headers.iter().map(|header| header.is_key).collect::<Vec<_>>(), [true, false]);
    assert_eq!(own.timeout.as_secs(), 600);
    assert!(!own.hours.is_open("2026-11-20T12:00:00Z".parse().unwrap()));
}

/// The template with every key in force.
fn uncommented() -> String {
    let key = |line: &str| line.starts_with(|c: char| c.is_ascii_lowercase() || "[]".contains(c));
    let in_force = |line: &str| match line.strip_prefix('#') {
        Some(rest) if key(rest) || rest.starts_with("  {") => rest.to_owned(),
        _ => line.to_owned(),
    };
    template().lines().map(in_force).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_template_is_valid_and_names_every_key() {
    config(template());
    let mut log = Log::default();
    let tree = Tree::parse(&uncommented(), &mut log);
    let env = BTreeMap::new();
    let inputs = Inputs { file: None, cwd: Path::new("/srv/night"), env: &env, flags: &[] };
    let places = sections::Places { base: Path::new("/srv/night"), inputs: &inputs };
    let mut root = Section::root(&tree);
    let defaults = sections::defaults(&mut root.section("defaults", &mut log), &mut log);
    ladders::read(&mut root, &mut log);
    budget::budget(&mut root.section("budget", &mut log), &env, &mut log);
    sections::daemon(&mut root.section("daemon", &mut log), &env, &mut log);
    intake::schedules(&mut root, &defaults, &places, &mut log);
    intake::watches(&mut root, &defaults, &places, &mut log);
    morning::morning(&mut root.section("report", &mut log), &places, &env, &mut log);
    sections::results(&mut root.section("results", &mut log), &places, &mut log);
    sections::state(&mut root.section("state", &mut log), &places, &mut log);
    providers::read(&mut root, &Catalog::bundled(), &places, &mut log);
    models::read(&mut root, &mut log);
    let of_defaults: BTreeSet<String> =
        log.asked.iter().filter_map(|(key, _)| key.strip_prefix("defaults.").map(str::to_owned)).collect();
    // Of a provider's or model's keys, some example has each; schedules and folders repeat the defaults.
    let plain = |key: &str| {
        if let Some((section, last)) = key.split_once("[0].")
            && ["schedule", "watch"].contains(&section)
            && of_defaults.contains(last)
        {
            return format!("defaults.{last}");
        }
        let named = key.starts_with("providers.") || key.starts_with("models.");
        let last = key.rsplit('.').next().unwrap_or(key);
        if named { format!("{}{last}", &key[..2]) } else { key.to_owned() }
    };
    let keys = |set: bool| -> BTreeSet<String> {
        log.asked.iter().filter(|(_, was)| *was || !set).map(|(key, _)| plain(key)).collect()
    };
    let missing: Vec<_> = keys(false).difference(&keys(true)).cloned().collect();
    // Ceilings of tokens are written like a provider's.
    assert_eq!(missing, ["moinput_tpm", "mooutput_tpm", "motpm"]);
}

#[test]
fn all_problems_are_told_together_with_their_lines() {
    let text = r#"
[defaults]
deadlin = "8h"
max_cost = 5
when = "now"
max_attempts = 0
models = ["gpt5-mini"]

[budgt]
day = "$1"

[providers.opnai]
rpm = 5

[providers.openai]
rpm = -3
hours = ["22:00"]
"#;
    assert_eq!(
        problems(text),
        [
            "line 3: `defaults.deadlin`: unknown key (did you mean `deadline`?)",
            "line 4: `defaults.max_cost`: money is text: write \"$5\"",
            "line 5: `defaults.when`: \"now\" is not one of cheapest, asap, off-peak",
            "line 6: `defaults.max_attempts`: must be a whole number from 1 to 100",
            "line 7: `defaults.models`: no provider serves \"gpt5-mini\" (did you mean openai/gpt-5-mini?)",
            "line 9: `budgt`: unknown key (did you mean `budget`?)",
            "line 12: `providers.opnai`: unknown provider (did you mean `openai`?); one of your own needs `base_url`",
            "line 16: `providers.openai.rpm`: must be a whole number from 1 to 4611686018427387903",
            "line 17: `providers.openai.hours[0]`: \"22:00\" is not a range of hours; write it like \"22:00-07:00\"",
        ]
    );
}

#[test]
fn text_that_is_not_toml_is_told_by_line_and_not_quoted() {
    let found = problems(&format!("[providers.openai]\napi_key = \"{CANARY}\nrpm = 5\n[budget\n"));
    assert!(found[0].starts_with("line 2: not TOML"), "{found:?}");
    assert!(!found.join("\n").contains("canary"), "{found:?}");
}

#[test]
fn a_key_is_in_no_message_and_no_value_shown() {
    let literal = format!(
        "[providers.openai]\napi_key = \"{CANARY}\"\n[providers.x]\nbase_url = \"http://u:{CANARY}@h\"\nheaders = {{ x-api-key = \"{CANARY}\" }}"
    );
    let error = check_with(&literal, &[], &[]).unwrap_err();
    assert_eq!(error.problems.len(), 3, "{error}");
    assert!(!format!("{error} {error:?}").contains("canary"));

    let named = "[providers.openai]\napi_key = \"env:MY_KEY\"\nheaders = { x-api-key = \"env:MY_KEY\" }";
    let config = check_with(named, &[("MY_KEY", CANARY), ("DEEPSEEK_API_KEY", CANARY)], &[]).unwrap();
    assert!(config.show().contains("api_key = \"env:MY_KEY\""));
    let everything = format!("{} {config:?} {:?}", config.show(), config.catalog.endpoints());
    assert!(!everything.contains("canary"));
    let openai = config.catalog.endpoints().into_iter().find(|end| &*end.provider == "openai").unwrap();
    assert_eq!((openai.key.unwrap().expose(), openai.key_name.as_deref()), (CANARY, Some("MY_KEY")));
}

#[test]
fn a_key_that_is_missing_is_a_reason_not_an_error() {
    let config = config("[providers.openai]\napi_key = \"env:ELSEWHERE\"");
    let why = |name: &str| config.catalog.route(name, now()).unwrap().unusable.clone();
    assert_eq!(why("openai/gpt-5-mini").as_deref(), Some("set ELSEWHERE"));
    assert_eq!(why("deepseek/deepseek-flash").as_deref(), Some("set DEEPSEEK_API_KEY"));
}

#[test]
fn flag_over_environment_over_file_over_default() {
    let text = "[budget]\nday = \"$1\"\nmonth = \"$10\"\n[state]\ndir = \"here\"";
    let variables = [("OVERNIGHT_BUDGET__DAY", "$20"), ("OVERNIGHT_STATE__DIR", "/env")];
    let flags = [("state.dir", "--state-dir", "/flag".to_owned())];
    let config = check_with(text, &variables, &flags).unwrap();
    assert_eq!((config.budget.day, config.budget.month), (Some(usd("$20")), Some(usd("$10"))));
    assert_eq!(config.state_dir, Path::new("/flag"));
    let shown = config.show();
    for line in [
        "budget.day = \"$20\"",
        "# OVERNIGHT_BUDGET__DAY",
        "# line 3",
        "# --state-dir",
        "defaults.deadline = \"24h\"",
        "# default",
    ] {
        assert!(shown.contains(line), "{line} in\n{shown}");
    }
}

#[test]
fn a_key_that_is_given_is_sent_to_a_provider_that_usually_wants_none() {
    let key = |more: &str| {
        let text = format!("[providers.ollama]\nbase_url = \"http://box:11434/v1\"\n{more}");
        let config = check_with(&text, &[("BOX_KEY", CANARY)], &[]).unwrap();
        let ollama = config.catalog.endpoints().into_iter().find(|end| &*end.provider == "ollama").unwrap();
        ollama.key.map(|key| key.expose().to_owned())
    };
    assert_eq!(key(""), None);
    assert_eq!(key("api_key = \"env:BOX_KEY\"").as_deref(), Some(CANARY));
    assert_eq!(key("api_key = \"env:BOX_KEY\"\nauth = \"none\""), None, "as it is said");
}

#[test]
fn variables_reach_every_kind_of_key() {
    let variables = [
        ("OVERNIGHT_PROVIDERS__GPU_BOX__RPM", "60"),
        ("OVERNIGHT_PROVIDERS__OPENAI__LANES", r#"["realtime"]"#),
        ("OVERNIGHT_MODELS__DEEPSEEK_DEEPSEEK_FLASH__MAX_OUTPUT", "1_000"),
        ("OVERNIGHT_RESULTS__RAW", "false"),
        ("OVERNIGHT_DEFAULTS__CHECK", r#"{"regex": "^a"}"#),
        ("OVERNIGHT_TOKEN", "no key of the config"),
        ("OPENAI_BASE_URL", "http://127.0.0.1:8787/v1"),
    ];
    let text = "[providers.gpu-box]\nbase_url = \"http://h/v1/\"";
    let config = check_with(text, &variables, &[]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.catalog.provider("gpu-box").unwrap().limits.rpm, Some(60));
    assert_eq!(config.catalog.provider("gpu-box").unwrap().url().as_deref(), Some("http://h/v1"));
    assert_eq!(config.catalog.provider("openai").unwrap().lanes, ["realtime"]);
    assert_eq!(config.catalog.model("deepseek/deepseek-flash").unwrap().max_output, Some(1_000));
    assert!(!config.results.raw);
    assert_eq!(config.defaults.check, Some(serde_json::json!({ "regex": "^a" })));
    let openai = config.catalog.provider("openai").unwrap();
    assert_eq!(
        openai.url().as_deref(),
        Some("https://api.openai.com/v1"),
        "OPENAI_BASE_URL is ours to serve"
    );
}

#[test]
fn a_variable_with_a_wrong_name_or_value_is_a_problem() {
    let variables = [("OVERNIGHT_BUDGET__DAYS", "$1"), ("OVERNIGHT_RESULTS__RAW", "maybe")];
    let error = check_with("", &variables, &[]).unwrap_err();
    let told: Vec<String> = error.problems.iter().map(Problem::to_string).collect();
    assert_eq!(
        told,
        [
            "OVERNIGHT_BUDGET__DAYS: `budget.days`: unknown key (did you mean `day`?)",
            "OVERNIGHT_RESULTS__RAW: `results.raw`: must be true or false",
        ]
    );
}

#[test]
fn a_variable_that_was_meant_to_set_something_is_a_problem() {
    for (variable, meant) in [
        ("OVERNIGHT_STATE_DIR", " (did you mean OVERNIGHT_STATE__DIR?)"),
        ("OVERNIGHT_BUDGET_DAYS", " (did you mean OVERNIGHT_BUDGET__DAY?)"),
        ("OVERNIGHT_MAX_COST", " (did you mean OVERNIGHT_DEFAULTS__MAX_COST?)"),
        ("OVERNIGHT_PROVIDERS_OPENAI_RPM", ""),
        ("OVERNIGHT_MODELS", " (did you mean OVERNIGHT_DEFAULTS__MODELS?)"),
    ] {
        let error = check_with("", &[(variable, "sk-canary")], &[]).unwrap_err();
        let told: Vec<String> = error.problems.iter().map(Problem::to_string).collect();
        let expected =
            format!("{variable}: sets nothing{meant}; two underscores stand between the parts of a key");
        assert_eq!(told, [expected]);
    }
    let others = ["CONFIG", "TOKEN", "SEED", "TEST_PYTHON", "PORT", "SERVICE_HOST", "PORT_8787_TCP_ADDR"];
    for name in others {
        check_with("", &[(&format!("OVERNIGHT_{name}"), "x")], &[]).unwrap_or_else(|error| panic!("{error}"));
    }
    let text = "[providers.openai]\napi_key = \"env:OVERNIGHT_DAEMON_TOKEN\"";
    check_with(text, &[("OVERNIGHT_DAEMON_TOKEN", "sk-x")], &[]).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn an_open_address_needs_a_token_and_tls_in_front() {
    assert!(problems("[daemon]\nlisten = \"0.0.0.0:8787\"")[0].contains("needs `token"));
    let text = "[daemon]\nlisten = \"0.0.0.0:8787\"\ntoken = \"env:T\"";
    assert!(problems(text)[0].contains("set T"), "{:?}", problems(text));
    let error = check_with(text, &[("T", "t0k3n")], &[]).unwrap_err().to_string();
    assert!(error.contains("behind_proxy"), "{error}");
    let config = check_with(&format!("{text}\nbehind_proxy = true"), &[("T", "t0k3n")], &[]).unwrap();
    assert_eq!(config.daemon.token.unwrap().expose(), "t0k3n");
}

#[test]
fn prices_are_exact_and_bad_ones_are_told() {
    let config =
        config("[models.\"openai/mine\"]\nprice = { input = 0.1, output = 1e-1, cache_read = \"0.003\" }");
    let table = config.catalog.model("openai/mine").unwrap().prices.clone().unwrap();
    assert_eq!((table.base.input, table.base.output, table.base.cache_read), (100_000, 100_000, Some(3_000)));
    for (price, told) in [
        ("{ input = -1, output = 1 }", "line 2: `models.\"openai/mine\".price.input`: \"-1\" is not a price"),
        (
            "{ input = nan, output = 1 }",
            "line 2: `models.\"openai/mine\".price.input`: \"nan\" is not a price",
        ),
        ("{ input = 1 }", "line 2: `models.\"openai/mine\".price`: a price needs `output`"),
        ("5", "line 2: `models.\"openai/mine\".price`: must be a table, not a number"),
    ] {
        let found = problems(&format!("[models.\"openai/mine\"]\nprice = {price}"));
        assert!(found[0].starts_with(told), "{found:?}");
    }
}

#[test]
fn windows_are_checked_where_they_stand() {
    let text = r#"
[models."openai/gpt-5-mini"]
windows = [
  { name = "peak", hours = ["01:00-04:00"] },
  { name = "dear", hours = ["1-4"], multiply = 2 },
  { hours = ["01:00-04:00"], multiply = 2, tz = "Mars" },
  { name = "night", cron = "0 0 22 * * 1-5", for = "9 hours", multiply = 0.5, days = "mon" },
]
[models."vllm/mine"]
windows = [{ name = "peak", hours = ["01:00-04:00"], multiply = 2 }]
[models."gpt-5-mini"]
context = 5
"#;
    let found = problems(text);
    for (found, told) in found.iter().zip([
        "line 4: `models.\"openai/gpt-5-mini\".windows[0]`: a window needs either",
        "line 5: `models.\"openai/gpt-5-mini\".windows[1].hours`: \"1-4\" is not a range",
        "line 6: `models.\"openai/gpt-5-mini\".windows[2].tz`: \"Mars\" is not a time zone",
        "line 6: `models.\"openai/gpt-5-mini\".windows[2]`: a window needs a `name`",
        "line 7: `models.\"openai/gpt-5-mini\".windows[3].days`: `days` and `cron` both say",
        "line 7: `models.\"openai/gpt-5-mini\".windows[3].for`: \"9 hours\" is not a length",
        "line 7: `models.\"openai/gpt-5-mini\".windows[3].cron`: \"0 0 22 * * 1-5\" is not a cron we can use: a \
         weekday's number",
        "line 9: `models.\"vllm/mine\"`: window \"peak\" multiplies a price that is not known",
        "line 11: `models.gpt-5-mini`: \"gpt-5-mini\" is not a model's name",
    ]) {
        assert!(found.starts_with(told), "{found}\n{told}");
    }
    assert_eq!(found.len(), 9, "{found:?}");
}

#[test]
fn hours_are_lines_and_tables_each_checked_where_it_stands() {
    let text = r#"
[providers.box]
kind = "openai"
base_url = "http://10.0.0.7:8000/v1"
hours = [
  "mon-fri 22:00-07:00 Europe/Berlin",
  { days = "sat,sun", hours = ["00:00-24:00"], tz = "Europe/Berlin", extra_dates = ["2026-12-25"] },
  { cron = "30 16 * * *", for = "1h" },
]
"#;
    let hours = check_with(text, &[], &[]).unwrap().catalog.provider("box").unwrap().hours.clone();
    for (at, open) in [
        ("2026-11-23T21:00:00Z", true), // Monday 22:00 in Berlin
        ("2026-11-23T20:59:00Z", false),
        ("2026-11-22T11:00:00Z", true), // Sunday
        ("2026-12-25T11:00:00Z", true), // a Friday, and a holiday
        ("2026-11-24T16:45:00Z", true),
    ] {
        assert_eq!(hours.is_open(at.parse().unwrap()), open, "{at}");
    }
    let found = problems(
        "[providers.ollama]\nhours = [\n  \"1-4\",\n  { hours = [\"01:00-02:00\"], tz = \"Mars\", zone = \"UTC\" },\n  5,\n]\n[providers.vllm]\nhours = []",
    );
    for (found, told) in found.iter().zip([
        "line 3: `providers.ollama.hours[0]`: no hours are given",
        "line 4: `providers.ollama.hours[1].tz`: \"Mars\" is not a time zone",
        "line 4: `providers.ollama.hours[1].zone`: unknown key",
        "line 5: `providers.ollama.hours[2]`: must be text or a table, not a number",
        "line 8: `providers.vllm.hours`: is empty",
    ]) {
        assert!(found.starts_with(told), "{found}\n{told}");
    }
}

#[test]
fn a_provider_of_ones_own_is_like_a_built_in_one() {
    let text = "[providers.mybox]\nkind = \"openai\"\nbase_url = \"http://10.0.0.7:8000/v1\"\nfree = true\napi_key = \"env:BOX\"";
    let config = check_with(text, &[("BOX", "k-123456")], &[]).unwrap();
    let route = config.catalog.route("mybox/any-model", now()).unwrap();
    assert_eq!(route.unusable, None);
    assert!(route.prices.as_ref().unwrap().base.is_free());
    assert!(matches!(&config.catalog.provider("mybox").unwrap().key, Key::Found(_, name) if name == "BOX"));
}

#[test]
fn an_alias_means_the_provider_and_may_not_name_it_twice() {
    assert_eq!(
        config("[providers.dashscope]\nrpm = 7").catalog.provider("qwen").unwrap().limits.rpm,
        Some(7)
    );
    assert!(problems("[providers.dashscope]\n[providers.qwen]")[0].contains("already given"));
}

#[test]
fn folders_belong_to_the_file_that_names_them() {
    let config =
        check_with("[results]\ndir = \"./out\"\n[state]\ndir = \"~/q\"", &[("HOME", "/home/a")], &[])
            .unwrap();
    assert_eq!((config.results.dir, config.state_dir), ("/conf/out".into(), "/home/a/q".into()));
    assert!(problems("[results]\ndir = \"s3://bucket/x\"")[0].contains("not supported yet"));
}

#[test]
fn every_example_is_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = std::fs::read_to_string(&path).unwrap();
            let keys = [
                "OPENAI_API_KEY",
                "DEEPSEEK_API_KEY",
                "ZAI_API_KEY",
                "GROQ_API_KEY",
                "MISTRAL_API_KEY",
                "LITELLM_API_KEY",
            ];
            let config = check_with(&text, &keys.map(|key| (key, CANARY)), &[]);
            let config = config.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let resolved = config.catalog.resolve(&config.defaults.models, now()).unwrap();
            for name in resolved.ladder.0.iter().flatten() {
                let route = config.catalog.route(name, now()).unwrap();
                assert!(route.unusable.is_none() && route.prices.is_some(), "{}: {name}", path.display());
            }
            seen += 1;
        }
    }
    assert!(seen >= 4);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(
        text in "[ -~\n]{0,80}",
        cut in 0usize..400,
        value in "([-0-9.eE_]{1,12}|[\"'a-z:/$%-]{0,12}|\\[.{0,10}\\])",
    ) {
        let _ = check_with(&text, &[], &[]);
        // A valid config in which one value is another.
        let mut lines: Vec<String> = uncommented().lines().map(str::to_owned).collect();
        let at = cut % lines.len();
        if let Some((key, _)) = lines[at].clone().split_once('=') {
            lines[at] = format!("{key}= {value}");
        }
        let _ = check_with(&lines.join("\n"), &[("OVERNIGHT_DEFAULTS__MAX_COST", &value)], &[]);
    }
}

#[test]
fn a_lane_that_nothing_would_go_on_is_told() {
    config("[providers.sim]\nlanes = [\"realtime\", \"batch\"]");
    config("[providers.openai]\nlanes = [\"realtime\", \"flex\", \"batch\"]");
    let told = problems("[providers.vllm]\nlanes = [\"batch\"]");
    assert!(told[0].contains("`providers.vllm.lanes`: how vllm takes batches is not known"), "{told:?}");
    let own = "[providers.mine]\nkind = \"openai\"\nbase_url = \"http://localhost:1/v1\"\n\
               lanes = [\"realtime\", \"batch\"]\nbatch = {}\n[models.\"mine/m\"]\nprice = { input = 1, output = 2 }\n";
    assert!(problems(own)[0].contains("no model of mine has a price on batch; [models.\"mine/NAME\"] batch"));
    config(&format!("{own}batch = {{ multiply = 0.5 }}"));
}
