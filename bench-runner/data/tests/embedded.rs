//! The embedded data, batch order and token windows.

use std::collections::HashSet;

use bench_data::{
    BatchOrder, Catalogue, OrderOptions, Splits, TokenSet, Vocabulary, digits, moby_dick, sha256,
};
use candle_core::{DType, Device};
use proptest::prelude::*;

#[test]
fn digits_have_the_published_class_counts() {
    let digits = digits().unwrap();
    // scikit-learn: numpy.bincount(load_digits().target)
    let published = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180];
    let (train, test) = (digits.train.class_counts(), digits.test.class_counts());
    for class in 0..10 {
        assert_eq!(train[class] + test[class], published[class]);
        assert_eq!(
            test[class],
            (published[class] as f64 / 5.0).round() as usize
        );
    }
    // scikit-learn: load_digits().data.mean() = 4.884165
    let sum = |set: &bench_data::ImageSet| set.statistics().mean[0] * 16.0 * set.len() as f64;
    let mean = (sum(&digits.train) + sum(&digits.test)) / 1797.0;
    assert!((mean - 4.884164579855314).abs() < 1e-9, "{mean}");
}

#[test]
fn the_catalogue_normalises_digits_by_their_training_part() {
    let catalogue = Catalogue::built_in().unwrap();
    let stated = catalogue
        .get("digits")
        .unwrap()
        .normalisation
        .clone()
        .unwrap();
    let found = digits().unwrap().train.statistics();
    assert!((stated.mean[0] - found.mean[0]).abs() < 5e-5, "{found:?}");
    assert!((stated.std[0] - found.std[0]).abs() < 5e-5, "{found:?}");
}

#[test]
fn digits_and_moby_dick_never_change() {
    let (first, second) = (digits().unwrap(), digits().unwrap());
    assert_eq!(first.sha256(), second.sha256());
    assert_eq!(first.sha256(), DIGITS);
    let text = moby_dick().unwrap();
    let all = text.train + &text.validation.unwrap() + &text.test;
    assert_eq!(all.chars().count(), 1_189_788);
    assert_eq!(sha256(all.as_bytes()), MOBY_DICK);
}
const DIGITS: &str = "cf871276f790952368f919c8dafb5ccc28a9324ff647a2cbd2514e3fc88db377";
const MOBY_DICK: &str = "463960c2f8bc07e748c7a21fb0f959b9b46c8559eeec4945e7337119b6d523eb";

#[test]
fn a_batch_holds_the_scaled_pixels_of_its_images() {
    let train = digits().unwrap().train;
    let (images, labels) = train.batch(&[5, 0], &Device::Cpu, DType::F64).unwrap();
    assert_eq!(images.dims(), [2, 1, 8, 8]);
    let values = images.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let expected: Vec<f64> = [5, 0]
        .iter()
        .flat_map(|&i| train.pixels(i).iter().map(|&p| f64::from(p) / 16.0))
        .collect();
    assert_eq!(values, expected);
    let expected = [train.labels()[5], train.labels()[0]];
    assert_eq!(labels.to_vec1::<u32>().unwrap(), expected);
    let error = train.batch(&[1438], &Device::Cpu, DType::F32).unwrap_err();
    assert_eq!(
        error.to_string(),
        "index = 1438 is out of range: expected 0 to 1437"
    );
}

#[test]
fn batch_order_is_fixed_for_good() {
    let order = BatchOrder::new(42, 10, 4, true).unwrap();
    let batches: Vec<_> = (0..2).map(|b| order.epoch(3).batch(b)).collect();
    assert_eq!(batches, [vec![4, 2, 5, 8], vec![3, 9, 0, 1]]);
    assert_eq!(order.at_step(7), (3, 1));
}

proptest! {
    #[test]
    fn every_epoch_visits_every_sample_once(seed: u64, n in 1usize..300, size in 1usize..64, epoch in 0u64..1000) {
        let order = BatchOrder::new(seed, n, size, false).unwrap();
        let epoch = order.epoch(epoch);
        let batches: Vec<Vec<u32>> = (0..epoch.len()).map(|b| epoch.batch(b)).collect();
        prop_assert_eq!(batches.len(), n.div_ceil(size));
        prop_assert!(batches[..batches.len() - 1].iter().all(|b| b.len() == size));
        let mut seen = batches.concat();
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..n as u32).collect::<Vec<_>>());
    }

    #[test]
    fn overlapping_batches_share_exactly_the_carried_samples(
        seed: u64, n in 40usize..200, size in 2usize..20, fraction in 0.0f64..0.95, epoch in 0u64..5,
    ) {
        prop_assume!(((fraction * size as f64).round() as usize) < size);
        let order = BatchOrder::new(seed, n, size, true).unwrap().with_overlap(fraction).unwrap();
        let (this, next) = (order.epoch(epoch), order.epoch(epoch + 1));
        let overlap = order.overlap();
        let mut batches: Vec<Vec<u32>> = (0..this.len()).map(|b| this.batch(b)).collect();
        batches.push(next.batch(0));
        for pair in batches.windows(2) {
            prop_assert_eq!(pair[0].len(), size);
            prop_assert_eq!(&pair[0][size - overlap..], &pair[1][..overlap]);
        }
        for batch in &batches[1..batches.len() - 1] {
            if n >= (batches.len() + 1) * size {
                prop_assert_eq!(batch.iter().collect::<HashSet<_>>().len(), size);
            }
        }
    }

    #[test]
    fn a_subset_is_the_same_in_every_epoch(seed: u64, n in 10usize..200, epoch in 1u64..50) {
        let order = BatchOrder::new(seed, n, 3, false).unwrap().with_subset(7).unwrap();
        let samples = |epoch| {
            let epoch = order.epoch(epoch);
            (0..epoch.len()).flat_map(|b| epoch.batch(b)).collect::<std::collections::BTreeSet<_>>()
        };
        prop_assert_eq!(samples(0).len(), 7);
        prop_assert_eq!(samples(0), samples(epoch));
    }
}

proptest! {
    #[test]
    fn an_order_resumes_at_any_step(
        seed: u64, n in 30usize..100, size in 2usize..20, fraction in 0.0f64..0.6, drop_last: bool, from in 0u64..60,
    ) {
        let options = OrderOptions { drop_last, overlap: fraction };
        let made = || BatchOrder::with_options(seed, n, size, &options).unwrap().with_subset(25).unwrap();
        let batch = |order: &BatchOrder, step| {
            let (epoch, batch) = order.at_step(step);
            order.epoch(epoch).batch(batch)
        };
        let whole = made();
        let undisturbed: Vec<_> = (0..80).map(|step| batch(&whole, step)).collect();
        let resumed = made();
        let rest: Vec<_> = (from..80).map(|step| batch(&resumed, step)).collect();
        prop_assert_eq!(&undisturbed[from as usize..], &rest[..]);
    }
}

#[test]
fn orders_that_leave_no_batch_are_refused() {
    let says = |order: bench_data::Result<BatchOrder>| order.unwrap_err().to_string();
    assert!(says(BatchOrder::new(0, 0, 4, false)).contains("samples = 0"));
    assert!(says(BatchOrder::new(0, 3, 4, true)).contains("at most the 3 samples"));
    assert!(says(BatchOrder::new(0, 3, 0, false)).contains("batch_size = 0"));
    let order = BatchOrder::new(0, 30, 4, true).unwrap();
    assert!(says(order.clone().with_overlap(1.0)).contains("overlap = 1"));
    assert!(says(order.with_subset(31)).contains("1 to 30 samples"));
}

#[test]
fn targets_are_the_next_tokens() {
    let text = Splits {
        train: "abcdefghij".to_string(),
        validation: None,
        test: "ab".to_string(),
    };
    for vocabulary in [
        Vocabulary::Bytes,
        Vocabulary::characters([text.train.as_str()]).unwrap(),
    ] {
        let set = TokenSet::new(&text, vocabulary).unwrap();
        let train = &set.parts.train;
        assert_eq!(train.windows(3), 3);
        let (inputs, targets) = train.batch(&[2, 0], 3, &Device::Cpu).unwrap();
        let decode = |t: candle_core::Tensor| {
            let rows = t.to_vec2::<u32>().unwrap();
            rows.iter()
                .map(|row| set.vocabulary.decode(row))
                .collect::<Vec<_>>()
        };
        assert_eq!(decode(inputs), ["ghi", "abc"]);
        assert_eq!(decode(targets), ["hij", "bcd"]);
        assert!(train.batch(&[3], 3, &Device::Cpu).is_err());
    }
    let error = Vocabulary::characters(["abc"])
        .unwrap()
        .encode("abd")
        .unwrap_err();
    assert!(error.to_string().contains("'d'"), "{error}");
}
