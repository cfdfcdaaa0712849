//! The header `Authorization` of basic auth (RFC 7617).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Most bytes of a password that bcrypt looks at. What is longer is never right: the rest would not count.
pub const LONGEST_PASSWORD: usize = 72;

/// A name and a password, as a client gave them.
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: Zeroizing<Vec<u8>>,
}

impl Login {
    /// Reads `Basic <base64 of user:password>`; absent where it is anything else, or the password is too long.
    pub(super) fn parse(header: &[u8]) -> Option<Self> {
        let (scheme, rest) = header.split_at_checked(6)?;
        if !scheme.eq_ignore_ascii_case(b"basic ") {
            return None;
        }
        let text = Zeroizing::new(STANDARD.decode(rest.trim_ascii()).ok()?);
        let colon = text.iter().position(|byte| *byte == b':')?;
        let user = std::str::from_utf8(&text[..colon]).ok()?.to_owned();
        let password = Zeroizing::new(text[colon + 1..].to_vec());
        (password.len() <= LONGEST_PASSWORD).then_some(Self { user, password })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_what_stands_before_and_after_the_first_colon() {
        let encode = |text: &[u8]| format!("Basic {}", STANDARD.encode(text));
        let parse = |header: &str| {
            let login = Login::parse(header.as_bytes())?;
            Some((login.user, String::from_utf8(login.password.to_vec()).unwrap()))
        };
        let login = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(parse(&encode(b"alice:a:b")), login("alice", "a:b"));
        assert_eq!(parse(&encode(":".as_bytes())), login("", ""));
        assert_eq!(parse(&encode("张三:密码".as_bytes())), login("张三", "密码"));
        assert_eq!(parse("bAsIc  YTpi "), login("a", "b"));
        assert_eq!(parse(&encode(format!("a:{}", "x".repeat(72)).as_bytes())), login("a", &"x".repeat(72)));
        for header in ["", "Basic", "Basic ", "Basic YTpi!", "Bearer YTpi", "Basic YQ==", "Digest username=\"a\""] {
            assert_eq!(parse(header), None, "{header}");
        }
        assert_eq!(parse(&encode(b"\xff:b")), None);
        assert_eq!(parse(&encode(format!("a:{}", "x".repeat(73)).as_bytes())), None);
    }
}
