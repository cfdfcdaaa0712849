//! Stage 1: the request as the text both sides hash.

use sha2::{Digest as _, Sha256};

use super::key::hex;

/// What is signed of an HTTP request. The path is always `/`.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `POST` or `GET`.
    pub method: &'a str,
    /// The query string as sent, without `?`; empty for POST.
    pub query: &'a str,
    /// The headers to sign, in any order; at least `content-type` and `host`, the latter as sent, with its port.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub payload: Payload<'a>,
}

/// What of the body is signed.
#[derive(Debug, Clone, Copy)]
pub enum Payload<'a> {
    /// The bytes as sent.
    Body(&'a [u8]),
    /// Nothing; needs the header `X-TC-Content-SHA256: UNSIGNED-PAYLOAD`.
    Unsigned,
}

/// A canonical request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canonical {
    /// Method, path, query, headers, signed header names and payload hash, a line each.
    pub text: String,
    /// Names of the signed headers, lower case, sorted, joined by `;`.
    pub signed_headers: String,
}

impl Request<'_> {
    /// The canonical form: header names and values in lower case, values trimmed, sorted by name.
    #[must_use]
    pub fn canonical(&self) -> Canonical {
        let mut headers: Vec<(String, String)> = self
            .headers
            .iter()
            .map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_lowercase()))
            .collect();
        headers.sort();
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let signed_headers = names.join(";");
        let lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let lines = lines.concat();
        let payload = match self.payload {
            Payload::Body(bytes) => hex(&Sha256::digest(bytes)),
            Payload::Unsigned => hex(&Sha256::digest("UNSIGNED-PAYLOAD")),
        };
        let text = format!("{}\n/\n{}\n{lines}\n{signed_headers}\n{payload}", self.method, self.query);
        Canonical { text, signed_headers }
    }
}

impl Canonical {
    /// SHA-256 of the text, as lower-case hex.
    #[must_use]
    pub fn sha256(&self) -> String {
        hex(&Sha256::digest(&self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_sorted_trimmed_and_in_lower_case() {
        let request = Request {
            method: "POST",
            query: "",
            headers: &[("X-TC-Action", "DescribeInstances"), ("Host", " a.example "), ("Content-Type", "text/Plain")],
            payload: Payload::Body(b""),
        };
        let canonical = request.canonical();
        assert_eq!(canonical.signed_headers, "content-type;host;x-tc-action");
        assert_eq!(
            canonical.text,
            "POST\n/\n\ncontent-type:text/plain\nhost:a.example\nx-tc-action:describeinstances\n\n\
             content-type;host;x-tc-action\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
