//! JSON with names exactly as they were received, on one line each, and nothing in it that a terminal would obey.

use std::fmt::Write as _;

use crate::live::push_string;
use crate::session::Name;

/// An object under way.
pub(super) struct Object(String);

impl Object {
    pub(super) fn new() -> Self {
        Self("{".to_owned())
    }

    pub(super) fn text(self, key: &str, value: &str) -> Self {
        self.bytes(key, value.as_bytes())
    }

    /// A name; where it is not UTF-8 with the escapes that it came with.
    pub(super) fn name(self, key: &str, name: &Name) -> Self {
        self.bytes(key, name.as_bytes())
    }

    pub(super) fn number(self, key: &str, value: impl std::fmt::Display) -> Self {
        self.raw(key, &value.to_string())
    }

    /// A text, or `null`.
    pub(super) fn optional(self, key: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(key, value),
            None => self.raw(key, "null"),
        }
    }

    /// JSON as it is.
    pub(super) fn raw(mut self, key: &str, json: &str) -> Self {
        self.key(key);
        self.0.push_str(json);
        self
    }

    pub(super) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn bytes(mut self, key: &str, bytes: &[u8]) -> Self {
        self.key(key);
        let mut string = String::new();
        push_string(&mut string, bytes);
        push_harmless(&mut self.0, &string);
        self
    }

    fn key(&mut self, key: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        write!(self.0, "\"{key}\":").expect("writing to a String does not fail");
    }
}

/// An array with an item on each line.
pub(super) fn lines(items: &[String]) -> String {
    if items.is_empty() { "[]".to_owned() } else { format!("[\n{}\n]", items.join(",\n")) }
}

/// What JSON lets stand and a terminal may obey is escaped, which means the same to whoever reads it.
fn push_harmless(out: &mut String, json: &str) {
    for c in json.chars() {
        let printed = matches!(c, ' '..='~') || (!c.is_ascii() && c.escape_debug().len() == 1);
        if printed {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").expect("writing to a String does not fail");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped_and_means_the_same() {
        for text in ["a\u{1b}[2J\u{9b}31m\u{7f}", "\u{202e}\u{2028}\u{200b}\u{feff}", "房间 \"一\"\\\n😀\u{e0001}"]
        {
            let json = Object::new().text("stream", text).end();
            assert!(json.chars().all(|c| !c.is_control() && !"\u{202e}\u{2028}\u{200b}\u{feff}".contains(c)), "{json}");
            let read: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert_eq!(read["stream"], text);
        }
    }

    #[test]
    fn a_name_that_is_not_utf_8_keeps_the_escapes_it_came_with() {
        let name = Name::new(b"a\xed\xa0\x80b".as_slice());
        let json = Object::new().name("stream", &name).number("n", 1).optional("x", None).end();
        assert_eq!(json, r#"{"stream":"a\ud800b","n":1,"x":null}"#);
    }
}
