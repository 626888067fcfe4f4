//! Lines, markers, text and axes in CSS pixels, drawn by plotters into an SVG document.

use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::area::Rect;
use crate::figure::Result;
use crate::figure::axis::Axis;
use crate::figure::style::{self, Marker, UNIT};

/// A document being drawn.
pub(super) struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

pub(super) fn unit(value: f64) -> i32 {
    (value * UNIT).round() as i32
}

fn place((x, y): (f64, f64)) -> (i32, i32) {
    (unit(x), unit(y))
}

impl<'a> Canvas<'a> {
    /// A white page.
    pub(super) fn new(body: &'a mut String, width: f64, height: f64) -> Result<Self> {
        let size = (unit(width.round()) as u32, unit(height.round()) as u32);
        let area = SVGBackend::with_string(body, size).into_drawing_area();
        area.fill(&WHITE)?;
        Ok(Self { area })
    }

    /// Ends the document.
    pub(super) fn finish(self) -> Result<()> {
        Ok(self.area.present()?)
    }

    /// The part of the page within `rect`, for plotters' own charts.
    pub(super) fn part(&self, rect: Rect) -> DrawingArea<SVGBackend<'a>, Shift> {
        self.area.clone().shrink(
            place((rect.left, rect.top)),
            place((rect.width(), rect.height())),
        )
    }

    pub(super) fn line(
        &self,
        points: &[(f64, f64)],
        color: RGBColor,
        width: f64,
        (dash, gap): (u32, u32),
    ) -> Result<()> {
        if points.len() < 2 {
            return Ok(());
        }
        let points: Vec<(i32, i32)> = points.iter().copied().map(place).collect();
        let stroke = style::stroke(color, width);
        if gap == 0 {
            self.area.draw(&PathElement::new(points, stroke))?;
        } else {
            let (dash, gap) = (unit(dash.into()), unit(gap.into()));
            self.area.draw(&DashedPathElement::new(
                points.iter().copied(),
                dash,
                gap,
                stroke,
            ))?;
        }
        Ok(())
    }

    pub(super) fn polygon(&self, points: &[(f64, f64)], fill: ShapeStyle) -> Result<()> {
        let points: Vec<(i32, i32)> = points.iter().copied().map(place).collect();
        Ok(self.area.draw(&Polygon::new(points, fill))?)
    }

    pub(super) fn rectangle(&self, rect: Rect, fill: RGBColor) -> Result<()> {
        let corners = [
            place((rect.left, rect.top)),
            place((rect.right, rect.bottom)),
        ];
        Ok(self.area.draw(&Rectangle::new(corners, fill.filled()))?)
    }

    /// A marker `radius` pixels large, with a white rim that sets it off from the lines.
    pub(super) fn marker(
        &self,
        at: (f64, f64),
        marker: Marker,
        color: RGBColor,
        radius: f64,
    ) -> Result<()> {
        let (x, y) = at;
        let around = |shape: &[(f64, f64)], radius: f64| -> Vec<(f64, f64)> {
            shape
                .iter()
                .map(|(dx, dy)| (x + dx * radius, y + dy * radius))
                .collect()
        };
        const SQUARE: [(f64, f64); 4] =
            [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)];
        const TRIANGLE: [(f64, f64); 3] = [(0.0, -1.15), (1.05, 0.75), (-1.05, 0.75)];
        const DIAMOND: [(f64, f64); 4] = [(0.0, -1.0), (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)];
        let filled = |shape: &[(f64, f64)]| -> Result<()> {
            self.polygon(&around(shape, radius + 1.0), WHITE.filled())?;
            self.polygon(&around(shape, radius), color.filled())
        };
        match marker {
            Marker::Circle => {
                for (radius, color) in [(radius + 1.0, WHITE), (radius, color)] {
                    let circle = Circle::new(place(at), unit(radius), color.filled());
                    self.area.draw(&circle)?;
                }
                Ok(())
            }
            Marker::Square => filled(&SQUARE),
            Marker::Triangle => filled(&TRIANGLE),
            Marker::Diamond => {
                self.polygon(&around(&DIAMOND, radius + 2.0), color.filled())?;
                self.polygon(&around(&DIAMOND, radius), WHITE.filled())
            }
            Marker::Cross | Marker::Plus => {
                let reach = if marker == Marker::Cross { 0.8 } else { 1.1 };
                let strokes: [[(f64, f64); 2]; 2] = if marker == Marker::Cross {
                    [
                        [(-reach, -reach), (reach, reach)],
                        [(-reach, reach), (reach, -reach)],
                    ]
                } else {
                    [[(-reach, 0.0), (reach, 0.0)], [(0.0, -reach), (0.0, reach)]]
                };
                for (width, color) in [(3.6, WHITE), (1.8, color)] {
                    for stroke in &strokes {
                        self.line(&around(stroke, radius), color, width, (1, 0))?;
                    }
                }
                Ok(())
            }
        }
    }

    /// What stands for a series in legends, 22 pixels wide.
    pub(super) fn sample(&self, x: f64, y: f64, index: usize) -> Result<()> {
        let look = style::series(index);
        self.line(&[(x, y), (x + 22.0, y)], look.color, 2.0, look.dash)?;
        self.marker((x + 11.0, y), look.marker, look.color, 3.5)
    }

    pub(super) fn text(
        &self,
        (x, y): (f64, f64),
        content: &str,
        size: f64,
        color: RGBColor,
        anchor: HPos,
    ) -> Result<()> {
        let style = style::text(size, color, Pos::new(anchor, VPos::Center));
        Ok(self
            .area
            .draw(&Text::new(content.to_owned(), place((x, y)), style))?)
    }

    pub(super) fn text_left(
        &self,
        x: f64,
        y: f64,
        content: &str,
        size: f64,
        color: RGBColor,
    ) -> Result<()> {
        self.text((x, y), content, size, color, HPos::Left)
    }

    /// A label that runs upwards, centred at `at`.
    pub(super) fn text_upwards(&self, at: (f64, f64), content: &str) -> Result<()> {
        let style = style::text(
            style::LABEL,
            style::INK,
            Pos::new(HPos::Center, VPos::Center),
        )
        .transform(FontTransform::Rotate270);
        Ok(self
            .area
            .draw(&Text::new(content.to_owned(), place(at), style))?)
    }

    /// Grid, axes, ticks and axis labels around `plot`; `left` and `bottom` pixels of room for the
    /// labels. An axis without label text gets no tick labels either.
    pub(super) fn axes(
        &self,
        plot: Rect,
        (left, bottom): (f64, f64),
        (x, x_label): (&Axis, &str),
        (y, y_label): (&Axis, &str),
    ) -> Result<()> {
        let area = self.part(Rect {
            left: plot.left - left,
            bottom: plot.bottom + bottom,
            ..plot
        });
        let mut chart = ChartBuilder::on(&area)
            .x_label_area_size(unit(bottom))
            .y_label_area_size(unit(left))
            .build_cartesian_2d(x.clone(), y.clone())?;
        let center = Pos::new(HPos::Center, VPos::Center);
        // A label may reach beyond its axis, as far as there is room.
        let y_label = &style::fit_label(y_label, style::LABEL, plot.height() + 30.0);
        let mut mesh = chart.configure_mesh();
        mesh.bold_line_style(style::stroke(style::GRID, 1.0))
            .light_line_style(style::stroke(style::GRID, 0.4))
            .axis_style(style::stroke(style::AXIS, 1.0))
            .label_style(style::text(style::TICK, style::INK, center))
            .axis_desc_style(style::text(style::LABEL, style::INK, center))
            .set_all_tick_mark_size(unit(4.0))
            .x_desc(x_label)
            .y_desc(y_label);
        if y_label.is_empty() {
            mesh.y_labels(0).disable_y_mesh();
        }
        Ok(mesh.draw()?)
    }
}
