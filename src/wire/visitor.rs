//! The layers of a frame, as a visitor observes them.

use crate::base::{Layer, Layers};

/// An observer of each layer as it is taken off, outermost first.
pub(super) trait LayerVisitor {
    fn layer(&mut self, layer: impl FnOnce() -> Layer);
}

/// Without a visitor: the layer is never made.
impl LayerVisitor for () {
    #[inline(always)]
    fn layer(&mut self, _: impl FnOnce() -> Layer) {}
}

impl LayerVisitor for Layers {
    fn layer(&mut self, layer: impl FnOnce() -> Layer) {
        self.push(layer());
    }
}
