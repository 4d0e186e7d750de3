//! Changes to a JSON object that leave every other byte as it was.
//!
//! Takes an object and a list of [`Edit`]s, gives the new text. White space, key order, numbers and
//! escapes outside the edited members are copied, never rewritten.
//!
//! Pure.

use super::scan::{Member, Raw};

/// One change at the top level of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit<'a> {
    /// Takes out every member with this key.
    Remove(&'a str),
    /// Gives this key this value, given as JSON text; the last one counts where the key is repeated.
    Set(&'a str, &'a [u8]),
}

/// `object` with all `edits` applied. No two of them may name the same key.
pub fn apply(object: Raw<'_>, edits: &[Edit<'_>]) -> Vec<u8> {
    let members: Vec<Member<'_>> = object.members().collect();
    let removed = |member: &Member<'_>| {
        edits.iter().any(|edit| matches!(edit, Edit::Remove(key) if member.key.is(key)))
    };
    let kept: Vec<bool> = members.iter().map(|member| !removed(member)).collect();

    let mut splices = Splices::default();
    for (start, end) in cuts(&members, &kept) {
        splices.replace(start, end, Vec::new());
    }
    let last_kept = members.iter().zip(&kept).rfind(|(_, kept)| **kept).map(|(member, _)| member);
    let mut comma = last_kept.is_some();
    for edit in edits {
        let Edit::Set(key, value) = edit else { continue };
        match members.iter().rfind(|member| member.key.is(key)) {
            Some(member) => splices.replace(member.value_start, member.end(), value.to_vec()),
            None => {
                let at = last_kept.map_or(1, Member::end);
                splices.replace(at, at, member_text(comma, key, value));
                comma = true;
            }
        }
    }
    splices.apply(object.bytes())
}

/// The ranges to cut so that members not kept go, each with one comma.
fn cuts(members: &[Member<'_>], kept: &[bool]) -> Vec<(usize, usize)> {
    let mut cuts = Vec::new();
    let mut index = 0;
    while index < members.len() {
        if kept[index] {
            index += 1;
            continue;
        }
        let first = index;
        while index < members.len() && !kept[index] {
            index += 1;
        }
        cuts.push(match members.get(index) {
            Some(next) => (members[first].start, next.start),
            None if first > 0 => (members[first - 1].end(), members[index - 1].end()),
            None => (members[first].start, members[index - 1].end()),
        });
    }
    cuts
}

fn member_text(comma: bool, key: &str, value: &[u8]) -> Vec<u8> {
    let mut text = if comma { b",".to_vec() } else { Vec::new() };
    text.extend_from_slice(&super::build::quoted(key));
    text.push(b':');
    text.extend_from_slice(value);
    text
}

/// Replacements by position in one text.
#[derive(Default)]
pub struct Splices(Vec<(usize, usize, Vec<u8>)>);

impl Splices {
    /// Puts `text` in the place of `start..end`; at the same place, earlier calls stand first.
    pub fn replace(&mut self, start: usize, end: usize, text: Vec<u8>) {
        self.0.push((start, end, text));
    }

    /// `text` with every replacement made.
    pub fn apply(mut self, text: &[u8]) -> Vec<u8> {
        // Insertions (empty ranges) come before a cut that starts at the same byte.
        self.0.sort_by_key(|&(start, end, _)| (start, end));
        let added: usize = self.0.iter().map(|(.., text)| text.len()).sum();
        let mut out = Vec::with_capacity(text.len() + added);
        let mut copied = 0;
        for (start, end, replacement) in &self.0 {
            out.extend_from_slice(&text[copied..*start]);
            out.extend_from_slice(replacement);
            copied = *end;
        }
        out.extend_from_slice(&text[copied..]);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::check;
    use super::*;
    use proptest::prelude::*;

    fn edited(object: &str, edits: &[Edit<'_>]) -> String {
        String::from_utf8(apply(check(object.as_bytes()).unwrap(), edits)).unwrap()
    }

    #[test]
    fn only_the_named_members_change() {
        use Edit::{Remove, Set};
        for (object, edits, expected) in [
            (r#"{"a":1,"b":2}"#, vec![Remove("a")], r#"{"b":2}"#),
            (r#"{"a":1,"b":2}"#, vec![Remove("b")], r#"{"a":1}"#),
            (r#"{ "a" : 1 , "b" : 2 , "c":3 }"#, vec![Remove("b")], r#"{ "a" : 1 , "c":3 }"#),
            (r#"{ "a":1, "b":2 }"#, vec![Remove("a"), Remove("b")], r#"{  }"#),
            (r#"{"a":1,"b":2,"a":3,"c":4}"#, vec![Remove("a")], r#"{"b":2,"c":4}"#),
            (r#"{"a":1,"b":2,"c":3}"#, vec![Remove("b"), Remove("c"), Set("d", b"4")], r#"{"a":1,"d":4}"#),
            (r#"{"a":1.0}"#, vec![Remove("a"), Set("d", b"[]")], r#"{"d":[]}"#),
            (r#"{}"#, vec![Set("d", b"1"), Set("e\"", b"2")], r#"{"d":1,"e\"":2}"#),
            (r#"{"a":1e5,"b":2,"a": 3}"#, vec![Set("a", b"\"x\"")], r#"{"a":1e5,"b":2,"a": "x"}"#),
            (
                r#"{"n":12345678901234567890,"t":"\u0000\ud800"}"#,
                vec![Set("b", b"1")],
                r#"{"n":12345678901234567890,"t":"\u0000\ud800","b":1}"#,
            ),
        ] {
            assert_eq!(edited(object, &edits), expected, "{object}");
        }
    }

    proptest! {
        #[test]
        fn an_edit_changes_its_key_and_no_other(
            members in prop::collection::vec(("[abcs]", "[0-9]{1,3}|true|\"x\"|\\[1,2\\]"), 0..8),
            remove in "[as]",
            set in "[bd]",
        ) {
            let text: Vec<String> = members
                .iter()
                .map(|(key, value)| format!("\"{key}\" :{}", value.trim_start_matches('0')))
                .map(|member| if member.ends_with(':') { member + "0" } else { member })
                .collect();
            let object = format!("{{{}}}", text.join(" , "));
            let edits = [Edit::Remove(&remove), Edit::Set(&set, b"7777")];
            let after = apply(check(object.as_bytes()).unwrap(), &edits);

            let pairs = |json: &[u8]| -> Vec<(String, String)> {
                let text = |raw: Raw<'_>| String::from_utf8(raw.bytes().to_vec()).unwrap();
                check(json).unwrap().members().map(|m| (m.key.text().unwrap().into_owned(), text(m.value))).collect()
            };
            let mut expected: Vec<(String, String)> =
                pairs(object.as_bytes()).into_iter().filter(|(key, _)| *key != remove).collect();
            match expected.iter_mut().rfind(|(key, _)| *key == set) {
                Some((_, value)) => *value = "7777".to_owned(),
                None => expected.push((set.clone(), "7777".to_owned())),
            }
            prop_assert_eq!(pairs(&after), expected);
        }
    }
}
