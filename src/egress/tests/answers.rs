//! What is called and how it answers: nothing that it says is waited for, or read, without end.

use std::ops::ControlFlow;

use super::*;

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Server::answering(ok("", b"secret")).await;
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let reply = format!("HTTP/1.1 {status}\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", target.url());
        let server = Server::answering(reply).await;
        let guard = guard(&format!("{},{}", server.address, target.address));
        assert_eq!(guard.send(post(&server.url())).await.unwrap_err(), Fault::Redirect);
    }
    assert_eq!(target.calls(), 0);
}

#[tokio::test]
async fn errors_of_the_endpoint_are_answers() {
    let server =
        Server::answering("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno").await;
    let response = server.guard().send(post(&server.url())).await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "7");
}

#[tokio::test]
async fn a_call_says_who_it_is_from() {
    let (heads, mut head) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |mut stream| {
        let heads = heads.clone();
        async move {
            heads.send(read_head(&mut stream).await).unwrap();
            stream.write_all(&ok("", b"")).await.unwrap();
        }
    })
    .await;
    server.guard().send(post(&server.url())).await.unwrap();
    let head = head.recv().await.unwrap().to_lowercase();
    assert!(head.contains(concat!("user-agent: evalboard/", env!("CARGO_PKG_VERSION"))), "{head}");
    assert!(!head.contains("referer") && !head.contains("cookie"), "{head}");
}

#[tokio::test]
async fn a_body_is_read_up_to_its_cap_and_no_further() {
    let plain = Server::answering(ok("", &[b'x'; 1_000])).await;
    let unknown_length = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".iter().copied();
    let streamed = Server::answering(unknown_length.chain([b'x'; 1_000]).collect::<Vec<_>>()).await;
    for server in [plain, streamed] {
        let guard = server.guard();
        for (cap, read) in
            [(1_000, Ok(1_000)), (999, Err(Fault::BodyTooLarge(999))), (0, Err(Fault::BodyTooLarge(0)))]
        {
            let response = guard.send(post(&server.url())).await.unwrap();
            assert_eq!(guard.read_capped(response, cap).await.map(|body| body.len()), read);
        }
    }
}

#[tokio::test]
async fn a_small_answer_that_unpacks_to_a_huge_one_is_cut_at_the_cap() {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..16 {
        packer.write_all(&[0; 1 << 20]).unwrap();
    }
    let bomb = packer.finish().unwrap();
    assert!(bomb.len() < 100_000);
    let server = Server::answering(ok("Content-Encoding: gzip\r\n", &bomb)).await;
    let guard = server.guard();
    let response = guard.send(post(&server.url())).await.unwrap();
    assert_eq!(guard.read_capped(response, 4 << 20).await.unwrap_err(), Fault::BodyTooLarge(4 << 20));
}

#[tokio::test]
async fn each_way_to_break_off_has_its_own_fault() {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(&[7; 5_000]).unwrap();
    let packed = packer.finish().unwrap();
    let head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n";
    let half_packed = [&head[..], &packed[..packed.len() / 2]].concat();
    let many_headers = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(1_000)).into_bytes();
    let long_header = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(1 << 20)).into_bytes();
    for (reply, fault) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half"[..], Fault::Incomplete),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal", Fault::IncompleteChunks),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalfs\r\n", Fault::IncompleteChunks),
        (&half_packed, Fault::EncodingCut),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", Fault::Chunks),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\n", Fault::Chunks),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd", Fault::Encoding),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Fault::NotHttp),
        (&many_headers, Fault::HeadTooLarge),
        (&long_header, Fault::HeadTooLarge),
        (b"HTTP/1.1 200 O", Fault::Disconnected),
        (b"", Fault::Disconnected),
    ] {
        let server = Server::answering(reply).await;
        let guard = server.guard();
        let outcome = match guard.send(post(&server.url())).await {
            Ok(response) => guard.read_capped(response, 1_000).await.unwrap_err(),
            Err(fault) => fault,
        };
        assert_eq!(outcome, fault, "{:?}", String::from_utf8_lossy(reply));
    }
}

#[tokio::test]
async fn a_reset_is_told_from_a_close_before_the_body_and_in_it() {
    for (head, fault) in [
        ("", Fault::Reset),
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", Fault::IncompleteReset),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal", Fault::IncompleteReset),
    ] {
        let (taken, is_taken) = tokio::sync::watch::channel(head.is_empty());
        let server = Server::start(move |mut stream| {
            let mut is_taken = is_taken.clone();
            async move {
                read_head(&mut stream).await;
                stream.write_all(head.as_bytes()).await.unwrap();
                // A reset throws away what the other side has not read yet.
                is_taken.wait_for(|is_taken| *is_taken).await.unwrap();
                stream.set_zero_linger().unwrap();
            }
        })
        .await;
        let guard = server.guard();
        let outcome = match guard.send(post(&server.url())).await {
            Ok(response) => {
                taken.send_replace(true);
                guard.read_capped(response, 1_000).await.unwrap_err()
            }
            Err(fault) => fault,
        };
        assert_eq!(outcome, fault, "{head}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_a_tls_fault() {
    for reply in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b""] {
        let reply = reply.to_vec();
        let server = Server::start(move |mut stream| {
            let reply = reply.clone();
            async move {
                read_greeting(&mut stream).await;
                stream.write_all(&reply).await.ok();
            }
        })
        .await;
        let request = post(&format!("https://{}/", server.address));
        assert_eq!(server.guard().send(request).await.unwrap_err(), Fault::Tls);
    }
}

#[tokio::test]
async fn a_server_that_never_answers_runs_into_the_total_timeout() {
    let silent = Server::start(|mut stream| async move {
        read_head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let mut request = post(&silent.url());
    *request.timeout_mut() = Some(Duration::from_millis(100));
    assert_eq!(silent.guard().send(request).await.unwrap_err(), Fault::Timeout);
}

#[tokio::test]
async fn pieces_are_read_until_a_cap_a_break_or_a_stall() {
    let stalling = Server::start(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let guard = stalling.guard();
    for (cap, flow, outcome) in [
        (3, ControlFlow::Continue(()), Err(Fault::BodyTooLarge(3))),
        (4, ControlFlow::Break(()), Ok(())),
        (100, ControlFlow::Continue(()), Err(Fault::Stalled)),
    ] {
        let response = guard.send(post(&stalling.url())).await.unwrap();
        let mut read = Vec::new();
        let take = |piece: &[u8]| {
            read.extend_from_slice(piece);
            flow
        };
        assert_eq!(guard.read_pieces(response, cap, take).await, outcome, "{cap}");
        assert_eq!(read, if cap == 3 { &b""[..] } else { b"half" }, "{cap}");
    }
    let whole = Server::answering(ok("", b"all of it")).await;
    let guard = whole.guard();
    let response = guard.send(post(&whole.url())).await.unwrap();
    let mut read = 0;
    let take = |piece: &[u8]| {
        read += piece.len();
        ControlFlow::Continue(())
    };
    assert_eq!(guard.read_pieces(response, 100, take).await, Ok(()));
    assert_eq!(read, 9);
}

#[tokio::test]
async fn an_answer_that_stalls_runs_into_the_idle_timeout() {
    let stalling = Server::start(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let guard = stalling.guard();
    let response = guard.send(post(&stalling.url())).await.unwrap();
    assert_eq!(guard.read_capped(response, 1_000).await.unwrap_err(), Fault::Stalled);
}

#[tokio::test]
async fn an_answer_that_drips_for_ever_runs_into_the_total_timeout() {
    let dripping = Server::start(|mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await.unwrap();
        while stream.write_all(b".").await.is_ok() {
            tokio::time::sleep(SHORT.idle / 5).await;
        }
    })
    .await;
    let guard = dripping.guard();
    let mut request = post(&dripping.url());
    *request.timeout_mut() = Some(SHORT.idle * 3);
    let response = guard.send(request).await.unwrap();
    assert_eq!(guard.read_capped(response, 1_000).await.unwrap_err(), Fault::TooSlow);
}

#[tokio::test]
async fn a_model_may_think_longer_than_it_may_idle() {
    let thinking = Server::start(|mut stream| async move {
        read_head(&mut stream).await;
        tokio::time::sleep(SHORT.idle * 2).await;
        stream.write_all(&ok("", b"hello")).await.unwrap();
    })
    .await;
    let guard = thinking.guard();
    let response = guard.send(post(&thinking.url())).await.unwrap();
    assert_eq!(guard.read_capped(response, 5).await.unwrap(), "hello");
}

#[test]
fn proxies_of_the_environment_are_not_used() {
    // The environment can only be set safely for another process: this test runs another one of its kind.
    let call = "egress::tests::names::a_local_server_is_called_only_when_its_address_and_port_are_allowed";
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        child.env(name, "http://127.0.0.1:1");
    }
    let run = child.env_remove("NO_PROXY").env_remove("no_proxy").args(["--exact", call]).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
async fn the_systems_resolver_knows_this_machine() {
    let addresses = resolve::system()("localhost".to_owned()).await.unwrap();
    assert!(!addresses.is_empty() && addresses.iter().all(IpAddr::is_loopback));
}
