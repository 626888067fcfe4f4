//! Images of Bézier curves, after the curves of Hinton and Salakhutdinov (2006): three points with two
//! coordinates each stand behind an image, so that a code of six numbers can hold it.

use bench_stats::random::{Stream, stream, unit};

use super::samples::Matrix;

/// Pixels on each side of an image.
pub(super) const SIDE: usize = 16;
/// Half the width of the pen in pixels: the standard deviation of its ink.
const PEN: f64 = 0.7;
/// The curve is drawn as so many dots.
const DOTS: usize = 48;
/// What a control point keeps from the edges of the unit square.
const MARGIN: f64 = 0.1;

/// `count` images, one per row.
pub(super) fn curves(count: usize) -> Matrix {
    let mut generator = stream(0, Stream::Data, 0);
    let mut coordinate = || MARGIN + (1.0 - 2.0 * MARGIN) * unit(&mut generator);
    let values = (0..count)
        .flat_map(|_| {
            let points = [(); 3].map(|()| [(); 2].map(|()| coordinate()));
            image(points)
        })
        .collect();
    Matrix {
        values,
        columns: SIDE * SIDE,
    }
}

/// The quadratic Bézier curve with these control points in the unit square. A pixel's ink is
/// exp(−δ² / 2w²), where δ is the distance from its centre to the nearest dot and w the pen's.
fn image(points: [[f64; 2]; 3]) -> Vec<f64> {
    let [a, b, c] = points;
    let dots: Vec<[f64; 2]> = (0..DOTS)
        .map(|k| {
            let t = k as f64 / (DOTS - 1) as f64;
            let s = 1.0 - t;
            let at = |i: usize| s * s * a[i] + 2.0 * s * t * b[i] + t * t * c[i];
            [SIDE as f64 * at(0), SIDE as f64 * at(1)]
        })
        .collect();
    (0..SIDE * SIDE)
        .map(|pixel| {
            let centre = [(pixel % SIDE) as f64 + 0.5, (pixel / SIDE) as f64 + 0.5];
            let square = |dot: &[f64; 2]| {
                let (x, y) = (dot[0] - centre[0], dot[1] - centre[1]);
                x * x + y * y
            };
            let nearest = dots.iter().map(square).fold(f64::INFINITY, f64::min);
            (-nearest / (2.0 * PEN * PEN)).exp()
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Golden {
        curves: Vec<Curve>,
    }

    #[derive(Deserialize)]
    struct Curve {
        points: [[f64; 2]; 3],
        image: Vec<f64>,
    }

    #[test]
    fn images_equal_those_of_numpy() {
        let golden = include_str!("../../../tests/golden/least_squares.json");
        let golden: Golden = serde_json::from_str(golden).unwrap();
        for Curve {
            points,
            image: theirs,
        } in golden.curves
        {
            for (ours, theirs) in image(points).into_iter().zip(theirs) {
                assert!((ours - theirs).abs() < 1e-13, "{ours} and {theirs}");
            }
        }
    }

    #[test]
    fn no_two_curves_are_the_same_and_all_have_ink_within_the_image() {
        let images = curves(20);
        let rows: Vec<&[f64]> = images.values.chunks_exact(images.columns).collect();
        for (i, row) in rows.iter().enumerate() {
            assert!(rows[..i].iter().all(|other| other != row));
            assert!(row.iter().any(|ink| *ink > 0.5) && row.iter().all(|ink| *ink <= 1.0));
            // Corners are out of reach.
            assert!(row[0] < 0.3);
        }
    }
}
