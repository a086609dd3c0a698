//! Calls that an endpoint wants in another form, streams, and filters: over HTTP, with the requests that were sent.

use super::*;

fn http(status: u16, kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n");
    format!("{head}connection: close\r\n\r\n{body}").into_bytes()
}

fn json_body(status: u16, body: &str) -> Vec<u8> {
    http(status, "application/json", body)
}

/// What was asked of a server that answers in turn, by a model with these parameters, that many times.
async fn asked(
    answers: Vec<Vec<u8>>,
    parameters: &Parameters,
    calls: usize,
) -> (Vec<Value>, Vec<Result<Reply, Failure>>) {
    let server = Server::in_turn(answers.clone()).await;
    let providers = providers(&[]);
    let endpoint = resolve(&providers, &format!("http://{}/v1/chat", server.address), key(KEY));
    let question = Call { parameters: parameters.clone(), ..call(&[(Role::User, "2 + 2")]) };
    let mut replies = Vec::new();
    for _ in 0..calls {
        replies.push(providers.call(&endpoint, &question).await);
    }
    ((0..answers.len()).map(|_| server.request().1).collect(), replies)
}

const LIMIT_REFUSED: &str = concat!(
    r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use "#,
    r#"'max_completion_tokens' instead.","code":"unsupported_parameter","param":"max_tokens"}}"#
);
const STREAMED: &str = concat!(
    "data: {\"choices\":[{\"delta\":{\"content\":\"4\"},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\ndata: [DONE]\n\n"
);

fn limited() -> Parameters {
    Parameters { max_tokens: Some(9), ..Parameters::default() }
}

#[tokio::test]
async fn the_other_name_of_the_limit_is_tried_at_once_and_kept() {
    let answers = vec![json_body(400, LIMIT_REFUSED), json_body(200, ANSWER), json_body(200, ANSWER)];
    let (bodies, replies) = asked(answers, &limited(), 2).await;
    assert!(replies.iter().all(|reply| reply.as_ref().unwrap().text == "4"));
    let sent = |body: &Value| (body.get("max_tokens").is_some(), body.get("max_completion_tokens").is_some());
    assert_eq!(bodies.iter().map(sent).collect::<Vec<_>>(), [(true, false), (false, true), (false, true)]);
    assert_eq!(bodies[2]["max_completion_tokens"], 9);
}

#[tokio::test]
async fn a_limit_that_is_refused_by_both_names_is_an_error_and_not_kept() {
    let other = LIMIT_REFUSED.replace("max_tokens", "max_completion_tokens");
    let refusals = [json_body(400, LIMIT_REFUSED), json_body(400, &other)];
    let (bodies, replies) = asked([refusals.clone(), refusals].concat(), &limited(), 2).await;
    for reply in replies {
        assert_eq!(reply.unwrap_err().code, "provider_bad_response");
    }
    assert!(bodies[2].get("max_tokens").is_some(), "{bodies:?}");
    let unnamed =
        json_body(400, r#"{"error":{"message":"temperature is not supported","param":"temperature"}}"#);
    let hot = Parameters { temperature: Some(1.0), ..limited() };
    let (_, replies) = asked(vec![unnamed], &hot, 1).await;
    assert!(replies[0].as_ref().unwrap_err().message.contains("temperature is not supported"));
}

#[tokio::test]
async fn an_endpoint_that_only_streams_is_asked_for_a_stream_from_then_on() {
    let demand =
        r#"{"error":{"message":"This model only support stream mode, please enable the stream parameter"}}"#;
    let stream = || http(200, "text/event-stream; charset=utf-8", STREAMED);
    let (bodies, replies) = asked(vec![json_body(400, demand), stream(), stream()], &limited(), 2).await;
    assert!(replies.iter().all(|reply| reply.as_ref().unwrap().text == "4"));
    assert_eq!(replies[0].as_ref().unwrap().usage.output_tokens, Some(1));
    assert_eq!(replies[0].as_ref().unwrap().raw, STREAMED);
    let streams: Vec<bool> = bodies.iter().map(|body| body.get("stream") == Some(&json!(true))).collect();
    assert_eq!(streams, [false, true, true]);
}

#[tokio::test]
async fn a_demand_inside_a_200_or_a_500_is_met_as_well() {
    let demand = r#"{"error":{"message":"Only streaming is supported","code":400}}"#;
    for status in [200, 500] {
        let answers = vec![json_body(status, demand), http(200, "text/event-stream", STREAMED)];
        let (bodies, replies) = asked(answers, &Parameters::default(), 1).await;
        assert_eq!(replies[0].as_ref().unwrap().text, "4", "{status}");
        assert_eq!(bodies[1]["stream"], true, "{status}");
    }
    let answers = vec![json_body(200, LIMIT_REFUSED), json_body(200, ANSWER)];
    let (bodies, replies) = asked(answers, &limited(), 1).await;
    assert_eq!(
        (replies[0].as_ref().unwrap().text.as_str(), &bodies[1]["max_completion_tokens"]),
        ("4", &json!(9))
    );
}

#[tokio::test]
async fn a_stream_is_read_under_any_content_type_and_without_its_options() {
    let streams = Parameters { stream: Some(true), ..Parameters::default() };
    let refused = r#"{"error":{"message":"Unrecognized request argument supplied: stream_options"}}"#;
    let stream = || http(200, "text/plain", STREAMED);
    let (bodies, replies) =
        asked(vec![json_body(400, refused), stream(), json_body(200, ANSWER)], &streams, 2).await;
    assert!(replies.iter().all(|reply| reply.as_ref().unwrap().text == "4"));
    let options: Vec<bool> = bodies.iter().map(|body| body.get("stream_options").is_some()).collect();
    assert_eq!(options, [true, false, false]);
    assert!(bodies.iter().all(|body| body["stream"] == true));
    // Nobody asked for a stream, and one comes all the same.
    let (bodies, replies) =
        asked(vec![http(200, "text/event-stream", STREAMED)], &Parameters::default(), 1).await;
    assert_eq!(replies[0].as_ref().unwrap().text, "4");
    assert_eq!(bodies[0].get("stream"), None);
}

#[tokio::test]
async fn streams_that_end_badly_are_failures_of_their_kind() {
    let later = Retry::Later { after: None, counts: true };
    let half = "data: {\"choices\":[{\"delta\":{\"content\":\"The capital of\"}}]}\n\n";
    let error = |text: &str| format!("{half}data: {text}\n\n");
    let endings = [
        (half.to_owned(), "provider_stream_incomplete", later),
        (error(r#"{"error":{"type":"overloaded_error"}}"#), "provider_unavailable", later),
        (error(r#"{"error":{"code":"401"}}"#), "provider_auth", Retry::Never),
        (error(r#"{"choices":[{"delta":{},"finish_reason":"error"}]}"#), "provider_interrupted", later),
    ];
    for (body, code, retry) in endings {
        let (_, replies) =
            asked(vec![http(200, "text/event-stream", &body)], &Parameters::default(), 1).await;
        let failure = replies[0].as_ref().unwrap_err();
        assert_eq!((failure.code, failure.retry), (code, retry), "{body}");
    }
    let cut = b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ncontent-length: 9999\r\n\r\n";
    let (_, replies) = asked(vec![[&cut[..], half.as_bytes()].concat()], &Parameters::default(), 1).await;
    assert_eq!(replies[0].as_ref().unwrap_err().code, "provider_incomplete");
    let (_, replies) = asked(vec![[&cut[..], STREAMED.as_bytes()].concat()], &Parameters::default(), 1).await;
    assert_eq!(replies[0].as_ref().unwrap().text, "4", "all that matters came before the end");
}

#[tokio::test]
async fn a_filter_with_an_error_status_is_a_refusal() {
    for status in [400, 403, 422] {
        let body = r#"{"error":{"message":"filtered","code":"content_filter"}}"#;
        let (_, replies) = asked(vec![json_body(status, body)], &Parameters::default(), 1).await;
        let reply = replies[0].as_ref().unwrap();
        assert_eq!((reply.text.as_str(), reply.refusal, reply.raw.as_str()), ("", true, body));
        assert_eq!((reply.usage.input_tokens, reply.usage.output_tokens), (Some(0), Some(0)));
    }
    for status in [401, 404, 429, 500] {
        let body = r#"{"error":{"message":"filtered","code":"content_filter"}}"#;
        let (_, replies) = asked(vec![json_body(status, body)], &Parameters::default(), 1).await;
        assert!(replies[0].is_err(), "{status}");
    }
}
