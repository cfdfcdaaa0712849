//! Extra spellings of reasons, for texts that Tencent has written since this version was made.

use crate::reason::{Classifier, Reason, TABLE};

use super::problem::ProblemKind;
use super::schema::near_word;
use super::section::Section;

/// Reads the mapping from texts to reasons, in the order of the texts.
pub(super) fn read(root: &Section<'_>) -> Vec<(String, Reason)> {
    let mut spellings = Vec::new();
    let mut entries = Vec::new();
    for (text, entry) in root.texts("reasons") {
        let wrong = match Reason::from_name(entry.text) {
            Some(Reason::Unmapped) => "is for what no spelling matches",
            Some(reason) => {
                spellings.push((text.to_owned(), reason));
                entries.push(entry);
                continue;
            }
            None => "not a reason",
        };
        entry.refuse(ProblemKind::BadValue, wrong, &accepted(entry.text));
    }
    if spellings.is_empty() {
        return spellings;
    }
    // Asked for what it was told, the classifier shows what matching makes of it: letters and digits alone count.
    let classifier = Classifier::new(&spellings);
    for ((text, reason), entry) in spellings.iter().zip(entries) {
        let found = classifier.classify(text);
        if !text.chars().any(char::is_alphanumeric) {
            entry.refuse(ProblemKind::BadValue, "the text has no letter or digit", "a text to match");
        } else if found != *reason {
            let wrong = format!("the text already means {}, by its code or by another spelling", found.as_str());
            entry.refuse(ProblemKind::Contradiction, wrong, "one reason for each text, width, case and signs aside");
        }
    }
    spellings
}

/// The reasons that may be named, the one that was probably meant first.
fn accepted(name: &str) -> String {
    let names = || TABLE.iter().filter(|entry| entry.reason != Reason::Unmapped).map(|entry| entry.name);
    match near_word(name, names()) {
        Some(near) => format!("the name of a reason, such as {near}"),
        None => names().collect::<Vec<_>>().join(", "),
    }
}
