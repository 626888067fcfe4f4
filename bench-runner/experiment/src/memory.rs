//! How much memory the process has allocated, counted at the allocator, and how much the machine has left.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, Ordering};

/// Bytes, but for what the threads have not handed in yet.
static LIVE: AtomicIsize = AtomicIsize::new(0);
static PEAK: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    /// What this thread has allocated less what it has freed since it last handed that in: with one count
    /// for all, the threads would wait for each other at every allocation.
    static OWN: Cell<isize> = const { Cell::new(0) };
}

/// A thread hands in its count when it is so many bytes away from 0; totals are exact to as much per thread,
/// those that have ended included.
const GRAIN: isize = 64 << 10;

/// An allocator that counts what `A` has given out, in bytes. The binary's allocator is one; where it is
/// not, the counts stay 0 and what depends on them knows nothing.
pub struct Counted<A>(pub A);

// SAFETY: every call goes to `A` as it came, and `A` keeps the contract.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counted<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as above.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as above.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: as above.
        unsafe { self.0.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above.
        unsafe { self.0.dealloc(pointer, layout) }
    }
}

fn count(bytes: isize) {
    // A thread that is ending has no count of its own any more.
    let own = OWN.try_with(|own| {
        own.set(own.get() + bytes);
        own.get()
    });
    match own {
        Ok(own) if own.abs() < GRAIN => {}
        Ok(_) => hand_in(),
        Err(_) => add(bytes),
    }
}

fn hand_in() {
    add(OWN.try_with(Cell::take).unwrap_or(0));
}

fn add(bytes: isize) {
    let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(live, Ordering::Relaxed);
}

/// Bytes allocated now.
pub fn live() -> u64 {
    hand_in();
    LIVE.load(Ordering::Relaxed).max(0) as u64
}

/// What `work` returns, and the most bytes that were allocated at once meanwhile, by all threads and with
/// what was there before.
pub fn peak<T>(work: impl FnOnce() -> T) -> (T, u64) {
    PEAK.store(live() as isize, Ordering::Relaxed);
    let result = work();
    hand_in();
    (result, PEAK.load(Ordering::Relaxed).max(0) as u64)
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
    fn what_all_threads_hold_is_counted() {
        let allocator = Counted(std::alloc::System);
        let layout = |size| Layout::from_size_align(size, 8).unwrap();
        let (block, larger, crumb) = (layout(1 << 20), layout(5 << 20), layout(100));
        let before = live();
        let (during, highest) = peak(|| {
            // SAFETY: pointers come from the same allocator with the same layout, and are not used after.
            let allocate = || unsafe {
                let crumb_at = allocator.alloc(crumb);
                let first = allocator.alloc(block);
                let second = allocator.alloc_zeroed(block);
                let first = allocator.realloc(first, block, larger.size());
                let during = live();
                allocator.dealloc(first, larger);
                allocator.dealloc(second, block);
                allocator.dealloc(crumb_at, crumb);
                hand_in();
                during
            };
            std::thread::scope(|scope| scope.spawn(allocate).join().unwrap())
        });
        assert_eq!(during, before + (6 << 20) + 100);
        assert_eq!(highest, during);
        assert_eq!(live(), before);
    }

    #[test]
    fn what_is_available_is_read_from_linuxs_table() {
        let table = "MemTotal:       24736392 kB\nMemFree:        21000000 kB\nMemAvailable:   23068672 kB\n";
        assert_eq!(available_of(table), Some(22 << 30));
        assert_eq!(available_of("MemTotal: 1 kB\n"), None);
    }
}
