//! The devices that a flag names, and how runs are spread over them.

use std::fmt;
use std::str::FromStr;

use candle_core::Device;

use crate::error::{Error, Result};

/// Devices of one kind: `cpu`, `cuda` (the first), `cuda:1`, `cuda:0,2`, `cuda:all`; `metal` likewise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSpec {
    kind: Kind,
    ordinals: Ordinals,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Cpu,
    Cuda,
    Metal,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Ordinals {
    These(Vec<usize>),
    All,
}

impl DeviceSpec {
    /// The CPU.
    pub fn cpu() -> Self {
        Self {
            kind: Kind::Cpu,
            ordinals: Ordinals::These(vec![0]),
        }
    }

    /// Whether it is the CPU, which any number of runs share.
    pub fn is_cpu(&self) -> bool {
        self.kind == Kind::Cpu
    }

    /// The devices. Ordinals count the devices that `CUDA_VISIBLE_DEVICES` leaves to this process.
    ///
    /// # Errors
    /// When a device is not there or cannot be used.
    pub fn open(&self) -> Result<Vec<Device>> {
        match self.kind {
            Kind::Cpu => Ok(vec![Device::Cpu]),
            Kind::Cuda => {
                let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
                self.open_with(visible.as_deref(), open_card)
            }
            Kind::Metal => self.open_with(None, Device::new_metal),
        }
    }

    fn open_with<D, E: fmt::Display>(
        &self,
        visible: Option<&str>,
        open: impl Fn(usize) -> Result<D, E>,
    ) -> Result<Vec<D>> {
        let unusable = |ordinal: usize, reason: String| Error::Device {
            device: format!("{}:{ordinal}", self.kind),
            reason,
        };
        let hidden = |ordinal: usize| {
            let count = visible.map(visible_devices)?;
            (ordinal >= count).then(|| {
                unusable(
                    ordinal,
                    format!(
                        "CUDA_VISIBLE_DEVICES=\"{}\" leaves {count} to this process, and ordinals count \
                         those, from 0",
                        visible.unwrap_or_default()
                    ),
                )
            })
        };
        let one = |ordinal: usize| match hidden(ordinal) {
            Some(error) => Err(error),
            None => open(ordinal).map_err(|error| unusable(ordinal, error.to_string())),
        };
        match &self.ordinals {
            Ordinals::These(ordinals) => ordinals.iter().copied().map(one).collect(),
            // A driver refuses the first ordinal that it does not have.
            Ordinals::All => {
                let mut devices = vec![one(0)?];
                devices.extend((1..).map_while(|ordinal| one(ordinal).ok()));
                Ok(devices)
            }
        }
    }

    /// The only device.
    ///
    /// # Errors
    /// When there are several, or it cannot be used.
    pub fn open_one(&self) -> Result<Device> {
        match self.open()?.as_slice() {
            [device] => Ok(device.clone()),
            several => Err(Error::Device {
                device: self.to_string(),
                reason: format!("these are {}, and one run uses one", several.len()),
            }),
        }
    }
}

/// A card on which memory that was freed stays with the process, for the next vector: by default the driver gives it
/// back whenever the process waits for the card, which every step does (CUDA's documentation of
/// `CU_MEMPOOL_ATTR_RELEASE_THRESHOLD`).
#[cfg(feature = "cuda")]
fn open_card(ordinal: usize) -> candle_core::Result<Device> {
    use candle_core::cuda::cudarc::driver::result::{device, mem_pool};
    use candle_core::cuda::cudarc::driver::sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;

    let card = Device::new_cuda(ordinal)?;
    let mut kept = u64::MAX;
    // A card without pools has nothing to keep.
    // SAFETY: the device has just been opened, and the attribute is a number of 64 bits.
    let _ = unsafe {
        device::get(ordinal as i32)
            .and_then(|card| device::get_default_mem_pool(card))
            .and_then(|pool| {
                mem_pool::set_attribute(
                    pool,
                    CU_MEMPOOL_ATTR_RELEASE_THRESHOLD,
                    (&raw mut kept).cast(),
                )
            })
    };
    // Events would be made for each vector, and only matter between streams.
    if let Device::Cuda(card) = &card {
        // SAFETY: a run queues all its work on its thread's stream, and is the only one on its card.
        unsafe { card.disable_event_tracking() };
    }
    Ok(card)
}

#[cfg(not(feature = "cuda"))]
fn open_card(ordinal: usize) -> candle_core::Result<Device> {
    Device::new_cuda(ordinal)
}

/// The kind of some devices, and the models of GPUs, by which numbers may differ: `cpu`, `cuda NVIDIA H200`.
pub fn models(kind: &DeviceSpec, devices: &[Device]) -> Result<String> {
    let mut names: Vec<String> = devices.iter().map(model).collect::<Result<_>>()?;
    names.sort();
    names.dedup();
    Ok(format!("{} {}", kind.kind, names.join(", "))
        .trim_end()
        .into())
}

#[cfg(feature = "cuda")]
fn model(device: &Device) -> Result<String> {
    let Device::Cuda(gpu) = device else {
        return Ok(String::new());
    };
    let stream = gpu.cuda_stream();
    let name = stream.context().name();
    name.map_err(|error| Error::Device {
        device: "cuda".into(),
        reason: error.to_string(),
    })
}

#[cfg(not(feature = "cuda"))]
fn model(_device: &Device) -> Result<String> {
    Ok(String::new())
}

/// How many devices `CUDA_VISIBLE_DEVICES` leaves: those before the first that is not valid.
fn visible_devices(value: &str) -> usize {
    value
        .split(',')
        .map(str::trim)
        .take_while(|name| !name.is_empty() && !name.starts_with('-'))
        .count()
}

/// Runs at the same time: as many as asked for on the CPU, one per device elsewhere, and no more than
/// there is work for.
pub(super) fn slots(jobs: usize, devices: usize, cpu: bool, cells: usize) -> usize {
    let most = if cpu { usize::MAX } else { devices };
    jobs.min(most).min(cells).max(1)
}

impl FromStr for DeviceSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unusable = |reason: &str| Error::Device {
            device: text.into(),
            reason: reason.into(),
        };
        let (kind, ordinals) = text.split_once(':').unwrap_or((text, "0"));
        let kind = match kind {
            "cpu" if kind == text => Kind::Cpu,
            "cuda" => Kind::Cuda,
            "metal" => Kind::Metal,
            _ => return Err(unusable("known are cpu, cuda[:N] and metal[:N]")),
        };
        if ordinals == "all" {
            let ordinals = Ordinals::All;
            return Ok(Self { kind, ordinals });
        }
        let mut numbers = Vec::new();
        for ordinal in ordinals.split(',') {
            match ordinal.parse() {
                Ok(number) if !numbers.contains(&number) => numbers.push(number),
                _ => {
                    return Err(unusable(
                        "the part after `:` must be a number, several such as 0,1, or `all`",
                    ));
                }
            }
        }
        let ordinals = Ordinals::These(numbers);
        Ok(Self { kind, ordinals })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Metal => "metal",
        })
    }
}

impl fmt::Display for DeviceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        match &self.ordinals {
            _ if self.is_cpu() => Ok(()),
            Ordinals::All => f.write_str(":all"),
            Ordinals::These(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
                write!(f, ":{}", numbers.join(","))
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Opens with a driver that has `count` devices.
    fn open(spec: &str, visible: Option<&str>, count: usize) -> Result<Vec<usize>, String> {
        let driver = |ordinal| {
            if ordinal < count {
                Ok(ordinal)
            } else {
                Err("invalid device ordinal")
            }
        };
        spec.parse::<DeviceSpec>()
            .and_then(|spec| spec.open_with(visible, driver))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn names_stand_for_devices() {
        assert_eq!(open("cuda", None, 4).unwrap(), [0]);
        assert_eq!(open("cuda:2", None, 4).unwrap(), [2]);
        assert_eq!(open("cuda:3,1", None, 4).unwrap(), [3, 1]);
        assert_eq!(open("cuda:all", None, 3).unwrap(), [0, 1, 2]);
        for name in ["cpu", "cuda:0", "cuda:0,2", "metal:all"] {
            assert_eq!(name.parse::<DeviceSpec>().unwrap().to_string(), name);
        }
        for name in ["tpu", "cpu:1", "cuda:", "cuda:x", "cuda:1,1", "cuda:-1"] {
            let error = name.parse::<DeviceSpec>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("device `{name}`: ")), "{error}");
        }
    }

    #[test]
    fn a_missing_device_is_named_with_the_drivers_reason() {
        let reason = "device `cuda:4`: invalid device ordinal";
        assert_eq!(open("cuda:0,4", None, 4).unwrap_err(), reason);
        let reason = "device `cuda:0`: invalid device ordinal";
        assert_eq!(open("cuda:all", None, 0).unwrap_err(), reason);
    }

    #[test]
    fn visible_devices_are_honoured() {
        // As the CUDA programming guide has it: what follows an invalid index is invisible.
        for (value, count) in [
            ("", 0),
            ("-1", 0),
            ("3", 1),
            ("0,1,-1,2", 2),
            ("GPU-8932f937,2", 2),
        ] {
            assert_eq!(visible_devices(value), count, "{value}");
        }
        assert_eq!(open("cuda:all", Some("5,2"), 8).unwrap(), [0, 1]);
        let error = open("cuda:2", Some("5,2"), 8).unwrap_err();
        assert!(
            error.contains("CUDA_VISIBLE_DEVICES=\"5,2\" leaves 2"),
            "{error}"
        );
        assert!(open("cuda:all", Some(""), 8).is_err());
    }

    #[test]
    fn a_device_has_one_run_at_a_time_and_the_cpu_as_many_as_asked_for() {
        assert_eq!(slots(8, 1, true, 100), 8);
        assert_eq!(slots(8, 2, false, 100), 2);
        assert_eq!(slots(1, 4, false, 100), 1);
        assert_eq!(slots(8, 4, false, 3), 3);
        assert_eq!(slots(8, 4, true, 0), 1);
    }
}
