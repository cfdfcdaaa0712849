//! A real HTTP proxy on loopback, and TLS before a server that has none.
#![expect(clippy::unwrap_used, reason = "a stand-in that cannot go on ends its test")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::certificates::Identity;

/// A proxy that lets everybody through who has the password, if it asks for one.
pub(crate) struct Proxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// `authorization` is what it wants as `Proxy-Authorization`.
    pub(crate) async fn start(authorization: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                // Either side may hang up; that is the end of this connection and nothing else.
                tokio::spawn(async move { drop(pass_on(client, authorization, &kept).await) });
            }
        });
        Self { address, heads }
    }

    /// `127.0.0.1:PORT`
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// The heads of the requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn pass_on(
    mut client: TcpStream,
    authorization: Option<&str>,
    heads: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut raw = Vec::new();
    let end = loop {
        if let Some(end) = raw.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end + 4;
        }
        if client.read_buf(&mut raw).await? == 0 {
            return Ok(());
        }
    };
    let head = String::from_utf8(raw[..end].to_vec()).unwrap();
    heads.lock().unwrap().push(head.clone());
    let lower = head.to_ascii_lowercase();
    let wanted = authorization.map(|wanted| format!("\r\nproxy-authorization: {}\r\n", wanted.to_ascii_lowercase()));
    if wanted.is_some_and(|wanted| !lower.contains(&wanted)) {
        let refusal =
            b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n";
        return client.write_all(refusal).await;
    }
    let target = head.split(' ').nth(1).unwrap();
    let mut server = if head.starts_with("CONNECT ") {
        let server = TcpStream::connect(target).await?;
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
        server
    } else {
        let place = target.strip_prefix("http://").unwrap().split('/').next().unwrap();
        let mut server = TcpStream::connect(place).await?;
        // Where the server is looked for is its own affair; it is asked for its own path.
        let first = head.replacen(&format!(" http://{place}"), " ", 1);
        server.write_all(first.as_bytes()).await?;
        server
    };
    server.write_all(&raw[end..]).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// Speaks TLS as `identity` on a loopback port, and passes on to `behind` what is inside.
pub(crate) async fn tls_before(behind: SocketAddr, identity: &Identity) -> SocketAddr {
    let chain = vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that does not believe the certificate ends its own connection.
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let mut server = TcpStream::connect(behind).await.unwrap();
                drop(copy_bidirectional(&mut client, &mut server).await);
            });
        }
    });
    address
}
