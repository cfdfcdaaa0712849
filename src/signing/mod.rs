//! TC3-HMAC-SHA256, Tencent Cloud's signature version 3, as functions of their arguments.
//!
//! Four stages, each its own function, so that each can be held against outside vectors and so that a mismatch says
//! where it began:
//!
//! | stage | function | gives |
//! |---|---|---|
//! | 1 | [`Request::canonical`] | [`Canonical`]: the request as one text, and the names of its signed headers |
//! | 2 | [`Scope::string_to_sign`] | algorithm, time, scope and the hash of stage 1 |
//! | 3 | [`Scope::signing_key`] | a [`Key`] good for one service on one UTC day |
//! | 4 | [`Key::sign`], [`Scope::authorization`] | the signature, and the `Authorization` header |
//!
//! [`authorization`] runs them all. No clock, no network: which time is signed is the caller's to say, and it must be
//! within five minutes of the API's.
//!
//! Source: "Signature v3" of every Tencent Cloud API, <https://cloud.tencent.com/document/api/1093/35641>. A session
//! token travels as the header `X-TC-Token` and is not part of the signature.

mod canonical;
mod key;

pub use canonical::{Canonical, Payload, Request};
pub use key::{Key, Scope};

use crate::clock::UnixSeconds;
use crate::secret::Secret;

/// The algorithm's name in the string to sign and in the header.
pub const ALGORITHM: &str = "TC3-HMAC-SHA256";

/// The `Authorization` header for `request`, signed at `at` for `service` (the first label of the API's public host).
#[must_use]
pub fn authorization(
    request: &Request<'_>,
    secret_id: &str,
    secret_key: &Secret,
    service: &str,
    at: UnixSeconds,
) -> String {
    let canonical = request.canonical();
    let scope = Scope::new(service, at);
    let signature = scope.signing_key(secret_key).sign(&scope.string_to_sign(&canonical));
    scope.authorization(secret_id, &canonical, &signature)
}
