//! [`Splitter`]: the elements of one array inside a JSON text that comes in pieces, one at a time, and
//! the text around it.
//!
//! Two providers put the results of a batch into the object that describes it. Such an object is as
//! large as all answers together, so it is never held whole: whoever wants the results gets them one
//! by one, whoever wants the description gets it without them.
//!
//! Pure.

/// Takes a JSON text apart.
#[derive(Debug)]
pub(super) struct Splitter {
    /// Arrays with this key are split.
    key: &'static str,
    /// The last string, until something ends its being the key of what comes next.
    string: Vec<u8>,
    in_string: bool,
    escaped: bool,
    /// How many arrays and objects are open.
    depth: usize,
    /// The array whose elements are split is open, and at which depth.
    array: Option<usize>,
    /// The element that is being read.
    element: Vec<u8>,
    /// All that is in no such array.
    outline: Vec<u8>,
    /// How many there were. Gemini shows its results twice, and only the first ones count.
    arrays: usize,
}

impl Splitter {
    pub(super) fn new(key: &'static str) -> Splitter {
        Splitter {
            key,
            string: Vec::new(),
            in_string: false,
            escaped: false,
            depth: 0,
            array: None,
            element: Vec::new(),
            outline: Vec::new(),
            arrays: 0,
        }
    }

    /// Reads on; hands over every element that is complete now.
    pub(super) fn read(&mut self, piece: &[u8], mut element: impl FnMut(Vec<u8>)) {
        for &byte in piece {
            if let Some(whole) = self.step(byte).filter(|_| self.arrays == 1) {
                element(whole);
            }
        }
    }

    /// The text with the arrays emptied.
    pub(super) fn outline(&self) -> &[u8] {
        &self.outline
    }

    /// Whether there was such an array, empty or not.
    pub(super) fn has_found(&self) -> bool {
        self.arrays > 0
    }

    fn step(&mut self, byte: u8) -> Option<Vec<u8>> {
        if self.in_string {
            self.keep(byte);
            self.inside_string(byte);
            return None;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                self.string.clear();
                self.keep(byte);
            }
            b'{' | b'[' => {
                self.depth += 1;
                let opens = byte == b'[' && self.array.is_none() && self.string == self.key.as_bytes();
                self.keep(byte);
                if opens {
                    self.array = Some(self.depth);
                    self.arrays += 1;
                }
                self.string.clear();
            }
            b'}' | b']' => return self.close(byte),
            b',' if self.array == Some(self.depth) => return self.take(),
            b',' => {
                // What came before it was a value.
                self.string.clear();
                self.keep(byte);
            }
            _ => self.keep(byte),
        }
        None
    }

    fn inside_string(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => self.in_string = false,
            // A longer string is no key of ours; answers may be megabytes.
            _ if self.string.len() <= self.key.len() => self.string.push(byte),
            _ => {}
        }
    }

    fn close(&mut self, byte: u8) -> Option<Vec<u8>> {
        let last = if self.array == Some(self.depth) {
            self.array = None;
            self.take()
        } else {
            None
        };
        self.keep(byte);
        self.depth = self.depth.saturating_sub(1);
        self.string.clear();
        last
    }

    fn keep(&mut self, byte: u8) {
        if self.array.is_some() { &mut self.element } else { &mut self.outline }.push(byte);
    }

    fn take(&mut self) -> Option<Vec<u8>> {
        let whole = std::mem::take(&mut self.element);
        (!whole.trim_ascii().is_empty()).then_some(whole)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn split(text: &str, piece: usize) -> (Vec<Value>, Value) {
        let mut splitter = Splitter::new("results");
        let mut elements = Vec::new();
        for piece in text.as_bytes().chunks(piece) {
            splitter.read(piece, |element| elements.push(serde_json::from_slice(&element).unwrap()));
        }
        (elements, serde_json::from_slice(splitter.outline()).unwrap())
    }

    #[test]
    fn elements_come_out_and_the_rest_stays() {
        let results = json!([{"a": ["]", {"results": [1]}]}, {"b": "},\\\""}, 7]);
        let text = json!({"id": "x", "note": "\"results\":[", "results": results, "usage": {"n": [1, 2]}});
        for piece in [1, 2, 7, 1_000] {
            let (elements, outline) = split(&text.to_string(), piece);
            assert_eq!(Value::Array(elements), results);
            assert_eq!(outline["results"], json!([]));
            assert_eq!((&outline["id"], &outline["usage"]), (&text["id"], &text["usage"]));
        }
        let twice = r#"{"a":{"results":[1,2]},"b":{"results":[1,2]}}"#;
        assert_eq!(
            split(twice, 3),
            (vec![json!(1), json!(2)], json!({"a": {"results": []}, "b": {"results": []}}))
        );
        assert_eq!(split(r#"{"results":null,"x":[1]}"#, 3).0, Vec::<Value>::new());
        for text in [r#"["results",[1]]"#, r#"{"x":"results","y":[1]}"#, r#"[["results"],[1]]"#] {
            assert_eq!(split(text, 3).0, Vec::<Value>::new(), "a value is no key: {text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_split_alike_however_it_comes(
            texts in prop::collection::vec("[a\"\\\\{}\\[\\],: é]{0,12}", 0..6),
            piece in 1usize..9,
        ) {
            let elements: Vec<Value> = texts.iter().map(|text| json!({"k": text, "l": [text]})).collect();
            let whole = json!({"first": texts.concat(), "results": elements, "z": 1}).to_string();
            let (found, outline) = split(&whole, piece);
            prop_assert_eq!(found, elements);
            prop_assert_eq!(&outline["first"], &json!(texts.concat()));
        }
    }
}
