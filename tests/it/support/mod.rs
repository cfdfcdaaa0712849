//! Stand-ins that the promises are tried against, and the means to look at what comes of it.
pub(crate) mod bench;
pub(crate) mod certificates;
pub(crate) mod child;
pub(crate) mod folder;
pub(crate) mod http;
pub(crate) mod issuers;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod passes;
pub(crate) mod patience;
pub(crate) mod proxy;
pub(crate) mod rig;
pub(crate) mod scripted;
