//! Names of files and batches: `file-…`, `batch_…`.
//!
//! 55 bits of the moment and 65 random ones, 24 characters of `[0-9a-z]`: in the order they were made,
//! so that a name is also a place in a list, and not to be guessed. A batch and its job share theirs:
//! `batch_<x>` is `job_<x>`.

use ring::rand::{SecureRandom, SystemRandom};

use crate::clock;
use crate::job::JobId;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A new file's name.
pub(super) fn file() -> String {
    format!("file-{}", fresh())
}

/// A new batch's name.
pub(super) fn batch() -> String {
    format!("batch_{}", fresh())
}

/// What a request is called in answers and in the log.
pub(super) fn request() -> String {
    format!("req_{}", fresh())
}

/// Whether a name could be a file's; others are not looked for.
pub(super) fn is_file(id: &str) -> bool {
    id.strip_prefix("file-").is_some_and(is_plain)
}

/// The job of a batch, and of nothing else.
pub(super) fn job_of(batch: &str) -> Option<JobId> {
    let rest = batch.strip_prefix("batch_").filter(|rest| is_plain(rest))?;
    JobId::parse(&format!("job_{rest}"))
}

/// Random bytes of the system.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the system has random bytes");
    bytes
}

fn is_plain(text: &str) -> bool {
    text.len() == 24 && text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
}

fn fresh() -> String {
    let time = u128::from(clock::now().micros().max(0).unsigned_abs()) & ((1 << 55) - 1);
    let chance = u128::from_be_bytes(random()) & ((1 << 65) - 1);
    let bits = time << 65 | chance;
    (0..24).map(|n| char::from(ALPHABET[(bits >> (115 - 5 * n) & 31) as usize])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_in_the_order_they_were_made() {
        let first = file();
        let later = std::iter::repeat_with(file).find(|id| id[..16] != first[..16]).unwrap();
        assert!(first < later, "{first} {later}");
        assert!(is_file(&first));
    }

    #[test]
    fn a_batch_is_its_job() {
        let id = batch();
        assert_eq!(job_of(&id).unwrap().as_str(), id.replace("batch_", "job_"));
        for wrong in
            ["batch_", "batch_../../etc/passwd/aaaaaaaaa", "job_01kb3v6m8d", "batch_01KB3V6M8D01KB3V6M8D0001"]
        {
            assert_eq!(job_of(wrong), None, "{wrong}");
        }
    }
}
