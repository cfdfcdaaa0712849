//! Where keys come from: every source by itself, the chain of them, and roles on top; the way to the API.
//!
//! The stand-ins are real servers on loopback: one issues keys as the metadata service and STS do, the other is the
//! API, which lets in whoever signs with the keys it knows.

mod hostile;
mod renewal;
mod settings;
mod sources;
mod way;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tencent_live_exporter::clock::Clock;
use tencent_live_exporter::live::{KeyNews, KeyObserver, Provider, Role, Temporary, WebIdentity};
use tencent_live_exporter::secret::Secret;

use crate::support::issuers::Issuers;

/// What was told of keys, a line each.
#[derive(Clone, Default)]
struct News(Arc<Mutex<Vec<String>>>);

impl News {
    fn observer(&self) -> KeyObserver {
        let lines = Arc::clone(&self.0);
        Arc::new(move |news| {
            let line = match news {
                KeyNews::Renewed { source, again, .. } => {
                    format!("{source} renewed{}", if *again { " again" } else { "" })
                }
                KeyNews::NotRenewed { source, first, .. } => {
                    format!("{source} not renewed{}", if *first { ", for the first time" } else { "" })
                }
                KeyNews::Found { source, expire } => format!("{source} found, expire: {expire}"),
            };
            lines.lock().unwrap().push(line);
        })
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

fn role() -> Role {
    Role {
        arn: "qcs::cam::uin/100000000001:roleName/live-reader".into(),
        session_name: "tests".into(),
        external_id: Some(Secret::new("canaryEXTERNAL")),
        duration: Duration::from_secs(3600),
    }
}

fn pod(token_file: &std::path::Path) -> WebIdentity {
    WebIdentity {
        region: "ap-singapore".into(),
        provider_id: "cls-tests".into(),
        token_file: token_file.to_owned(),
        role_arn: "qcs::cam::uin/100000000001:roleName/pod".into(),
        session_name: "tests".into(),
    }
}

fn of_machine(issuers: &Issuers, clock: &Arc<dyn Clock>, news: &News) -> Provider {
    Provider::Temporary(Arc::new(Temporary::of_machine(issuers.metadata(), Arc::clone(clock), news.observer())))
}

fn of_role(issuers: &Issuers, base: Provider, clock: &Arc<dyn Clock>, news: &News) -> Provider {
    let sts = issuers.sts(|_| {});
    Provider::Temporary(Arc::new(Temporary::of_role(sts, role(), base, Arc::clone(clock), news.observer())))
}

fn of_pod(issuers: &Issuers, token_file: &std::path::Path, clock: &Arc<dyn Clock>, news: &News) -> Provider {
    let (sts, identity) = (issuers.sts(|_| {}), pod(token_file));
    Provider::Temporary(Arc::new(Temporary::of_pod(sts, identity, Arc::clone(clock), news.observer())))
}
