//! Stand-ins that the promises are tried against.
pub(crate) mod scripted;
