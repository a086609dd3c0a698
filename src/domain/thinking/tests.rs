//! Splitting of responses: tags of every spelling, tags that are only spoken of, and arbitrary texts.

use proptest::prelude::*;

use super::*;
use crate::cpu_clock::CpuClock;

fn answer(response: &str) -> Option<&str> {
    split(response).answer
}

#[test]
fn answers_stand_behind_the_last_closing_tag() {
    for response in [
        "<think>\nSpain, so Madrid.\n</think>\n\nMadrid",
        "\n \u{feff}<think>Lisbon?</think>Madrid",
        "<THINK>Lisbon?</Think> Madrid",
        "<thinking>Lisbon?</thinking>\nMadrid",
        "<thought effort=\"low\">Lisbon?</thought>\nMadrid",
        "<reasoning>Lisbon?</reasoning>\nMadrid",
        "[THINK]Lisbon?[/THINK]Madrid",
        "◁think▷Lisbon?◁/think▷Madrid",
        "Spain, so Madrid.\n</think>\n\nMadrid",
        "Spain, so Madrid.</think>Madrid",
        "it is 12</think>Madrid",
        "so it is Madrid </think>\nMadrid",
        "\n</think>\n\nMadrid",
        "<think></think>Madrid",
        "<think>a</think>b<think>c</think>Madrid",
        "<think>a</think>\n<think>c</think>\nMadrid",
        "<think>one\n</think>\ntwo\n</think>\nMadrid",
        "Let me see.\n<think>\nLisbon?\n</think>\nMadrid",
        "<think>I close with `</think>`, then the answer.</think>Madrid",
        "<think>a draft:\n```json\n{\"a\": 2}\n</think>\nMadrid",
        "<think>a lone ` here</think>Madrid",
        "a draft:\n```json\n{\"a\": 2}\n```\n</think>\nMadrid",
        "<|channel|>analysis<|message|>Lisbon?<|end|><|start|>assistant<|channel|>final<|message|>Madrid<|return|>",
        "<|start|>assistant<|channel|>analysis<|message|>Lisbon?<|end|><|start|>assistant<|channel|>final<|message|>Madrid",
        "Lisbon?<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>Madrid",
        "analysisLisbon? No.assistantfinalMadrid",
    ] {
        assert_eq!(answer(response), Some("Madrid"), "{response}");
        assert!(!split(response).thinking.contains("final"), "{response}");
    }
    assert_eq!(answer("<think>hm</think>\n"), Some(""));
    assert_eq!(answer("so 12.\n</think>"), Some(""));
}

#[test]
fn thinking_that_never_ends_has_no_answer() {
    for response in [
        "<think>\nLet me try: 3*4 = 12, but wait, maybe",
        "  <Thinking>12",
        "<think>",
        "◁think▷12",
        "[THINK]12",
        "<think>the tag is `</think>`, 12",
        "<think>a</think>\n<think>12",
        "<|channel|>analysis<|message|>12",
        "<|channel|>analysis<|message|>1<|end|><|start|>assistant<|channel|>commentary<|message|>12",
    ] {
        assert_eq!(answer(response), None, "{response}");
        assert_eq!(split(response).thinking.contains("12"), response.contains("12"), "{response}");
    }
    let again = split("<think>a</think>Answer: 5\n<think>or 3*4 = 12");
    assert_eq!((again.answer, again.thinking.as_str()), (Some("Answer: 5"), "a\n\nor 3*4 = 12"));
}

#[test]
fn answers_that_speak_of_tags_stay_whole() {
    for response in [
        "Madrid",
        "",
        "Wrap it in <think> and </think> tags.",
        "Models end their reasoning with </think> and then answer.",
        "The closing tag is </think>.",
        "The closing tag is </think>",
        "Write `</think>` last.\nThen answer.",
        "The tag \"</think>\"\nends it.",
        "The format:\n```\n<think>\nreasoning\n</think>\nanswer\n```\nThat is all.",
        "</think>",
        "a < b and c > d",
        "analysis of variance",
        "<p>think</p>",
    ] {
        let whole = Split { answer: Some(response), thinking: String::new() };
        assert_eq!(split(response), whole, "{response}");
    }
    let quoted = "<think>They ask about tags.</think>The `</think>` tag ends it, as in\n```\nx\n</think>\ny\n```\nand so on.";
    assert_eq!(answer(quoted), quoted.split_once("</think>").map(|(_, rest)| rest));
    assert_eq!(answer("<think>hm</think>The </think> tag ends it."), Some("The </think> tag ends it."));
}

#[test]
fn thinking_is_kept_without_its_tags() {
    assert_eq!(split("<think>\nSpain.\n</think>\nMadrid").thinking, "Spain.");
    assert_eq!(split("Spain.\n</think>\nMadrid").thinking, "Spain.");
    let channels =
        "<|channel|>analysis<|message|>Spain.<|end|><|start|>assistant<|channel|>final<|message|>Madrid";
    assert_eq!(split(channels).thinking, "Spain.");
}

#[test]
fn reasoning_and_thinking_are_joined_once() {
    let join =
        |reasoning: Option<&str>, thinking: &str| join(reasoning.map(str::to_owned), thinking.to_owned());
    assert_eq!(join(None, ""), None);
    assert_eq!(join(None, "b").as_deref(), Some("b"));
    assert_eq!(join(Some("a"), "").as_deref(), Some("a"));
    assert_eq!(join(Some("a"), "b").as_deref(), Some("a\n\nb"));
    assert_eq!(join(Some("a\n\nb"), "b").as_deref(), Some("a\n\nb"));
}

proptest! {
    #[test]
    fn any_text_can_be_split(text in "(</?think>|`{1,3}|\n|<\\|channel\\|>|final|<\\|message\\|>|[a \"]|\\PC){0,30}") {
        let parts = split(&text);
        prop_assert!(parts.answer.is_none_or(|answer| text.contains(answer)));
        prop_assert!(parts.thinking.len() <= text.len() + 2);
    }

    #[test]
    fn an_answer_behind_its_thinking_is_found(thought in "[a-z .`\n]{0,40}", answer in "[a-z]{1,9}") {
        let response = format!("<think>{thought}x\n</think>\n\n{answer}\n");
        prop_assert_eq!(split(&response).answer, Some(answer.as_str()));
    }
}

#[test]
fn long_texts_are_split_in_linear_time() {
    let started = CpuClock::start();
    for part in [
        "<",
        "<think>",
        "</think>",
        "<think>\n",
        "a </think> b ",
        "`",
        "` ``",
        "```\n",
        "<|channel|>",
        "\n</think>",
    ] {
        let _ = split(&part.repeat((1 << 20) / part.len()));
    }
    assert!(started.elapsed().as_secs() < 15);
}
