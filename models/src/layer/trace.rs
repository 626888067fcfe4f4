//! A record of the layers that a forward pass meets, kept while a [`Summary`](crate::Summary) is
//! made.

use std::cell::RefCell;

use candle_core::{Tensor, TensorId};

/// What a layer did in a traced pass.
pub(crate) struct Record {
    /// The layer's type.
    pub(crate) kind: &'static str,
    /// The ids of its parameters.
    pub(crate) parameters: Vec<TensorId>,
    /// The shape of its output.
    pub(crate) output: Vec<usize>,
    /// Its multiplications, each with an addition.
    pub(crate) multiply_adds: u64,
}

thread_local! {
    /// The layers that this thread has met, while it traces.
    static RECORDS: RefCell<Option<Vec<Record>>> = const { RefCell::new(None) };
}

/// The result of `pass`, and the layers that it met on this thread, in order.
pub(crate) fn traced<R>(pass: impl FnOnce() -> R) -> (R, Vec<Record>) {
    RECORDS.set(Some(Vec::new()));
    let result = pass();
    (result, RECORDS.take().unwrap_or_default())
}

/// Whether this thread traces.
pub(crate) fn is_active() -> bool {
    RECORDS.with_borrow(Option::is_some)
}

/// Notes, while this thread traces, that a layer with these parameters had this output, each
/// element of which took so many multiply-adds.
pub(crate) fn record<'a>(
    kind: &'static str,
    parameters: impl IntoIterator<Item = &'a Tensor>,
    output: &Tensor,
    multiply_adds_per_element: usize,
) {
    RECORDS.with_borrow_mut(|records| {
        if let Some(records) = records {
            records.push(Record {
                kind,
                parameters: parameters.into_iter().map(Tensor::id).collect(),
                output: output.dims().to_vec(),
                multiply_adds: (output.elem_count() * multiply_adds_per_element) as u64,
            });
        }
    });
}
