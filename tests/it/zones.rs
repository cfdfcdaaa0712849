//! The exporter lives in UTC, whatever the machine thinks of its place (C2).

use std::sync::Arc;

use tencent_live_exporter::clock::SystemClock;
use tencent_live_exporter::sim::{Event, Keys, Scenario, Simulator};
use tokio::net::TcpListener;

use crate::support::child::CommandLine;
use crate::support::rig::{DOMAIN, SECRET_ID, SECRET_KEY};

/// Half hours and quarters, both sides of the date line, daylight saving, leap seconds, and no zone at all.
const ZONES: [&str; 7] = [
    "Asia/Shanghai",
    "Asia/Kathmandu",
    "Pacific/Kiritimati",
    "America/St_Johns",
    "Europe/Berlin",
    "right/Europe/Berlin",
    "no/such/zone",
];

#[tokio::test]
async fn c2_no_time_zone_changes_a_count_or_a_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let keys = Keys::new(SECRET_ID, SECRET_KEY);
    let simulator = Simulator::start(listener, Scenario::default(), keys, Arc::new(SystemClock::new())).unwrap();
    let (world, endpoint) = (simulator.world(), simulator.endpoint());
    // The oldest ended as long ago as a first start looks back, but for a minute; a zone would shift it out.
    let ends = [10, 600, 3540].map(|ago| world.now() - ago);
    world.publish_all(ends.map(|end| Event::ended(DOMAIN, "live", "room", end - 60, end)));
    let page = async |zone: &str| {
        let ended = CommandLine::new(&["once"])
            .env("TZ", zone)
            .env("TENCENTCLOUD_SECRET_ID", SECRET_ID)
            .env("TENCENTCLOUD_SECRET_KEY", SECRET_KEY)
            .env("TENCENT_LIVE__ACCOUNTS__0__ENDPOINT", &endpoint)
            .run()
            .await;
        assert_eq!(ended.code, Some(0), "{zone}: {}", ended.stderr);
        let families = ["tencent_live_stream_d", "tencent_live_d", "tencent_live_s", "tencent_live_l"];
        let counted = |line: &&str| families.iter().any(|family| line.starts_with(family));
        ended.stdout.lines().filter(counted).map(str::to_owned).collect::<Vec<_>>()
    };
    let utc = page("UTC").await;
    let total = format!("tencent_live_stream_disconnects_total{{domain=\"{DOMAIN}\",app=\"live\",stream=\"room\"");
    assert!(utc.iter().any(|line| line.starts_with(&total) && line.ends_with(" 3")), "{utc:#?}");
    let last = format!(" {}", ends[0]);
    assert!(utc.iter().any(|line| line.contains("last_disconnect") && line.ends_with(&last)), "{utc:#?}");
    for zone in ZONES {
        assert_eq!(page(zone).await, utc, "{zone}");
    }
}
