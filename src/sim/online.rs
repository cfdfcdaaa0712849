//! The streams that are pushed at this moment, as `DescribeLiveStreamOnlineList` tells them.

use std::collections::BTreeMap;

use super::answer::Success;
use super::params::OnlineAsk;
use super::world::State;
use super::{Name, wire};
use crate::clock::UnixSeconds;

/// Domain, app and stream.
type Names = (Name, Name, Name);

impl State {
    pub(super) fn online_list(&self, ask: &OnlineAsk, now: UnixSeconds) -> Success {
        let quirks = &self.quirks;
        let live_only = quirks.app_defaults_to_live && ask.app.is_none();
        let is = |wanted: &Option<Name>, name: &Name| {
            quirks.ignore_names || wanted.as_ref().is_none_or(|wanted| wanted == name)
        };
        let mut online = self.online(now);
        online.retain(|(domain, app, stream), _| {
            let meant = is(&ask.domain, domain) && is(&ask.app, app) && is(&ask.stream, stream);
            meant && !(live_only && app.as_bytes() != b"live")
        });
        let size = quirks.page_size_served.unwrap_or(ask.page_size);
        let skipped = usize::try_from((ask.page_num - 1).saturating_mul(size)).unwrap_or(usize::MAX);
        let page: Vec<_> = online.iter().skip(skipped).take(usize::try_from(size).unwrap_or(usize::MAX)).collect();
        let mut fields = b"\"OnlineInfo\":[".to_vec();
        for (number, ((domain, app, stream), since)) in page.iter().enumerate() {
            fields.extend_from_slice(if number > 0 { b"," } else { b"" });
            for (field, name) in [("{\"StreamName\":", stream), (",\"AppName\":", app), (",\"DomainName\":", domain)] {
                fields.extend_from_slice(field.as_bytes());
                wire::text(&mut fields, name.as_bytes(), quirks.text);
            }
            let since = wire::utc(**since);
            let rest = format!(",\"PushToDelay\":0,\"PublishTimeList\":[{{\"PublishTime\":\"{since}\"}}]}}");
            fields.extend_from_slice(rest.as_bytes());
        }
        let (total, pages) = (online.len() as u64, (online.len() as u64).div_ceil(size));
        let rest = format!(
            "],\"TotalNum\":{total},\"TotalPage\":{pages},\"PageNum\":{},\"PageSize\":{}",
            ask.page_num, ask.page_size
        );
        fields.extend_from_slice(rest.as_bytes());
        Success { fields, rows: page.len(), total: Some(total) }
    }

    /// Since when each stream that is pushed at `now` is.
    fn online(&self, now: UnixSeconds) -> BTreeMap<Names, UnixSeconds> {
        let generated = self.generator.iter().flat_map(|generator| generator.online(now));
        let of_traffic = generated
            .map(|(source, since)| ((source.domain.clone(), source.app.clone(), source.stream.clone()), since));
        let told = self
            .archive
            .on_air(now)
            .map(|event| ((event.domain.clone(), event.app.clone(), event.stream.clone()), event.start));
        told.chain(of_traffic).collect()
    }
}
