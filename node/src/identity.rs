//! Who asks. Every handler takes an [`Identity`] from the first day, so that authentication, when it comes,
//! fills it in at one place and no handler has to be found that forgot to ask.

use std::collections::BTreeSet;

use pannier_protocol::AccountId;
use serde::{Deserialize, Serialize};

/// A right beyond asking for prices and availability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// To be told which row won and which lost.
    Explain,
}

/// Whose prices a caller may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accounts {
    Any,
    /// These, and the anonymous view.
    Only(BTreeSet<AccountId>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    accounts: Accounts,
    scopes: BTreeSet<Scope>,
}

impl Identity {
    pub fn new(accounts: Accounts, scopes: BTreeSet<Scope>) -> Self {
        Self { accounts, scopes }
    }

    /// The caller of a listener without authentication.
    pub fn anyone(scopes: BTreeSet<Scope>) -> Self {
        Self::new(Accounts::Any, scopes)
    }

    pub fn may_act_for(&self, account: Option<&AccountId>) -> bool {
        match (&self.accounts, account) {
            (Accounts::Any, _) | (Accounts::Only(_), None) => true,
            (Accounts::Only(accounts), Some(account)) => accounts.contains(account),
        }
    }

    pub fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_bound_to_its_accounts() {
        let account = |id| AccountId::new(id).unwrap();
        let one = Identity::new(Accounts::Only([account("C-1")].into()), BTreeSet::new());
        assert!(one.may_act_for(Some(&account("C-1"))));
        assert!(one.may_act_for(None));
        assert!(!one.may_act_for(Some(&account("C-2"))));
        assert!(!one.has(Scope::Explain));
        assert!(Identity::anyone([Scope::Explain].into()).may_act_for(Some(&account("C-2"))));
    }
}
