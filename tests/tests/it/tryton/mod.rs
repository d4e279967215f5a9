//! The adapter of Tryton against a real one (`tests/erp`).

mod orders;
