//! What a lookup and the intake of an order have in common, so that what was shown is what is ordered: the tables
//! that they read, in which order, how a line's item, quantity and unit are found, and when data is too old.

mod held;
mod open;
mod resolve;
mod verdict;

pub use held::HeldPrice;
pub(crate) use held::{Terms, recorded};
pub(crate) use open::{Opened, Readers};
pub use open::{ownership_in_force, tables_in_force};
pub(crate) use resolve::{Resolved, resolve};
pub(crate) use verdict::{Budget, Refused};
