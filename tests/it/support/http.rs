//! The plainest HTTP client: one request, one connection.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The status and body of `GET path`.
pub(crate) async fn get(address: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    get_as(address, path, "test").await
}

/// The same, by a client that calls itself `user_agent`.
pub(crate) async fn get_as(address: SocketAddr, path: &str, user_agent: &str) -> std::io::Result<(u16, String)> {
    ask(address, "GET", path, user_agent).await
}

/// The status and body of `POST path`, without anything posted.
pub(crate) async fn post(address: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    ask(address, "POST", path, "test").await
}

async fn ask(address: SocketAddr, method: &str, path: &str, user_agent: &str) -> std::io::Result<(u16, String)> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: {user_agent}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        let text = String::from_utf8(answer).map_err(std::io::Error::other)?;
        let broken = || std::io::Error::other(format!("no answer: {text:?}"));
        let (head, body) = text.split_once("\r\n\r\n").ok_or_else(broken)?;
        let status = head.get(9..12).and_then(|status| status.parse().ok()).ok_or_else(broken)?;
        Ok((status, body.to_owned()))
    };
    tokio::time::timeout(Duration::from_secs(20), exchange).await?
}
