//! Mutations of files, from a fixed seed.

use std::fmt::{Debug, Display};

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseResult, TestRunner};

/// One change of a file; places and lengths are taken modulo its size.
#[derive(Debug, Clone)]
enum Change {
    Flip(usize, u8),
    Overwrite(usize, Vec<u8>),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Repeat(usize, usize),
    Cut(usize),
}

fn change() -> impl Strategy<Value = Change> {
    let place = any::<usize>;
    let bytes = || prop::collection::vec(any::<u8>(), 1..9);
    // Numbers at the ends of their ranges, as lengths and counts.
    let extreme = prop::sample::select(vec![
        vec![0xff; 4],
        vec![0x7f; 4],
        vec![0; 4],
        vec![0x80; 8],
    ]);
    prop_oneof![
        4 => (place(), 0..8u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        2 => (place(), bytes()).prop_map(|(at, bytes)| Change::Overwrite(at, bytes)),
        2 => (place(), extreme).prop_map(|(at, bytes)| Change::Overwrite(at, bytes)),
        1 => (place(), bytes()).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        1 => (place(), 1..64usize).prop_map(|(at, count)| Change::Remove(at, count)),
        1 => (place(), 1..64usize).prop_map(|(at, count)| Change::Repeat(at, count)),
        1 => place().prop_map(Change::Cut),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    let at = |place: usize| place % bytes.len().max(1);
    let until = |from: usize, count: usize| (from + count).min(bytes.len());
    match change {
        _ if bytes.is_empty() => {}
        Change::Flip(place, bit) => {
            let at = at(*place);
            bytes[at] ^= 1 << bit;
        }
        Change::Overwrite(place, new) => {
            let from = at(*place);
            let to = until(from, new.len());
            bytes[from..to].copy_from_slice(&new[..to - from]);
        }
        Change::Insert(place, new) => {
            let at = at(*place);
            bytes.splice(at..at, new.iter().copied());
        }
        Change::Remove(place, count) => {
            let from = at(*place);
            let to = until(from, *count);
            bytes.drain(from..to);
        }
        Change::Repeat(place, count) => {
            let from = at(*place);
            let part = bytes[from..until(from, *count)].to_vec();
            bytes.splice(from..from, part);
        }
        Change::Cut(place) => {
            let at = at(*place);
            bytes.truncate(at);
        }
    }
}

/// Reads so many mutations of a file, which is read itself, too; `read` panics where a format's reader does.
pub fn mutate<E: Display + Debug>(cases: u32, file: &[u8], read: impl Fn(&[u8]) -> Result<(), E>) {
    let config = ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(20_250_304),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let changes = prop::collection::vec(change(), 1..5);
    let tried = TestRunner::new(config).run(&changes, |changes| -> TestCaseResult {
        let mut bytes = file.to_vec();
        changes.iter().for_each(|change| apply(&mut bytes, change));
        if let Err(error) = read(&bytes) {
            let text = error.to_string();
            prop_assert!(!text.is_empty() && !text.contains("panicked"), "{text}");
        }
        Ok(())
    });
    if let Err(failure) = tried {
        panic!("{failure}");
    }
    read(file).unwrap();
}
