//! Image sets of any size, read shard by shard in constant memory, decoded in parallel ahead of use.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use crate::augment::{Augmentation, Draws};
use crate::catalogue::Columns;
use crate::decode::{Shape, decode, decode_into, planes};
use crate::images::read_labels;
use crate::parquet::{ColumnKind, ParquetFile};
use crate::{Error, Normalisation, Result};
use bench_stats::random::{Stream, below, shuffle, stream};

/// The most that the encoded images of a window take.
const WINDOW_BYTES: usize = 256 << 20;

/// More batches ahead than this help nobody.
const MAX_PREFETCH: usize = 1 << 10;

/// How a set is streamed.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamOptions {
    /// The seed of order and augmentation.
    pub seed: u64,
    /// The epoch: order and augmentation are a pure function of seed and epoch.
    pub epoch: u64,
    /// Images in a batch.
    pub batch_size: usize,
    /// Leaves out a last batch that is not full.
    pub drop_last: bool,
    /// Encoded images that are mixed at a time, 0 for the files' order; fewer where so many take more than
    /// 256 MiB. Shards come in random order, and each sample is drawn from this window, since a whole
    /// permutation would need random access.
    pub shuffle_window: usize,
    /// How images are varied.
    pub augmentation: Augmentation,
    /// Batches that are made ahead.
    pub prefetch: usize,
    /// Batches at the start that are passed over without decoding, to resume within an epoch.
    pub skip: usize,
}

impl StreamOptions {
    /// Training in random order: a window of 4096 images, two batches ahead.
    pub fn new(seed: u64, epoch: u64, batch_size: usize) -> Self {
        Self {
            seed,
            epoch,
            batch_size,
            drop_last: true,
            shuffle_window: 4096,
            augmentation: Augmentation::default(),
            prefetch: 2,
            skip: 0,
        }
    }

    /// Evaluation: in the files' order, whole, unvaried.
    pub fn in_order(batch_size: usize) -> Self {
        Self {
            drop_last: false,
            shuffle_window: 0,
            ..Self::new(0, 0, batch_size)
        }
    }
}

/// What is streamed: the files, and what their images must be.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) columns: Columns,
    pub(crate) shape: Shape,
    pub(crate) resize: Option<usize>,
    pub(crate) classes: usize,
    pub(crate) normalisation: Normalisation,
}

/// The batches of one epoch: normalised f32 images `[b, c, h, w]` and labels `[b]` (u32).
///
/// A thread decodes ahead of use, and another one reads ahead of that; dropping the stream ends both.
pub struct ImageStream {
    receiver: Option<Receiver<Result<HostBatch>>>,
    worker: Option<JoinHandle<()>>,
    shape: Shape,
    device: Device,
}

struct HostBatch {
    pixels: Vec<f32>,
    labels: Vec<u32>,
}

/// An encoded image, its label, and its number in the set.
struct Sample {
    encoded: Vec<u8>,
    label: u32,
    number: u32,
    place: (usize, u64),
}

impl ImageStream {
    pub(crate) fn new(source: Source, options: StreamOptions, device: &Device) -> Result<Self> {
        if options.batch_size == 0 {
            return Err(Error::setting("batch_size", 0, "at least 1"));
        }
        if options.prefetch > MAX_PREFETCH {
            return Err(Error::setting(
                "prefetch",
                options.prefetch,
                format!("at most {MAX_PREFETCH} batches"),
            ));
        }
        options.augmentation.check()?;
        let shape = source.shape;
        let (sender, receiver) = sync_channel(options.prefetch.max(1));
        let worker = std::thread::Builder::new()
            .name("image-stream".into())
            .spawn(move || {
                let result = produce(&source, &options, |batch| sender.send(Ok(batch)).is_ok());
                if let Err(error) = result {
                    // The receiver may be gone already.
                    let _ = sender.send(Err(error));
                }
            })
            .map_err(Error::io("start a thread for", "image stream"))?;
        Ok(Self {
            receiver: Some(receiver),
            worker: Some(worker),
            shape,
            device: device.clone(),
        })
    }

    fn tensors(&self, batch: HostBatch) -> Result<(Tensor, Tensor)> {
        let (channels, height, width) = self.shape;
        let count = batch.labels.len();
        Ok((
            Tensor::from_vec(batch.pixels, (count, channels, height, width), &self.device)?,
            Tensor::from_vec(batch.labels, count, &self.device)?,
        ))
    }
}

impl Iterator for ImageStream {
    type Item = Result<(Tensor, Tensor)>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.receiver.as_ref()?.recv().ok()?;
        Some(batch.and_then(|batch| self.tensors(batch)))
    }
}

impl Drop for ImageStream {
    fn drop(&mut self) {
        self.receiver = None;
        if let Some(worker) = self.worker.take() {
            // A panic of the worker has ended the stream already.
            let _ = worker.join();
        }
    }
}

/// Makes all batches; `send` answers whether more are wanted.
fn produce(
    source: &Source,
    options: &StreamOptions,
    mut send: impl FnMut(HostBatch) -> bool,
) -> Result<()> {
    let files = source
        .files
        .iter()
        .map(|path| ParquetFile::open(path))
        .collect::<Result<Vec<_>>>()?;
    let columns = files
        .iter()
        .map(|file| {
            let image = file.find(ColumnKind::Image, source.columns.image.as_deref())?;
            let label = file.find(ColumnKind::Label, source.columns.label.as_deref())?;
            Ok((image, label))
        })
        .collect::<Result<Vec<_>>>()?;
    let maker = BatchMaker {
        source,
        options,
        files: &files,
        columns: &columns,
        table: source.normalisation.table(u8::MAX),
    };
    let mut generator = stream(options.seed, Stream::BatchOrder, options.epoch);
    let mut shards: Vec<(usize, usize)> = files
        .iter()
        .scan(0, |first, file| {
            let start = *first;
            *first += file.rows();
            Some(start)
        })
        .enumerate()
        .collect();
    if options.shuffle_window > 0 {
        shuffle(&mut generator, &mut shards);
    }
    let read_group = |shard: usize, offset: usize, first, count| -> Result<Vec<Sample>> {
        let file = &files[shard];
        let (image, label) = &columns[shard];
        let frame = file.read(&[image, label], first, count)?;
        let mut labels = Vec::with_capacity(count);
        read_labels(file, &frame, label, first, source.classes, &mut labels)?;
        let bytes = file.bytes(&frame, image)?;
        let samples = bytes.iter().zip(labels).enumerate();
        let samples = samples.map(|(row, (encoded, label))| Sample {
            encoded: encoded.unwrap_or_default().to_vec(),
            label,
            number: (offset + first + row) as u32,
            place: (shard, (first + row) as u64),
        });
        Ok(samples.collect())
    };
    std::thread::scope(|scope| {
        // A row group is handed over without being kept: the next one is read meanwhile, and no more of them.
        let (sender, groups) = sync_channel(0);
        let (files, read_group) = (&files, &read_group);
        let read_all = move || {
            for (shard, offset) in shards {
                for (first, count) in files[shard].row_groups() {
                    if sender
                        .send(read_group(shard, offset, first, count))
                        .is_err()
                    {
                        return;
                    }
                }
            }
        };
        std::thread::Builder::new()
            .name("image-reader".into())
            .spawn_scoped(scope, read_all)
            .map_err(Error::io("start a thread for", "image stream"))?;
        let mut window: Vec<Sample> = Vec::new();
        let mut held = 0;
        let mut batch: Vec<Sample> = Vec::new();
        let mut made = 0;
        let mut push = |sample: Sample, batch: &mut Vec<Sample>| -> Result<bool> {
            batch.push(sample);
            if batch.len() < options.batch_size {
                return Ok(true);
            }
            made += 1;
            let full = std::mem::take(batch);
            Ok(made <= options.skip || send(maker.make(&full)?))
        };
        for group in groups {
            for sample in group? {
                held += sample.encoded.len();
                window.push(sample);
                while window.len() > options.shuffle_window || held > WINDOW_BYTES {
                    let at = below(&mut generator, window.len());
                    let next = window.swap_remove(at);
                    held -= next.encoded.len();
                    if !push(next, &mut batch)? {
                        return Ok(());
                    }
                }
            }
        }
        shuffle(&mut generator, &mut window);
        for sample in window {
            if !push(sample, &mut batch)? {
                return Ok(());
            }
        }
        if !batch.is_empty() && !options.drop_last {
            send(maker.make(&batch)?);
        }
        Ok(())
    })
}

struct BatchMaker<'a> {
    source: &'a Source,
    options: &'a StreamOptions,
    files: &'a [ParquetFile],
    /// The columns of images and labels of each file.
    columns: &'a [(String, String)],
    /// The normalised value of each pixel value, per channel.
    table: Vec<[f32; 256]>,
}

impl BatchMaker<'_> {
    fn make(&self, samples: &[Sample]) -> Result<HostBatch> {
        let (channels, height, width) = self.source.shape;
        let (plane, size) = (height * width, channels * height * width);
        let mut pixels = vec![0f32; samples.len() * size];
        let failures: Vec<Error> = pixels
            .par_chunks_exact_mut(size)
            .zip(samples)
            .map_init(
                || vec![0u8; size],
                |buffer, (target, sample)| {
                    self.image(sample, buffer).map_err(|problem| {
                        let (shard, row) = sample.place;
                        let column = Some(self.columns[shard].0.as_str());
                        Error::malformed_row(self.files[shard].name(), row, column, problem)
                    })?;
                    for channel in 0..channels {
                        let planes = channel * plane..(channel + 1) * plane;
                        for (value, &pixel) in
                            target[planes.clone()].iter_mut().zip(&buffer[planes])
                        {
                            *value = self.table[channel][usize::from(pixel)];
                        }
                    }
                    Ok(())
                },
            )
            .filter_map(Result::err)
            .collect();
        match failures.into_iter().next() {
            Some(error) => Err(error),
            None => Ok(HostBatch {
                pixels,
                labels: samples.iter().map(|sample| sample.label).collect(),
            }),
        }
    }

    fn image(&self, sample: &Sample, target: &mut [u8]) -> std::result::Result<(), String> {
        let (channels, height, width) = self.source.shape;
        let augmentation = &self.options.augmentation;
        let mut draws = Draws::new(self.options.seed, self.options.epoch, sample.number);
        if augmentation.random_resized_crop {
            let image = decode(&sample.encoded, channels)?;
            let image =
                Augmentation::resized_crop(&mut draws, &image, height as u32, width as u32)?;
            planes(&image, target);
        } else {
            decode_into(
                &sample.encoded,
                self.source.shape,
                self.source.resize,
                target,
            )?;
        }
        if !augmentation.is_none() {
            augmentation.apply(&mut draws, self.source.shape, target);
        }
        Ok(())
    }
}
