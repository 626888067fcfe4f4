//! Kernels at the points of a tile, and the gradient with respect to kernels from that at the points.

use super::tiling::{Layout, POINTS, Tiling};
use super::transpose::Matrix;
use crate::kernels::Float;
use crate::kernels::convolution::Geometry;
use crate::kernels::parallel::from_pieces;
use crate::kernels::vector::{Kernel, SQUARE, Vector};

/// The taps of a kernel.
const TAPS: usize = 9;

/// The kernels of one weight at the points, as `[input][point][output]`.
pub(super) struct Kernels<T> {
    values: Vec<T>,
    layout: Layout,
}

impl<T: Float> Kernels<T> {
    /// Those of a convolution.
    pub(super) fn forward(geometry: &Geometry, weight: &[T]) -> Self {
        let (inputs, outputs) = (geometry.in_channels, geometry.out_channels);
        let kernels =
            |input: usize| Matrix::new(&weight[input * TAPS..], inputs * TAPS, outputs, TAPS);
        Self::new(
            inputs,
            Tiling::forward(geometry).written.lanes(),
            false,
            kernels,
        )
    }

    /// Those of the gradient with respect to its input: of outputs to inputs, turned around.
    pub(super) fn input_gradient(geometry: &Geometry, weight: &[T]) -> Self {
        let (inputs, outputs) = (geometry.in_channels, geometry.out_channels);
        let kernels =
            |output: usize| Matrix::new(&weight[output * inputs * TAPS..], TAPS, inputs, TAPS);
        Self::new(
            outputs,
            Tiling::input_gradient(geometry).written.lanes(),
            true,
            kernels,
        )
    }

    /// `kernels` gives those from one channel, a row each.
    fn new<'a>(
        channels: usize,
        lanes: usize,
        turned: bool,
        kernels: impl Fn(usize) -> Matrix<'a, T> + Sync,
    ) -> Self
    where
        T: 'a,
    {
        let layout = Layout::by_tiles(lanes);
        let work = |channel: usize, points: &mut [T]| {
            let mut taps = vec![T::zero(); TAPS * lanes];
            T::dispatch(ToPoints {
                kernels: kernels(channel),
                turned,
                lanes,
                taps: &mut taps,
                points,
            });
        };
        let (values, _) = from_pieces(channels * layout.tile, layout.tile, work);
        Self { values, layout }
    }

    /// The kernels at a point, and the distance of their inputs.
    pub(super) fn point(&self, point: usize) -> (&[T], usize) {
        (&self.values[point * self.layout.point..], self.layout.tile)
    }
}

/// `G g G'` of the kernels from one channel.
struct ToPoints<'a, T> {
    kernels: Matrix<'a, T>,
    /// Whether the kernels are turned around.
    turned: bool,
    lanes: usize,
    /// The kernels as `[tap][output]`, with zeros behind.
    taps: &'a mut [T],
    points: &'a mut [T],
}

impl<T: Float> Kernel<T> for ToPoints<'_, T> {
    fn fits(&self, lanes: usize) -> bool {
        self.lanes.is_multiple_of(lanes)
    }

    #[inline(always)]
    unsafe fn run<V: Vector<Element = T>>(self) {
        assert!(self.taps.len() >= TAPS * self.lanes && self.points.len() >= POINTS * self.lanes);
        // SAFETY: the slices were checked; the caller promises the instruction set.
        unsafe {
            self.kernels.transpose::<V>(self.taps, self.lanes);
            for output in (0..self.lanes).step_by(V::LANES) {
                let tap = |tap: usize| {
                    let tap = if self.turned { TAPS - 1 - tap } else { tap };
                    V::load(self.taps.as_ptr().add(tap * self.lanes + output))
                };
                let [a, b, c] = [
                    to_points([tap(0), tap(3), tap(6)]),
                    to_points([tap(1), tap(4), tap(7)]),
                    to_points([tap(2), tap(5), tap(8)]),
                ];
                for i in 0..4 {
                    let row = to_points([a[i], b[i], c[i]]);
                    for (j, value) in row.into_iter().enumerate() {
                        let place = (4 * i + j) * self.lanes + output;
                        value.store(self.points.as_mut_ptr().add(place));
                    }
                }
            }
        }
    }
}

/// `G x` of three values.
///
/// # Safety
/// The CPU must have the instruction set of `V`.
#[inline(always)]
unsafe fn to_points<T: Float, V: Vector<Element = T>>([a, b, c]: [V; 3]) -> [V; 4] {
    // SAFETY: as promised by the caller.
    unsafe {
        let half = V::splat(T::from_f64(0.5));
        let zero = V::splat(T::zero());
        let sum = a.add(c);
        let halved = |x: V| zero.add_product(half, x);
        [a, halved(sum.add(b)), halved(sum.subtract(b)), c]
    }
}

/// `G' x` of four values.
///
/// # Safety
/// The CPU must have the instruction set of `V`.
#[inline(always)]
unsafe fn from_points<T: Float, V: Vector<Element = T>>([a, b, c, d]: [V; 4]) -> [V; 3] {
    // SAFETY: as promised by the caller.
    unsafe {
        let half = V::splat(T::from_f64(0.5));
        let zero = V::splat(T::zero());
        let sum = zero.add_product(half, b.add(c));
        let difference = zero.add_product(half, b.subtract(c));
        [a.add(sum), difference, d.add(sum)]
    }
}

/// The gradients with respect to kernels, `[input][tap][output]`, from those at the points, `[point][input][output]`.
pub(super) fn gradients<T: Float>(inputs: usize, lanes: usize, points: &[T]) -> Vec<T> {
    let work = |input: usize, kernels: &mut [T]| {
        T::dispatch(FromPoints {
            point: points.len() / POINTS,
            lanes,
            points: &points[input * lanes..],
            kernels,
        });
    };
    from_pieces(inputs * TAPS * lanes, TAPS * lanes, work).0
}

/// `G' x G` for one input.
struct FromPoints<'a, T> {
    /// The distance of points.
    point: usize,
    lanes: usize,
    points: &'a [T],
    kernels: &'a mut [T],
}

impl<T: Float> Kernel<T> for FromPoints<'_, T> {
    fn fits(&self, lanes: usize) -> bool {
        self.lanes.is_multiple_of(lanes)
    }

    #[inline(always)]
    unsafe fn run<V: Vector<Element = T>>(self) {
        assert!(self.points.len() >= (POINTS - 1) * self.point + self.lanes);
        assert!(self.kernels.len() >= TAPS * self.lanes);
        for output in (0..self.lanes).step_by(V::LANES) {
            // SAFETY: the slices were checked; the caller promises the instruction set.
            unsafe {
                let source = self.points.as_ptr().add(output);
                let point = |i: usize| V::load(source.add(i * self.point));
                let [a, b, c, d] = [
                    from_points([point(0), point(4), point(8), point(12)]),
                    from_points([point(1), point(5), point(9), point(13)]),
                    from_points([point(2), point(6), point(10), point(14)]),
                    from_points([point(3), point(7), point(11), point(15)]),
                ];
                for i in 0..3 {
                    let row = from_points([a[i], b[i], c[i], d[i]]);
                    for (j, value) in row.into_iter().enumerate() {
                        let place = (3 * i + j) * self.lanes + output;
                        value.store(self.kernels.as_mut_ptr().add(place));
                    }
                }
            }
        }
    }
}

/// The weight, `[output][input][tap]`, from kernels as `[input][tap][output]` with rows of `lanes`.
pub(super) fn to_weight<T: Float>(outputs: usize, lanes: usize, kernels: &[T]) -> Vec<T> {
    let rows = kernels.len() / lanes;
    let work = |block: usize, weight: &mut [T]| {
        let kernels = Matrix::new(&kernels[block * SQUARE..], lanes, rows, weight.len() / rows);
        T::dispatch(Transpose {
            source: kernels,
            target: weight,
            pitch: rows,
        });
    };
    from_pieces(outputs * rows, SQUARE * rows, work).0
}

struct Transpose<'a, T> {
    source: Matrix<'a, T>,
    target: &'a mut [T],
    pitch: usize,
}

impl<T: Float> Kernel<T> for Transpose<'_, T> {
    fn fits(&self, _lanes: usize) -> bool {
        true
    }

    #[inline(always)]
    unsafe fn run<V: Vector<Element = T>>(self) {
        // SAFETY: the caller promises the instruction set.
        unsafe { self.source.transpose::<V>(self.target, self.pitch) };
    }
}
