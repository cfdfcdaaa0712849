//! Stages 2 to 4: what is signed, with which key, and how it is sent.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroize as _;

use super::{ALGORITHM, Canonical};
use crate::clock::UnixSeconds;
use crate::secret::Secret;

/// What a signature is good for: one service, one UTC day; and the second it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    service: String,
    date: String,
    at: UnixSeconds,
}

impl Scope {
    /// The scope of a signature made at `at`.
    #[must_use]
    pub fn new(service: &str, at: UnixSeconds) -> Self {
        Self { service: service.to_owned(), date: date(at), at }
    }

    /// The UTC date, `YYYY-MM-DD`.
    #[must_use]
    pub fn date(&self) -> &str {
        &self.date
    }

    /// Stage 2: algorithm, second, scope and the hash of the canonical request, a line each.
    #[must_use]
    pub fn string_to_sign(&self, canonical: &Canonical) -> String {
        format!("{ALGORITHM}\n{}\n{}/{}/tc3_request\n{}", self.at, self.date, self.service, canonical.sha256())
    }

    /// Stage 3: the key of this day and service.
    #[must_use]
    pub fn signing_key(&self, secret_key: &Secret) -> Key {
        Key::of_date(secret_key, &self.date).derive(&self.service).derive("tc3_request")
    }

    /// Stage 4: the value of the `Authorization` header.
    #[must_use]
    pub fn authorization(&self, secret_id: &str, canonical: &Canonical, signature: &str) -> String {
        format!(
            "{ALGORITHM} Credential={secret_id}/{}/{}/tc3_request, SignedHeaders={}, Signature={signature}",
            self.date, self.service, canonical.signed_headers
        )
    }
}

/// The UTC date of `at`; a second that is no date of the years -9999 to 9999 gives the nearest one.
fn date(at: UnixSeconds) -> String {
    let at = at.clamp(jiff::Timestamp::MIN.as_second(), jiff::Timestamp::MAX.as_second());
    let time = jiff::Timestamp::from_second(at).expect("clamped to what jiff can hold");
    time.strftime("%Y-%m-%d").to_string()
}

/// A key derived from a secret key: as secret as that for its day, so never printed, and overwritten when dropped.
#[derive(Clone)]
pub struct Key([u8; 32]);

impl Key {
    /// The first derivation: of `TC3` + secret key, by the date.
    #[must_use]
    pub fn of_date(secret_key: &Secret, date: &str) -> Self {
        let mut seed = format!("TC3{}", secret_key.expose());
        let key = Self(hmac(seed.as_bytes(), date));
        seed.zeroize();
        key
    }

    /// The next derivation, by `text`: the service, then `tc3_request`.
    #[must_use]
    pub fn derive(&self, text: &str) -> Self {
        Self(hmac(&self.0, text))
    }

    /// The signature of `string_to_sign`, as lower-case hex.
    #[must_use]
    pub fn sign(&self, string_to_sign: &str) -> String {
        hex(&hmac(&self.0, string_to_sign))
    }

    /// The bytes; every call is a place to look at in a review.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key([secret])")
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

fn hmac(key: &[u8], text: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

/// Lower-case hexadecimal digits of `bytes`.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String does not fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_turns_at_midnight_utc() {
        assert_eq!(date(1_551_139_199), "2019-02-25");
        assert_eq!(date(1_551_139_200), "2019-02-26");
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(-1), "1969-12-31");
        assert_eq!(date(i64::MAX), "9999-12-30");
    }

    #[test]
    fn a_key_is_not_printed() {
        let key = Key::of_date(&Secret::new("canary"), "2019-02-25");
        assert_eq!(format!("{key:?}"), "Key([secret])");
    }

    #[test]
    fn every_byte_takes_two_digits() {
        assert_eq!(hex(&[0, 15, 255]), "000fff");
    }
}
