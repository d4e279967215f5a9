//! The rows of a scope, sorted, in blocks of at most 64 that versions of the scope share: an update copies
//! the block pointers and the blocks that it touches.
//!
//! One map entry a row was measured at twice the memory and five times the load time.

use std::sync::Arc;

use super::row::{Place, Row, RowKey};
use super::terms::TermsTable;
use crate::limits::BLOCK_ROWS_MAX;

#[derive(Debug, Clone, Default)]
pub(super) struct Blocks {
    blocks: Arc<[Block]>,
    rows_count: u64,
}

#[derive(Debug, Clone)]
struct Block {
    /// Of the first row, so that the search reads contiguous memory.
    first: Place,
    /// Never empty.
    rows: Arc<[Row]>,
}

/// Between two rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cursor {
    block: usize,
    row: usize,
}

/// Rows that a seek tries one by one before it searches: most runs are shorter.
const STEPS: usize = 6;

impl Blocks {
    /// Of rows that are sorted already: nothing is searched or moved.
    pub(super) fn of_sorted(rows: Vec<Row>) -> Self {
        let blocks =
            rows.chunks(BLOCK_ROWS_MAX).map(|rows| Block { first: rows[0].place, rows: rows.into() });
        Self { blocks: blocks.collect(), rows_count: rows.len() as u64 }
    }

    pub(super) fn rows_count(&self) -> u64 {
        self.rows_count
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Row> {
        self.blocks.iter().flat_map(|block| block.rows.iter())
    }

    /// Before the first row at or after `place`.
    pub(super) fn seek(&self, place: Place) -> Cursor {
        let after = self.blocks.partition_point(|block| block.first < place);
        let block = after.saturating_sub(1);
        let rows = self.blocks.get(block).map_or(&[][..], |block| &block.rows);
        self.normal(Cursor { block, row: rows.partition_point(|row| row.place < place) })
    }

    /// Before the first row from `cursor` on that is not `passed`; `passed` holds for a prefix.
    pub(super) fn skip(&self, mut cursor: Cursor, passed: impl Fn(&Row) -> bool) -> Cursor {
        for _ in 0..STEPS {
            match self.get(cursor) {
                Some(row) if passed(row) => cursor = self.next(cursor),
                Some(_) | None => return cursor,
            }
        }
        let rest = &self.blocks[cursor.block.min(self.blocks.len())..];
        let skipped = rest.partition_point(|block| block.rows.last().is_some_and(&passed));
        let block = cursor.block + skipped;
        let row = self.blocks.get(block).map_or(0, |block| block.rows.partition_point(&passed));
        let row = if skipped == 0 { row.max(cursor.row) } else { row };
        self.normal(Cursor { block, row })
    }

    pub(super) fn get(&self, cursor: Cursor) -> Option<&Row> {
        self.blocks.get(cursor.block)?.rows.get(cursor.row)
    }

    pub(super) fn next(&self, cursor: Cursor) -> Cursor {
        self.normal(Cursor { row: cursor.row + 1, ..cursor })
    }

    pub(super) fn previous(&self, cursor: Cursor) -> Option<Cursor> {
        if cursor.row > 0 {
            return Some(Cursor { row: cursor.row - 1, ..cursor });
        }
        let block = cursor.block.checked_sub(1)?;
        Some(Cursor { block, row: self.blocks.get(block)?.rows.len() - 1 })
    }

    pub(super) fn find(&self, key: &RowKey, terms: &TermsTable) -> Option<&Row> {
        let at = self.skip(self.seek(key.place), |row| row.key(terms) < *key);
        self.get(at).filter(|row| row.key(terms) == *key)
    }

    /// A cursor past the end of a block stands before the next.
    fn normal(&self, cursor: Cursor) -> Cursor {
        match self.blocks.get(cursor.block) {
            Some(block) if cursor.row >= block.rows.len() => Cursor { block: cursor.block + 1, row: 0 },
            Some(_) | None => cursor,
        }
    }
}

/// Blocks in the making: those that change are open.
pub(super) struct BlocksEdit {
    blocks: Vec<EditBlock>,
    rows_count: u64,
}

enum EditBlock {
    Shared(Arc<[Row]>),
    Open(Vec<Row>),
}

impl EditBlock {
    fn rows(&self) -> &[Row] {
        match self {
            Self::Shared(rows) => rows,
            Self::Open(rows) => rows,
        }
    }

    fn open(&mut self) -> &mut Vec<Row> {
        if let Self::Shared(rows) = self {
            *self = Self::Open(rows.to_vec());
        }
        match self {
            Self::Open(rows) => rows,
            Self::Shared(_) => unreachable!("it was opened above"),
        }
    }
}

impl BlocksEdit {
    pub(super) fn new(blocks: &Blocks) -> Self {
        let shared = |block: &Block| EditBlock::Shared(Arc::clone(&block.rows));
        Self { blocks: blocks.blocks.iter().map(shared).collect(), rows_count: blocks.rows_count }
    }

    /// Where a row of this key is, or belongs.
    pub(super) fn place(&self, key: &RowKey, terms: &TermsTable) -> Result<Cursor, Cursor> {
        let before = |row: &Row| row.key(terms) < *key;
        let block = self.blocks.partition_point(|block| block.rows().last().is_some_and(before));
        if block == self.blocks.len() {
            // Past every row: the end of the last block, if there is one.
            let block = block.saturating_sub(1);
            return Err(Cursor { block, row: self.blocks.get(block).map_or(0, |block| block.rows().len()) });
        }
        let rows = self.blocks[block].rows();
        let row = rows.partition_point(before);
        let at = Cursor { block, row };
        if rows.get(row).is_some_and(|found| found.key(terms) == *key) { Ok(at) } else { Err(at) }
    }

    /// The row at a cursor that [`BlocksEdit::place`] found.
    pub(super) fn at(&self, at: Cursor) -> Option<&Row> {
        self.blocks.get(at.block)?.rows().get(at.row)
    }

    /// Rows from the last one before a cursor on, in order.
    pub(super) fn around(&self, at: Cursor) -> impl Iterator<Item = &Row> {
        let (block, row) = match (at.row.checked_sub(1), at.block.checked_sub(1)) {
            (Some(row), _) => (at.block, row),
            (None, Some(block)) => (block, self.blocks[block].rows().len() - 1),
            (None, None) => (0, 0),
        };
        let blocks = self.blocks.get(block..).unwrap_or_default();
        blocks.iter().flat_map(EditBlock::rows).skip(row)
    }

    /// Puts a row where [`BlocksEdit::place`] said; what was there.
    pub(super) fn put(&mut self, at: Result<Cursor, Cursor>, row: Row) -> Option<Row> {
        match at {
            Ok(at) => Some(std::mem::replace(&mut self.blocks[at.block].open()[at.row], row)),
            Err(at) => {
                if self.blocks.is_empty() {
                    self.blocks.push(EditBlock::Open(Vec::new()));
                }
                self.blocks[at.block].open().insert(at.row, row);
                self.rows_count += 1;
                None
            }
        }
    }

    pub(super) fn remove(&mut self, key: &RowKey, terms: &TermsTable) -> Option<Row> {
        let at = self.place(key, terms).ok()?;
        let rows = self.blocks[at.block].open();
        let row = rows.remove(at.row);
        if rows.is_empty() {
            self.blocks.remove(at.block);
        }
        self.rows_count -= 1;
        Some(row)
    }

    pub(super) fn finish(self) -> Blocks {
        let mut blocks = Vec::with_capacity(self.blocks.len());
        let mut push = |rows: Arc<[Row]>| {
            if let Some(first) = rows.first() {
                blocks.push(Block { first: first.place, rows });
            }
        };
        for block in self.blocks {
            match block {
                EditBlock::Shared(rows) => push(rows),
                EditBlock::Open(rows) => {
                    // Parts of equal size leave room for what comes between.
                    let parts = rows.len().div_ceil(BLOCK_ROWS_MAX).max(1);
                    rows.chunks(rows.len().div_ceil(parts).max(1)).for_each(|rows| push(rows.into()));
                }
            }
        }
        Blocks { blocks: blocks.into(), rows_count: self.rows_count }
    }
}
