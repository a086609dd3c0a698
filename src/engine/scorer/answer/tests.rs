//! Answers as models write them, and prose that only looks like one.

use proptest::prelude::*;

use super::*;
use crate::cpu_clock::CpuClock;

fn read(response: &str, wanted: Wanted) -> Option<Vec<char>> {
    static READER: LazyLock<AnswerReader> = LazyLock::new(|| AnswerReader::new(&[]).unwrap());
    READER.read(response, wanted, |letter, text| {
        letter == 'B' && text.trim_start_matches([')', '.', ':', ' ']) == "Paris"
    })
}

#[test]
fn the_last_answer_is_read_through_what_models_put_around_it() {
    for (response, expected) in [
        ("ANSWER: B", "B"),
        ("answer:b", "B"),
        ("ANSWER: $B$", "B"),
        ("**ANSWER: B**", "B"),
        ("**ANSWER:** B.", "B"),
        ("ANSWER: **B**", "B"),
        ("ANSWER: (B)", "B"),
        ("ANSWER: [B]", "B"),
        ("ANSWER:\n\n B\n", "B"),
        ("ANSWER: B) Berlin", "B"),
        ("ANSWER: B. Berlin", "B"),
        ("ANSWER: b) Berlin", "B"),
        ("ANSWER: B is right", "B"),
        ("ANSWER: A is right", "A"),
        ("ANSWER: I) iodine", "I"),
        ("ANSWER：Ｂ", "B"),
        ("_Answer_: B", "B"),
        ("ANSWER: A, B", "AB"),
        ("ANSWERS: A and B", "AB"),
        ("ANSWER: A B", "AB"),
        ("ANSWER: A/B", "AB"),
        ("ANSWER: A or B", "AB"),
        ("ANSWER: A, B because both", "AB"),
        ("ANSWER: A, I think", "A"),
        ("ANSWER: A, a city", "A"),
        ("ANSWER: B, not C", "B"),
        ("ANSWER: A, A", "A"),
        ("ANSWER: A\nANSWER: C", "C"),
        ("ANSWER: A\nas I said, 'ANSWER: <letter>'", "A"),
        ("ANSWER: A\nThe answer: 42", "A"),
        ("ANSWER: A ANSWER: Z", "Z"),
        ("ANSWER: ANSWER: B", "B"),
        ("ANSWER: \\boxed{B}", "B"),
        ("ANSWER: $\\boxed{B}$", "B"),
        ("ANSWER: \\boxed{\\text{B}}", "B"),
        ("ANSWER: $\\text{B}$", "B"),
        ("ANSWER: $\\mathbf{B}$", "B"),
        ("ANSWER: \\(\\mathrm{B}\\)", "B"),
        ("ANSWER: $$\\boxed{\\textbf{(B)}}$$", "B"),
        ("ANSWER: \\\\boxed{B}", "B"),
        ("ANSWER:\n\\[\n\\boxed{B}\n\\]", "B"),
        ("$\\text{ANSWER: } B$", "B"),
        ("\\textbf{ANSWER:} B", "B"),
        ("ANSWER: \\boxed{\\text{Option B}}", "B"),
        ("ANSWER: Option B", "B"),
        ("ANSWER: option (B)", "B"),
        ("ANSWER: Choice B", "B"),
        ("ANSWER: letter B.", "B"),
        ("ANSWER: The correct option is B", "B"),
        ("ANSWER: Option A and Option C", "AC"),
        ("ANSWER: \\boxed{A, C}", "AC"),
        ("ANSWER: \u{1d401}", "B"),
        ("Answer is: B", "B"),
        ("**Answer:** B) Paris", "B"),
        ("Final Answer: **(B)**", "B"),
        ("Answer choice: B", "B"),
        ("ANSWER: C++", ""),
        ("ANSWER: A-level", ""),
        ("B", "B"),
        ("b", "B"),
        ("(B)", "B"),
        ("**B**.", "B"),
        ("$\\boxed{B}$", "B"),
        ("Option B", "B"),
        ("Ｂ", "B"),
        ("A and B", "AB"),
        ("I", "I"),
        ("Therefore it is \\boxed{B}.", "B"),
        ("Therefore \\boxed{42}.", ""),
        ("The answer is B", "B"),
        ("The answer is B.", "B"),
        ("So the answer is **(B)**, Paris.", "B"),
        ("The correct answer is option B because it is green.", "B"),
        ("The answer is A because it is red.", "A"),
        ("The answer would therefore be $B$.", "B"),
        ("The correct option is (C).", "C"),
        ("The answer is: B) Paris", "B"),
        ("I thought the answer is A, but the answer is C.", "C"),
        ("The answer is B.\nANSWER: C", "C"),
        ("ANSWER: C\nIn other words, the answer is B.", "C"),
        ("ANSWER: C\nAntwort: B", "C"),
        ("Antwort: B", "B"),
        ("Die richtige Antwort ist B.", "B"),
        ("Die Antwort lautet: **B**", "B"),
        ("Réponse\u{a0}: B", "B"),
        ("La réponse est B.", "B"),
        ("Respuesta: opción B", "B"),
        ("La respuesta correcta es la B.", "B"),
        ("Resposta: a alternativa B", "B"),
        ("Risposta: B", "B"),
        ("Antwoord: B", "B"),
        ("Odpowiedź: B", "B"),
        ("Poprawna odpowiedź to B.", "B"),
        ("Ответ: B", "B"),
        ("Cevap: B", "B"),
        ("答案：B", "B"),
        ("答案是B。", "B"),
        ("正确答案应该是 B", "B"),
        ("答案：选项B", "B"),
        ("答え：Ｂ", "B"),
        ("答えはBです。", "B"),
        ("정답: B", "B"),
        ("정답은 B입니다.", "B"),
        ("الإجابة: B", "B"),
        ("الإجابة الصحيحة هي B", "B"),
        ("Ответ — B", "B"),
        ("故选B。", "B"),
        ("不选B", ""),
        ("उत्तर: B", "B"),
        ("The answer is a matter of taste", ""),
        ("The answer is a (hard) one.", ""),
        ("The answer is I think unknown", ""),
        ("The answer is not B", ""),
        ("The answer is X-ray", ""),
        ("The answer is C++", ""),
        ("The answer is P(A)", ""),
        ("The answer is U.S. policy", ""),
        ("The answer is C major", ""),
        ("My answer to A would take long", ""),
        ("What is the answer? Is B right?", ""),
        ("A matter of taste", ""),
        ("B is a letter, C is one too", ""),
        ("not B", ""),
        ("C++", ""),
        ("A+", ""),
        ("A) red B) green C) blue", ""),
        ("ANSWER B", "B"),
        ("MYANSWER: B", ""),
        ("ANSWER: Berlin", ""),
        ("ANSWER: a dog", ""),
        ("ANSWER: I think so", ""),
        ("ANSWER: I'd say", ""),
        ("ANSWER:", ""),
        ("ANSWER: and", ""),
        ("ANSWER: $LETTER", ""),
        ("ANSWER: AB", ""),
    ] {
        let found: String = read(response, Wanted::One).unwrap_or_default().into_iter().collect();
        assert_eq!(found, expected, "{response}");
    }
}

#[test]
fn letters_run_together_only_where_several_are_wanted() {
    let all = |response| read(response, Wanted::All);
    assert_eq!(all("ANSWER: ACD"), Some(vec!['A', 'C', 'D']));
    assert_eq!(all("ANSWER: ABBA"), None);
    assert_eq!(all("ANSWER: Abc"), None);
}

proptest! {
    #[test]
    fn any_text_can_be_searched_for_an_answer(text in "(ANSWER|answer:|[:*$() ,A-Da-d\n]|and|\\PC){0,60}") {
        for letter in read(&text, Wanted::All).unwrap_or_default() {
            prop_assert!(letter.is_ascii_uppercase());
        }
    }
}

#[test]
fn a_long_row_of_heads_is_read_in_linear_time() {
    let started = CpuClock::start();
    for part in ["answer:", "answer: a ", "answer", "answer*", "answer: 'A", "answer:\n", "ANSWER: É"] {
        let _ = read(&part.repeat((1 << 17) / part.len()), Wanted::All);
    }
    assert!(started.elapsed().as_secs() < 15);
}
#[test]
fn a_letter_with_its_own_option_is_an_answer() {
    for response in ["B) Paris", "B. Paris", "(B) Paris", "B: Paris", "B Paris"] {
        assert_eq!(read(response, Wanted::One), Some(vec!['B']), "{response}");
    }
    for response in ["A) Paris", "B) Rome", "B) Paris or so"] {
        assert_eq!(read(response, Wanted::One), None, "{response}");
    }
}

#[test]
fn further_answer_words_are_read_beside_the_usual_ones() {
    let reader = AnswerReader::new(&["vastaus".to_owned(), "on valmis".to_owned()]).unwrap();
    for response in
        ["Vastaus: B", "VASTAUS on: nothing\nvastaus: B", "On valmis: B", "Antwort: B", "ANSWER: B"]
    {
        assert_eq!(reader.read(response, Wanted::One, |_, _| false), Some(vec!['B']), "{response}");
    }
    assert_eq!(read("Vastaus: B", Wanted::One), None);
}
