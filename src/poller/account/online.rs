//! Streams that are pushed now, once a minute: what disconnects are held against.

use tokio::time::Instant;

use super::{AccountLoop, DISCOVERY_INTERVAL, PassError};
use crate::live::{EventSource, StreamsOnline};
use crate::poller::ONLINE_INTERVAL;
use crate::poller::report::StreamsByLabels;
use crate::session::Name;

impl<S: EventSource> AccountLoop<S> {
    /// Counts the streams that are pushed, if it is time to. Polls do not wait for it: what is not there by `due` is not
    /// known, nor is anything where not even a poll is answered.
    pub(super) async fn count_streams_online(&mut self, due: Instant) {
        let elapsed = self.options.clock.elapsed();
        if !self.options.streams_online || elapsed + self.options.pace.interval / 2 < self.next_online {
            return;
        }
        self.next_online = elapsed + ONLINE_INTERVAL;
        if !self.listed_any {
            self.options.metrics.streams_online_unknown(&self.options.name);
            return;
        }
        let counted = tokio::time::timeout_at(due, self.alive_while(self.streams_online())).await;
        if let Ok(Err(error)) = &counted
            && error.is_refusal()
        {
            self.next_online = elapsed + DISCOVERY_INTERVAL;
        }
        self.report.streams_online(counted.ok());
    }

    /// By the labels of their domain and app.
    async fn streams_online(&self) -> Result<StreamsByLabels, PassError> {
        let mut online = StreamsOnline::new();
        for scope in &self.scopes {
            for (pair, streams) in self.options.source.streams_online(scope).await? {
                // Scopes have nothing in common, unless the API does not narrow by their names.
                let known = online.entry(pair).or_default();
                *known = streams.max(*known);
            }
        }
        let names: Vec<Name> = online.keys().flat_map(|(domain, app)| [domain.clone(), app.clone()]).collect();
        let mut labels = self.options.keeper.labels(names).await?.into_iter();
        let pairs = std::iter::from_fn(|| labels.next().zip(labels.next()));
        Ok(pairs.zip(online.into_values()).collect())
    }
}
