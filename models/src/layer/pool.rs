//! Maximum and average pooling over fixed or adaptive windows.

use candle_core::{DType, Tensor};

use super::trace;
use crate::kernels::{self, Apply};
use crate::options::{Reduction, Window};
use crate::{Error, Result};

/// Pooling of each channel of `[batch, channels, height, width]`.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use models::layer::Pool2d;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let image = Tensor::new(&[[[[1f32, 2.0], [3.0, 4.0]]]], &Device::Cpu)?;
/// let max = Pool2d::max(2, 2, 0)?;
/// let average = Pool2d::adaptive_average(1)?;
/// assert_eq!(max.forward(&image)?.flatten_all()?.to_vec1::<f32>()?, [4.0]);
/// assert_eq!(average.forward(&image)?.flatten_all()?.to_vec1::<f32>()?, [2.5]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool2d {
    reduction: Reduction,
    windows: Windows,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Windows {
    Fixed {
        kernel: usize,
        stride: usize,
        padding: usize,
    },
    Adaptive {
        outputs: usize,
    },
}

impl Pool2d {
    /// The maximum over windows of `kernel` by `kernel` pixels.
    ///
    /// # Errors
    /// When `kernel` or `stride` is 0, or `padding` exceeds half the kernel.
    pub fn max(kernel: usize, stride: usize, padding: usize) -> Result<Self> {
        Self::fixed(Reduction::Max, kernel, stride, padding)
    }

    /// The average over windows of `kernel` by `kernel` pixels; the zeros of the padding count.
    ///
    /// # Errors
    /// As [`Pool2d::max`].
    pub fn average(kernel: usize, stride: usize, padding: usize) -> Result<Self> {
        Self::fixed(Reduction::Average, kernel, stride, padding)
    }

    /// The maximum over `outputs` by `outputs` windows that cover the image; window i of n over m
    /// pixels is `floor(i m / n) .. ceil((i + 1) m / n)`.
    ///
    /// # Errors
    /// When `outputs` is 0.
    pub fn adaptive_max(outputs: usize) -> Result<Self> {
        Self::adaptive(Reduction::Max, outputs)
    }

    /// The average over the windows of [`Pool2d::adaptive_max`].
    ///
    /// # Errors
    /// When `outputs` is 0.
    pub fn adaptive_average(outputs: usize) -> Result<Self> {
        Self::adaptive(Reduction::Average, outputs)
    }

    fn fixed(reduction: Reduction, kernel: usize, stride: usize, padding: usize) -> Result<Self> {
        for (name, value) in [("kernel", kernel), ("stride", stride)] {
            if value == 0 {
                return Err(Error::setting(name, value, "at least 1"));
            }
        }
        if padding > kernel / 2 {
            let expected = format!("at most half the kernel of {kernel}");
            return Err(Error::setting("padding", padding, expected));
        }
        let windows = Windows::Fixed {
            kernel,
            stride,
            padding,
        };
        Ok(Self { reduction, windows })
    }

    fn adaptive(reduction: Reduction, outputs: usize) -> Result<Self> {
        if outputs == 0 {
            return Err(Error::setting("outputs", outputs, "at least 1"));
        }
        let windows = Windows::Adaptive { outputs };
        Ok(Self { reduction, windows })
    }

    /// The pooled `input`.
    ///
    /// # Errors
    /// When the input has not four dimensions or is smaller than the kernel.
    pub fn forward(&self, input: &Tensor) -> candle_core::Result<Tensor> {
        let (batch, channels, height, width) = input.dims4()?;
        let pool = self.kernel([batch, channels, height, width])?;
        let output = if kernels::supported(input) {
            pool.apply([input])?
        } else {
            self.fallback(input)?
        };
        trace::record("Pool2d", [], &output, 0);
        Ok(output)
    }

    /// The kernel for an input of this shape.
    pub(crate) fn kernel(&self, shape: [usize; 4]) -> candle_core::Result<kernels::Pool> {
        let [_, _, height, width] = shape;
        Ok(kernels::Pool {
            reduction: self.reduction,
            shape,
            rows: self.windows.over(height)?,
            columns: self.windows.over(width)?,
        })
    }

    /// The windows over the rows and over the columns of an image; none where averages are taken.
    pub(crate) fn max_windows(
        &self,
        height: usize,
        width: usize,
    ) -> candle_core::Result<Option<[Vec<Window>; 2]>> {
        match self.reduction {
            Reduction::Max => Ok(Some([
                self.windows.over(height)?,
                self.windows.over(width)?,
            ])),
            Reduction::Average => Ok(None),
        }
    }

    /// The pooled input by tensor operations.
    fn fallback(&self, input: &Tensor) -> candle_core::Result<Tensor> {
        let (_, _, height, width) = input.dims4()?;
        let rows = self.windows.over(height)?;
        let columns = self.windows.over(width)?;
        match self.reduction {
            Reduction::Max => maximum(input, &rows, &columns),
            Reduction::Average => average(input, &rows, &columns),
        }
    }
}

impl Windows {
    fn over(self, size: usize) -> candle_core::Result<Vec<Window>> {
        match self {
            Self::Fixed {
                kernel,
                stride,
                padding,
            } => {
                if size == 0 || size + 2 * padding < kernel {
                    candle_core::bail!(
                        "pooling: {size} pixels are fewer than the kernel's {kernel}"
                    );
                }
                let outputs = (size + 2 * padding - kernel) / stride + 1;
                let window = |i: usize| Window {
                    start: (i * stride).saturating_sub(padding),
                    end: (i * stride + kernel - padding).min(size),
                    divisor: kernel,
                };
                Ok((0..outputs).map(window).collect())
            }
            Self::Adaptive { outputs } => {
                if size == 0 {
                    candle_core::bail!("pooling: the image has no pixels");
                }
                let window = |i: usize| {
                    let start = i * size / outputs;
                    let end = ((i + 1) * size).div_ceil(outputs);
                    Window {
                        start,
                        end,
                        divisor: end - start,
                    }
                };
                Ok((0..outputs).map(window).collect())
            }
        }
    }
}

/// The maximum by tensor operations: for each k, compares the k-th pixels of all windows at once.
/// Windows with fewer pixels repeat their last one.
fn maximum(input: &Tensor, rows: &[Window], columns: &[Window]) -> candle_core::Result<Tensor> {
    let pixels = |windows: &[Window], k: usize| {
        let index = |window: &Window| (window.start + k).min(window.end - 1) as u32;
        Tensor::new(
            windows.iter().map(index).collect::<Vec<_>>(),
            input.device(),
        )
    };
    let longest = |windows: &[Window]| windows.iter().map(|w| w.end - w.start).max();
    let mut largest: Option<Tensor> = None;
    for row in 0..longest(rows).unwrap_or(0) {
        let line = input.index_select(&pixels(rows, row)?, 2)?;
        for column in 0..longest(columns).unwrap_or(0) {
            let value = line.index_select(&pixels(columns, column)?, 3)?;
            largest = Some(match largest {
                None => value,
                Some(largest) => {
                    let wins = (value.gt(&largest)? + value.ne(&value)?)?;
                    wins.where_cond(&value, &largest)?
                }
            });
        }
    }
    largest.map_or_else(
        || candle_core::bail!("pooling: the image has no pixels"),
        Ok,
    )
}

/// The average by tensor operations. As it is separable, it is a matrix product on either side.
fn average(input: &Tensor, rows: &[Window], columns: &[Window]) -> candle_core::Result<Tensor> {
    let (_, _, height, width) = input.dims4()?;
    let matrix = |windows: &[Window], size: usize| {
        let mut weights = vec![0f64; windows.len() * size];
        for (window, row) in windows.iter().zip(weights.chunks_exact_mut(size)) {
            row[window.start..window.end].fill(1.0 / window.divisor as f64);
        }
        Tensor::from_vec(weights, (windows.len(), size), &candle_core::Device::Cpu)?
            .to_dtype(if input.dtype() == DType::F64 {
                DType::F64
            } else {
                DType::F32
            })?
            .to_device(input.device())?
            .to_dtype(input.dtype())
    };
    let columns = matrix(columns, width)?.t()?;
    matrix(rows, height)?.broadcast_matmul(&input.broadcast_matmul(&columns)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use candle_core::Var;

    use super::*;
    use crate::Tensors;
    use crate::testing::{assert_same_paths, device, values};

    #[test]
    fn kernels_agree_with_tensor_operations() {
        let input = Var::from_tensor(&values(&[3, 2, 7, 10])).unwrap();
        for pool in [
            Pool2d::max(2, 2, 0),
            Pool2d::max(3, 2, 1),
            Pool2d::average(3, 1, 1),
            Pool2d::average(4, 3, 2),
            Pool2d::adaptive_max(3),
            Pool2d::adaptive_average(4),
        ] {
            let pool = pool.unwrap();
            let (kernel, fallback) = (|| pool.forward(&input), || pool.fallback(&input));
            assert_same_paths(&Tensors::default(), &input, kernel, fallback);
        }
    }

    #[test]
    fn the_first_largest_value_gets_the_gradient() {
        let ties = Tensor::ones((1, 1, 2, 2), DType::F64, &device());
        let input = Var::from_tensor(&ties.unwrap()).unwrap();
        let pool = Pool2d::max(2, 2, 0).unwrap();
        for output in [pool.forward(&input), pool.fallback(&input)] {
            let gradients = output.unwrap().backward().unwrap();
            let gradient = gradients.get(&input).unwrap().flatten_all().unwrap();
            assert_eq!(gradient.to_vec1::<f64>().unwrap(), [1.0, 0.0, 0.0, 0.0]);
        }
    }

    #[test]
    fn nan_is_largest_and_gets_the_gradient() {
        let nan = f64::NAN;
        for (window, place) in [
            ([nan, 1.0, 2.0, 3.0], 0),
            ([1.0, nan, 2.0, nan], 3),
            ([1.0, nan, nan, 2.0], 2),
        ] {
            let input = Tensor::new(&window, &device()).unwrap();
            let input = Var::from_tensor(&input.reshape((1, 1, 2, 2)).unwrap()).unwrap();
            let pool = Pool2d::max(2, 2, 0).unwrap();
            for output in [pool.forward(&input), pool.fallback(&input)] {
                let output = output.unwrap().sum_all().unwrap();
                assert!(output.to_scalar::<f64>().unwrap().is_nan());
                let gradients = output.backward().unwrap();
                let gradient = gradients.get(&input).unwrap().flatten_all().unwrap();
                let mut expected = [0.0; 4];
                expected[place] = 1.0;
                assert_eq!(gradient.to_vec1::<f64>().unwrap(), expected);
            }
        }
    }

    #[test]
    fn windows_beyond_the_image_are_clipped() {
        let windows = Windows::Fixed {
            kernel: 3,
            stride: 2,
            padding: 1,
        };
        let ends: Vec<_> = windows
            .over(5)
            .unwrap()
            .iter()
            .map(|w| (w.start, w.end))
            .collect();
        assert_eq!(ends, [(0, 2), (1, 4), (3, 5)]);
    }

    #[test]
    fn impossible_settings_are_refused() {
        assert!(Pool2d::max(0, 1, 0).is_err());
        assert!(Pool2d::max(3, 0, 0).is_err());
        assert!(Pool2d::max(3, 1, 2).is_err());
        assert!(Pool2d::adaptive_average(0).is_err());
    }
}
