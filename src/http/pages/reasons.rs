//! Why a case has no score, or a score of nothing, in words: what the code means and what to do about it.
//!
//! The codes are the engine's; one that is not known here is shown as it is.

use crate::domain::cases::Case;

/// What a code means, and what one can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    /// What happened.
    pub meaning: &'static str,
    /// What helps.
    pub next_step: &'static str,
}

const REASONED_ONLY: &str = "The model reasoned and gave no answer.";

const fn reason(meaning: &'static str, next_step: &'static str) -> Reason {
    Reason { meaning, next_step }
}

/// Returns the words for a code in view of the case: a limit is only blamed where it was reached.
#[must_use]
pub fn explain_case(code: &str, case: &Case) -> Reason {
    explain_unanswered(code, case.is_truncated, case.reasoning.is_some()).unwrap_or_else(|| explain(code))
}

fn explain_unanswered(code: &str, is_truncated: bool, has_reasoning: bool) -> Option<Reason> {
    match (code, is_truncated) {
        ("no_response", true) => Some(reason(
            if has_reasoning { REASONED_ONLY } else { "The model answered nothing." },
            "It counts as wrong. It was cut off at the token limit: a higher max_tokens helps.",
        )),
        ("no_response", false) if has_reasoning => {
            Some(reason(REASONED_ONLY, "It counts as wrong. Read the reasoning: the answer may stand there."))
        }
        ("unfinished_reasoning", true) => Some(reason(
            "The model was cut off at the token limit while it reasoned.",
            "It counts as wrong. A higher max_tokens helps.",
        )),
        ("unfinished_reasoning", false) => Some(reason(
            "The model's reasoning has no end, so there is no answer.",
            "It counts as wrong. If its answers begin with such a tag, set the model's thinking_tags to off.",
        )),
        _ => None,
    }
}

/// The words for an error's code or a reason's name.
#[must_use]
pub fn explain(code: &str) -> Reason {
    match code {
        "refusal" => reason(
            "The model refused to answer.",
            "It counts as wrong. Look at the prompt if you did not expect it.",
        ),
        "no_response" => {
            reason("The model answered nothing.", "It counts as wrong. Look at a case for what came back.")
        }
        "unfinished_reasoning" => reason(
            "The model's reasoning has no end, so there is no answer.",
            "It counts as wrong. Look at a case for where it stopped.",
        ),
        "invalid_response_format" => reason(
            "There was no answer in the form that was asked for.",
            "It counts as wrong. Look at the response.",
        ),
        "grader_failed" => reason(
            "The grader gave no verdict.",
            "Look at a case for what it said, then retry the run or score its answers again.",
        ),
        "scoring_failed" => reason(
            "The scorer, or the webhook that was asked, gave no score.",
            "Look at the case for what went wrong and at the eval's criteria, then score its answers again.",
        ),
        "never_asked" => reason(
            "The earlier run was stopped before it asked this, so there is no answer to score.",
            "Run the model again.",
        ),
        "answer_removed" => reason(
            "The answer was removed, since this board keeps answers for a limited time.",
            "Run the model again.",
        ),
        "gave_up" => reason(
            "The run gave up on the model: nothing of it could be asked for too long.",
            "Retry the run once the model can be called again.",
        ),
        "model_not_shared" => reason(
            "The model, or the grader, is called with its owner's API key, and its owner does not share it.",
            "Ask its owner to set shared, then retry the run.",
        ),
        "shared_cap_reached" => reason(
            "The daily cap of a shared model is reached for whoever started the run.",
            "Retry the run on the next day (UTC), or ask the model's owner for a higher cap.",
        ),
        "provider_auth" => reason(
            "The provider refused the key, or its account has no money left.",
            "Give the model a valid key or top up the account, then run it again.",
        ),
        "provider_not_found" => {
            reason("The provider does not know this model.", "Correct the model's inference_uri.")
        }
        "provider_rate_limited" => reason(
            "The provider allowed no more calls.",
            "Lower the model's max_concurrency, or wait and run it again.",
        ),
        "provider_unavailable" => reason("The provider was down.", "Run the model again once it is back."),
        "provider_timeout" | "timeout" => {
            reason("No answer came in time.", "Raise the model's timeout_ms, or run it again.")
        }
        "provider_bad_response" => reason(
            "The provider refused the call, or its response could not be read.",
            "Read the error's message, then check the model's inference_uri and parameters.",
        ),
        "provider_interrupted" => reason(
            "The provider broke the answer off.",
            "Run the model again; ask the provider if it happens often.",
        ),
        "provider_incomplete" => reason(
            "The connection broke off in the middle of the answer.",
            "Run the model again; check the proxies between this server and the endpoint.",
        ),
        "provider_stream_incomplete" => reason(
            "The stream ended before the answer in it did.",
            "Run the model again; check whether a proxy cuts long streams.",
        ),
        "provider_json_incomplete" => reason(
            "The response came whole, but its JSON has no end.",
            "Check the endpoint's own log and the Content-Length that it sends, then run the model again.",
        ),
        "provider_head_too_large" => reason(
            "The response has too many headers, or too long ones.",
            "Ask whoever runs the endpoint or the proxy before it.",
        ),
        "provider_disconnected" => reason(
            "The endpoint closed the connection without an answer.",
            "Check the endpoint's own log, then run the model again.",
        ),
        "provider_not_http" => {
            reason("What the endpoint sent is not HTTP.", "Check the port in the model's inference_uri.")
        }
        "provider_encoding" => reason(
            "The response was not compressed as its headers claim, or in a way that was not asked for.",
            "Ask whoever runs the endpoint or the proxy before it.",
        ),
        "provider_redirect" => {
            reason("The provider sent us elsewhere.", "Use the address that it redirects to.")
        }
        "provider_body_too_large" => reason("The answer was too large.", "Lower the model's max_tokens."),
        "provider_tls" => {
            reason("The provider's certificate is not valid.", "Ask whoever runs the endpoint.")
        }
        "endpoint_not_allowed" => reason(
            "This server may not call that address.",
            "Ask the operator to allow it in EVALBOARD_EGRESS_ALLOW.",
        ),
        "key_unreadable" => reason(
            "The stored key or webhook secret cannot be opened: it was sealed under another master key.",
            "Ask the operator to restore the master key, or store the key again; then retry the run or score its \
             answers again.",
        ),
        "endpoint_unreachable" => reason(
            "The address could not be reached.",
            "Check that the endpoint runs and can be reached from here.",
        ),
        "provider_error" => reason("The provider failed.", "Run the model again."),
        "cancelled" => reason("The run was cancelled before.", "Start another run."),
        "poison" => {
            reason("The server stopped again and again while working on it.", "Tell whoever runs this board.")
        }
        _ => reason("It could not be measured.", "Look at a case for details."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_without_words_are_explained_by_their_case() {
        let blamed = |code, is_truncated, reasoning: Option<&str>| {
            let reason = explain_unanswered(code, is_truncated, reasoning.is_some());
            reason.map(|reason| (reason.meaning, reason.next_step.contains("max_tokens")))
        };
        assert_eq!(blamed("no_response", false, None), None);
        assert_eq!(blamed("no_response", true, None), Some(("The model answered nothing.", true)));
        assert_eq!(blamed("no_response", true, Some("hm")), Some((REASONED_ONLY, true)));
        assert_eq!(blamed("no_response", false, Some("hm")), Some((REASONED_ONLY, false)));
        assert!(blamed("unfinished_reasoning", true, Some("hm")).unwrap().1);
        assert!(!blamed("unfinished_reasoning", false, Some("hm")).unwrap().1);
        assert_eq!(blamed("refusal", true, Some("hm")), None);
        assert!(!explain("no_response").next_step.contains("max_tokens"));
    }
}
