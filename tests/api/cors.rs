use reqwest::Method;

use crate::support::Board;

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_may_ask_from_anywhere_and_without_its_cookies() {
    let board = Board::start().await;
    let preflight = board
        .anonymous
        .ask(Method::OPTIONS, "/api/v1/status")
        .header("origin", "https://elsewhere.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization, content-type, idempotency-key")
        .send()
        .await;
    assert!(preflight.status.is_success());
    assert_eq!(preflight.header("access-control-allow-origin"), "*");
    assert!(preflight.header("access-control-allow-methods").contains("DELETE"));
    assert!(preflight.header("access-control-allow-headers").to_lowercase().contains("authorization"));
    assert_eq!(preflight.header("access-control-allow-credentials"), "");
    assert_eq!(preflight.header("vary"), "Accept-Encoding, Authorization");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_of_the_api_is_open_to_other_origins_errors_too() {
    let board = Board::start().await;
    for path in ["/api/v1/status", "/api/v1/nothing", "/api/v1/openapi.json"] {
        for origin in [None, Some("https://elsewhere.example")] {
            let asked = board.anonymous.ask(Method::GET, path);
            let asked = origin.into_iter().fold(asked, |asked, origin| asked.header("origin", origin));
            let reply = asked.send().await;
            assert_eq!(reply.header("access-control-allow-origin"), "*");
            assert!(reply.header("access-control-expose-headers").contains("X-Total-Count"));
        }
    }
    assert_eq!(board.anonymous.get("/healthz").await.header("access-control-allow-origin"), "");
}
