//! Values as bytes, one way for all files of the store: postcard, guarded by crc32c.
//!
//! Pure.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Appends a value to a buffer that is used again and again.
pub(super) fn encode(value: &impl Serialize, out: &mut Vec<u8>) {
    postcard::serialize_with_flavor(value, Tail(out))
        .expect("memory takes every value, and all lengths are known");
}

/// A value followed by the checksum of its bytes.
pub(super) fn seal(value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::new();
    encode(value, &mut out);
    out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
    out
}

/// Reads what [`seal`] wrote; `None` where a single bit is not as it was.
pub(super) fn unseal<T: DeserializeOwned>(sealed: &[u8]) -> Option<T> {
    let (bytes, crc) = sealed.split_last_chunk::<4>()?;
    (crc32c::crc32c(bytes) == u32::from_le_bytes(*crc)).then(|| postcard::from_bytes(bytes).ok())?
}

/// The checksum a sealed value ends with. The checksum *of* a sealed value is no use: that of bytes
/// with their own crc behind them is the same for all bytes.
pub(super) fn sum_of(sealed: &[u8]) -> u32 {
    u32_at(sealed, sealed.len() - 4)
}

/// Four bytes at `at`, little endian; the caller knows they are there.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// Eight bytes at `at`, little endian; the caller knows they are there.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// Postcard's own writer into a vector takes it by value; this one keeps its allocation with us.
struct Tail<'a>(&'a mut Vec<u8>);

impl postcard::ser_flavors::Flavor for Tail<'_> {
    type Output = ();

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_shows_every_flipped_bit() {
        let sealed = seal(&(7u64, "seven"));
        assert_eq!(unseal::<(u64, String)>(&sealed), Some((7, "seven".to_owned())));
        for bit in 0..sealed.len() * 8 {
            let mut bent = sealed.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unseal::<(u64, String)>(&bent), None, "bit {bit}");
        }
        assert_eq!(unseal::<u8>(&[1, 2]), None);
    }
}
