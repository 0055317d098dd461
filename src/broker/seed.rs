//! Numbers that look random and are the same for the same seed.

/// SplitMix64 (Steele, Lea, Flood 2014): not for secrets, only for identifiers that differ.
#[derive(Clone, Debug)]
pub struct Seed(u64);

impl Seed {
    /// Begins the sequence that `seed` stands for.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A client identifier as mosquitto assigns it: `auto-` and a UUID in capitals.
    pub fn client_id(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "auto-{:08X}-{:04X}-{:04X}-{:04X}-{:012X}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_assigns_the_same_client_identifiers() {
        let ids = |seed| {
            let mut seed = Seed::new(seed);
            [seed.client_id(), seed.client_id()]
        };
        assert_eq!(ids(1), ids(1));
        assert_ne!(ids(1), ids(2));
        let [first, second] = ids(1);
        assert_ne!(first, second);
        assert_eq!(
            first.len(),
            "auto-90E021C2-74E3-B3E9-FF0D-6840BD9E9B50".len()
        );
    }
}
