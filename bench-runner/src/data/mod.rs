//! Data: from the catalogue and the hub to the batch.
