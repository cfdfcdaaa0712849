//! Makes the hash of a password, for `basic_auth_users` of a web config.

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use zeroize::Zeroizing;

use crate::web::LONGEST_PASSWORD;

/// The hash of a password that is asked for twice on a terminal, or comes as the first line of standard input.
///
/// # Errors
/// What is wrong with the password, in words.
pub(super) fn hash(cost: u32) -> Result<String, String> {
    let password = if std::io::stdin().is_terminal() { from_terminal()? } else { from_input()? };
    if password.is_empty() {
        return Err("the password is empty".to_owned());
    }
    if password.len() > LONGEST_PASSWORD {
        return Err(format!("the password is longer than {LONGEST_PASSWORD} bytes, and bcrypt looks at no more"));
    }
    bcrypt::non_truncating_hash(password.as_bytes(), cost).map_err(|error| format!("no hash can be made: {error}"))
}

fn from_terminal() -> Result<Zeroizing<String>, String> {
    let ask = |prompt| {
        let typed = rpassword::prompt_password(prompt);
        typed.map(Zeroizing::new).map_err(|error| format!("the password cannot be read: {error}"))
    };
    let password = ask("Password: ")?;
    if *ask("The same again: ")? == *password { Ok(password) } else { Err("the two are not the same".to_owned()) }
}

fn from_input() -> Result<Zeroizing<String>, String> {
    let mut line = Zeroizing::new(String::new());
    let input = std::io::stdin().lock().take(4096).read_line(&mut line);
    input.map_err(|error| format!("the password cannot be read: {error}"))?;
    let end = line.strip_suffix('\n').map_or(line.as_str(), |line| line.strip_suffix('\r').unwrap_or(line)).len();
    line.truncate(end);
    Ok(line)
}
