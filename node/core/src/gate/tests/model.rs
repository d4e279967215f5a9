//! Random streams against a model.
