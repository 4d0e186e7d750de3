//! Ten thousand bills against an exact model written in another language: Python's `decimal`.
//!
//! The cases are made here, over every shape a price can have, written to a file with the prices as
//! decimal text and our cost beside them, and worked out once more by `tests/prices.py`.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use overnight::catalog::PriceTable;
use overnight::catalog::hours::Hours;
use overnight::catalog::pricing::{self, LaneText, PriceText, TierText, WindowText};
use overnight::clock::Timestamp;
use overnight::money::Usage;
use serde_json::{Map, Value, json};

const CASES: usize = 10_000;

#[test]
fn ten_thousand_costs_equal_those_of_an_exact_model() {
    let mut dice = Dice(0x5eed);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for _ in 0..CASES {
        writeln!(file, "{}", case(&mut dice)).unwrap();
    }
    file.flush().unwrap();
    let python = std::env::var_os("OVERNIGHT_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/prices.py");
    let ran = Command::new(python).arg(script).arg(file.path()).output().expect("python3 can be started");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let said: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(said["agreed"], CASES);
}

fn case(dice: &mut Dice) -> Value {
    let base = price(dice, 3);
    let mut windows: Vec<WindowText> = (0..dice.below(3)).map(|number| window(dice, number)).collect();
    // Dates and days are drawn apart, and hours that are never open are refused.
    windows.retain(|window| window.hours.calendar().is_ok());
    let realtime = pricing::table("t".into(), &base, &windows).unwrap();
    let lane = dice.one_in(2).then(|| LaneText {
        multiply: Some(dice.pick(&["0.5", "0.8", "0.6", "0.333333", "1"]).to_owned()),
        stacks: dice.one_in(2),
        caches: dice.one_in(2),
        ..LaneText::default()
    });
    let table: PriceTable = match &lane {
        Some(lane) => pricing::lane("t".into(), Some(&realtime), lane).unwrap(),
        None => realtime,
    };
    let input = dice.tokens();
    let cache_read = dice.below(input + 1) * dice.below(2);
    let cache_write = dice.below(input - cache_read + 1) * dice.below(2);
    let output = dice.below(20_000);
    let usage = Usage {
        input,
        cache_read,
        cache_write,
        cache_write_1h: dice.below(cache_write + 1) * dice.below(2),
        output,
        reasoning: dice.below(output + 1) * dice.below(2),
    };
    // Around the dates of the windows, to the second.
    let at = Timestamp::from_micros((1_764_000_000 + dice.below(40 * 86_400) as i64) * 1_000_000);
    json!({
        "price": shown(&base),
        "windows": windows.iter().map(shown_window).collect::<Vec<_>>(),
        "lane": lane.map(|lane| json!({"multiply": lane.multiply, "stacks": lane.stacks, "caches": lane.caches})),
        "usage": {
            "input": usage.input, "cache_read": usage.cache_read, "cache_write": usage.cache_write,
            "cache_write_1h": usage.cache_write_1h, "output": usage.output, "reasoning": usage.reasoning,
        },
        "at": at.to_string().replace('Z', "+00:00"),
        "cost": table.cost(&usage, at).pico().to_string(),
    })
}

fn price(dice: &mut Dice, most_tiers: u64) -> PriceText {
    let mut above = 0;
    let tiers = (0..dice.below(most_tiers + 1)).map(|_| {
        above += 1 + dice.pick(&[31_999, 99_999, 127_999, 199_999]);
        TierText { above, only_above: dice.one_in(3), price: price(dice, 0) }
    });
    let tiers = if most_tiers == 0 { Vec::new() } else { tiers.collect() };
    let optional = |dice: &mut Dice| dice.one_in(2).then(|| dice.amount());
    PriceText {
        input: dice.amount(),
        output: dice.amount(),
        cache_read: optional(dice),
        cache_write: optional(dice),
        cache_write_1h: optional(dice),
        reasoning: optional(dice),
        request: dice.one_in(4).then(|| format!("0.{:012}", dice.below(1_000_000_000_000))),
        window: None,
        tiers,
    }
}

fn window(dice: &mut Dice, number: u64) -> WindowText {
    let ranges: &[&[&str]] = &[
        &["01:00-04:00", "06:00-10:00"],
        &["16:30-00:30"],
        &["22:00-02:00"],
        &["00:00-24:00"],
        &["10:00-10:00"],
    ];
    let is_whole = |hours: &[&str]| hours.contains(&"00:00-24:00");
    let ranges = dice.pick(ranges);
    let date =
        |dice: &mut Dice| format!("2025-12-{:02}T{:02}:30:00+00:00", 1 + dice.below(28), dice.below(24));
    let hours = Hours {
        days: (!is_whole(ranges) && dice.one_in(2))
            .then(|| dice.pick(&["mon,tue,wed,thu,fri", "sat,sun"]).to_owned()),
        hours: ranges.iter().map(|&range| range.to_owned()).collect(),
        valid_from: dice.one_in(3).then(|| date(dice)),
        valid_to: dice.one_in(3).then(|| date(dice)),
        ..Hours::default()
    };
    let multiply = dice.one_in(2).then(|| dice.pick(&["2", "0.5", "0.25", "1.333333"]).to_owned());
    let price = multiply.is_none().then(|| price(dice, 2));
    WindowText { name: format!("w{number}"), hours, multiply, price }
}

fn shown(price: &PriceText) -> Value {
    let fields = [
        ("input", Some(&price.input)),
        ("output", Some(&price.output)),
        ("cache_read", price.cache_read.as_ref()),
        ("cache_write", price.cache_write.as_ref()),
        ("cache_write_1h", price.cache_write_1h.as_ref()),
        ("reasoning", price.reasoning.as_ref()),
        ("request", price.request.as_ref()),
    ];
    let mut shown: Map<String, Value> =
        fields.into_iter().filter_map(|(key, text)| Some((key.to_owned(), json!(text?)))).collect();
    let tier = |tier: &TierText| json!({"above": tier.above, "only_above": tier.only_above, "price": shown_flat(&tier.price)});
    shown.insert("tiers".to_owned(), price.tiers.iter().map(tier).collect());
    Value::Object(shown)
}

fn shown_flat(price: &PriceText) -> Value {
    shown(&PriceText { tiers: Vec::new(), ..price.clone() })
}

fn shown_window(window: &WindowText) -> Value {
    let mut shown_window = json!({ "hours": window.hours.hours });
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            shown_window[key] = value;
        }
    };
    put("days", window.hours.days.as_ref().map(|days| days.split(',').collect()));
    put("valid_from", window.hours.valid_from.as_ref().map(|text| json!(text)));
    put("valid_to", window.hours.valid_to.as_ref().map(|text| json!(text)));
    put("multiply", window.multiply.as_ref().map(|text| json!(text)));
    put("price", window.price.as_ref().map(shown));
    shown_window
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mixed = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^ (mixed >> 33)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// Prompts of all lengths, many right at the limit of a tier.
    fn tokens(&mut self) -> u64 {
        match self.below(3) {
            0 => self.below(1_000),
            1 => self.pick(&[32_000, 100_000, 128_000, 200_000]) + self.below(3) - 1,
            _ => self.below(1_000_000),
        }
    }

    /// USD per million tokens, written in every way.
    fn amount(&mut self) -> String {
        let millionths = match self.below(4) {
            0 => self.below(100),
            1 => self.below(10_000) * 1_000,
            _ => self.below(80_000_000),
        };
        match self.below(3) {
            0 => format!("{millionths}e-6"),
            1 => format!("{millionths}.0E-06"),
            _ => format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000),
        }
    }
}
