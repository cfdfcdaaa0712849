//! hyper answers by itself what it cannot read as a request; here such an answer gets the headers that all have to carry.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use hyper::header::HeaderMap;
use tokio::io::AsyncWrite;

/// An answer of hyper's own under way, with what has been added to it.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    left: Bytes,
}

impl Refusal {
    /// Whether `bytes` are a refusal as hyper writes it: a head, whole and alone.
    pub(super) fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(b"HTTP/1.") && bytes.get(8..10) == Some(b" 4") && bytes.ends_with(b"\r\n\r\n")
    }

    /// Writes `bytes` and `headers` to `stream`; done when all is written, and then `bytes` are.
    pub(super) fn poll_write(
        &mut self,
        mut stream: Pin<&mut (impl AsyncWrite + ?Sized)>,
        cx: &mut Context<'_>,
        bytes: &[u8],
        headers: impl FnOnce() -> HeaderMap,
    ) -> Poll<io::Result<usize>> {
        if self.left.is_empty() {
            self.left = with_headers(bytes, &headers());
        }
        while !self.left.is_empty() {
            let written = ready!(stream.as_mut().poll_write(cx, &self.left))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.left.advance(written);
        }
        Poll::Ready(Ok(bytes.len()))
    }
}

/// A head with `headers` behind its first line.
pub(super) fn with_headers(head: &[u8], headers: &HeaderMap) -> Bytes {
    let first_line = head.windows(2).position(|end| end == b"\r\n").map_or(head.len(), |at| at + 2);
    let (status, rest) = head.split_at(first_line);
    let mut whole = BytesMut::from(status);
    for (name, value) in headers {
        whole.extend_from_slice(name.as_str().as_bytes());
        whole.extend_from_slice(b": ");
        whole.extend_from_slice(value.as_bytes());
        whole.extend_from_slice(b"\r\n");
    }
    whole.extend_from_slice(rest);
    whole.freeze()
}

#[cfg(test)]
mod tests {
    use super::super::answer::PROTECTION;
    use super::*;

    #[test]
    fn a_refusal_is_a_whole_head_of_status_4xx_and_nothing_else_is() {
        assert!(Refusal::is_one(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"));
        for other in [
            &b"HTTP/1.1 200 OK\r\n\r\n"[..],
            b"HTTP/1.1 400 Bad Request\r\n",
            b"HTTP/1.1 400 Bad Request\r\n\r\nbody",
            b"# HELP 4\r\n\r\n",
            b"",
        ] {
            assert!(!Refusal::is_one(other), "{other:?}");
        }
    }

    #[tokio::test]
    async fn it_is_written_whole_however_little_the_stream_takes_at_a_time() {
        let head = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\r\n";
        let (mut near, mut far) = tokio::io::duplex(7);
        let mut refusal = Refusal::default();
        let headers = || PROTECTION.into_iter().collect();
        let writing = async {
            let written = std::future::poll_fn(|cx| refusal.poll_write(Pin::new(&mut near), cx, head, headers)).await;
            drop(near);
            written
        };
        let mut read = Vec::new();
        let (written, _) = tokio::join!(writing, tokio::io::AsyncReadExt::read_to_end(&mut far, &mut read));
        assert_eq!(written.expect("it is taken"), head.len());
        let text = String::from_utf8(read).expect("text");
        assert!(
            text.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\nx-content-type-options: nosniff\r\n")
        );
        assert!(text.ends_with("\r\ncache-control: no-store\r\nconnection: close\r\n\r\n"), "{text}");
    }
}
