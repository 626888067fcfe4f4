//! The matrices of a tile, kept from tile to tile and handed from thread to thread.

use std::sync::{Mutex, PoisonError};

use super::parameters::{Parameters, padded};
use super::real::Real;
use crate::physics::jet::Orders;

/// The matrices of one tile.
pub(super) struct Scratch<T> {
    /// The features, in rows without padding.
    pub(super) inputs: Vec<T>,
    pub(super) layers: Vec<Layer<T>>,
    /// The network's output; on the way back the loss's derivative by it.
    pub(super) output: Vec<T>,
    /// The same in f64, for the residuals.
    pub(super) seeds: Vec<f64>,
    /// The loss's derivative by a layer's units, and by those of the layer below.
    pub(super) adjoint: Vec<T>,
    pub(super) adjoint_below: Vec<T>,
}

/// A layer before and after its activation.
pub(super) struct Layer<T> {
    pub(super) affine: Vec<T>,
    pub(super) activated: Vec<T>,
}

impl<T> Default for Scratch<T> {
    fn default() -> Self {
        Self {
            inputs: Vec::new(),
            layers: Vec::new(),
            output: Vec::new(),
            seeds: Vec::new(),
            adjoint: Vec::new(),
            adjoint_below: Vec::new(),
        }
    }
}

impl<T: Real> Scratch<T> {
    /// Makes room for the channels of so many points. Old values stay where they are: all are written
    /// before they are read.
    pub(super) fn resize(&mut self, network: &Parameters<T>, orders: Orders, points: usize) {
        let rows = orders.channels() * points;
        let resize = |vector: &mut Vec<T>, len| vector.resize(len, T::zero());
        resize(&mut self.inputs, rows * network.features);
        resize(&mut self.output, rows);
        self.seeds.resize(rows, 0.0);
        self.layers.resize_with(network.hidden.len(), || Layer {
            affine: Vec::new(),
            activated: Vec::new(),
        });
        let mut widest = 0;
        for (layer, hidden) in self.layers.iter_mut().zip(&network.hidden) {
            let columns = padded::<T>(hidden.outputs);
            resize(&mut layer.affine, rows * columns);
            resize(&mut layer.activated, rows * columns);
            widest = columns.max(widest);
        }
        resize(&mut self.adjoint, rows * widest);
        resize(&mut self.adjoint_below, rows * widest);
    }
}

/// Scratch that is free.
pub(super) struct Pool<T>(Mutex<Vec<Scratch<T>>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Real> Pool<T> {
    pub(super) fn scratch(&self) -> Scratch<T> {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.unwrap_or_default()
    }

    pub(super) fn put_back(&self, scratch: Scratch<T>) {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(scratch);
    }
}
