//! How much memory the process has allocated, counted at the allocator, and how much the machine has left.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicUsize, Ordering};

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// An allocator that counts what `A` has given out, in bytes. The binary's allocator is one; where it is
/// not, the counts stay 0 and what depends on them knows nothing.
pub struct Counted<A>(pub A);

// SAFETY: every call goes to `A` as it came, and `A` keeps the contract.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counted<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        added(layout.size());
        // SAFETY: as above.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        added(layout.size());
        // SAFETY: as above.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        added(size);
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { self.0.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { self.0.dealloc(pointer, layout) }
    }
}

fn added(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    // Reading first spares most allocations the write.
    if live > PEAK.load(Ordering::Relaxed) {
        PEAK.fetch_max(live, Ordering::Relaxed);
    }
}

/// Bytes allocated now.
pub fn live() -> u64 {
    LIVE.load(Ordering::Relaxed) as u64
}

/// What `work` returns, and the most bytes that were allocated at once meanwhile, by all threads and with
/// what was there before.
pub fn peak<T>(work: impl FnOnce() -> T) -> (T, u64) {
    PEAK.store(LIVE.load(Ordering::Relaxed), Ordering::Relaxed);
    let result = work();
    (result, PEAK.load(Ordering::Relaxed) as u64)
}

/// Bytes that this process can still take without swapping, by what Linux says of the machine and of the
/// control group; `None` elsewhere.
pub fn available() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let machine = available_of(&read("/proc/meminfo")?)?;
    let number = |path: &str| read(path)?.trim().parse::<u64>().ok();
    let group = number("/sys/fs/cgroup/memory.max")
        .zip(number("/sys/fs/cgroup/memory.current"))
        .map(|(most, current)| most.saturating_sub(current));
    Some(group.map_or(machine, |group| machine.min(group)))
}

/// Bytes that runs may take together by default: 90 % of what is available, where that is known.
pub fn budget() -> Option<u64> {
    Some(available()? / 10 * 9)
}

/// `MemAvailable` of `/proc/meminfo`, in bytes.
fn available_of(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes << 10)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_counted_once() {
        let allocator = Counted(std::alloc::System);
        let layout = Layout::from_size_align(1000, 8).unwrap();
        let larger = Layout::from_size_align(5000, 8).unwrap();
        let before = live();
        // SAFETY: pointers come from the same allocator with the same layout, and are not used after.
        let (during, peak) = peak(|| unsafe {
            let first = allocator.alloc(layout);
            let second = allocator.alloc_zeroed(layout);
            let first = allocator.realloc(first, layout, larger.size());
            let during = live();
            allocator.dealloc(first, larger);
            allocator.dealloc(second, layout);
            during
        });
        assert_eq!(during, before + 6000);
        // While a block is moved, both may be there.
        assert_eq!(peak, before + 7000);
        assert_eq!(live(), before);
    }

    #[test]
    fn what_is_available_is_read_from_linuxs_table() {
        let table = "MemTotal:       24736392 kB\nMemFree:        21000000 kB\nMemAvailable:   23068672 kB\n";
        assert_eq!(available_of(table), Some(22 << 30));
        assert_eq!(available_of("MemTotal: 1 kB\n"), None);
    }
}
