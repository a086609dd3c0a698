//! Lending: counts the calls of a model that are made on its owner's API key for somebody else, before they are made.
//!
//! What is counted first can be exceeded by nobody, however many calls are under way. The rule is the domain's.

use super::Machine;
use super::cells::{Callable, Cell};
use super::provider::{Failure, Reply};
use super::worker::tokens;
use crate::domain::id::{ModelKey, UserKey};
use crate::domain::models::Prices;
use crate::domain::samples::Message;
use crate::domain::sharing::{Refusal, estimate, may_run};
use crate::domain::spending::Day;
use crate::domain::time::Millis;
use crate::error::Result;
use crate::store::{Tx, lending};

/// A call that was counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loan {
    model: ModelKey,
    borrower: UserKey,
    estimate_usd: f64,
    /// The model's prices then, by which its owner's cap is held, whatever the run is charged with.
    prices: Prices,
    at: Millis,
}

impl Machine {
    /// Returns why a case of a cell may not be asked or graded now; none when it may. It only reads: better here than
    /// after a call that would be paid in vain.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn lending_refusal(&self, cell: &Cell) -> Result<Option<Refusal>> {
        let asked = Some(&cell.model).filter(|_| cell.rescores.is_none());
        let borrowed: Vec<(ModelKey, UserKey)> = asked
            .into_iter()
            .chain(&cell.grader)
            .filter_map(|model| model.borrower.map(|borrower| (model.key, borrower)))
            .collect();
        if borrowed.is_empty() {
            return Ok(None);
        }
        let look = move |tx: &mut Tx<'_>| {
            for (model, borrower) in &borrowed {
                if let Some(refusal) = refusal(tx, *model, *borrower)? {
                    return Ok(Some(refusal));
                }
            }
            Ok(None)
        };
        self.tools.store.read(look).await
    }

    /// Counts a call of `model` that is about to be made; no loan when its key is nobody else's.
    ///
    /// # Errors
    /// The database's; inside, why it may not be made.
    pub(super) async fn borrow(
        &self,
        model: &Callable,
        messages: &[Message],
    ) -> Result<Result<Option<Loan>, Refusal>> {
        let Some(borrower) = model.borrower else { return Ok(Ok(None)) };
        let bytes = messages.iter().map(|message| message.content.len()).sum();
        let (key, max_tokens, at) = (model.key, model.parameters.max_tokens, Millis::now());
        let take = move |tx: &mut Tx<'_>| {
            let lender = lending::lender(tx, key)?;
            let prices = lender.prices;
            let estimate_usd = estimate(&prices, bytes, max_tokens);
            if lending::take(tx, key, borrower, estimate_usd, at)? {
                return Ok(Ok(Some(Loan { model: key, borrower, estimate_usd, prices, at })));
            }
            Ok(Err(refusal(tx, key, borrower)?.unwrap_or_else(|| Refusal::no_room(&lender, Day::of(at)))))
        };
        self.tools.store.write(take).await
    }

    /// Corrects what a call was counted as once its outcome is known: a known cost takes the place of the estimate, and
    /// what the provider refused is not counted. Any other failure may have cost something, and stays as it is, as does
    /// a call whose correction cannot be stored.
    pub(super) async fn settle(&self, loan: Option<Loan>, outcome: &Result<Reply, Failure>) {
        let Some(loan) = loan else { return };
        let (calls, usd) = match outcome {
            Ok(reply) => match loan.prices.cost_of(&tokens(&reply.usage)) {
                Some(cost_usd) => (0, cost_usd - loan.estimate_usd),
                None => return,
            },
            Err(failure) if failure.status.is_some_and(|status| status >= 400) => (-1, -loan.estimate_usd),
            Err(_) => return,
        };
        let whose = (loan.model, loan.borrower, loan.at);
        if let Err(cause) = self.tools.store.write(move |tx| lending::correct(tx, whose, calls, usd)).await {
            tracing::warn!(error = ?cause, "a borrowed call keeps its estimate");
        }
    }
}

fn refusal(tx: &mut Tx<'_>, model: ModelKey, borrower: UserKey) -> Result<Option<Refusal>> {
    let borrowed = lending::borrowed(tx, model, borrower, Millis::now())?;
    // Admins borrow nothing: they are no borrowers in the first place.
    Ok(may_run((borrower, false), &lending::lender(tx, model)?, borrowed).err())
}
