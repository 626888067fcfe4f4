//! Launches of kernels, and the memory that they work on.
//!
//! A launch queues work on the device's one stream, as Candle's operations do, so that it runs
//! after what made its vectors and before what reads them. Kernels get addresses: [`Gpu::address`]
//! checks what is behind each. Sums come to the host in one transfer at the end of an operation,
//! which waits for the queue.

use candle_core::backend::BackendStorage;
use candle_core::cuda::cudarc::driver::{
    CudaSlice, DevicePtr, DeviceRepr, LaunchConfig, PushKernelArg, ValidAsZeroBits,
};
use candle_core::cuda::{CudaStorageSlice, WrapErr};
use candle_core::{CudaDevice, DType, Device, Result, Storage, Tensor, bail};

include!(concat!(env!("OUT_DIR"), "/kernels.rs"));

/// Threads of a block, as in `kernels.cu`.
const THREADS: u32 = 256;

/// The blocks of a pass: as many as it takes to keep any GPU busy, and few enough for their sums to
/// be a small part of the traffic. Results depend on their number, so it depends on nothing but the
/// length.
const BLOCKS: usize = 1024;

/// Elements that a block takes at once in passes over flat vectors: four for each thread, as in
/// `kernels.cu`.
const TILE: usize = 4 * THREADS as usize;

/// The blocks of a pass over flat vectors of `d` elements.
pub(super) fn blocks(d: usize) -> u32 {
    d.div_ceil(TILE).clamp(1, BLOCKS) as u32
}

/// An argument of a kernel.
#[derive(Clone, Copy)]
pub(super) enum Argument {
    Address(u64),
    Count(u32),
    Number(f64),
}

/// No vector: kernels test for it.
pub(super) const NONE: Argument = Argument::Address(0);

/// A GPU, as the operations here use it.
pub(super) struct Gpu {
    device: CudaDevice,
}

impl Gpu {
    pub(super) fn of(tensor: &Tensor) -> Result<Self> {
        match tensor.device() {
            Device::Cuda(device) => Ok(Self {
                device: device.clone(),
            }),
            device => bail!(
                "a tensor is on {:?}, not on a CUDA device",
                device.location()
            ),
        }
    }

    /// The address of a tensor's first element.
    ///
    /// # Errors
    /// When the tensor is on another device, of another dtype or length, or not contiguous: a
    /// kernel would read or write what is not its own.
    pub(super) fn address(&self, tensor: &Tensor, dtype: DType, length: usize) -> Result<u64> {
        let (storage, layout) = tensor.storage_and_layout();
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("a tensor is not contiguous")
        };
        let Storage::Cuda(storage) = &*storage else {
            bail!("a tensor is not on a CUDA device")
        };
        if storage.device().id() != self.device.id() {
            bail!("a tensor is on another CUDA device")
        }
        if tensor.dtype() != dtype || end - start != length {
            bail!(
                "a tensor has {} elements of {:?}, expected {length} of {dtype:?}",
                end - start,
                tensor.dtype()
            )
        }
        let first = match &storage.slice {
            CudaStorageSlice::F32(slice) => self.address_of(slice),
            CudaStorageSlice::F64(slice) => self.address_of(slice),
            CudaStorageSlice::F16(slice) => self.address_of(slice),
            CudaStorageSlice::BF16(slice) => self.address_of(slice),
            _ => bail!("a tensor of {dtype:?} is no vector of floating-point numbers"),
        };
        Ok(first + (start * dtype.size_in_bytes()) as u64)
    }

    /// The address as an argument; [`NONE`] for no tensor.
    pub(super) fn argument(
        &self,
        tensor: Option<&Tensor>,
        dtype: DType,
        length: usize,
    ) -> Result<Argument> {
        tensor.map_or(Ok(NONE), |tensor| {
            self.address(tensor, dtype, length).map(Argument::Address)
        })
    }

    fn address_of<T>(&self, slice: &CudaSlice<T>) -> u64 {
        slice.device_ptr(&self.device.cuda_stream()).0
    }

    /// Copies a table to the gpu.
    pub(super) fn upload<T: DeviceRepr + 'static>(&self, table: &[T]) -> Result<DeviceBuffer<T>> {
        // The driver does not allocate nothing.
        let filled = (!table.is_empty()).then(|| self.device.clone_htod(table));
        Ok(DeviceBuffer(filled.transpose()?))
    }

    /// Zeroed memory for `length` elements.
    pub(super) fn zeros<T: DeviceRepr + ValidAsZeroBits>(
        &self,
        length: usize,
    ) -> Result<DeviceBuffer<T>> {
        let filled = (length > 0).then(|| self.device.alloc_zeros(length));
        Ok(DeviceBuffer(filled.transpose()?))
    }

    /// Queues the kernel `name` on a grid of blocks; nothing where there are none.
    ///
    /// # Safety
    /// The arguments must be those of the kernel in `kernels.cu`, in number, order and kind, and
    /// every address that of as many elements as the kernel reads or writes there. What it writes,
    /// no one may hold a reference to.
    pub(super) unsafe fn launch(
        &self,
        name: &str,
        grid: (u32, u32),
        arguments: &[Argument],
    ) -> Result<()> {
        if grid.0 == 0 || grid.1 == 0 {
            return Ok(());
        }
        let kernel = self
            .device
            .get_or_load_custom_func(name, "optim", KERNELS)?;
        let mut builder = kernel.builder();
        for argument in arguments {
            match argument {
                Argument::Address(address) => builder.arg(address),
                Argument::Count(count) => builder.arg(count),
                Argument::Number(number) => builder.arg(number),
            };
        }
        let config = LaunchConfig {
            grid_dim: (grid.0, grid.1, 1),
            block_dim: (THREADS, 1, 1),
            shared_mem_bytes: 0,
        };
        // SAFETY: as the caller promises.
        unsafe { builder.launch(config) }.w()?;
        Ok(())
    }

    /// Zeroed memory for what the `rows` blocks of a kernel leave: one number in each of `columns`.
    pub(super) fn partials(&self, rows: u32, columns: usize) -> Result<Partials> {
        Ok(Partials {
            rows,
            columns,
            values: self.zeros(rows as usize * columns)?,
        })
    }

    /// The total of each column, of one table after the other: its sum, and in columns from `sums`
    /// on its largest number.
    pub(super) fn totals(&self, tables: &[(&Partials, u32)]) -> Result<Vec<f64>> {
        let columns = tables.iter().map(|(table, _)| table.columns).sum();
        let out = self.device.alloc_zeros::<f64>(columns)?;
        let mut next = self.address_of(&out);
        for &(table, sums) in tables.iter().filter(|(table, _)| table.columns > 0) {
            let arguments = [
                table.argument(self),
                Argument::Count(table.rows),
                Argument::Count(sums),
                Argument::Address(next),
            ];
            // SAFETY: the table has `rows` rows of as many columns as there are blocks, and `out`
            // has an element for each column of all tables.
            unsafe { self.launch("totals", (table.columns as u32, 1), &arguments)? };
            next += (table.columns * size_of::<f64>()) as u64;
        }
        self.device.clone_dtoh(&out)
    }
}

/// Elements in the device's memory, or none.
pub(super) struct DeviceBuffer<T>(Option<CudaSlice<T>>);

impl<T> DeviceBuffer<T> {
    pub(super) fn argument(&self, gpu: &Gpu) -> Argument {
        let elements = self.0.as_ref();
        elements.map_or(NONE, |elements| Argument::Address(gpu.address_of(elements)))
    }
}

/// What the blocks of a kernel leave for [`Gpu::totals`].
pub(super) struct Partials {
    pub(super) rows: u32,
    columns: usize,
    values: DeviceBuffer<f64>,
}

impl Partials {
    pub(super) fn argument(&self, gpu: &Gpu) -> Argument {
        self.values.argument(gpu)
    }
}

/// The kernel of an operation on elements of `dtype`.
pub(super) fn name(operation: &str, dtype: DType) -> String {
    format!("{operation}_{}", dtype.as_str())
}

/// A run of elements of one parameter, laid out as in `kernels.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Run {
    vectors: [u64; 5],
    length: u32,
    group: u32,
}

// SAFETY: plain numbers without padding.
unsafe impl DeviceRepr for Run {}

/// The runs of an operation on all parameters, for a block each.
pub(super) struct Runs {
    /// Elements of a run.
    length: usize,
    runs: Vec<Run>,
}

impl Runs {
    /// For parameters of `d` elements in all.
    pub(super) fn new(d: usize) -> Self {
        Self {
            length: d.div_ceil(BLOCKS).next_multiple_of(TILE),
            runs: Vec::new(),
        }
    }

    /// Adds the runs of one parameter of `length` elements in `group`. `vectors` are the addresses
    /// of its first element in each vector, and the bytes of an element there; the address 0 stands
    /// for no vector.
    pub(super) fn push(&mut self, vectors: [(u64, usize); 5], length: usize, group: usize) {
        for start in (0..length).step_by(self.length) {
            self.runs.push(Run {
                vectors: vectors.map(|(first, size)| match first {
                    0 => 0,
                    first => first + (start * size) as u64,
                }),
                length: self.length.min(length - start) as u32,
                group: group as u32,
            });
        }
    }

    /// The runs in the device's memory, and how many they are.
    pub(super) fn upload(&self, gpu: &Gpu) -> Result<(DeviceBuffer<Run>, u32)> {
        Ok((gpu.upload(&self.runs)?, self.runs.len() as u32))
    }
}
