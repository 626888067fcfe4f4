//! Charts, drawn by plotters in one style.
