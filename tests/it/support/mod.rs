//! Stand-ins that the promises are tried against.
pub mod scripted;
