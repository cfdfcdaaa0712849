//! Passwords: who gets what without one, and what a flood of wrong ones does to the right ones.

use base64::Engine as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tencent_live_exporter::clock::SystemClock;
use tencent_live_exporter::web::paths;

use crate::support::folder::Folder;

use super::tls::terms;
use super::*;

/// A hash of `right`, at the least cost there is.
fn hash() -> String {
    bcrypt::hash("right", 4).unwrap()
}

/// `alice:right`
const RIGHT: (&str, &str) = ("Authorization", "Basic YWxpY2U6cmlnaHQ=");
/// `alice:wrong`
const WRONG: (&str, &str) = ("Authorization", "Basic YWxpY2U6d3Jvbmc=");

fn guarded(yaml: &str, change: impl FnOnce(&mut Site)) -> Server {
    let guard = Arc::new(Guard::new(terms(&Folder::new(), yaml)).unwrap());
    Server::with(snapshot(7, [series("room", 1)]), |site| {
        site.guard = guard;
        change(site);
    })
}

fn with_a_password() -> Server {
    guarded(&format!("basic_auth_users: {{ alice: \"{}\" }}\n", hash()), |_| {})
}

#[test]
fn f14_every_path_but_health_needs_a_password_whatever_is_asked_of_it() {
    let server = with_a_password();
    let others = ["/metrics", "/nowhere", "//", "/-/", "/-/healthy/", "/-/healthy%00", "/%2d/healthy", "/-/../metrics"];
    for path in paths().chain(others) {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "X"] {
            let [anybody, wrong, right] =
                [&[][..], &[WRONG], &[RIGHT]].map(|headers| server.ask(method, path, headers));
            if path == "/-/healthy" {
                assert_eq!(anybody.status, right.status, "{method} {path}");
                continue;
            }
            for refused in [&anybody, &wrong] {
                assert_eq!(refused.status, 401, "{method} {path}");
                assert!(refused.header("www-authenticate").is_some_and(|asks| asks.starts_with("Basic realm=")));
                if method != "HEAD" {
                    assert_eq!(refused.text(), "401 unauthorized\n", "{method} {path}");
                }
            }
            assert_ne!(right.status, 401, "{method} {path}");
        }
    }
    let healthy = server.get("/-/healthy");
    assert_eq!((healthy.status, healthy.text()), (200, "tencent-live-exporter is Healthy.\n"));
}

#[test]
fn f14_below_the_path_of_a_proxy_a_password_is_needed_as_well() {
    let users = format!("basic_auth_users: {{ alice: \"{}\" }}\n", hash());
    let server = guarded(&users, |site| site.external_path = "/live".to_owned());
    for path in paths().chain(["/metrics", "", "/-/healthy/", "/live/-/healthy"]) {
        let path = format!("/live{path}");
        let open = path == "/live/-/healthy";
        assert_eq!(server.get(&path).status == 401, !open, "{path}");
        assert_ne!(server.ask("GET", &path, &[RIGHT]).status, 401, "{path}");
    }
}

#[test]
fn f14_only_a_scrape_with_a_password_is_reported() {
    let server = with_a_password();
    for headers in [&[][..], &[WRONG]] {
        assert_eq!(server.ask("GET", "/metrics", headers).status, 401);
    }
    server.no_scrape();
    assert_eq!(server.ask("GET", "/metrics", &[RIGHT]).status, 200);
    server.next_scrape();
}

#[test]
fn f15_refusals_carry_every_protective_header_and_those_of_the_configuration() {
    let yaml = format!(
        "http_server_config:\n  headers:\n    Strict-Transport-Security: max-age=60\n    X-Frame-Options: sameorigin\n    \
         X-XSS-Protection: \"0\"\n    Content-Security-Policy: \"\"\nbasic_auth_users: {{ alice: \"{}\" }}\n\
         rate_limit: {{ interval: 1h, burst: 3 }}\n",
        hash()
    );
    let server = guarded(&yaml, |_| {});
    let answers = [&[][..], &[RIGHT], &[WRONG], &[]].map(|headers| server.ask("GET", "/", headers));
    assert_eq!([0, 1, 2, 3].map(|i: usize| answers[i].status), [401, 200, 401, 429]);
    assert!(answers[3].header("retry-after").unwrap().parse::<u32>().unwrap() > 3000);
    for answer in &answers {
        for (name, value) in [
            ("strict-transport-security", "max-age=60"),
            ("x-frame-options", "sameorigin"),
            ("x-xss-protection", "0"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{}", answer.status);
        }
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none';"), "a blank header stays: {policy}");
        assert!(answer.headers.iter().all(|(name, _)| !name.starts_with("access-control-")));
    }
}

#[test]
fn f9_a_flood_of_wrong_passwords_leaves_the_right_one_alone() {
    // A cost at which a few wrong passwords keep the worker busy.
    let hash = bcrypt::hash("right", 10).unwrap();
    let server = guarded(&format!("basic_auth_users: {{ alice: \"{hash}\" }}\n"), |_| {});
    assert_eq!(server.ask("GET", "/metrics", &[RIGHT]).status, 200);
    let (stop, refused, put_off) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let clock = SystemClock::new();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (stop, refused, put_off) = (&stop, &refused, &put_off);
            let mut stream = server.connect();
            scope.spawn(move || {
                for turn in 0_u64.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let login = base64::engine::general_purpose::STANDARD.encode(format!("alice:{thread}-{turn}"));
                    send(&mut stream, "GET", "/metrics", &[("Authorization", &format!("Basic {login}"))]);
                    match Answer::read(&mut stream, "GET").status {
                        401 => refused.fetch_add(1, Ordering::Relaxed),
                        429 => put_off.fetch_add(1, Ordering::Relaxed),
                        status => panic!("{status}"),
                    };
                }
            });
        }
        let mut scraper = server.connect();
        let mut scrapes = 0;
        // Until the flood has been one: hundreds beyond what bcrypt could look at.
        while scrapes < 200 || put_off.load(Ordering::Relaxed) < 500 {
            send(&mut scraper, "GET", "/metrics", &[RIGHT]);
            assert_eq!(Answer::read(&mut scraper, "GET").status, 200);
            scrapes += 1;
            assert!(clock.elapsed() < Duration::from_secs(120), "{scrapes} scrapes, {put_off:?} put off");
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(server.get("/-/healthy").status, 200);
}
