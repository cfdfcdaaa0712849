//! What the pages for people have in common: frame, navigation, switch of language, style sheet.
//!
//! Links are relative, so that a page works below any path that a proxy puts before it, unless the settings name that
//! path. No page needs a script.

mod language;

use hyper::StatusCode;
use hyper::header::{CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, HeaderValue};
use maud::{DOCTYPE, Markup, html};

pub(super) use self::language::Language;
use super::answer::Answer;
use super::{Site, routes};

/// Where the style sheet is.
pub(super) const STYLE_PATH: &str = "/layout.css";
/// Where the script is.
pub(super) const SCRIPT_PATH: &str = "/zone.js";
/// Where the icon is.
pub(super) const ICON_PATH: &str = "/favicon.svg";

/// All of these.
pub(super) const PATHS: [&str; 3] = [STYLE_PATH, SCRIPT_PATH, ICON_PATH];

/// Only what is our own, and forms that ask us.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";

/// A page for people, but for its frame.
pub(super) struct Page<'a> {
    pub(super) language: Language,
    /// Before the program's name.
    pub(super) title: Option<&'a str>,
    /// Which of the pages in the navigation it is: its path.
    pub(super) here: &'a str,
    /// The same page in the other languages: the query of its address by language.
    pub(super) switch: [(Language, String); 2],
    /// Whether the script has something to do.
    pub(super) needs_script: bool,
    pub(super) site: &'a Site,
    pub(super) main: Markup,
}

/// The file at one of the paths above.
pub(super) fn file(path: &str) -> Option<Answer> {
    match path {
        STYLE_PATH => Some(routes::lasting("text/css; charset=utf-8", include_str!("layout.css"))),
        SCRIPT_PATH => Some(routes::lasting("text/javascript; charset=utf-8", include_str!("zone.js"))),
        ICON_PATH => Some(routes::lasting("image/svg+xml", include_str!("favicon.svg"))),
        _ => None,
    }
}

impl Page<'_> {
    /// The whole page, as an answer.
    pub(super) fn answer(self, status: StatusCode) -> Answer {
        let language = HeaderValue::from_static(self.language.tag());
        let text = self.markup().into_string();
        Answer::new(status, "text/html; charset=utf-8", vec![text.into()])
            .with(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))
            .with(CONTENT_LANGUAGE, language)
    }

    fn markup(&self) -> Markup {
        let say = |english, chinese| self.language.pick(english, chinese);
        let Site { telemetry_path, build, .. } = self.site;
        let pages = [
            ("/", say("Overview", "概览")),
            ("/disconnects", say("Disconnects", "断流记录")),
            (telemetry_path, say("Metrics", "指标")),
        ];
        // A new version is not to be shown with the style of the old one, which browsers may keep.
        let asset = |path: &str| self.site.link(&format!("{path}?v={}", build.version));
        html! {
            (DOCTYPE)
            html lang=(self.language.tag()) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { @if let Some(title) = self.title { (title) " · " } "Tencent Live Exporter" }
                    link rel="icon" type="image/svg+xml" href=(asset(ICON_PATH));
                    link rel="stylesheet" href=(asset(STYLE_PATH));
                    @if self.needs_script { script src=(asset(SCRIPT_PATH)) {} }
                }
                body {
                    a.skip href="#main" { (say("Skip to content", "跳到正文")) }
                    header.top {
                        a.brand href=(self.site.link("/")) { "Tencent Live Exporter" }
                        nav aria-label=(say("Pages", "页面")) {
                            ul {
                                @for (path, name) in pages {
                                    li {
                                        a href=(self.site.link(path)) aria-current=[(path == self.here).then_some("page")] { (name) }
                                    }
                                }
                            }
                        }
                        nav.languages aria-label="Language / 语言" {
                            ul {
                                @for (language, query) in &self.switch {
                                    li {
                                        a href={ "?" (query) } lang=(language.tag()) hreflang=(language.tag())
                                            aria-current=[(*language == self.language).then_some("true")] {
                                            (language.own_name())
                                        }
                                    }
                                }
                            }
                        }
                    }
                    main id="main" { (self.main) }
                    footer {
                        p { "tencent-live-exporter " (build.version) }
                    }
                }
            }
        }
    }
}
