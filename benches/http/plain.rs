//! Any page over the HTTP stack that ours uses: hyper, one connection at a time, nothing held back by TCP.

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use flate2::write::GzEncoder;
use http_body_util::Full;
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use prometheus::{Encoder as _, Registry, TextEncoder};

use crate::series::GZIP_LEVEL;

/// Serves `page`, in gzip or not, until it is killed.
pub(super) async fn serve(page: impl Fn(bool) -> Bytes + Send + Sync + 'static) {
    let page = Arc::new(page);
    let listener = super::listen().await;
    loop {
        // A client that was gone before it began is no concern of a bench.
        let Ok((stream, _)) = listener.accept().await else { continue };
        stream.set_nodelay(true).expect("TCP can do that");
        let page = Arc::clone(&page);
        let service = service_fn(move |request: Request<hyper::body::Incoming>| answer(Arc::clone(&page), request));
        tokio::spawn(async move {
            // A client that leaves is the end of it, however it leaves.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    page: Arc<impl Fn(bool) -> Bytes + Send + Sync + 'static>,
    request: Request<hyper::body::Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let coding = request.headers().get(ACCEPT_ENCODING).and_then(|coding| coding.to_str().ok()).unwrap_or_default();
    let gzip = coding.contains("gzip");
    // As ours does: what computes does not hold up other connections.
    let body = tokio::task::spawn_blocking(move || page(gzip)).await.expect("a page can be made");
    let mut response = Response::new(Full::new(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    if gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

/// The page of the `prometheus` crate, as its documentation has one make it; it leaves compressing to others.
pub(super) fn prometheus(registry: &Registry, gzip: bool) -> Bytes {
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text).expect("counters with labels encode");
    if !gzip {
        return text.into();
    }
    let mut coder = GzEncoder::new(Vec::new(), GZIP_LEVEL);
    coder.write_all(&text).and_then(|()| coder.finish()).expect("a Vec takes every write").into()
}
