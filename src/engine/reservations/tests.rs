//! The ledger by itself: what is granted, what waits, and what is free again.

use super::accounts::Funds;
use super::ledger::{Admission, Granted, Ledger};
use super::{Account, Draw, Part, PricedModel};
use crate::domain::id::{ModelKey, RunKey, UserKey};
use crate::domain::models::Prices;
use crate::domain::time::Millis;

const RUN: Account = Account::RunBudget(RunKey(1));
const MEMBER: Account = Account::MemberCap(UserKey(1));
const NOW: Millis = Millis(1_000);

fn draw(accounts: &[Account], model: i64, usd: f64) -> Draw {
    let endpoint = format!("host#{model}");
    let model = PricedModel::new(ModelKey(model), Prices::default());
    Draw { part: Part::Model, accounts: accounts.to_vec(), model, endpoint, estimate_usd: Some(usd) }
}

fn funds(cap_usd: f64, spent_usd: f64) -> Funds {
    Funds { cap_usd: Some(cap_usd), spent_usd: Some(spent_usd), until: None }
}

/// Asks, and reads these funds of every account where they are not known.
fn ask(ledger: &mut Ledger, draws: &[Draw], read: Funds) -> Admission {
    match ledger.admit(draws, NOW) {
        Admission::Unread(unread) => {
            let all: Vec<Funds> = unread.iter().map(|_| read).collect();
            ledger.fund(&unread, Some(&all));
            ledger.admit(draws, NOW)
        }
        known => known,
    }
}

fn granted(admission: Admission) -> Vec<Granted> {
    match admission {
        Admission::Granted(granted) => granted,
        _ => panic!("not granted"),
    }
}

fn waits(admission: &Admission) -> bool {
    matches!(admission, Admission::Wait(_))
}

/// A ledger that has seen a call of model 1 end below its estimate.
fn tested(read: Funds) -> Ledger {
    let mut ledger = Ledger::default();
    let mut first = granted(ask(&mut ledger, &[draw(&[RUN], 1, 0.0)], read));
    first.iter_mut().for_each(|one| ledger.settle(one, Some(0.0)));
    ledger.release(&first);
    ledger
}

#[test]
fn estimates_under_way_count_against_the_cap() {
    let read = funds(1.0, 0.25);
    let mut ledger = tested(read);
    let one = [draw(&[RUN], 1, 0.25)];
    let mut held: Vec<_> = (0..3).map(|_| granted(ask(&mut ledger, &one, read))).collect();
    assert!(waits(&ask(&mut ledger, &one, read)), "0.25 spent and 0.75 under way");
    held[0].iter_mut().for_each(|one| ledger.settle(one, Some(0.05)));
    assert!(waits(&ask(&mut ledger, &one, read)), "0.25 spent, 0.05 settled and 0.50 under way");
    held[1].iter_mut().for_each(|one| ledger.settle(one, Some(0.05)));
    drop(granted(ask(&mut ledger, &one, read)));
}

#[test]
fn dropped_draws_are_free_again_at_once() {
    let read = funds(1.0, 0.0);
    let mut ledger = tested(read);
    let one = [draw(&[RUN], 1, 0.75)];
    let held = granted(ask(&mut ledger, &one, read));
    let Admission::Wait(changed) = ask(&mut ledger, &one, read) else { panic!("it fits") };
    assert!(!changed.has_changed().unwrap());
    ledger.release(&held);
    assert!(changed.has_changed().unwrap(), "those that wait are notified");
    let Admission::Unread(unread) = ledger.admit(&one, NOW) else { panic!("what was recorded is read anew") };
    ledger.fund(&unread, Some(&[read]));
    granted(ledger.admit(&one, NOW));
}

#[test]
fn estimate_above_the_cap_goes_alone() {
    let read = funds(1.0, 0.9);
    let mut ledger = tested(read);
    let large = [draw(&[RUN], 1, 50.0)];
    let mut held = granted(ask(&mut ledger, &large, read));
    assert!(waits(&ask(&mut ledger, &large, read)));
    assert!(waits(&ask(&mut ledger, &[draw(&[RUN], 1, 0.01)], read)));
    held.iter_mut().for_each(|one| ledger.settle(one, Some(0.05)));
    // What it cost is not recorded yet, and leaves something.
    let mut second = granted(ask(&mut ledger, &large, read));
    second.iter_mut().for_each(|one| ledger.settle(one, Some(0.05)));
    assert!(waits(&ask(&mut ledger, &large, read)), "nothing is left until it is recorded");
    ledger.release(&held);
    ledger.release(&second);
    assert!(matches!(ask(&mut ledger, &large, funds(1.0, 1.0)), Admission::Spent(RUN)));
}

#[test]
fn endpoint_that_hangs_holds_up_no_other_endpoint() {
    let read = funds(1.0, 0.5);
    let mut ledger = tested(read);
    let hanging = granted(ask(&mut ledger, &[draw(&[RUN], 1, 0.5)], read));
    let mut other = granted(ask(&mut ledger, &[draw(&[RUN], 2, 0.3)], read));
    assert!(waits(&ask(&mut ledger, &[draw(&[RUN], 2, 0.3)], read)), "one call of each endpoint goes above");
    other.iter_mut().for_each(|one| ledger.settle(one, Some(0.3)));
    other.extend(granted(ask(&mut ledger, &[draw(&[RUN], 2, 0.3)], read)));
    other.iter_mut().for_each(|one| ledger.settle(one, Some(0.3)));
    assert!(waits(&ask(&mut ledger, &[draw(&[RUN], 2, 0.3)], read)), "0.5 and twice 0.3");
    ledger.release(&other);
    ledger.release(&hanging);
}

#[test]
fn unknown_spending_and_a_reached_cap_are_spent() {
    let unknown = Funds { spent_usd: None, ..funds(1.0, 0.0) };
    for (read, is_spent) in [(unknown, true), (funds(0.0, 0.0), true), (funds(1.0, 0.5), false)] {
        let admission = ask(&mut Ledger::default(), &[draw(&[MEMBER], 1, 0.1)], read);
        assert_eq!(matches!(admission, Admission::Spent(MEMBER)), is_spent, "{read:?}");
    }
}

#[test]
fn first_call_of_a_model_under_a_cap_goes_alone() {
    let read = funds(1.0, 0.0);
    let mut ledger = Ledger::default();
    let one = [draw(&[RUN], 1, 0.01)];
    let mut first = granted(ask(&mut ledger, &one, read));
    assert!(waits(&ask(&mut ledger, &one, read)));
    let other = granted(ask(&mut ledger, &[draw(&[RUN], 2, 0.01)], read));
    // It costs more than was thought, and so will the next.
    first.iter_mut().for_each(|one| ledger.settle(one, Some(0.3)));
    let next: Vec<_> = (0..2).map(|_| granted(ask(&mut ledger, &one, read))).collect();
    assert!(waits(&ask(&mut ledger, &one, read)), "0.9 and 0.01 are held");
    next.iter().for_each(|held| ledger.release(held));
    ledger.release(&other);
}

#[test]
fn first_call_that_failed_is_followed_by_one() {
    let read = funds(1.0, 0.0);
    let mut ledger = Ledger::default();
    let one = [draw(&[RUN], 1, 0.01)];
    let first = granted(ask(&mut ledger, &one, read));
    ledger.release(&first);
    let _second = granted(ask(&mut ledger, &one, read));
    assert!(waits(&ask(&mut ledger, &one, read)));
}

#[test]
fn every_account_of_a_draw_must_have_room() {
    let mut ledger = tested(funds(1.0, 0.0));
    let both = [draw(&[RUN, MEMBER], 1, 0.6)];
    let Admission::Unread(unread) = ledger.admit(&both, NOW) else { panic!("they are known") };
    ledger.fund(&unread, Some(&[funds(10.0, 0.0), funds(1.0, 0.0)]));
    let held = granted(ledger.admit(&both, NOW));
    assert!(waits(&ledger.admit(&both, NOW)), "the member's cap is full");
    granted(ledger.admit(&[draw(&[RUN], 1, 0.6)], NOW));
    ledger.release(&held);
    assert!(matches!(ledger.admit(&both, NOW), Admission::Unread(unread) if unread.len() == 2));
}

#[test]
fn funds_read_before_a_recording_are_read_again() {
    let read = funds(1.0, 0.0);
    let mut ledger = tested(read);
    let one = [draw(&[RUN], 1, 0.2)];
    let held = granted(ask(&mut ledger, &one, read));
    let other = granted(ask(&mut ledger, &one, read));
    ledger.release(&held);
    let Admission::Unread(unread) = ledger.admit(&one, NOW) else { panic!("they are known") };
    assert!(matches!(ledger.admit(&one, NOW), Admission::BeingRead(_)), "one caller reads them for all");
    ledger.release(&other);
    ledger.fund(&unread, Some(&[read]));
    assert!(matches!(ledger.admit(&one, NOW), Admission::Unread(_)));
}

#[test]
fn reading_that_failed_is_left_to_the_next() {
    let mut ledger = Ledger::default();
    let one = [draw(&[RUN], 1, 0.2)];
    let Admission::Unread(unread) = ledger.admit(&one, NOW) else { panic!("they are known") };
    let Admission::BeingRead(changed) = ledger.admit(&one, NOW) else { panic!("one caller reads them") };
    ledger.fund(&unread, None);
    assert!(changed.has_changed().unwrap());
    assert!(matches!(ledger.admit(&one, NOW), Admission::Unread(_)));
}

#[test]
fn cap_of_a_day_is_read_anew_when_the_day_ends() {
    let read = Funds { until: Some(Millis(2_000)), ..funds(1.0, 0.0) };
    let mut ledger = tested(read);
    let one = [draw(&[MEMBER], 1, 0.2)];
    granted(ask(&mut ledger, &one, read));
    assert!(matches!(ledger.admit(&one, Millis(1_999)), Admission::Granted(_)));
    assert!(matches!(ledger.admit(&one, Millis(2_000)), Admission::Unread(_)));
}

#[test]
fn account_without_a_cap_grants_everything() {
    let read = Funds { cap_usd: None, spent_usd: None, until: None };
    let mut ledger = Ledger::default();
    let one = [draw(&[MEMBER], 1, 1e9)];
    for _ in 0..3 {
        granted(ask(&mut ledger, &one, read));
    }
}
