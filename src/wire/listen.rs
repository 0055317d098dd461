//! The layers of a frame, told to whoever wants them.

use crate::base::{Layer, Layers};

/// Whoever hears of each layer as it is taken off, outermost first.
pub(super) trait Listen {
    fn layer(&mut self, layer: impl FnOnce() -> Layer);
}

/// Nobody listens: the layer is never made.
impl Listen for () {
    #[inline(always)]
    fn layer(&mut self, _: impl FnOnce() -> Layer) {}
}

impl Listen for Layers {
    fn layer(&mut self, layer: impl FnOnce() -> Layer) {
        self.push(layer());
    }
}
