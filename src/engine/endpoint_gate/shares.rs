//! Fair shares: which model may have the next of an endpoint's places.
//!
//! Each model that wants places has the same share of them. What others leave of theirs may be used, for as long as
//! they do not want it back: places that are wanted stay reserved up to the share.

/// One model's part in an endpoint.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// Calls under way.
    pub(super) in_flight: u32,
    /// Callers that want a place, those under way included; none while the model takes no calls.
    pub(super) demand: u32,
}

impl Part {
    const fn is_active(self) -> bool {
        self.demand > 0 || self.in_flight > 0
    }
}

/// Returns the share of each of the models that want places, 1 or more.
fn share(limit: u32, parts: &[Part], own: usize) -> u32 {
    let is_counted = |(at, part): &(usize, &Part)| *at == own || part.is_active();
    let active = parts.iter().enumerate().filter(is_counted).count();
    (limit / u32::try_from(active).unwrap_or(u32::MAX).max(1)).max(1)
}

/// Returns the most places that model `own` may have of `limit`, 1 or more.
pub(super) fn entitled(limit: u32, parts: &[Part], own: usize) -> u32 {
    let share = share(limit, parts, own);
    let others = parts.iter().enumerate().filter(|(at, _)| *at != own);
    let taken: u32 = others.map(|(_, part)| part.in_flight.max(part.demand.min(share))).sum();
    limit.saturating_sub(taken).max(share)
}

/// Returns whether model `own` may make another call now. It may have one place above the limit while it has none and
/// another holds more than its share: calls that hang must not keep a healthy model from every call.
pub(super) fn has_room(limit: u32, parts: &[Part], own: usize) -> bool {
    let Some(part) = parts.get(own) else { return false };
    let in_flight: u32 = parts.iter().map(|part| part.in_flight).sum();
    if in_flight < limit {
        return part.in_flight < entitled(limit, parts, own);
    }
    let share = share(limit, parts, own);
    in_flight == limit && part.in_flight == 0 && parts.iter().any(|other| other.in_flight > share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(of: &[(u32, u32)]) -> Vec<Part> {
        of.iter().map(|&(in_flight, demand)| Part { in_flight, demand }).collect()
    }

    #[test]
    fn one_model_has_every_place() {
        assert_eq!(entitled(20, &parts(&[(3, 50)]), 0), 20);
        assert!(has_room(20, &parts(&[(19, 50)]), 0));
        assert!(!has_room(20, &parts(&[(20, 50)]), 0));
    }

    #[test]
    fn two_models_have_half_each_while_both_want_it() {
        let both = parts(&[(10, 50), (3, 50)]);
        assert_eq!([entitled(20, &both, 0), entitled(20, &both, 1)], [10, 10]);
        assert!(!has_room(20, &both, 0) && has_room(20, &both, 1));
        let few = parts(&[(10, 50), (0, 2)]);
        assert_eq!(entitled(20, &few, 0), 18, "what is left over is used");
    }

    #[test]
    fn a_model_without_a_call_may_exceed_the_limit_beside_a_greedy_one() {
        let hanging = parts(&[(20, 40), (0, 5)]);
        assert!(has_room(20, &hanging, 1) && !has_room(20, &hanging, 0));
        assert!(!has_room(20, &parts(&[(20, 40), (1, 5)]), 1), "one call, no more");
        assert!(!has_room(2, &parts(&[(1, 9), (1, 9), (0, 9)]), 2), "the others have their shares");
    }

    #[test]
    fn many_models_share_a_small_limit() {
        let many = parts(&[(1, 9), (0, 9), (0, 9)]);
        assert!(!has_room(2, &many, 0) && has_room(2, &many, 1));
    }
}
