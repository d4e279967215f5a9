//! The file adapter: flat files of a legacy export to changes, by a mapping and without code.

mod config;
mod field;
mod mapping;
mod pattern;
mod table;
mod value;

pub use config::{
    BreakColumns, Case, Column, ColumnKeys, Complete, ConfigError, Covers, Cut, DateRules, DayOfEnd,
    FileConfig, FilesConfig, Format, FormatKind, IdRules, Marker, Mode, NumberRules, Pad, Sign, Trim, Words,
};
pub use mapping::MappingError;
pub use table::{FieldSpec, FileTable};

#[cfg(test)]
mod mapping_tests;
