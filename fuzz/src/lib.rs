//! Fuzzing of whatever strangers can write: the API's answers, the names in them, the config file.
//!
//! `fuzz/run TARGET [SECONDS]` runs one target, on stable Rust; a finding is left in `fuzz/artifacts` with the command
//! that repeats it. A finding that was mended becomes a named test in `tests/it`.
//!
//! | target       | promise |
//! |--------------|---------|
//! | `response`   | any body is an answer or an error; nothing in an answer is invented; no error is long or unprintable |
//! | `row`        | one broken row costs itself alone; a row means the same wherever it stands |
//! | `times`      | a time is read as the calendar has it, or not at all |
//! | `settings`   | any file is settings or problems, as few and as short as bounded; no secret is shown |
//! | `exposition` | any name and count comes back from a page, in both formats, and no line with it |
//!
//! What a target compares with stands in this crate and shares nothing with the exporter: [`calendar`] counts days,
//! [`json`] knows where a value ends, [`page`] reads the two text formats
//! strictly, [`books`] knows what has to stand on a page.

#![forbid(unsafe_code)]

pub mod books;
pub mod calendar;
pub mod check;
pub mod json;
pub mod page;
