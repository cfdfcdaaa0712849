//! Asks a running exporter whether it is healthy, as the image has no shell and no curl.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::settings::{Web, web_config};

const DEADLINE: Duration = Duration::from_secs(3);

/// The words of an instance that runs with `web`: none if it is healthy, else what is wrong.
pub(super) fn complaint(web: &Web) -> Option<String> {
    let address = web.listen_addresses.first().map(ToString::to_string).unwrap_or_default();
    let address = if address.starts_with(':') { format!("localhost{address}") } else { address };
    let address = address.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:");
    let tls = probe(web);
    let url = format!("{}://{address}/-/healthy", scheme(web));
    match ask(&address, tls.as_ref()) {
        Ok(status) if status.contains(" 200 ") => None,
        Ok(status) => Some(format!("{url} answers: {}", status.trim())),
        Err(error) => Some(format!("{url} does not answer: {error}")),
    }
}

/// What URLs of an instance that runs with `web` begin with.
pub(super) fn scheme(web: &Web) -> &'static str {
    if probe(web).is_some() { "https" } else { "http" }
}

/// A client for an instance that has TLS. That the file is sound was found when the settings were read.
fn probe(web: &Web) -> Option<Arc<ClientConfig>> {
    web.config_file.as_deref().and_then(|file| web_config::read(file).result.ok()?.probe)
}

/// The first line of the answer.
fn ask(address: &str, tls: Option<&Arc<ClientConfig>>) -> std::io::Result<String> {
    let mut last = std::io::Error::other("no such host");
    for socket in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&socket, DEADLINE) {
            Ok(stream) => {
                stream.set_read_timeout(Some(DEADLINE))?;
                stream.set_write_timeout(Some(DEADLINE))?;
                return match tls {
                    None => ask_on(stream, address),
                    Some(config) => {
                        let name = ServerName::from(socket.ip());
                        let session = ClientConnection::new(Arc::clone(config), name).map_err(std::io::Error::other)?;
                        ask_on(StreamOwned::new(session, stream), address)
                    }
                };
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn ask_on(mut stream: impl Read + Write, address: &str) -> std::io::Result<String> {
    write!(stream, "GET /-/healthy HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    stream.flush()?;
    let mut status = String::new();
    BufReader::new(stream).take(256).read_line(&mut status)?;
    Ok(status)
}
