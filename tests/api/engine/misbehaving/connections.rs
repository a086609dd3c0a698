//! What a provider does to the connection, to the head of its response and to the frame of its body.

use serde_json::json;

use super::mode::{Mode, Place, bare, bytes, fails, flood, four, is_right, pause, repeats, response, zipped};
use crate::support::raw_provider::Step::{Close, HalfClose, Hang, Reset};

const CUT_HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: appl";
const LONG: &str = "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{\"choices\":[";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
const ENDLESS: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";

pub(super) fn all() -> Vec<Mode> {
    [silent(), closed(), not_http(), heads(), redirects(), framed(), encoded(), harmless()].concat()
}

/// Time runs out. Bytes that come need a little more of it than none.
fn silent() -> Vec<Mode> {
    let timeout = |name, script| {
        repeats(name, script, "provider_timeout", "the endpoint did not answer in time")
            .like("no response in time")
            .within(1_000)
    };
    let slow = |name, script| {
        let words = "the endpoint's response began but did not end in time: raise timeout_ms";
        repeats(name, script, "provider_timeout", words).like("no end in time").within(1_500)
    };
    vec![
        timeout("never accepts the connection", vec![]).at(Place::Unaccepted),
        timeout("never responds", vec![Hang]),
        timeout("falls silent in the head of its response", vec![bytes(CUT_HEAD), Hang]),
        timeout("drips the head of its response", vec![bytes("HTTP/1.1 200 OK\r\nx: "), flood("y", 50)]),
        timeout("sends interim responses (100) for ever", vec![flood("HTTP/1.1 100 Continue\r\n\r\n", 5)]),
        slow("falls silent in the body of its response", vec![bytes(LONG), Hang]),
        slow("drips the body of its response", vec![bytes(LONG), flood(" ", 50)]),
        slow("drips chunks without end", vec![bytes(CHUNKED), flood("1\r\n \r\n", 50)]),
    ]
}

/// The connection ends.
fn closed() -> Vec<Mode> {
    let gone = |name, script| {
        repeats(
            name,
            script,
            "provider_disconnected",
            "the endpoint closed the connection without a response",
        )
        .like("closed before a response")
    };
    let cut = |name, script, words| repeats(name, script, "provider_incomplete", words);
    let half = || bytes(format!("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{}", four()));
    vec![
        repeats("listens at no port", vec![], "endpoint_unreachable", "the endpoint could not be reached")
            .at(Place::Closed),
        gone("closes the connection without a response", vec![Close]),
        gone("closes its direction of the connection without a response", vec![HalfClose]),
        gone("closes the connection in the head of its response", vec![bytes(CUT_HEAD), Close]),
        repeats(
            "resets the connection without a response",
            vec![Reset],
            "provider_disconnected",
            "the endpoint reset the connection without a response",
        ),
        cut(
            "closes the connection in the body of its response",
            vec![half(), Close],
            "the endpoint closed the connection in the middle of its response",
        ),
        cut(
            "resets the connection in the body of its response",
            vec![half(), pause(300), Reset],
            "the endpoint reset the connection in the middle of its response",
        ),
        cut(
            "closes the connection in a chunk",
            vec![bytes(format!("{CHUNKED}40\r\n{{\"choices\"")), Close],
            "the endpoint closed the connection before the last chunk of its response",
        )
        .like("closed in chunks"),
        cut(
            "closes the connection between two chunks",
            vec![bytes(format!("{CHUNKED}5\r\n{{\"cho\r\n")), Close],
            "the endpoint closed the connection before the last chunk of its response",
        )
        .like("closed in chunks"),
        repeats(
            "sends half of a body that ends with its connection",
            vec![bytes(format!("{ENDLESS}{{\"choices\":[{{\"message\":{{\"content\":\"4")), Close],
            "provider_json_incomplete",
            "sent a whole body in which the JSON breaks off",
        )
        .like("cut JSON"),
    ]
}

/// What comes is something else.
fn not_http() -> Vec<Mode> {
    let other = |name, reply: &[u8]| {
        repeats(name, vec![bytes(reply), Close], "provider_not_http", "what the endpoint sent is not HTTP")
            .like("not HTTP")
    };
    vec![
        other("sends a body without a head (HTTP/0.9)", four().to_string().as_bytes()),
        other("sends an HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        other(
            "sends frames of HTTP/2",
            b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\x04\0\x10\0\0\0\x06\0\0\x40\0",
        ),
        other("sends another version of HTTP", b"HTTP/3.0 200 OK\r\n\r\n"),
        other("greets as an SSH server", b"SSH-2.0-OpenSSH_9.2\r\n"),
        other("sends a TLS alert where plain HTTP was asked", b"\x15\x03\x01\0\x02\x02\x46"),
        other("sends random bytes", b"\x8f\x01\xfe\x00\x7a\x99\r\n\r\n"),
        other("sends a status that is no number", b"HTTP/1.1 OK\r\n\r\n"),
        other(
            "sends two lengths of its body",
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        ),
        other("sends a negative length of its body", b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nab"),
        fails(
            "speaks no TLS at an https address",
            vec![],
            "provider_tls",
            "no secure connection to the endpoint could be made",
        )
        .like("no TLS")
        .at(Place::SharedByTls),
        fails(
            "has a certificate that nobody vouches for",
            vec![],
            "provider_tls",
            "no secure connection to the endpoint could be made",
        )
        .like("no TLS")
        .at(Place::SelfSigned),
    ]
}

/// Heads beyond all bounds.
fn heads() -> Vec<Mode> {
    let large = |name, script| {
        let words = "the headers of the endpoint's response are too many or too long";
        fails(name, script, "provider_head_too_large", words).like("large head")
    };
    let headers = |count| format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(count));
    vec![
        large("sends 1,000 headers", vec![bytes(headers(1_000)), Close]),
        large(
            "sends a header of a megabyte",
            vec![bytes(format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(1 << 20))), Close],
        ),
        large("sends a header without end", vec![bytes("HTTP/1.1 200 OK\r\nx: "), flood([b'y'; 65_536], 1)]),
    ]
}

fn redirects() -> Vec<Mode> {
    let redirect = |name, status, location| {
        let words = "the endpoint answered with a redirect, which is not followed: give its final URL";
        fails(name, bare(status, &[location]), "provider_redirect", words).like("redirect")
    };
    vec![
        redirect(
            "redirects (301) to another host",
            "301 Moved Permanently",
            "location: https://example.com/",
        ),
        redirect("redirects (302) to itself", "302 Found", "location: /v1/chat/completions"),
        redirect("redirects (303) to a login page", "303 See Other", "location: /login"),
        redirect(
            "redirects (307) to an address inside",
            "307 Temporary Redirect",
            "location: http://10.0.0.1/",
        ),
        redirect(
            "redirects (308) to the cloud's metadata",
            "308 Permanent Redirect",
            "location: http://169.254.169.254/",
        ),
        redirect("answers 300 without a location", "300 Multiple Choices", "x: y"),
        redirect("answers 304 to what is not cached", "304 Not Modified", "x: y"),
    ]
}

/// The frame of the body does not hold what it claims.
fn framed() -> Vec<Mode> {
    let chunks = |name, after: &str| {
        let script = vec![bytes(format!("{CHUNKED}{after}")), Close];
        repeats(
            name,
            script,
            "provider_not_http",
            "the chunks of the endpoint's response have no valid sizes",
        )
        .like("bad chunks")
    };
    let large = |name, head: &str, piece: Vec<u8>| {
        let words = "the endpoint's response is larger than 4096 KiB";
        fails(name, vec![bytes(head), flood(piece, 0)], "provider_body_too_large", words).like("large body")
    };
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 65_536], b"\r\n"].concat();
    let text = json!({"choices": [{"message": {"content": "4"}, "finish_reason": "stop"}]}).to_string();
    vec![
        chunks("sends a chunk whose size is no number", "ZZ\r\n{}\r\n"),
        chunks("sends a chunk whose size overflows", "FFFFFFFFFFFFFFFFFF\r\n{}\r\n"),
        large("sends chunks without end", CHUNKED, chunk),
        large("sends a chunk of an exabyte", &format!("{CHUNKED}FFFFFFFFFFFFFFF\r\n"), vec![b' '; 65_536]),
        large("sends a body without end", ENDLESS, vec![b' '; 65_536]),
        large(
            "sends a text of 100 MB",
            "HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\n{\"choices\":[{\"message\":{\"content\":\"",
            vec![b'x'; 65_536],
        ),
        repeats(
            "sends more than the length of its body",
            vec![bytes(format!("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{text}")), Close],
            "provider_json_incomplete",
            "sent a whole body in which the JSON breaks off",
        )
        .like("cut JSON"),
    ]
}

fn encoded() -> Vec<Mode> {
    let right = four().to_string();
    let encoding = |name, encoding, body: &[u8]| (name, response("200 OK", &[encoding], body));
    let lie = |(name, script)| {
        let words = "the endpoint's response is not compressed as it claims";
        repeats(name, script, "provider_encoding", words).like("not compressed")
    };
    let unknown = |(name, script)| {
        let words = "the endpoint's response is compressed in a way that was not asked for";
        fails(name, script, "provider_encoding", words).like("unknown compression")
    };
    let packed = zipped(right.repeat(50).as_bytes());
    let (name, script) =
        encoding("sends half of its gzip", "content-encoding: gzip", &packed[..packed.len() / 2]);
    let words = "the compressed data of the endpoint's response end too early";
    let cut = repeats(name, script, "provider_encoding", words);
    let bomb = zipped(&[b' '; 16 << 20]);
    let (name, script) = encoding("sends 16 KB that unpack to 16 MB", "content-encoding: gzip", &bomb);
    let bomb =
        fails(name, script, "provider_body_too_large", "the endpoint's response is larger than 4096 KiB")
            .like("large body");
    vec![
        lie(encoding("calls plain text gzip", "content-encoding: gzip", right.as_bytes())),
        lie(encoding("calls plain text brotli", "content-encoding: br", right.as_bytes())),
        unknown(encoding("compresses by zstd unasked", "content-encoding: zstd", b"(\xb5/\xfd\x04\x00")),
        unknown(encoding("compresses by what it made up", "content-encoding: x-secret", b"\x01\x02")),
        cut,
        bomb,
    ]
}

/// Odd, and read all the same.
fn harmless() -> Vec<Mode> {
    let right = four().to_string();
    let ok = |more: &str| format!("HTTP/1.1 200 OK\r\n{more}content-length: {}\r\n\r\n{right}", right.len());
    let (first, second) = right.split_at(9);
    let chunks = format!("{CHUNKED}9;x=y\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\nx: y\r\n\r\n", second.len());
    vec![
        is_right("closes a connection after its response unannounced", vec![bytes(ok("")), Close]),
        is_right("ends its body with the connection", vec![bytes(format!("{ENDLESS}{right}")), Close]),
        is_right("sends chunks with extensions and trailers", vec![bytes(chunks)]),
        is_right("sends a status without words", vec![bytes(ok("").replace(" OK", ""))]),
        is_right("ends its lines with line feeds", vec![bytes(ok("").replace("\r\n", "\n"))]),
        is_right(
            "sends interim responses first",
            vec![bytes(format!(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n{}",
                ok("")
            ))],
        ),
        is_right("calls its JSON a web page", vec![bytes(ok("content-type: text/html\r\n"))]),
        is_right("calls its JSON bytes", vec![bytes(ok("content-type: application/octet-stream\r\n"))]),
        is_right(
            "compresses by gzip",
            response("200 OK", &["content-encoding: gzip"], zipped(right.as_bytes())),
        ),
    ]
}
