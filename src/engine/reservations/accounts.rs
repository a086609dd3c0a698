//! Accounts: the budgets and caps that calls draw on, what the database knows of each, and what is stopped when one is
//! spent. A further kind of cap is a variant here with its two arms.

use crate::domain::id::{RunKey, UserKey};
use crate::domain::time::Millis;
use crate::engine::{charge, record};
use crate::error::Result;
use crate::store::{Tx, runs, spending, users};

/// A budget or cap that calls draw on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::engine) enum Account {
    /// The budget of a run: every call of it.
    RunBudget(RunKey),
    /// What a member may spend in a day: calls with the operator's keys in all of the member's runs.
    MemberCap(UserKey),
}

/// The accounts that the calls of a cell draw on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::engine) struct CellAccounts {
    /// Those of the model's calls.
    pub(super) model: Vec<Account>,
    /// Those of the grader's.
    pub(super) grader: Vec<Account>,
}

/// The run that pays for calls.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct PayingRun {
    pub(in crate::engine) key: RunKey,
    pub(in crate::engine) has_budget: bool,
    /// Its owner, if that is a member; admins have no cap.
    pub(in crate::engine) member: Option<UserKey>,
}

impl CellAccounts {
    /// Returns the accounts of a cell's calls, from which run they are of and whether the operator pays for its model
    /// and its grader.
    pub(in crate::engine) fn new(run: PayingRun, model_on_operator: bool, grader_on_operator: bool) -> Self {
        Self { model: run.accounts(model_on_operator), grader: run.accounts(grader_on_operator) }
    }
}

impl PayingRun {
    fn accounts(self, on_operator: bool) -> Vec<Account> {
        let budget = self.has_budget.then_some(Account::RunBudget(self.key));
        let cap = self.member.filter(|_| on_operator).map(Account::MemberCap);
        budget.into_iter().chain(cap).collect()
    }
}

/// What the database knows of an account.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Funds {
    /// US dollars; none without a limit.
    pub(super) cap_usd: Option<f64>,
    /// US dollars that were recorded; none when a part of it is unknown.
    pub(super) spent_usd: Option<f64>,
    /// From then on others count; none when these always do.
    pub(super) until: Option<Millis>,
}

impl Funds {
    /// Returns whether others count at `now`.
    pub(super) fn is_outdated(&self, now: Millis) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}

impl Account {
    /// Reads the account's cap and what was spent of it; `default_cap` is that of members who have none of their own,
    /// in US dollars a day.
    pub(super) fn funds(self, tx: &mut Tx<'_>, default_cap: Option<f64>, now: Millis) -> Result<Funds> {
        match self {
            Self::RunBudget(run) => {
                let run = runs::get_by_key(tx, run)?;
                Ok(Funds { cap_usd: run.settings.budget_usd, spent_usd: run.cost_usd, until: None })
            }
            Self::MemberCap(user) => {
                let (user, _) = users::get(tx, user)?;
                let allowance = spending::allowance(tx, &user, default_cap, now)?;
                let (cap_usd, spent_usd) = (allowance.cap_usd, allowance.spent_usd);
                Ok(Funds { cap_usd, spent_usd, until: Some(allowance.day.end()) })
            }
        }
    }

    /// Stops what may spend nothing more of the account, if that is so; returns the runs that were stopped. `run` is the
    /// one that wanted to.
    pub(super) fn stop_spent(
        self,
        tx: &mut Tx<'_>,
        run: RunKey,
        default_cap: Option<f64>,
        now: Millis,
    ) -> Result<Vec<RunKey>> {
        match self {
            Self::RunBudget(budgeted) => {
                Ok(if record::hold_budget(tx, budgeted, now)? { vec![budgeted] } else { Vec::new() })
            }
            Self::MemberCap(user) => charge::stop_capped(tx, (run, user), default_cap, now),
        }
    }
}
