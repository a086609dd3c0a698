//! Where names lead, when they are saved and when they are called.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[tokio::test]
async fn at_save_a_name_is_refused_when_any_of_its_addresses_is() {
    let url: Url = "https://rebind.example/".parse().unwrap();
    for addresses in [&["127.0.0.1"][..], &["8.8.8.8", "10.0.0.1"], &["::ffff:169.254.169.254"], &["fd00::1"]]
    {
        let error = guard_with_names("", addresses).check_resolved(&url, "url").await.unwrap_err();
        assert!(error.to_string().contains("public address"), "{addresses:?}");
    }
    for addresses in [&["8.8.8.8"][..], &["8.8.8.8", "2606:4700::1"], &[]] {
        guard_with_names("", addresses).check_resolved(&url, "url").await.unwrap();
    }
    guard_with_names("10.0.0.0/8", &["8.8.8.8", "10.0.0.1"]).check_resolved(&url, "url").await.unwrap();
    guard_with_names("rebind.example:443", &["127.0.0.1"]).check_resolved(&url, "url").await.unwrap();
}

#[tokio::test]
async fn at_save_a_name_that_does_not_resolve_is_accepted() {
    let url: Url = "https://later.example/".parse().unwrap();
    guard_without_names().check_resolved(&url, "url").await.unwrap();
    let stalled: Lookup = Arc::new(|_| Box::pin(std::future::pending()));
    let hasty = Timeouts { connect: Duration::from_millis(50), ..SHORT };
    let guard = Guard::with_lookup(Allow::default(), hasty, stalled).unwrap();
    guard.check_resolved(&url, "url").await.unwrap();
}

#[tokio::test]
async fn plain_http_reaches_what_is_opened_and_not_the_public() {
    let url: Url = "http://vllm.svc:8000/".parse().unwrap();
    guard_with_names("10.0.0.0/8", &["10.0.0.1"]).check_resolved(&url, "url").await.unwrap();
    guard_with_names("10.0.0.0/8", &["8.8.8.8"]).check_resolved(&url, "url").await.unwrap_err();
}

#[tokio::test]
async fn a_local_server_is_called_only_when_its_address_and_port_are_allowed() {
    let server = Server::answering(ok("", b"hello")).await;
    let other = SocketAddr::new(server.address.ip(), server.address.port() ^ 1);
    for guard in [guard(""), guard(&other.to_string()), guard("127.0.0.2:80,10.0.0.0/8")] {
        assert!(guard.check(&server.url(), "url").is_err());
        assert_eq!(guard.send(post(&server.url())).await.unwrap_err(), Fault::NotAllowed);
        let refused = guard.request(Method::POST, server.url().parse().unwrap());
        assert_eq!(refused.unwrap_err(), Fault::NotAllowed);
    }
    assert_eq!(server.calls(), 0);

    let guard = server.guard();
    let url = guard.check(&server.url(), "url").unwrap();
    let request = guard.request(Method::POST, url).unwrap().build().unwrap();
    let response = guard.send(request).await.unwrap();
    assert_eq!(guard.read_capped(response, 5).await.unwrap(), "hello");
    assert_eq!(server.calls(), 1);
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_accepted_by_its_text_and_refused_at_connect() {
    let server = Server::answering(ok("", b"hello")).await;
    let port = server.address.port();
    let unrelated = format!("127.0.0.1:{},other.example:{port}", port ^ 1);
    for allow in ["", &unrelated] {
        let guard = guard_with_names(allow, &["127.0.0.1"]);
        let url = guard.check("https://rebind.example:8443/", "url").unwrap();
        assert_eq!(guard.send(Request::new(Method::GET, url)).await.unwrap_err(), Fault::Unreachable);
    }
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn a_name_may_lead_to_an_allowed_address_at_its_port() {
    let server = Server::answering(ok("", b"hello")).await;
    let port = server.address.port();
    for allow in [format!("127.0.0.1:{port}"), format!("gpu.example:{port}"), "127.0.0.0/8".to_owned()] {
        let guard = guard_with_names(&allow, &["127.0.0.1"]);
        let response = guard.send(post(&format!("http://gpu.example:{port}/"))).await.unwrap();
        assert_eq!(response.status(), 200, "{allow}");
    }
    assert_eq!(server.calls(), 3);
    let mixed = guard_with_names(&format!("127.0.0.1:{port}"), &["127.0.0.1", "127.0.0.2"]);
    let fault = mixed.send(post(&format!("http://gpu.example:{port}/"))).await.unwrap_err();
    assert_eq!((fault, server.calls()), (Fault::Unreachable, 3));
}

#[tokio::test]
async fn a_refused_name_an_unknown_one_and_a_closed_port_look_the_same() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let faults = [
        guard_with_names("", &["10.0.0.1"]).send(post("https://a.example/")).await.unwrap_err(),
        guard_with_names("", &[]).send(post("https://a.example/")).await.unwrap_err(),
        guard_without_names().send(post("https://a.example/")).await.unwrap_err(),
        guard(&closed.to_string()).send(post(&format!("https://{closed}/"))).await.unwrap_err(),
    ];
    assert_eq!(faults, [Fault::Unreachable; 4]);
}

/// A guard with a name server that answers differently each time, as somebody who rebinds a name has one; with how
/// often it was asked.
fn guard_with_answers(allow: &str, answers: &[&str]) -> (Guard, Arc<AtomicUsize>) {
    let answers: Vec<IpAddr> = answers.iter().map(|ip| ip.parse().unwrap()).collect();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let lookup: Lookup = Arc::new(move |_| {
        let nth = count.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        let answer = answers[nth];
        Box::pin(async move { Ok(vec![answer]) })
    });
    (Guard::with_lookup(allow.parse().unwrap(), SHORT, lookup).unwrap(), asked)
}

#[tokio::test]
async fn a_name_that_was_public_when_it_was_saved_and_leads_inside_later_is_refused_at_connect() {
    let server = Server::answering(ok("", b"secret")).await;
    let port = server.address.port();
    // Plain http to that port of names, but to no address of this machine.
    let allow = format!("198.51.100.0/24,192.0.2.1:{port}");
    for inside in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254"] {
        let (guard, asked) = guard_with_answers(&allow, &["198.51.100.7", inside]);
        let url = guard.check(&format!("http://rebind.example:{port}/"), "url").unwrap();
        guard.check_resolved(&url, "url").await.unwrap();
        let fault = guard.send(post(url.as_str())).await.unwrap_err();
        assert_eq!((fault, asked.load(Ordering::SeqCst)), (Fault::Unreachable, 2), "{inside}");
    }
    assert_eq!(server.calls(), 0);
}

#[tokio::test]
async fn the_address_that_is_judged_is_the_one_that_is_called() {
    let server = Server::answering(ok("", b"hello")).await;
    let port = server.address.port();
    // A second question would be answered with an address that nobody listens at.
    let (guard, asked) = guard_with_answers(&server.address.to_string(), &["127.0.0.1", "127.0.0.2"]);
    let response = guard.send(post(&format!("http://gpu.example:{port}/"))).await.unwrap();
    assert_eq!((response.status().as_u16(), asked.load(Ordering::SeqCst)), (200, 1));
}

#[tokio::test]
async fn how_long_a_refusal_takes_tells_nothing_of_what_is_inside() {
    let began = std::time::Instant::now();
    // One answers, one is closed, one is nowhere: none of them is ever tried.
    for inside in ["127.0.0.1", "127.9.9.9", "10.255.255.1"] {
        let (guard, _) = guard_with_answers("", &["8.8.8.8", inside]);
        let url = guard.check("https://rebind.example:8443/", "url").unwrap();
        guard.check_resolved(&url, "url").await.unwrap();
        assert_eq!(guard.send(post(url.as_str())).await.unwrap_err(), Fault::Unreachable);
    }
    // Whoever tried the last one would have waited until he gave up.
    assert!(began.elapsed() < SHORT.connect, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_refusal_names_no_address_that_a_name_leads_to() {
    let url: Url = "https://vault.example/".parse().unwrap();
    let refusals = ["10.0.0.1", "127.0.0.1", "169.254.169.254", "fd00::1"].map(|inside| {
        let guard = guard_with_names("", &[inside]);
        let url = url.clone();
        async move { guard.check_resolved(&url, "inference_uri").await.unwrap_err().to_string() }
    });
    let said = futures_util::future::join_all(refusals).await;
    assert!(said.iter().all(|text| *text == said[0]) && !said[0].contains("10."), "{said:?}");
}
