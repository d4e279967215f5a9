//! What sources are to be asked before a basket is answered past its budgets.

use pannier_protocol::ask::{Asked, AskedStock};
use pannier_protocol::change::StalenessTable;
use pannier_protocol::subject::Subject;

use super::Basket;
use crate::availability::{self, Promise};
use crate::catalog::ItemRecord;
use crate::limits::QUESTIONS_MAX;
use crate::live::LiveQuestion;

impl Basket<'_> {
    /// Of each chain past its budget: what it has of the items that the line is made of.
    pub(super) fn ask_stock(&mut self, item: &ItemRecord, promise: &Promise) {
        if !self.may_ask {
            return;
        }
        let budget = self.budget(StalenessTable::Availability, Some(item));
        if !budget.asks {
            return;
        }
        for chain in promise.consulted.chains() {
            let Subject::Stock(source) = chain.subject() else { continue };
            if chain.wants_asking(self.now, budget.budget_ms) {
                for item in availability::stocked(self.catalog, item) {
                    let asked = Asked::Stock(AskedStock { item });
                    self.ask(LiveQuestion { source: source.clone(), asked });
                }
            }
        }
    }

    /// What is more than can be asked is answered as if nobody replied.
    fn ask(&mut self, question: LiveQuestion) {
        if self.questions.len() < QUESTIONS_MAX && !self.questions.contains(&question) {
            self.questions.push(question);
        }
    }
}
