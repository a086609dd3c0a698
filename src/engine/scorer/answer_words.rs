//! Words around an answer in the languages that are read: answer, is, option, and.
//!
//! English, German, French, Spanish, Portuguese, Italian, Dutch, Polish, Russian, Turkish, Arabic, Hindi, Chinese,
//! Japanese and Korean.

/// What other languages have for answer. Longer words come before those that they begin with.
pub(super) const ANSWER_WORDS: &[&str] = &[
    "antwort",
    "lösung",
    "réponse",
    "reponse",
    "respuesta",
    "resposta",
    "gabarito",
    "risposta",
    "antwoord",
    "odpowiedź",
    "odpowiedz",
    "ответ",
    "cevap",
    "yanıt",
    "الإجابة",
    "الاجابة",
    "إجابة",
    "الجواب",
    "उत्तर",
    "जवाब",
    "答案",
    "正确选项",
    "正確選項",
    "答え",
    "解答",
    "回答",
    "正解",
    "答",
    "정답",
    "답변",
    "답",
];

/// Chinese for so one chooses; the letter comes right behind it.
pub(super) const CHOOSING: &[&str] =
    &["故选", "故選", "所以选", "所以選", "因此选", "因此選", "应选", "應選"];

/// Words that join an answer word with the answer.
pub(super) const LINKS: &[&str] = &[
    "is",
    "was",
    "are",
    "would",
    "must",
    "should",
    "be",
    "ist",
    "lautet",
    "wäre",
    "est",
    "es",
    "é",
    "è",
    "zijn",
    "jest",
    "to",
    "это",
    "هي",
    "هو",
    "है",
    "就是",
    "应该是",
    "應該是",
    "应为",
    "應為",
    "应是",
    "是",
    "为",
    "為",
    "选",
    "選",
    "は",
    "이",
    "가",
    "은",
    "는",
];

/// Words for option; a letter follows.
const OPTION_WORDS: &[&str] = &[
    "option",
    "options",
    "choice",
    "choices",
    "letter",
    "letters",
    "optionen",
    "buchstabe",
    "choix",
    "lettre",
    "opción",
    "opcion",
    "letra",
    "opção",
    "opcao",
    "alternativa",
    "opzione",
    "l'option",
    "l'opzione",
    "lettera",
    "optie",
    "wariant",
    "opcja",
    "litera",
    "вариант",
    "буква",
    "seçenek",
    "şık",
    "الخيار",
    "विकल्प",
    "选项",
    "選項",
    "選択肢",
    "选择",
    "選擇",
    "선택지",
    "보기",
];

/// Other words that may stand before the letter.
const LEADS: &[&str] = &[
    "the",
    "correct",
    "right",
    "best",
    "answer",
    "definitely",
    "therefore",
    "thus",
    "hence",
    "clearly",
    "simply",
    "also",
    "then",
    "indeed",
    "probably",
    "likely",
    "die",
    "der",
    "das",
    "richtige",
    "la",
    "le",
    "el",
    "il",
    "de",
    "correcta",
    "correcte",
    "correta",
    "corretta",
    "bonne",
    "juiste",
    "donc",
    "entonces",
    "portanto",
    "quindi",
    "dus",
    "daher",
    "somit",
    "folglich",
    "poprawna",
    "правильный",
    "الصحيحة",
];

const JOINERS: &[&str] = &[
    "and", "or", "und", "oder", "et", "ou", "en", "of", "oraz", "lub", "и", "или", "ve", "veya", "和", "与",
    "及", "或", "と",
];

/// Words behind a letter that do not go on with it as a name: `B because it is hot`.
const CONNECTIVES: &[&str] = &[
    "because",
    "since",
    "as",
    "and",
    "or",
    "for",
    "which",
    "with",
    "given",
    "due",
    "based",
    "weil",
    "da",
    "denn",
    "und",
    "parce",
    "car",
    "et",
    "porque",
    "ya",
    "pois",
    "perché",
    "poiché",
    "omdat",
    "want",
    "ponieważ",
    "потому",
    "так",
    "çünkü",
];

/// Whether `word` is among `words`, whatever its case.
fn is_among(word: &str, words: &[&str]) -> bool {
    let lower = word.to_lowercase();
    words.contains(&lower.as_str())
}

/// Whether `word` joins letters.
pub(super) fn is_joiner(word: &str) -> bool {
    is_among(word, JOINERS)
}

/// Whether `word` is one for option.
pub(super) fn is_option_word(word: &str) -> bool {
    is_among(word, OPTION_WORDS)
}

/// Whether `word` joins the word answer with a letter, alone or after others without a space: `应该是`.
pub(super) fn is_link(word: &str) -> bool {
    is_among(word, LINKS)
}

/// Whether `word` may stand before a letter.
pub(super) fn is_filler(word: &str) -> bool {
    is_option_word(word) || is_link(word) || is_among(word, LEADS)
}

/// Whether prose about the letter goes on with `word`.
pub(super) fn is_connective(word: &str) -> bool {
    is_among(word, CONNECTIVES)
}
