//! Instances of a JSON schema, and near misses: what a model with structured output sends.
//!
//! A schema is compiled once into a [`Sketch`] that can draw any number of instances. The generator
//! knows the keywords that schemas for models use; what it cannot honour it leaves out, so that an
//! instance of an unusual schema may fail its check, as it may with a real model.
//!
//! Pure.

use super::chance::Chance;

mod compile;

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
        Sketch(compile::compile(schema))
    }

    /// An instance, as JSON text.
    pub(crate) fn good(&self, chance: &mut Chance) -> String {
        let mut out = String::with_capacity(128);
        draw(&self.0, chance, &mut out);
        out
    }

    /// What a weak model sends in its place: no JSON, a field left out, or a value of its own making.
    pub(crate) fn bad(&self, chance: &mut Chance) -> String {
        let fields: &[Field] = if let Shape::Object(fields) = &self.0 { fields } else { &[] };
        let flaws = flaws(fields);
        // One more than there are: text around the JSON, which every schema refuses.
        match flaws.get(chance.below(flaws.len() + 1)) {
            Some(flaw) => {
                let mut out = String::with_capacity(128);
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
