//! What a chart shows, as plain data: panels, series, axes, and the words beside them.

use serde::{Deserialize, Deserializer, Serialize};

/// A drawing and the words that a reader needs with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chart {
    /// The stem of its file names.
    pub name: String,
    /// What it shows, in a few words.
    pub title: String,
    /// How to read it: what line, band and marks stand for.
    pub caption: String,
    /// What it says, for those who cannot see it.
    pub alt: String,
    /// Its panels, from left to right, three to a row.
    pub panels: Vec<Panel>,
    /// The width and height of the drawing in CSS pixels; where `None`, what its parts need.
    #[serde(default)]
    pub size: Option<[u32; 2]>,
}

/// One part of a chart with its own axes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Panel {
    /// Curves over a common pair of axes.
    Curves(Curves),
    /// One estimate with its interval per row.
    Intervals(Intervals),
    /// A table of coloured cells.
    Heat(Heat),
    /// Level lines of a function of two variables, with paths on it.
    Contours(Contours),
    /// A function of two variables as a surface seen from above at an angle.
    Surface(Surface),
    /// A function of two variables in colours.
    Field(Field),
}

/// Linear or logarithmic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AxisScale {
    /// Equal distances are equal differences.
    Linear,
    /// Equal distances are equal ratios; values that are not positive are left out.
    Log,
}

/// One axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coordinate {
    /// The quantity and its unit.
    pub label: String,
    /// Its scale.
    pub scale: AxisScale,
    /// Its ends; where `None`, the data's.
    pub bounds: Option<[f64; 2]>,
}

impl Coordinate {
    /// An axis as wide as its data.
    pub fn new(label: impl Into<String>, scale: AxisScale) -> Self {
        Self {
            label: label.into(),
            scale,
            bounds: None,
        }
    }

    /// The same axis between fixed ends.
    pub fn within(self, low: f64, high: f64) -> Self {
        Self {
            bounds: Some([low, high]),
            ..self
        }
    }
}

/// A point.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// Its place on the x axis.
    pub x: f64,
    /// Its place on the y axis; infinite, `null` in JSON, where there is none.
    #[serde(deserialize_with = "null_is_infinite")]
    pub y: f64,
}

/// JSON has no infinity; `serde_json` writes `null` for it.
fn null_is_infinite<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::INFINITY))
}

/// An interval of y at one x.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Band {
    /// Its place on the x axis.
    pub x: f64,
    /// Its lower end; may be infinite, `null` in JSON.
    #[serde(deserialize_with = "null_is_infinite")]
    pub low: f64,
    /// Its upper end; may be infinite, `null` in JSON.
    #[serde(deserialize_with = "null_is_infinite")]
    pub high: f64,
}

/// How a series' points are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Joint {
    /// By straight lines.
    #[default]
    Straight,
    /// By steps: a value holds until the next point.
    Steps,
    /// Not at all.
    None,
}

/// One curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// Its name.
    pub label: String,
    /// Its number in the colour, dash and marker cycles; the same thing keeps its number in all
    /// charts of a report.
    pub style: usize,
    /// Its points, in order. Points that are not finite interrupt the line.
    pub points: Vec<Point>,
    /// Its interval, in order of x; empty for none.
    #[serde(default)]
    pub band: Vec<Band>,
    /// Places marked by a diamond, such as changes of phase.
    #[serde(default)]
    pub marks: Vec<Point>,
    /// How its points are joined.
    #[serde(default)]
    pub joint: Joint,
}

impl Series {
    /// A plain curve.
    pub fn new(label: impl Into<String>, style: usize, points: Vec<Point>) -> Self {
        Self {
            label: label.into(),
            style,
            points,
            band: Vec::new(),
            marks: Vec::new(),
            joint: Joint::Straight,
        }
    }
}

/// A labelled horizontal line, such as a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Its place on the y axis.
    pub y: f64,
    /// What it stands for.
    pub label: String,
}

/// Curves over a common pair of axes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curves {
    /// The panel's title; may be empty.
    pub title: String,
    /// The horizontal axis.
    pub x: Coordinate,
    /// The vertical axis.
    pub y: Coordinate,
    /// The curves.
    pub series: Vec<Series>,
    /// Curves in grey behind them; neither marked nor named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<Series>,
    /// Lines to compare with.
    #[serde(default)]
    pub references: Vec<Reference>,
}

/// One row of [`Intervals`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// Its name.
    pub label: String,
    /// Its number in the colour and marker cycles.
    pub style: usize,
    /// The estimate; `None` when there is none.
    pub estimate: Option<f64>,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

/// One estimate with its interval per row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intervals {
    /// The panel's title; may be empty.
    pub title: String,
    /// The axis of the estimates.
    pub x: Coordinate,
    /// The rows, from top to bottom.
    pub rows: Vec<Interval>,
    /// The value that means "no effect", drawn as a vertical line.
    pub neutral: Option<f64>,
}

/// One cell of [`Heat`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeatCell {
    /// The value that colours it; `None` for an empty cell.
    pub value: Option<f64>,
    /// What stands in it.
    pub text: String,
}

/// A table of coloured cells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heat {
    /// The panel's title; may be empty.
    pub title: String,
    /// What the columns are.
    pub x_label: String,
    /// What the rows are.
    pub y_label: String,
    /// The columns' names.
    pub columns: Vec<String>,
    /// The rows' names, from top to bottom.
    pub rows: Vec<String>,
    /// The cells of each row.
    pub cells: Vec<Vec<HeatCell>>,
    /// What the colours stand for.
    pub value_label: String,
    /// The values of the palest and the darkest colour.
    pub bounds: [f64; 2],
}

/// Values of a function of two variables on a grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// The columns' places on the x axis, ascending.
    pub x: Vec<f64>,
    /// The rows' places on the y axis, ascending.
    pub y: Vec<f64>,
    /// `values[row][column]`.
    pub values: Vec<Vec<f64>>,
}

/// Level lines of a function of two variables, with paths on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contours {
    /// The panel's title; may be empty.
    pub title: String,
    /// The horizontal axis's name.
    pub x_label: String,
    /// The vertical axis's name.
    pub y_label: String,
    /// The function.
    pub grid: Grid,
    /// The values at which to draw a line.
    pub levels: Vec<f64>,
    /// Paths from start to end, for example of optimizers.
    pub paths: Vec<Series>,
}

/// A function of two variables in colours, a rectangle for each place of the grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// The panel's title; may be empty.
    pub title: String,
    /// The horizontal axis's name.
    pub x_label: String,
    /// The vertical axis's name.
    pub y_label: String,
    /// What the colours stand for.
    pub value_label: String,
    /// The function.
    pub grid: Grid,
    /// The values of the palest and the darkest colour.
    pub bounds: [f64; 2],
}

/// A function of two variables as a surface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Surface {
    /// The panel's title; may be empty.
    pub title: String,
    /// The first horizontal axis's name.
    pub x_label: String,
    /// The second horizontal axis's name.
    pub y_label: String,
    /// The height's name.
    pub z_label: String,
    /// The function.
    pub grid: Grid,
}
