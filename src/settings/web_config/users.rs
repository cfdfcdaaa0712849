//! Users and the hashes of their passwords.

use std::collections::BTreeMap;

use bcrypt::HashParts;

use crate::secret::Secret;
use crate::settings::section::Section;

/// The most work for one password; each step doubles it, and 14 is a second of a fast core.
const HIGHEST_COST: u32 = 14;
/// From here on a stolen hash is hard to guess a password from.
const WISE_COST: u32 = 10;

const ACCEPTED: &str = "a bcrypt hash of cost 4 to 14, as the command hash-password prints it";

/// The users, and a warning for each hash that costs too little.
pub(super) fn read(root: &Section<'_>, warnings: &mut Vec<String>) -> BTreeMap<String, Secret> {
    let mut users = BTreeMap::new();
    for (user, entry) in root.texts("basic_auth_users") {
        if user.contains(':') || user.chars().any(char::is_control) {
            entry.refuse(
                crate::settings::problem::ProblemKind::BadValue,
                "the name has a colon or a control character",
                "a name that a client can send",
            );
            continue;
        }
        let Some(cost) = entry.read(ACCEPTED, cost) else { continue };
        if cost < WISE_COST {
            let key = &entry.key;
            warnings.push(format!("{key}: cost {cost} is soon guessed; hash-password makes a hash of cost 12"));
        }
        users.insert(user.to_owned(), Secret::new(entry.text));
    }
    users
}

/// The cost of a hash.
fn cost(text: &str) -> Result<u32, String> {
    let known = ["$2a$", "$2b$", "$2y$"].iter().any(|version| text.starts_with(version));
    let hash: Option<HashParts> = text.parse().ok().filter(|_| known);
    match hash.map(|hash| hash.get_cost()) {
        None => Err("not a bcrypt hash".to_owned()),
        Some(cost) if cost > HIGHEST_COST => Err(format!("cost {cost} takes too long for each password")),
        Some(cost) => Ok(cost),
    }
}
