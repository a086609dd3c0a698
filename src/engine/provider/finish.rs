//! Finish reasons, in the words of all servers: whole, at a token limit, at a filter, or broken off.

use super::{Flaw, names};

/// The meaning of a finish reason for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// The model ended it.
    Whole,
    /// It was cut off at a token limit.
    Truncated,
    /// A filter or the model itself withheld it.
    Filtered,
    /// The server gave up on it.
    BrokenOff,
    /// No reason, or one that is not known here.
    Unknown,
}

const WHOLE: &[&str] = &[
    "complete",
    "completed",
    "done",
    "end",
    "end_of_sequence",
    "end_of_text",
    "end_turn",
    "eos",
    "eos_token",
    "eot",
    "eot_token",
    "finished",
    "function_call",
    "normal",
    "stop",
    "stop_sequence",
    "stop_str",
    "stop_token",
    "success",
    "tool_call",
    "tool_calls",
    "tool_use",
];

const TRUNCATED: &[&str] = &[
    "context_length",
    "context_length_exceeded",
    "context_window_exceeded",
    "length",
    "length_limit",
    "max_completion_tokens",
    "max_length",
    "max_new_tokens",
    "max_output_tokens",
    "max_tokens",
    "model_context_window_exceeded",
    "model_length",
    "token_limit",
];

const BROKEN_OFF: &[&str] = &[
    "abort",
    "aborted",
    "cancel",
    "cancelled",
    "canceled",
    "disconnect",
    "disconnected",
    "error",
    "exception",
    "fail",
    "failed",
    "failure",
    "incomplete",
    "interrupted",
    "pause_turn",
    "preempted",
    "terminated",
    "unexpected_error",
];

impl Finish {
    /// Refuses what is no answer of the model's: a generation that was broken off, and one without a text of which
    /// nothing shows that it came to its end.
    pub(super) fn check(self, reason: Option<&str>, has_answer: bool) -> Result<(), Flaw> {
        let reason = reason.map_or_else(|| "none".to_owned(), |reason| format!("\"{reason}\""));
        match self {
            Self::BrokenOff => {
                Err(Flaw::BrokenOff(format!("broke the answer off: its finish reason is {reason}")))
            }
            Self::Unknown if !has_answer => Err(Flaw::BrokenOff(format!(
                "sent nothing, and no known reason for it: its finish reason is {reason}"
            ))),
            _ => Ok(()),
        }
    }

    /// The meaning of a `finish_reason` or `stop_reason`; none is unknown.
    pub(super) fn of(reason: Option<&str>) -> Self {
        let name = names::normalized(reason.unwrap_or_default());
        // Some add a detail: `content_filter: SAFETY`.
        let name = name.split(':').next().unwrap_or_default().trim_end_matches('_');
        let is_in = |known: &[&str]| known.contains(&name);
        if is_in(WHOLE) {
            Self::Whole
        } else if is_in(TRUNCATED) {
            Self::Truncated
        } else if names::is_filter(name) {
            Self::Filtered
        } else if is_in(BROKEN_OFF) || names::means_later(name) {
            Self::BrokenOff
        } else {
            Self::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_has_its_words() {
        let table: [(Finish, &[&str]); 5] = [
            (
                Finish::Whole,
                &[
                    "stop",
                    "STOP",
                    "eos",
                    "end_turn",
                    "stop_sequence",
                    "tool_calls",
                    "function_call",
                    "tool_use",
                ],
            ),
            (
                Finish::Truncated,
                &["length", "max_tokens", "MAX_TOKENS", "model_length", "model_context_window_exceeded"],
            ),
            (
                Finish::Filtered,
                &[
                    "content_filter",
                    "content_filter: PROHIBITED_CONTENT",
                    "refusal",
                    "SAFETY",
                    "guardrail_intervened",
                    "sensitive",
                    "content-filter",
                ],
            ),
            (
                Finish::BrokenOff,
                &[
                    "error",
                    "network_error",
                    "insufficient_system_resource",
                    "abort",
                    "cancelled",
                    "canceled",
                    "timeout",
                    "Timed out",
                    "server_error",
                    "overloaded_error",
                    "api_error",
                    "pause_turn",
                    "Error: upstream",
                    "interrupted",
                ],
            ),
            (Finish::Unknown, &["", "null", "other", "weird", "finish_reason_unspecified", "nonstop"]),
        ];
        for (finish, reasons) in table {
            for reason in reasons {
                assert_eq!(Finish::of(Some(reason)), finish, "{reason}");
            }
        }
        assert_eq!(Finish::of(None), Finish::Unknown);
    }
}
