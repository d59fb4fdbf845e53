//! Fits: starts, floors, units, reports.

mod regressions;
mod reports;
mod standardized;
