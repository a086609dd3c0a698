//! The demo's models, evals and training sets, written as the API takes them and read by the API's own forms.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::domain::{samples, training_sets};
use crate::error::{Error, Result};
use crate::http::api::evals::NewEval;
use crate::http::api::models::NewModel;
use crate::http::api::samples::{Sample, read_all};
use crate::service::evals::Draft;
use crate::service::seeds::{SeededModel, SeededSet, Seeds};

/// Bodies of `POST /models`, each with the evals that the model is run on where these are not all.
const MODELS: &str = include_str!("models.json");
/// Bodies of `POST /evals`, without samples.
const EVALS: &str = include_str!("evals.json");
/// By the eval's name: the body of `PUT /evals/{id}/samples`.
const SAMPLES: [(&str, &str); 8] = [
    ("Arithmetic", include_str!("arithmetic.jsonl")),
    ("Word problems", include_str!("word_problems.jsonl")),
    ("Capitals", include_str!("capitals.jsonl")),
    ("Science facts", include_str!("science_facts.jsonl")),
    ("True or false", include_str!("true_or_false.jsonl")),
    ("Reading", include_str!("reading.jsonl")),
    ("Following instructions", include_str!("instructions.jsonl")),
    ("Sorting and spelling", include_str!("sorting.jsonl")),
];
/// Training sets: name, description, file name, and the file.
const TRAINING_SETS: [[&str; 4]; 2] = [
    [
        "Unit conversions",
        "Questions about units with the way to the answer. None of them is in an eval: what a model was trained \
         on cannot measure it.",
        "unit_conversions.jsonl",
        include_str!("unit_conversions.jsonl"),
    ],
    [
        "English idioms",
        "What thirty idioms mean, with a sentence for each.",
        "idioms.csv",
        include_str!("idioms.csv"),
    ],
];

/// All of it.
///
/// # Errors
/// `Internal` when the files do not fit the forms.
pub(super) fn seeds() -> Result<Seeds> {
    let models = parse::<Vec<Listed>>(MODELS)?.into_iter().map(model).collect();
    let evals = parse::<Vec<NewEval>>(EVALS)?.into_iter().map(eval).collect::<Result<_>>()?;
    Ok(Seeds { models, evals, training_sets: TRAINING_SETS.map(set).into() })
}

fn set([name, description, file_name, file]: [&'static str; 4]) -> SeededSet {
    let card = training_sets::Card { name: name.to_owned(), description: description.to_owned() };
    SeededSet { card, file_name, file: file.as_bytes() }
}

/// A model as it is listed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    model: NewModel,
    evals: Option<BTreeSet<String>>,
}

fn model(Listed { model, evals }: Listed) -> SeededModel {
    SeededModel { card: model.card().0, evals }
}

fn eval(eval: NewEval) -> Result<(Draft, Vec<samples::Sample>)> {
    let (draft, _) = eval.draft()?;
    let name = &draft.card.name;
    let (_, lines) = SAMPLES
        .iter()
        .find(|(of, _)| of == name)
        .ok_or_else(|| Error::internal(format!("the demo has no samples of {name}")))?;
    let samples = lines.lines().map(parse::<Sample>).collect::<Result<_>>()?;
    Ok((draft, read_all(samples)?))
}

fn parse<T: DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::evals::check_sample;
    use crate::domain::samples::Input;
    use crate::engine::scorer::Scorer;

    #[test]
    fn every_eval_has_samples_that_can_be_asked_and_scored() {
        let evals = seeds().unwrap().evals;
        assert_eq!(evals.len(), SAMPLES.len());
        for (draft, samples) in evals {
            let name = draft.card.check().unwrap().name;
            let scorer = Scorer::of(&draft.measurement.check().unwrap()).unwrap();
            assert!(samples.len() >= 20, "{name}: {}", samples.len());
            let inputs: BTreeSet<String> =
                samples.iter().map(|sample| format!("{:?}", sample.input)).collect();
            assert_eq!(inputs.len(), samples.len(), "{name}: a sample stands there twice");
            for sample in samples {
                check_sample(&sample, &sample.key).unwrap();
                scorer.check_sample(&sample, &sample.key).unwrap();
            }
        }
    }

    #[test]
    fn no_model_is_trained_on_what_measures_it() {
        let seeds = seeds().unwrap();
        let taught: String =
            seeds.training_sets.iter().map(|set| str::from_utf8(set.file).unwrap()).collect();
        for sample in seeds.evals.iter().flat_map(|(_, samples)| samples) {
            let Input::Text(asked) = &sample.input else { continue };
            assert!(!taught.contains(asked), "{asked}");
        }
    }

    #[test]
    fn every_model_is_a_baseline_and_says_so_and_no_two_share_a_name() {
        let models = seeds().unwrap().models;
        let names: BTreeSet<&str> = models.iter().map(|model| model.card.name.as_str()).collect();
        assert_eq!(names.len(), models.len());
        for SeededModel { card, .. } in &models {
            assert!(card.inference_uri.starts_with("builtin:"));
            assert!(!card.description.is_empty());
        }
    }

    #[test]
    fn every_model_is_run_on_evals_that_are_there_and_costs_something() {
        let Seeds { models, evals, .. } = seeds().unwrap();
        let evals: BTreeSet<String> = evals.into_iter().map(|(draft, _)| draft.card.name).collect();
        for SeededModel { card, evals: wanted } in models {
            assert!(wanted.is_none_or(|wanted| wanted.is_subset(&evals)), "{}", card.name);
            assert!(card.prices.input.zip(card.prices.output).is_some(), "{}", card.name);
        }
    }
}
