//! JSON put together from pieces that are JSON already, so that every value keeps the bytes it was
//! written in.
//!
//! Pure.

use std::borrow::Cow;

/// A JSON value as its text.
pub(crate) type Json<'a> = Cow<'a, str>;

/// An object, field by field.
#[derive(Default)]
pub(crate) struct Object(String);

impl Object {
    /// An empty one.
    pub(crate) fn new() -> Object {
        Object::default()
    }

    /// With this field.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Object {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push_str(&quoted(name));
        self.0.push(':');
        self.0.push_str(value);
        self
    }

    /// With this field, where there is a value.
    pub(crate) fn with_some(self, name: &str, value: Option<impl AsRef<str>>) -> Object {
        match value {
            Some(value) => self.with(name, value.as_ref()),
            None => self,
        }
    }

    /// With this text.
    pub(crate) fn with_text(self, name: &str, text: &str) -> Object {
        self.with(name, &quoted(text))
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As JSON.
    pub(crate) fn end(mut self) -> String {
        if self.0.is_empty() {
            self.0.push('{');
        }
        self.0.push('}');
        self.0
    }
}

/// A list.
pub(crate) fn list<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let mut out = String::from("[");
    for item in items {
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(item.as_ref());
    }
    out.push(']');
    out
}

/// A text as JSON.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string is always JSON")
}

/// The text of a JSON string; `None` for any other value, and for one with half a surrogate.
pub(crate) fn text_of(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
}
