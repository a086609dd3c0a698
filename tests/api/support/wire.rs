//! A server below HTTP: it does with each connection what a test says. It knows no models.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

/// For 127.0.0.1 and a hundred years, signed by nobody but itself.
const CERTIFICATE: &str = "\
    MIIBqTCCAU+gAwIBAgIUP8qeBwB1K9Y0IQhVhZUG/QgpU7owCgYIKoZIzj0EAwIwGzEZMBcGA1UEAwwQcHJvdmlkZXIuZXhh\
    bXBsZTAgFw0yNjExMjIwMDUzMzhaGA8yMTI2MTAyOTAwNTMzOFowGzEZMBcGA1UEAwwQcHJvdmlkZXIuZXhhbXBsZTBZMBMG\
    ByqGSM49AgEGCCqGSM49AwEHA0IABCzzTT2f9ZUHSjsdrPPu85rQLqOAm/bh5un7rtoFOfDg7DqqY00az6PpoxEP1ujUvUve\
    6tHfcKSHpQPKVEpXSw6jbzBtMB0GA1UdDgQWBBQVhTZ14TWHsWF0XoVZt+NM935xTjAfBgNVHSMEGDAWgBQVhTZ14TWHsWF0\
    XoVZt+NM935xTjAPBgNVHRMBAf8EBTADAQH/MBoGA1UdEQQTMBGHBH8AAAGCCWxvY2FsaG9zdDAKBggqhkjOPQQDAgNIADBF\
    AiEA5RejnUsQJHZ08Wfr60voX4hRknI2ZXlWNwGb4YK3YqwCIDPYyaOd+vuVsgDgAPP3heEFw+wYQI1QnFcd0iifnva8";
/// Its key, which opens nothing.
const CERTIFICATE_KEY: &str = "\
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgfz8h8cLcuEDUh0KBLiFmLwYzEQGFN3YDUJGUDxMWuKmhRANC\
    AAQs8009n/WVB0o7Hazz7vOa0C6jgJv24ebp+67aBTnw4Ow6qmNNGs+j6aMRD9bo1L1L3urR33Ckh6UDylRKV0sO";

/// A listener that counts its connections.
pub(crate) struct Wire {
    pub(crate) address: SocketAddr,
    calls: Arc<AtomicUsize>,
}

impl Wire {
    /// Does the same with every connection.
    pub(crate) async fn start<T>(serve: impl Fn(TcpStream) -> T + Send + 'static) -> Self
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&calls);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::AcqRel);
                tokio::spawn(serve(stream));
            }
        });
        Self { address, calls }
    }

    /// Speaks TLS with a certificate that nobody vouches for, and answers any request with `answer`.
    pub(crate) async fn self_signed(answer: &'static [u8]) -> Self {
        let acceptor = TlsAcceptor::from(Arc::new(tls()));
        Self::start(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    read_request(&mut stream).await;
                    write(&mut stream, answer).await;
                }
            }
        })
        .await
    }

    /// How many connections there were.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Acquire)
    }

    /// Where a model is called here.
    pub(crate) fn uri(&self, scheme: &str) -> String {
        format!("openai-compatible:{scheme}://{}/v1#any", self.address)
    }
}

fn tls() -> ServerConfig {
    let certificate = CertificateDer::from(STANDARD.decode(CERTIFICATE).unwrap());
    let key = PrivatePkcs8KeyDer::from(STANDARD.decode(CERTIFICATE_KEY).unwrap());
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())
        .unwrap()
}

/// Reads a request to its end, which is where its JSON ends: no call here is longer than one read.
pub(crate) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) {
    let mut request = Vec::new();
    while !request.ends_with(b"}") && stream.read_buf(&mut request).await.is_ok_and(|count| count > 0) {}
}

/// Writes; answers whether the other side still listens.
pub(crate) async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> bool {
    use tokio::io::AsyncWriteExt;
    stream.write_all(bytes).await.is_ok() && stream.flush().await.is_ok()
}
