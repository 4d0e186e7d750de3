//! A JSON schema → the [`Shape`] that instances are drawn from.
//!
//! Pure.

use serde_json::{Map, Value};

use super::{Field, Shape, WORDS};

/// Compiles a schema given as JSON text; one that cannot be read stands for some text.
pub(super) fn compile(schema: &str) -> Shape {
    let root = serde_json::from_str(schema).unwrap_or(Value::Bool(true));
    let mut compiler = Compiler { root: &root, nodes_left: MAX_NODES };
    compiler.shape(&root, 0).unwrap_or(ANY_TEXT)
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
