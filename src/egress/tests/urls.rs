//! Which URLs may be called at all, however they are spelled.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

#[test]
fn urls_are_stored_in_one_spelling() {
    let guard = guard("");
    for (text, stored) in [
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        ("  HTTPS://API.OpenAI.com:443/v1?a=b\n", "https://api.openai.com/v1?a=b"),
        ("https://api.openai.com./v1", "https://api.openai.com/v1"),
        ("https:\\\\api.openai.com\\v1", "https://api.openai.com/v1"),
        ("https://ａｐｉ.example/", "https://api.example/"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://a.example/../x/./y", "https://a.example/x/y"),
        ("https://a.example:8443", "https://a.example:8443/"),
        ("https://a.example:8000/", "https://a.example:8000/"),
        ("https://a.example:80/", "https://a.example:80/"),
        ("https://134744072/", "https://8.8.8.8/"),
        ("https://[2001:4860:4860:0::8888]/", "https://[2001:4860:4860::8888]/"),
        ("https://@a.example/", "https://a.example/"),
        ("https://mylocalhost/", "https://mylocalhost/"),
        ("https://localhost.example/", "https://localhost.example/"),
    ] {
        assert_eq!(guard.check(text, "url").unwrap().as_str(), stored, "{text}");
    }
}

#[test]
fn what_must_not_be_called_is_refused_in_every_spelling() {
    let guard = guard("");
    let long = format!("https://a.example/{}", "x".repeat(MAX_URL));
    for (text, why) in [
        ("", "https://"),
        ("not a url", "https://"),
        ("api.example.com/v1", "https://"),
        ("https://", "can be read"),
        ("https://1.2.3.4.5/", "can be read"),
        ("https://256.256.256.256/", "can be read"),
        ("https://[fe80::1%25eth0]/", "can be read"),
        ("https://a b/", "can be read"),
        ("https://./", "host"),
        ("https://../", "host"),
        (long.as_str(), "2048"),
        ("ftp://a.example/", "https://"),
        ("file:///etc/passwd", "https://"),
        ("gopher://a.example/", "https://"),
        ("data:text/plain,x", "https://"),
        ("builtin:random?seed=7", "https://"),
        ("http://a.example/", "https://"),
        ("http://8.8.8.8/", "https://"),
        ("https://user@a.example/", "user name"),
        ("https://user:secret@a.example/", "user name"),
        ("https://:secret@a.example/", "user name"),
        ("https://8.8.8.8@127.0.0.1/", "user name"),
        ("https://a.example/#model", "fragment"),
        ("https://a.example/#", "fragment"),
        ("https://a.example:22/", "not 22"),
        ("https://a.example:6379/", "not 6379"),
        ("https://a.example:11434/", "not 11434"),
        ("https://8.8.8.8:4000/", "not 4000"),
        ("https://a.example:0/", "not 0"),
    ] {
        let error = guard.check(text, "inference_uri").unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("inference_uri ") && message.contains(why), "{text}: {message}");
        assert!(!message.contains("secret"), "{message}");
    }
}

#[test]
fn addresses_that_are_not_public_are_refused_in_every_spelling() {
    let guard = guard("");
    for host in [
        // IPv4, in decimal, octal, hexadecimal, with parts left out, in other scripts' digits
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "127.0.1",
        "127.00000.0.1",
        "2130706433",
        "2130706433.",
        "0x7f000001",
        "0X7F000001",
        "0x7f.1",
        "0x7f.0x0.0x0.0x1",
        "0177.0.0.1",
        "0177.1",
        "017700000001",
        "000000000000000000000177.0.0.1",
        "１２７.０.０.１",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "127%2e0%2e0%2e1",
        "%31%32%37.1",
        "１２７．１",
        "0",
        "0x",
        "0.0.0.0",
        "255.255.255.255",
        "4294967295",
        "10.0.0.1",
        "167772161",
        "192.168.1.1",
        "3232235777",
        "172.16.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "169.254.43518",
        "192.0.0.192",
        // IPv6, and IPv4 inside it
        "[::]",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[0000:0000:0000:0000:0000:0000:0000:0001]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::FFFF:a9fe:a9fe]",
        "[0:0:0:0:0:ffff:169.254.169.254]",
        "[::127.0.0.1]",
        "[::7f00:1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::127.0.0.1]",
        "[2002:7f00:1::]",
        "[2002:a9fe:a9fe::1]",
        "[2001::1]",
        "[2001:0:7f00:1::]",
        "[fe80::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[fec0::1]",
        "[ff02::1]",
        "[100::1]",
        "[2001:db8::1]",
        // names of this machine
        "localhost",
        "localhost.",
        "localhost..",
        "LOCALHOST",
        "LocalHost.",
        "ｌｏｃａｌｈｏｓｔ",
        "loc%61lhost",
        "a.localhost",
        "a.b.localhost.",
        "localhost.localdomain",
        "localhost6",
        "ip6-localhost",
        "ip6-loopback",
    ] {
        for (scheme, port) in [("https", ""), ("https", ":8443"), ("http", ""), ("http", ":11434")] {
            let text = format!("{scheme}://{host}{port}/v1");
            let message = guard.check(&text, "url").expect_err(&text).to_string();
            assert!(message.contains("public address"), "{text}: {message}");
        }
    }
}

#[test]
fn the_operator_opens_addresses_with_their_ports_and_plain_http() {
    let guard = guard("127.0.0.1:9000,[::1]:9001,gpu.example:4000,localhost:11434,10.1.0.0/16");
    for text in [
        "http://127.0.0.1:9000/v1",
        "https://127.0.0.1:9000/v1",
        "http://2130706433:9000/",
        "http://[::ffff:127.0.0.1]:9000/",
        "http://[::1]:9001/",
        "http://gpu.example:4000/",
        "http://GPU.example.:4000/",
        "https://gpu.example:4000/",
        "https://gpu.example/",
        "http://localhost:11434/",
        "http://10.1.2.3/",
        "http://10.1.2.3:5555/",
        "http://vllm.default.svc:8000/",
        "https://other.example/",
    ] {
        assert!(guard.check(text, "url").is_ok(), "{text}");
    }
    for text in [
        "http://127.0.0.1:9001/",
        "http://127.0.0.2:9000/",
        "http://127.0.0.1/",
        "https://127.0.0.1/",
        "http://[::1]:9000/",
        "http://localhost:9000/",
        "https://localhost/",
        "http://10.2.0.1/",
        "http://8.8.8.8/",
        "http://8.8.8.8:9000/",
        "https://8.8.8.8:9000/",
    ] {
        assert!(guard.check(text, "url").is_err(), "{text}");
    }
}

#[test]
fn plain_http_to_a_name_needs_something_that_it_could_lead_to() {
    let guard = guard("127.0.0.1:9000");
    assert!(guard.check("http://gpu.example:9000/", "url").is_ok());
    assert!(guard.check("https://gpu.example:9000/", "url").is_ok());
    assert!(guard.check("http://gpu.example:9001/", "url").is_err());
    assert!(guard.check("http://gpu.example/", "url").is_err());
}

#[test]
fn every_url_that_is_accepted_has_a_client() {
    for allow in ["", "127.0.0.1:9000", "gpu.example:443", "10.0.0.0/8", "10.0.0.0/8,[::1]:1,a.example:80"] {
        let guard = guard(allow);
        let hosts = ["8.8.8.8", "127.0.0.1", "10.0.0.1", "[::1]", "a.example", "gpu.example", "b.example"];
        let ports = [1, 80, 443, 8000, 9000];
        for (scheme, host, port) in ["http", "https"]
            .iter()
            .flat_map(|scheme| hosts.iter().map(move |host| (scheme, host)))
            .flat_map(|(scheme, host)| ports.iter().map(move |port| (scheme, host, port)))
        {
            if let Ok(url) = guard.check(&format!("{scheme}://{host}:{port}/"), "url") {
                assert!(guard.client_for(&url).is_ok(), "{allow}: {url}");
            }
        }
    }
}

#[test]
fn an_origin_always_has_its_port() {
    for (url, expected) in [
        ("https://a.example/v1?x=1", "https://a.example:443"),
        ("http://a.example:80/", "http://a.example:80"),
        ("https://a.example:8443/", "https://a.example:8443"),
        ("https://[2001:db8::1]/", "https://[2001:db8::1]:443"),
    ] {
        assert_eq!(origin(&url.parse().unwrap()), expected);
    }
}

/// Made once: every guard reads the machine's certificates.
static CLOSED: LazyLock<Guard> = LazyLock::new(|| guard(""));

proptest! {
    #[test]
    fn no_spelling_of_an_address_inside_is_let_through(
        address in prop_oneof![
            (0_u32..1 << 24).prop_map(|low| 0x0a00_0000 | low),
            (0_u32..1 << 24).prop_map(|low| 0x7f00_0000 | low),
            (0_u32..1 << 16).prop_map(|low| 0xa9fe_0000 | low),
            (0_u32..1 << 16).prop_map(|low| 0xc0a8_0000 | low),
        ],
        spelling in 0_usize..8,
    ) {
        let [a, b, c, d] = address.to_be_bytes();
        let low = address & 0xff_ffff;
        let host = match spelling {
            0 => format!("{a}.{b}.{c}.{d}"),
            1 => format!("{address}"),
            2 => format!("0x{address:X}"),
            3 => format!("{address:#o}").replace("0o", "0"),
            4 => format!("{a}.{low}"),
            5 => format!("0x{a:x}.0{b:o}.{c}.{d}."),
            6 => format!("[::ffff:{a}.{b}.{c}.{d}]"),
            _ => format!("{a}\u{3002}{b}\u{ff0e}{c}\u{ff61}{d}"),
        };
        let read = CLOSED.check(&format!("https://{host}/"), "url");
        prop_assert!(read.is_err(), "{} was read as {}", host, read.unwrap());
    }

    #[test]
    fn what_is_accepted_is_stored_in_a_spelling_that_stays(
        text in r"(https?://)?[a-zA-Z0-9.:@\[\]%_-]{0,24}(/[ -~]{0,12})?",
    ) {
        if let Ok(url) = CLOSED.check(&text, "url") {
            prop_assert_eq!(url.scheme(), "https");
            prop_assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
            prop_assert_eq!(CLOSED.check(url.as_str(), "url").unwrap(), url);
        }
    }
}
