//! The pages, by everybody: those of one's own take a browser's session and nothing else, all others are the same for
//! everyone.

use std::collections::BTreeSet;

use evalboard::http::pages;

use super::{ADMIN, MEMBER, Place};
use crate::support::browser::Browser;
use crate::support::{PUBLIC_URL, Reply};

/// What somebody gets: a status, or where he is led.
type Verdicts = [&'static str; 5];

/// A page or form with what it is sent and the verdict for each of [`WHO`].
type Row = (&'static str, &'static [(&'static str, &'static str)], Verdicts);

const WHO: [&str; 5] =
    ["anonymous", "a member's session", "an admin's session", "a member's key", "an admin's token"];

const LOGIN: &str = "to /login";
const KEYS: &str = "to /settings/api-keys";
/// The same for everybody.
const PUBLIC: Verdicts = ["200"; 5];
/// For whoever is signed in; a key signs nobody in.
const OWN: Verdicts = [LOGIN, "200", "200", LOGIN, LOGIN];
/// The same for admins.
const ADMINS: Verdicts = [LOGIN, "403", "200", LOGIN, LOGIN];
/// The same for a form that leads to the page with a new link.
const INVITING: Verdicts = [LOGIN, "403", "to /settings/people", LOGIN, LOGIN];

fn table() -> Vec<Row> {
    vec![
        ("GET /", &[], PUBLIC),
        ("GET /costs", &[], PUBLIC),
        ("GET /models/{id}", &[], PUBLIC),
        ("GET /compare", &[], PUBLIC),
        ("GET /evals", &[], PUBLIC),
        ("GET /evals/{id}", &[], PUBLIC),
        ("GET /docs/ranking", &[], PUBLIC),
        ("GET /runs", &[], PUBLIC),
        ("GET /runs/{id}", &[], PUBLIC),
        ("GET /schedules", &[], PUBLIC),
        ("GET /results/{id}", &[], PUBLIC),
        ("GET /cases/{id}", &[], PUBLIC),
        ("GET /training-sets", &[], PUBLIC),
        ("GET /training-sets/{id}", &[], PUBLIC),
        ("GET /ledger", &[], PUBLIC),
        ("GET /feed.xml", &[], PUBLIC),
        ("GET /docs", &[], PUBLIC),
        ("GET /preview/board.png", &[], PUBLIC),
        ("GET /preview/models/{id}.png", &[], PUBLIC),
        ("GET /preview/evals/{id}.png", &[], PUBLIC),
        // It is of two models; without them it is refused, to everybody alike.
        ("GET /preview/compare.png", &[], ["400"; 5]),
        ("GET /static/{file}", &[], PUBLIC),
        // A link that does not work, for everybody who was shown the form.
        ("GET /setup", &[], ["404"; 5]),
        (
            "POST /setup",
            &[("token", "x"), ("email", "eve@example.org"), ("password", "a"), ("again", "a")],
            ["403", "404", "404", "403", "403"],
        ),
        ("GET /login", &[], ["200", KEYS, KEYS, "200", "200"]),
        ("POST /login", &[("email", MEMBER), ("password", "no password")], ["403"; 5]),
        // Nobody is their provider here.
        #[cfg(feature = "oidc")]
        ("GET /login/oidc", &[], ["404"; 5]),
        #[cfg(feature = "oidc")]
        ("GET /login/oidc/callback", &[], ["404"; 5]),
        ("POST /logout", &[], [LOGIN, "to /", "to /", LOGIN, LOGIN]),
        ("GET /settings", &[], [LOGIN, KEYS, KEYS, LOGIN, LOGIN]),
        ("GET /settings/api-keys", &[], OWN),
        ("POST /settings/api-keys", &[("name", "Mine"), ("days", "30")], [LOGIN, KEYS, KEYS, LOGIN, LOGIN]),
        // The key is the member's; admins may revoke anybody's.
        ("POST /settings/api-keys/{id}/revoke", &[], [LOGIN, KEYS, KEYS, LOGIN, LOGIN]),
        // The case is of the member's own model on his own eval: it takes an admin to judge it.
        ("GET /settings/cases/{id}", &[], ADMINS),
        (
            "POST /settings/cases/{id}",
            &[("verdict", "right"), ("reason", "")],
            [LOGIN, "403", "400", LOGIN, LOGIN],
        ),
        ("POST /settings/cases/{id}/reinstate", &[("reason", "why")], [LOGIN, "403", "409", LOGIN, LOGIN]),
        ("GET /settings/people", &[], ADMINS),
        ("POST /settings/people", &[("email", "new@example.org"), ("role", "member")], INVITING),
        ("POST /settings/people/{id}", &[("change", "link")], INVITING),
        ("GET /settings/handle", &[], OWN),
        ("POST /settings/handle", &[("handle", "a-handle")], [LOGIN, "200", "409", LOGIN, LOGIN]),
        ("GET /settings/password", &[], OWN),
        ("GET /settings/training-sets", &[], OWN),
        // A form without a file is none.
        ("POST /settings/training-sets", &[], [LOGIN, "415", "415", LOGIN, LOGIN]),
        (
            "POST /settings/password",
            &[("current", "wrong"), ("password", "a"), ("again", "a")],
            [LOGIN, "400", "400", LOGIN, LOGIN],
        ),
    ]
}

/// A browser for each of [`WHO`], with the proof that its forms carry. Each has a session of its own: signing out ends
/// one.
async fn browsers(place: &Place, token: &str) -> Vec<(Browser, String)> {
    let board = &place.board;
    let mut browsers = Vec::new();
    for email in [None, Some(MEMBER), Some(ADMIN)] {
        let mut browser = Browser::new(board.address);
        let mut proof = "none".to_owned();
        if let Some(email) = email {
            let session = board.session(email).await;
            browser.cookie = Some(session.cookie());
            proof = session.0.form_proof();
        }
        browsers.push((browser, proof));
    }
    for credential in [board.member.credential(), token] {
        let mut browser = Browser::new(board.address);
        browser.bearer = Some(credential.to_owned());
        browsers.push((browser, "none".to_owned()));
    }
    browsers
}

fn verdict(reply: &Reply) -> String {
    if reply.code() != 303 {
        return reply.code().to_string();
    }
    let location = reply.header("location").trim_start_matches(PUBLIC_URL);
    format!("to {}", location.split('?').next().unwrap())
}

#[test]
fn the_table_has_every_page_once_and_no_other() {
    let table = table();
    let listed: BTreeSet<String> = table.iter().map(|(operation, ..)| (*operation).to_owned()).collect();
    let pages = pages::table();
    let rows =
        pages.iter().flat_map(|row| row.methods().iter().map(|method| format!("{method} {}", row.path())));
    assert_eq!(listed, rows.collect::<BTreeSet<_>>());
    assert_eq!(listed.len(), table.len(), "a page is in the table twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_for_whom_the_table_says_and_nobody_else() {
    let place = Place::new().await;
    let token = place.board.with_token_of(&place.board.admin, "write").await;
    let mut wrong = Vec::new();
    for (operation, fields, verdicts) in table() {
        let (method, template) = operation.split_once(' ').unwrap();
        let browsers = browsers(&place, token.credential()).await;
        for ((who, expected), (mut browser, proof)) in WHO.into_iter().zip(verdicts).zip(browsers) {
            let path = place.fill(template).await;
            let reply = if method == "GET" {
                browser.open(&path).await
            } else {
                browser.submit(&path, &[fields, &[("csrf", proof.as_str())]].concat()).await
            };
            if verdict(&reply) != expected {
                wrong.push(format!("{operation} by {who}: {} is not {expected}", verdict(&reply)));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
