//! The record that counts where several sources have one.

use std::sync::Arc;

use pannier_protocol::SourceId;

use super::rows::CatalogRows;
use super::tables::CatalogChain;

/// The record of the source that owns it; of those that nobody owns, that of the lowest source id. `owner`
/// may depend on the record (its class).
pub(super) fn select<'a, 'o, T>(
    chains: impl IntoIterator<Item = &'a CatalogChain>,
    get: impl Fn(&CatalogRows) -> Option<Arc<T>>,
    owner: impl Fn(&T) -> Option<&'o SourceId>,
) -> Option<Arc<T>> {
    let mut unowned: Option<(&SourceId, Arc<T>)> = None;
    for chain in chains {
        let Some(record) = get(&chain.rows) else { continue };
        match owner(&record) {
            Some(source) if *source == chain.source => return Some(record),
            Some(_) => {}
            None if unowned.as_ref().is_none_or(|(source, _)| chain.source < **source) => {
                unowned = Some((&chain.source, record));
            }
            None => {}
        }
    }
    unowned.map(|(_, record)| record)
}
