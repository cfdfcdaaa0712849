//! An HTTP server that follows a script, one step a request, and keeps what it was sent.

#![expect(clippy::unwrap_used, reason = "a stand-in that cannot go on ends its test")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What to do with the next request.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Answers and keeps the connection.
    Reply { status: u16, headers: Vec<(String, String)>, body: Vec<u8> },
    /// Answers and closes the connection without having said so.
    ReplyThenClose { body: Vec<u8> },
    /// Closes the connection instead of answering.
    Close,
    /// Announces a body, sends half of it and closes the connection.
    Half { body: Vec<u8> },
    /// Sends a body of blanks, as fast as it can, for ever.
    Flood,
    /// Answers with the request itself, headers and all.
    Echo { status: u16 },
    /// Neither answers nor closes the connection.
    Hang,
    /// Does something while the client waits, then the step.
    First(Act, Box<Step>),
}

/// Something to do in the middle of a request.
#[derive(Clone)]
pub(crate) struct Act(pub(crate) Arc<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for Act {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Act")
    }
}

impl Step {
    /// A 200 with `body`.
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::Reply { status: 200, headers: vec![], body: body.into() }
    }

    /// A 200 with an API error.
    pub(crate) fn error(code: &str) -> Self {
        Self::ok(format!(r#"{{"Response":{{"Error":{{"Code":"{code}","Message":"no"}},"RequestId":"r-{code}"}}}}"#))
    }

    /// The same answer with one more header.
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        match self {
            Self::Reply { status, mut headers, body } => {
                headers.push((name.into(), value.into()));
                Self::Reply { status, headers, body }
            }
            other => panic!("{other:?} has no headers"),
        }
    }
}

/// A request as received.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// `POST / HTTP/1.1`
    pub(crate) line: String,
    /// By name in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
    raw: Vec<u8>,
}

/// What to do with a request.
type Script = Arc<dyn Fn(&Request) -> Step + Send + Sync>;

/// The running server; it ends with the test's runtime.
pub(crate) struct Scripted {
    address: std::net::SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Scripted {
    /// Starts on a free loopback port. When the script is over, every further request gets a 500.
    pub(crate) async fn start(script: impl IntoIterator<Item = Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Mutex::new(script.into_iter().collect::<VecDeque<_>>());
        let over = Step::Reply { status: 500, headers: vec![], body: b"the script is over".to_vec() };
        Self::serving(listener, address, Arc::new(move |_| script.lock().unwrap().pop_front().unwrap_or(over.clone())))
    }

    /// The same without a script: what each request gets, `answer` says.
    pub(crate) async fn answering(answer: impl Fn(&Request) -> Step + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self::serving(listener, address, Arc::new(answer))
    }

    fn serving(listener: TcpListener, address: std::net::SocketAddr, script: Script) -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&kept)));
            }
        });
        Self { address, requests }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `address:port`
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// What has been received so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, script: Script, requests: Arc<Mutex<Vec<Request>>>) {
    while let Some(request) = receive(&mut stream).await {
        requests.lock().unwrap().push(request.clone());
        let step = match script(&request) {
            Step::First(act, step) => {
                (act.0)();
                *step
            }
            step => step,
        };
        // A client that hangs up, as some of these steps ask for, ends the connection and nothing else.
        match follow(&mut stream, step, &request).await {
            Ok(true) => {}
            Ok(false) | Err(_) => return,
        }
    }
}

/// Whether the connection goes on.
async fn follow(stream: &mut TcpStream, step: Step, request: &Request) -> std::io::Result<bool> {
    match step {
        Step::Reply { status, headers, body } => {
            let headers: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let headers = headers.concat();
            let head = format!("HTTP/1.1 {status} Scripted\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
            stream.write_all(&[head.as_bytes(), &body].concat()).await?;
            Ok(true)
        }
        Step::ReplyThenClose { body } => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(&[head.as_bytes(), &body].concat()).await?;
            Ok(false)
        }
        Step::Close => Ok(false),
        Step::Hang => std::future::pending().await,
        Step::First(..) => panic!("one act a step"),
        Step::Half { body } => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(&[head.as_bytes(), &body[..body.len() / 2]].concat()).await?;
            Ok(false)
        }
        Step::Flood => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
            let chunk = [&b"1000\r\n"[..], &[b' '; 0x1000], b"\r\n"].concat();
            loop {
                stream.write_all(&chunk).await?;
            }
        }
        Step::Echo { status } => {
            let head = format!("HTTP/1.1 {status} Echo\r\ncontent-length: {}\r\n\r\n", request.raw.len());
            stream.write_all(&[head.as_bytes(), &request.raw].concat()).await?;
            Ok(true)
        }
    }
}

async fn receive(stream: &mut TcpStream) -> Option<Request> {
    let mut raw = Vec::new();
    loop {
        if let Some(end) = raw.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = String::from_utf8(raw[..end].to_vec()).ok()?;
            let mut lines = head.lines();
            let line = lines.next()?.to_owned();
            let headers: BTreeMap<String, String> = lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect();
            let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
            if raw.len() >= end + 4 + length {
                let body = String::from_utf8(raw[end + 4..].to_vec()).ok()?;
                return Some(Request { line, headers, body, raw });
            }
        }
        if stream.read_buf(&mut raw).await.ok()? == 0 {
            return None;
        }
    }
}
