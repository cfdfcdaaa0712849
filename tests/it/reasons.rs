//! The taxonomy in code against the taxonomy as data, `tests/fixtures/reasons.json`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use tencent_live_exporter::reason::{Class, Classifier, Reason, TABLE};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    #[serde(rename = "about")]
    _about: String,
    #[serde(rename = "matching")]
    _matching: String,
    reasons: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    reason: String,
    class: String,
    in_seed: bool,
    zh: Vec<String>,
    en: Vec<String>,
    codes: Vec<String>,
}

impl Line {
    fn spellings(&self) -> impl Iterator<Item = &String> {
        self.zh.iter().chain(&self.en)
    }

    fn reason(&self) -> Reason {
        Reason::from_name(&self.reason).unwrap_or_else(|| panic!("{} is not in the table", self.reason))
    }
}

fn fixture() -> Vec<Line> {
    let fixture: Fixture = serde_json::from_str(include_str!("../fixtures/reasons.json")).expect("the fixture");
    fixture.reasons
}

#[test]
fn every_reason_of_the_data_is_in_the_code_and_the_other_way_round() {
    let data: Vec<String> = fixture().into_iter().map(|line| line.reason).collect();
    let code: Vec<&str> = TABLE.iter().map(|entry| entry.name).collect();
    assert_eq!(data.iter().collect::<BTreeSet<_>>().len(), data.len(), "a reason is in the data twice");
    let (last, known) = code.split_last().expect("a table");
    assert_eq!((*last, Reason::Unmapped.as_str()), ("unmapped", "unmapped"));
    assert_eq!(data, known);
}

#[test]
fn every_line_is_the_same_in_code_and_data() {
    for line in fixture() {
        let entry = line.reason().entry();
        assert_eq!(line.class, entry.class.as_str(), "{}", line.reason);
        assert_eq!(line.zh, entry.zh, "{}", line.reason);
        assert_eq!(line.en, entry.en, "{}", line.reason);
        assert_eq!(line.codes, entry.codes, "{}", line.reason);
    }
}

#[test]
fn classes_are_spelt_as_in_the_data_and_each_has_a_reason() {
    let data: BTreeSet<String> = fixture().into_iter().map(|line| line.class).collect();
    let code: BTreeSet<String> = Class::ALL.iter().map(|class| class.as_str().to_owned()).collect();
    assert_eq!(data, code);
    assert_eq!(code.len(), Class::ALL.len());
}

#[test]
fn every_spelling_is_its_reason_with_and_without_a_full_stop() {
    let classifier = Classifier::new(&[]);
    for line in fixture() {
        for spelling in line.spellings() {
            let bare = spelling.trim_end_matches(['。', '.']);
            for text in
                [spelling.clone(), bare.to_owned(), format!("{bare}。"), format!("{bare}."), format!(" {bare} ")]
            {
                assert_eq!(classifier.classify(&text), line.reason(), "{text:?}");
            }
        }
    }
}

#[test]
fn the_thirty_seven_reasons_of_the_seed_are_found_by_either_language() {
    let classifier = Classifier::new(&[]);
    let seed: Vec<Line> = fixture().into_iter().filter(|line| line.in_seed).collect();
    assert_eq!(seed.len(), 37);
    let mut found = BTreeSet::new();
    for line in &seed {
        for texts in [&line.zh, &line.en] {
            let text = texts.first().unwrap_or_else(|| panic!("{} has no text to show", line.reason));
            assert_eq!(classifier.classify(text), line.reason(), "{text}");
        }
        assert_ne!(line.reason(), Reason::Unmapped);
        found.insert(line.reason());
    }
    assert_eq!(found.len(), 37);
}

#[test]
fn every_code_is_its_reason_and_no_other_code_is() {
    let classifier = Classifier::new(&[]);
    let mut codes = BTreeMap::new();
    for line in fixture() {
        for code in &line.codes {
            assert_eq!(codes.insert(code.clone(), line.reason()), None, "{code} has two reasons");
        }
    }
    for n in 0..=64 {
        for m in 0..=999 {
            let code = format!("{n}/{m}");
            let expected = codes.get(&code).copied().unwrap_or(Reason::Unmapped);
            assert_eq!(classifier.classify(&code), expected, "{code}");
        }
        let expected = codes.get(&format!("{n}/0")).copied().unwrap_or(Reason::Unmapped);
        assert_eq!(classifier.classify(&n.to_string()), expected, "{n}");
    }
}
