//! The names of items: which field gives them, and that none is used twice.
//!
//! A job may have ten million lines, so the names themselves are not kept: 96 bits of hash and the
//! line number in 16 bytes each, and one bit a line for names we made. Two different names share
//! their 96 bits once in 10¹⁵ jobs of that size.
//!
//! Pure.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};

use super::format;
use super::scan::{Kind, Member};

/// Longer names are refused.
pub const MAX_BYTES: usize = 512;

/// Growing a set doubles it; in this many parts, only one part is held twice at a time.
const N_PARTS: usize = 32;

/// The names used so far.
#[derive(Default)]
pub struct Ids {
    parts: [HashSet<Used, BuildHasherDefault<Pass>>; N_PARTS],
    /// One bit a line: whether its name was made from its number.
    made: Vec<u64>,
}

/// A name that may be claimed.
pub struct Free(Used);

impl Ids {
    /// Gives back a claim on `id` for `line`, or the line that already uses it.
    pub fn check(&self, id: &str, line: u64) -> Result<Free, u64> {
        let used = Used::new(id, line);
        if let Some(first) = self.parts[used.part()].get(&used) {
            return Err(u64::from(first.line));
        }
        match made_from(id) {
            Some(number) if number != line && self.was_made(number) => Err(number),
            _ => Ok(Free(used)),
        }
    }

    /// Marks a name of the user's as used.
    pub fn claim(&mut self, free: Free) {
        self.parts[free.0.part()].insert(free.0);
    }

    /// Marks the name made for `line` as used.
    pub fn claim_made(&mut self, line: u64) {
        let word = usize::try_from(line / 64).expect("lines are held one bit each");
        if self.made.len() <= word {
            self.made.resize(word + 1, 0);
        }
        self.made[word] |= 1 << (line % 64);
    }

    fn was_made(&self, line: u64) -> bool {
        let word = usize::try_from(line / 64).ok().and_then(|word| self.made.get(word));
        word.is_some_and(|word| word & (1 << (line % 64)) != 0)
    }
}

/// The name of a line that has none.
pub fn made(line: u64) -> String {
    format!("line-{line}")
}

/// The line whose made name `id` would be.
fn made_from(id: &str) -> Option<u64> {
    let number: u64 = id.strip_prefix("line-")?.parse().ok()?;
    (made(number) == id).then_some(number)
}

/// What a line is called.
pub enum Name<'a> {
    /// By the user, in this field.
    Given(&'a str, Cow<'a, str>),
    /// Not at all.
    Missing,
}

/// The name that `field` gives a line; `null` gives none.
pub fn name_in<'a>(field: &'a str, members: &[Member<'a>]) -> Result<Name<'a>, String> {
    let Some(value) = format::find(members, field).filter(|value| !value.is_null()) else {
        return Ok(Name::Missing);
    };
    let id = match value.kind() {
        Kind::String => value.text().ok_or_else(|| format!("`{field}` is not valid unicode"))?,
        // As it is written: reading it as a number would change ids beyond 2^53.
        Kind::Number => String::from_utf8_lossy(value.bytes()),
        kind => return Err(format!("`{field}` is {}; it must be text", kind.with_article())),
    };
    match id.len() {
        0 => Err(format!("`{field}` is empty")),
        len if len > MAX_BYTES => Err(format!("`{field}` has {len} bytes; at most {MAX_BYTES} are allowed")),
        _ => Ok(Name::Given(field, id)),
    }
}

/// A name by its hash, and the line it is on.
#[derive(Clone, Copy)]
struct Used {
    hash: [u32; 3],
    line: u32,
}

impl Used {
    fn new(id: &str, line: u64) -> Used {
        let half = |seed: u8| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u8(seed);
            hasher.write(id.as_bytes());
            hasher.finish()
        };
        let (first, second) = (half(0), half(1));
        let low = |word: u64| (word & u64::from(u32::MAX)) as u32;
        Used {
            hash: [low(first), low(first >> 32), low(second)],
            line: u32::try_from(line).unwrap_or(u32::MAX),
        }
    }

    /// By bits that the set itself uses least.
    fn part(&self) -> usize {
        self.hash[2] as usize % N_PARTS
    }
}

impl PartialEq for Used {
    fn eq(&self, other: &Used) -> bool {
        self.hash == other.hash
    }
}

impl Eq for Used {}

impl Hash for Used {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(u64::from(self.hash[0]) << 32 | u64::from(self.hash[1]));
    }
}

/// A hasher for what is a hash already.
#[derive(Default)]
struct Pass(u64);

impl Hasher for Pass {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.0 = self.0.rotate_left(8) ^ u64::from(byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_name_is_found_with_its_first_line() {
        let mut ids = Ids::default();
        for line in 1..=10_000 {
            let free = ids.check(&format!("r-{line}"), line).unwrap_or_else(|_| panic!("r-{line} is new"));
            ids.claim(free);
        }
        assert_eq!(ids.check("r-12", 10_001).err(), Some(12));
        assert!(ids.check("r-10001", 10_001).is_ok());
    }

    #[test]
    fn made_names_and_given_names_do_not_meet() {
        let mut ids = Ids::default();
        ids.claim_made(7);
        assert_eq!(ids.check("line-7", 9).err(), Some(7));
        assert!(ids.check("line-8", 9).is_ok());
        assert!(ids.check("line-07", 9).is_ok());
        let free = ids.check("line-8", 5).unwrap_or_else(|_| panic!("line-8 is free"));
        ids.claim(free);
        assert_eq!(ids.check(&made(8), 8).err(), Some(5));
    }
}
