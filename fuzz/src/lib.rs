//! Parts that the fuzz targets share: the checks of the views, and a reader of their inputs.

#[path = "../../tests/damage/damager.rs"]
pub mod damager;
#[path = "../../tests/damage/shown.rs"]
pub mod shown;

// Linked into every program, also those that are no targets: it holds what coverage calls.
use libfuzzer_sys as _;

/// Reads a fuzzer's input, front to back; after its end everything is 0.
#[derive(Clone, Copy)]
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    pub fn pair(&mut self) -> u16 {
        u16::from(self.byte()) << 8 | u16::from(self.byte())
    }

    /// As many bytes as there are, at most `count`.
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
