//! How a user says where the keys are, and the way to the API.

use std::path::PathBuf;
use std::time::Duration;

use tencent_live_exporter::secret::Secret;
use tencent_live_exporter::settings::{CredentialSource, ProfilePlaces, Role, Settings, WebIdentity};

use crate::support::certificates::Authority;
use crate::support::folder::Folder;

const KEYS: [(&str, &str); 2] = [("TENCENTCLOUD_SECRET_ID", "AKIDEXAMPLE"), ("TENCENTCLOUD_SECRET_KEY", "CANARY-KEY")];
const POD: [(&str, &str); 4] = [
    ("TKE_REGION", "ap-singapore"),
    ("TKE_PROVIDER_ID", "cls-1"),
    ("TKE_WEB_IDENTITY_TOKEN_FILE", "/var/run/token"),
    ("TKE_ROLE_ARN", "qcs::cam::uin/1:roleName/pod"),
];

fn load(credentials: &str, environment: &[&[(&str, &str)]]) -> Result<CredentialSource, String> {
    let text = format!("accounts: [{{ credentials: {{ {credentials} }} }}]");
    let environment = environment.concat().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let settings = Settings::from_yaml(&text, environment).map_err(|problems| problems.to_string())?;
    Ok(settings.accounts[0].credentials.clone())
}

fn places(files: &[&str], profile: &str) -> ProfilePlaces {
    ProfilePlaces { files: files.iter().map(PathBuf::from).collect(), profile: profile.to_owned() }
}

fn pod() -> WebIdentity {
    let [region, provider_id, token_file, role_arn] = POD.map(|(_, value)| value.to_owned());
    WebIdentity { region, provider_id, token_file: token_file.into(), role_arn }
}

fn of_environment() -> CredentialSource {
    CredentialSource::Static { secret_id: "AKIDEXAMPLE".into(), secret_key: Secret::new("CANARY-KEY"), token: None }
}

#[test]
fn each_word_of_source_is_one_source() {
    let home = [("HOME", "/home/me")];
    let usual = places(&["/home/me/.tencentcloud/credentials", "/etc/tencentcloud/credentials"], "default");
    let machine = CredentialSource::CvmRole { metadata: None };
    assert_eq!(load("source: environment", &[&KEYS]), Ok(of_environment()));
    assert_eq!(load("source: profile", &[&KEYS, &home]), Ok(CredentialSource::Profile(usual)));
    assert_eq!(load("source: cvm_role", &[&KEYS]), Ok(machine));
    assert_eq!(load("source: tke_oidc", &[&KEYS, &POD]), Ok(CredentialSource::TkeOidc(pod())));
}

#[test]
fn without_a_word_it_is_the_keys_given_those_of_the_environment_or_the_chain() {
    let given = "secret_id: a, secret_key: b";
    let key = CredentialSource::Static { secret_id: "a".into(), secret_key: Secret::new("b"), token: None };
    for auto in ["", "source: auto, "] {
        assert_eq!(load(&format!("{auto}{given}"), &[&KEYS, &POD]), Ok(key.clone()));
        assert_eq!(load(auto, &[&KEYS, &POD]), Ok(of_environment()));
        let profile = places(&["/named", "/h/.tencentcloud/credentials", "/etc/tencentcloud/credentials"], "default");
        let environment = [("TENCENTCLOUD_CREDENTIALS_FILE", "/named"), ("HOME", "/h")];
        let chain = |web_identity| CredentialSource::Chain { profile: profile.clone(), metadata: None, web_identity };
        assert_eq!(load(auto, &[&environment, &POD]), Ok(chain(Ok(pod()))));
        assert_eq!(load(auto, &[&environment, &POD[..3]]), Ok(chain(Err(vec!["TKE_ROLE_ARN"]))));
    }
    // A profile that is named means that one, unless the chain is asked for.
    let named = places(&["/etc/tencentcloud/credentials"], "prod");
    assert_eq!(load("profile: prod", &[&KEYS]), Ok(CredentialSource::Profile(named.clone())));
    assert_eq!(load("source: auto, profile: prod", &[&KEYS]), Ok(of_environment()));
    let missing = POD.map(|(name, _)| name).to_vec();
    let chain = CredentialSource::Chain { profile: named, metadata: None, web_identity: Err(missing) };
    assert_eq!(load("source: auto, profile: prod", &[]), Ok(chain));
}

#[test]
fn a_role_stands_on_any_source() {
    let arn = "qcs::cam::uin/100000000001:roleName/live-reader";
    let of = |base| CredentialSource::Role {
        base: Box::new(base),
        role: Role {
            arn: arn.into(),
            session_name: "tencent-live-exporter".into(),
            external_id: None,
            duration: Duration::from_secs(7200),
        },
    };
    let role = format!("role: {{ arn: '{arn}' }}");
    assert_eq!(load(&role, &[&KEYS]), Ok(of(of_environment())));
    let machine = CredentialSource::CvmRole { metadata: None };
    assert_eq!(load(&format!("source: cvm_role, {role}"), &[]), Ok(of(machine)));
    let all = format!("role: {{ arn: '{arn}', session_name: me@x, external_id: CANARY-X, duration: 12h }}");
    let Ok(CredentialSource::Role { role, .. }) = load(&all, &[&KEYS]) else { panic!("a role") };
    assert_eq!((role.session_name.as_str(), role.duration), ("me@x", Duration::from_secs(43_200)));
    assert_eq!(role.external_id, Some(Secret::new("CANARY-X")));
}

#[test]
fn a_proxy_on_another_machine_is_not_for_requests_in_the_clear() {
    let load = |more: &str| {
        let text = format!("accounts: [{{ {more} }}]");
        let keys = KEYS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Settings::from_yaml(&text, keys).map_err(|problems| problems.to_string())
    };
    for clear in ["endpoint: 'http://127.0.0.1:1'", "sts_endpoint: 'http://localhost:1'"] {
        let told = load(&format!("{clear}, proxy: 'http://u:CANARY@proxy.example.com:3128'")).unwrap_err();
        assert!(told.starts_with("accounts[0].proxy: [secret]: on another machine"), "{told}");
        assert!(!told.contains("CANARY"), "{told}");
        assert!(load(&format!("{clear}, proxy: 'http://127.0.0.1:3128'")).is_ok());
    }
    let settings = load("proxy: 'http://u:CANARY@proxy.example.com:3128'").unwrap();
    assert!(!format!("{settings:?}").contains("CANARY"), "{settings:?}");
}

#[test]
fn a_file_of_authorities_that_is_of_no_use_is_told_with_the_reason() {
    let folder = Folder::new();
    let path = folder.join("ca.pem");
    let load = || {
        let text = format!("accounts: [{{ ca_file: '{}' }}]", path.display());
        let keys = KEYS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Settings::from_yaml(&text, keys).map_err(|problems| problems.to_string())
    };
    let good = Authority::new().pem();
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (content, told) in [
        (None, "cannot be read, No such file"),
        (Some(String::new()), "has no certificate in PEM"),
        (Some("hello".to_owned()), "has no certificate in PEM"),
        (Some(format!("{good}{broken}")), "its certificate number 2 cannot be used"),
        (Some(good.replace('M', "*")), "has a certificate that is broken"),
        (Some("x".repeat((1 << 20) + 1)), "larger than 1 MiB"),
    ] {
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let problem = load().unwrap_err();
        assert!(problem.starts_with("accounts[0].ca_file: ") && problem.contains(told), "{told}: {problem}");
    }
    std::fs::write(&path, format!("{good}{}", Authority::new().pem())).unwrap();
    assert_eq!(load().unwrap().accounts[0].ca_file.as_ref().unwrap().certificates().len(), 2);
}
