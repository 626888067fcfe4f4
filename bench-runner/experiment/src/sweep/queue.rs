//! The order in which the runs of a sweep start: the longest first, as memory allows.

use bytesize::ByteSize;
use parking_lot::{Condvar, Mutex};

use super::demand::Demand;

/// The runs that wait for their turn and for memory.
pub(super) struct Queue<'a> {
    demands: &'a [Demand],
    memory: Option<u64>,
    waiting: Mutex<Waiting>,
    freed: Condvar,
}

struct Waiting {
    /// Indices of cells, in the order in which they should start.
    order: Vec<usize>,
    /// Bytes that the runs under way are expected to take.
    taken: u64,
}

/// Whether there is memory for a run.
pub(super) enum Turn<'a> {
    /// Now, and it holds the memory until this is dropped.
    Now(Held<'a>),
    /// Never, and why.
    Never(String),
}

/// Memory of a run under way.
pub(super) struct Held<'a> {
    queue: &'a Queue<'a>,
    bytes: u64,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.queue.waiting.lock().taken -= self.bytes;
        self.queue.freed.notify_all();
    }
}

impl<'a> Queue<'a> {
    /// A queue of all cells with their demands, in `memory` bytes if they are to be counted.
    pub(super) fn new(demands: &'a [Demand], memory: Option<u64>) -> Self {
        let mut order: Vec<usize> = (0..demands.len()).collect();
        order.sort_by(|&a, &b| {
            let (first, second) = (demands[a].seconds, demands[b].seconds);
            second.total_cmp(&first).then(a.cmp(&b))
        });
        Self {
            demands,
            memory,
            waiting: Mutex::new(Waiting { order, taken: 0 }),
            freed: Condvar::new(),
        }
    }

    /// The first cell in the order for which there is memory now, or never will be; waits until there is one.
    pub(super) fn next(&'a self) -> Option<(usize, Turn<'a>)> {
        let most = self.memory.unwrap_or(u64::MAX);
        let mut waiting = self.waiting.lock();
        loop {
            if waiting.order.is_empty() {
                return None;
            }
            let free = most - waiting.taken;
            let place = waiting.order.iter().position(|&index| {
                let bytes = self.demands[index].bytes;
                bytes <= free || bytes > most
            });
            if let Some(place) = place {
                let index = waiting.order.remove(place);
                let bytes = self.demands[index].bytes;
                if bytes > most {
                    let reason = format!(
                        "it is expected to take {}, and runs may take {}: a smaller batch or history, or a machine \
                         with more memory, would help",
                        ByteSize(bytes),
                        ByteSize(most)
                    );
                    return Some((index, Turn::Never(reason)));
                }
                waiting.taken += bytes;
                return Some((index, Turn::Now(Held { queue: self, bytes })));
            }
            self.freed.wait(&mut waiting);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demands(all: &[(f64, u64)]) -> Vec<Demand> {
        let demand = |&(seconds, bytes)| Demand { seconds, bytes };
        all.iter().map(demand).collect()
    }

    #[test]
    fn the_longest_run_for_which_there_is_memory_starts_first() {
        let demands = demands(&[(1.0, 5), (9.0, 6), (5.0, 6), (2.0, 4), (3.0, 11)]);
        let queue = Queue::new(&demands, Some(10));
        let (first, held) = queue.next().expect("five wait");
        assert_eq!(first, 1);
        // 6 of 10 bytes are taken: the next by length would need 6 more, and the one after it never fits.
        let (refused, turn) = queue.next().expect("four wait");
        let Turn::Never(reason) = turn else {
            panic!("run {refused} was let in");
        };
        assert_eq!(refused, 4);
        assert!(
            reason.contains("take 11 B, and runs may take 10 B"),
            "{reason}"
        );
        let (small, also_held) = queue.next().expect("three wait");
        assert_eq!(small, 3);
        drop((held, also_held));
        let (second, _held) = queue.next().expect("two wait");
        assert_eq!(second, 2);
    }

    #[test]
    fn runs_under_way_never_take_more_than_there_is() {
        let demands = demands(&[(1.0, 3), (1.0, 7), (1.0, 5), (1.0, 5), (1.0, 2), (1.0, 10)]);
        let queue = Queue::new(&demands, Some(10));
        let (taken, done) = (Mutex::new(0), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while let Some((index, turn)) = queue.next() {
                        *taken.lock() += demands[index].bytes;
                        assert!(*taken.lock() <= 10);
                        std::thread::yield_now();
                        *taken.lock() -= demands[index].bytes;
                        drop(turn);
                        done.lock().push(index);
                    }
                });
            }
        });
        let mut done = done.into_inner();
        done.sort_unstable();
        assert_eq!(done, [0, 1, 2, 3, 4, 5]);
    }
}
