//! The web config as an operator has it: the program with the file, its check, its changes and its password.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use rustls::ClientConfig;

use crate::command_line::{Api, last_line, stops_cleanly};
use crate::support::certificates::{Authority, ask, get};
use crate::support::child::{CommandLine, Process};
use crate::support::http;
use crate::support::metrics::Metrics;
use crate::support::patience::{seen, until};

const SUCCESSFUL: &str = "tencent_live_exporter_web_config_last_reload_successful";

/// The beginning of that year.
const YEAR_2040: u64 = 2_208_988_800;

fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

/// A web config with TLS, and users whose passwords are their names.
fn config(users: &[&str]) -> String {
    let users: Vec<String> = users.iter().map(|user| format!("  {user}: \"{}\"\n", hash(user))).collect();
    let tls = "tls_server_config: { cert_file: server.crt, key_file: server.key }\n";
    format!("{tls}basic_auth_users:\n{}", users.concat())
}

fn login(user: &str) -> String {
    let login = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{user}"));
    format!("Authorization: Basic {login}\r\n")
}

/// A program with TLS and the user `alice`, on loopback.
async fn start(api: &Api, authority: &Authority) -> (Process, SocketAddr) {
    let command = api.asked_by(&["--web.config.file", "web.yaml"]).file("web.yaml", &config(&["alice"]));
    let identity = authority.server();
    let command = command.file("server.crt", &identity.certificate).file("server.key", &identity.key);
    let mut process = command.start();
    let address = process.address().await;
    (process, address)
}

/// Waits until the metric says `wanted`, as `user` sees it.
async fn reload_is(wanted: u64, address: SocketAddr, client: &Arc<ClientConfig>, user: &str) {
    until(&format!("the metric is {wanted} for {user}"), async || {
        let (status, page) = get(address, client, "/metrics", &login(user)).map_err(|error| error.to_string())?;
        if status != 200 {
            return Err(format!("{status}"));
        }
        let value = Metrics::parse(&page).count(SUCCESSFUL, &[]);
        seen(value == wanted, value)
    })
    .await;
}

#[tokio::test]
async fn k1_f12_changes_are_taken_up_bad_ones_are_told_once_and_keep_what_was_there() {
    let (api, authority, next) = (Api::start().await, Authority::new(), Authority::new());
    let (process, address) = start(&api, &authority).await;
    let (client, next_client) = (authority.plain_client(), next.plain_client());
    reload_is(1, address, &client, "alice").await;
    let expiry = |client: &Arc<ClientConfig>| {
        let page = get(address, client, "/metrics", &login("alice")).unwrap().1;
        Metrics::parse(&page).count("tencent_live_exporter_web_certificate_expiry_timestamp_seconds", &[])
    };
    assert!(expiry(&client) > YEAR_2040);
    let write = |name: &str, text: &str| std::fs::write(process.folder.join(name), text).unwrap();

    // A user more.
    write("web.yaml", &config(&["alice", "bob"]));
    reload_is(1, address, &client, "bob").await;

    // The key of another certificate: the old pair stays.
    let identity = next.issue(&["localhost"], |params| {
        params.not_after = rcgen::date_time_ymd(2040, 1, 1);
    });
    write("server.key", &identity.key);
    reload_is(0, address, &client, "alice").await;
    let is_told = async |times: usize, why: &str| {
        until(&format!("{why} is told, of {times}"), async || {
            let log = process.stderr();
            let refused: Vec<&str> = log.lines().filter(|line| line.contains("refused")).collect();
            seen(refused.len() == times && refused[times - 1].contains(why), &log)
        })
        .await;
    };
    is_told(1, "the key is not that of the certificate").await;
    assert!(get(address, &next_client, "/metrics", &login("alice")).is_err(), "nobody has seen the new certificate");

    // Its certificate too: the new pair is in use.
    write("server.crt", &identity.certificate);
    reload_is(1, address, &next_client, "alice").await;
    assert_eq!(expiry(&next_client), YEAR_2040);
    assert!(get(address, &client, "/metrics", &login("alice")).is_err(), "the old certificate is gone");

    // What would open everything.
    let without_users = "tls_server_config: { cert_file: server.crt, key_file: server.key }\n";
    for (times, opening, why) in [
        (2, "", "TLS is switched on or off at a start only"),
        (3, without_users, "passwords are switched off at a start only"),
    ] {
        write("web.yaml", opening);
        reload_is(0, address, &next_client, "alice").await;
        is_told(times, why).await;
        assert_eq!(get(address, &next_client, "/metrics", "").unwrap().0, 401);
        write("web.yaml", &config(&["alice"]));
        reload_is(1, address, &next_client, "alice").await;
    }
    stops_cleanly(process, "TERM").await;
}

#[tokio::test]
async fn f14_a_reload_needs_the_password_and_opens_nothing() {
    let (api, authority) = (Api::start().await, Authority::new());
    let identity = authority.server();
    let command = api.asked_by(&["--config.file", "exporter.yaml", "--web.enable-lifecycle"]);
    let command =
        command.file("exporter.yaml", "web: { config_file: web.yaml }\n").file("web.yaml", &config(&["alice"]));
    let command = command.file("server.crt", &identity.certificate).file("server.key", &identity.key);
    let mut process = command.start();
    let (address, client) = (process.address().await, authority.plain_client());
    let reload = |login: &str| ask(address, &client, "POST", "/-/reload", login).unwrap();
    let open = || get(address, &client, "/metrics", "").unwrap().0 == 200;
    assert_eq!((reload("").0, reload(&login("bob")).0, open()), (401, 401, false));
    assert_eq!((reload(&login("alice")).0, open()), (200, false));
    let write = |name: &str, text: &str| std::fs::write(process.folder.join(name), text).unwrap();
    write("other.yaml", "");
    for (settings, told) in [
        ("web: { config_file: other.yaml }\n", "cannot be changed while running: web.config_file;"),
        ("{}\n", "cannot be changed while running: web.config_file;"),
        ("web: { config_file: gone.yaml }\n", "gone.yaml"),
    ] {
        write("exporter.yaml", settings);
        let (status, words) = reload(&login("alice"));
        assert_eq!((status, open()), (500, false), "{words}");
        assert!(words.contains(told), "{told}: {words}");
    }
    // What is in the file is taken up as ever.
    write("exporter.yaml", "web: { config_file: web.yaml, max_requests: 3 }\n");
    assert_eq!((reload(&login("alice")).0, open()), (200, false));
    write("web.yaml", &config(&["bob"]));
    reload_is(1, address, &client, "bob").await;
    assert_eq!((reload(&login("alice")).0, reload(&login("bob")).0), (401, 200));
    stops_cleanly(process, "TERM").await;
}

#[tokio::test]
async fn k1_a_bad_web_config_is_no_start_and_told_by_the_check() {
    let api = Api::start().await;
    let bad = "tls_server_config: { cert_file: no.crt }\nbasic_auth_user: {}\n";
    for arguments in [&["--web.config.file", "web.yaml"][..], &["--config.check", "--web.config.file", "web.yaml"]] {
        let ended = api.asked_by(arguments).file("web.yaml", bad).run().await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        let told = [
            "no.crt: cannot be read",
            "neither key nor key_file",
            "did you mean basic_auth_users?",
            "line 2 of web.yaml",
        ];
        for part in told {
            assert!(ended.stderr.contains(part), "{part} is not in\n{}", ended.stderr);
        }
    }
    // The key of the settings starts from their folder.
    let command = api.asked_by(&["--config.check", "--config.file", "conf/exporter.yaml"]);
    let command = command.folder("conf").file("conf/exporter.yaml", "web: { config_file: web.yaml }\n");
    let ended = command.file("conf/web.yaml", "rate_limit: { interval: 1s, burst: 5 }\n").run().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[tokio::test]
async fn healthcheck_asks_over_tls_without_a_password_or_a_certificate_of_its_own() {
    let (api, authority) = (Api::start().await, Authority::new());
    let identity = authority.server();
    for more in ["", "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients.crt\n"] {
        let yaml = format!(
            "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n{more}basic_auth_users: {{ a: \"{}\" }}\n",
            hash("a")
        );
        let files = |command: CommandLine| {
            let command = command.file("server.crt", &identity.certificate).file("server.key", &identity.key);
            command.file("web.yaml", &yaml).file("clients.crt", &Authority::new().pem())
        };
        // The authority of its clients differs from one folder to the other; that of the server is what counts.
        let mut process = files(api.asked_by(&["--web.config.file", "web.yaml"])).start();
        let address = process.address().await.to_string();
        let arguments = ["healthcheck", "--web.listen-address", &address, "--web.config.file", "web.yaml"];
        let ended = files(api.asked_by(&arguments)).run().await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{more}");
        let without = api.asked_by(&arguments[..3]).run().await;
        assert_eq!(without.code, Some(1), "{without:?}");
        stops_cleanly(process, "TERM").await;
    }
}

#[tokio::test]
async fn k6_strangers_who_can_read_or_overhear_are_warned_of_once() {
    let api = Api::start().await;
    let identity = Authority::new().server();
    let tls = "tls_server_config: { cert_file: server.crt, key_file: server.key }\n";
    let in_clear = format!("basic_auth_users: {{ a: \"{}\" }}\n", bcrypt::hash("a", 10).unwrap());
    for (addresses, web, warning) in [
        ("0.0.0.0:0", "", Some("whoever reaches this machine can read the metrics")),
        ("0.0.0.0:0", in_clear.as_str(), Some("passwords come in clear over the network")),
        ("0.0.0.0:0", tls, Some("add basic_auth_users to the web config")),
        ("0.0.0.0:0", &format!("{tls}{in_clear}"), None),
        ("127.0.0.1:0", "", None),
        ("127.0.0.1:0", &in_clear, None),
    ] {
        let command = api.asked_by(&["--web.config.file", "web.yaml", "--web.listen-address", addresses]);
        let command = command.file("server.crt", &identity.certificate).file("server.key", &identity.key);
        let mut process = command.private("server.key").file("web.yaml", web).start();
        let port = process.address().await.port();
        // A warning comes before the first connection is taken, whatever becomes of that.
        let answers = async || http::get(([127, 0, 0, 1], port).into(), "/-/healthy").await;
        let is_tls = web.contains("tls_server_config");
        until("it answers", async || match answers().await {
            Err(error) if !is_tls => Err(error.to_string()),
            _ => Ok(()),
        })
        .await;
        let log = stops_cleanly(process, "TERM").await.stderr;
        let warnings: Vec<&str> = log.lines().filter(|line| line.contains("level=warn")).collect();
        assert_eq!(warnings.len(), usize::from(warning.is_some()), "{log}");
        assert!(warning.is_none_or(|warning| warnings[0].contains(warning)), "{log}");
    }
}

#[tokio::test]
async fn hash_password_makes_a_hash_that_lets_its_password_in() {
    let run = async |password: &[u8], more: &[&str]| {
        let arguments = [&["hash-password"], more].concat();
        CommandLine::new(&arguments).input(password).run().await
    };
    for (password, cost, more) in
        [("密码 with spaces ", "12", &[][..]), ("x", "10", &["--cost", "10"]), ("line\r", "10", &["--cost", "10"])]
    {
        let ended = run(format!("{password}\n").as_bytes(), more).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        let hash = ended.stdout.strip_suffix('\n').unwrap();
        assert!(hash.starts_with(&format!("$2b${cost}$")) && hash.len() == 60, "{hash}");
        assert!(bcrypt::verify(password.trim_end_matches('\r'), hash).unwrap());
    }
    let ended = run(b"no line end", &["--cost", "10"]).await;
    assert!(bcrypt::verify("no line end", ended.stdout.trim_end()).unwrap());
    for (password, told) in [
        (Vec::new(), "the password is empty"),
        (b"\n".to_vec(), "the password is empty"),
        (vec![b'x'; 73], "the password is longer than 72 bytes, and bcrypt looks at no more"),
        (b"\xff\n".to_vec(), "the password cannot be read: stream did not contain valid UTF-8"),
    ] {
        let ended = run(&password, &[]).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        assert_eq!(last_line(&ended), format!("tencent-live-exporter: {told}"));
    }
    for cost in ["9", "15"] {
        assert_eq!(run(b"x\n", &["--cost", cost]).await.code, Some(2), "{cost}");
    }
}

#[tokio::test]
async fn k4_no_password_hash_or_key_is_in_anything_that_is_told() {
    let (api, authority) = (Api::start().await, Authority::new());
    let (process, address) = start(&api, &authority).await;
    let client = authority.plain_client();
    let [metrics, landing] = ["/metrics", "/"].map(|path| get(address, &client, path, &login("alice")).unwrap().1);
    let web = std::fs::read_to_string(process.folder.join("web.yaml")).unwrap();
    let hash = web.split('"').nth(1).unwrap();
    std::fs::write(process.folder.join("web.yaml"), web.replace("alice: \"", "alice: \"broken")).unwrap();
    reload_is(0, address, &client, "alice").await;
    let ended = stops_cleanly(process, "TERM").await;
    let all = [metrics, landing, ended.stdout, ended.stderr].concat();
    assert!(all.contains("not a bcrypt hash"));
    for secret in [hash, login("alice").trim(), "PRIVATE KEY"] {
        assert!(!all.contains(secret), "{secret} is in\n{all}");
    }
}
