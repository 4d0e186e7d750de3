//! Instances of a JSON schema, and near misses: what a model with structured output sends.
//!
//! A schema is compiled once into a [`Sketch`] that can draw any number of instances. The generator
//! knows the keywords that schemas for models use; what it cannot honour it leaves out, so that an
//! instance of an unusual schema may fail its check, as it may with a real model.
//!
//! Pure.

use serde_json::{Map, Value};

use super::chance::Chance;

/// A schema, ready to draw instances from.
#[derive(Clone, Debug)]
pub(crate) struct Sketch(Shape);

#[derive(Clone, Debug)]
enum Shape {
    /// One of these JSON texts and no other.
    OneOf(Vec<String>),
    /// One of these JSON texts, or many others.
    Samples(Vec<String>),
    /// One of these shapes.
    Any(Vec<Shape>),
    Object(Vec<Field>),
    Array {
        item: Box<Shape>,
        least: usize,
        most: usize,
        unique: bool,
    },
    /// Words, with a length in characters.
    Text {
        least: usize,
        most: usize,
    },
    /// `step` × a whole number from `low` to `high`.
    Integer {
        low: i64,
        high: i64,
        step: i64,
    },
    Number {
        low: f64,
        high: f64,
    },
}

#[derive(Clone, Debug)]
struct Field {
    /// As JSON.
    name: String,
    shape: Shape,
    required: bool,
}

impl Sketch {
    /// Compiles a schema given as JSON text; one that cannot be read stands for any value.
    pub(crate) fn new(schema: &str) -> Sketch {
        let root = serde_json::from_str(schema).unwrap_or(Value::Bool(true));
        let mut compiler = Compiler { root: &root, nodes_left: MAX_NODES };
        Sketch(compiler.shape(&root, 0).unwrap_or(ANY_TEXT))
    }

    /// An instance, as JSON text.
    pub(crate) fn good(&self, chance: &mut Chance) -> String {
        let mut out = String::with_capacity(128);
        draw(&self.0, chance, &mut out);
        out
    }

    /// What a weak model sends in its place: no JSON, a field left out, or a value of its own making.
    pub(crate) fn bad(&self, chance: &mut Chance) -> String {
        let flaws = match &self.0 {
            Shape::Object(fields) => flaws(fields),
            _ => Vec::new(),
        };
        // One more than there are: text around the JSON, which every schema refuses.
        match flaws.get(chance.below(flaws.len() + 1)) {
            Some(flaw) => {
                let mut out = String::with_capacity(128);
                let Shape::Object(fields) = &self.0 else { unreachable!("only objects have flaws") };
                draw_object(fields, Some(*flaw), chance, &mut out);
                out
            }
            None => format!("Here is what I found: {}", self.good(chance)),
        }
    }
}

/// A way to get an object wrong.
#[derive(Clone, Copy)]
enum Flaw {
    Leave(usize),
    Invent(usize),
}

fn flaws(fields: &[Field]) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    for (i, field) in fields.iter().enumerate().filter(|(_, field)| field.required) {
        flaws.push(Flaw::Leave(i));
        if matches!(&field.shape, Shape::OneOf(values) if !values.iter().any(|value| value == INVENTED)) {
            flaws.push(Flaw::Invent(i));
        }
    }
    flaws
}

/// A value that no list of values holds.
const INVENTED: &str = "\"none of these\"";

fn draw(shape: &Shape, chance: &mut Chance, out: &mut String) {
    match shape {
        Shape::OneOf(values) | Shape::Samples(values) => out.push_str(chance.pick::<String>(values)),
        Shape::Any(shapes) => draw(chance.pick(shapes), chance, out),
        Shape::Object(fields) => draw_object(fields, None, chance, out),
        Shape::Array { item, least, most, unique } => {
            let n_items = least + chance.below(most - least + 1);
            draw_array(item, n_items, *unique, chance, out);
        }
        Shape::Text { least, most } => {
            out.push('"');
            words(*least, *most, chance, out);
            out.push('"');
        }
        Shape::Integer { low, high, step } => {
            let span = usize::try_from(high.saturating_sub(*low)).unwrap_or(0);
            let drawn = low + i64::try_from(chance.below(span.saturating_add(1))).unwrap_or(0);
            out.push_str(&(drawn * step).to_string());
        }
        Shape::Number { low, high } => out.push_str(&number(*low, *high, chance).to_string()),
    }
}

fn draw_object(fields: &[Field], flaw: Option<Flaw>, chance: &mut Chance, out: &mut String) {
    out.push('{');
    for (i, field) in fields.iter().enumerate() {
        let left_out = matches!(flaw, Some(Flaw::Leave(f)) if f == i);
        if left_out || !(field.required || chance.happens(0.5)) {
            continue;
        }
        if !out.ends_with('{') {
            out.push(',');
        }
        out.push_str(&field.name);
        out.push(':');
        match flaw {
            Some(Flaw::Invent(f)) if f == i => out.push_str(INVENTED),
            _ => draw(&field.shape, chance, out),
        }
    }
    out.push('}');
}

fn draw_array(item: &Shape, n_items: usize, unique: bool, chance: &mut Chance, out: &mut String) {
    let mut drawn: Vec<String> = Vec::with_capacity(n_items);
    // A set may have fewer different values than are asked for; then it has what there are.
    for _ in 0..n_items * 32 {
        if drawn.len() == n_items {
            break;
        }
        let mut text = String::new();
        draw(item, chance, &mut text);
        if !(unique && drawn.contains(&text)) {
            drawn.push(text);
        }
    }
    out.push('[');
    out.push_str(&drawn.join(","));
    out.push(']');
}

const WORDS: [&str; 24] = [
    "quiet", "green", "harbour", "letter", "seven", "early", "window", "river", "paper", "signal", "north",
    "garden", "simple", "market", "cloud", "steady", "copper", "bridge", "summer", "answer", "narrow",
    "field", "lantern", "open",
];

fn words(least: usize, most: usize, chance: &mut Chance, out: &mut String) {
    let start = out.len();
    let wished = least.max(most.min(4 + chance.below(28)));
    while out.len() - start < wished {
        if out.len() > start {
            out.push(' ');
        }
        out.push_str(chance.pick::<&str>(&WORDS));
    }
    // All words are ASCII, so that bytes are characters.
    let keep = (out.len() - start).min(most.max(wished));
    out.truncate(start + keep);
}

fn number(low: f64, high: f64, chance: &mut Chance) -> f64 {
    let drawn = low + (high - low) * chance.unit();
    let short = (drawn * 100.0).round() / 100.0;
    if (low..=high).contains(&short) { short } else { drawn }
}

/// Deeper than this, recursion in a schema is cut off where it may be.
const MAX_DEPTH: usize = 10;
/// A schema that branches beyond this many shapes is cut off there.
const MAX_NODES: usize = 4_000;
/// The most items drawn where a schema sets no limit.
const FEW_ITEMS: usize = 3;
const ANY_TEXT: Shape = Shape::Text { least: 0, most: 40 };

struct Compiler<'a> {
    root: &'a Value,
    nodes_left: usize,
}

impl Compiler<'_> {
    /// `None` where the schema goes too deep.
    fn shape(&mut self, schema: &Value, depth: usize) -> Option<Shape> {
        if depth > MAX_DEPTH || self.nodes_left == 0 {
            return None;
        }
        self.nodes_left -= 1;
        let Value::Object(schema) = schema else { return Some(ANY_TEXT) };
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let target = target.strip_prefix('#').and_then(|path| self.root.pointer(path));
            return self.shape(&target?.clone(), depth + 1);
        }
        if let Some(values) = listed_values(schema) {
            return Some(Shape::OneOf(values));
        }
        if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
            return self.shape(&self.merged(schema, parts), depth + 1);
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(choices) = schema.get(key).and_then(Value::as_array) {
                return self.any(choices, depth);
            }
        }
        match schema.get("type") {
            Some(Value::Array(types)) => {
                let as_one = |name: &Value| {
                    let mut one = schema.clone();
                    one.insert("type".to_owned(), name.clone());
                    Value::Object(one)
                };
                self.any(&types.iter().map(as_one).collect::<Vec<_>>(), depth)
            }
            Some(Value::String(name)) => self.typed(name, schema, depth),
            _ if schema.contains_key("properties") => self.typed("object", schema, depth),
            _ if schema.contains_key("items") => self.typed("array", schema, depth),
            _ if schema.contains_key("minimum") || schema.contains_key("maximum") => {
                self.typed("number", schema, depth)
            }
            _ => self.typed("string", schema, depth),
        }
    }

    fn typed(&mut self, name: &str, schema: &Map<String, Value>, depth: usize) -> Option<Shape> {
        match name {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, depth),
            "string" => Some(text(schema)),
            "integer" => Some(integer(schema)),
            "number" => Some(any_number(schema)),
            "boolean" => Some(Shape::OneOf(vec!["true".to_owned(), "false".to_owned()])),
            _ => Some(Shape::OneOf(vec!["null".to_owned()])),
        }
    }

    fn any(&mut self, choices: &[Value], depth: usize) -> Option<Shape> {
        let shapes: Vec<Shape> = choices.iter().filter_map(|choice| self.shape(choice, depth + 1)).collect();
        (!shapes.is_empty()).then_some(Shape::Any(shapes))
    }

    fn object(&mut self, schema: &Map<String, Value>, depth: usize) -> Option<Shape> {
        let required: Vec<&str> = match schema.get("required") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let mut fields = Vec::new();
        let mut add = |name: &str, shape: Option<Shape>| {
            let required = required.contains(&name);
            match shape {
                Some(shape) => {
                    fields.push(Field { name: Value::from(name).to_string(), shape, required });
                    Some(())
                }
                // Too deep: fine for a field that may be missing.
                None => (!required).then_some(()),
            }
        };
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            add(name, self.shape(property, depth + 1))?;
        }
        for name in &required {
            if !properties.is_some_and(|known| known.contains_key(*name)) {
                add(name, Some(ANY_TEXT))?;
            }
        }
        Some(Shape::Object(fields))
    }

    fn array(&mut self, schema: &Map<String, Value>, depth: usize) -> Option<Shape> {
        let count = |key: &str| schema.get(key).and_then(Value::as_u64).map(|n| n.min(10_000) as usize);
        let least = count("minItems").unwrap_or(0);
        let most = count("maxItems").map_or(least + FEW_ITEMS, |most| most.min(least + FEW_ITEMS)).max(least);
        let item = match schema.get("items") {
            Some(items) => self.shape(items, depth + 1),
            None => Some(ANY_TEXT),
        };
        let unique = schema.get("uniqueItems") == Some(&Value::Bool(true));
        match item {
            Some(item) => Some(Shape::Array { item: Box::new(item), least, most, unique }),
            None => (least == 0).then(|| Shape::Samples(vec!["[]".to_owned()])),
        }
    }

    /// One schema that asks what all `parts` ask, as far as they speak of different things.
    fn merged(&self, schema: &Map<String, Value>, parts: &[Value]) -> Value {
        let mut all = schema.clone();
        all.remove("allOf");
        for part in parts {
            let target = part.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#'));
            let part = target.and_then(|path| self.root.pointer(path)).unwrap_or(part);
            for (key, value) in part.as_object().into_iter().flatten() {
                match (all.get_mut(key), value) {
                    (Some(Value::Object(ours)), Value::Object(theirs)) => {
                        ours.extend(theirs.iter().map(|(name, value)| (name.clone(), value.clone())));
                    }
                    (Some(Value::Array(ours)), Value::Array(theirs)) => ours.extend(theirs.iter().cloned()),
                    _ => {
                        all.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        Value::Object(all)
    }
}

/// `const` and `enum`, as JSON texts.
fn listed_values(schema: &Map<String, Value>) -> Option<Vec<String>> {
    if let Some(value) = schema.get("const") {
        return Some(vec![value.to_string()]);
    }
    let values = schema.get("enum")?.as_array()?;
    (!values.is_empty()).then(|| values.iter().map(Value::to_string).collect())
}

/// Texts that satisfy many a format or pattern, the likeliest first.
const SAMPLES: [&str; 22] = [
    "2026-03-14",
    "2026-03-14T09:26:53Z",
    "09:26:53Z",
    "09:26",
    "ada@example.org",
    "https://example.org/a",
    "123e4567-e89b-42d3-a456-426614174000",
    "example.org",
    "192.0.2.7",
    "2001:db8::7",
    "P3D",
    "7",
    "42",
    "2026",
    "12.50",
    "A",
    "AB",
    "ABC",
    "ABC-123",
    "abc",
    "abc_def",
    "+4930123456",
];

fn text(schema: &Map<String, Value>) -> Shape {
    let length = |key: &str| schema.get(key).and_then(Value::as_u64).map(|n| n.min(100_000) as usize);
    let least = length("minLength").unwrap_or(0);
    let most = length("maxLength").unwrap_or(least + 40).max(least);
    let fits = |sample: &str| (least..=most).contains(&sample.len());
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
        && let Ok(pattern) = regex::Regex::new(pattern)
    {
        let candidates = SAMPLES.iter().chain(&WORDS);
        let fitting = candidates.filter(|sample| fits(sample) && pattern.is_match(sample));
        let values: Vec<String> = fitting.map(|sample| format!("\"{sample}\"")).collect();
        if !values.is_empty() {
            return Shape::Samples(values);
        }
    }
    let sample = match schema.get("format").and_then(Value::as_str) {
        Some("date") => SAMPLES[0],
        Some("date-time") => SAMPLES[1],
        Some("time") => SAMPLES[2],
        Some("email" | "idn-email") => SAMPLES[4],
        Some("uri" | "iri" | "uri-reference" | "iri-reference") => SAMPLES[5],
        Some("uuid") => SAMPLES[6],
        Some("hostname" | "idn-hostname") => SAMPLES[7],
        Some("ipv4") => SAMPLES[8],
        Some("ipv6") => SAMPLES[9],
        Some("duration") => SAMPLES[10],
        _ => return Shape::Text { least, most },
    };
    Shape::Samples(vec![format!("\"{sample}\"")])
}

/// The range a schema allows; exclusive bounds are moved inwards by `gap`.
fn range(schema: &Map<String, Value>, gap: f64, span: f64) -> (f64, f64) {
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
    let low = bound("minimum").or_else(|| bound("exclusiveMinimum").map(|low| low + gap));
    let high = bound("maximum").or_else(|| bound("exclusiveMaximum").map(|high| high - gap));
    match (low, high) {
        (Some(low), Some(high)) => (low, high.max(low)),
        (Some(low), None) => (low, low + span),
        (None, Some(high)) => (0f64.min(high - span), high),
        (None, None) => (0.0, span),
    }
}

fn integer(schema: &Map<String, Value>) -> Shape {
    let (low, high) = range(schema, 1.0, 100.0);
    let step = schema.get("multipleOf").and_then(Value::as_i64).unwrap_or(1).max(1);
    // `as` saturates, which is what a bound outside the range of integers asks for.
    let low = (low / step as f64).ceil() as i64;
    let high = (high / step as f64).floor() as i64;
    Shape::Integer { low, high: high.max(low), step }
}

fn any_number(schema: &Map<String, Value>) -> Shape {
    // Doubles that are multiples of a fraction are luck; whole multiples are not.
    if schema.contains_key("multipleOf") {
        return integer(schema);
    }
    let (low, high) = range(schema, 0.005, 1.0);
    Shape::Number { low, high }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMAS: [&str; 18] = [
        r#"{"type":"object","properties":{"sentiment":{"enum":["pos","neg","neutral"]},
            "score":{"type":"number","minimum":0,"maximum":1},"why":{"type":"string","maxLength":20}},
            "required":["sentiment","score"],"additionalProperties":false}"#,
        r#"{"type":"object","properties":{"n":{"type":"integer","minimum":3,"exclusiveMaximum":7},
            "tags":{"type":"array","items":{"enum":["a","b","c"]},"minItems":2,"maxItems":3,"uniqueItems":true}},
            "required":["n","tags"]}"#,
        r#"{"type":"array","items":{"type":["string","null"],"minLength":3},"minItems":1}"#,
        r##"{"$defs":{"node":{"type":"object","properties":{"name":{"type":"string"},
            "children":{"type":"array","items":{"$ref":"#/$defs/node"}}},"required":["name","children"],
            "additionalProperties":false}},"$ref":"#/$defs/node"}"##,
        r#"{"anyOf":[{"type":"boolean"},{"const":{"a":1}},{"type":"null"}]}"#,
        r#"{"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},
            {"properties":{"b":{"type":"boolean"}},"required":["b"]}]}"#,
        r#"{"type":"object","properties":{"date":{"type":"string","format":"date"},
            "mail":{"type":"string","format":"email"},"id":{"type":"string","pattern":"^[A-Z]{3}-\\d+$"},
            "word":{"type":"string","pattern":"^[a-z]+$"}},"required":["date","mail","id","word"]}"#,
        r#"{"type":"integer","multipleOf":5,"minimum":-12,"maximum":-3}"#,
        r#"{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":0.02}"#,
        r#"{"type":"string","minLength":50,"maxLength":60}"#,
        r#"{"type":"string","maxLength":0}"#,
        r#"{"required":["a b","\"q\""],"type":"object"}"#,
        r#"{"const":"only"}"#,
        r#"{"properties":{"x":{"minimum":5}},"required":["x"],"type":"object"}"#,
        r#"{"type":"object","properties":{"inner":{"type":"object","properties":{"deep":{"type":"array",
            "items":{"type":"object","properties":{"v":{"type":"number"}},"required":["v"]},"minItems":4}},
            "required":["deep"]}},"required":["inner"]}"#,
        r#"{"type":"integer","maximum":-1000}"#,
        r#"{}"#,
        r#"true"#,
    ];

    /// `/schema` as a validator, and three hundred texts drawn from it.
    fn drawn(schema: &str, draw: fn(&Sketch, &mut Chance) -> String) -> (jsonschema::Validator, Vec<String>) {
        let validator = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
        let sketch = Sketch::new(schema);
        let texts = (0..300).map(|seed| draw(&sketch, &mut Chance::new(&[seed]))).collect();
        (validator, texts)
    }

    #[test]
    fn good_instances_are_valid() {
        for schema in SCHEMAS {
            let (validator, texts) = drawn(schema, Sketch::good);
            for text in texts {
                let value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
                assert!(validator.is_valid(&value), "{text} is not of {schema}");
            }
        }
    }

    #[test]
    fn bad_ones_never_are() {
        for schema in SCHEMAS {
            let (validator, texts) = drawn(schema, Sketch::bad);
            for text in texts {
                let valid = serde_json::from_str(&text).is_ok_and(|value| validator.is_valid(&value));
                assert!(!valid, "{text} is of {schema}");
            }
        }
    }

    #[test]
    fn an_object_is_got_wrong_in_every_way() {
        let (_, texts) = drawn(SCHEMAS[0], Sketch::bad);
        assert!(texts.iter().any(|text| text.starts_with("Here")));
        assert!(texts.iter().any(|text| text.contains("none of these")));
        let missing = |text: &&String| text.starts_with('{') && !text.contains("\"score\"");
        assert!(texts.iter().any(|text| missing(&text)));
    }

    #[test]
    fn a_schema_that_is_none_draws_some_text() {
        let text = Sketch::new("{broken").good(&mut Chance::new(&[1]));
        assert!(serde_json::from_str::<String>(&text).is_ok(), "{text}");
    }

    #[test]
    fn a_schema_that_doubles_without_end_is_cut_off() {
        let schema =
            r##"{"type":"object","properties":{"a":{"$ref":"#"},"b":{"$ref":"#"},"c":{"$ref":"#"}}}"##;
        assert!(Sketch::new(schema).good(&mut Chance::new(&[1])).starts_with('{'));
    }
}
