//! Judging an answer: a person's verdict in place of the scorer's, or the scorer's again. For whoever answers for the
//! eval. What it does is the service's.

use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;

use super::{Me, Wrong, meta, send};
use crate::domain::id::CaseId;
use crate::domain::overrules::{Said, require_answer, require_judge, require_settled};
use crate::error::{Error, Result};
use crate::http::headers::see_other;
use crate::http::pages::links;
use crate::http::pages::page::Meta;
use crate::http::pages::passage::Passage;
use crate::http::pages::verdict::Verdict;
use crate::http::{Answered, Id, Posted, SignedIn, Site, Write};
use crate::service::once::{Answer, Once};
use crate::service::overrules::{self as service, Opened};
use crate::store::{self, Tx};

#[derive(Template)]
#[template(path = "settings_case.html", whitespace = "minimize")]
struct JudgePage {
    meta: Meta,
    me: Me,
    wrong: Option<Wrong>,
    typed: Typed,
    case_href: String,
    action: String,
    /// Whose answer to what.
    name: String,
    scorer: Verdict,
    /// What a person said, where one did.
    overruled: Option<Verdict>,
    /// Why nothing can be said of it now.
    obstacle: Option<String>,
    is_binary: bool,
    response: Passage,
    targets: Vec<String>,
}

/// The form, as somebody filled it in.
#[derive(Deserialize, Default)]
pub(in super::super) struct Typed {
    /// right, wrong or, from scorers that give points, a number from 0 to 100.
    verdict: Option<String>,
    reason: String,
}

/// The form to take a verdict back.
#[derive(Deserialize)]
pub(in super::super) struct TakenBack {
    reason: String,
}

impl Typed {
    fn is(&self, word: &str) -> bool {
        self.verdict.as_deref() == Some(word)
    }

    fn said(&self) -> Result<Said> {
        let bad =
            || Error::invalid("verdict", "say whether the answer is right, or its points from 0 to 100");
        match self.verdict.as_deref().map(str::trim) {
            Some("right") => Ok(Said { correct: Some(true), score: None }),
            Some("wrong") => Ok(Said { correct: Some(false), score: None }),
            Some(points) => {
                let points: f64 = points.parse().map_err(|_| bad())?;
                if !(0.0..=100.0).contains(&points) {
                    return Err(bad());
                }
                Ok(Said { score: Some(points / 100.0), correct: None })
            }
            None => Err(bad()),
        }
    }
}

/// Answers `GET /settings/cases/{id}`.
pub(in super::super) async fn show(me: SignedIn<Write>, Id(id): Id<CaseId>, site: Data<Site>) -> Answered {
    page(&site, &me, id, Typed::default(), None).await
}

/// Answers `POST /settings/cases/{id}`.
pub(in super::super) async fn overrule(
    me: SignedIn<Write>,
    Id(id): Id<CaseId>,
    Posted(typed): Posted<Typed>,
    site: Data<Site>,
) -> Answered {
    let once = Once::unasked(me.user.key);
    let judged = match typed.said() {
        Ok(said) => {
            let verdict = (said, typed.reason.clone());
            service::overrule(&site.app, me.user.clone(), id.clone(), verdict, once, nothing).await
        }
        Err(error) => Err(error),
    };
    match judged {
        Ok(_) => Ok(see_other(&links::case(&id))),
        Err(error) => page(&site, &me, id, typed, Some(Wrong::of(error)?)).await,
    }
}

/// Answers `POST /settings/cases/{id}/reinstate`.
pub(in super::super) async fn reinstate(
    me: SignedIn<Write>,
    Id(id): Id<CaseId>,
    Posted(form): Posted<TakenBack>,
    site: Data<Site>,
) -> Answered {
    match service::reinstate(&site.app, me.user.clone(), id.clone(), Some(form.reason)).await {
        Ok(_) => Ok(see_other(&links::case(&id))),
        Err(error) => page(&site, &me, id, Typed::default(), Some(Wrong::of(error)?)).await,
    }
}

/// The page that follows says what has become of it.
fn nothing(_: &Opened) -> Result<Answer> {
    Answer::ok(&())
}

async fn page(site: &Site, me: &SignedIn<Write>, id: CaseId, typed: Typed, wrong: Option<Wrong>) -> Answered {
    let (user, address) = (me.user.clone(), links::judge(&id));
    let read = move |tx: &mut Tx<'_>| {
        let opened = Opened::read(tx, &id)?;
        require_judge(&user, &opened.result)?;
        let pass = store::evals::pass_mark(tx, opened.result.version_key)?;
        let is_binary = service::is_binary(tx, &opened.result)?;
        Ok((opened, pass, is_binary))
    };
    let (opened, pass, is_binary) = site.app.store.read(read).await?;
    let Opened { case, result, .. } = opened;
    let obstacle = require_settled(&result).and_then(|()| require_answer(&case)).err();
    let verdict = Verdict::of(&case, pass);
    let page = JudgePage {
        meta: meta(&site.public_url, &address, "Judge an answer"),
        me: Me::of(me),
        wrong,
        typed,
        case_href: links::case(&case.id),
        action: address,
        name: format!("{} on {}, sample {}", result.model_name, result.eval_name, case.sample.key),
        scorer: match &case.overrule {
            Some(overrule) => Verdict::of_scorer(&case, overrule, pass),
            None => verdict.clone(),
        },
        overruled: case.overrule.is_some().then_some(verdict),
        obstacle: obstacle.map(|obstacle| obstacle.to_string()),
        is_binary,
        targets: case.sample.target.clone(),
        response: Passage::new("Response", case.response),
    };
    send(&page, page.wrong.as_ref())
}
