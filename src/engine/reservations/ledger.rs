//! The ledger of reservations: which amounts are held against which accounts, and whether one more fits. It reads no
//! database, waits for nobody and calls nobody.
//!
//! single writer: amounts are held in the memory of the one process that calls models, and `spent` is read anew after
//! each case of an account that this process records. With a second process both would belong into the table of leased
//! work items, where an amount ends with its lease.

use std::collections::HashMap;

use tokio::sync::watch;

use super::accounts::{Account, Funds};
use super::{Draw, PricedModel};
use crate::domain::time::Millis;

/// Accounts that are kept while nothing is held against them.
const MAX_IDLE_ACCOUNTS: usize = 1_024;
/// A rest of a cap that is a matter of rounding, in US dollars.
const MIN_REST_USD: f64 = 1e-9;
/// Models of which it is kept that they were called.
const MAX_KNOWN_MODELS: usize = 10_000;

/// What is held against every account.
#[derive(Default)]
pub(super) struct Ledger {
    balances: HashMap<Account, Balance>,
    /// Models of which a call has ended, each with the highest cost that was above its estimate, in US dollars.
    known: HashMap<PricedModel, f64>,
    stamp: u64,
}

/// One account.
struct Balance {
    /// US dollars that are held: estimates of calls under way, and costs that are not recorded yet.
    held_usd: f64,
    /// The part of it that is costs.
    settled_usd: f64,
    /// Draws whose call is to be made or under way, by endpoint.
    open: HashMap<String, usize>,
    /// All draws.
    draws: usize,
    /// Those of them whose call has ended.
    settled: usize,
    /// Models under way of which no call has ended yet.
    untested: Vec<PricedModel>,
    /// Its cap and what was spent, as of `stamp`; none when they have to be read.
    funds: Option<Funds>,
    /// Whether somebody reads them.
    is_being_read: bool,
    /// Changes whenever something was recorded.
    stamp: u64,
    changed: watch::Sender<()>,
}

/// One draw that was granted.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) draw: Draw,
    /// US dollars.
    held_usd: f64,
    /// What `held_usd` was when it was granted.
    estimate_usd: f64,
    is_open: bool,
    is_untested: bool,
}

/// Accounts whose funds are to be read, with their stamps.
pub(super) type Unread = Vec<(Account, u64)>;

/// The outcome of asking for draws.
pub(super) enum Admission {
    /// They are held.
    Granted(Vec<Granted>),
    /// The funds of these accounts have to be read first, by the caller.
    Unread(Unread),
    /// Another caller reads them; the receiver is notified of the end.
    BeingRead(watch::Receiver<()>),
    /// What is under way has to end first; the receiver is notified of each change.
    Wait(watch::Receiver<()>),
    /// The cap of this account is spent.
    Spent(Account),
}

/// What the draws of one case take of an account together.
struct Asked<'d> {
    account: Account,
    usd: f64,
    endpoints: Vec<&'d str>,
}

/// Whether one account has room.
enum Room {
    Free,
    Wait,
    Spent,
}

impl Balance {
    fn new(stamp: u64) -> Self {
        Self {
            held_usd: 0.0,
            settled_usd: 0.0,
            open: HashMap::new(),
            draws: 0,
            settled: 0,
            untested: Vec::new(),
            funds: None,
            is_being_read: false,
            stamp,
            changed: watch::Sender::new(()),
        }
    }

    fn is_idle(&self) -> bool {
        self.draws == 0 && !self.is_being_read && self.changed.receiver_count() == 0
    }

    fn is_unread(&self, now: Millis) -> bool {
        self.funds.is_none_or(|funds| funds.is_outdated(now))
    }

    fn has_cap(&self) -> bool {
        self.funds.is_some_and(|funds| funds.cap_usd.is_some())
    }

    /// A case that does not fit goes ahead while anything is left and nothing else is under way at its endpoints:
    /// estimates are far above what calls cost, so that the rest of a cap would never be spent, and an endpoint that
    /// hangs would hold up all others.
    fn room(&self, asked: &Asked<'_>) -> Room {
        let Some(funds) = self.funds else { return Room::Wait };
        let Some(cap_usd) = funds.cap_usd else { return Room::Free };
        let Some(spent_usd) = funds.spent_usd.filter(|spent| *spent < cap_usd) else { return Room::Spent };
        let fits = spent_usd + self.held_usd + asked.usd <= cap_usd;
        // What has ended and is not recorded yet may be all that was left.
        let is_left = self.settled == 0 || spent_usd + self.settled_usd + MIN_REST_USD < cap_usd;
        let is_alone = asked.endpoints.iter().all(|endpoint| !self.open.contains_key(*endpoint));
        if fits || (is_alone && is_left) { Room::Free } else { Room::Wait }
    }

    /// Forgets a draw of that cost, whose call has ended.
    fn end(&mut self, usd: f64) {
        self.draws = self.draws.saturating_sub(1);
        self.settled = self.settled.saturating_sub(1);
        self.held_usd -= usd;
        self.settled_usd -= usd;
        // Sums of fractions leave a rest.
        if self.settled == 0 {
            self.settled_usd = 0.0;
        }
        if self.draws == 0 {
            self.held_usd = 0.0;
        }
    }

    fn notify(&self) {
        self.changed.send_replace(());
    }

    /// Ends the call of a draw, which cost so much.
    fn close(&mut self, granted: &Granted, usd: f64) {
        if let Some(open) = self.open.get_mut(&granted.draw.endpoint) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                self.open.remove(&granted.draw.endpoint);
            }
        }
        self.held_usd += usd - granted.held_usd;
        self.settled_usd += usd;
        self.settled += 1;
        if granted.is_untested
            && let Some(at) = self.untested.iter().position(|model| *model == granted.draw.model)
        {
            self.untested.swap_remove(at);
        }
    }
}

impl Ledger {
    fn next_stamp(&mut self) -> u64 {
        self.stamp += 1;
        self.stamp
    }

    /// Grants all of the draws of one case, or none of them: nobody waits with an amount in hand.
    pub(super) fn admit(&mut self, draws: &[Draw], now: Millis) -> Admission {
        let asked = self.asked(draws);
        if let Some(deferred) = self.take_unread(&asked, now) {
            return deferred;
        }
        for asked in &asked {
            let Some(balance) = self.balances.get(&asked.account) else { continue };
            match balance.room(asked) {
                Room::Free => {}
                Room::Wait => return Admission::Wait(balance.changed.subscribe()),
                Room::Spent => return Admission::Spent(asked.account),
            }
        }
        if let Some(balance) = self.tested_by_another(draws) {
            return Admission::Wait(balance.changed.subscribe());
        }
        Admission::Granted(draws.iter().map(|draw| self.grant(draw)).collect())
    }

    /// Returns what the draws take of each account together.
    fn asked<'d>(&self, draws: &'d [Draw]) -> Vec<Asked<'d>> {
        let mut all: Vec<Asked<'d>> = Vec::new();
        for draw in draws {
            let (usd, endpoint) = (self.estimate(draw), draw.endpoint.as_str());
            for account in &draw.accounts {
                match all.iter_mut().find(|asked| asked.account == *account) {
                    Some(asked) => {
                        asked.usd += usd;
                        asked.endpoints.push(endpoint);
                    }
                    None => all.push(Asked { account: *account, usd, endpoints: vec![endpoint] }),
                }
            }
        }
        all
    }

    /// Returns the estimate of a draw, or what a call of its model has cost where that was more. One without a known
    /// price holds nothing: it goes alone, and a cap cannot be held any longer once it has ended.
    fn estimate(&self, draw: &Draw) -> f64 {
        let known = self.known.get(&draw.model).copied().unwrap_or(0.0);
        draw.estimate_usd.unwrap_or(0.0).max(known)
    }

    /// Leaves the funds that have to be read to the first caller that needs them; none when they are all known.
    fn take_unread(&mut self, asked: &[Asked<'_>], now: Millis) -> Option<Admission> {
        let mut unread = Vec::new();
        for Asked { account, .. } in asked {
            let stamp = self.next_stamp();
            let balance = self.balances.entry(*account).or_insert_with(|| Balance::new(stamp));
            if balance.is_unread(now) {
                if balance.is_being_read {
                    return Some(Admission::BeingRead(balance.changed.subscribe()));
                }
                unread.push((*account, balance.stamp));
            }
        }
        if unread.is_empty() {
            return None;
        }
        for (account, _) in &unread {
            if let Some(balance) = self.balances.get_mut(account) {
                balance.is_being_read = true;
            }
        }
        Some(Admission::Unread(unread))
    }

    /// Takes in what was read; none when reading failed. What was recorded meanwhile may not be in it, and then it is
    /// read again.
    pub(super) fn fund(&mut self, unread: &Unread, funds: Option<&[Funds]>) {
        for (at, (account, stamp)) in unread.iter().enumerate() {
            let Some(balance) = self.balances.get_mut(account) else { continue };
            balance.is_being_read = false;
            if balance.stamp == *stamp {
                balance.funds = funds.and_then(|funds| funds.get(at)).copied();
            }
            balance.notify();
        }
    }

    /// Returns an account in which a model is under way that no call of has ended yet: an estimate may be wrong until
    /// then, so that only one call of such a model is made at once.
    fn tested_by_another(&self, draws: &[Draw]) -> Option<&Balance> {
        let unknown = draws.iter().filter(|draw| !self.known.contains_key(&draw.model));
        let mut held =
            unknown.flat_map(|draw| draw.accounts.iter().map(move |account| (account, draw.model)));
        held.find_map(|(account, model)| {
            let balance = self.balances.get(account)?;
            (balance.has_cap() && balance.untested.contains(&model)).then_some(balance)
        })
    }

    fn grant(&mut self, draw: &Draw) -> Granted {
        let estimate_usd = self.estimate(draw);
        let is_untested = !self.known.contains_key(&draw.model);
        for account in &draw.accounts {
            let Some(balance) = self.balances.get_mut(account) else { continue };
            balance.held_usd += estimate_usd;
            *balance.open.entry(draw.endpoint.clone()).or_default() += 1;
            balance.draws += 1;
            if is_untested {
                balance.untested.push(draw.model);
            }
        }
        Granted { draw: draw.clone(), held_usd: estimate_usd, estimate_usd, is_open: true, is_untested }
    }

    /// Holds what a call has cost in place of its estimate, until that is recorded; an unknown cost is held at its
    /// estimate. What the model costs is known from now on.
    pub(super) fn settle(&mut self, granted: &mut Granted, cost_usd: Option<f64>) {
        let cost_usd = cost_usd.unwrap_or(granted.held_usd);
        if self.known.len() >= MAX_KNOWN_MODELS {
            self.known.clear();
        }
        let known = self.known.entry(granted.draw.model).or_insert(0.0);
        if cost_usd > granted.estimate_usd {
            *known = known.max(cost_usd);
        }
        self.hold(granted, cost_usd);
    }

    /// Holds nothing more for a call that was not made.
    pub(super) fn withdraw(&mut self, granted: &mut Granted) {
        self.hold(granted, 0.0);
    }

    fn hold(&mut self, granted: &mut Granted, usd: f64) {
        if !granted.is_open {
            return;
        }
        for account in &granted.draw.accounts {
            let Some(balance) = self.balances.get_mut(account) else { continue };
            balance.close(granted, usd);
            balance.notify();
        }
        (granted.held_usd, granted.is_open) = (usd, false);
    }

    /// Ends draws: what they cost is recorded, or they cost nothing.
    pub(super) fn release(&mut self, all: &[Granted]) {
        let stamp = self.next_stamp();
        for granted in all {
            for account in &granted.draw.accounts {
                let Some(balance) = self.balances.get_mut(account) else { continue };
                if granted.is_open {
                    balance.close(granted, 0.0);
                    balance.end(0.0);
                } else {
                    balance.end(granted.held_usd);
                }
                (balance.stamp, balance.funds) = (stamp, None);
                balance.notify();
            }
        }
        if self.balances.len() > MAX_IDLE_ACCOUNTS {
            self.balances.retain(|_, balance| !balance.is_idle());
        }
    }

    /// Has the funds of an account read anew.
    pub(super) fn refresh(&mut self, account: Account) {
        let stamp = self.next_stamp();
        if let Some(balance) = self.balances.get_mut(&account) {
            (balance.stamp, balance.funds) = (stamp, None);
            balance.notify();
        }
    }
}
