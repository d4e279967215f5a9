//! Till lines of one year, as `export.py` writes them.

use std::path::Path;

use anyhow::Context;
use pannier_protocol::Timestamp;

/// What one customer paid at once in one store.
#[derive(Debug)]
pub(crate) struct Basket {
    pub(crate) instant: Timestamp,
    pub(crate) store: u32,
    pub(crate) lines: Vec<Line>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub(crate) product: u32,
    pub(crate) quantity: i64,
    pub(crate) sales_cents: i64,
    pub(crate) discount_cents: i64,
}

/// All baskets in time order; lines of one basket stand together.
pub(crate) fn read(path: &Path, baskets_max: usize) -> anyhow::Result<Vec<Basket>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_path(path)
        .with_context(|| format!("read {}; run tests/real/run, which makes it", path.display()))?;
    let mut baskets: Vec<Basket> = Vec::new();
    let mut open = None;
    for row in reader.deserialize() {
        let (instant, store, basket, product, quantity, sales_cents, discount_cents): (
            i64,
            u32,
            u64,
            _,
            _,
            _,
            _,
        ) = row.context("a till line is seven whole numbers")?;
        if open != Some(basket) {
            if baskets.len() == baskets_max {
                break;
            }
            open = Some(basket);
            baskets.push(Basket { instant: Timestamp::from_millis(instant), store, lines: Vec::new() });
        }
        let line = Line { product, quantity, sales_cents, discount_cents };
        baskets.last_mut().context("a basket is open")?.lines.push(line);
    }
    Ok(baskets)
}
