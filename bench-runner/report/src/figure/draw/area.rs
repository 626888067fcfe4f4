//! Rectangles and sizes of what is drawn, in CSS pixels.

/// A rectangle in CSS pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rect {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Rect {
    pub(super) fn width(&self) -> f64 {
        self.right - self.left
    }

    pub(super) fn height(&self) -> f64 {
        self.bottom - self.top
    }
}

/// Room that a panel needs around its plot for ticks, labels and keys, and the plot's own size.
#[derive(Debug, Clone, Copy)]
pub(super) struct PanelSize {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}
