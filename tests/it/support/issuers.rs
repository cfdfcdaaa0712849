//! Those who issue temporary keys: the metadata service of a machine and STS, on one loopback port.
#![expect(clippy::unwrap_used, reason = "a stand-in that cannot go on ends its test")]

use std::sync::{Arc, Mutex};

use tencent_live_exporter::clock::{Clock, SystemClock};
use tencent_live_exporter::live::{Metadata, Sts, StsOptions};
use tencent_live_exporter::sim::Keys;
use tencent_live_exporter::sim::signature::SignedRequest;

use super::scripted::{Request, Scripted, Step};

/// What every key is called that is issued; they differ in their tokens.
pub(crate) const ISSUED_ID: &str = "AKIDcanaryISSUED";
const ISSUED_KEY: &str = "canaryISSUEDkey";

/// Where the roles of a machine are.
pub(crate) const ROLES: &str = "/latest/meta-data/cam/security-credentials/";

/// What the stand-in does.
pub(crate) struct Habits {
    /// Keys issued so far.
    pub(crate) issued: u32,
    /// How long they live, in seconds.
    pub(crate) life: i64,
    /// What the clock shows.
    pub(crate) clock: Arc<dyn Clock>,
    /// The role that is bound to the machine.
    pub(crate) role: Option<String>,
    /// The keys that may take on a role.
    pub(crate) keys: Keys,
    /// What happens instead of issuing.
    pub(crate) instead: Option<Step>,
}

/// The stand-in.
pub(crate) struct Issuers {
    pub(crate) server: Scripted,
    habits: Arc<Mutex<Habits>>,
}

/// The keys that are issued as number `n`, from 1.
pub(crate) fn issued(n: u32) -> Keys {
    Keys { secret_id: ISSUED_ID.into(), secret_key: ISSUED_KEY.into(), token: Some(format!("canaryTOKEN{n}")) }
}

impl Issuers {
    /// On the machine's clock, with two hours to live for each key.
    pub(crate) async fn start() -> Self {
        Self::on(Arc::new(SystemClock::new())).await
    }

    pub(crate) async fn on(clock: Arc<dyn Clock>) -> Self {
        let (role, keys) = (Some("live-reader".to_owned()), Keys::new("AKIDEXAMPLE", "none"));
        let habits = Arc::new(Mutex::new(Habits { issued: 0, life: 7200, clock, role, keys, instead: None }));
        let kept = Arc::clone(&habits);
        let server = Scripted::answering(move |request| kept.lock().unwrap().answer(request)).await;
        Self { server, habits }
    }

    /// Changes what it does from now on.
    pub(crate) fn now(&self, change: impl FnOnce(&mut Habits)) {
        change(&mut self.habits.lock().unwrap());
    }

    /// What changes it from anywhere.
    pub(crate) fn habits(&self) -> Arc<Mutex<Habits>> {
        Arc::clone(&self.habits)
    }

    /// How many keys were issued.
    pub(crate) fn issued(&self) -> u32 {
        self.habits.lock().unwrap().issued
    }

    pub(crate) fn metadata(&self) -> Metadata {
        let clock = Arc::clone(&self.habits.lock().unwrap().clock);
        Metadata::new(&self.server.endpoint(), clock).unwrap()
    }

    /// STS, asked with little patience.
    pub(crate) fn sts(&self, change: impl FnOnce(&mut StsOptions)) -> Arc<Sts> {
        let clock = Arc::clone(&self.habits.lock().unwrap().clock);
        let mut options = StsOptions::new(self.server.endpoint(), clock);
        options.back_off = std::time::Duration::from_millis(1);
        change(&mut options);
        Arc::new(Sts::new(&options).unwrap())
    }
}

impl Habits {
    fn answer(&mut self, request: &Request) -> Step {
        let (method, path) = request.line.split_once(' ').unwrap();
        let path = path.trim_end_matches(" HTTP/1.1");
        match (method, path.strip_prefix(ROLES)) {
            _ if self.instead.is_some() => self.instead.clone().unwrap(),
            ("GET", Some("")) => match &self.role {
                Some(role) => Step::ok(role.clone()),
                None => Step::Reply { status: 404, headers: vec![], body: b"not found".to_vec() },
            },
            ("GET", Some(role)) if Some(role) == self.role.as_deref() => {
                let (keys, expires) = self.issue();
                Step::ok(format!(
                    r#"{{{keys},"ExpiredTime":{expires},"Expiration":"2001-01-01T00:00:00Z","Code":"Success"}}"#
                ))
            }
            ("POST", _) => self.lend(request),
            _ => Step::Reply { status: 404, headers: vec![], body: vec![] },
        }
    }

    fn lend(&mut self, request: &Request) -> Step {
        let unsigned = request.headers["authorization"] == "SKIP";
        match request.headers["x-tc-action"].as_str() {
            "AssumeRoleWithWebIdentity" if unsigned => {}
            "AssumeRole" => {
                let headers: Vec<(String, String)> =
                    request.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
                let body = request.body.as_bytes();
                let signed = SignedRequest { method: "POST", query: "", headers: &headers, body };
                if let Err(refusal) = signed.check(&self.keys, self.clock.now()) {
                    return Step::error(refusal.code());
                }
            }
            _ => return Step::error("InvalidAction"),
        }
        let (keys, expires) = self.issue();
        Step::ok(format!(r#"{{"Response":{{"Credentials":{{{keys}}},"ExpiredTime":{expires},"RequestId":"r-sts"}}}}"#))
    }

    fn issue(&mut self) -> (String, i64) {
        self.issued += 1;
        let Keys { secret_id, secret_key, token } = issued(self.issued);
        let token = token.unwrap();
        let keys = format!(r#""TmpSecretId":"{secret_id}","TmpSecretKey":"{secret_key}","Token":"{token}""#);
        (keys, self.clock.now() + self.life)
    }
}
