//! Labelled images in memory, one byte per pixel value until a batch is made.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor, WithDType};
use rayon::prelude::*;

use crate::augment::{Augmentation, Draws};
use crate::hash::Hasher;
use crate::{Error, Result, Splits};
use bench_stats::random::{Stream, shuffle, stream, subset};

/// Batches with fewer values than this are filled on the calling thread.
const PARALLEL_FROM: usize = 1 << 16;

/// How pixel values, scaled to [0, 1], are shifted and scaled per channel: `(x − mean) / std`.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalisation {
    /// One mean per channel.
    pub mean: Vec<f64>,
    /// One standard deviation per channel.
    pub std: Vec<f64>,
}

impl Normalisation {
    /// Leaves pixel values in [0, 1].
    pub fn unit(channels: usize) -> Self {
        Self::uniform(channels, 0.0, 1.0)
    }

    /// The same mean and standard deviation for all channels; 0.5 and 0.5 map to [−1, 1].
    pub fn uniform(channels: usize, mean: f64, std: f64) -> Self {
        Self {
            mean: vec![mean; channels],
            std: vec![std; channels],
        }
    }

    /// The normalised value of each possible pixel value, per channel.
    pub(crate) fn table<T: WithDType>(&self, pixel_max: u8) -> Vec<[T; 256]> {
        let max = f64::from(pixel_max);
        self.mean
            .iter()
            .zip(&self.std)
            .map(|(mean, std)| {
                std::array::from_fn(|pixel| T::from_f64((pixel as f64 / max - mean) / std))
            })
            .collect()
    }
}

/// Labelled images of one shape, row-major, channels first. Clones share the pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageSet {
    pixels: Arc<Vec<u8>>,
    labels: Vec<u32>,
    shape: (usize, usize, usize),
    classes: Vec<String>,
    pixel_max: u8,
    normalisation: Normalisation,
}

impl ImageSet {
    /// Checks and takes images: `pixels` holds n · c · h · w values from 0 to `pixel_max`, image by
    /// image, channel by channel, row by row; `shape` is (c, h, w); `labels` index `classes`.
    ///
    /// # Errors
    /// [`Error::Malformed`] naming `source` and the row at fault.
    pub fn new(
        source: &str,
        pixels: Vec<u8>,
        labels: Vec<u32>,
        shape: (usize, usize, usize),
        classes: Vec<String>,
        pixel_max: u8,
    ) -> Result<Self> {
        let (channels, height, width) = shape;
        let size = channels * height * width;
        if labels.is_empty() || size == 0 {
            return Err(Error::malformed(source, "no images: expected at least one"));
        }
        if pixels.len() != labels.len() * size {
            return Err(Error::malformed(
                source,
                format!(
                    "{} pixel values for {} labels: expected {size} each ({channels}×{height}×{width})",
                    pixels.len(),
                    labels.len()
                ),
            ));
        }
        if let Some(row) = labels.iter().position(|&l| l as usize >= classes.len()) {
            return Err(Error::malformed_row(
                source,
                row as u64,
                Some("label"),
                format!(
                    "label {} is out of range: expected 0 to {} ({} classes)",
                    labels[row],
                    classes.len() - 1,
                    classes.len()
                ),
            ));
        }
        if let Some(at) = pixels.iter().position(|&p| p > pixel_max) {
            return Err(Error::malformed_row(
                source,
                (at / size) as u64,
                Some("image"),
                format!("pixel value {} is above {pixel_max}", pixels[at]),
            ));
        }
        Ok(Self {
            pixels: Arc::new(pixels),
            labels,
            shape,
            classes,
            pixel_max,
            normalisation: Normalisation::unit(channels),
        })
    }

    /// Sets how pixel values are normalised when a batch is made.
    ///
    /// # Errors
    /// When the number of channels differs, or a standard deviation is not positive.
    pub fn with_normalisation(mut self, normalisation: Normalisation) -> Result<Self> {
        let channels = self.shape.0;
        for (name, values) in [
            ("normalisation.mean", &normalisation.mean),
            ("normalisation.std", &normalisation.std),
        ] {
            if values.len() != channels || values.iter().any(|v| !v.is_finite()) {
                return Err(Error::setting(
                    name,
                    format!("{values:?}"),
                    format!("{channels} finite numbers, one per channel"),
                ));
            }
        }
        if normalisation.std.iter().any(|&s| s <= 0.0) {
            return Err(Error::setting(
                "normalisation.std",
                format!("{:?}", normalisation.std),
                "numbers above 0",
            ));
        }
        self.normalisation = normalisation;
        Ok(self)
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Always false: an empty set cannot be built.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Channels, height and width.
    pub fn shape(&self) -> (usize, usize, usize) {
        self.shape
    }

    /// The classes' names, in the order of the labels.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// One label per image, an index into [`classes`](Self::classes).
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The largest possible pixel value: 255, or 16 for the embedded digits.
    pub fn pixel_max(&self) -> u8 {
        self.pixel_max
    }

    /// How pixel values are normalised.
    pub fn normalisation(&self) -> &Normalisation {
        &self.normalisation
    }

    /// The pixel values of one image, channel by channel, row by row.
    ///
    /// # Panics
    /// When `index` is not below [`len`](Self::len).
    pub fn pixels(&self, index: usize) -> &[u8] {
        let size = self.image_size();
        &self.pixels[index * size..(index + 1) * size]
    }

    fn image_size(&self) -> usize {
        self.shape.0 * self.shape.1 * self.shape.2
    }

    /// Normalised images `[b, c, h, w]` of dtype `dtype` and their labels `[b]` (u32).
    ///
    /// # Errors
    /// When an index is out of range, or `dtype` is not a floating-point type.
    pub fn batch(
        &self,
        indices: &[u32],
        device: &Device,
        dtype: DType,
    ) -> Result<(Tensor, Tensor)> {
        self.collate(indices, device, dtype, &|_, _| {})
    }

    /// As [`batch`](Self::batch), with images varied at random: a pure function of seed, epoch and image,
    /// whatever batch an image is in.
    ///
    /// # Errors
    /// As [`batch`](Self::batch) and [`Augmentation::check_in_memory`].
    pub fn augmented_batch(
        &self,
        indices: &[u32],
        augmentation: &Augmentation,
        (seed, epoch): (u64, u64),
        device: &Device,
        dtype: DType,
    ) -> Result<(Tensor, Tensor)> {
        augmentation.check_in_memory()?;
        self.collate(indices, device, dtype, &|index, pixels| {
            let mut draws = Draws::new(seed, epoch, index);
            augmentation.apply(&mut draws, self.shape, pixels);
        })
    }

    fn collate(
        &self,
        indices: &[u32],
        device: &Device,
        dtype: DType,
        vary: &(dyn Fn(u32, &mut [u8]) + Sync),
    ) -> Result<(Tensor, Tensor)> {
        self.check_indices(indices)?;
        let images = match dtype {
            DType::F64 => self.gather::<f64>(indices, device, vary)?,
            DType::F32 => self.gather::<f32>(indices, device, vary)?,
            DType::F16 | DType::BF16 => {
                self.gather::<f32>(indices, device, vary)?.to_dtype(dtype)?
            }
            other => {
                return Err(Error::setting(
                    "dtype",
                    other.as_str(),
                    "f16, bf16, f32 or f64",
                ));
            }
        };
        let labels: Vec<u32> = indices.iter().map(|&i| self.labels[i as usize]).collect();
        let labels = Tensor::from_vec(labels, indices.len(), device)?;
        Ok((images, labels))
    }

    fn check_indices(&self, indices: &[u32]) -> Result<()> {
        match indices.iter().find(|&&i| i as usize >= self.len()) {
            Some(index) => Err(Error::setting(
                "index",
                index,
                format!("0 to {}", self.len() - 1),
            )),
            None => Ok(()),
        }
    }

    fn gather<T: WithDType>(
        &self,
        indices: &[u32],
        device: &Device,
        vary: &(dyn Fn(u32, &mut [u8]) + Sync),
    ) -> Result<Tensor> {
        let (channels, height, width) = self.shape;
        let size = self.image_size();
        let table = self.normalisation.table::<T>(self.pixel_max);
        let mut values = vec![T::zero(); indices.len() * size];
        let fill = |(target, &index): (&mut [T], &u32)| {
            let mut pixels = self.pixels(index as usize).to_vec();
            vary(index, &mut pixels);
            let planes = pixels.chunks_exact(height * width);
            for ((target, plane), table) in target
                .chunks_exact_mut(height * width)
                .zip(planes)
                .zip(&table)
            {
                for (value, &pixel) in target.iter_mut().zip(plane) {
                    *value = table[usize::from(pixel)];
                }
            }
        };
        if values.len() < PARALLEL_FROM {
            values.chunks_exact_mut(size).zip(indices).for_each(fill);
        } else {
            values
                .par_chunks_exact_mut(size)
                .zip(indices)
                .for_each(fill);
        }
        let shape = (indices.len(), channels, height, width);
        Ok(Tensor::from_vec(values, shape, device)?)
    }

    /// The images at `indices`, as a set of their own.
    ///
    /// # Errors
    /// When `indices` is empty or one is out of range.
    pub fn select(&self, indices: &[u32]) -> Result<Self> {
        self.check_indices(indices)?;
        if indices.is_empty() {
            return Err(Error::setting("indices", "[]", "at least one image"));
        }
        let mut pixels = Vec::with_capacity(indices.len() * self.image_size());
        for &index in indices {
            pixels.extend_from_slice(self.pixels(index as usize));
        }
        Ok(Self {
            pixels: Arc::new(pixels),
            labels: indices.iter().map(|&i| self.labels[i as usize]).collect(),
            shape: self.shape,
            classes: self.classes.clone(),
            pixel_max: self.pixel_max,
            normalisation: self.normalisation.clone(),
        })
    }

    /// `count` of the images, or all where there are fewer, in a random order.
    ///
    /// # Errors
    /// As [`select`](Self::select).
    pub fn sample(&self, count: usize, seed: u64) -> Result<Self> {
        let all = (0..self.len() as u32).collect();
        self.select(&subset(all, count, seed))
    }

    /// Two disjoint index lists, sorted: of each class, `fraction` of its images (rounded) at random
    /// for the second, the others for the first. A pure function of the labels and the seed.
    ///
    /// # Errors
    /// When `fraction` is not between 0 and 1, or leaves a list empty.
    pub fn stratified_split(&self, fraction: f64, seed: u64) -> Result<(Vec<u32>, Vec<u32>)> {
        if !(fraction > 0.0 && fraction < 1.0) {
            return Err(Error::setting("fraction", fraction, "0 < fraction < 1"));
        }
        let (mut rest, mut held_out) = (Vec::new(), Vec::new());
        for class in 0..self.classes.len() as u32 {
            let mut members: Vec<u32> = (0..self.len() as u32)
                .filter(|&i| self.labels[i as usize] == class)
                .collect();
            shuffle(
                &mut stream(seed, Stream::Split, u64::from(class)),
                &mut members,
            );
            let count = (fraction * members.len() as f64).round() as usize;
            rest.extend_from_slice(&members[count..]);
            held_out.extend_from_slice(&members[..count]);
        }
        if rest.is_empty() || held_out.is_empty() {
            return Err(Error::setting(
                "fraction",
                fraction,
                format!("a fraction that leaves {} images in two parts", self.len()),
            ));
        }
        rest.sort_unstable();
        held_out.sort_unstable();
        Ok((rest, held_out))
    }

    /// How many images each class has.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for &label in &self.labels {
            counts[label as usize] += 1;
        }
        counts
    }

    /// Mean and standard deviation of each channel over all pixels scaled to [0, 1], exact up to the
    /// final rounding: sums of pixel values and of their squares are integers.
    pub fn statistics(&self) -> Normalisation {
        let (channels, height, width) = self.shape;
        let max = f64::from(self.pixel_max);
        let count = (self.len() * height * width) as f64;
        let (mean, std) = (0..channels)
            .map(|channel| {
                let (mut sum, mut squares) = (0u64, 0u64);
                for image in self.pixels.chunks_exact(self.image_size()) {
                    for &p in &image[channel * height * width..(channel + 1) * height * width] {
                        sum += u64::from(p);
                        squares += u64::from(p) * u64::from(p);
                    }
                }
                let mean = sum as f64 / count;
                let variance = squares as f64 / count - mean * mean;
                (mean / max, variance.max(0.0).sqrt() / max)
            })
            .unzip();
        Normalisation { mean, std }
    }

    /// The SHA-256 of shape, pixels and labels: what a run's results depend on.
    pub fn sha256(&self) -> String {
        let mut hasher = Hasher::new();
        let (channels, height, width) = self.shape;
        for size in [self.len(), channels, height, width, self.pixel_max.into()] {
            hasher.update(&(size as u64).to_le_bytes());
        }
        hasher.update(self.pixels.as_slice());
        for label in &self.labels {
            hasher.update(&label.to_le_bytes());
        }
        hasher.finish()
    }
}

impl Splits<ImageSet> {
    /// Holds out `fraction` of the training images, class by class, to choose settings by.
    ///
    /// # Errors
    /// As [`ImageSet::stratified_split`].
    pub fn hold_out(self, fraction: f64, seed: u64) -> Result<Self> {
        let (rest, held_out) = self.train.stratified_split(fraction, seed)?;
        Ok(Self {
            validation: Some(self.train.select(&held_out)?),
            train: self.train.select(&rest)?,
            test: self.test,
        })
    }

    /// The SHA-256 over the parts' [hashes](ImageSet::sha256).
    pub fn sha256(&self) -> String {
        let mut hasher = Hasher::new();
        for part in [
            Some(&self.train),
            self.validation.as_ref(),
            Some(&self.test),
        ] {
            hasher.update(part.map(ImageSet::sha256).unwrap_or_default().as_bytes());
        }
        hasher.finish()
    }

    /// All images at once in the type of the Candle examples, for code written against it. Pixels are
    /// normalised f32.
    ///
    /// # Errors
    /// When the tensors cannot be made on `device`.
    pub fn to_candle(&self, device: &Device) -> Result<candle_datasets::vision::Dataset> {
        let whole = |set: &ImageSet| {
            let indices: Vec<u32> = (0..set.len() as u32).collect();
            set.batch(&indices, device, DType::F32)
        };
        let (train_images, train_labels) = whole(&self.train)?;
        let (test_images, test_labels) = whole(&self.test)?;
        Ok(candle_datasets::vision::Dataset {
            train_images,
            train_labels,
            test_images,
            test_labels,
            labels: self.train.classes.len(),
        })
    }
}
