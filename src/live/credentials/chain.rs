//! Several sources, of which the first that has keys is used.
//!
//! The one that was found stays until it has none any more, so that the account does not change in the middle of a
//! listing. One that is there but broken is an error, not a reason to sign as somebody else.

use std::sync::{Mutex, PoisonError};

use super::{Credentials, CredentialsError, KeyNews, KeyObserver, Provider, chain_of};

/// Sources in the order in which they are tried.
pub struct Chain {
    links: Vec<Provider>,
    /// Sources that cannot be there, with the reason.
    ruled_out: Vec<String>,
    observer: KeyObserver,
    // Held to copy it in and out only.
    found: Mutex<Option<usize>>,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Chain").field(&self.links).finish()
    }
}

impl Chain {
    /// `links` in their order. `ruled_out` tells, a source each, what is not among them and why.
    #[must_use]
    pub fn new(links: Vec<Provider>, ruled_out: Vec<String>, observer: KeyObserver) -> Self {
        Self { links, ruled_out, observer, found: Mutex::new(None) }
    }

    /// The keys of the source that was found, or of the first that has some.
    pub(super) async fn current(&self) -> Result<Credentials, CredentialsError> {
        if let Some(link) = self.found() {
            match link.current().await {
                Err(error) if error.is_absence() => {}
                result => return result,
            }
        }
        let mut looked = self.ruled_out.clone();
        for (index, link) in self.links.iter().enumerate() {
            match link.current().await {
                Ok(credentials) => {
                    let before = self.remember(Some(index));
                    if before != Some(index) {
                        let expire = matches!(link, Provider::Temporary(_));
                        (self.observer)(&KeyNews::Found { source: link.name(), expire });
                    }
                    return Ok(credentials);
                }
                Err(error) if error.is_absence() => looked.push(format!("{}: {}", link.name(), chain_of(&error))),
                Err(error) => return Err(error),
            }
        }
        self.remember(None);
        Err(CredentialsError::Nowhere { looked: looked.join("; ") })
    }

    /// Other keys than `used`, of the source that was found.
    pub(super) async fn renewed(&self, used: &Credentials) -> Result<Credentials, CredentialsError> {
        match self.found() {
            Some(link) => link.renewed(used).await,
            None => self.current().await,
        }
    }

    fn found(&self) -> Option<&Provider> {
        let found = *self.found.lock().unwrap_or_else(PoisonError::into_inner);
        self.links.get(found?)
    }

    fn remember(&self, index: Option<usize>) -> Option<usize> {
        std::mem::replace(&mut *self.found.lock().unwrap_or_else(PoisonError::into_inner), index)
    }
}
