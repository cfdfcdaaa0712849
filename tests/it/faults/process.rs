//! How the process ends, and what does not end it (E6–E8).

use std::time::Duration;

use tencent_live_exporter::clock::{Clock as _, SystemClock};
use tencent_live_exporter::sim::Fault;
use tokio::net::TcpListener;

use crate::command_line::{Api, last_line, stops_cleanly};
use crate::support::folder::Folder;
use crate::support::http;
use crate::support::log;
use crate::support::patience::{seen, until};
use crate::support::rig::Rig;

const POLLS: &str = "tencent_live_exporter_polls_total";
const STREAMS: &str = "tencent_live_stream_disconnects_total";

#[test]
fn e6_a_panic_anywhere_aborts_a_release_build() {
    let manifest = include_str!("../../../Cargo.toml");
    let (_, release) = manifest.split_once("[profile.release]\n").expect("the profile is there");
    let release = release.split("\n[").next().unwrap();
    assert!(release.lines().any(|line| line == "panic = \"abort\""), "{release}");
}

#[tokio::test]
async fn e6_a_poll_loop_that_panics_takes_the_exporter_along() {
    let mut rig = Rig::new().await.start().await;
    rig.world.publish(rig.ended("room", 10));
    rig.shows_the_truth().await;
    let address = rig.address();
    // The next thing the loop has to tell about its account is its end.
    log::mine(rig.account());
    rig.world.fail_next(100, Fault::Redirect("http://127.0.0.1:1/".into()));
    let error = rig.breaks().await;
    assert_eq!(error.to_string(), "a poll loop has ended by itself");
    http::get(address, "/metrics").await.expect_err("no page is better than one that stands still");
}

#[tokio::test]
async fn e7_signals_upon_signals_end_in_one_clean_stop() {
    let api = Api::start().await;
    api.world.publish(api.ended("room"));
    let mut process = api.asked_by(&[]).start();
    process.metrics_when("the session is shown", |page| page.count(STREAMS, &[("stream", "room")]) == 1).await;
    // A poll hangs all the while.
    api.world.fail_next(100, Fault::Hang);
    let asked = api.world.requests().count;
    until("a request hangs", async || seen(api.world.requests().count > asked, process.stderr())).await;
    for signal in ["TERM", "INT", "HUP", "TERM"] {
        process.signal(signal);
    }
    let ended = stops_cleanly(process, "TERM").await;
    let stopping = ended.stderr.matches("stopping: no more polls, finishing the commit in hand").count();
    assert_eq!(stopping, 1, "{ended:?}");
    let mut again = api.asked_by(&[]).inside(ended.folder).start();
    again.metrics_when("the books are whole", |page| page.count(STREAMS, &[("stream", "room")]) == 1).await;
}

#[tokio::test]
async fn e7_a_storm_of_hangups_reloads_one_after_the_other_and_stops_nothing() {
    let api = Api::start().await;
    // The file says something else for each of them to find, so that loops end and begin all the while.
    let file = |overlap: usize| format!("poll: {{ overlap: {}s }}\n", 30 + overlap % 7);
    let mut process = api.asked_by(&["--config.file", "storm.yaml"]).file("storm.yaml", &file(0)).start();
    process.metrics_when("it polls", |page| page.count(POLLS, &[("kind", "poll")]) > 0).await;
    for n in 0..100 {
        // Whoever reads it sees all of it.
        std::fs::write(process.folder.join("next.yaml"), file(n)).unwrap();
        std::fs::rename(process.folder.join("next.yaml"), process.folder.join("storm.yaml")).unwrap();
        process.signal("HUP");
    }
    api.world.publish(api.ended("room"));
    let page = process.metrics_when("it counts on", |page| page.count(STREAMS, &[("stream", "room")]) == 1).await;
    let polls = page.count(POLLS, &[("kind", "poll")]);
    process.metrics_when("it polls on", |page| page.count(POLLS, &[("kind", "poll")]) > polls).await;
    let ended = stops_cleanly(process, "TERM").await;
    let reloaded = ended.stderr.matches("settings reloaded").count();
    assert!((1..=100).contains(&reloaded), "{ended:?}");
    assert!(!ended.stderr.contains("not reloaded"), "{ended:?}");
}

#[tokio::test]
async fn e8_a_start_that_fails_is_over_at_once_and_says_why_in_one_line() {
    let api = Api::start().await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let soon = ("TENCENT_LIVE__POLL__INTERVAL", "soon");
    let nothing = ("LANG", "C");
    for (code, told, arguments, (variable, value)) in [
        (2, "poll.interval: soon", [].as_slice(), soon),
        (2, "missing.yaml", &["--config.file", "missing.yaml"], nothing),
        (1, "--state.path", &["--state.path", "file/state"], nothing),
        (1, "--web.listen-address", &["--web.listen-address", &address], nothing),
    ] {
        let mut folder = Folder::new();
        // Whoever starts it again and again gets the same answer each time, and nothing piles up.
        for _ in 0..3 {
            let clock = SystemClock::new();
            let command = api.asked_by(arguments).env(variable, value).inside(folder).file("file", "");
            let ended = command.run().await;
            assert!(clock.elapsed() < Duration::from_secs(3), "{ended:?}");
            assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{ended:?}");
            assert!(last_line(&ended).contains(told), "{ended:?}");
            assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
            assert_eq!(ended.folder.names(), ["file"]);
            folder = ended.folder;
        }
    }
}
