//! The web config: what is accepted, what is refused and in which words.
//!
//! `tests/web_config/*.bad.yaml` fail with the texts of their `*.bad.txt`, which `UPDATE_GOLDEN=1` rewrites.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use tencent_live_exporter::settings::web_config::{Reading, WebConfig, digest, read};

use crate::support::certificates::Authority;
use crate::support::folder::Folder;

use super::CANARY;

/// A folder with `server.crt`, `server.key`, `other.key` and `clients.crt`.
fn folder() -> Folder {
    let folder = Folder::new();
    let authority = Authority::new();
    authority.server().write(folder.path(), "server");
    authority.server().write(folder.path(), "other");
    std::fs::write(folder.join("clients.crt"), authority.pem()).unwrap();
    std::fs::set_permissions(folder.join("server.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    folder
}

fn reading(folder: &Folder, yaml: &str) -> Reading {
    std::fs::write(folder.join("web.yaml"), yaml).unwrap();
    read(&folder.join("web.yaml"))
}

fn sound(yaml: &str) -> WebConfig {
    reading(&folder(), yaml).result.unwrap_or_else(|problems| panic!("{problems}"))
}

/// What is wrong with `yaml`, without the folder's name.
fn wrong(folder: &Folder, yaml: &str) -> String {
    let problems = reading(folder, yaml).result.expect_err(yaml).to_string();
    problems.replace(&format!("{}/", folder.path().display()), "")
}

const TLS: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

#[test]
fn every_bad_web_config_fails_in_the_words_of_its_golden_text() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut differ = Vec::new();
    let mut files: Vec<_> = std::fs::read_dir("tests/web_config").unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    assert!(!files.is_empty());
    let folder = folder();
    for path in files {
        let found = wrong(&folder, &std::fs::read_to_string(&path).unwrap()) + "\n";
        assert!(!found.contains(CANARY), "{}: a secret is shown:\n{found}", path.display());
        let golden = path.with_extension("txt");
        if update {
            std::fs::write(&golden, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if found != expected {
            differ.push(format!("{}\n--- expected\n{expected}--- found\n{found}", golden.display()));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn the_example_is_accepted_and_changes_nothing_but_tls() {
    let config = sound(&std::fs::read_to_string("config/web.yaml").unwrap());
    assert!(config.tls.is_some() && config.probe.is_some() && !config.verifies_clients);
    assert!(config.headers.is_empty() && config.users.is_empty() && config.rate_limit.is_none());
    assert_eq!(config.warnings, [""; 0]);
    let plain = sound(TLS);
    let [ours, default] = [config, plain].map(|config| {
        let tls = config.tls.unwrap();
        assert!(Arc::ptr_eq(tls.for_peer([127, 0, 0, 1].into()), tls.for_peer([192, 0, 2, 1].into())));
        Arc::clone(tls.for_peer([192, 0, 2, 1].into()))
    });
    assert_eq!(ours.ignore_client_order, default.ignore_client_order);
    assert_eq!(ours.alpn_protocols, default.alpn_protocols);
    let suites = |config: &rustls::ServerConfig| {
        let mut suites: Vec<u16> =
            config.crypto_provider().cipher_suites.iter().map(|suite| u16::from(suite.suite())).collect();
        suites.sort_unstable();
        suites
    };
    assert_eq!(suites(&ours), suites(&default));
}

#[test]
fn nothing_set_is_nothing_done() {
    for yaml in ["", "---\n", "tls_server_config: {}\n", "tls_server_config:\nbasic_auth_users:\nrate_limit:\n"] {
        let config = sound(yaml);
        assert!(config.tls.is_none() && config.users.is_empty() && config.rate_limit.is_none(), "{yaml}");
    }
    let blank =
        "tls_server_config: { cert: \"\", cert_file: server.crt, key: \"\", key_file: server.key, client_ca: \"\" }\n";
    assert!(sound(blank).tls.is_some(), "blank is not set, as in the toolkit");
}

#[test]
fn what_stands_in_the_file_itself_is_as_good_as_a_file() {
    let folder = folder();
    let indented = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap().replace('\n', "\n    ");
    let yaml = format!(
        "tls_server_config:\n  cert: |\n    {}\n  key: |\n    {}\n  client_ca: |\n    {}\n  client_auth_type: \
         RequireAndVerifyClientCert\n",
        indented("server.crt"),
        indented("server.key"),
        indented("clients.crt")
    );
    let config = reading(&folder, &yaml).result.unwrap_or_else(|problems| panic!("{problems}"));
    assert!(config.verifies_clients);
    let tls = config.tls.unwrap();
    let same = Arc::ptr_eq(tls.for_peer([127, 0, 0, 1].into()), tls.for_peer([192, 0, 2, 1].into()));
    assert!(!same, "the server's own certificate is good enough from this machine only");
}

#[test]
fn f12_a_key_of_another_certificate_is_refused() {
    let folder = folder();
    let found = wrong(&folder, "tls_server_config: { cert_file: server.crt, key_file: other.key }\n");
    let expected = "tls_server_config.key_file: the key is not that of the certificate; accepted: the key of the \
                    certificate, in PEM and without a password (web.yaml)";
    assert_eq!(found, expected);
}

#[test]
fn k5_a_key_that_everybody_can_read_and_a_cheap_hash_are_warned_of() {
    let folder = folder();
    std::fs::set_permissions(folder.join("server.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let hash = bcrypt::hash("x", 4).unwrap();
    let config = reading(&folder, &format!("{TLS}basic_auth_users: {{ bob: \"{hash}\" }}\n")).result.unwrap();
    let expected = [
        "tls_server_config.key_file: everybody on this machine can read the key; chmod o-r it",
        "basic_auth_users[\"bob\"]: cost 4 is soon guessed; hash-password makes a hash of cost 12",
    ];
    assert_eq!(config.warnings, expected);
}

#[test]
fn a_digest_changes_with_every_file_that_is_read_and_with_nothing_else() {
    let folder = folder();
    let mut seen = vec![reading(&folder, TLS).digest];
    let again = reading(&folder, TLS);
    assert_eq!((again.digest, digest(&again.files)), (seen[0], seen[0]));
    let names = ["web.yaml", "server.crt", "server.key"].map(|name| folder.join(name));
    assert_eq!(again.files, names);
    std::fs::write(folder.join("clients.crt"), "not named").unwrap();
    assert_eq!(reading(&folder, TLS).digest, seen[0]);
    seen.push(reading(&folder, &format!("# new\n{TLS}")).digest);
    for name in ["server.key", "server.crt"] {
        std::fs::write(folder.join(name), "broken").unwrap();
        seen.push(digest(&again.files));
        std::fs::remove_file(folder.join(name)).unwrap();
        seen.push(digest(&again.files));
    }
    std::fs::remove_file(folder.join("web.yaml")).unwrap();
    seen.push(digest(&again.files));
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), count);
}

#[test]
fn a_web_config_that_is_not_there_or_no_yaml_is_told_by_its_name() {
    let found = read(Path::new("no/such/web.yaml")).result.unwrap_err().to_string();
    let accepted = "accepted: a web config file of at most 1 MiB, in YAML";
    assert_eq!(found, format!("no/such/web.yaml: cannot be read, No such file or directory (os error 2); {accepted}"));
    assert!(wrong(&folder(), "a: [").starts_with("web.yaml: not YAML, "));
    assert!(wrong(&folder(), "- a\n").starts_with("web.yaml: is a list; accepted: a mapping with the keys "));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_web_config_makes_the_reader_panic(
        section in "(tls_server_config|http_server_config|basic_auth_users|rate_limit|headers)",
        key in "(cert|key_file|min_version|cipher_suites|client_allowed_sans|http2|headers|burst|interval|a)",
        value in "(\\PC{0,20}|\\[[a-z, ]{0,9}\\]|\\{[a-z]: [a-z]\\}|\\$2b\\$[0-9]{2}\\$[./A-Za-z0-9]{50,54}|[0-9]{1,30}[a-z]{0,2})",
    ) {
        let folder = Folder::new();
        // Whatever it says of it is fine.
        drop(reading(&folder, &format!("{section}:\n  {key}: {value}\n")));
    }
}
