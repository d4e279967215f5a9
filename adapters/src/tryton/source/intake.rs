//! From what was read to what is published, durably: rows, changes and the place up to which Tryton was read are
//! kept together or not at all.

use std::collections::BTreeSet;

use pannier_protocol::{SourceId, Timestamp, TransactionId};
use serde_json::json;

use super::catalog::Terms;
use super::model::{Finding, Model, Taken};
use super::table::{Cells, Id, ROW_NOTES, Read, Table, note_key, of_note};
use crate::runner::{Desk, Review, StoreError, Submission, decode, encode};

/// Rows that belong together, and what they mean for where one has read to.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) reads: Vec<Read>,
    /// Of these all rows are among them: the others are gone.
    pub(super) whole: BTreeSet<Table>,
    pub(super) position: u64,
    pub(super) transaction: Option<TransactionId>,
    pub(super) notes: Vec<(String, Option<Vec<u8>>)>,
}

/// The model and its state. Its calls block on the disk.
pub(super) struct Intake {
    source: SourceId,
    desk: Desk,
    model: Model,
    /// What makes of the same rows other changes; what was said under another one is said anew.
    edition: Vec<u8>,
    is_begun: bool,
}

/// Raise it when the same rows come to something else; other columns are seen as they are.
const EDITION: u32 = 1;
const EDITION_NOTE: &str = "edition";

impl Intake {
    pub(super) fn open(
        source: SourceId,
        desk: Desk,
        company: Id,
        terms: Terms,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let columns = Table::ALL.iter().map(|table| table.columns()).collect::<Vec<_>>();
        let edition = format!("{EDITION} {company} {terms:?} {columns:?}").into_bytes();
        let is_begun = desk.note(EDITION_NOTE)?.as_ref() == Some(&edition);
        let mut model = Model::new(company, terms);
        let mut reads = Vec::new();
        for (key, bytes) in desk.notes(ROW_NOTES)? {
            if let Some((table, id)) = of_note(&key) {
                let cells: Cells = decode(&bytes)?;
                // Written by a release that read other columns: it is read again.
                if cells.len() == table.columns().len() {
                    reads.push(Read { table, id, cells: Some(cells) });
                }
            }
        }
        model.take(reads, now);
        Ok(Self { source, desk, model, edition, is_begun })
    }

    /// Whether it has published before, by these rules.
    pub(super) fn is_begun(&self) -> bool {
        self.is_begun
    }

    pub(super) fn model(&self) -> &Model {
        &self.model
    }

    /// Durable when it returns. Whether anything was to be said.
    pub(super) fn take(&mut self, batch: Batch, now: Timestamp) -> Result<bool, StoreError> {
        let Batch { mut reads, whole, position, transaction, mut notes } = batch;
        reads.extend(self.model.gone(&whole, &reads));
        let Taken { rows, changes, findings } = self.model.take(reads, now);
        for row in rows {
            let cells = row.cells.as_ref().map(encode).transpose()?;
            notes.push((note_key(row.table, row.id), cells));
        }
        let reviews = findings.iter().map(|finding| self.review(finding)).collect();
        let mut submission = Submission { transaction, position, notes, reviews, ..Submission::default() };
        let says = !self.is_begun || !changes.is_empty();
        if self.is_begun {
            submission.groups = vec![changes];
        } else {
            submission.snapshots = self.model.whole();
            submission.notes.push((EDITION_NOTE.to_owned(), Some(self.edition.clone())));
        }
        self.desk.submit(submission)?;
        self.is_begun = true;
        Ok(says)
    }

    fn review(&self, finding: &Finding) -> Review {
        tracing::warn!(origin = finding.origin, reason = finding.reason, "a row of Tryton is not published");
        let source = &self.source;
        let payload = json!({
            "kind": "row", "source": source.as_str(), "record": finding.origin, "reason": finding.reason,
        });
        let origin = format!("{source}-{}", finding.origin);
        Review { kind: "row", origin, payload: payload.to_string().into_bytes() }
    }
}
