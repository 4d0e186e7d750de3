//! Random numbers from a seed: the same seed and the same order of questions give the same answers.
//!
//! SplitMix64 is enough here: it is fast, has no state but a counter, and any two seeds are
//! independent streams, so that every request, prompt and answer can have a stream of its own.
//!
//! Pure.

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// A stream that depends on every one of `seeds` and on their order.
    pub(crate) fn new(seeds: &[u64]) -> Chance {
        Chance(seeds.iter().fold(0x6F76_6572, |state, &seed| scramble(state ^ scramble(seed))))
    }

    /// Any 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        scramble(self.0)
    }

    /// At least 0 and below 1, evenly.
    pub(crate) fn unit(&mut self) -> f64 {
        // 53 bits are what a double holds exactly.
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A whole number below `n`, evenly; 0 where `n` is 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// True with probability `p`.
    pub(crate) fn happens(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// One of `all`, which must not be empty.
    pub(crate) fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// Around `median`: half lie below it, two thirds within a factor `spread` of it.
    pub(crate) fn around(&mut self, median: f64, spread: f64) -> f64 {
        if spread <= 1.0 {
            return median;
        }
        median * spread.powf(self.normal())
    }

    /// Close to the standard normal distribution, and never beyond 3.5: the sum of four even numbers.
    fn normal(&mut self) -> f64 {
        let bits = self.bits();
        let sum: u64 = (0..4).map(|i| (bits >> (16 * i)) & 0xFFFF).sum();
        (sum as f64 / 65_536.0 - 2.0) * 3f64.sqrt()
    }
}

/// A number that stands for these bytes.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut state = bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = fold(state, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    scramble(fold(state, u64::from_le_bytes(last)))
}

fn fold(state: u64, word: u64) -> u64 {
    (state.rotate_left(23) ^ word).wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

fn scramble(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_thirds_lie_within_the_spread_and_half_below_the_median() {
        let mut chance = Chance::new(&[7]);
        let drawn: Vec<f64> = (0..20_000).map(|_| chance.around(100.0, 2.0)).collect();
        let share = |range: std::ops::Range<f64>| {
            drawn.iter().filter(|x| range.contains(x)).count() as f64 / drawn.len() as f64
        };
        assert!((share(0.0..100.0) - 0.5).abs() < 0.02);
        assert!((share(50.0..200.0) - 0.67).abs() < 0.02);
    }

    #[test]
    fn seeds_and_their_order_matter() {
        let first = |seeds: &[u64]| Chance::new(seeds).bits();
        assert_eq!(first(&[1, 2]), first(&[1, 2]));
        assert_ne!(first(&[1, 2]), first(&[2, 1]));
        assert_ne!(first(&[1, 2]), first(&[1, 3]));
    }

    #[test]
    fn a_hash_sees_every_byte_and_the_length() {
        let texts: [&[u8]; 6] = [b"", b"\0", b"\0\0", b"reviews 1", b"reviews 2", b"Reviews 1"];
        for (i, a) in texts.iter().enumerate() {
            for b in &texts[i + 1..] {
                assert_ne!(hash(a), hash(b), "{a:?} {b:?}");
            }
        }
    }
}
