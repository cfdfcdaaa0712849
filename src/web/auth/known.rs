//! Passwords that were right, remembered so that they need not go through bcrypt again.
//!
//! What is kept is HMAC-SHA256 under a key of this process, over the user, the password and the configured hash, each with
//! its length before it: no two logins have the same input (in CVE-2022-46146 they had), and nothing here can be taken to
//! another machine and guessed at. One for each user, so there are never more than users; a new hash in the
//! configuration makes the old one worthless.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::basic::Login;
use crate::secret::Secret;

pub(super) struct Known {
    keyed: Hmac<Sha256>,
    tags: Mutex<HashMap<String, [u8; 32]>>,
}

impl Known {
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        let mut key = zeroize::Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key)?;
        let keyed = Hmac::new_from_slice(&*key).expect("HMAC takes keys of any length");
        Ok(Self { keyed, tags: Mutex::default() })
    }

    /// Whether this password was right before, under the same hash; never where there is no such user. The work is the
    /// same for all.
    pub(super) fn has(&self, login: &Login, hash: Option<&Secret>) -> bool {
        let tag = self.tags().get(&login.user).copied();
        let nobody = Secret::new("");
        // In constant time, which `==` is not.
        let is_same = self.mac(login, hash.unwrap_or(&nobody)).verify_slice(&tag.unwrap_or_default()).is_ok();
        is_same && tag.is_some() && hash.is_some()
    }

    /// This password is right under `hash`.
    pub(super) fn remember(&self, login: &Login, hash: &Secret) {
        let tag = self.mac(login, hash).finalize().into_bytes().into();
        self.tags().insert(login.user.clone(), tag);
    }

    fn mac(&self, login: &Login, hash: &Secret) -> Hmac<Sha256> {
        let mut mac = self.keyed.clone();
        for part in [login.user.as_bytes(), &login.password, hash.expose().as_bytes()] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }

    fn tags(&self) -> MutexGuard<'_, HashMap<String, [u8; 32]>> {
        self.tags.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(user: &str, password: &str) -> Login {
        Login { user: user.to_owned(), password: password.as_bytes().to_vec().into() }
    }

    #[test]
    fn f11_logins_that_are_alike_when_written_in_a_row_are_told_apart() {
        let known = Known::new().unwrap();
        let hash = "$2b$04$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyz0123.";
        known.remember(&login("bob", "secret"), &Secret::new(hash));
        assert!(known.has(&login("bob", "secret"), Some(&Secret::new(hash))));
        // The advisory's shape: what ends one part begins the next, with or without a separator.
        for (user, hash, password) in [
            ("bob", format!("{hash}secret"), String::new()),
            ("bob", hash[..hash.len() - 1].to_owned(), format!("{}secret", &hash[hash.len() - 1..])),
            ("bob", String::new(), format!("secret{hash}")),
            ("bob", hash.to_owned(), "secret:".to_owned()),
            ("bobs", hash.to_owned(), "ecret".to_owned()),
            ("bo", hash.to_owned(), "bsecret".to_owned()),
            ("bob:", hash.to_owned(), "secret".to_owned()),
        ] {
            assert!(!known.has(&login(user, &password), Some(&Secret::new(&hash))), "{user} {password} {hash}");
            // Not even where the user is the one that is remembered.
            let mac = |user: &str, password: &str, hash: &str| {
                known.mac(&login(user, password), &Secret::new(hash)).finalize().into_bytes()
            };
            assert_ne!(
                mac(user, &password, &hash),
                mac("bob", "secret", "$2b$04$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyz0123.")
            );
        }
    }

    #[test]
    fn f11_only_the_last_right_password_of_a_user_is_kept_and_no_hash_of_another_process() {
        let (known, other) = (Known::new().unwrap(), Known::new().unwrap());
        let hash = Secret::new("hash");
        for password in ["one", "two"] {
            known.remember(&login("bob", password), &hash);
            other.remember(&login("bob", password), &hash);
        }
        assert!(!known.has(&login("bob", "one"), Some(&hash)) && known.has(&login("bob", "two"), Some(&hash)));
        assert!(!known.has(&login("bob", "two"), Some(&Secret::new("new hash"))), "a changed hash ends it");
        assert_eq!(known.tags().len(), 1);
        assert_ne!(known.tags()["bob"], other.tags()["bob"]);
    }
}
